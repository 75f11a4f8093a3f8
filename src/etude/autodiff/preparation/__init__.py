"""From a Python function, by its source, to its program in A-normal form for arguments of given kinds."""

from collections.abc import Callable
from typing import Any

import etude.autodiff.rules  # noqa: F401
from etude.autodiff.kinds import Closure, Kind, kinds_of
from etude.autodiff.preparation.calls import Lifted
from etude.autodiff.preparation.sources import Known, origin_of, place
from etude.autodiff.preparation.specialisation import specialisation
from etude.autodiff.program import Function

__all__ = ["argument_kinds", "passed", "prepare"]


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


def argument_kinds(values: tuple[Any, ...]) -> tuple[Kind, ...]:
    """The kinds of the arguments of a call (`kinds_of`), among which may be functions."""
    return tuple(
        _function_kind(value) if callable(value) else kind for value, kind in zip(values, kinds_of(values), strict=True)
    )


def _function_kind(function: Callable[..., Any]) -> Closure:
    """The kind of a function, one for all that mean the same."""
    origin = origin_of(function)
    same = function if origin.owner is not None else origin.function
    return Closure(Known(origin.name, id(same), same, place(same)))


def passed(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a call as its program takes them: what a function is, its kind says."""
    return tuple(() if callable(value) else value for value in values)
