"""Series of the user's own, as `Sequences`: long tables and arrays.

A table is a long one where it has a column `id` and a column `time` or `step`: each row is a step of the series that
its `id` names, in the order of `time` (numbers, or dates such as 2024-05-01 13:30) or `step` (numbers, of which the
order alone counts). Other columns become numbers as `etude.data.table` has it, from the series to train on; a column of
zeros and ones stays as it is. Times are counted from the first step of a series, in units of the median gap. The
target, as of any table, has one value for each series or one for each step; a step may lack its class.

Arrays are series where `x` (n, steps, features) comes with `lengths` (n,), the true steps of each; `y` has classes (n,)
or (n, steps), or numbers (n,), (n, targets) or (n, steps, targets); `times` are (n, steps). Numbers stay as they are.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from etude.data.arrays import complete
from etude.data.kinds import Sequences, Splits, Vectors, side_by_side
from etude.data.table import Columns, fit, is_missing, number_in, outcomes, read_columns, target_of, transform
from etude.errors import InputError

ORDERS = ("time", "step")
ARRAYS = ("x", "lengths", "y", "times")

Array = NDArray[Any]


def keys(columns: Columns) -> tuple[str, str] | None:
    """The columns that name a series and order its steps, where the table has both."""
    named = {name.lower(): name for name in reversed(columns)}
    order = next((named[name] for name in ORDERS if name in named), None)
    return (named["id"], order) if "id" in named and order else None


def load_long(columns: Columns, target: str | None, path: Path) -> Splits:
    """Splits of a long table: a series is in one of them as a whole.

    Args:
        columns: of the table; `keys` finds its two.
        target: the column to predict.

    Raises:
        InputError: a value is not what its column holds, or there are too few series.
    """
    found = keys(columns)
    assert found is not None
    target = target_of(columns, target, path)
    series: dict[str, Any] = {"id": found[0], "order": found[1], "target": target, "mean": 0.0, "std": 1.0}
    rows, moments = _ordered(columns, series, path)
    features = {name: cells for name, cells in columns.items() if name not in (*found, target)}
    if not features:
        named = ", ".join((*found, target) if target else found)
        raise InputError(f"{path}: no column beside {named}: add columns to learn from")
    y, classes = _targets(columns, rows, series, path)
    places = torch.arange(len(rows), dtype=torch.float32)[:, None]
    known = y if isinstance(y, Tensor) else None
    drawn = complete({"train": Vectors(places, known, classes)}, path.name.partition(".")[0], str(path))
    training = drawn.train.index.tolist()
    train = torch.cat([rows[place] for place in training]).tolist()
    series["columns"] = [_fit(name, cells, train, path) for name, cells in features.items()]
    gaps = torch.cat([moments.index_select(0, rows[place]).diff() for place in training])
    series["unit"] = gaps.median().item() if len(gaps) else 1.0
    whole = _made(columns, rows, moments, y, classes, series, path)
    parts = {part: whole[batch.index] for part, batch in drawn.parts().items()}
    return Splits(**parts, name=drawn.name, preparation={"series": series})


def prepare_long(path: Path, preparation: dict[str, Any]) -> Sequences:
    """New series as those to train on were prepared; with labels where they are complete.

    Args:
        preparation: `Splits.preparation` of the training data.

    Raises:
        InputError: a column is missing or holds what it cannot, or a class is new.
    """
    columns, series, classes = read_columns(path), preparation["series"], tuple(preparation["classes"])
    wanted = [series["id"], series["order"], *(column["name"] for column in series["columns"])]
    if missing := [repr(name) for name in wanted if name not in columns]:
        raise InputError(f"{path}: no column {', '.join(missing)}, which the system learned from: add it")
    rows, moments = _ordered(columns, series, path)
    cells = columns.get(series["target"], [""])
    y: Tensor | list[Tensor] | None = None
    if not any(map(is_missing, cells)):
        encoded = outcomes(cells, series["target"], path, classes)[0]
        if not classes:
            encoded = (encoded - series["mean"]) / series["std"]
        each = [encoded.index_select(0, its) for its in rows]
        y = each if series["stepwise"] else torch.stack([labels[0] for labels in each])
    return _made(columns, rows, moments, y, classes, series, path)


def load_series(arrays: Mapping[str, Array], path: Path) -> Splits:
    """Splits of arrays of series.

    Raises:
        InputError: the arrays are not shaped or typed as above, or there are too few series.
    """
    return complete({"train": from_arrays(arrays, path)}, path.stem, str(path))


def from_arrays(arrays: Mapping[str, Array], path: Path, known: tuple[str, ...] | None = None) -> Sequences:
    """The series in arrays.

    Args:
        known: the names of the classes; found out from `y` where not given.

    Raises:
        InputError: the arrays are not shaped or typed as above, or a class is new.
    """
    if "x" not in arrays or set(arrays) - set(ARRAYS):
        raise InputError(f"{path}: found {', '.join(arrays)}, expected x, lengths and perhaps y and times: rename")
    x = arrays["x"]
    if x.ndim != 3 or x.dtype.kind not in "buif" or 0 in x.shape:
        raise InputError(f"{path}: x is {_told(x)}, expected numbers (n, steps, features): reshape it")
    n, steps, _ = x.shape
    lengths = arrays.get("lengths", np.full(n, steps))
    if lengths.shape != (n,) or lengths.dtype.kind not in "ui":
        raise InputError(f"{path}: lengths are {_told(lengths)}, expected {n} whole numbers, one for each series")
    wrong = np.flatnonzero((lengths < 1) | (lengths > steps))
    if len(wrong):
        raise InputError(
            f"{path}: series {wrong[0]} has length {lengths[wrong[0]]}, expected 1 to {steps} as x has: correct it"
        )
    padding = np.arange(steps) >= lengths[:, None]
    _finite(x, padding, path, "x")
    numbers = torch.from_numpy(np.where(padding[:, :, None], 0, x).astype(np.float32))
    y, classes = _labels(arrays["y"], padding, path, known) if "y" in arrays else (None, known or ())
    times = _times(arrays["times"], padding, lengths, path) if "times" in arrays else None
    return Sequences(numbers, torch.from_numpy(lengths.astype(np.int64)), y, times, classes)


def _ordered(columns: Columns, series: dict[str, Any], path: Path) -> tuple[list[Tensor], Tensor]:
    """The rows of each series in order, and when each row was: (rows,) float64."""
    ids, order = series["id"], series["order"]
    moments = [_moment(cell, row, order, path) for row, cell in enumerate(columns[order], 1)]
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(columns[ids]):
        if not name:
            raise InputError(f"{path}: row {row + 1} has no {ids!r}: name the series that it belongs to")
        rows.setdefault(name, []).append(row)
    for name, its in rows.items():
        its.sort(key=lambda row: moments[row])
        for row, after in pairwise(its):
            if moments[row] == moments[after]:
                raise InputError(
                    f"{path}: {ids} {name!r} has {order} {columns[order][row]} twice (rows {row + 1} and {after + 1}): "
                    "correct or remove one"
                )
    return [torch.tensor(its) for its in rows.values()], torch.tensor(moments, dtype=torch.float64)


def _moment(cell: str, row: int, order: str, path: Path) -> float:
    number = number_in(cell)
    if number is None and order.lower() == "time":
        try:
            when = datetime.fromisoformat(cell)
        except ValueError:
            pass
        else:
            number = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if number is None or not np.isfinite(number):
        date = " or a date such as 2024-05-01 13:30" if order.lower() == "time" else ""
        raise InputError(f"{path}: row {row}, column {order!r}: {cell!r} is no finite number{date}: correct it")
    return number


def _targets(
    columns: Columns, rows: list[Tensor], series: dict[str, Any], path: Path
) -> tuple[Tensor | list[Tensor] | None, tuple[str, ...]]:
    """What to predict of each series, or of each step of each series, and the names of the classes."""
    series["stepwise"], target = False, series["target"]
    if target is None:
        return None, ()
    cells = columns[target]
    distinct = [{cells[row] for row in its.tolist() if not is_missing(cells[row])} for its in rows]
    if all(len(labels) <= 1 for labels in distinct) and len(rows) < len(cells):
        for its, labels in zip(rows, distinct, strict=True):
            if not labels:
                name = columns[series["id"]][int(its[0])]
                raise InputError(f"{path}: {series['id']} {name!r} has no {target!r}: fill it in")
        return outcomes([labels.pop() for labels in distinct], target, path)
    series["stepwise"] = True
    present = [row for row, cell in enumerate(cells) if not is_missing(cell)]
    encoded, classes = outcomes([cells[row] for row in present], target, path)
    if not classes:
        encoded, classes = outcomes(cells, target, path)
        return [encoded.index_select(0, its) for its in rows], classes
    every = torch.full((len(cells),), -1).index_copy(0, torch.tensor(present), encoded)
    return [every.index_select(0, its) for its in rows], classes


def _fit(name: str, cells: list[str], train: Sequence[int], path: Path) -> dict[str, Any]:
    fitted = fit(name, cells, train, path)
    binary = {number_in(cells[row]) for row in train if not is_missing(cells[row])} <= {0.0, 1.0}
    return fitted | {"mean": 0.0, "std": 1.0} if binary and "mean" in fitted else fitted


def _made(
    columns: Columns,
    rows: list[Tensor],
    moments: Tensor,
    y: Tensor | list[Tensor] | None,
    classes: tuple[str, ...],
    series: dict[str, Any],
    path: Path,
) -> Sequences:
    x = transform(columns, series["columns"], path)
    if isinstance(y, list):
        y = side_by_side(y, -1 if classes else 0)
    times = None
    if series["order"].lower() == "time":
        since = [moments.index_select(0, its) - moments[its[0]] for its in rows]
        times = side_by_side([(each / series["unit"]).float() for each in since], None)
        if not times.isfinite().all():
            raise InputError(f"{path}: column {series['order']!r} spans more than float32 holds: correct it")
    lengths = torch.tensor([len(its) for its in rows])
    return Sequences(side_by_side(x.index_select(0, its) for its in rows), lengths, y, times, classes)


def _told(array: Array) -> str:
    return f"{array.dtype} of shape {array.shape}"


def _finite(array: Array, padding: Array, path: Path, name: str) -> None:
    with np.errstate(over="ignore"):
        small = array.astype(np.float32)
    wrong = ~np.isfinite(small).reshape(*padding.shape, -1).all(2) & ~padding
    if wrong.any():
        place, step = np.argwhere(wrong)[0]
        raise InputError(
            f"{path}: {name} of series {place}, step {step} is NaN, infinite or beyond float32: correct or remove it"
        )


def _labels(y: Array, padding: Array, path: Path, known: tuple[str, ...] | None) -> tuple[Tensor, tuple[str, ...]]:
    n, steps = padding.shape
    if y.dtype.kind == "f" and y.shape[:1] == (n,) and (y.ndim <= 2 or (y.ndim == 3 and y.shape[1] == steps)):
        of_steps = y.ndim == 3
        _finite(y if of_steps else y.reshape(n, 1, -1), padding if of_steps else np.zeros((n, 1), bool), path, "y")
        kept = np.where(padding[:, :, None], 0, y) if of_steps else y.reshape(n, -1)
        return torch.from_numpy(kept.astype(np.float32)), ()
    if y.dtype.kind not in "buiU" or y.shape not in ((n,), (n, steps)):
        raise InputError(
            f"{path}: y is {_told(y)}, expected classes (whole numbers or strings) ({n},) or ({n}, {steps}), or floats "
            f"({n},), ({n}, targets) or ({n}, {steps}, targets)"
        )
    none = np.zeros(n, bool) if y.ndim == 1 else padding | (y == -1 if y.dtype.kind == "i" else False)
    classes = tuple(str(value) for value in np.unique(y[~none])) if known is None else known
    place = {name: number for number, name in enumerate(classes)}
    if new := sorted({str(value) for value in np.unique(y[~none])} - set(classes)):
        raise InputError(f"{path}: y is {new[0]!r}, which is none of the classes learned ({', '.join(classes)})")
    encoded = np.array([-1 if lacks else place[str(value)] for value, lacks in zip(y.flat, none.flat, strict=True)])
    return torch.from_numpy(encoded.reshape(y.shape)), classes


def _times(times: Array, padding: Array, lengths: Array, path: Path) -> Tensor:
    if times.shape != padding.shape or times.dtype.kind not in "uif":
        raise InputError(f"{path}: times are {_told(times)}, expected numbers {padding.shape}: reshape them")
    _finite(times, padding, path, "times")
    ended = np.where(padding, np.take_along_axis(times, lengths[:, None].astype(np.int64) - 1, 1), times)
    wrong = (np.diff(ended, axis=1) <= 0) & ~padding[:, 1:]
    if wrong.any():
        place, step = np.argwhere(wrong)[0]
        raise InputError(f"{path}: times of series {place} do not rise at step {step + 1}: sort or correct them")
    return torch.from_numpy((ended - ended[:, :1]).astype(np.float32))
