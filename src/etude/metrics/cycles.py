"""How much of a picture survives a translation there and back."""

from typing import Protocol

import torch
from torch import Tensor

from etude.data.kinds import ImagePairs, walk


class Cycles(Protocol):
    @property
    def device(self) -> torch.device: ...

    def cycle(self, x: Tensor, /) -> Tensor: ...


def cycle_error(system: Cycles, split: ImagePairs) -> float:
    """Mean absolute difference of the pixels of x and cycle(x), in [0, 1]."""
    errors = [
        (system.cycle(batch.x) - batch.x).abs().double().flatten(1).mean(1) for batch in walk(split, system.device)
    ]
    return float(torch.cat(errors).mean())
