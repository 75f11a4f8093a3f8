"""Whether kernels written in Numba or Triton can take the place of PyTorch's operations (the extra `etude[fast]`)."""

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor


def can_fuse(x: Tensor) -> bool:
    """Is x float32 on the CPU, Numba installed, and nothing being compiled or exported?"""
    return x.is_cpu and x.dtype == torch.float32 and not torch.compiler.is_compiling() and installed("numba")


def can_fuse_on_gpu(x: Tensor) -> bool:
    """Is x float32 or float64 on the current GPU, Triton installed, and nothing being compiled or exported?"""
    served = x.is_cuda and x.dtype in (torch.float32, torch.float64) and not torch.compiler.is_compiling()
    return served and x.get_device() == torch.cuda.current_device() and installed("triton")


@cache
def installed(name: str) -> bool:
    return find_spec(name) is not None
