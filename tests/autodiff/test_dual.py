"""Dual numbers: the Taylor identity, exactly for polynomials; closed forms, complex steps and torch.func otherwise."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from etude.autodiff.dual import Dual, HyperDual, derivative, directional, primal, second_derivative

FRACTIONS = st.fractions(-10, 10, max_denominator=20)
POLYNOMIALS = st.lists(FRACTIONS, min_size=1, max_size=6)


def horner(coefficients: list[Fraction], x: Any) -> Any:
    value: Any = 0
    for coefficient in coefficients:
        value = value * x + coefficient
    return value


def differentiated(coefficients: list[Fraction]) -> list[Fraction]:
    degree = len(coefficients) - 1
    return [c * (degree - i) for i, c in enumerate(coefficients[:-1])]


@given(POLYNOMIALS, FRACTIONS, FRACTIONS)
def test_the_taylor_identity_is_exact_for_polynomials(coefficients: list[Fraction], a: Fraction, b: Fraction) -> None:
    y = horner(coefficients, Dual(a, b))
    assert y.value == horner(coefficients, a)
    assert y.derivative == b * horner(differentiated(coefficients), a)


@given(POLYNOMIALS, FRACTIONS, FRACTIONS, FRACTIONS, FRACTIONS)
def test_hyper_duals_are_exact_for_polynomials(
    p: list[Fraction], a: Fraction, b: Fraction, c: Fraction, d: Fraction
) -> None:
    y = horner(p, HyperDual(a, b, c, d))
    slope, curvature = differentiated(p), differentiated(differentiated(p))
    assert y.value == horner(p, a)
    assert (y.first, y.second) == (b * horner(slope, a), c * horner(slope, a))
    assert y.mixed == d * horner(slope, a) + b * c * horner(curvature, a)


@given(FRACTIONS, FRACTIONS, FRACTIONS, FRACTIONS)
def test_quotients_are_exact(a: Fraction, b: Fraction, c: Fraction, d: Fraction) -> None:
    c = c or Fraction(1)
    quotient = Dual(a, b) / Dual(c, d)
    product = quotient * Dual(c, d)
    assert (product.value, product.derivative) == (a, b)
    assert quotient.derivative == (b * c - a * d) / c**2


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 3, 7])
def test_integer_powers_stay_exact(n: int) -> None:
    y = Dual(Fraction(3, 2), 1) ** n
    assert y.value == Fraction(3, 2) ** n
    assert y.derivative == n * Fraction(3, 2) ** (n - 1)
    assert second_derivative(lambda x: x**n, Fraction(3, 2)) == n * (n - 1) * Fraction(3, 2) ** (n - 2)


ANALYTIC: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "sin": (np.sin, -3.0, 3.0),
    "cos": (np.cos, -3.0, 3.0),
    "tan": (np.tan, -1.0, 1.0),
    "arcsin": (np.arcsin, -0.9, 0.9),
    "arccos": (np.arccos, -0.9, 0.9),
    "arctan": (np.arctan, -3.0, 3.0),
    "sinh": (np.sinh, -2.0, 2.0),
    "cosh": (np.cosh, -2.0, 2.0),
    "tanh": (np.tanh, -2.0, 2.0),
    "arcsinh": (np.arcsinh, -2.0, 2.0),
    "arctanh": (np.arctanh, -0.9, 0.9),
    "exp": (np.exp, -3.0, 3.0),
    "expm1": (np.expm1, -3.0, 3.0),
    "log": (np.log, 0.1, 5.0),
    "log1p": (np.log1p, -0.9, 5.0),
    "sqrt": (np.sqrt, 0.1, 5.0),
    "square": (np.square, -3.0, 3.0),
    "reciprocal": (np.reciprocal, 0.2, 3.0),
    "power": (lambda x: np.power(x, 2.5), 0.1, 3.0),
    "exponent": (lambda x: 2.5**x, -2.0, 2.0),
    "self-power": (lambda x: x**x, 0.2, 2.0),
    "composed": (lambda x: np.exp(-x * x) * np.sin(3 * x) / (1 + x**2) - x, -2.0, 2.0),
}


@pytest.mark.parametrize("name", ANALYTIC)
@given(at=st.floats(0, 1), scale=st.floats(-2, 2))
def test_the_taylor_identity_holds_for_analytic_functions(name: str, at: float, scale: float) -> None:
    """Against the complex step, f(x + ih) = f(x) + ih f'(x) up to h^2, here below rounding."""
    f, low, high = ANALYTIC[name]
    x = low + at * (high - low)
    y = f(Dual(x, scale))
    np.testing.assert_allclose(y.value, f(x), rtol=1e-14)
    np.testing.assert_allclose(y.derivative, scale * f(complex(x, 1e-30)).imag / 1e-30, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("f", "second"),
    [
        (np.sin, lambda x: -math.sin(x)),
        (np.exp, math.exp),
        (np.log, lambda x: -1 / x**2),
        (np.sqrt, lambda x: -0.25 * x**-1.5),
        (np.tanh, lambda x: -2 * math.tanh(x) / math.cosh(x) ** 2),
        (lambda x: 1 / x, lambda x: 2 / x**3),
        (lambda x: x**x, lambda x: x**x * ((1 + math.log(x)) ** 2 + 1 / x)),
        (lambda x: x * np.cos(x) + 3, lambda x: -2 * math.sin(x) - x * math.cos(x)),
        (lambda x: np.maximum(x, 0.1) ** 3, lambda x: 6 * x),
        (lambda x: 5.0, lambda x: 0.0),
    ],
)
@given(x=st.floats(0.2, 3.0))
def test_second_derivatives_equal_closed_forms(f: Any, second: Any, x: float) -> None:
    np.testing.assert_allclose(second_derivative(f, x), second(x), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(getattr(f(HyperDual(x, 1.0, 1.0, 0.0)), "mixed", 0.0), second(x), rtol=1e-12, atol=1e-14)


def test_mixed_derivatives_by_hyper_duals() -> None:
    x, y = HyperDual(1.3, 1.0, 0.0, 0.0), HyperDual(0.7, 0.0, 1.0, 0.0)
    z = np.sin(x * y) / y
    assert z.first == pytest.approx(math.cos(1.3 * 0.7), rel=1e-14)
    assert z.mixed == pytest.approx(-1.3 * math.sin(1.3 * 0.7), rel=1e-14)


def test_the_exponent_of_a_power_is_differentiated_at_small_integers() -> None:
    """d/dn d/dx x^n = x^(n - 1) (1 + n log x), at n where the rule for a constant n would take a short cut."""
    for n in (0.0, 0.5, 1.0, 2.0):
        mixed = derivative(lambda m: derivative(lambda x: x**m, 1.5), n)
        assert mixed == pytest.approx(1.5 ** (n - 1) * (1 + n * math.log(1.5)), rel=1e-14)


def test_perturbations_are_not_confused() -> None:
    assert derivative(lambda x: x * derivative(lambda y: x + y, 1.0), 1.0) == 1.0
    assert derivative(lambda x: x * derivative(lambda y: x * y, 2.0), 3.0) == 6.0
    assert derivative(lambda x: derivative(lambda y: x * x, 1.0), 3.0) == 0.0


def test_derivatives_nest_to_any_order() -> None:
    def nth(f: Callable[[Any], Any], n: int) -> Callable[[Any], Any]:
        return f if n == 0 else nth(lambda x: derivative(f, x), n - 1)

    assert nth(lambda x: x**5, 5)(Fraction(7)) == 120
    assert nth(np.sin, 4)(0.4) == pytest.approx(math.sin(0.4), rel=1e-14)
    assert derivative(lambda x: second_derivative(lambda y: x * y**3, 2.0), 1.0) == 12.0


def test_a_hyper_dual_number_is_a_constant_to_dual_numbers() -> None:
    slope = derivative(lambda x: x * x * HyperDual(2.0, 1.0, 0.0, 0.0), 3.0)
    assert (slope.value, slope.first, slope.mixed) == (12.0, 6.0, 0.0)


def test_newtons_method_with_control_flow() -> None:
    def root(a: Any) -> Any:
        x = a
        while abs(x * x - a) > 1e-15:
            x = (x + a / x) / 2
        return x

    y = root(Dual(2.0, 1.0))
    assert y.derivative == pytest.approx(0.5 / math.sqrt(2.0), rel=1e-12)


def test_operators_on_both_sides_equal_those_of_torch() -> None:
    def f(x: Any) -> Any:
        y = 2 + x - 1.5 * x / 3 + (1 - x) ** 2 + 2 / x + 3**x
        y += abs(-x) * +x
        return y

    x = torch.tensor(1.3, dtype=torch.float64)
    expected = torch.func.jvp(f, (x,), (torch.ones_like(x),))
    np.testing.assert_allclose(directional(f, (1.3,), (1.0,)), [part.item() for part in expected], rtol=1e-13)


@given(FRACTIONS, st.sampled_from([Fraction(3, 7), Fraction(-2)]))
def test_remainders_are_exact(x: Fraction, y: Fraction) -> None:
    assert derivative(lambda t: t % y, x) == 1
    assert derivative(lambda t: x % t, y) == -(x // y)
    assert Dual(x, 1) // y == x // y


def test_comparisons_and_truth_are_those_of_the_value() -> None:
    x = Dual(2.0, 5.0)
    assert x > 1
    assert x >= 2
    assert x < Dual(3.0, -1.0)
    assert x <= 2.0
    assert x == 2.0
    assert x != 3.0
    assert hash(x) == hash(2.0)
    assert not Dual(0.0, 1.0)
    assert (np.array([1.0, 3.0]) < x).tolist() == [True, False]
    assert HyperDual(1.0, 2.0, 3.0, 4.0) < 2


def test_texts() -> None:
    assert repr(Dual(3.0, 1.0) ** 2) == "Dual(9.0, 6.0)"
    assert repr(HyperDual(3, 1, 1, 0) * 2) == "HyperDual(6, 2, 2, 0)"


def test_functions_of_math_are_refused() -> None:
    with pytest.raises(TypeError, match="use NumPy's functions"):
        math.sin(Dual(1.0, 1.0))


def test_functions_without_rules_are_refused() -> None:
    with pytest.raises(TypeError, match="no implementation"):
        np.unwrap(Dual(np.ones(3), np.ones(3)))
    with pytest.raises(TypeError):
        np.add(Dual(1.0, 1.0), 2.0, out=np.zeros(()))
    with pytest.raises(TypeError):
        np.add.accumulate(Dual(np.ones(3), np.ones(3)))
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        Dual(1.0, 1.0).colour  # noqa: B018


RNG = np.random.default_rng(0)
X, DX = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
SQUARE, DSQUARE = RNG.normal(size=(3, 3)) + 3 * np.eye(3), RNG.normal(size=(3, 3))
ROW = RNG.normal(size=4)

ARRAYS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "broadcast": (lambda x: x * ROW + x[:, :1] - x[0], lambda x: x * torch.tensor(ROW) + x[:, :1] - x[0]),
    "array first": (lambda x: ROW / (2 + x * x), lambda x: torch.tensor(ROW) / (2 + x * x)),
    "sum": (np.sum, torch.sum),
    "sum of axis": (lambda x: np.sum(x * x, axis=1), lambda x: (x * x).sum(1)),
    "method": (lambda x: (x * x).sum(axis=0), lambda x: (x * x).sum(0)),
    "mean": (lambda x: np.mean(x**2, axis=0, keepdims=True), lambda x: (x**2).mean(0, keepdim=True)),
    "max": (lambda x: np.max(x, axis=1), lambda x: x.amax(1)),
    "min": (lambda x: x.min(), torch.min),
    "prod": (lambda x: np.prod(x, axis=1), lambda x: x.prod(1)),
    "where": (lambda x: np.where(x > 0, x * x, np.sin(x)), lambda x: torch.where(x > 0, x * x, torch.sin(x))),
    "maximum": (lambda x: np.maximum(x, 0.1), lambda x: torch.clamp(x, min=0.1)),
    "index": (lambda x: x[1:, ::2] * x[0, 3], lambda x: x[1:, ::2] * x[0, 3]),
    "rows": (lambda x: sum(row * i for i, row in enumerate(x)), lambda x: sum(row * i for i, row in enumerate(x))),
    "reshape": (lambda x: np.reshape(x * x, (2, 6)), lambda x: (x * x).reshape(2, 6)),
    "reshaped": (lambda x: x.reshape(4, -1) ** 2, lambda x: x.reshape(4, -1) ** 2),
    "transpose": (lambda x: np.transpose(x) * 2, lambda x: x.T * 2),
    "T": (lambda x: x.T @ x, lambda x: x.T @ x),
    "dot": (lambda x: np.dot(x, ROW), lambda x: x @ torch.tensor(ROW)),
    "matmul": (lambda x: X.T @ x, lambda x: torch.tensor(X.T) @ x),
    "einsum": (lambda x: np.einsum("ij,ik->jk", x, x), lambda x: torch.einsum("ij,ik->jk", x, x)),
    "concatenate": (lambda x: np.concatenate([x, X, x * x]), lambda x: torch.cat([x, torch.tensor(X), x * x])),
    "stack": (lambda x: np.stack((x, X), axis=1), lambda x: torch.stack((x, torch.tensor(X)), 1)),
    "norm": (np.linalg.norm, torch.linalg.norm),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_functions_of_arrays_equal_those_of_torch(name: str) -> None:
    f, g = ARRAYS[name]
    value, change = directional(f, (X,), (DX,))
    expected = torch.func.jvp(g, (torch.tensor(X),), (torch.tensor(DX),))
    np.testing.assert_allclose(value, expected[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(change, expected[1].numpy(), rtol=1e-12)
    assert np.shape(change) == np.shape(value)


@pytest.mark.parametrize("name", ARRAYS)
def test_second_directional_derivatives_equal_those_of_torch(name: str) -> None:
    f, g = ARRAYS[name]

    def twice(jvp: Any, f: Any, x: Any, dx: Any) -> Any:
        return jvp(lambda y: jvp(f, (y,), (dx,))[1], (x,), (dx,))[1]

    expected = twice(torch.func.jvp, g, torch.tensor(X), torch.tensor(DX)).numpy()
    np.testing.assert_allclose(twice(directional, f, X, DX), expected, rtol=1e-10, atol=1e-12)
    hyper = f(HyperDual(X, DX, DX, np.zeros_like(X)))
    np.testing.assert_allclose(hyper.mixed, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["solve", "inv", "det"])
def test_linear_algebra_equals_that_of_torch(name: str) -> None:
    f: Any = {"solve": lambda a: np.linalg.solve(a, X), "inv": np.linalg.inv, "det": np.linalg.det}[name]
    g: Any = {
        "solve": lambda a: torch.linalg.solve(a, torch.tensor(X)),
        "inv": torch.linalg.inv,
        "det": torch.linalg.det,
    }[name]
    expected = torch.func.jvp(g, (torch.tensor(SQUARE),), (torch.tensor(DSQUARE),))
    for ours, theirs in zip(directional(f, (SQUARE,), (DSQUARE,)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-11, atol=1e-13)


def test_the_change_of_a_number_spreads_over_an_array() -> None:
    value, change = directional(lambda x: np.sum(x + np.zeros(5)), (2.0,), (1.0,))
    assert (value, change) == (10.0, 5.0)


def test_attributes_and_length() -> None:
    x = Dual(X, DX)
    assert x.shape == (3, 4)
    assert x.ndim == 2
    assert len(x) == 3
    assert primal([x, (x, 1.0)])[1][0] is X
    assert np.argmax(x) == np.argmax(X)


def test_several_results() -> None:
    values, changes = directional(lambda x, y: (x * y, [x, 3.0]), (2.0, 5.0), (1.0, 0.0))
    assert values == (10.0, [2.0, 3.0])
    assert changes == (5.0, [1.0, 0.0])
