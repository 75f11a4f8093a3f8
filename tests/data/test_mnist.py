"""MNIST from files written here in its format; the splits follow the headers."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from etude.data.kinds import Images
from etude.data.mnist import mnist, mnist_binary, mnist_whole
from etude.errors import InputError


def write(folder: Path, part: str, count: int, *, packed: bool = True, size: int = 28) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(count)
    x, y = random.integers(0, 256, (count, size, size), np.uint8), random.integers(0, 10, count, np.uint8)
    for name, header, data in (
        ("images-idx3", struct.pack(">IIII", 2051, count, size, size), x),
        ("labels-idx1", struct.pack(">II", 2049, count), y),
    ):
        file = folder / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
        file.write_bytes(gzip.compress(header + data.tobytes()) if packed else header + data.tobytes())
    return x, y


@pytest.mark.parametrize("packed", [True, False])
def test_mnist_holds_a_sixth_out_to_validate(tmp_path: Path, packed: bool) -> None:
    (tmp_path / "mnist").mkdir()
    x, _ = write(tmp_path / "mnist", "train", 600, packed=packed)
    x_test, y_test = write(tmp_path / "mnist", "t10k", 80, packed=packed)
    splits = mnist(tmp_path)
    assert [len(part) for part in splits.parts().values()] == [500, 100, 80]
    assert isinstance(splits.train, Images)
    assert isinstance(splits.test, Images)
    assert torch.equal(splits.train.x[:, 0], torch.from_numpy(x)[splits.train.index])
    assert torch.equal(splits.test.x[:, 0], torch.from_numpy(x_test))
    assert splits.test.y is not None
    assert splits.test.y.tolist() == y_test.tolist()
    assert mnist(tmp_path / "mnist").digest() == splits.digest()


def test_the_whole_is_both_files(tmp_path: Path) -> None:
    x, y = write(tmp_path, "train", 600)
    x_test, y_test = write(tmp_path, "t10k", 80)
    splits = mnist_whole(tmp_path)
    assert splits.name == "mnist-whole"
    found = splits.test.tensors()
    drawn = {image.numpy().tobytes(): int(label) for image, label in zip(found["x"], found["y"], strict=True)}
    written = zip(np.concatenate([x, x_test]), np.concatenate([y, y_test]), strict=True)
    assert drawn == {image.tobytes(): int(label) for image, label in written}
    assert torch.equal(splits.train.tensors()["x"], found["x"])


def test_binary_pixels_are_white_as_often_as_they_are_bright(tmp_path: Path) -> None:
    write(tmp_path, "train", 600)
    write(tmp_path, "t10k", 80)
    grey, binary = mnist(tmp_path).train, mnist_binary(tmp_path).train
    assert isinstance(grey, Images)
    assert isinstance(binary, Images)
    assert binary.x.unique().tolist() == [0, 255]
    assert not bool(binary.x[grey.x == 0].any())
    assert bool(binary.x[grey.x == 255].all())
    for low in range(0, 250, 50):
        band = (grey.x >= low) & (grey.x < low + 50)
        assert abs(float(binary.x[band].float().mean()) - float(grey.x[band].float().mean())) < 3
    assert torch.equal(binary.tensors()["y"], grey.tensors()["y"])


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="etude data fetch mnist"):
        mnist(tmp_path)
    write(tmp_path, "train", 60)
    write(tmp_path, "t10k", 60, size=14)
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte\.gz.*28x28"):
        mnist(tmp_path)
    write(tmp_path, "t10k", 60)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">II", 2049, 1) + b"\1"))
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte\.gz.*60 labels"):
        mnist(tmp_path)
