"""Translated pictures: what the page of a run shows of them, and what `etude translate` writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from etude.data import source
from etude.data.folder import image_files
from etude.data.kinds import ImagePairs
from etude.engine.run import Run
from etude.errors import InputError
from etude.report.figures import embed, sheet
from etude.report.files import PICTURES
from etude.report.view import SHOWN, Figure, Section, View

WIDE = 800  # pixels of a figure


def translated(view: View) -> Iterator[Section]:
    """The first test pictures in columns: input, output, the input again if it can be had back, and the true picture.

    Where the system also knows the way back, a second figure shows it.
    """
    test = view.splits.test if view.splits else None
    if not isinstance(test, ImagePairs) or not hasattr(view.system, "translate"):
        return
    count = max(3, min(SHOWN, WIDE // test.x.shape[3]))
    batch = test[:count].to(view.system.device)
    rows = {"input": batch.x, "output": view.system.translate(batch.x)}
    if hasattr(view.system, "cycle"):
        rows["input, back from the output"] = view.system.cycle(batch.x)
    if batch.aligned:
        rows["true picture"] = batch.y
    told = f"The first {len(batch)} test pictures, not chosen by anyone."
    drawn = [_rows(rows)]
    if hasattr(view.system, "back"):
        drawn.append(_rows({"the other way: input": batch.y, "output": view.system.back(batch.y)}))
    yield Section("Translations", [told], drawn)


def _rows(rows: dict[str, Tensor]) -> Figure:
    """Pictures (n, 1 or 3, height, width), a row for each name."""
    told = "from above: " + "; ".join(rows)
    coloured = [pictures.cpu().expand(-1, 3, -1, -1) for pictures in rows.values()]
    return Figure(embed(sheet(torch.cat(coloured), len(coloured[0])), told), told)


def write_translations(run: Run, path: Path, out: Path | None) -> str:
    """Translate a picture, or every picture in a folder by itself, and write them as PNG.

    Args:
        run: of a system that translates pictures.
        path: a picture or a folder of them, of any sizes that the system takes.
        out: the folder to write, or the file for one picture; `translated` in the run's folder where not given.

    Returns:
        A line to print.

    Raises:
        InputError: a picture cannot be read, or has other channels or another size than the system takes.
    """
    folder, top = path if path.is_dir() else path.parent, out or run.folder / "translated"
    system: Any = run.system
    written = []
    for file in image_files(path) if path.is_dir() else [path]:
        x = source.read(file, ImagePairs, run.record["preparation"]).to(run.system.device).tensors()["x"]
        try:
            made = system.translate(x)
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
        named = out is not None and file == path and out.suffix.lower() in PICTURES
        into = out if out and named else top / file.relative_to(folder).with_suffix(".png")
        into.parent.mkdir(parents=True, exist_ok=True)
        sheet(made, scale=1).save(into)
        written.append(into)
    return str(written[0]) if len(written) == 1 else f"{len(written)} pictures in {top}"
