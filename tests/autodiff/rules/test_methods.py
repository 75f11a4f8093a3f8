from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from etude.autodiff.primitives import ATTRIBUTES, FUNCTIONS, METHODS, PRIMITIVES, Binding
from etude.autodiff.program import Atom, Constant, Variable

X = np.random.default_rng(6).standard_normal((2, 3, 4))

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("sum", (), {"axis": 1}),
    ("sum", (1,), {"keepdims": True}),
    ("mean", (0,), {}),
    ("prod", (), {}),
    ("var", (), {"axis": 0, "ddof": 1}),
    ("std", (2,), {}),
    ("max", (), {"axis": (0, 1)}),
    ("min", (), {}),
    ("argmax", (1,), {}),
    ("argmin", (), {}),
    ("argsort", (0,), {}),
    ("any", (), {}),
    ("all", (), {"axis": 0}),
    ("cumsum", (1,), {}),
    ("cumprod", (), {}),
    ("reshape", (6, 4), {}),
    ("reshape", ((4, -1),), {}),
    ("reshape", (-1,), {}),
    ("transpose", (), {}),
    ("transpose", (2, 0, 1), {}),
    ("transpose", ((2, 0, 1),), {}),
    ("ravel", (), {}),
    ("flatten", (), {}),
    ("squeeze", (), {}),
    ("swapaxes", (0, 2), {}),
    ("copy", (), {}),
    ("astype", (np.float32,), {}),
    ("repeat", (2,), {"axis": 1}),
    ("take", ([0, 0],), {"axis": 2}),
    ("diagonal", (1, 0, 2), {}),
    ("trace", (), {"axis1": 1, "axis2": 2}),
    ("dot", (np.arange(4.0),), {}),
    ("clip", (-0.5, 0.5), {}),
    ("round", (1,), {}),
]


def called(binding: Binding, given: Sequence[Any], named: dict[str, Any]) -> Any:
    """What a call computes once a binding has sorted its arguments."""
    inputs, keywords = binding.arguments(tuple(map(Constant, given)), {key: Constant(x) for key, x in named.items()})
    values = [x.value for x in inputs if isinstance(x, Constant)]
    options = {key: x.value for key, x in keywords.items() if isinstance(x, Constant)}
    return binding.primitive.evaluate(*values, **options)


@pytest.mark.parametrize(("name", "given", "named"), CALLS)
def test_methods(name: str, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    expected = getattr(X, name)(*given, **named)
    actual = called(METHODS[name], (X, *given), named)
    np.testing.assert_array_equal(actual, expected)
    assert actual.dtype == expected.dtype


@pytest.mark.parametrize("name", ["T", "mT", "shape", "ndim", "size", "dtype"])
def test_attributes(name: str) -> None:
    actual, expected = ATTRIBUTES[name].evaluate(X), getattr(X, name)
    assert type(actual) is type(expected)
    assert np.all(actual == expected)


def test_every_method_and_attribute_is_tested() -> None:
    assert set(ATTRIBUTES) == {"T", "mT", "shape", "ndim", "size", "dtype"}
    assert set(METHODS) == {name for name, _, _ in CALLS}


def test_functions_of_numpy_take_the_same_arguments() -> None:
    for function, given in ((np.reshape, (X, (6, 4))), (np.flipud, (X,)), (np.fliplr, (X,)), (np.eye, (3,))):
        np.testing.assert_array_equal(called(FUNCTIONS[function], given, {}), function(*given))


def test_axes_given_one_by_one_must_be_literal() -> None:
    x: Atom = Variable("x")
    with pytest.raises(TypeError, match="axes written out"):
        METHODS["transpose"].arguments((x, Variable("i"), Constant(0)), {})
    assert METHODS["reshape"].arguments((x, x, Constant(2)), {})[0][1] is x
    assert PRIMITIVES["reshape"] is METHODS["reshape"].primitive
