from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.autodiff import zoo
from tests.autodiff.building import INTEGER, given, op, span
from tests.autodiff.interpret import run

from etude.autodiff import jvp, program
from etude.autodiff.forward import forward, forward_function
from etude.autodiff.program import MISSING, Carry, Function, If, Loop, Merge, Program, Variable, Write
from etude.autodiff.source import source

ALL: dict[Any, tuple[Any, ...]] = {**zoo.NUMBERS, **zoo.ARRAYS}
A, B = np.array([0.3, -0.8, 1.4]), np.array([[1.2], [0.7]])

SPREADING: list[Callable[..., Any]] = [
    lambda x, a: x + a,
    lambda x, a: a - x,
    lambda x, a: x * a,
    lambda x, a: a / x,
    lambda x, a: a * a * x**2,
    lambda x, a: np.where(a > 0, x, a),
    lambda x, a: np.where(a > 0, a, x),
    lambda x, a: np.maximum(a, x),
    lambda x, a: np.minimum(x, a),
    lambda x, a: np.clip(a, -x, x),
    lambda x, a: np.clip(a, x, 5.0),
    lambda x, a: np.hypot(x, a),
    lambda x, a: np.arctan2(x, a),
    lambda x, a: np.logaddexp(a, x),
    lambda x, a: np.exp(x) + a,
    lambda x, a: np.broadcast_to(x, a.shape),
    lambda x, a: np.full(3, x) + a,
    lambda x, a: np.stack([a, a + x]),
]


@pytest.mark.parametrize("function", SPREADING, ids=range(len(SPREADING)))
@pytest.mark.parametrize("varying", [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("shape", ["vector", "column"])
def test_tangents_have_the_shape_of_the_result(
    function: Callable[..., Any], varying: tuple[float, float], shape: str
) -> None:
    """A number that varies beside an array that does not has a change in the array's shape."""
    x, array = 0.6, A if shape == "vector" or function is SPREADING[16] else B
    direction = (varying[0], varying[1] * np.cos(array))
    value, change = jvp(function, (x, array), direction)
    assert np.shape(change) == np.shape(value)
    ends = [function(x + h * direction[0], array + h * direction[1]) for h in (1e-6, -1e-6)]
    np.testing.assert_allclose(change, (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("function", SPREADING, ids=range(len(SPREADING)))
def test_sums_count_every_place_that_changes(function: Callable[..., Any]) -> None:
    value, change = jvp(lambda x: np.sum(function(x, A) * A), (0.6,), (1.0,))
    ends = [np.sum(function(0.6 + h, A) * A) for h in (1e-6, -1e-6)]
    assert change == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-8)
    assert value == np.sum(function(0.6, A) * A)


def test_a_sum_of_a_number_and_an_array() -> None:
    assert jvp(lambda x, a: np.sum(x + a), (1.0, np.zeros(5)), (1.0, np.zeros(5))) == (5.0, 5.0)


@pytest.mark.parametrize("function", ALL, ids=lambda function: function.__name__)
def test_the_program_stays_and_each_direction_adds_its_lines(function: Any) -> None:
    arguments = ALL[function]
    made = program(function, arguments).prepared
    mask = tuple(parameter.kind.differentiable for parameter in made.parameters)
    one, two = forward(made, mask), forward(made, mask, 2)
    assert one.parameters[: len(arguments)] == made.parameters
    assert one.results[0] == made.results[0]
    directions = [tuple(k * np.ones_like(a) if np.ndim(a) else k for a in arguments) for k in (1.0, -2.0)]
    value, first, second = run(two, *arguments, *directions[0], *directions[1])
    assert run(one, *arguments, *directions[0]) == (value, first)
    assert second == pytest.approx(-2 * first, rel=1e-9)
    assert value == run(made, *arguments)


def test_work_is_proportional_to_the_program() -> None:
    """Forward mode adds to each statement a fixed number: the printed program grows by a factor below 4."""
    for function, arguments in ALL.items():
        made = program(function, arguments).prepared
        lines = source(forward(made, tuple(p.kind.differentiable for p in made.parameters)), "textbook").text
        assert lines.count("\n") <= 4 * source(made, "textbook").text.count("\n")


def test_what_is_stacked_has_a_stack_of_tangents() -> None:
    x, s, s1, result = given("x s s s")
    i, n = given("i n", INTEGER)
    stack = Variable("stack")
    loop = Loop([op(s1, "mul", s, x)], [Carry(s, x, s1, result)], i, span(n), writes=[Write(stack, (s1, i))])
    made = forward(Program("f", (x, n), [loop], (result, stack)), (True, False))
    value, items, change, changes = run(made, 3.0, 2, 1.0)
    assert (value, change) == (27.0, 27.0)
    assert items == [(9.0, 0), (27.0, 1)]
    assert changes == [(6.0, 0.0), (27.0, 0.0)]


def test_what_is_missing_has_a_missing_tangent() -> None:
    x, y, z = given("x y y")
    branch = If(x, [op(z, "mul", x, x)], [], [Merge(y, z, MISSING)])
    made = forward(Program("f", (x,), [branch], (y,)), (True,))
    assert run(made, 3.0, 1.0) == (9.0, 6.0)
    assert run(made, 0.0, 1.0) == (None, None)


def test_the_forward_mode_of_a_function_is_made_once() -> None:
    x, y = given("x y")
    function = Function("f", lambda: Program("f", (x,), [op(y, "mul", x, x)], (y,)))
    assert forward_function(function, (True,), 1) is forward_function(function, (True,), 1)
    assert forward_function(function, (True,), 1) is not forward_function(function, (True,), 2)
    assert forward_function(function, (True,), 1).program.name == "f_forward"
