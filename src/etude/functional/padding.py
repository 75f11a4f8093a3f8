"""Which steps of padded sequences are true ones."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def within(lengths: Int[Tensor, " n"], steps: int) -> Bool[Tensor, "n steps"]:
    """True for the first `lengths` of `steps` steps, false for the padding behind them."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]
