"""Changes in place of what a function made itself: the program returns what the function returns, and its derivative
is the limit of differences."""

from typing import Any

import numpy as np
import pytest
from tests.autodiff import zoo
from tests.autodiff.preparation.agreement import agrees

from etude.autodiff import grad, hessian, jacobian, jvp

X = np.array([0.3, -0.7, 1.2])


def filled(x: Any) -> Any:
    y = np.zeros(4)
    for i in range(3):
        y[i + 1] = np.sin(y[i]) + x[i] ** 2
    return np.sum(y**2)


def overwritten(x: Any) -> Any:
    y = x * 2.0
    y[0] = y[1] * y[2]
    y[1] = 3.0
    y[-1] += y[0] ** 2
    y[0] *= x[0]
    return np.sum(y * np.arange(1.0, 4.0))


def rows(x: Any) -> Any:
    h = np.zeros((5, 3))
    h[0] = x
    w = np.outer(x, x)
    for t in range(1, 5):
        h[t] = np.tanh(w @ h[t - 1])
    return np.sum(h * h)


def slices(x: Any) -> Any:
    y = np.outer(x, x)
    y[1:, 0] = x[:2] * x[2]
    y[:, 2] *= 2.0
    y[..., 1] = x[0]
    y[0, ::2] -= y[1, ::2] * y[2, 1]
    return np.sum(y**2)


def broadcast(x: Any) -> Any:
    y = np.empty((2, 3))
    y[:] = x
    y[1] += x[0]
    y[:, :1] = x[1] * x[2]
    return np.sum(np.exp(y))


def in_branches(x: Any) -> Any:
    y = np.full(3, 0.5)
    if x[0] > 0:
        y[0] = x[1] ** 2
    else:
        y[1] = x[2]
    for i in range(3):
        if i != 1:
            y[i] = y[i] * x[i]
    return np.prod(y + 1.0)


def until(x: Any) -> Any:
    y, i = np.zeros(3), 0
    while i < 3:
        y[i] = x[i] * (y[i - 1] + 1.0)
        i += 1
        if y[i - 1] > 100.0:
            break
    return y.sum()


def made_by(x: Any) -> Any:
    y = x * x
    y[0] = x[1]
    return y


def by_call(x: Any) -> Any:
    y = made_by(x)
    y[1] = y[0] * y[2]
    return np.sum(made_by(y) * y)


def after_view(x: Any) -> Any:
    y = x * 2.0
    z = y[1:]
    total = np.sum(z**2)
    z = x[1:] * 3.0
    y[1] = total
    return np.sum(y * x) + np.sum(z)


def copied(x: Any) -> Any:
    y, z = x.copy(), np.array(x)
    y[0] = z[1] ** 2
    z[1] = y[0] * y[2]
    return np.sum(y * z * x)


def in_list(x: Any) -> Any:
    ys = [x[0], x[1], x[2]]
    ys[0] = ys[1] * ys[2]
    for i in range(2):
        ys[i + 1] = ys[i] * ys[i + 1]
    return ys[0] + 2.0 * ys[1] + 3.0 * ys[2]


def of_rows(x: Any) -> Any:
    ys = [x, x * 2.0]
    ys[0] = ys[1] * x
    ys[1] = ys[0][::-1]
    return np.sum(ys[0] * ys[1] ** 2)


FUNCTIONS = [
    filled, overwritten, rows, slices, broadcast, in_branches, until, by_call, after_view, copied, in_list, of_rows,
]  # fmt: skip
EVERY = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)


@EVERY
def test_changed_arrays_and_lists(function: Any) -> None:
    before = X.copy()
    agrees(function, X)
    np.testing.assert_array_equal(X, before)


@EVERY
def test_derivatives_of_changes(function: Any) -> None:
    before = X.copy()
    expected = zoo.numeric(function, (X,), 0)
    np.testing.assert_allclose(grad(function)(X), expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(jvp(function, (X,), (before[::-1],))[1], expected @ X[::-1], rtol=1e-6)
    second = hessian(function)(X)
    np.testing.assert_allclose(jacobian(grad(function), 0, "reverse")(X), second, rtol=1e-9, atol=1e-9)
    for k in range(3):
        numeric = zoo.numeric(lambda x, k=k: grad(function)(x)[k], (X,), 0)
        np.testing.assert_allclose(second[k], numeric, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(X, before)


def test_what_was_gone_through_may_change_afterwards() -> None:
    def function(x: Any) -> Any:
        ys, total, named = [x[0], x[1]], 0.0, {"a": x[0], "b": x[1]}
        for i in range(len(ys)):
            ys[i] *= 2.0
        for y, z in zip(ys, x, strict=False):
            total += y * z
        ys.append(total)
        pairs = list(zip(ys, reversed(ys), strict=True))
        ys.append(sum(y * z for y, z in pairs))
        for _, value in named.items():
            total += value
        named["a"] = total
        return ys[-1] * named["a"]

    agrees(function, X)
    np.testing.assert_allclose(grad(function)(X), zoo.numeric(function, (X,), 0), rtol=1e-6)


def test_numpy_functions_without_a_rule_of_constants() -> None:
    def function(x: Any) -> Any:
        rows, columns = np.triu_indices(3)
        return np.sum(np.outer(x, x)[rows, columns])

    agrees(function, X)
    np.testing.assert_allclose(grad(function)(X), zoo.numeric(function, (X,), 0), rtol=1e-6)


def test_integers_stay_integers() -> None:
    def function(x: Any) -> Any:
        counts = np.zeros(3, dtype=int)
        counts[1] = 2
        counts[1] += 1
        return np.sum(x * counts)

    np.testing.assert_array_equal(grad(function)(X), [0.0, 3.0, 0.0])
