"""Features of classifiers and of TorchScript files, and the scores of a generator in them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from etude.data.kinds import ImagePairs
from etude.engine.extractors import FILE, extractor, of_classifier, of_torchscript, score_generator
from etude.engine.run import Run, load
from etude.engine.train import train
from etude.errors import InputError
from etude.metrics import features
from etude.systems.feedforward.lenet import LeNet
from etude.systems.feedforward.mlp import MLP

SMALL: dict[str, Any] = {"latent": 2, "hidden": (16,), "epochs": 2, "batch": 50, "quiet": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def vae(folder: Path) -> Run:
    return train("vae", "digits", runs=folder, **SMALL)


@pytest.fixture(scope="module")
def mlp(folder: Path) -> Run:
    return train("mlp", "digits", runs=folder, hidden=(24,), epochs=5, quiet=True)


def test_features_of_lenet_are_its_84_units() -> None:
    torch.manual_seed(0)
    system, x = LeNet(1, 8, 8, 10, kernel=3, padding=3).eval(), torch.rand(5, 1, 8, 8)
    units, probabilities = of_classifier(system)(x)
    assert units.shape == (5, 84)
    assert probabilities is not None
    distances = (units[:, None] - system.codes).square().sum(2)
    torch.testing.assert_close(torch.softmax(-distances, 1), probabilities)
    assert not any(module._forward_hooks for module in system.modules())


def test_features_of_a_dense_net_enter_its_last_layer() -> None:
    torch.manual_seed(0)
    system, x = MLP(6, 3, hidden=(5, 4)).eval(), torch.rand(2, 6)
    units, probabilities = of_classifier(system)(x)
    last = system.network[-1]
    assert isinstance(last, nn.Linear)
    assert probabilities is not None
    assert units.shape == (2, 4)
    torch.testing.assert_close(torch.softmax(last(units), 1), probabilities)


class Published(nn.Module):
    """Answers as inception-2015-12-05.pt does: features, or probabilities, of bytes in three channels."""

    def forward(
        self, img: Tensor, return_features: bool = False, use_fp16: bool = False, no_output_bias: bool = False
    ) -> Tensor:
        assert img.dtype == torch.uint8
        assert img.shape[1] == 3
        x = img.float().flatten(1)
        if return_features:
            return x
        return torch.softmax(x[:, :2] + (0.0 if no_output_bias else 100.0), 1)


class Plain(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :4]


class Both(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.flatten(1), x.flatten(1)[:, :3].softmax(1)


def scripted(network: nn.Module, path: Path) -> Path:
    torch.jit.script(network).save(str(path))
    return path


def test_the_published_network_sees_bytes_in_three_channels(tmp_path: Path) -> None:
    extract = of_torchscript(scripted(Published(), tmp_path / "inception.pt"))
    units, probabilities = extract(torch.tensor([0.0, 0.499, 1.0, 1.2]).reshape(1, 1, 2, 2))
    assert units.tolist() == [[0, 127, 255, 255] * 3]
    assert probabilities is not None
    torch.testing.assert_close(probabilities, torch.softmax(torch.tensor([[0.0, 127.0]]), 1))
    assert extract(torch.rand(2, 3, 2, 2))[0].shape == (2, 12)


def test_other_networks_see_the_pictures_as_they_are(tmp_path: Path) -> None:
    x = torch.rand(2, 1, 2, 2)
    units, nothing = of_torchscript(scripted(Plain(), tmp_path / "plain.pt"))(x)
    assert torch.equal(units, x.flatten(1))
    assert nothing is None
    units, probabilities = of_torchscript(scripted(Both(), tmp_path / "both.pt"))(x)
    assert torch.equal(units, x.flatten(1))
    assert probabilities is not None
    assert probabilities.shape == (2, 3)


def test_a_generator_is_scored_in_a_classifier_of_ours(vae: Run, mlp: Run) -> None:
    told = score_generator(vae, str(mlp.folder), count=200)
    assert told == json.loads((vae.folder / FILE).read_text())
    assert told["extractor"] == str(mlp.folder)
    assert (told["real"], told["generated"]) == (len(vae.data().test), 200)
    x = vae.data().test.to("cpu").tensors()["x"]
    torch.manual_seed(0)
    samples = vae.system.sample(200)  # type: ignore[operator]
    extract = of_classifier(mlp.system)  # type: ignore[arg-type]
    real, generated = extract(x)[0], extract(samples)[0]
    assert told["scores"]["fid"] == pytest.approx(features.fid(real, generated), rel=1e-4)
    assert told["scores"]["precision"] == pytest.approx(features.precision(real, generated), abs=0.01)
    assert told["scores"]["fid"] > features.fid(real, extract(vae.data().train.to("cpu").tensors()["x"])[0])
    assert score_generator(vae, str(mlp.folder), count=200) == told


def test_other_real_pictures_are_not_filed(vae: Run, mlp: Run, tmp_path: Path) -> None:
    score_generator(vae, str(mlp.folder), count=200)
    before = (vae.folder / FILE).read_text()
    np.save(tmp_path / "others.npy", np.random.default_rng(0).integers(0, 256, (90, 8, 8), dtype=np.uint8))
    told = score_generator(vae, str(mlp.folder), count=200, data=str(tmp_path / "others.npy"))
    assert told["real"] == 90
    assert told["scores"]["fid"] != json.loads(before)["scores"]["fid"]
    assert (vae.folder / FILE).read_text() == before


def test_without_probabilities_there_is_no_inception_score(vae: Run, tmp_path: Path) -> None:
    told = score_generator(vae, str(scripted(Plain(), tmp_path / "plain.pt")), count=50)
    assert "fid" in told["scores"]
    assert "inception_score" not in told["scores"]


def test_scores_that_need_more_examples_are_left_out(vae: Run, mlp: Run) -> None:
    """24 features want more than 48 samples for the extrapolation, ten parts ten, three neighbours four."""
    always = {"fid", "kid", "kid_deviation"}
    near = always | {"precision", "recall"}
    parts = near | {"inception_score", "inception_score_deviation"}
    for count, expected in ((3, always), (9, near), (48, parts), (49, parts | {"fid_at_infinity"})):
        assert score_generator(vae, str(mlp.folder), count)["scores"].keys() == expected


class First(nn.Module):
    """The first eight pixels of pictures of three channels."""

    def forward(self, y: Tensor) -> Tensor:
        assert y.shape[1] == 3
        return y.flatten(1)[:, :8]


def domains(folder: Path, names: tuple[str, str], counts: tuple[int, int]) -> str:
    """Grey pictures and bright coloured ones, each drawn at random."""
    random = np.random.default_rng(0)
    for domain, prefix, count, shape in zip("AB", names, counts, ((16, 16), (16, 16, 3)), strict=True):
        (folder / domain).mkdir(parents=True)
        for place in range(count):
            pixels = random.integers(100 if domain == "B" else 0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / domain / f"{prefix}{place}.png")
    return str(folder)


TRANSLATOR: dict[str, Any] = {"maps": 4, "field": 16, "batch": 10, "epochs": 1, "quiet": True}


def test_translations_are_held_against_targets(tmp_path: Path) -> None:
    data = domains(tmp_path / "pairs", ("", ""), (100, 100))
    run = train("pix2pix", data, runs=tmp_path, jitter=1.0, **TRANSLATOR)
    named = str(scripted(First(), tmp_path / "first.pt"))
    told = score_generator(run, named)
    assert told == json.loads((run.folder / FILE).read_text())
    test = run.data().test.to("cpu")
    assert isinstance(test, ImagePairs)
    assert (told["real"], told["generated"]) == (len(test), len(test))
    torch.manual_seed(0)
    made = run.system.translate(test.x)  # type: ignore[operator]
    real, generated = test.y.flatten(1)[:, :8], made.flatten(1)[:, :8]
    assert told["scores"]["fid"] == pytest.approx(features.fid(real, generated), rel=1e-4)
    assert told["scores"]["precision"] == pytest.approx(features.precision(real, generated))
    assert score_generator(run, named, count=7)["generated"] == 7
    copied = load(run.folder)
    copied.__dict__["system"] = type("Knows", (), {"translate": staticmethod(lambda x: _counterparts(test, x))})()
    assert score_generator(copied, named)["scores"]["fid"] == pytest.approx(0, abs=1e-6)


def _counterparts(pairs: ImagePairs, x: Tensor) -> Tensor:
    places = (x.flatten(1)[:, None] == pairs.x.flatten(1)).all(2).double().argmax(1)
    return pairs.y.index_select(0, places)


def test_translators_take_classifiers_of_what_they_make(tmp_path: Path) -> None:
    run = train("pix2pix", domains(tmp_path / "pairs", ("", ""), (40, 40)), runs=tmp_path, jitter=1.0, **TRANSLATOR)
    random = np.random.default_rng(0)
    for name, shape in (("colour", (60, 3, 16, 16)), ("grey", (60, 1, 16, 16))):
        np.savez(tmp_path / f"{name}.npz", x=random.integers(0, 256, shape, dtype=np.uint8), y=np.arange(60) % 2)
    colour, grey = (
        train("mlp", str(tmp_path / f"{name}.npz"), runs=tmp_path, hidden=(4,), epochs=1, quiet=True)
        for name in ("colour", "grey")
    )
    assert score_generator(run, str(colour.folder))["extractor"] == str(colour.folder)
    with pytest.raises(InputError, match=r"sees pictures \[1, 16, 16\], .* makes \[3, 16, 16\]"):
        score_generator(run, str(grey.folder))


def test_pictures_of_a_smaller_domain_count_once(tmp_path: Path) -> None:
    """They are repeated beside a larger domain that is not aligned with them."""
    data = domains(tmp_path / "two", ("a", "b"), (100, 40))
    run = train("cyclegan", data, runs=tmp_path, blocks=0, **TRANSLATOR)
    test = run.data().test
    assert isinstance(test, ImagePairs)
    assert not test.aligned
    told = score_generator(run, str(scripted(First(), tmp_path / "first.pt")))
    assert (told["real"], told["generated"]) == (len(test.y.unique(dim=0)), len(test.x))
    assert told["real"] < told["generated"]


def test_auto_trains_lenet_once_on_the_labels(vae: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LeNet, "quick", LeNet.quick | {"epochs": 1})
    where, extract = extractor("auto", vae)
    assert Path(where).parent == folder
    assert load(where).question["system"] == "lenet"
    assert extract(torch.rand(3, 1, 8, 8))[0].shape == (3, 84)
    before = (Path(where) / "model.safetensors").stat().st_mtime_ns
    assert extractor("auto", vae)[0] == where
    assert (Path(where) / "model.safetensors").stat().st_mtime_ns == before


def test_mistakes_are_told_in_one_line(vae: Run, mlp: Run, folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "bare.npy", np.random.default_rng(0).integers(0, 256, (200, 8, 8), dtype=np.uint8))
    bare = train("vae", str(tmp_path / "bare.npy"), runs=folder, **SMALL)
    points = train("gan", "ring8", runs=folder, epochs=0, output="linear", quiet=True)
    (tmp_path / "nonsense.pt").write_text("nonsense")
    for named, run, count, expected in (
        ("auto", bare, 50, "no classes to train an extractor on: give --features"),
        ("auto", points, 50, "generates no pictures"),
        ("auto", mlp, 50, "generates no pictures"),
        ("auto", vae, 1, "--count 1: expected"),
        ("nowhere", vae, 50, "--features nowhere: expected auto, the folder"),
        (str(tmp_path / "nonsense.pt"), vae, 50, "nonsense.pt is not TorchScript"),
        (str(points.folder), vae, 50, "sees pictures"),
        (str(vae.folder), vae, 50, "holds VAE of Vectors: expected a classifier"),
    ):
        with pytest.raises(InputError, match=expected) as caught:
            score_generator(run, named, count)
        assert "\n" not in str(caught.value)
