"""Toy data lie where their one line says."""

import math

import pytest
import torch

from etude.data import toy
from etude.data.kinds import Splits, Vectors


def whole(splits: Splits) -> tuple[torch.Tensor, torch.Tensor]:
    parts = [part for part in splits.parts().values() if isinstance(part, Vectors)]
    y = [part.y if part.y is not None else torch.zeros(len(part), dtype=torch.int64) for part in parts]
    return torch.cat([part.x for part in parts]), torch.cat(y)


@pytest.mark.parametrize("name", ["blobs", "moons", "circles", "spirals", "xor", "gaussians25", "ring8"])
def test_the_same_every_time(name: str) -> None:
    assert getattr(toy, name)().digest() == getattr(toy, name)().digest()


@pytest.mark.parametrize(
    ("name", "deviation", "spacing"), [("gaussians25", 0.05, 2.0), ("ring8", 0.02, 4 * math.sin(math.pi / 8))]
)
def test_points_scatter_around_the_true_modes(name: str, deviation: float, spacing: float) -> None:
    centres, (x, _) = toy.modes(name), whole(getattr(toy, name)())
    apart = torch.cdist(centres, centres) + 100 * torch.eye(len(centres))
    assert apart.min().item() == pytest.approx(spacing, rel=1e-5)
    distance, nearest = torch.cdist(x, centres).min(1)
    assert nearest.bincount(minlength=len(centres)).tolist() == [len(x) // len(centres)] * len(centres)
    assert distance.square().mean().item() == pytest.approx(2 * deviation**2, rel=0.05)  # two dimensions


def test_circles_have_their_radii() -> None:
    x, y = whole(toy.circles())
    assert x[y == 0].norm(dim=1).mean().item() == pytest.approx(1, abs=0.02)
    assert x[y == 1].norm(dim=1).mean().item() == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("name", ["blobs", "moons", "circles", "spirals"])
def test_classes_are_where_their_neighbours_are(name: str) -> None:
    x, y = whole(getattr(toy, name)())
    nearest = torch.cdist(x, x).fill_diagonal_(math.inf).argmin(1)
    assert (y[nearest] == y).float().mean() > 0.97


def test_only_blobs_are_linearly_separable() -> None:
    from sklearn.linear_model import LogisticRegression

    for name, reached in (("blobs", True), ("moons", False), ("circles", False), ("spirals", False), ("xor", False)):
        x, y = whole(getattr(toy, name)())
        assert (LogisticRegression().fit(x.numpy(), y.numpy()).score(x.numpy(), y.numpy()) > 0.99) is reached


def test_xor_is_exclusive_or() -> None:
    x, y = whole(toy.xor())
    assert torch.equal(y, x[:, 0].long() ^ x[:, 1].long())
