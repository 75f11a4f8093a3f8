"""The faster route for float32 matrix products on a CPU, taken where it is as exact.

On CPUs without AMX, `torch.set_float32_matmul_precision("medium")` hands products to oneDNN, which keeps float32
accuracy and is twice as fast; on CPUs with AMX it means bfloat16. Which it is, is measured.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

EXACT = 1e-6


@contextmanager
def products(device: torch.device) -> Iterator[str]:
    """Within it, products take the faster route if its relative error is below 1e-6; yields `medium` or `highest`."""
    before = torch.get_float32_matmul_precision()
    try:
        yield _choose() if device.type == "cpu" else before
    finally:
        torch.set_float32_matmul_precision(before)


def _choose() -> str:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    torch.set_float32_matmul_precision("medium")
    if torch.linalg.norm((a @ b).double() - exact) > EXACT * torch.linalg.norm(exact):
        torch.set_float32_matmul_precision("highest")
    return torch.get_float32_matmul_precision()
