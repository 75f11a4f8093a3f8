"""Room for tensors: in memory, or where they are large in a temporary file that is mapped into memory."""

import math
import tempfile
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

LARGE = 2**31  # bytes


def room(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A tensor to fill; one of more than `LARGE` bytes lies in a temporary file, which goes when the tensor goes."""
    empty = torch.empty(0, dtype=dtype)
    if math.prod(shape) * empty.element_size() <= LARGE:
        return torch.empty(tuple(shape), dtype=dtype)
    with tempfile.TemporaryFile() as file:
        return torch.from_numpy(np.memmap(file, empty.numpy().dtype, "w+", shape=tuple(shape)))


def select(tensor: Tensor, index: Tensor) -> Tensor:
    """`tensor.index_select(0, index)`, in a `room` of its own where that is large."""
    if not tensor.is_cpu or tensor.nbytes * len(index) <= LARGE * len(tensor):
        return tensor.index_select(0, index)
    return torch.index_select(tensor, 0, index, out=room((len(index), *tensor.shape[1:]), tensor.dtype))
