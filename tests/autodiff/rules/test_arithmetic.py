"""Arithmetic against finite differences and PyTorch, for numbers and arrays with broadcasting."""

import operator
from typing import Any

import numpy as np
import pytest
import torch
from tests.autodiff.interpret import run
from tests.autodiff.rules.checks import Case, check, check_kind, check_single_precision, check_torch

from etude.autodiff.forward import forward
from etude.autodiff.kinds import Array, Integer, Number, Other
from etude.autodiff.primitives import FUNCTIONS, PRIMITIVES, Builder
from etude.autodiff.program import Constant, Program, Variable
from etude.autodiff.reverse import joined

A = np.array([[0.5, -1.3, 2.1], [1.7, 0.4, -0.6]])
B = np.array([[1.1], [-0.7]])
C = np.array([0.9, 1.9, -2.3])
POSITIVE = np.array([0.5, 1.3, 2.1])

PAIRS: list[tuple[Any, Any]] = [(1.3, -0.7), (A, 1.3), (1.3, A), (A, B), (B, C), (A, C), (2, A), (C, 3)]
CASES = [
    *(
        Case(name, pair, torch=function)
        for name, function in (
            ("add", operator.add),
            ("sub", operator.sub),
            ("mul", operator.mul),
            ("div", operator.truediv),
        )
        for pair in PAIRS
    ),
    *(Case("mod", pair) for pair in [(1.3, -0.7), (A, 0.9), (3.1, A), (A, B), (B, C)]),
    *(
        Case("pow", pair, torch=operator.pow)
        for pair in ((1.3, 0.7), (1.3, -2), (-1.3, 3), (A, 2), (A, 3), (POSITIVE, 0.5), (POSITIVE, A), (2, A), (1.5, A))
    ),
    *(Case("negate", (x,), torch=operator.neg) for x in (1.3, A)),
    *(Case("positive", (x,), torch=operator.pos) for x in (1.3, A)),
    Case("where", (C > 0, A, B), torch=lambda c, x, y: torch.where(torch.tensor(C > 0), x, y)),
    Case("where", (A > 0, B, C), torch=lambda c, x, y: torch.where(torch.tensor(A > 0), x, y)),
    Case("select", (True, 1.3, 0.7)),
    Case("select", (False, 1.3, 0.7)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rules(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=str)
def test_pytorch(case: Case) -> None:
    check_torch(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_single_precision(case: Case) -> None:
    check_single_precision(case)


def test_a_choice_of_numbers_by_an_array() -> None:
    check(Case("where", (C > 0, A, 1.5)))


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("add", (2, 3)),
        ("add", (np.arange(3), 2)),
        ("add", (np.arange(3), 2.0)),
        ("div", (2, 3)),
        ("div", (np.arange(1, 3), 3)),
        ("pow", (2, 3)),
        ("floordiv", (7, 2)),
        ("floordiv", (7.5, 2)),
        ("mod", ("%d of %d", (1, 2))),
        ("add", ("a", "b")),
        ("lt", (1.0, 2)),
        ("lt", (A, 2)),
        ("eq", (A, C)),
        ("eq", ("a", "b")),
        ("is_", (None, None)),
        ("is_not", (None, 1)),
        ("in_", ("a", ("a", "b"))),
        ("not_in", ("a", ("a", "b"))),
        ("not_", (1.0,)),
        ("bit_and", (A > 0, C > 0)),
        ("bit_or", (5, 2)),
        ("bit_xor", (5, 3)),
        ("bit_not", (A > 0,)),
        ("shift_left", (1, 3)),
        ("shift_right", (8, 1)),
    ],
)
def test_kinds_of_what_is_no_real_number(name: str, inputs: tuple[Any, ...]) -> None:
    check_kind(Case(name, inputs))


def derivatives(name: str, *values: float) -> tuple[float, ...]:
    """The partial derivatives of a primitive at a point."""
    parameters = tuple(Variable(f"x{k}", Number()) for k in range(len(values)))
    builder = Builder()
    result = builder.emit(PRIMITIVES[name], *parameters)
    program = Program("f", parameters, builder.block, (result,))
    found: tuple[float, ...] = run(joined(program, (True,) * len(values)), *values, 1.0)[1:]
    return found


@pytest.mark.parametrize(
    ("x", "n", "expected"),
    [
        (0.0, 1.0, (1.0, 0.0)),
        (0.0, 2.0, (0.0, 0.0)),
        (0.0, 0.0, (0.0, 0.0)),
        (-2.0, 0.0, (0.0, np.nan)),
        (2.0, 0.0, (0.0, np.log(2.0))),
    ],
)
def test_powers_of_zero_and_zeroth_powers(x: float, n: float, expected: tuple[float, float]) -> None:
    np.testing.assert_allclose(derivatives("pow", x, n), expected)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 0.0, 1.0, 2.5])
def test_a_power_that_is_a_literal_is_smooth_at_zero(n: float) -> None:
    x = Variable("x", Number())
    builder = Builder()
    result = builder.emit(PRIMITIVES["pow"], x, Constant(n))
    program = forward(Program("f", (x,), builder.block, (result,)), (True,))
    assert run(program, 0.0, 1.0) == (0.0**n, 1.0 if n == 1 else 0.0)
    assert "log" not in {op.primitive.name for op in program.body}  # type: ignore[union-attr]


@pytest.mark.parametrize(("numerator", "names"), [(1, ["mul", "div", "negate"]), (3, ["mul", "mul", "div", "negate"])])
def test_a_quotient_with_a_literal_numerator_is_derived_as_on_the_slide(numerator: int, names: list[str]) -> None:
    y = Variable("y", Number())
    builder = Builder()
    result = builder.emit(PRIMITIVES["div"], Constant(numerator), y)
    program = forward(Program("f", (y,), builder.block, (result,)), (True,))
    assert [op.primitive.name for op in program.body[1:]] == names  # type: ignore[union-attr]
    assert run(program, 0.5, 1.0) == (2.0 * numerator, -4.0 * numerator)


def test_a_quotient_is_derived_without_squares_that_overflow() -> None:
    np.testing.assert_allclose(derivatives("div", 1e300, 1e200), (1e-200, -1e-100))


def test_operators_and_functions_of_numpy_become_primitives() -> None:
    assert FUNCTIONS[operator.add].primitive is FUNCTIONS[np.add].primitive is PRIMITIVES["add"]
    assert FUNCTIONS[pow].primitive is FUNCTIONS[np.power].primitive is PRIMITIVES["pow"]
    assert FUNCTIONS[np.where].arguments((Constant(True), Constant(1.0)), {"y": Constant(2.0)})[0][2].value == 2.0  # type: ignore[union-attr]


def test_arithmetic_of_lists_is_refused() -> None:
    with pytest.raises(TypeError, match=r"np\.array"):
        PRIMITIVES["mul"].kind(Array(1), PRIMITIVES["list"].kind(Number(), Number()))


def test_a_comparison_is_no_real_number() -> None:
    assert PRIMITIVES["lt"].kind(Array(2), Number()) == Array(2, real=False)
    assert PRIMITIVES["lt"].kind(Number(), Integer()) == Integer()
    assert PRIMITIVES["mod"].kind(Other(), Number()) == Other()
