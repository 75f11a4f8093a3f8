import numpy as np
import pytest
from tests.autodiff.building import given

import etude.autodiff.rules  # noqa: F401
from etude.autodiff.kinds import Array, Number
from etude.autodiff.primitives import PRIMITIVES, Binding, Builder, Symbol, atom
from etude.autodiff.program import Constant, Program
from etude.autodiff.source import compiled

A, X = Constant(2.0, "a"), Constant(3.0, "x")


def test_a_rule_computes_on_values_and_writes_on_symbols() -> None:
    rule = PRIMITIVES["div"].reverse[1]
    assert rule is not None
    assert rule(1.0, 1.5, 3.0, 2.0) == -0.75
    variables = given("d y a b")
    builder = Builder()
    result = rule(*map(builder.symbol, variables))
    assert [op.primitive.name for op in builder.block] == ["div", "mul", "negate"]  # type: ignore[union-attr]
    program = Program("rule", tuple(variables), builder.block, (atom(result),))
    assert compiled(program)(1.0, 1.5, 3.0, 2.0) == -0.75


def test_operators_of_symbols_are_those_of_numbers() -> None:
    x, y = variables = given("x y")
    builder = Builder()
    a, b = builder.symbol(x), builder.symbol(y)
    result = (2 + a * b - b / a) ** 2 - (1 - a) + (-b) * 3 + 1 / b
    program = Program("f", tuple(variables), builder.block, (atom(result),))
    u, v = 1.3, 0.7
    assert compiled(program)(u, v) == pytest.approx((2 + u * v - v / u) ** 2 - (1 - u) + (-v) * 3 + 1 / v)


def test_a_builder_knows_the_kind_and_the_line() -> None:
    x, w = given("x")[0], given("w", Array(2))[0]
    builder = Builder(line=7)
    assert builder.emit(PRIMITIVES["mul"], x, w).kind == Array(2)
    assert builder.emit(PRIMITIVES["sum"], w, axis=Constant(0)).kind == Array(1)
    assert builder.block[0].line == 7
    assert isinstance(builder.symbol(x).kind, Number)


def test_functions_come_from_math_beside_functions_from_math() -> None:
    builder = Builder(scalar=True)
    builder.emit(PRIMITIVES["cos"], given("x")[0])
    assert builder.block[0].primitive.name == "math.cos"  # type: ignore[union-attr]


def test_bindings_sort_arguments() -> None:
    binding = Binding(PRIMITIVES["sum"], ("a", "axis", "keepdims"), 1, {"extra": 1})
    inputs, keywords = binding.arguments([A, X], {})
    assert inputs == (A,)
    assert {key: getattr(value, "value", None) for key, value in keywords.items()} == {"axis": 3.0, "extra": 1}
    assert binding.arguments([], {"a": A})[0] == (A,)
    assert Binding(PRIMITIVES["concatenate"], ("axis",), None).arguments([A, X], {}) == ((A, X), {})


@pytest.mark.parametrize(
    ("given_atoms", "named", "message"),
    [
        ([A, X, A, X], {}, "sum takes 3 arguments, not 4"),
        ([A], {"a": X}, "sum does not take 'a' here"),
        ([A], {"where": X}, "sum does not take 'where' here"),
        ([], {}, "sum needs a"),
    ],
)
def test_wrong_arguments_are_told(given_atoms: list[Constant], named: dict[str, Constant], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Binding(PRIMITIVES["sum"], ("a", "axis", "keepdims")).arguments(given_atoms, named)  # type: ignore[arg-type]


def test_values_become_atoms() -> None:
    (x,) = given("x")
    assert atom(x) is x
    assert atom(Symbol(x, Builder())) is x
    assert atom(2.0).value == 2.0  # type: ignore[union-attr]
    assert np.isnan(PRIMITIVES["add"](1.0, np.nan))
