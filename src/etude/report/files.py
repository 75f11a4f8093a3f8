"""What the verbs write: pictures, tables of numbers, predictions."""

import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from etude.data import kinds, source
from etude.data.files import visible_files
from etude.data.folder import SUFFIXES, part_folders
from etude.data.kinds import Batch, Sequences, Symbols, walk
from etude.data.own import form
from etude.engine.run import Run
from etude.errors import InputError
from etude.metrics.sequences import through
from etude.report.figures import sheet

PICTURES = {".png", ".jpg", ".jpeg", ".webp"}


def image_shape(run: Run) -> tuple[int, ...] | None:
    """(channels, height, width) of the run's examples, None where they are no pictures that can be drawn."""
    shape = tuple(run.record["shape"])
    return shape if len(shape) == 3 and shape[0] in (1, 3) and shape[1] > 1 else None


def write_examples(run: Run, examples: Tensor, out: Path | None, stem: str, columns: int | None = None) -> Path:
    """Write generated examples: a sheet of pictures, as many in a row as in a column where not told, or rows of a CSV.

    Raises:
        InputError: rows of numbers cannot be drawn as a picture.
    """
    shape = image_shape(run)
    path = out or run.folder / f"{stem}{'.png' if shape else '.csv'}"
    if path.suffix.lower() in PICTURES:
        if shape is None:
            raise InputError(f"--out {path}: these are rows of numbers, not pictures; give a name that ends in .csv")
        columns = columns or max(1, round(len(examples) ** 0.5))
        sheet(examples.reshape(-1, *shape).clamp(0, 1), columns).save(path)
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
        other = "translate" if hasattr(system, "translate") else "sample"
        raise InputError(f"{run.folder}: {type(system).__name__} predicts nothing from input, try `etude {other}`")
    if verb == "cluster":
        return write_clusters(run, path, out)
    batch = source.read(path, getattr(kinds, run.record["kind"]), run.record["preparation"])
    examples, of = called(path, batch), [*answers(getattr(system, verb), batch, system.device)]
    stepwise = any(step is not None for _, step, _ in of)
    table = []
    for place, step, row in of:
        said = [classes[row.index(max(row))]] if verb == "classify" else []
        table.append([examples[place], *([step] if stepwise else []), *said, *map(_short, row)])
    named = ["class", *classes] if verb == "classify" else [f"{verb}_{place}" for place in range(len(of[0][2]))]
    _write(["example", *(["step"] if stepwise else []), *named], table, out)
    return f"{len(table)} predictions in {out}" if out else ""


def answers(
    verb: Callable[..., Tensor], batch: Batch, device: torch.device
) -> Iterator[tuple[int, int | None, list[float]]]:
    """What a verb says: the place of an example, which of its true steps where it speaks of steps, and the numbers."""
    place = 0
    for part in walk(batch, device):
        every = through(verb, part) if isinstance(part, Sequences) else verb(part.tensors()["x"])
        for of_part, said in enumerate(every):
            if isinstance(part, Sequences) and said.ndim == 2:
                yield from ((place, step, row) for step, row in enumerate(said[: part.lengths[of_part]].tolist()))
            else:
                yield place, None, said.flatten().tolist()
            place += 1


def write_clusters(run: Run, path: Path | None, out: Path | None) -> str:
    """Write the cluster of each example, how sure it is, its class where that is known, and its soft assignments.

    Args:
        run: of a system that clusters.
        path: new input; every example that the run was trained, validated and tested on where not given.
        out: the CSV to write; standard output where not given.

    Returns:
        A line to print, empty without `out`.

    Raises:
        InputError: the input is not what the run was trained on, or its own data cannot be had again.
    """
    system: Any = run.system
    table: list[list[Any]] = []
    sizes: list[int] = []
    classes: list[str] = []
    for part, examples, batch in _own(run) if path is None else [_new(run, path)]:
        soft = torch.cat([system.cluster(ready.tensors()["x"]) for ready in walk(batch, system.device)]).tolist()
        sizes, classes = sizes or [0] * len(soft[0]), _classes(batch)
        for place, (example, its) in enumerate(zip(examples, soft, strict=True)):
            cluster = its.index(max(its))
            sizes[cluster] += 1
            told = [example, cluster, _short(its[cluster]), *classes[place : place + 1], *map(_short, its)]
            table.append([*part, *told])
    header = [*([] if path else ["part"]), "example", "cluster", "confidence", *(["class"] if classes else [])]
    _write([*header, *(f"cluster_{place}" for place in range(len(sizes)))], table, out)
    return f"{len(table)} examples in {out}, in clusters of {', '.join(map(str, sizes))}" if out else ""


Part = tuple[list[str], list[Any], Batch]  # its name, where it has one; what to call its examples; they themselves


def _new(run: Run, path: Path) -> Part:
    batch = source.read(path, getattr(kinds, run.record["kind"]), run.record["preparation"])
    return [], called(path, batch), batch


def _own(run: Run) -> Iterator[Part]:
    """Every example of the run's own data, once: as one part where nothing was held out."""
    splits, asked = run.data(), run.record["data"]["asked"]
    path = Path(asked) if asked not in source.names() and Path(asked).exists() else None
    whole = torch.equal(splits.train.tensors()["x"], splits.test.tensors()["x"])
    for part, batch in {"all": splits.train}.items() if whole else splits.parts().items():
        yield [part], called(path, batch, part) if path else batch.index.tolist(), batch


def _classes(batch: Any) -> list[str]:
    """The name of each example's class, where they have one."""
    y = getattr(batch, "y", None)
    return [] if y is None or y.is_floating_point() else [batch.classes[place] for place in y.tolist()]


def called(path: Path, batch: Batch, part: str | None = None) -> list[Any]:
    """What to call the examples at a path: pictures and documents by their files, pieces of a text by its name and
    their number, others by their row.

    Args:
        part: of the data at the path that the examples are, where they came as train, validation and test; a part that
            did not come by itself was held out of train.
    """
    what = form(path)
    if what == "text" or isinstance(batch, Symbols):
        return [f"{path.name}:{place}" for place in range(1, len(batch) + 1)] if len(batch) > 1 else [path.name]
    if what == "image":
        return [path.name]
    if what not in ("folder", "texts"):
        return batch.index.tolist()
    tops = part_folders(path) if part else {"train": path}
    top = tops.get(part or "train", tops["train"])
    files = sorted(visible_files(top, SUFFIXES if what == "folder" else (".txt",)))
    return [str(files[place].relative_to(path)) for place in batch.index.tolist()]


def _write(header: list[str], table: list[list[Any]], out: Path | None) -> None:
    if out is None:
        csv.writer(sys.stdout).writerows([header, *table])
        return
    with out.open("w", newline="") as file:
        csv.writer(file).writerows([header, *table])


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
