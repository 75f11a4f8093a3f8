"""Whether kernels written in Numba can take the place of PyTorch's operations (the extra `etude[fast]`)."""

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor


def can_fuse(x: Tensor) -> bool:
    """Is x float32 on the CPU, Numba installed, and nothing being compiled or exported?"""
    return x.is_cpu and x.dtype == torch.float32 and not torch.compiler.is_compiling() and installed()


@cache
def installed() -> bool:
    return find_spec("numba") is not None
