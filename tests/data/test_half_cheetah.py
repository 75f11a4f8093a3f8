"""Rollouts written here: which rollout a sequence is from, and where it begins, can be read off its numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from etude.data.half_cheetah import half_cheetah
from etude.data.kinds import Sequences
from etude.errors import InputError


def write(folder: Path, steps: int = 100) -> None:
    for number in range(26):
        array = np.zeros((steps, 17))
        array[:, 0], array[:, 1] = number, np.arange(steps)
        np.save(folder / f"trace_{number:04}.npy", array)


@pytest.mark.parametrize(("steps", "starts"), [(100, [0, 10, 20, 30, 40, 50, 60]), (33, [0]), (42, [0]), (43, [0, 10])])
def test_sequences_lie_within_their_rollout(tmp_path: Path, steps: int, starts: list[int]) -> None:
    write(tmp_path, steps)
    splits = half_cheetah(tmp_path)
    for part, rollouts in ((splits.validation, range(5)), (splits.test, range(5, 15)), (splits.train, range(15, 25))):
        assert isinstance(part, Sequences)
        assert part.y is not None
        assert part.lengths.tolist() == [32] * len(part)
        assert part.x[:, :, 0].unique(dim=1).flatten().tolist() == [n for n in rollouts for _ in starts]
        assert part.x[:, 0, 1].tolist() == [start for _ in rollouts for start in starts]
        assert torch.equal(part.y[:, :-1], part.x[:, 1:])
        assert torch.equal(part.y[:, :, 1], part.x[:, :, 1] + 1)
    assert splits.train.dimensions == {"features": 17, "classes": 0, "outputs": 17}


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((100, 16)), "100x16 numbers, expected more than 32 steps of 17"),
        (np.zeros((32, 17)), "32x17 numbers"),
        (np.full((100, 17), np.nan), "all finite: replace it"),
        (np.array([None]), "not readable as an npy file"),
    ],
)
def test_wrong_rollouts_are_named(tmp_path: Path, array: np.ndarray, message: str) -> None:
    write(tmp_path)
    np.save(tmp_path / "trace_0007.npy", array)
    with pytest.raises(InputError, match=rf"trace_0007\.npy: {message}|trace_0007\.npy: .*{message}"):
        half_cheetah(tmp_path)


def test_missing_rollouts_are_told_where_to_get(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "trace_0024.npy").unlink()
    with pytest.raises(InputError, match=r"half_cheetah is not in .* github\.com/raminmh"):
        half_cheetah(tmp_path)
