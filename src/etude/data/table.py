"""Tables: CSV or TSV with a header line, or Parquet, as rows of numbers.

A column of numbers is standardised with the mean and the standard deviation of the training rows; a missing number
becomes that mean. A column of words is one-hot over the words of the training rows; a missing or new word is all zeros.
The target is the column named by the user, or else the one called `target`, `label`, `class` or `y`. Words, or whole
numbers of at most 20 values that occur twice on average, are classes; other numbers are predicted as they are.
Where there is one column beside the target, and most of its cells are different texts of several words, they are
documents and become TF-IDF (`etude.data.text`). A table with the columns `id` and `time` or `step` is one of series
(`etude.data.series`). CSV and TSV may be gzipped.
"""

import csv
import difflib
import gzip
import io
import math
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from etude.data.arrays import complete
from etude.data.files import reading
from etude.data.kinds import Splits, Vectors
from etude.errors import InputError

TARGETS = ("target", "label", "class", "y")
MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?"))
MOST_CLASSES = 20
MOST_WORDS = 1000
WORD = re.compile(r"[^\W\d_]+")

Columns = dict[str, list[str]]


def load_table(path: Path, target: str | None = None) -> Splits:
    """Splits of a table, with the preparation that `prepare` or `prepare_documents` repeats on new rows.

    Args:
        target: the column to predict.

    Raises:
        InputError: the file cannot be read, there is no such column, or a value is not what its column holds.
    """
    from etude.data.series import keys, load_long  # which reads its columns as this does

    columns = read_columns(path)
    if keys(columns):
        return load_long(columns, target, path)
    target = target_of(columns, target, path)
    y, classes = (None, ()) if target is None else outcomes(columns.pop(target), target, path)
    if not columns:
        raise InputError(f"{path}: no column beside the target {target!r}: add columns to predict it from")
    name, count = Path(path.name.removesuffix(".gz")).stem, len(next(iter(columns.values())))
    rows = torch.arange(count, dtype=torch.float32)[:, None]
    drawn = complete({"train": Vectors(rows, y, classes)}, name, str(path))
    if len(columns) == 1 and _are_documents(*columns.values()):
        from etude.data.text import prepared  # scikit-learn takes 0.6 s to import

        ((column, texts),) = columns.items()
        names = [f"row {row}" for row in range(1, count + 1)]
        return prepared(drawn, names, texts, str(path), column=column, target=target)
    fitted = [fit(name, column, drawn.train.index.tolist(), path) for name, column in columns.items()]
    whole = Vectors(transform(columns, fitted, path), y, classes)
    table = {"columns": fitted, "target": target, "classes": list(classes)}
    parts = {part: whole[rows.index] for part, rows in drawn.parts().items()}
    return Splits(**parts, name=name, preparation={"table": table})


def prepare(path: Path, table: dict[str, Any]) -> Vectors:
    """New rows as the training rows were prepared; labels where every row has one; further columns are ignored.

    Args:
        table: `Splits.preparation["table"]`.

    Raises:
        InputError: a column is missing or holds words where numbers were, or a class is new.
    """
    columns = read_columns(path)
    missing = [column["name"] for column in table["columns"] if column["name"] not in columns]
    if missing:
        raise InputError(f"{path}: no column {', '.join(map(repr, missing))}, which the system learned from: add it")
    x, target, classes = transform(columns, table["columns"], path), table["target"], tuple(table["classes"])
    labelled = target in columns and not any(map(is_missing, columns[target]))
    return Vectors(x, outcomes(columns[target], target, path, classes)[0] if labelled else None, classes)


def prepare_documents(path: Path, preparation: dict[str, Any]) -> Vectors:
    """New rows of documents as the training documents were prepared; labels where every row has one.

    The documents are in the column of the same name, or else in the only one beside the target, or the only one of
    texts of several words.

    Args:
        preparation: `Splits.preparation` of the training data.

    Raises:
        InputError: no such column or several, no document holds a stem learned from, or a class is new.
    """
    from etude.data.text import weigh

    columns, text, classes = read_columns(path), preparation["text"], tuple(preparation["classes"])
    target = text["target"] or target_of(columns, None, path) or ""
    others = {name: cells for name, cells in columns.items() if name != target}
    column = text["column"] or "text"
    named = [column] if column in others else list(others)
    found = named if len(named) == 1 else [name for name in named if _are_documents(others[name])]
    if len(found) != 1:
        seen = " or ".join(map(repr, found)) or "no column"
        raise InputError(f"{path}: the documents may be in {seen}: call theirs {column!r}")
    outputs = preparation["dimensions"]["outputs"]
    labels = columns.get(target, [""]) if outputs else [""]
    y = None if any(map(is_missing, labels)) else outcomes(labels, target, path, classes)[0]
    return Vectors(weigh(others[found[0]], text, str(path)), y, classes)


def read_columns(path: Path) -> Columns:
    """The cells of a table as text, by column.

    Raises:
        InputError: the file cannot be read, a row is too short or too long, or the header lacks a name.
    """
    columns = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    if not columns or not next(iter(columns.values())):
        raise InputError(f"{path}: no rows: give a header line and a line for each example")
    return columns


