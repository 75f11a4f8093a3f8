"""How well a system writes the trees that texts ask for. What it writes is its own, node after node, never helped along
by the true tree."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from etude.data.kinds import PAD, Trees, walk

PART = 200  # trees at a time


class Translates(Protocol):
    @property
    def device(self) -> torch.device: ...

    def translate(self, x: Tensor, /) -> Tensor: ...


def written(system: Translates, split: Trees) -> Iterator[tuple[Tensor, Tensor]]:
    """What the system writes and what it should, batch by batch: (n, nodes) each, breadth first, then padding."""
    for batch in walk(split, system.device, PART):
        said, truth = system.translate(batch.x), batch.nodes
        most = max(said.shape[1], truth.shape[1])
        yield F.pad(said, (0, most - said.shape[1]), value=PAD), F.pad(truth, (0, most - truth.shape[1]), value=PAD)


def exact_match(system: Translates, split: Trees) -> float:
    """Share of the trees that are written without a mistake, in [0, 1]."""
    right = [(said == truth).all(1) for said, truth in written(system, split)]
    return float(torch.cat(right).double().mean())


def token_accuracy(system: Translates, split: Trees) -> float:
    """Share of the trees' nodes whose symbol is written in its place of the breadth-first order, in [0, 1]."""
    right = [((said == truth) & (truth != PAD)).sum() for said, truth in written(system, split)]
    return float(torch.stack(right).sum().double() / split.sizes.sum())
