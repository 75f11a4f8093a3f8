"""How close a translated picture comes to the true one."""

from typing import Protocol

import torch
from torch import Tensor

from etude.data.kinds import ImagePairs, walk


class Translates(Protocol):
    @property
    def device(self) -> torch.device: ...

    def translate(self, x: Tensor, /) -> Tensor: ...


def absolute_error(system: Translates, split: ImagePairs) -> float:
    """Mean of |translate(x) - y| over pixels and channels, in [0, 1]; 0 where every picture is the true one."""
    errors = [(system.translate(b.x) - b.y).abs().flatten(1).double().mean(1) for b in walk(split, system.device, 100)]
    return float(torch.cat(errors).mean())
