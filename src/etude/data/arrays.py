"""Arrays: NumPy arrays and tensors in Python, `.npy` and `.npz` files, folders of `.npy`.

What an array is follows from its shape: (n, features) are `Vectors`; (n, height, width), (n, channels, height, width)
and (n, height, width, channels) are `Images`, where 1, 3 or 4 is a number of channels; the second place is asked first.
Labels: whole numbers and strings are classes, floats are numbers to predict.
Names (of the arrays in an npz, of the files in a folder): `x` and `y`, `images` and `labels`, or `data` and `target`;
with `train`, `validation` or `test` before or after where the data come split: `x_train`, `test_labels`. Where there
are `lengths` too, they are series (`etude.data.series`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from etude.data import memory
from etude.data.files import reading
from etude.data.kinds import Batch, Images, Splits, Vectors, hold_out, split
from etude.data.memory import room
from etude.errors import InputError

Array = NDArray[Any]
ROLES = {"x": ("x", "images", "image", "data", "features"), "y": ("y", "labels", "label", "target", "targets")}
PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing", "t10k"),
}
CHANNELS = (1, 3, 4)


def from_arrays(data: Any, name: str = "arrays") -> Splits:
    """Splits of `x` or of a pair `(x, y)`, each an array, a tensor or a list.

    Raises:
        InputError: the shapes or the types are not those above.
    """
    x, y = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
    with reading(Path(name), "arrays x or (x, y)"):
        parts = {"train": {"x": as_array(x), **({} if y is None else {"y": as_array(y)})}}
    return assemble(parts, name, name)


def as_array(value: Any) -> Array:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def load_arrays(path: Path) -> Splits:
    """Splits of a `.npy` or `.npz` file or of a folder of them.

    Raises:
        InputError: a file cannot be read, or its arrays are not named, shaped or typed as above.
    """
    arrays = read_arrays(path)
    if "lengths" in arrays:
        from etude.data.series import load_series  # which completes its splits as this does

        return load_series(arrays, path)
    if len(arrays) == 1:
        return assemble({"train": {"x": next(iter(arrays.values()))}}, path.stem, str(path))
    parts: dict[str, dict[str, Array]] = {}
    for key, array in arrays.items():
        part = part_of(key)
        for role in (role for role, names in ROLES.items() if _words(key).intersection(names)):
            if role in parts.setdefault(part, {}):
                raise InputError(f"{path}: two arrays are the {role} of {part}, one is {key!r}: rename or remove it")
            parts[part][role] = array
    if not parts or any("x" not in roles for roles in parts.values()):
        found = ", ".join(arrays)[:200] or "nothing"
        raise InputError(f"{path}: found {found}, expected x and y, or x_train, y_train, x_test and y_test: rename")
    return assemble(parts, path.stem, str(path))


def read_arrays(path: Path) -> dict[str, Array]:
    """Every array in a `.npy` or `.npz` file or a folder of them, by name; a large `.npy` is mapped, not read."""
    if path.is_dir():
        return {name: array for file in sorted(path.glob("*.np[yz]")) for name, array in read_arrays(file).items()}
    if path.suffix == ".npy":
        return {path.stem: _read_npy(path)}
    with reading(path, "an npz file"), np.load(path, allow_pickle=False) as archive:
        return {key: np.asarray(archive[key]) for key in archive.files}


def _read_npy(path: Path) -> Array:
    with reading(path, "an npy file"):
        mapped: Array = np.load(path, mmap_mode="c", allow_pickle=False)
        return mapped if mapped.nbytes > memory.LARGE else np.array(mapped)


def part_of(name: str) -> str:
    """The split that a name speaks of: "train" where it names none."""
    return next((part for part, names in PARTS.items() if _words(name).intersection(names)), "train")


def _words(name: str) -> set[str]:
    return set(name.lower().replace("-", "_").split("_"))


def assemble(parts: Mapping[str, Mapping[str, Array]], name: str, where: str) -> Splits:
    """Splits of arrays by part ("train", perhaps "validation" and "test") and role ("x", perhaps "y").

    Args:
        parts: what is missing of "validation" and "test" is held out of "train".
        where: the file or folder, for errors.

    Raises:
        InputError: the arrays are not what `etude.data.arrays` describes, or do not fit together.
    """
    if "train" not in parts:
        raise InputError(f"{where}: found {' and '.join(parts)} without train: name the data to train on")
    labelled = [part for part, roles in parts.items() if "y" in roles]
    if labelled and len(labelled) < len(parts):
        raise InputError(f"{where}: {' and '.join(labelled)} has labels and the rest has none: give all or none")
    labels, classes = _encode({part: parts[part]["y"] for part in labelled}, where) if labelled else ({}, ())
    whole = {part: examples(roles["x"], f"{where} ({part})") for part, roles in parts.items()}
    shapes = {part: tuple(batch.x.shape[1:]) for part, batch in whole.items()}
    if len(set(shapes.values())) > 1:
        raise InputError(f"{where}: examples differ in shape ({shapes}): make them alike")
    for part, y in labels.items():
        if len(y) != len(whole[part]):
            raise InputError(f"{where}: {part} has {len(whole[part])} examples and {len(y)} labels: make them as many")
    labelled_parts = {p: type(batch)(batch.x, labels.get(p), classes) for p, batch in whole.items()}
    return complete(labelled_parts, name, where)


def complete(parts: Mapping[str, Batch], name: str, where: str, **more: Any) -> Splits:
    """Splits in which what is missing of validation and test is drawn from train, 15 % each, by a fixed seed.

    Raises:
        InputError: a part would be empty.
    """
    if set(parts) == {"train"}:
        splits = split(parts["train"], name, **more)
    else:
        found: dict[str, Any] = dict(parts)
        for seed, part in enumerate(("test", "validation")):
            if part not in found:
                kept, held = hold_out(found["train"], 0.15, seed)
                found[part], found["train"] = found["train"][held], found["train"][kept]
        splits = Splits(**found, name=name, **more)
    for part, batch in splits.parts().items():
        if len(batch) == 0:
            counts = {p: len(b) for p, b in parts.items()}
            raise InputError(f"{where}: too few examples ({counts}) to have some for {part}: add examples")
    return splits


def examples(array: Array, where: str) -> Vectors | Images:
    """The examples in an array: bytes stay bytes, other numbers become float32.

    Raises:
        InputError: the shape or the type is none of those above, or a number is not finite.
    """
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise InputError(
            f"{where}: got {array.dtype} of shape {array.shape}, expected numbers (n, features), (n, height, width), "
            "(n, channels, height, width) or (n, height, width, channels)"
        )
    image = array.ndim > 2
    if image and array.dtype.kind in "ui" and array.dtype != np.uint8:
        if array.min() < 0 or array.max() > 255:
            reach = f"{array.dtype} pixels from {array.min()} to {array.max()}"
            raise InputError(f"{where}: {reach}: give uint8 or floats in [0, 1]")
        array = array.astype(np.uint8)
    x = torch.from_numpy(array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("=")))
    if array.ndim == 3:
        x = x[:, None]
    if array.ndim == 4 and x.shape[1] not in CHANNELS:
        if x.shape[3] not in CHANNELS:
            raise InputError(f"{where}: shape {array.shape} has 1, 3 or 4 neither second nor last: transpose it")
        x = x.permute(0, 3, 1, 2)
    dtype = torch.uint8 if x.dtype == torch.uint8 else torch.float32
    if x.dtype != dtype or not x.is_contiguous():
        x = room(x.shape, dtype).copy_(x)
    _refuse_non_finite(x, where)
    return Images(x) if image else Vectors(x)


def _refuse_non_finite(x: Tensor, where: str) -> None:
    if x.is_floating_point() and not bool(torch.isfinite(torch.stack(torch.aminmax(x))).all()):
        at = next(place for place, row in enumerate(x) if not bool(torch.isfinite(row).all()))
        raise InputError(f"{where}: example {at} holds NaN or infinity: fill in or remove it")


def _encode(labels: dict[str, Array], where: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    flat = {part: y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y for part, y in labels.items()}
    kinds_of_number = {y.dtype.kind for y in flat.values()}
    if kinds_of_number == {"f"} and all(y.ndim in (1, 2) for y in flat.values()):
        numbers = {part: torch.from_numpy(y.astype(np.float32)).reshape(len(y), -1) for part, y in flat.items()}
        for part, y in numbers.items():
            _refuse_non_finite(y, f"{where} (labels of {part})")
        return numbers, ()
    if not (kinds_of_number <= set("bui") or kinds_of_number == {"U"}) or any(y.ndim != 1 for y in flat.values()):
        got = ", ".join(f"{y.dtype} of shape {y.shape}" for y in labels.values())
        raise InputError(f"{where}: labels are {got}, expected one whole number or string each (classes) or floats")
    distinct = np.unique(np.concatenate(list(flat.values())))
    encoded = {part: torch.from_numpy(np.searchsorted(distinct, y)) for part, y in flat.items()}
    return encoded, tuple(str(value) for value in distinct)
