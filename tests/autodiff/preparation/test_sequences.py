"""Loops over ranges, arrays, lists, tuples and dictionaries, alone or combined."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.autodiff.preparation.agreement import agrees

from etude.autodiff.checkpoint import checkpoint
from etude.autodiff.kinds import Array, Number
from etude.autodiff.program import Loop


def forwards(xs: Any, ys: Any) -> Any:
    total = 0.0
    for x in xs:
        total = total * 2 + x
    for k, x in enumerate(xs, 1):
        total = total + k * x
    for x, y in zip(xs, ys, strict=False):
        total = total * 0.5 + x * y
    for k, (x, y) in enumerate(zip(xs, ys, strict=False)):
        total = total + k * (x - y)
    return total


def backwards(xs: Any, ys: Any) -> Any:
    total, n = 0.0, len(xs)
    for x in reversed(xs):
        total = total * 2 + x
    for k in reversed(range(1, n, 2)):
        total = total * 0.5 + k
    for k, x in zip(range(n, 0, -2), reversed(xs), strict=False):
        total = total * k + x
    for k in range(10, 3, -3):
        total = total - k * total
    for x, k in zip(reversed(ys), reversed(range(2, 2 * n)), strict=False):
        total = total - x * k
    return total


def stopping(xs: Any, ys: Any) -> Any:
    total = 0.0
    for x, y in zip(xs, ys, strict=False):
        if x > y:
            break
        total = total + x
    for k in range(2, 20, 3):
        if k > total:
            break
        total = total + k
    for x in reversed(xs):
        if x < 0:
            return total
        total = total + 10 * x
    for k in range(5, -5, -2):
        if k < total:
            break
        total = total + k
    return total - 1


numbers = st.lists(st.floats(-4, 4), min_size=1, max_size=4)


@given(numbers, numbers)
@pytest.mark.parametrize("function", [forwards, backwards, stopping])
def test_lists_and_arrays(function: Any, xs: list[float], ys: list[float]) -> None:
    assert agrees(function, xs, ys).results[0].kind == Number()
    agrees(function, tuple(xs), tuple(ys))
    agrees(function, np.array(xs), ys)


def rows(x: Any) -> Any:
    total = np.zeros(2)
    for row in x:
        for value in row:
            total = total + row * value
    return total


def test_rows_of_an_array() -> None:
    assert agrees(rows, np.arange(6.0).reshape(3, 2)).results[0].kind == Array(1)


def several_kinds(x: Any, w: Any) -> Any:
    total = x
    parts: Any = ((x, 2), (w, 3.0), ([x, x], None))
    for part, scale in parts:
        if scale is not None:
            total = total + part * scale
        else:
            for each in part:
                total = total * each
    for k, part in enumerate((x, w)):
        if k > 0 and np.sum(part) > 100:
            break
        total = total + part
    return total


def test_items_of_several_kinds_are_treated_one_by_one() -> None:
    made = agrees(several_kinds, 2.0, np.arange(3.0))
    assert made.results[0].kind == Array(1)
    assert len([statement for statement in made.body if isinstance(statement, Loop)]) == 1
    agrees(several_kinds, 2.0, np.arange(3.0) * 1000)


def by_key(parameters: dict[str, Any], x: Any) -> Any:
    for name, value in parameters.items():
        x = x @ value if name == "W" else x + value
    return x, {name: np.sum(value) for name, value in parameters.items()}


def test_dictionaries() -> None:
    agrees(by_key, {"W": np.ones((2, 3)), "b": np.ones(3)}, np.arange(2.0))


def layers(parameters: Any, x: Any) -> Any:
    *hidden, (last, offset) = parameters if isinstance(parameters, tuple) else (parameters[0], parameters[1])
    for weights, bias in hidden:
        x = np.tanh(x @ weights + bias)
    return x @ last + offset


def deep(parameters: list[Any], x: Any) -> Any:
    for weights, bias in parameters[:-1]:
        x = np.tanh(x @ weights + bias)
    weights, bias = parameters[-1]
    return x @ weights + bias


def test_parameters_of_layers() -> None:
    parameters = [(np.ones((2, 3)), np.ones(3)), (np.ones((3, 1)), np.zeros(1))]
    agrees(layers, parameters, np.arange(2.0))
    agrees(layers, tuple(parameters), np.arange(2.0))
    assert agrees(deep, parameters, np.arange(2.0)).results[0].kind == Array(1)


def empty(x: float) -> Any:
    nothing: list[float] = []
    for each in nothing:
        x = x + each
    return x, [2 * y for y in nothing], list(range(0))


def test_nothing_to_go_through() -> None:
    agrees(empty, 1.0)


def carried_only_where_needed(x: float, n: int) -> float:
    y = total = 0.0
    for i in range(n):
        y = x * i
        z = y + 1
        total = total + y * z
    y = total * 2
    return y * y


def test_a_loop_carries_only_what_is_read_later() -> None:
    made = agrees(carried_only_where_needed, 1.5, 3)
    loop = next(statement for statement in made.body if isinstance(statement, Loop))
    assert [carry.variable.name for carry in loop.carried] == ["total"]


def checkpointed(x: float, n: int) -> float:
    for i in checkpoint(range(n, 0, -1)):
        x = checkpoint(doubled)(x) + i
    return x


def doubled(x: float) -> float:
    return 2 * x


def test_checkpoints() -> None:
    made = agrees(checkpointed, 1.5, 3)
    loop = next(statement for statement in made.body if isinstance(statement, Loop))
    assert loop.checkpointed
