"""The page of a run, and of several side by side: one HTML file that carries everything it shows and runs nothing."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from etude.engine.files import write_text
from etude.engine.run import Asked, Run
from etude.errors import InputError
from etude.report import figures
from etude.report.sections import SECTIONS, history, shown
from etude.report.view import Figure, Section, View


def write(run: Run, data: Any = None) -> Path:
    """Write `report.html` into the run's folder.

    Looking changes nothing: randomness has a stream of its own. A section that cannot be drawn, as may happen with the
    verbs of a third party's system, says so on the page.

    Args:
        run: a finished one.
        data: what it was trained on, where that was in memory.

    Raises:
        InputError: the run is not finished, or its weights are damaged.
    """
    sections: list[Section] = []
    try:
        splits = run.data(data)
    except InputError as error:
        splits = None
        sections.append(Section("Without the data", [f"What needs them is left out: {error}."]))
    view = View(run, run.system, splits)
    with torch.random.fork_rng([]), torch.no_grad():
        torch.default_generator.manual_seed(run.question["seed"])
        for section in SECTIONS:
            try:
                sections += section(view)
            except Exception as error:
                sections.append(
                    Section(section.__name__.capitalize(), [f"Could not be drawn: {type(error).__name__}: {error}"])
                )
    title = f"{' on '.join(asked['system'] for asked in view.chain)}, trained on {run.question['data']}"
    path = run.folder / "report.html"
    write_text(path, render(title, str(run.folder), sections))
    return path


def compare(runs: Sequence[Run], path: Path = Path("compare.html")) -> Path:
    """Write a page with runs side by side: scores, what was asked differently, curves overlaid."""
    names = [run.folder.name for run in runs]
    scores = [{name.replace("_", " "): f"{value:.5g}" for name, value in run.scores.items()} for run in runs]
    asked = [_flat(run.question) for run in runs]
    different = [row for row in _rows(asked) if len(set(row[1:])) > 1]
    curves = [history(run) for run in runs]
    panels = {
        panel: {name: curve[panel] for name, curve in zip(names, curves, strict=True) if panel in curve}
        for panel in _keys(curves)
    }
    sections = [
        Section("Scores on the test split", head=("score", *names), rows=_rows(scores)),
        Section("What was asked differently", head=("", *names), rows=different),
        Section(
            "How training went", figures=[Figure(figures.curves(panel, series)) for panel, series in panels.items()]
        ),
    ]
    write_text(path, render("Runs side by side", ", ".join(names), sections))
    return path


def render(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The page as text."""
    from jinja2 import Environment

    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("etude.report").joinpath("page.html").read_text()
    )
    return template.render(title=title, subtitle=subtitle, sections=sections)


def _flat(asked: Asked, prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in asked.items():
        flat |= (
            _flat(value, f"{prefix}on." if name == "on" else prefix)
            if isinstance(value, dict)
            else {prefix + name: shown(value)}
        )
    return flat


def _keys(parts: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for part in parts for key in part))


def _rows(columns: Sequence[dict[str, str]]) -> list[tuple[str, ...]]:
    return [(key, *(column.get(key, "") for column in columns)) for key in _keys(columns)]
