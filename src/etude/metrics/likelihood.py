"""How likely a system finds unseen examples, in nats an example: means of `bound` and of `score`."""

from typing import Protocol

import torch
from torch import Tensor

from etude.data.kinds import Images, Vectors, walk


class Bounds(Protocol):
    @property
    def device(self) -> torch.device: ...

    def bound(self, x: Tensor, /) -> Tensor: ...


class Scores(Protocol):
    @property
    def device(self) -> torch.device: ...

    def score(self, x: Tensor, /) -> Tensor: ...


def elbo(system: Bounds, split: Vectors | Images) -> float:
    """Mean of the evidence lower bound, a number that log p(x) is never below: Kingma and Welling 2014, equation 3."""
    return float(torch.cat([system.bound(batch.x).double() for batch in walk(split, system.device)]).mean())


def log_likelihood(system: Scores, split: Vectors | Images) -> float:
    """Mean of log p(x), exact or as the system's `score` estimates it."""
    return float(torch.cat([system.score(batch.x).double() for batch in walk(split, system.device)]).mean())
