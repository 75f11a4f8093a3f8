"""Toy data lie where their one line says."""

import math

import pytest
import torch

from etude.data import toy
from etude.data.kinds import Sequences, Splits, Vectors


def whole(splits: Splits) -> tuple[torch.Tensor, torch.Tensor]:
    parts = [part for part in splits.parts().values() if isinstance(part, Vectors)]
    y = [part.y if part.y is not None else torch.zeros(len(part), dtype=torch.int64) for part in parts]
    return torch.cat([part.x for part in parts]), torch.cat(y)


@pytest.mark.parametrize("name", ["blobs", "moons", "circles", "spirals", "xor", "gaussians25", "ring8", "waves"])
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


def test_waves_have_their_periods() -> None:
    """The best fit of sine and cosine to each sine leaves the noise, and the right period fits best."""
    part = toy.waves().together()
    assert isinstance(part, Sequences)
    assert part.elapsed is not None
    assert part.y is not None
    assert torch.bincount(part.y).tolist() == [200] * 3
    assert (int(part.lengths.min()), int(part.lengths.max())) == (12, 24)
    true = torch.arange(24) < part.lengths[:, None]
    assert part.elapsed[:, 1:][true[:, 1:]].mean().item() == pytest.approx(1, abs=0.02)
    left = []
    for y, n, x, times in zip(part.y, part.lengths.tolist(), part.x, part.times, strict=True):  # type: ignore[arg-type]
        angles = 2 * math.pi * times[:n, None] / torch.tensor([20.0, 4.0])
        waves = torch.stack([angles.sin(), angles.cos()], 2)
        fits = [torch.linalg.lstsq(waves[:, place], x[:n]).solution for place in (0, 1)]
        left.append([int(y), *(float((waves[:, place] @ fits[place] - x[:n]).square().mean()) for place in (0, 1))])
    found = torch.tensor(left)
    for label in (0, 1):
        errors = found[found[:, 0] == label]
        assert errors[:, 1 + label].mean().sqrt().item() == pytest.approx(0.1, rel=0.15)
        assert (errors[:, 1 + label] < errors[:, 2 - label]).all()
    square = part.x[:, :, 0][(part.y == 2)[:, None] & true].abs()
    assert square.mean().item() == pytest.approx(1, abs=0.01)
