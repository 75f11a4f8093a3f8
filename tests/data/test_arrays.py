"""Arrays become the kind that their shape and their names say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from etude.data import memory
from etude.data.arrays import examples, from_arrays, load_arrays
from etude.data.kinds import Batch, Images, Splits, Vectors
from etude.errors import InputError

RANDOM = np.random.default_rng(0)


def whole(splits: Splits) -> Batch:
    parts = list(splits.parts().values())
    order = torch.cat([part.index for part in parts]).argsort()
    tensors = {name: torch.cat([part.tensors()[name] for part in parts])[order] for name in parts[0].tensors()}
    return type(parts[0])(**tensors)


@pytest.mark.parametrize(
    ("shape", "kind", "expected"),
    [
        ((40, 7), Vectors, (7,)),
        ((40, 6, 5), Images, (1, 6, 5)),
        ((40, 3, 6, 5), Images, (3, 6, 5)),
        ((40, 6, 5, 3), Images, (3, 6, 5)),
        ((40, 1, 6, 3), Images, (1, 6, 3)),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", ">f4", "int64"])
def test_shape_says_the_kind(shape: tuple[int, ...], kind: type[Batch], expected: tuple[int, ...], dtype: str) -> None:
    array = (RANDOM.random(shape) * 255).astype(dtype)
    found = examples(array, "here")
    assert type(found) is kind
    assert found.x.shape[1:] == expected
    assert found.x.dtype == (
        torch.uint8 if dtype == "uint8" or (dtype == "int64" and kind is Images) else torch.float32
    )
    moved = array.transpose(0, 3, 1, 2) if array.shape[3:] == (3,) and expected[0] == 3 else array
    assert np.array_equal(found.x.numpy().ravel(), moved.astype(np.float32).ravel())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5), r"shape \(5,\), expected"),
        (np.zeros((0, 3)), r"shape \(0, 3\), expected"),
        (np.array([["a"]]), "got <U1"),
        (np.zeros((2, 3), complex), "got complex128"),
        (np.zeros((9, 30, 30, 30), np.uint8), "1, 3 or 4 neither second nor last"),
        (np.full((2, 3, 3), 256), "int64 pixels from 256 to 256"),
        (np.array([[1.0, 2.0], [3.0, np.nan]]), "example 1 holds NaN"),
        (np.array([[np.inf, 2.0], [3.0, 4.0]]), "example 0 holds NaN or infinity"),
    ],
)
def test_what_is_no_data_is_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=f"^here: .*{message}"):
        examples(array, "here")


@pytest.mark.parametrize(
    ("y", "classes", "encoded"),
    [
        (np.arange(40) % 3, ("0", "1", "2"), np.arange(40) % 3),
        (np.where(np.arange(40) % 2, -1, 1), ("-1", "1"), 1 - np.arange(40) % 2),
        (np.array(["dog", "cat"] * 20), ("cat", "dog"), np.array([1, 0] * 20)),
        (np.arange(40)[:, None] % 2 == 1, ("False", "True"), np.arange(40) % 2),
    ],
)
def test_labels_become_classes(y: Any, classes: tuple[str, ...], encoded: np.ndarray) -> None:
    splits = from_arrays((np.zeros((40, 2)), y))
    assert isinstance(splits.train, Vectors)
    assert splits.train.classes == classes
    assert whole(splits).tensors()["y"].tolist() == encoded.tolist()


def test_floats_are_numbers_to_predict() -> None:
    x, y = torch.randn(40, 2), torch.randn(40)
    splits = from_arrays((x, y))
    found = whole(splits)
    assert isinstance(found, Vectors)
    assert torch.equal(found.x, x)
    assert torch.equal(found.tensors()["y"], y[:, None])
    assert splits.train.dimensions == {"features": 2, "classes": 0, "outputs": 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((np.zeros((40, 2)), np.zeros(39, int)), "40 examples and 39 labels"),
        ((np.zeros((40, 2)), np.zeros((40, 3), int)), r"labels are int64 of shape \(40, 3\)"),
        ((np.zeros((40, 2)), np.full(40, np.nan)), "labels of train.*NaN"),
        (np.zeros((2, 2)), "too few examples"),
        (["a", "b"], "got <U1"),
        ([[1, 2], [3]], "not readable as arrays"),
    ],
)
def test_what_does_not_fit_is_refused(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_arrays(data)


def test_npz_with_given_splits(tmp_path: Path) -> None:
    x, y = RANDOM.random((60, 5)).astype(np.float32), np.arange(60) % 2
    np.savez(tmp_path / "d.npz", X_train=x[:40], y_train=y[:40], X_test=x[40:], y_test=y[40:], ids=np.arange(60))
    splits = load_arrays(tmp_path / "d.npz")
    assert isinstance(splits.test, Vectors)
    assert np.array_equal(splits.test.x.numpy(), x[40:])
    assert splits.test.tensors()["y"].tolist() == y[40:].tolist()
    assert [len(part) for part in splits.parts().values()] == [34, 6, 20]


def test_names_either_way_round(tmp_path: Path) -> None:
    x, y = RANDOM.integers(0, 256, (60, 4, 4)).astype(np.uint8), np.arange(60) % 2
    np.savez(tmp_path / "a.npz", x=x, y=y)
    np.savez(tmp_path / "b.npz", train_images=x, train_labels=y)
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "images.npy", x)
    np.save(tmp_path / "folder" / "labels.npy", y)
    found = [load_arrays(tmp_path / name) for name in ("a.npz", "b.npz", "folder")]
    assert len({splits.digest() for splits in found}) == 1
    assert torch.equal(whole(found[0]).tensors()["x"], torch.from_numpy(x)[:, None])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3), "b": np.zeros(3)}, "found a, b, expected x and y"),
        ({"x": np.zeros((40, 2)), "data": np.zeros((40, 2))}, "two arrays are the x of train"),
        (
            {"x_train": np.zeros((40, 2)), "y_train": np.zeros(40, int), "x_test": np.zeros((9, 2))},
            "train has labels and the rest",
        ),
        ({"x_train": np.zeros((40, 2)), "x_test": np.zeros((9, 3))}, "differ in shape"),
        ({"x_test": np.zeros((40, 2)), "y_test": np.zeros(40)}, "found test without train"),
        ({}, "found nothing"),
        ({"x": np.array([{}, {}])}, "not readable as an npz file.*allow_pickle"),
    ],
)
def test_npz_that_make_no_data_set(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "d.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        load_arrays(tmp_path / "d.npz")


@pytest.mark.parametrize("order", ["first", "last"])
def test_large_npy_is_mapped_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    x = RANDOM.random((200, 3, 6, 5)).astype(np.float64)
    np.save(tmp_path / "x.npy", x if order == "first" else np.moveaxis(x, 1, 3))
    small = load_arrays(tmp_path / "x.npy")
    made: list[Any] = []
    real = np.memmap

    def mapped(*given: Any, **more: Any) -> Any:
        made.append(more["shape"])
        return real(*given, **more)

    monkeypatch.setattr(memory, "LARGE", 1000)
    monkeypatch.setattr("numpy.memmap", mapped)
    large = load_arrays(tmp_path / "x.npy")
    read, *kept = [shape for shape in made if len(shape) == 4]
    assert read == np.load(tmp_path / "x.npy").shape
    assert kept == [(count, 3, 6, 5) for count in (200, 170, 30, 140, 30)]
    assert large.digest() == small.digest()
    assert np.array_equal(whole(large).tensors()["x"].numpy(), x.astype(np.float32))
