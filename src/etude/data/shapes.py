"""Coloured shapes: pictures of which everything is known, so that a change of one attribute can be measured."""

import math
from functools import reduce
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from etude.data.kinds import Images, Splits, split

COUNT = 6000
SIDE = 32
SIZES = {"small": 4.0, "large": 8.0}  # radius in pixels of the disc of the same area
COLOURS = {
    "red": (0.90, 0.20, 0.20),
    "green": (0.20, 0.75, 0.30),
    "blue": (0.25, 0.40, 0.95),
    "yellow": (0.95, 0.85, 0.20),
}
FORMS = {"triangle": 3, "square": 4, "circle": 0}  # corners
CLASSES = tuple(" ".join(words) for words in product(SIZES, COLOURS, FORMS))


def shapes(data_dir: Path | None = None) -> Splits:
    """6,000 images (3, 32, 32), uint8, each a shape on a grey ground; classes name size, colour and form.

    Every one of the 24 classes ("large red circle") has 250 examples. The centre is up to 2 pixels off, the form turned
    by up to 15 degrees, its size and brightness 10 % more or less; the ground is somewhere between black and dark grey.
    """
    random = torch.Generator().manual_seed(0)

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(COUNT, 1, 1, generator=random)

    y = torch.arange(COUNT) % len(CLASSES)
    words = [name.split() for name in CLASSES]
    radius = torch.tensor([SIZES[size] for size, _, _ in words]).index_select(0, y)[:, None, None] * draw(0.9, 1.1)
    colour = torch.tensor([COLOURS[colour] for _, colour, _ in words]).index_select(0, y)[:, :, None, None]
    pixels = torch.arange(SIDE) + 0.5 - SIDE / 2
    right, down = pixels[None, :] - draw(-2, 2), pixels[:, None] - draw(-2, 2)
    turn = draw(-math.pi / 12, math.pi / 12)
    x = torch.empty(COUNT, 3, SIDE, SIDE, dtype=torch.uint8)
    ground, light = 255 * draw(0, 0.3), 255 * draw(0.9, 1.1)
    for place, corners in enumerate(FORMS.values()):
        own = slice(place, None, len(FORMS))  # the form is what changes fastest in `CLASSES`
        edge = beyond(right[own], down[own], radius[own], corners, turn[own])
        inside = (0.5 - edge).clamp_(0, 1)[:, None]
        x[own] = torch.lerp(ground[own, None], light[own, None] * colour[own], inside).round_().clamp_(max=255)
    return split(Images(x, y, CLASSES), "shapes")


def beyond(right: Tensor, down: Tensor, radius: Tensor, corners: int, turn: Tensor) -> Tensor:
    """How many pixels a place is beyond the edge of a regular form, negative inside: (n, height, width).

    Args:
        right: (n, 1, width) pixels from the centre.
        down: (n, height, 1), likewise.
        radius: (n, 1, 1), of the disc of the same area.
        corners: of the form, one side of which is at the bottom; 0 for the disc itself.
        turn: (n, 1, 1), by which the form is turned, clockwise and in radians.
    """
    if corners == 0:
        return torch.hypot(right, down) - radius
    half = math.pi / corners
    angles = [turn + math.pi / 2 + 2 * half * side for side in range(corners)]
    farthest = reduce(torch.maximum, (right * torch.cos(angle) + down * torch.sin(angle) for angle in angles))
    return farthest - radius * math.sqrt(half / math.tan(half))
