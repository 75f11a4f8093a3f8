"""How much of an example survives its code."""

from typing import Protocol

import torch
from torch import Tensor

from etude.data.kinds import Images, Vectors, walk


class Codes(Protocol):
    @property
    def device(self) -> torch.device: ...

    def encode(self, x: Tensor, /) -> Tensor: ...

    def decode(self, z: Tensor, /) -> Tensor: ...


def reconstruction_error(system: Codes, split: Vectors | Images) -> float:
    """Squared distance between x and decode(encode(x)): summed over the features, mean over the examples."""
    errors = [
        (system.decode(system.encode(batch.x)) - batch.x).flatten(1).double().square().sum(1)
        for batch in walk(split, system.device)
    ]
    return float(torch.cat(errors).mean())
