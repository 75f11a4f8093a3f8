"""Programs as functions that can be called."""

from collections.abc import Callable
from typing import Any

from etude.autodiff.optimise import optimised
from etude.autodiff.program import Function
from etude.autodiff.source import compiled


def executable(function: Function) -> Callable[..., Any]:
    """The function's program, optimised and compiled, once."""
    return function.once("executable", lambda: compiled(optimised(function.program)))
