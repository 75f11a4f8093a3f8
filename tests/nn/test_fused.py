"""When kernels may take the place of PyTorch's operations."""

import pytest
import torch
from torch._subclasses import FakeTensorMode

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


def test_on_a_gpu_they_take_float32_and_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    with FakeTensorMode():
        x = torch.empty(2, device="cuda:0")
        assert not fused.can_fuse(x)
        assert fused.can_fuse_on_gpu(x)
        assert fused.can_fuse_on_gpu(x.double())
        assert not fused.can_fuse_on_gpu(x.half())
        assert not fused.can_fuse_on_gpu(torch.empty(2, device="cuda:1")), "Triton would start them on another GPU"
    assert not fused.can_fuse_on_gpu(torch.zeros(2))


def test_there_they_need_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(fused, "find_spec", lambda name: None if name == "triton" else name)
    fused.installed.cache_clear()
    with FakeTensorMode():
        assert not fused.can_fuse_on_gpu(torch.empty(2, device="cuda"))
    assert fused.can_fuse(torch.zeros(2))
    fused.installed.cache_clear()
