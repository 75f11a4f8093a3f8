"""FCN-score: can a network that tells the parts of real pictures tell them in generated ones? Isola et al. 2017, 3.4.

The judge is a small fully convolutional network (Long et al. 2015) in the shape of a U (Ronneberger et al. 2015; what
comes up is added to what went down), trained on the real pairs to find the map of a picture. A map's classes are its
colours.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.data.kinds import ImagePairs, walk
from etude.errors import InputError

APART = 40 / 255  # colours closer than this are one, blurred by JPEG
STEP = 8  # levels of a channel that count as one colour
RAREST = 1e-3  # share of the pixels that a class has at least
EVENING = 0.25  # weight of a class: its pixels to the power of minus this
LIGHT = 0.2  # brightness of a channel by up to this share
PART = 50


class Translates(Protocol):
    @property
    def device(self) -> torch.device: ...

    def translate(self, x: Tensor, /) -> Tensor: ...


def palette(maps: Tensor) -> Tensor:
    """The colours of label maps, (K, C) in [0, 1]: all that are frequent and far enough apart, by frequency.

    Args:
        maps: (n, C, h, w) uint8.

    Raises:
        InputError: no colour is frequent, as in photographs.
    """
    pixels = maps.movedim(1, -1).flatten(0, -2)
    bins, members, counts = torch.unique(pixels // STEP, dim=0, return_inverse=True, return_counts=True)
    sums = torch.zeros(bins.shape, dtype=torch.float64).index_add(0, members, pixels.double())
    colours, order = (sums / counts[:, None] / 255).float(), counts.argsort(descending=True, stable=True)
    chosen: list[Tensor] = []
    for place in order[counts.index_select(0, order) >= RAREST * len(pixels)].tolist():
        if all(float((colours[place] - other).norm()) > APART for other in chosen):
            chosen.append(colours[place])
    if not chosen:
        raise InputError(f"maps with no colour on {RAREST:.1%} of their pixels: give maps of one flat colour a class")
    return torch.stack(chosen)


def labels(maps: Tensor, colours: Tensor) -> Tensor:
    """The class of each pixel, (n, h, w) int64: its nearest colour.

    Args:
        maps: (n, C, h, w) in [0, 1].
        colours: (K, C).
    """
    return torch.cdist(maps.movedim(1, -1), colours.to(maps.device)).argmin(-1)


class Judge(nn.Module):
    """Class scores for each pixel of a picture, (n, channels, h, w) to (n, classes, h, w)."""

    def __init__(self, channels: int, classes: int, maps: int = 16) -> None:
        super().__init__()
        widths = [maps, 2 * maps, 4 * maps, 8 * maps, 8 * maps]
        befores = [channels, *widths[:-1]]
        self.down = nn.ModuleList(
            nn.Sequential(convolved(before, width, 2 if level else 1), convolved(width, width))
            for level, (before, width) in enumerate(zip(befores, widths, strict=True))
        )
        self.narrow = nn.ModuleList(nn.Conv2d(below, width, 1, bias=False) for width, below in pairwise(widths))
        self.up = nn.ModuleList(convolved(width, width) for width in widths[:-1])
        self.score = nn.Conv2d(maps, classes, 1)

    def forward(self, y: Tensor) -> Tensor:
        y, seen = y.contiguous(memory_format=torch.channels_last), []  # half as long again without, on a CPU
        for down in self.down:
            y = down(y)
            seen.append(y)
        for skip, narrow, up in zip(seen[-2::-1], reversed(self.narrow), reversed(self.up), strict=True):
            y = up(skip + F.interpolate(narrow(y), size=skip.shape[2:], mode="bilinear"))
        scores: Tensor = self.score(y)
        return scores


def convolved(before: int, width: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())


@dataclass(frozen=True)
class Segmenter:
    """A trained judge, and the colours that its classes have on a map."""

    judge: Judge
    colours: Tensor


def segmenter(
    pairs: ImagePairs,
    *,
    colours: Tensor | None = None,
    seed: int = 0,
    epochs: int = 60,
    batch: int = 5,
    rate: float = 3e-3,
) -> Segmenter:
    """Train a judge on real pairs to find the map x of a picture y, in parts of them, mirrored and in other light.

    The rarer a class, the more its pixels weigh, by a fourth root: class IoU gains, at a small cost in pixels right.

    Args:
        pairs: maps x and pictures y.
        colours: of the classes on the maps, (K, C) in [0, 1]; those found by `palette` where not given.
        seed: of weights, order, parts, mirroring and brightness.
        epochs: passes over the pairs.
        batch: pairs a step.
        rate: AdamW's highest learning rate, of one cycle (Smith and Topin 2018).

    Raises:
        InputError: the maps have no colours.
    """
    colours, device = palette(pairs.x.cpu()) if colours is None else colours, pairs.x.device
    classes = (labels(some.x, colours).flatten() for some in walk(pairs, device, PART))
    sizes = torch.stack([some.bincount(minlength=len(colours)) for some in classes]).sum(0)
    weights = sizes.clamp(min=1) ** -EVENING
    steps = max(1, len(pairs) // batch)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        judge = Judge(pairs.y.shape[1], len(colours)).to(device)
        optimizer = torch.optim.AdamW(judge.parameters(), rate)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * steps)
        for step in range(epochs * steps):
            if step % steps == 0:
                order = torch.randperm(len(pairs))
            some = pairs[order[step % steps * batch :][:batch].to(device)].to(device)
            x, y = (some.x.flip(3), some.y.flip(3)) if torch.rand(()) < 0.5 else (some.x, some.y)
            height, width = (max(8, side - 8) for side in y.shape[2:])
            top, left = (int(torch.randint(room + 1, ())) for room in (y.shape[2] - height, y.shape[3] - width))
            x, y = (each[..., top : top + height, left : left + width] for each in (x, y))
            light = 1 + LIGHT * (2 * torch.rand(len(y), y.shape[1], 1, 1) - 1)
            loss = F.cross_entropy(judge(y * light.to(device)), labels(x, colours), weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            cycle.step()
    return Segmenter(judge.eval(), colours)


@torch.no_grad()
def fcn_score(by: Segmenter, pairs: ImagePairs, system: Translates | None = None) -> dict[str, float]:
    """How well the judge finds the maps x again in pictures made from them, or in the real y where no system is given.

    Returns:
        "per-pixel accuracy", "per-class accuracy" and "class IoU", each in [0, 1].
    """
    device, count = next(by.judge.parameters()).device, len(by.colours)
    table = torch.zeros(count, count, dtype=torch.int64)
    for some in walk(pairs, device, PART):
        pictures = some.y if system is None else system.translate(some.x)
        table += confusion(labels(some.x, by.colours), by.judge(pictures).argmax(1), count)
    return agreement(table)


def confusion(true: Tensor, said: Tensor, classes: int) -> Tensor:
    """Pixels by true and predicted class: (classes, classes) int64, a row for each true one."""
    return torch.bincount((true * classes + said).flatten().cpu(), minlength=classes**2).view(classes, classes)


def agreement(table: Tensor) -> dict[str, float]:
    """Three scores of a confusion matrix (Long et al. 2015, section 5), over the classes that truth has."""
    hit, true, said = table.diagonal().double(), table.sum(1).double(), table.sum(0).double()
    there = true > 0
    return {
        "per-pixel accuracy": float(hit.sum() / true.sum()),
        "per-class accuracy": float((hit / true)[there].mean()),
        "class IoU": float((hit / (true + said - hit))[there].mean()),
    }
