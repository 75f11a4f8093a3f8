# mypy: disable-error-code="no-untyped-call"

from typing import Any

import numpy as np
import pytest
from tests.autodiff import zoo
from tests.autodiff.interpret import run

from etude.autodiff import hessian, jacobian, modes, program
from etude.autodiff.kinds import Array, Number
from etude.autodiff.primitives import PRIMITIVES
from etude.autodiff.program import Function

X, Y = 1.3, 0.7
DX, DY = (float(zoo.numeric(zoo.slide, (X, Y), position)) for position in (0, 1))
FLAGS: dict[str, bool] = {"value": False, "aux": False, "several": False, "again": False}


def gradient(function: Any, arguments: tuple[Any, ...], positions: tuple[int, ...], **flags: bool) -> Any:
    made = modes.gradient(program(function, arguments).prepared, positions, **(FLAGS | flags))
    return run(made, *arguments)


def with_aux(x: float, y: float) -> tuple[float, float]:
    return zoo.slide(x, y), x + y


def test_gradients_in_every_form() -> None:
    assert gradient(zoo.slide, (X, Y), (0,)) == pytest.approx(DX)
    assert gradient(zoo.slide, (X, Y), (1,), several=True) == (pytest.approx(DY),)
    assert gradient(zoo.slide, (X, Y), (1, 0), several=True) == pytest.approx((DY, DX))
    assert gradient(zoo.slide, (X, Y), (1, 1, 0), several=True) == pytest.approx((DY, DY, DX))
    assert gradient(zoo.slide, (X, Y), (0,), value=True) == pytest.approx((zoo.slide(X, Y), DX))
    assert gradient(with_aux, (X, Y), (0,), aux=True) == pytest.approx((DX, X + Y))
    value, slope = gradient(with_aux, (X, Y), (0,), aux=True, value=True)
    assert value == pytest.approx((zoo.slide(X, Y), X + Y))
    assert slope == pytest.approx(DX)
    assert gradient(zoo.looped, (X, 3), (0,), again=True) == pytest.approx(float(zoo.numeric(zoo.looped, (X, 3), 0)))


def test_the_parameters_are_those_of_the_function() -> None:
    made = program(zoo.slide, (X, Y)).prepared
    assert modes.gradient(made, (0,), **FLAGS).parameters == made.parameters
    assert modes.gradient(made, (0,), **FLAGS).name == "slide_gradient"


def of(function: Any, arguments: tuple[Any, ...]) -> Function:
    made = program(function, arguments).prepared
    return Function(made.name, lambda: made)


def test_products_follow_directions_at_once() -> None:
    made = modes.product(of(zoo.slide, (X, Y)), (0, 1), 2, aux=False)
    assert run(made, X, Y, 1.0, 0.0, 0.0, 2.0) == pytest.approx((zoo.slide(X, Y), DX, 2 * DY))
    made = modes.product(of(with_aux, (X, Y)), (1,), 1, aux=True)
    assert run(made, X, Y, 1.0) == pytest.approx((zoo.slide(X, Y), DY, X + Y))


def mixed(a: Any, x: Any) -> Any:
    return np.tanh(a @ x) * x[0]


SHAPES: list[tuple[Any, tuple[Any, ...]]] = [
    (zoo.slide, (X, Y)),
    (mixed, (np.arange(6.0).reshape(2, 3) / 5, np.array([0.4, -0.2, 0.9]))),
    (lambda x: x * np.array([1.0, 2.0]), (X,)),
    (lambda x: np.outer(x, x)[:, None], (np.array([0.4, -0.2]),)),
]


@pytest.mark.parametrize(("function", "arguments"), SHAPES)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobians(function: Any, arguments: tuple[Any, ...], mode: str) -> None:
    positions = tuple(range(len(arguments)))
    found = run(modes.jacobian(of(function, arguments), positions, mode, several=True), *arguments)
    for position, each in zip(positions, found, strict=True):
        value, argument = np.asarray(function(*arguments)), np.asarray(arguments[position])
        assert np.shape(each) == value.shape + argument.shape
        for index in np.ndindex(value.shape):
            row = zoo.numeric(lambda *a, at=index: np.asarray(function(*a))[at], arguments, position)
            np.testing.assert_allclose(np.asarray(each)[index], row, rtol=1e-6, atol=1e-8)
    one = run(modes.jacobian(of(function, arguments), (0,), mode, several=False), *arguments)
    np.testing.assert_array_equal(one, found[0])


@pytest.mark.parametrize("name", ["columns", "rows"])
@pytest.mark.parametrize("inner", [(), (2,), (2, 3)])
def test_gathering_and_its_adjoint(name: str, inner: tuple[int, ...]) -> None:
    """<gather(s), d> = <s, scatter(d)> for every stack s: gathering is a permutation, scattering its inverse."""
    like = np.zeros((4, 2))
    rng = np.random.default_rng(0)
    stack = [(rng.normal(size=inner)[()],) for _ in range(like.size)]
    gather, scatter = PRIMITIVES[name].evaluate, PRIMITIVES[f"split_{name}"].evaluate
    whole = gather(stack, like)
    assert whole.shape == (inner + like.shape if name == "columns" else like.shape + inner)
    again = scatter(whole, like)
    np.testing.assert_array_equal([item for (item,) in again], [item for (item,) in stack])


def test_directions_are_unit_vectors() -> None:
    like = np.zeros((2, 3), dtype=np.float32)
    basis = [modes.BASIS.evaluate(like, k) for k in range(6)]
    np.testing.assert_array_equal(np.stack(basis).reshape(6, 6), np.eye(6))
    assert basis[0].dtype == np.float32
    assert modes.BASIS.evaluate(1.5, 0) == 1.0


def test_gradients_of_what_is_no_number_are_refused() -> None:
    made = program(lambda x: x * 2.0, (np.ones(3),)).prepared
    with pytest.raises(TypeError, match="needs a number as its result: sum it, or ask for its jacobian"):
        modes.gradient(made, (0,), **FLAGS)
    with pytest.raises(TypeError, match=r"not shape \(3,\)"):
        modes.ONE_OF.evaluate(np.ones(3))
    assert modes.ONE_OF.evaluate(np.float64(3.0)) == 1.0
    assert isinstance(made.results[0].kind, Array)
    assert program(zoo.slide).prepared.results[0].kind == Number()


def doubled(x: Any) -> Any:
    return x * 2.0


def squares(x: Any) -> Any:
    return np.sum(x**2)


def spread(x: Any) -> Any:
    return np.sum(x**2) * np.ones((2, 3))


@pytest.mark.parametrize("shape", [(0,), (0, 3)])
@pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])
def test_jacobians_of_empty_arrays(shape: tuple[int, ...], mode: Any) -> None:
    x = np.zeros(shape)
    for function, result in ((doubled, shape), (squares, ()), (spread, (2, 3))):
        assert jacobian(function, mode=mode)(x).shape == result + shape
    assert hessian(squares)(x).shape == shape + shape


@pytest.mark.parametrize("name", ["columns", "rows"])
def test_the_adjoint_of_gathering_nothing(name: str) -> None:
    """The one pass that shows the shape has no part in the result, so its adjoint is zero."""
    like = np.zeros((0, 2))
    whole = PRIMITIVES[name].evaluate([(np.ones(3),)], like)
    ((zero,),) = PRIMITIVES[f"split_{name}"].evaluate(whole, like)
    np.testing.assert_array_equal(zero, np.zeros(3))
