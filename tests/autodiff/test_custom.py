import math
from typing import Any

import numpy as np
import pytest

from etude.autodiff import custom_derivative, grad, hessian, jacobian, jvp, vjp


@custom_derivative
def log1pexp(x: float) -> float:
    """log(1 + exp(x))."""
    return math.log(1 + math.exp(x))


@log1pexp.reverse
def reverse(result: float, arguments: tuple[float], change: float) -> tuple[float]:
    return (change * (1 - math.exp(-result)),)


@log1pexp.forward
def forward(result: float, arguments: tuple[float], tangents: tuple[float]) -> float:
    return tangents[0] * (1 - math.exp(-result))


def marked(forward: float | None, reverse: float | None) -> Any:
    """x * y with rules that give these numbers in the place of derivatives."""

    @custom_derivative
    def product(x: float, y: float) -> float:
        return x * y

    if forward is not None:

        @product.forward
        def forward_rule(result: float, arguments: Any, tangents: Any) -> Any:
            return forward * (tangents[0] + tangents[1])

    if reverse is not None:

        @product.reverse
        def reverse_rule(result: float, arguments: Any, change: Any) -> Any:
            return change * reverse, change * arguments[0]

    return product


def test_each_mode_takes_its_rule() -> None:
    function = marked(10.0, 20.0)
    assert jvp(function, (2.0, 3.0), (1.0, 0.0)) == (6.0, 10.0)
    assert grad(function)(2.0, 3.0) == 20.0
    assert grad(function, (0, 1))(2.0, 3.0) == (20.0, 2.0)
    assert jacobian(function, 0, "forward")(2.0, 3.0) == 10.0
    assert vjp(function, 2.0, 3.0)[1](2.0) == (40.0, 4.0)
    assert function(2.0, 3.0) == 6.0


@pytest.mark.parametrize(("forward", "reverse"), [(None, None), (10.0, None), (None, 20.0)])
def test_a_mode_without_a_rule_differentiates_the_function(forward: float | None, reverse: float | None) -> None:
    function = marked(forward, reverse)
    assert jvp(function, (2.0, 3.0), (1.0, 0.0))[1] == (forward or 3.0)
    assert grad(function)(2.0, 3.0) == (reverse or 3.0)


def test_rules_are_used_inside_programs_in_loops_and_with_several_directions() -> None:
    function = marked(10.0, 20.0)

    def f(x: float) -> float:
        total = 0.0
        for _ in range(3):
            total = total + function(x, 1.0)
        return total

    assert grad(f)(2.0) == 60.0
    assert jvp(f, (2.0,), (1.0,))[1] == 30.0
    assert jvp(function, (2.0, 3.0), [(1.0, 0.0), (0.0, 2.0)])[1] == [10.0, 20.0]


@pytest.mark.parametrize("x", [-0.7, 0.0, 1.9])
def test_second_derivatives_are_those_of_the_rules(x: float) -> None:
    s = 1 / (1 + math.exp(-x))
    assert grad(log1pexp)(x) == pytest.approx(s)
    for inner in ("forward", "reverse"):
        for outer in ("forward", "reverse"):
            second = jacobian(jacobian(log1pexp, 0, inner), 0, outer)
            assert second(x) == pytest.approx(s * (1 - s))
    assert hessian(lambda x: log1pexp(x * x))(x) == pytest.approx(
        2 / (1 + math.exp(-x * x)) + 4 * x * x * math.exp(-x * x) / (1 + math.exp(-x * x)) ** 2
    )


def test_rules_may_save_what_cannot_be_differentiated() -> None:
    """A rule in the place of code that the transformation refuses."""

    @custom_derivative
    def rounded(x: Any) -> Any:
        try:
            return np.round(x)
        except TypeError:
            return x

    @rounded.reverse
    def straight_through(result: Any, arguments: Any, change: Any) -> Any:
        return (change,)

    x = np.array([0.4, 1.6])
    np.testing.assert_array_equal(grad(lambda x: np.sum(rounded(x) * x))(x), np.round(x) + x)


def test_a_rule_with_too_few_adjoints_is_told() -> None:
    @custom_derivative
    def product(x: float, y: float) -> float:
        return x * y

    @product.reverse
    def rule(result: float, arguments: Any, change: Any) -> Any:
        return (change,)

    with pytest.raises(TypeError, match="the reverse rule of product returns 1 adjoints for 2 arguments"):
        grad(product)(2.0, 3.0)

    @product.reverse
    def another(result: float, arguments: Any, change: Any) -> Any:
        return change

    with pytest.raises(TypeError, match="the reverse rule of product returns no tuple for 2 arguments"):
        grad(product)(2.0, 3.0)


def test_it_keeps_its_name() -> None:
    assert (log1pexp.__name__, log1pexp.__doc__) == ("log1pexp", "log(1 + exp(x)).")
