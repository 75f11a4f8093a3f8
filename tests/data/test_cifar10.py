"""CIFAR-10 from records written here as its description says: the class, then three planes of 32x32."""

import lzma
from pathlib import Path

import numpy as np
import pytest
import torch

from etude.data.cifar10 import cifar10
from etude.data.kinds import Images
from etude.errors import InputError


def records(count: int) -> np.ndarray:
    random = np.random.default_rng(count)
    return np.concatenate([random.integers(0, 10, (count, 1)), random.integers(0, 256, (count, 3072))], 1).astype(
        np.uint8
    )


def test_planes_and_classes_are_in_place(tmp_path: Path) -> None:
    first, second, test = records(60), records(40), records(20)
    (tmp_path / "data_batch_1.bin").write_bytes(first.tobytes())
    (tmp_path / "data_batch_2.bin").write_bytes(second.tobytes())
    (tmp_path / "test_batch_first20.bin.xz").write_bytes(lzma.compress(test.tobytes()))
    splits = cifar10(tmp_path)
    assert isinstance(splits.train, Images)
    assert isinstance(splits.test, Images)
    assert [len(part) for part in splits.parts().values()] == [90, 10, 20]
    whole = torch.from_numpy(np.concatenate([first, second]))[splits.train.index]
    assert torch.equal(splits.train.x[:, 2, 5, 7], whole[:, 1 + 2 * 1024 + 5 * 32 + 7])
    assert splits.test.tensors()["y"].tolist() == test[:, 0].tolist()
    assert splits.test.classes[9] == "truck"


def test_broken_records_are_refused(tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(records(2).tobytes())
    (tmp_path / "data_batch_1.bin").write_bytes(records(2).tobytes()[:-1])
    with pytest.raises(InputError, match=r"data_batch_1\.bin: 6145 bytes"):
        cifar10(tmp_path)
    wrong = records(2)
    wrong[1, 0] = 10
    (tmp_path / "data_batch_1.bin").write_bytes(wrong.tobytes())
    with pytest.raises(InputError, match=r"data_batch_1\.bin: record 1 is of class 10"):
        cifar10(tmp_path)
