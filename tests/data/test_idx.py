"""IDX files, written here byte by byte as their description says."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from etude.data.idx import load_idx, read_idx
from etude.data.kinds import Images
from etude.errors import InputError


def idx(array: np.ndarray, code: int) -> bytes:
    header = struct.pack(">BBBB", 0, 0, code, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize(("kind", "code"), [("u1", 8), ("i1", 9), ("i2", 0xB), ("i4", 0xC), ("f4", 0xD), ("f8", 0xE)])
def test_every_type_is_read(tmp_path: Path, kind: str, code: int) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    plain, packed = tmp_path / "a.idx", tmp_path / "a.idx.gz"
    plain.write_bytes(idx(array, code))
    packed.write_bytes(gzip.compress(idx(array, code)))
    for path in (plain, packed):
        assert np.array_equal(read_idx(path), array)
        assert read_idx(path).dtype == np.dtype(kind)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG....", "begins with 89 50 4e 47"),
        (idx(np.zeros((2, 3), np.uint8), 8)[:-1], r"17 bytes where the header \(2 x 3\) needs 18"),
        (idx(np.zeros((2, 3), np.uint8), 8) + b"x", "19 bytes where"),
        (b"\0\0\x08\x03\0\0", "6 bytes where"),
    ],
)
def test_foreign_bytes_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "t.idx"
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"t\.idx: .*{message}"):
        read_idx(path)


def test_a_folder_of_pairs_is_a_data_set(tmp_path: Path) -> None:
    images, labels = np.random.default_rng(0).integers(0, 256, (60, 5, 4)).astype(np.uint8), np.arange(60) % 3
    for name, part in (("train", slice(0, 50)), ("t10k", slice(50, 60))):
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(idx(images[part], 8))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels[part].astype(np.uint8), 8))
    splits = load_idx(tmp_path)
    assert isinstance(splits.test, Images)
    assert splits.test.classes == ("0", "1", "2")
    assert torch.equal(splits.test.x, torch.from_numpy(images[50:, None]))
    assert splits.test.y is not None
    assert splits.test.y.tolist() == labels[50:].tolist()
    assert len(splits.train) + len(splits.validation) == 50
    alone = load_idx(tmp_path / "train-images-idx3-ubyte")
    assert sum(len(part) for part in alone.parts().values()) == 50
    assert alone.train.dimensions["classes"] == 3
