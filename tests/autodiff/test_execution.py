from tests.autodiff.building import given, op

from etude.autodiff.execution import executable
from etude.autodiff.program import Function, Program


def test_a_function_is_compiled_once() -> None:
    x, y, unused = given("x y unused")
    program = Program("f", (x,), [op(unused, "sin", x), op(y, "mul", x, x)], (y,))
    function = Function("f", lambda: program)
    assert executable(function)(3.0) == 9.0
    assert executable(function) is executable(function)
    assert [statement.outputs for statement in program.body] == [(unused,), (y,)]  # type: ignore[union-attr]
