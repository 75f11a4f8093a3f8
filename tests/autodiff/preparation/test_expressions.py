"""Expressions: programs compute what the functions compute that they are made of."""

import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.autodiff.preparation.agreement import agrees, program

from etude.autodiff.kinds import Array, List, Number, Tuple
from etude.autodiff.program import If, Op, assigned

floats = st.floats(-4, 4)


def arithmetic(x: float, y: float, n: int) -> Any:
    return +x, -x + y * 2.0 - x / (1 + y * y), (x + 5) ** n, n // 2, -n % 3, ~n, n << 2 | 1, n & 6, n ^ 3


def comparisons(x: float, y: float) -> Any:
    return x < y, x <= y, x > y, x >= y, x == y, x != y, not x, x is None, x is not None, -1 < x < y <= 2


def logic(x: float, y: float) -> Any:
    return x and y, x or y, (x > 0 and y > 0) or not (x < y and y), x and y and 1 / y


def conditional(x: float, y: float) -> float:
    return x if x > y else 1 / x if x else y


@given(floats, floats, st.integers(0, 9))
def test_operators(x: float, y: float, n: int) -> None:
    agrees(arithmetic, x, y, n)


@given(floats, floats)
@pytest.mark.parametrize("function", [comparisons, logic, conditional])
def test_conditions(function: Any, x: float, y: float) -> None:
    agrees(function, x, y)


def test_what_is_not_chosen_is_not_evaluated() -> None:
    agrees(conditional, 0.0, 1.0)
    agrees(logic, 0.0, 0.0)
    made = program(conditional, 1.0, 2.0)
    assert not any(isinstance(statement, Op) and statement.primitive.name == "div" for statement in made.body)


def chain(x: float) -> bool:
    return 0 < x < 1 / x


def test_a_chain_of_comparisons_stops_at_the_first_that_fails() -> None:
    agrees(chain, 0.0)
    agrees(chain, 0.5)


def indexing(x: Any, pair: tuple[float, int], i: int) -> Any:
    part = x[1:, ::2]
    return x[0], x[-1, i], part, x[i:, 1], x[..., None], pair[0], pair[pair[1]], x[:, i : i + 1], [1.0, 2.0, 3.0][i]


def test_indexing() -> None:
    made = agrees(indexing, np.arange(12.0).reshape(3, 4), (3.0, 0), 2)
    kinds = made.results[0].kind
    assert isinstance(kinds, Tuple)
    assert kinds.items[:6] == (Array(1), Number(), Array(2), Array(1), Array(3), Number())


def methods(x: Any) -> Any:
    return x.sum(axis=0), x.T, x.shape, x.reshape(-1).mean(), x.ndim, len(x.shape), x.T.dot(x)


def test_methods_and_attributes_of_arrays() -> None:
    made = agrees(methods, np.arange(6.0).reshape(2, 3))
    assert isinstance(made.results[0].kind, Tuple)
    assert made.results[0].kind.items[0] == Array(1)


def comprehensions(xs: list[float], n: int) -> Any:
    x = 7.0
    squares = [x * x for x in xs]
    table = [[i * j for j in range(i)] for i in range(n)]
    positive = [x + y for x in xs if x > 0 for y in squares if y > x]
    triple = [2 * y for y in (x, 1.0, 3.0)]
    best = max(y for y in squares)
    names = {key: len(key) * x for key in ("a", "bc")}
    return squares, table, positive, triple, sum(y * 2 for y in squares), best, names, x


@given(st.lists(floats, min_size=1, max_size=4), st.integers(0, 3))
def test_comprehensions(xs: list[float], n: int) -> None:
    agrees(comprehensions, xs, n)


def containers(x: float, xs: list[float], pair: tuple[float, float]) -> Any:
    both = pair + (x,)  # noqa: RUF005
    items = [x, *pair, *xs, x]
    second = {"b": 2 * x}
    more = {"a": x, **second}
    sums = ([x] + xs, xs + [x], xs + xs)  # noqa: RUF005
    return both, items, more, sums, (x, 1) * 2, [x, x] * 3, "a" in more, (*pair, x), dict(c=x, d=pair)  # noqa: C408


def test_containers() -> None:
    made = agrees(containers, 1.0, [2.0, 3.0], (4.0, 5.0))
    assert isinstance(made.results[0].kind, Tuple)
    assert made.results[0].kind.items[:2] == (Tuple((Number(),) * 3), List(Number()))


def texts(x: float, n: int) -> Any:
    return f"{x} {n:03d} {x!r:>8} {{}}", str(n), f"{'a' if n else 'b'}"


def test_texts() -> None:
    agrees(texts, 1.5, 2)


def walrus(x: float) -> float:
    return (y := x * x) + y


def test_walrus() -> None:
    agrees(walrus, 1.5)


def conversions(x: float, xs: Any) -> Any:
    numbers = float(x), int(x), abs(x), min(x, 2.0), max(x, 1, 3), bool(x), round(x)
    return numbers, list(xs), tuple(y for y in (x, 1.0)), list(range(3)), list(), tuple()  # noqa: C408


def test_builtins() -> None:
    agrees(conversions, 1.25, np.arange(3.0))


def operators(x: float, y: float) -> Any:
    return operator.add(x, y), operator.truediv(x, y), np.sin(x)


def test_functions_of_the_operator_module() -> None:
    agrees(operators, 1.0, 2.0)


def by_kind(x: Any, y: Any = None) -> Any:
    if isinstance(x, tuple):
        return x[0]
    if y is None:
        return x * 2
    if x.ndim == 2:
        return x @ y
    return x * y


def test_tests_on_kinds_are_decided_before_the_program_runs() -> None:
    matrix, vector = np.arange(4.0).reshape(2, 2), np.arange(2.0)
    for values in ((1.0,), ((1.0, 2.0),), (matrix, vector), (vector, vector)):
        assert not any(isinstance(statement, If) for statement in agrees(by_kind, *values).body)


def test_every_variable_is_assigned_once() -> None:
    for made in (agrees(comprehensions, [1.0, -1.0], 3), agrees(logic, 1.0, 2.0)):
        variables = [*made.parameters, *assigned(made.body)]
        assert len(variables) == len(set(variables))


# fmt: off
def nested_expression(x: float) -> Any:
    return (
        x
        * 2
        + np.exp(
            x
        )
    )
# fmt: on


def test_statements_know_the_line_of_the_users_file() -> None:
    made = program(nested_expression, 1.0)
    first = nested_expression.__code__.co_firstlineno
    lines = {statement.primitive.name: statement.line - first for statement in made.body if isinstance(statement, Op)}
    assert lines == {"mul": 2, "add": 2, "exp": 4}
