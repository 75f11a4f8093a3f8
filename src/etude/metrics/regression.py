"""How well a system predicts numbers: every metric walks the split in batches and asks `predict`."""

from typing import Protocol

import torch
from torch import Tensor, nn

from etude.data.kinds import Images, Vectors, walk
from etude.errors import InputError


class Predicts(Protocol):
    @property
    def device(self) -> torch.device: ...

    def predict(self, x: Tensor, /) -> Tensor: ...


def predicted(system: Predicts, split: Vectors | Images) -> tuple[Tensor, Tensor]:
    """Predictions and targets of the whole split, both (n, targets) float64; classes are targets in one-hot encoding.

    Raises:
        InputError: the split has no targets.
    """
    if split.y is None:
        raise InputError("the split has no targets to compare with: give data with a target column")
    predictions = torch.cat([system.predict(batch.x).double().cpu() for batch in walk(split, system.device)])
    y = split.y.cpu() if split.y.is_floating_point() else nn.functional.one_hot(split.y.cpu(), predictions.shape[1])
    return predictions, y.double().view_as(predictions)


def mean_squared_error(system: Predicts, split: Vectors | Images) -> float:
    """Mean of (prediction - target)^2 over examples and targets."""
    predictions, y = predicted(system, split)
    return float((predictions - y).square().mean())


def r2(system: Predicts, split: Vectors | Images) -> float:
    """Share of the targets' variance that the predictions explain, in (-inf, 1], pooled over the targets."""
    predictions, y = predicted(system, split)
    return float(1 - (predictions - y).square().sum() / (y - y.mean(0)).square().sum())
