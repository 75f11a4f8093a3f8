"""When kernels may take the place of PyTorch's operations."""

import pytest
import torch

from etude.nn import fused


def test_kernels_take_float32_on_the_cpu() -> None:
    assert fused.can_fuse(torch.zeros(2))
    assert not fused.can_fuse(torch.zeros(2, dtype=torch.float64))
    assert not fused.can_fuse(torch.zeros(2, device="meta"))


def test_they_need_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "find_spec", lambda name: None)
    fused.installed.cache_clear()
    assert not fused.can_fuse(torch.zeros(2))
    fused.installed.cache_clear()
