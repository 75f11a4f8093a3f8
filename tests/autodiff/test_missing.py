import pytest
from tests.autodiff.building import INTEGER, STYLES, given, made, op, span, text
from tests.autodiff.interpret import run

from etude.autodiff.program import MISSING, Carry, If, Loop, Merge, Op, Program, Variable, Write
from etude.autodiff.source import compiled


def conditional(use: list[Op], result: Variable, y: Variable, x: Variable) -> Program:
    """`if x > 0: y = -x`, then what uses y."""
    test, value = made("t", INTEGER)[0], given("y")[0]
    branch = If(test, [op(value, "negate", x), op(made("t")[0], "print", value)], [], [Merge(y, value, MISSING)])
    return Program("f", (x,), [op(test, "gt", x, 0), branch, *use], (result,))


def test_arithmetic_needs_no_none() -> None:
    x, y, z = given("x y z")
    program = conditional([op(z, "add", y, x)], z, y, x)
    assert "None" not in text(program)
    assert compiled(program)(2.0) == 0.0
    with pytest.raises(UnboundLocalError):
        compiled(program)(-1.0)


def test_what_may_be_read_holds_none() -> None:
    x, y, z = given("x y z")
    for name, inputs, keywords in (("zeros_like", (y,), {}), ("tuple", (y, x), {}), ("is_", (y, None), {})):
        program = conditional([op(z, name, *inputs, **keywords)], z, y, x)
        assert "y = None" in text(program)
        for style in STYLES:
            for value in (1.0, -1.0):
                assert compiled(program, style)(value) == run(program, value)


def test_results_hold_none() -> None:
    x, y = given("x y")
    program = conditional([], y, y, x)
    assert compiled(program)(-1.0) is None


def looping(stored: bool) -> Program:
    """for i in range(n): y = x * i; the y of the pass before may be stored; then y + x."""
    x, y, following, result, z = given("x y y y z")
    n, i = given("n i", INTEGER)
    stack = made("stack")[0]
    loop = Loop([op(following, "mul", x, i)], [Carry(y, MISSING, following, result)], i, span(n))
    if stored:
        loop.writes = [Write(stack, (y,))]
    return Program("f", (x, n), [loop, op(z, "add", result, x)], (z, stack) if stored else (z,))


def test_loops() -> None:
    assert "None" not in text(looping(False))
    assert compiled(looping(False))(0.5, 3) == 1.5
    assert "y = None" in text(looping(True))
    assert compiled(looping(True))(0.5, 3) == run(looping(True), 0.5, 3)
