import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from etude.engine.run import Run
from etude.engine.train import train
from etude.errors import InputError
from etude.report import page
from etude.systems.autoencoders.vae import VAE


def trained(folder: Path, system: str, data: Any, **asked: Any) -> Run:
    return train(system, data, runs=folder, quiet=True, device="cpu", **asked)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    vae = {"hidden": (16,), "epochs": 2, "batch": 50}
    made = {
        "vae 2": trained(folder, "vae", "digits", latent=2, **vae),
        "vae 8": trained(folder, "vae", "digits", latent=8, **vae),
        "mlp": trained(folder, "mlp", "digits", hidden=(16,), epochs=1),
        "mlp moons": trained(folder, "mlp", "moons", hidden=(4,), epochs=1),
        "lenet": trained(folder, "lenet", "digits", kernel=3, padding=2, epochs=1),
        "gan": trained(folder, "gan", "blobs", output="linear", hidden=(8, 8), discriminator_units=4, epochs=2),
        "lsgan": trained(folder, "lsgan", "blobs", network="dense", output="linear", hidden=(8, 8), epochs=2),
        "ema": trained(folder, "ema", "digits", on="vae", **{f"on.{name}": value for name, value in vae.items()}),
    }
    for run in made.values():
        page.write(run)
    return made


class Reader(HTMLParser):
    """Headings of a page, the addresses that a browser would load, and all its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.headings: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [
            value or "" for key, value in attributes if key == "src" or (key.endswith("href") and tag != "a")
        ]

    def handle_data(self, data: str) -> None:
        self.words += data
        if self.tags[-1:] == ["h2"] and data.strip():
            self.headings.append(data)


def read(path: Path) -> Reader:
    return Reader(path.read_text())


ALWAYS = ["Scores on the test split", "How training went", "Where it departs from the paper", "How to make it again"]
PICTURES = ["Samples", "Reconstructions", "Latent space", "Interpolation", "Closest training examples"]
CLASSES = ["Predictions by class", "Most confident mistakes"]


@pytest.mark.parametrize(
    ("name", "there", "not_there"),
    [
        ("vae 2", PICTURES, CLASSES),
        ("vae 8", PICTURES, CLASSES),
        ("ema", [*PICTURES, "Averaging of the weights", "Variational autoencoder", "Hyperparameters of ema"], CLASSES),
        ("mlp", CLASSES, PICTURES),
        ("lenet", CLASSES, PICTURES),
        ("mlp moons", CLASSES, PICTURES),
        ("gan", ["Samples"], [*PICTURES[1:], *CLASSES]),
        ("lsgan", ["Samples"], [*PICTURES[1:], *CLASSES]),
    ],
)
def test_a_page_has_the_sections_that_apply_and_carries_all_it_shows(
    runs: dict[str, Run], name: str, there: list[str], not_there: list[str]
) -> None:
    run = runs[name]
    found = read(run.folder / "report.html")
    assert set(ALWAYS) | set(there) <= set(found.headings)
    assert not set(not_there) & set(found.headings)
    assert "Could not be drawn" not in found.words
    assert run.record["command"] in found.words
    assert all(f"{value:.5g}" in found.words for value in run.scores.values())
    assert not {"script", "link", "iframe"} & set(found.tags)
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in found.loaded)


def test_the_decoders_grid_stands_beside_a_plane_of_codes_alone(runs: dict[str, Run]) -> None:
    two, eight = (read(runs[name].folder / "report.html").words for name in ("vae 2", "vae 8"))
    assert "what the decoder makes of the plane" in two
    assert "what the decoder makes of the plane" not in eight
    assert "two principal components of 8 dimensions" in eight


def test_samples_are_shown_before_training_in_the_middle_and_at_the_end(runs: dict[str, Run]) -> None:
    words = read(runs["gan"].folder / "report.html").words
    assert all(caption in words for caption in ("before training", "after epoch 1", "after epoch 2"))


def test_looking_changes_nothing_and_gives_the_same_page_again(runs: dict[str, Run]) -> None:
    run = runs["gan"]
    others = {
        path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file() and path.name != "report.html"
    }
    random = torch.get_rng_state()
    first = page.write(run).read_text()
    assert torch.equal(random, torch.get_rng_state())
    torch.manual_seed(7)
    assert page.write(Run(run.folder)).read_text() == first
    assert {path: path.read_bytes() for path in others} == others


def test_data_from_memory_are_asked_for_again_or_done_without(tmp_path: Path) -> None:
    x, y = torch.rand(60, 3), torch.arange(60) % 2
    run = trained(tmp_path, "mlp", (x, y), hidden=(4,), epochs=1)
    assert "Predictions by class" in read(page.write(run, (x, y))).headings
    without = read(page.write(run))
    assert "Without the data" in without.headings
    assert "Predictions by class" not in without.headings
    assert "Could not be drawn" not in without.words


def test_a_verb_of_a_third_partys_system_may_do_as_it_likes(
    runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VAE, "encode", lambda self, x: ("not", "a tensor"))
    monkeypatch.setattr(VAE, "sample", lambda self, count: ["a word"] * count)
    found = read(page.write(Run(runs["vae 2"].folder)))
    assert "Could not be drawn: AttributeError" in found.words
    assert set(ALWAYS) <= set(found.headings)


def test_what_users_wrote_is_shown_and_not_obeyed() -> None:
    text = page.render("<script>alert(1)</script>", "a & b", [])
    assert "<script>" not in text
    assert "a &amp; b" in text


def test_a_run_that_is_not_finished_is_refused(tmp_path: Path, runs: dict[str, Run]) -> None:
    copy = Run(tmp_path)
    copy.update(**runs["mlp"].record | {"finished": False})
    with pytest.raises(InputError, match="not trained to the end"):
        page.write(copy)


def test_runs_side_by_side_show_their_scores_and_what_was_asked_differently(
    runs: dict[str, Run], tmp_path: Path
) -> None:
    pair = [runs["vae 2"], runs["vae 8"]]
    path = page.compare(pair, tmp_path / "compare.html")
    found = read(path)
    for run in pair:
        assert run.folder.name in found.words
        assert all(f"{value:.5g}" in found.words for value in run.scores.values())
    different = re.search(r"What was asked differently.*?</section>", path.read_text(), re.DOTALL)
    assert different is not None
    assert re.findall(r"<td>(.*?)</td>", different[0]) == ["latent", "2", "8"]


def test_runs_of_different_systems_can_stand_side_by_side(runs: dict[str, Run], tmp_path: Path) -> None:
    words = read(page.compare([runs["vae 2"], runs["ema"], runs["mlp"]], tmp_path / "compare.html")).words
    assert "on.latent" in words
    assert "validation: accuracy" in words
