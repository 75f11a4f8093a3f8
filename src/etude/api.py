"""The Python door: what the command line does, as two functions."""

from typing import Any

from etude.engine import distributed
from etude.engine import train as engine
from etude.engine.run import Run, load
from etude.report import page

__all__ = ["load", "train"]


def train(system: Any, data: Any = None, **asked: Any) -> Run:
    """Train a system and write its report: `run = etude.train("vae", data="digits", epochs=30)`, then
    `run.system.sample(16)`.

    Takes what `etude.engine.train.train` takes and raises what it raises; asked the same a second time, goes on or
    finds it finished.
    """
    run = engine.train(system, data, **asked)
    if distributed.first() and not (run.folder / "report.html").exists():
        page.write(run, data)
    return run
