"""Claims: a sentence from a paper plus the experiment that could refute it.

A claim never asserts: it returns a verdict and its numbers, over several seeds with their spread, and the arms of a
comparison differ in one argument. Findings are appended to findings.jsonl; a finding whose code has changed since is
stale.
"""

import ast
import hashlib
import importlib
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from etude.catalogue import Entry, entries, nearest, without_prose
from etude.engine.run import Run, codes, commit
from etude.engine.train import train
from etude.errors import InputError

HERE = Path(__file__).parent
FINDINGS = HERE / "findings.jsonl"
LIBRARIES = {
    "autodiff": Entry("autodiff", "library", "etude.autodiff", HERE.parent / "autodiff" / "__init__.py"),
    "distances": Entry(
        "distances", "library", "etude.functional.distances", HERE.parent / "functional" / "distances.py"
    ),
    "dynamics": Entry("dynamics", "library", "etude.nn.continuous", HERE.parent / "nn" / "continuous.py"),
}
"""The parts of Étude that are no system and that claims are about, by name."""


@dataclass(frozen=True)
class Plot:
    """Curves over the same points.

    Attributes:
        axes: what the two axes show, with units.
        x: the points; in (0, inf) where `scale` is `log`.
        series: by name, a value at each point; in (0, inf) unless `scale` is `linear`.
        scale: whether both axes are logarithmic, neither, or y alone (`semilog`).
    """

    axes: list[str]
    x: list[float]
    series: dict[str, list[float]]
    scale: Literal["log", "linear", "semilog"] = "log"


@dataclass(frozen=True)
class Finding:
    """What an experiment found.

    Attributes:
        holds: the verdict.
        numbers: what was measured, by name; several seeds as `mean ± deviation` through `spread`.
        note: what a reader must know beside the numbers: protocol, profile, distance from the published figure.
        plots: curves, by title.
    """

    holds: bool
    numbers: dict[str, Any]
    note: str = ""
    plots: dict[str, Plot] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A claim: the sentence, where it stands, the experiment, and how long it takes on two cores."""

    statement: str
    source: str
    minutes: float
    experiment: "Callable[[Lab], Finding]"

    @property
    def name(self) -> str:
        return self.experiment.__name__


def claim(statement: str, *, source: str, minutes: float) -> "Callable[[Callable[[Lab], Finding]], Claim]":
    """Mark an experiment as the test of a claim."""
    return lambda experiment: Claim(statement, source, minutes, experiment)


@dataclass(frozen=True)
class Lab:
    """Where experiments run. Runs are filed by what was asked, so that claims share them.

    Attributes:
        runs: the folder of runs.
        data_dir: where larger data sets lie.
        device: what to train on.
    """

    runs: Path = Path("runs")
    data_dir: Path | None = None
    device: str = "auto"
    seeds: tuple[int, ...] = field(default=(0, 1, 2))

    def run(self, system: str, data: Any = None, **asked: Any) -> Run:
        """Train, or find it trained.

        Raises:
            InputError: it was trained by code that has changed since, so that it says nothing of today's.
        """
        run = train(system, data, runs=self.runs, data_dir=self.data_dir, device=self.device, **asked)
        if run.record.get("code") != codes(run.question):
            raise InputError(f"{run.folder} was trained by code that has changed since: delete it and ask again")
        return run


def spread(values: Iterable[float]) -> dict[str, Any]:
    """Mean, sample standard deviation and the values themselves."""
    each = [float(v) for v in values]
    deviation = statistics.stdev(each) if len(each) > 1 else 0.0
    return {"mean": statistics.fmean(each), "deviation": deviation, "values": each}


def gain(better: dict[str, Any], worse: dict[str, Any]) -> dict[str, Any]:
    """Mean, deviation and values of the difference of two spreads, seed by seed."""
    return spread(a - b for a, b in zip(better["values"], worse["values"], strict=True))


def clear(difference: dict[str, Any]) -> bool:
    """Is the mean of a spread of differences above its standard error?"""
    error: float = difference["deviation"] / len(difference["values"]) ** 0.5
    return bool(difference["mean"] > error)


def claims(name: str) -> list[Claim]:
    """The claims about a system or a library, in the order of their file (`claims/` mirrors `systems/`)."""
    known = [*entries(), *LIBRARIES]
    if name not in known:
        raise nearest(name, known, "system or library")
    path = _file(name)
    if path is None or not path.exists():
        return []
    module = importlib.import_module(".".join(["etude.claims", *path.relative_to(HERE).with_suffix("").parts]))
    return [value for value in vars(module).values() if isinstance(value, Claim)]


def _file(name: str) -> Path | None:
    """Where the claims about one of our own systems, or a library, are."""
    if name in LIBRARIES:
        return HERE / f"{name}.py"
    file = entries()[name].file
    ours = entries()[name].module.startswith("etude.systems.")
    return HERE / file.parent.name / file.name if file and ours else None


def code(about: str, name: str) -> str:
    """A hash of what a finding depends on: the system's file or the library's, the claim and what its file shares.

    Comments, docstrings and the other claims of the file do not count.
    """
    sha = hashlib.sha256()
    for path in (*_sources(about), _file(about)):
        if path and path.exists():
            tree = without_prose(path)
            tree.body = [node for node in tree.body if not _is_claim(node) or getattr(node, "name", "") == name]
            sha.update(ast.dump(tree).encode())
    return sha.hexdigest()[:12]


def _sources(about: str) -> list[Path | None]:
    """The files of a system or of a library."""
    if about not in LIBRARIES:
        return [entries()[about].file]
    file = LIBRARIES[about].file
    return [*sorted(file.parent.rglob("*.py"))] if file and file.name == "__init__.py" else [file]


def _is_claim(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and any("claim" in ast.dump(d) for d in node.decorator_list)


def findings() -> dict[tuple[str, str], dict[str, Any]]:
    """The newest finding on each claim, by (system, claim); `stale` says that the code has changed since."""
    newest = {}
    for line in FINDINGS.read_text().splitlines() if FINDINGS.exists() else []:
        entry = json.loads(line)
        newest[entry["system"], entry["claim"]] = entry
    for (system, name), entry in newest.items():
        entry["stale"] = entry["code"] != code(system, name)
    return newest


def reproduce(system: str, lab: Lab, only: str | None = None) -> list[dict[str, Any]]:
    """Run the experiments on the claims about a system or a library and file what they found.

    Raises:
        InputError: there are no claims, or none called `only`.
    """
    every = claims(system)
    if not every:
        raise InputError(f"{system} has no claims to reproduce")
    if only is not None and only not in {c.name for c in every}:
        raise nearest(only, {c.name for c in every}, f"claim of {system}")
    filed = []
    for each in every:
        if only in (None, each.name):
            began = time.monotonic()
            found = each.experiment(lab)
            entry = {
                "system": system,
                "claim": each.name,
                "statement": each.statement,
                "source": each.source,
                "verdict": "holds" if found.holds else "fails",
                "numbers": found.numbers,
                "note": found.note,
                "plots": {title: asdict(plot) for title, plot in found.plots.items()},
                "minutes": round((time.monotonic() - began) / 60, 2),
                "machine": _machine(),
                "commit": commit(),
                "code": code(system, each.name),
                "date": datetime.now(UTC).date().isoformat(),
                "command": f"etude reproduce {system} --only {each.name}",
            }
            with FINDINGS.open("a") as file:
                file.write(json.dumps(entry) + "\n")
            filed.append(entry)
    return filed


def _machine() -> str:
    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{platform.machine()}, {torch.get_num_threads()} threads{gpu}"
