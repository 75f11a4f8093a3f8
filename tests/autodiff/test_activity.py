from typing import Any

import numpy as np
import pytest
from tests.autodiff import zoo
from tests.autodiff.building import INTEGER, given, op, span

from etude.autodiff import derivative_source, program
from etude.autodiff.activity import active, smooth
from etude.autodiff.program import Carry, Constant, If, Loop, Merge, Program, Read, Variable, Write, assigned


def names(made: Program, *origins: Variable) -> list[str]:
    return sorted(variable.name for variable in active(made, origins))


def test_what_depends_smoothly_is_active() -> None:
    x, y, a, b, c, d = given("x y a b c d")
    body = [op(a, "mul", x, 2), op(b, "floor", a), op(c, "add", b, y), op(d, "gt", a, 0)]
    made = Program("f", (x, y), [*body], (c,))
    assert names(made, x) == ["a", "x"]
    assert names(made, y) == ["c", "y"]
    assert smooth(body[1]) == []
    assert smooth(body[2]) == [b, y]


def test_integers_are_never_active() -> None:
    x, y = given("x y")
    n, m = given("n m", INTEGER)
    made = Program("f", (x, n), [op(m, "add", n, 1), op(y, "mul", x, m)], (y,))
    assert names(made, x, n) == ["x", "y"]


def test_activity_goes_round_loops_until_nothing_is_new() -> None:
    """After three passes c depends on x: a takes x, b takes a, c takes b."""
    x, a, b, c, a1, b1, c1 = given("x a b c a1 b1 c1")
    i, n = given("i n", INTEGER)
    zero = Constant(0.0)
    carried = [Carry(c, zero, b, c1), Carry(b, zero, a, b1), Carry(a, zero, x, a1)]
    made = Program("f", (x, n), [Loop([], carried, i, span(n))], (c1,))
    assert names(made, x) == ["a", "a1", "b", "b1", "c", "c1", "x"]


def test_stacks_are_followed_item_by_item() -> None:
    x, t, s, d = given("x t s d")
    i, n = given("i n", INTEGER)
    stack = Variable("stack")
    loop = Loop([op(t, "mul", x, i)], [], i, span(n), writes=[Write(stack, (t, s))])
    first, second = given("first second")
    again = Loop([], [], reads=[Read((first, second), stack)])
    made = Program("f", (x, s, n), [loop, again], (d,))
    assert {"first", "stack"} <= set(names(made, x))
    assert "second" not in names(made, x)


def test_a_branch_makes_active_what_either_side_does() -> None:
    x, y, z, w = given("x y z w")
    test = given("t", INTEGER)[0]
    made = Program("f", (x, y), [op(test, "gt", x, 0), If(test, [], [], [Merge(z, x, y), Merge(w, y, y)])], (z, w))
    assert names(made, x) == ["x", "z"]


def counting(x: float, n: int) -> float:
    total = 0
    for i in range(n):
        total = total + i * i
    weights = np.arange(n)
    return x * total + float(weights[0]) * x


def test_integers_cost_nothing() -> None:
    text = derivative_source(counting, arguments=(1.0, 3))
    assert text[text.index("# adjoint") :].count("\n") == 2
    assert "stack" not in text


@pytest.mark.parametrize("function", zoo.NUMBERS, ids=lambda function: function.__name__)
def test_what_does_not_move_is_not_active(function: Any) -> None:
    """A program whose parameters do not vary has nothing active."""
    made = program(function, zoo.NUMBERS[function]).prepared
    assert active(made, []) == set()
    assert active(made, made.parameters) <= {*made.parameters, *assigned(made.body)}
