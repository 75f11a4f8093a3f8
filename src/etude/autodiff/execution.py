"""Programs as functions that can be called: compiled once, from any thread."""

import threading
from collections.abc import Callable
from typing import Any

from etude.autodiff.optimise import optimised
from etude.autodiff.program import Function
from etude.autodiff.source import compiled

lock = threading.RLock()
"""Held while programs are made, so that each is made once."""


def executable(function: Function) -> Callable[..., Any]:
    """The function's program, optimised and compiled."""
    with lock:
        return function.once("executable", lambda: compiled(optimised(function.program)))
