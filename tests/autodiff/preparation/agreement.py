"""Comparing a Python function with its program."""

from collections.abc import Callable
from typing import Any

import numpy as np
from tests.autodiff.interpret import run

from etude.autodiff.kinds import kind_of
from etude.autodiff.preparation import prepare
from etude.autodiff.program import Program


def program(function: Callable[..., Any], *values: Any, **named: Any) -> Program:
    """The program of a function for these arguments."""
    kinds = tuple(kind_of(value) for value in (*values, *named.values()))
    return prepare(function, kinds, tuple(named)).program


def agrees(function: Callable[..., Any], *values: Any, **named: Any) -> Program:
    """The program of a function, which returns what the function itself returns for these arguments."""
    made = program(function, *values, **named)
    assert_same(run(made, *values, *named.values()), function(*values, **named))
    return made


def assert_same(found: Any, wanted: Any) -> None:
    assert type(found) is type(wanted)
    if isinstance(wanted, tuple | list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(wanted, dict):
        assert list(found) == list(wanted)
        assert_same(list(found.values()), list(wanted.values()))
    else:
        np.testing.assert_array_equal(found, wanted)
