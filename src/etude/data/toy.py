"""Seeded toy data, small enough for seconds: `Vectors` in the plane, and `waves`, which are `Sequences`."""

import math
from pathlib import Path

import torch
from torch import Tensor

from etude.data.kinds import Sequences, Splits, Vectors, side_by_side, split


def blobs(data_dir: Path | None = None) -> Splits:
    """Three round clouds far apart: 600 points, 3 classes, centres on a circle of radius 4, standard deviation 0.5."""
    centres, noise, y = _on_circle(3, 4.0), _noise(600, 0.5), torch.arange(600) % 3
    return _classes("blobs", centres.index_select(0, y) + noise, y)


def moons(data_dir: Path | None = None) -> Splits:
    """Two half circles of radius 1 that reach into each other: 1,000 points, 2 classes, standard deviation 0.1."""
    y, angle = torch.arange(1000) % 2, torch.linspace(0, math.pi, 500).repeat_interleave(2)
    upper, lower = _circle(angle), torch.tensor([1.0, 0.5]) - _circle(angle)
    return _classes("moons", torch.where(y[:, None] == 0, upper, lower) + _noise(1000, 0.1), y)


def circles(data_dir: Path | None = None) -> Splits:
    """A circle of radius 1 in a circle of radius 2: 1,000 points, 2 classes, standard deviation 0.1."""
    y, angle = torch.arange(1000) % 2, torch.linspace(0, 2 * math.pi, 501)[:-1].repeat_interleave(2)
    return _classes("circles", _circle(angle) * (y[:, None] + 1) + _noise(1000, 0.1), y)


def spirals(data_dir: Path | None = None) -> Splits:
    """Two arms that wind one and a half times around each other: 1,000 points, 2 classes, standard deviation 0.05."""
    y, turn = torch.arange(1000) % 2, torch.linspace(0.1, 1, 500).repeat_interleave(2)
    x = 2 * turn[:, None] * _circle(3 * math.pi * turn + math.pi * y)
    return _classes("spirals", x + _noise(1000, 0.05), y)


def xor(data_dir: Path | None = None) -> Splits:
    """The four corners of the unit square, of class 1 where one coordinate alone is 1; the same four in every split."""
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    whole = Vectors(x, torch.tensor([0, 1, 1, 0]), ("0", "1"))
    return Splits(whole, whole, whole, "xor")


def gaussians25(data_dir: Path | None = None) -> Splits:
    """25 normal distributions on a 5x5 grid of spacing 2, standard deviation 0.05: 10,000 points, no classes."""
    return _modes("gaussians25", 10000, 0.05)


def ring8(data_dir: Path | None = None) -> Splits:
    """8 normal distributions on a circle of radius 2, deviation 0.02 (Metz et al. 2017): 8,000 points, no classes."""
    return _modes("ring8", 8000, 0.02)


def waves(data_dir: Path | None = None) -> Splits:
    """Noisy waves seen at irregular times: 600 of 12 to 24 steps, sines of period 20 (slow) or 4 (fast), or square.

    A square wave has a period of 20. Each begins at a phase drawn at random; steps are 0.5 to 1.5 apart, 1 on average;
    the standard deviation of the noise is 0.1.
    """
    random = torch.Generator().manual_seed(0)
    y, lengths = torch.arange(600) % 3, torch.randint(12, 25, (600,), generator=random)
    times = (0.5 + torch.rand(600, 24, generator=random)).cumsum(1)
    periods = torch.tensor([20.0, 4.0, 20.0]).index_select(0, y)[:, None]
    wave = torch.sin(2 * math.pi * (times / periods + torch.rand(600, 1, generator=random)))
    x = torch.where(y[:, None] == 2, wave.sign(), wave) + 0.1 * torch.randn(600, 24, generator=random)
    steps = lengths.tolist()
    return split(
        Sequences(
            side_by_side(row[:n, None] for row, n in zip(x, steps, strict=True)),
            lengths,
            y,
            side_by_side((row[:n] for row, n in zip(times, steps, strict=True)), None),
            ("slow", "fast", "square"),
        ),
        "waves",
    )


def modes(name: str) -> Tensor:
    """The true centres of `gaussians25` (25, 2) or `ring8` (8, 2)."""
    if name == "ring8":
        return _on_circle(8, 2.0)
    line = torch.arange(-4.0, 5.0, 2.0)
    return torch.cartesian_prod(line, line)


def _modes(name: str, count: int, deviation: float) -> Splits:
    centres = modes(name)
    places = torch.arange(count) % len(centres)
    return split(Vectors(centres.index_select(0, places) + _noise(count, deviation)), name)


def _classes(name: str, x: Tensor, y: Tensor) -> Splits:
    return split(Vectors(x, y, tuple(str(c) for c in range(int(y.max()) + 1))), name)


def _noise(count: int, deviation: float) -> Tensor:
    return deviation * torch.randn(count, 2, generator=torch.Generator().manual_seed(0))


def _circle(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], 1)


def _on_circle(count: int, radius: float) -> Tensor:
    return radius * _circle(2 * math.pi * torch.arange(count) / count)
