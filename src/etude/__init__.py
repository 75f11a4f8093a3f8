"""Étude: landmark deep-learning systems, faithful to their papers, trained on your own data, proven by their claims.

`import etude` does not import torch; each public name is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etude.api import load, train
    from etude.data.kinds import Batch, Images, Splits, Vectors
    from etude.engine.run import Run
    from etude.errors import InputError
    from etude.systems.system import Classifier, Clock, Losses, Paper, Phase, System, descend

__all__ = [
    "Batch",
    "Classifier",
    "Clock",
    "Images",
    "InputError",
    "Losses",
    "Paper",
    "Phase",
    "Run",
    "Splits",
    "System",
    "Vectors",
    "descend",
    "load",
    "train",
]

_HOMES = {
    "etude.api": ("load", "train"),
    "etude.data.kinds": ("Batch", "Images", "Splits", "Vectors"),
    "etude.engine.run": ("Run",),
    "etude.errors": ("InputError",),
    "etude.systems.system": ("Classifier", "Clock", "Losses", "Paper", "Phase", "System", "descend"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'etude' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
