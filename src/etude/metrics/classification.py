"""How well a system tells classes apart: every metric walks the split in batches and asks `classify` for
probabilities."""

from typing import Protocol

import torch
from torch import Tensor

from etude.data.kinds import Images, Vectors, walk
from etude.errors import InputError


class Classifies(Protocol):
    @property
    def device(self) -> torch.device: ...

    def classify(self, x: Tensor, /) -> Tensor: ...


def classified(system: Classifies, split: Vectors | Images) -> tuple[Tensor, Tensor]:
    """Class probabilities (n, classes) and true classes (n,) of the whole split, in the machine's own memory.

    Raises:
        InputError: the split has no classes.
    """
    if split.y is None or split.y.is_floating_point():
        raise InputError("the split has no classes to compare with: give data with a class for each example")
    probabilities = [system.classify(batch.x).float().cpu() for batch in walk(split, system.device)]
    return torch.cat(probabilities), split.y.cpu()


def accuracy(system: Classifies, split: Vectors | Images) -> float:
    """Share of examples whose most probable class is the true one, in [0, 1]."""
    probabilities, y = classified(system, split)
    return float((probabilities.argmax(1) == y).double().mean())


def cross_entropy(system: Classifies, split: Vectors | Images) -> float:
    """Mean of -log p(true class | x) in nats, in [0, 87.4]; a probability of 0 counts as the smallest float32."""
    probabilities, y = classified(system, split)
    chosen = probabilities.gather(1, y[:, None]).clamp_min(torch.finfo(torch.float32).tiny)
    return float(-chosen.double().log().mean())


def calibration_error(system: Classifies, split: Vectors | Images, bins: int = 15) -> float:
    """Expected calibration error, in [0, 1]: Guo et al., "On calibration of modern neural networks", 2017, equation 3.

    Examples are sorted into `bins` equal widths of their highest probability; in each bin accuracy is compared with the
    mean of these probabilities, and the absolute gaps are averaged, weighted by the share of examples in the bin.
    """
    probabilities, y = classified(system, split)
    confidence, prediction = probabilities.double().max(1)
    place = (confidence * bins).long().clamp(max=bins - 1)
    gap = (prediction == y).double() - confidence
    return float(torch.bincount(place, gap, bins).abs().sum() / len(y))


def confusion_matrix(system: Classifies, split: Vectors | Images) -> Tensor:
    """Counts (classes, classes), int64: the row is the true class, the column the most probable one."""
    probabilities, y = classified(system, split)
    classes = probabilities.shape[1]
    return torch.bincount(y * classes + probabilities.argmax(1), minlength=classes**2).view(classes, classes)
