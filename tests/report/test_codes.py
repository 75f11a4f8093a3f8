"""What a page shows of a generator's codes, and what the verbs about them write."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from etude.engine.run import Run
from etude.engine.train import train
from etude.errors import InputError
from etude.functional.latent import arithmetic
from etude.report import codes
from etude.report.view import View


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    points: dict[str, Any] = {"output": "linear", "hidden": (8, 8), "discriminator_units": 4, "epochs": 2}
    return {
        "dcgan": train(
            "dcgan", "digits", runs=folder, quiet=True, device="cpu", latent=4, maps=2, epochs=3, previews=(0, 1, 2, 3)
        ),
        "gan": train("gan", "blobs", runs=folder, quiet=True, device="cpu", **points),
        "mlp": train("mlp", "digits", runs=folder, quiet=True, device="cpu", hidden=(16,), epochs=1),
    }


def view(run: Run) -> View:
    return View(run, run.system, run.data())


@pytest.mark.parametrize(
    ("section", "title"),
    [
        (codes.film, "The same codes during training"),
        (codes.walks, "Walks between codes"),
        (codes.sums, "Sums of codes"),
        (codes.looked_at, "What the discriminator looks at"),
    ],
)
def test_a_generator_of_pictures_has_these_sections_and_others_do_not(
    runs: dict[str, Run], section: object, title: str
) -> None:
    assert callable(section)
    with torch.no_grad():
        (made,) = section(view(runs["dcgan"]))
        assert [*section(view(runs["gan"])), *section(view(runs["mlp"]))] == []
    assert made.title == title
    assert len(made.figures) == 1


def test_places_are_those_of_the_grid_that_sample_draws(runs: dict[str, Run], tmp_path: Path) -> None:
    """A walk of two steps shows the two samples and nothing else."""
    run = runs["gan"]
    torch.manual_seed(7)
    grid = run.system.sample(16)  # type: ignore[operator]
    codes.write_walk(run, [3, 16, 1], 2, 16, 7, tmp_path / "walk.csv")
    written = torch.tensor([[float(v) for v in row] for row in csv.reader((tmp_path / "walk.csv").open())])
    torch.testing.assert_close(written, grid[[2, 15, 15, 0]], rtol=1e-4, atol=1e-5)


def test_a_sum_is_that_of_the_mean_codes(runs: dict[str, Run], tmp_path: Path) -> None:
    run = runs["gan"]
    torch.manual_seed(7)
    z = run.system.noise(16)  # type: ignore[operator]
    expected = run.system.generate(arithmetic(z[:2], z[2:3], z[3:6])[None])[0]  # type: ignore[operator]
    codes.write_sum(run, [1, 2], [3], [4, 5, 6], 16, 7, tmp_path / "sum.csv")
    rows = [[float(v) for v in row] for row in csv.reader((tmp_path / "sum.csv").open())]
    assert len(rows) == 9
    torch.testing.assert_close(torch.tensor(rows[4]), expected.detach(), rtol=1e-4, atol=1e-5)


def test_the_same_question_writes_the_same_file(runs: dict[str, Run], tmp_path: Path) -> None:
    for name in ("a", "b"):
        codes.write_sum(runs["dcgan"], [1, 2, 3], [4, 5, 6], [7, 8, 9], 16, 0, tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        side = (picture.height + 2) // 4
        assert picture.size == (7 * side - 2, 4 * side - 2)
    walk = codes.write_walk(runs["dcgan"], [1, 2, 3], 5, 16, 0, None)
    assert walk == runs["dcgan"].folder / "interpolation.png"
    with Image.open(walk) as picture:
        assert picture.size == (5 * side - 2, 2 * side - 2)


class Same(nn.Module):
    """Generates the code itself, as a picture of one pixel."""

    def generate(self, z: Tensor) -> Tensor:
        return z[:, :, None, None]


def test_an_equation_stands_in_columns_over_its_means() -> None:
    groups = [torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0]]), torch.tensor([[6.0], [7.0], [8.0], [9.0]])]
    table = codes.equation(Same(), groups, torch.arange(10.0, 19.0)[:, None]).flatten().reshape(5, 7)
    gap = float(torch.tensor(codes.EMPTY))
    assert table.tolist() == [
        [1, 5, 6, gap, 10, 11, 12],
        [3, gap, 7, gap, 13, 14, 15],
        [gap, gap, 8, gap, 16, 17, 18],
        [gap, gap, 9, gap, gap, gap, gap],
        [2, 5, 7.5, gap, gap, gap, gap],
    ]


def test_what_raises_a_feature_is_drawn_round_grey(runs: dict[str, Run]) -> None:
    x = runs["dcgan"].data().test[:5].to("cpu").tensors()["x"]
    drawn = codes.raised(runs["dcgan"].system, x, 0)
    assert drawn.shape == x.shape
    assert not drawn.requires_grad
    torch.testing.assert_close((drawn - 0.5).abs().amax((1, 2, 3)), torch.full((5,), 0.5))


def test_a_mistake_is_one_line(runs: dict[str, Run]) -> None:
    run = runs["dcgan"]
    with pytest.raises(InputError, match=r"--places 1 17: expected places in the grid of samples, 1 to 16"):
        codes.write_walk(run, [1, 17], 10, 16, 0, None)
    with pytest.raises(InputError, match="two places or more"):
        codes.write_walk(run, [1], 10, 16, 0, None)
    with pytest.raises(InputError, match=r"--minus 0"):
        codes.write_sum(run, [1], [0], [2], 16, 0, None)
    with pytest.raises(InputError, match=r"--add"):
        codes.write_sum(run, [1], [2], [], 16, 0, None)
