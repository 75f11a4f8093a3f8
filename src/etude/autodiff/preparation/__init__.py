"""From a Python function, by its source, to its program in A-normal form for arguments of given kinds."""

import inspect
from collections.abc import Callable
from typing import Any

import etude.autodiff.rules  # noqa: F401
from etude.autodiff.kinds import Kind
from etude.autodiff.preparation.calls import Lifted
from etude.autodiff.preparation.specialisation import specialisation
from etude.autodiff.program import Function

__all__ = ["parameters_of", "prepare"]


def prepare(function: Callable[..., Any] | Lifted, kinds: tuple[Kind, ...], names: tuple[str, ...] = ()) -> Function:
    """The program of a Python function for arguments of these kinds.

    The program is written when it is first asked for, and once for each combination of kinds. Its parameters are the
    arguments given, in their order; of a nested function that captures variables, these follow.

    Args:
        function: a function, lambda or method whose source is at hand.
        kinds: the kinds of the arguments by position, then of those by name.
        names: the names of the arguments by name.

    Raises:
        TransformError: if the function's source is not at hand, or when the program is written: if the function does
            what a program cannot express.
        TypeError: if the function does not take such arguments.
    """
    return specialisation(function.code if isinstance(function, Lifted) else function, kinds, names).function


def parameters_of(function: Callable[..., Any]) -> inspect.Signature:
    """The parameters that a function takes.

    Raises:
        TypeError: if it is not callable.
    """
    return inspect.signature(function)
