"""Large tensors lie in mapped files and hold the same numbers."""

from typing import Any

import numpy as np
import pytest
import torch

from etude.data import memory
from etude.data.kinds import Images, split


def test_room_is_as_asked() -> None:
    room = memory.room((3, 4), torch.uint8)
    assert room.shape == (3, 4)
    assert room.dtype == torch.uint8


@pytest.mark.parametrize("large", [0, memory.LARGE])
def test_select_equals_index_select(monkeypatch: pytest.MonkeyPatch, large: int) -> None:
    monkeypatch.setattr(memory, "LARGE", large)
    x, index = torch.randn(50, 3, 2), torch.tensor([4, 0, 49, 4])
    assert torch.equal(memory.select(x, index), x[index])


def test_large_splits_are_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, ...]] = []
    real = np.memmap

    def mapped(*given: Any, **more: Any) -> Any:
        made.append(more["shape"])
        return real(*given, **more)

    monkeypatch.setattr(memory, "LARGE", 1000)
    monkeypatch.setattr("numpy.memmap", mapped)
    whole = Images(torch.randint(0, 256, (100, 1, 8, 8), dtype=torch.uint8))
    splits = split(whole, "large")
    assert made == [(85, 1, 8, 8), (70, 1, 8, 8)]
    assert isinstance(splits.train, Images)
    assert torch.equal(splits.train.x, whole.x[splits.train.index])
