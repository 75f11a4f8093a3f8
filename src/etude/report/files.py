"""What the verbs write: pictures, tables of numbers, predictions."""

import csv
import sys
from pathlib import Path
from typing import Any

from torch import Tensor

from etude.data import kinds, source
from etude.data.kinds import walk
from etude.engine.run import Run
from etude.errors import InputError
from etude.report.figures import sheet

PICTURES = {".png", ".jpg", ".jpeg", ".webp"}


def image_shape(run: Run) -> tuple[int, ...] | None:
    """(channels, height, width) of the run's examples, None where they are no pictures that can be drawn."""
    shape = tuple(run.record["shape"])
    return shape if len(shape) == 3 and shape[0] in (1, 3) and shape[1] > 1 else None


def write_examples(run: Run, examples: Tensor, out: Path | None, stem: str) -> Path:
    """Write generated examples: a sheet of pictures, or rows of a CSV.

    Raises:
        InputError: rows of numbers cannot be drawn as a picture.
    """
    shape = image_shape(run)
    path = out or run.folder / f"{stem}{'.png' if shape else '.csv'}"
    if path.suffix.lower() in PICTURES:
        if shape is None:
            raise InputError(f"--out {path}: these are rows of numbers, not pictures; give a name that ends in .csv")
        sheet(examples.reshape(-1, *shape).clamp(0, 1), columns=max(1, round(len(examples) ** 0.5))).save(path)
        return path
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([f"{v:.6g}" for v in row] for row in examples.flatten(1).tolist())
    return path


def write_predictions(run: Run, path: Path, out: Path | None) -> str:
    """Write what the system says about new input, a row for each example; returns a line to print, empty without `out`.

    Raises:
        InputError: the input is not what the run was trained on, or the system has no verb for it.
    """
    system = run.system
    classes = run.record["classes"]
    verbs = ("classify", "cluster", "predict", "encode") if classes else ("cluster", "predict", "encode")
    verb = next((v for v in verbs if hasattr(system, v)), None)
    if verb is None:
        raise InputError(f"{run.folder}: {type(system).__name__} predicts nothing from input, try `etude sample`")
    batch = source.read(path, getattr(kinds, run.record["kind"]), run.record["preparation"])
    said = [getattr(system, verb)(part.tensors()["x"]) for part in walk(batch, system.device)]
    rows = [row for part in said for row in part.reshape(len(part), -1).tolist()]
    if verb == "classify":
        header = ["example", "class", *classes]
        table = [[i, classes[row.index(max(row))], *map(_short, row)] for i, row in enumerate(rows)]
    else:
        header = ["example", *(f"{verb}_{place}" for place in range(len(rows[0])))]
        table = [[i, *map(_short, row)] for i, row in enumerate(rows)]
    if out is None:
        csv.writer(sys.stdout).writerows([header, *table])
        return ""
    with out.open("w", newline="") as file:
        csv.writer(file).writerows([header, *table])
    return f"{len(table)} predictions in {out}"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
