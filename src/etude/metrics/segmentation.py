"""FCN-score: can a network that tells the parts of real pictures tell them in generated ones? Isola et al. 2017, 3.4.

The judge is a small fully convolutional network in the manner of Long et al. 2015 (scores at several scales, added up),
trained on the real pairs to find the map of a picture. A map's classes are its colours.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.data.kinds import ImagePairs, walk

MOST_CLASSES = 12  # as many as the CMP facades have
APART = 40 / 255  # colours closer than this are one, blurred by JPEG
STEP = 8  # levels of a channel that count as one colour
RAREST = 1e-3  # share of the pixels that a class has at least
PART = 50


class Translates(Protocol):
    @property
    def device(self) -> torch.device: ...

    def translate(self, x: Tensor, /) -> Tensor: ...


def palette(maps: Tensor, most: int = MOST_CLASSES) -> Tensor:
    """The colours of label maps, (K, C) in [0, 1]: the most frequent ones that are far enough apart, K at most `most`.

    Args:
        maps: (n, C, h, w) uint8.
    """
    pixels = maps.movedim(1, -1).flatten(0, -2)
    bins, members, counts = torch.unique(pixels // STEP, dim=0, return_inverse=True, return_counts=True)
    sums = torch.zeros(bins.shape, dtype=torch.float64).index_add(0, members, pixels.double())
    colours, order = (sums / counts[:, None] / 255).float(), counts.argsort(descending=True, stable=True)
    chosen: list[Tensor] = []
    for place in order[counts.index_select(0, order) >= RAREST * len(pixels)].tolist():
        if len(chosen) < most and all(float((colours[place] - other).norm()) > APART for other in chosen):
            chosen.append(colours[place])
    return torch.stack(chosen)


def labels(maps: Tensor, colours: Tensor) -> Tensor:
    """The class of each pixel, (n, h, w) int64: its nearest colour.

    Args:
        maps: (n, C, h, w) in [0, 1].
        colours: (K, C).
    """
    return torch.cdist(maps.movedim(1, -1), colours.to(maps.device)).argmin(-1)


class Judge(nn.Module):
    """Class scores for each pixel of a picture, (n, channels, h, w) to (n, classes, h, w); sides are multiples of 8."""

    def __init__(self, channels: int, classes: int, maps: int = 16) -> None:
        super().__init__()
        widths = [maps, 2 * maps, 4 * maps, 4 * maps]
        self.scales = nn.ModuleList()
        self.scores = nn.ModuleList()
        for level, width in enumerate(widths):
            before = widths[level - 1] if level else channels
            self.scales.append(
                nn.Sequential(
                    *(nn.Conv2d(before, width, 3, 2 if level else 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
                    *(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
                )
            )
            self.scores.append(nn.Conv2d(width, classes, 1))

    def forward(self, y: Tensor) -> Tensor:
        size, total = y.shape[2:], torch.zeros((), device=y.device)
        for scale, score in zip(self.scales, self.scores, strict=True):
            y = scale(y)
            total = total + F.interpolate(score(y), size=size, mode="bilinear")
        return total


@dataclass(frozen=True)
class Segmenter:
    """A trained judge, and the colours that its classes have on a map."""

    judge: Judge
    colours: Tensor


def segmenter(pairs: ImagePairs, *, seed: int = 0, epochs: int = 40, batch: int = 10, rate: float = 2e-3) -> Segmenter:
    """Train a judge on real pairs to find the map x of a picture y, in parts of them, mirrored one time in two.

    Args:
        pairs: maps x and pictures y, of sides that are multiples of 8.
        seed: of weights, order, parts and mirroring.
        epochs: passes over the pairs.
        batch: pairs a step.
        rate: Adam's learning rate, which falls to 0 in a straight line.
    """
    colours = palette(pairs.x.cpu())
    steps = max(1, len(pairs) // batch)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        judge = Judge(pairs.y.shape[1], len(colours)).to(pairs.x.device)
        optimizer = torch.optim.Adam(judge.parameters(), rate)
        for step in range(epochs * steps):
            if step % steps == 0:
                order = torch.randperm(len(pairs))
            some = pairs[order[step % steps * batch :][:batch].to(pairs.x.device)].to(pairs.x.device)
            x, y = (some.x.flip(3), some.y.flip(3)) if torch.rand(()) < 0.5 else (some.x, some.y)
            height, width = (max(8, side - 8) for side in y.shape[2:])
            top, left = (int(torch.randint(room + 1, ())) for room in (y.shape[2] - height, y.shape[3] - width))
            x, y = (each[..., top : top + height, left : left + width] for each in (x, y))
            loss = F.cross_entropy(judge(y), labels(x, colours))
            optimizer.param_groups[0]["lr"] = rate * (1 - step / (epochs * steps))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
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
