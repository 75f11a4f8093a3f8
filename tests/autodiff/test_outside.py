import math
from typing import Any

import numpy as np
from tests.autodiff.building import agree, function, given, op, text

from etude.autodiff.primitives import Primitive
from etude.autodiff.program import Call, Constant, Op, Program
from etude.autodiff.source import compiled, source


def test_constants_of_modules_are_printed_as_themselves() -> None:
    x, y, z = given("x y z")
    program = Program(
        "f", (x,), [op(y, "mul", x, Constant(np.pi, "np.pi")), op(z, "add", y, Constant(math.e, "math.e"))], (z,)
    )
    printed = source(program)
    assert printed.text.startswith("import math\n\nimport numpy as np\n\n\ndef f(x):\n")
    assert "x * np.pi" in printed.text
    assert printed.namespace == {}
    agree(program, 0.5)


def test_a_constant_that_is_not_what_its_name_says_comes_from_the_namespace() -> None:
    x, y = given("x y")
    program = Program("f", (x,), [op(y, "mul", x, Constant(4.0, "np.pi"))], (y,))
    assert source(program).namespace == {"np_pi": 4.0}
    agree(program, 0.5)


def test_two_captured_values_of_one_name() -> None:
    x, y, u, v, w = given("x y u v w")
    inner = Program("g", (x,), [op(y, "mul", x, Constant(2.0, "k"))], (y,))
    program = Program("f", (u,), [Call((v,), function(inner), (u,)), op(w, "mul", v, Constant(3.0, "k"))], (w,))
    assert set(source(program).namespace) == {"k", "k1"}
    assert compiled(program)(1.0) == 6.0


def test_arrays_come_from_the_namespace() -> None:
    x, y = given("x y")
    weights = np.arange(3.0)
    program = Program("f", (x,), [op(y, "mul", x, Constant(weights))], (y,))
    (value,) = source(program).namespace.values()
    assert value is weights
    agree(program, 2.0)


def test_functions_of_the_user() -> None:
    def root(x: Any) -> Any:
        return x**0.5

    x, y, z = given("x y z")
    own = Primitive("tools.root", root, template="tools.root({*})")
    program = Program("f", (x,), [Op((y,), own, (x,)), op(z, "negate", y)], (z,))
    assert "y = tools_root(x)" in text(program)
    assert source(program).namespace == {"tools_root": root}
    agree(program, 4.0)


def test_own_names_do_not_hide_helpers() -> None:
    """A function of the user named as a helper, and one named as a primitive of the textbook."""
    x, y, u, v, w = given("x y u v w")
    inner = Program("zeros_like", (x,), [op(y, "zeros_like", x)], (y,))
    program = Program("mul", (u,), [Call((v,), function(inner), (u,)), op(w, "add", v, u)], (w,))
    agree(program, 2.0)
    assert "def zeros_like1(" in text(program)


def test_named_constants_do_not_meet_variables() -> None:
    k, y = given("k y")
    program = Program("f", (k,), [op(y, "mul", k, Constant(3.0, "k"))], (y,))
    assert compiled(program)(2.0) == 6.0


def test_what_python_itself_names_is_not_assigned() -> None:
    x, y = given("x y")
    other = Constant(ValueError, "ValueError", lambda: ValueError)
    body = [op((), "raise_", "no", error=Constant(ValueError, "ValueError")), op((), "raise_", "no", error=other)]
    printed = source(Program("f", (x,), [*body, op(y, "negate", x)], (y,)))
    assert printed.namespace == {}
    assert printed.text.startswith("def f(x):\n    raise ValueError('no')\n    raise ValueError('no')\n")


def test_a_builtin_whose_name_a_function_has_gets_another() -> None:
    x, y = given("x y")
    error = op((), "raise_", "no", error=Constant(ValueError, "ValueError"))
    program = Program("ValueError", (x,), [error, op(y, "negate", x)], (y,))
    assert source(program).namespace == {"ValueError1": ValueError}


def test_a_renamed_value_says_what_it_is() -> None:
    x, y = given("x y")
    weights = np.arange(3.0)
    program = Program("f", (x,), [op(y, "mul", x, Constant(weights, "T"))], (y,))
    assert "# T is from outside: ndarray" in source(program).text
    assert "# T1 is T, from outside: ndarray" in source(program, "textbook").text
