"""Random programs return what the function returns that they are made of; programs are made anew when they have to."""

import importlib
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.autodiff.interpret import run
from tests.autodiff.preparation.agreement import program
from tests.autodiff.programs import programs

from etude.autodiff import TransformError, checkpoint, grad, jacobian
from etude.autodiff.kinds import kind_of
from etude.autodiff.preparation import prepare
from etude.autodiff.program import Program

scale: Any = 2.0
mode: Any = None
activation: Any = np.sin
layers: Any = [np.sin]
constants: Any = [1.0, 2.0]


class Settings:
    rate: Any = 2.0


SETTINGS = Settings()


@pytest.mark.parametrize("vectors", [False, True], ids=["numbers", "vectors"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_programs(vectors: bool, data: st.DataObject) -> None:
    example = data.draw(programs(vectors))
    made = program(example.function, *example.arguments)
    np.testing.assert_array_equal(run(made, *example.arguments), example.function(*example.arguments))


def inner(x: Any) -> Any:
    y = activation(x) * scale * SETTINGS.rate
    if mode is not None:
        y = y * mode
    for layer in layers:
        y = y + layer(x)
    return y + sum_of(constants) * x


def sum_of(items: Any) -> Any:
    total = 0.0
    for item in items:
        total = total + item
    return total


def outer(x: Any) -> Any:
    return inner(x) + 1.0


def slope(x: float) -> Any:
    """The derivative of `outer`, by a central difference."""
    return (outer(x + 1e-5) - outer(x - 1e-5)) / 2e-5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale", np.array([1.0, 3.0])),
        ("mode", 4.0),
        ("mode", np.array([4.0, 5.0])),
        ("activation", np.exp),
        ("activation", math.cos),
        ("layers", [np.cos]),
        ("layers", [np.sin, np.sin]),
        ("constants", [np.ones(2)]),
        ("constants", []),
    ],
)
def test_what_changes_outside_changes_the_derivative(monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> None:
    first, second = jacobian(outer), jacobian(jacobian(outer))
    before = first(0.3), second(0.3)
    np.testing.assert_allclose(before[0], slope(0.3), rtol=1e-8)
    monkeypatch.setitem(globals(), name, value)
    np.testing.assert_allclose(first(0.3), slope(0.3), rtol=1e-8)
    np.testing.assert_allclose(second(0.3), (first(0.3 + 1e-5) - first(0.3 - 1e-5)) / 2e-5, rtol=1e-7, atol=1e-9)
    monkeypatch.undo()
    assert (first(0.3), second(0.3)) == before


def test_attributes_and_items_outside_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    found = jacobian(outer)
    found(0.3)
    monkeypatch.setattr(SETTINGS, "rate", np.array([1.0, 2.0]))
    np.testing.assert_allclose(found(0.3), slope(0.3), rtol=1e-8)
    changed: list[Any] = [np.sin]
    monkeypatch.setitem(globals(), "layers", changed)
    found(0.3)
    changed[0] = np.exp
    np.testing.assert_allclose(found(0.3), slope(0.3), rtol=1e-8)


def test_variables_of_functions_around_it_may_change() -> None:
    factor: Any = 2.0

    def function(x: float) -> Any:
        return factor * x

    found = jacobian(function)
    assert found(1.0) == 2.0
    factor = np.array([3.0, 4.0])
    np.testing.assert_array_equal(found(1.0), factor)


def test_programs_are_kept_while_nothing_changes_but_values(monkeypatch: pytest.MonkeyPatch) -> None:
    made = prepare(outer, (kind_of(1.0),))
    _ = made.program
    monkeypatch.setitem(globals(), "scale", 7.0)
    monkeypatch.setitem(globals(), "constants", [3.0])
    assert prepare(outer, (kind_of(1.0),)) is made
    monkeypatch.setitem(globals(), "scale", np.ones(2))
    assert prepare(outer, (kind_of(1.0),)) is not made


def test_names_of_python_itself_may_be_hidden_later(monkeypatch: pytest.MonkeyPatch) -> None:
    found = grad(lambda x: abs(x) * x)
    assert found(-2.0) == 4.0
    monkeypatch.setitem(globals(), "abs", np.exp)
    assert found(-2.0) == pytest.approx(-math.exp(-2.0))


def module(folder: Path, name: str) -> Any:
    (folder / f"{name}.py").write_text("data = 1.0\n\n\ndef f(x):\n    return x * data\n")
    return importlib.import_module(name)


def test_one_name_in_two_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    first, second = module(tmp_path, "first_of_two"), module(tmp_path, "second_of_two")

    def both(x: Any) -> Any:
        return first.f(x) + np.sin(second.f(x))

    found = grad(both)
    for one, two in [(1.0, 1.0), (1.0, 3.0), (2.0, 3.0)]:
        first.data, second.data = one, two
        assert found(0.3) == pytest.approx(one + two * math.cos(two * 0.3))
    for name in ("first_of_two", "second_of_two"):
        del sys.modules[name]


def checkpointed(x: Any) -> Any:
    for _ in checkpoint(range(5)):
        x = x * scale
    return x


def test_loops_that_are_run_again_see_the_values_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    found = grad(checkpointed)
    assert found(1.0) == 2.0**5
    monkeypatch.setitem(globals(), "scale", 3.0)
    assert found(1.0) == 3.0**5


def loss(x: Any, function: Callable[[Any], Any], k: Any) -> Any:
    return np.sum(function(x * k))


def inside(x: Any, function: Callable[[Any], Any]) -> Any:
    return grad(loss)(x, function, 2.0)[0] * x[1]


def test_functions_may_be_arguments_of_the_call() -> None:
    x, found = np.array([0.3, 0.4]), grad(loss)
    np.testing.assert_allclose(found(x, np.tanh, 2.0), 2.0 / np.cosh(2.0 * x) ** 2)
    np.testing.assert_allclose(found(x, np.sin, 2.0), 2.0 * np.cos(2.0 * x))
    for c in (2.0, 3.0):
        np.testing.assert_allclose(found(x, lambda z, c=c: c * z * z, 2.0), 8.0 * c * x)
        np.testing.assert_allclose(found(x, lambda z: c * z * z, 2.0), 8.0 * c * x)  # noqa: B023
    assert grad(loss, -1)(x, np.sin, 2.0) == pytest.approx(np.sum(x * np.cos(2.0 * x)))
    expected = [-4.0 * math.sin(0.6) * 0.4, 2.0 * math.cos(0.6)]
    np.testing.assert_allclose(grad(inside)(x, np.sin), expected)
    with pytest.raises(TypeError, match="argument 1 of loss is <ufunc 'sin'>: a derivative needs floats"):
        grad(loss, 1)(x, np.sin, 2.0)


def test_equal_functions_given_anew_are_transformed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from etude.autodiff import execution, source

    made = []

    def compiled(program: Program, real: Any = source.compiled) -> Any:
        made.append(program)
        return real(program)

    monkeypatch.setattr(execution, "compiled", compiled)
    found = grad(loss)
    for _ in range(3):
        found(np.ones(2), lambda z: z * z, 2.0)
    assert len(made) == 1


def test_positions_are_counted_among_the_arguments_of_the_user() -> None:
    def function(x: Any) -> Any:
        scaled = x * 2.0
        f = lambda a, b: scaled * a * b**2  # noqa: E731
        return grad(f, -1)(x, x) + grad(f, (-2, -1))(x, x)[0] + grad(checkpoint(f), -1)(x, x)

    # 4x^3 + 2x^3 + 4x^3
    assert grad(function)(2.0) == pytest.approx(30.0 * 2.0**2)


def recursive(x: Any) -> Any:
    return x * grad(recursive)(x)


def indirect(x: Any) -> Any:
    return through(x) * x


def through(x: Any) -> Any:
    return grad(indirect)(x)


def beyond(x: Any) -> Any:
    return grad(lambda a: a * x, 1)(x)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (recursive, "in recursive: recursive cannot call a derivative of itself"),
        (indirect, "in through: indirect cannot call a derivative of itself"),
        (beyond, "in beyond: function was given 1 argument by position; argnums asks for number 1"),
    ],
)
def test_derivatives_that_cannot_be_made_inside_a_function(function: Any, reason: str) -> None:
    for _ in range(2):
        with pytest.raises(TransformError, match=reason):
            grad(function)(1.0)