def _csv(path: Path) -> Columns:
    with reading(path, "a table"):
        data = path.read_bytes()
        text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode("utf-8-sig")
        lines = io.StringIO(text, newline="")
        first = lines.readline()
        lines.seek(0)
        rows = list(csv.reader(lines, delimiter=max(",;\t", key=first.count), strict=True))
    header, *cells = rows or [[]]
    names = [name.strip() for name in header]
    unnamed = [place for place, name in enumerate(names, 1) if not name]
    if unnamed or len(set(names)) < len(names):
        which = f"column {unnamed[0]} has no name" if unnamed else "two columns have one name"
        raise InputError(f"{path}: {which} in the header line: name every column, each once")
    if names and all(number_in(name) is not None for name in names):
        raise InputError(f"{path}: the first line is all numbers: put a line of column names before it")
    cells = [row for row in cells if row]
    for place, row in enumerate(cells, 1):
        if len(row) != len(names):
            raise InputError(f"{path}: row {place} has {len(row)} cells, the header {len(names)}: correct the row")
    return {name: [row[place].strip() for row in cells] for place, name in enumerate(names)}


def _parquet(path: Path) -> Columns:
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        raise InputError(f"{path}: Parquet needs pyarrow: pip install etude[parquet]") from None
    with reading(path, "a Parquet table"):
        table = parquet.read_table(path).to_pydict()
        return {str(name): ["" if cell is None else str(cell) for cell in column] for name, column in table.items()}


def target_of(columns: Columns, target: str | None, path: Path) -> str | None:
    if target is None:
        return next((name for wanted in TARGETS for name in columns if name.lower() == wanted), None)
    if target not in columns:
        near = difflib.get_close_matches(target, columns, 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(columns)}"
        raise InputError(f"{path}: no column {target!r}: {hint}")
    return target


def outcomes(
    cells: list[str], target: str, path: Path, known: tuple[str, ...] | None = None
) -> tuple[Tensor, tuple[str, ...]]:
    """What to predict: classes (n,) int64 and their names, or numbers (n, 1) and no names.

    Args:
        known: the names of the classes, none for numbers; found out from the cells where not given.
    """
    empty = [row for row, cell in enumerate(cells, 1) if is_missing(cell)]
    if empty:
        raise InputError(f"{path}: row {empty[0]} has no {target!r} ({len(empty)} such rows): fill in or remove them")
    numbers = [number_in(cell) for cell in cells]
    if None not in numbers:
        values = [number for number in numbers if number is not None]
        distinct = sorted(set(values))
        whole = all(value.is_integer() for value in distinct) and len(distinct) <= min(MOST_CLASSES, len(cells) / 2)
        if known == () or (known is None and not whole):
            return torch.tensor(values, dtype=torch.float32)[:, None], ()
        cells = [str(int(value)) if value.is_integer() else str(value) for value in values]
        classes = tuple(str(int(value)) for value in distinct) if known is None else known
    else:
        classes = tuple(sorted(set(cells))) if known is None else known
    place = {name: number for number, name in enumerate(classes)}
    new = next((cell for cell in cells if cell not in place), None)
    if new is not None:
        raise InputError(f"{path}: {target!r} is {new!r}, which is none of the classes learned ({', '.join(classes)})")
    return torch.tensor([place[cell] for cell in cells]), classes


def fit(name: str, cells: list[str], train: Sequence[int], path: Path) -> dict[str, Any]:
    """How one column becomes numbers, from the rows `train`; missing cells are counted over all rows."""
    missing = sum(is_missing(cell) for cell in cells)
    present = [cell for row in train if not is_missing(cell := cells[row])]
    if all(is_missing(cell) or number_in(cell) is not None for cell in cells):
        numbers = torch.tensor([float(cell) for cell in present] or [0.0], dtype=torch.float64)
        deviation = numbers.std(correction=0).item() or 1.0
        return {"name": name, "mean": numbers.mean().item(), "std": deviation, "missing": missing}
    words = sorted(set(present))
    if len(words) > MOST_WORDS and _are_documents(present):
        raise InputError(f"{path}: column {name!r} holds documents beside other columns: keep it and the target alone")
    if len(words) > MOST_WORDS:
        raise InputError(f"{path}: column {name!r} has {len(words)} words, more than {MOST_WORDS}: remove the column")
    return {"name": name, "words": words, "missing": missing}


def transform(columns: Columns, fitted: list[dict[str, Any]], path: Path) -> Tensor:
    """The columns side by side as numbers: (n, features)."""
    return torch.cat([_column(columns[column["name"]], column, path) for column in fitted], 1)


def _column(cells: list[str], fitted: dict[str, Any], path: Path) -> Tensor:
    if "words" in fitted:
        place = {word: number for number, word in enumerate(fitted["words"], 1)}
        found = torch.tensor([place.get(cell, 0) for cell in cells])
        return torch.nn.functional.one_hot(found, len(place) + 1)[:, 1:].float()
    numbers = []
    for row, cell in enumerate(cells, 1):
        number = fitted["mean"] if is_missing(cell) else number_in(cell)
        if number is None or not math.isfinite(number):
            raise InputError(f"{path}: row {row}, column {fitted['name']!r}: {cell!r} is no finite number: correct it")
        numbers.append((number - fitted["mean"]) / fitted["std"])
    x = torch.tensor(numbers, dtype=torch.float32)[:, None]
    if not math.isfinite(fitted["std"]) or not bool(torch.isfinite(x).all()):
        raise InputError(f"{path}: column {fitted['name']!r} holds numbers too large to standardise: correct them")
    return x


def _are_documents(cells: list[str]) -> bool:
    """Whether most cells hold several words and most differ; empty ones do not count."""
    present = [cell for cell in cells if not is_missing(cell)]
    several = sum(len(WORD.findall(cell)) > 1 for cell in present)
    return min(several, len(set(present))) > len(present) / 2


def is_missing(cell: str) -> bool:
    return cell.lower() in MISSING


def number_in(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
