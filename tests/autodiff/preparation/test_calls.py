"""Calls of functions in Python: their arguments, what they capture, recursion, functions as values."""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.autodiff.interpret import run
from tests.autodiff.preparation.agreement import agrees, program

from etude.autodiff.kinds import Array, Integer, Number
from etude.autodiff.preparation import prepare
from etude.autodiff.preparation.calls import Lifted
from etude.autodiff.program import Block, Call, Constant, Function, inside, uses

RATE = 0.5
WEIGHTS = np.arange(3.0)
SETTINGS = {"rate": 2.0, "steps": 3}


def square(x: float) -> float:
    return x * x


def scaled(x: float, factor: float = 2.0, *more: float, shift: float = RATE, **others: float) -> float:
    for each in more:
        x = x + each
    return factor * x + shift + sum([value * len(key) for key, value in others.items()])


def arguments(x: float, y: float) -> Any:
    pair, named = (x, y, x), {"factor": y, "other": x}
    return (
        scaled(x),
        scaled(x, y),
        scaled(x, y, x, y),
        scaled(x, shift=y),
        scaled(*pair),
        scaled(x, **named),
        scaled(factor=x, x=y),
        scaled(x, y, x, ab=y, c=x),
    )


def test_arguments_are_bound_as_python_binds_them() -> None:
    agrees(arguments, 1.5, 2.0)
    agrees(scaled, 1.5)
    agrees(scaled, 1.5, 2.0, 3.0, shift=2.0, extra=4.0)
    agrees(scaled, 1.5, shift=2.0, factor=3.0)


def nested(x: float, y: float) -> float:
    a = x * 2

    def inner(z: float, w: float = a) -> float:
        def innermost(v: float) -> float:
            return v * a + w + z

        return innermost(y) * innermost(z)

    a = a + 1
    return inner(x) + inner(x, y) + (lambda z: z * a)(y)


def test_nested_functions_see_the_variables_around_them() -> None:
    agrees(nested, 1.5, 2.0)


def twice(f: Callable[[float], float], x: float) -> float:
    return f(f(x))


def as_arguments(x: float, y: float) -> Any:
    def add(z: float) -> float:
        return z + y

    return twice(square, x), twice(math.sin, x), twice(add, x), twice(lambda z: twice(add, z) * x, y), twice(np.tanh, x)


def test_functions_as_arguments() -> None:
    agrees(as_arguments, 1.5, 2.0)


def make_line(slope: float, offset: float) -> Callable[[float], float]:
    def line(x: float) -> float:
        return slope * x + offset

    return line


def composed(*functions: Callable[[float], float]) -> Callable[[float], float]:
    def all_of_them(x: float) -> float:
        for function in functions:
            x = function(x)
        return x

    return all_of_them


def as_results(x: float, y: float) -> Any:
    line = make_line(x, y)
    both = composed(line, math.exp, make_line(y, 1.0))
    chosen = make_line(x, 1.0) if x > y else make_line(y, x)
    for _ in range(2):
        line = make_line(line(x), y)
    lines = [make_line(x, k) for k in (1.0, 2.0)]
    return line(2.0), both(x), chosen(y), [each(x) for each in lines]


def test_functions_as_results() -> None:
    agrees(as_results, 1.5, 2.0)
    agrees(as_results, 2.5, 2.0)


def layers(x: Any) -> Any:
    functions: Any = (np.tanh, square, make_line(2.0, 1.0))
    for f, weight in zip(functions, (1.0, 2.0, 3.0), strict=True):
        x = f(weight * x)
    table: dict[str, Any] = {"square": square, "sin": np.sin}
    return table["sin"](table["square"](x))


def test_functions_in_containers() -> None:
    assert agrees(layers, np.arange(3.0)).results[0].kind == Array(1)


def factorial(n: int) -> int:
    return 1 if n == 0 else n * factorial(n - 1)


def power(x: float, n: int) -> float:
    if n == 0:
        return 1.0
    half = power(x, n // 2)
    return half * half * x if n % 2 else half * half


def is_even(n: int, x: float) -> Any:
    return x if n == 0 else is_odd(n - 1, x * 2)


def is_odd(n: int, x: float) -> Any:
    return (0.0, -1.0)[0] if n == 0 else is_even(n - 1, x + 1)


def counted_down(x: Any, n: int) -> Any:
    return 0 if n == 0 else other_half(x, n - 1)


def other_half(x: Any, n: int) -> Any:
    return counted_down(x, n) * x + x


def nested_recursion(x: float, n: int) -> float:
    def even(k: int) -> float:
        return x if k == 0 else odd(k - 1) * x

    def odd(k: int) -> float:
        return 1.0 if k == 0 else even(k - 1) + x

    return even(n) + odd(n)


def tree_sum(tree: Any) -> Any:
    if isinstance(tree, tuple):
        left, right = tree
        return tree_sum(left) + 2 * tree_sum(right)
    return tree


@given(st.integers(0, 8), st.floats(-2, 2))
def test_recursion(n: int, x: float) -> None:
    assert agrees(factorial, n).results[0].kind == Integer()
    assert agrees(power, x, n).results[0].kind == Number()
    assert agrees(is_even, n, x).results[0].kind == Number()
    assert agrees(counted_down, x, n + 1).results[0].kind == Number()
    assert agrees(nested_recursion, x, n).results[0].kind == Number()
    agrees(tree_sum, ((1.0, x), (x, (2.0, x))))


def calls(block: Block) -> list[Function]:
    found = [statement.function for statement in block if isinstance(statement, Call)]
    return found + [each for statement in block for part in inside(statement) for each in calls(part)]


def test_a_recursive_function_calls_itself() -> None:
    function = prepare(power, (Number(), Integer()))
    assert set(calls(function.program.body)) == {function}


def test_the_same_function_is_transformed_once() -> None:
    function = prepare(square, (Number(),))
    assert prepare(square, (Number(),)) is function
    assert calls(program(as_arguments, 1.0, 2.0).body) != []
    assert prepare(square, (Array(1),)) is not function
    first, second = (prepare(make_line(slope, 0.0), (Number(),)) for slope in (1.0, 2.0))
    assert (run(first.program, 3.0), run(second.program, 3.0)) == (3.0, 6.0)
    lambdas = [prepare(f, (Number(),)) for f in [lambda x: x + 1 for _ in range(2)]]
    assert lambdas[0] is lambdas[1]


class Model:
    def __init__(self, weights: Any) -> None:
        self.weights = weights
        self.layers: list[Any] = [make_line(2.0, 1.0), np.tanh]

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return self.loss(x)

    def loss(self, x: Any, scale: float = 1.0) -> Any:
        return np.sum(self.weights * x) * scale


def with_model(x: Any) -> Any:
    model = MODEL
    return model(x) + model.loss(x, scale=3.0) + MODEL.weights[1]


MODEL = Model(np.arange(3.0))


def test_methods_and_objects_that_can_be_called() -> None:
    model = Model(np.arange(3.0))
    agrees(model.loss, np.ones(3))
    agrees(model, np.ones(3))
    agrees(with_model, np.ones(3))


def outside(x: Any) -> Any:
    return x * RATE + np.pi * WEIGHTS @ WEIGHTS + SETTINGS["rate"] * SETTINGS["steps"] + math.e


def test_values_from_outside_are_fetched_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    made = agrees(outside, 2.0)
    constants = {atom.name for statement in made.body for atom in uses(statement) if isinstance(atom, Constant)}
    assert constants - {None} == {"RATE", "np.pi", "WEIGHTS", "SETTINGS", "math.e"}
    monkeypatch.setitem(globals(), "RATE", 7.0)
    assert run(made, 2.0) == outside(2.0)


def test_variables_of_functions_around_it_are_fetched_at_every_call() -> None:
    factor = 2.0

    def function(x: float) -> float:
        return factor * x

    made = agrees(function, 3.0)
    factor = 5.0
    assert run(made, 3.0) == 15.0


def test_partial_and_functions_of_numpy() -> None:
    agrees(functools.partial(scaled, 1.0, shift=2.0), 3.0)
    agrees(np.sin, 1.0)
    agrees(math.atan2, 1.0, 2.0)
    agrees(np.sum, np.ones((2, 3)), axis=1)


HALF = functools.partial(scaled, factor=0.5)


def use_partial(x: float) -> float:
    return HALF(x) + HALF(x, shift=x)


def test_partial_inside() -> None:
    agrees(use_partial, 1.5)


class Doubling:
    """Stands for what a transformation such as `grad` returns."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __program__(self, kinds: tuple[Any, ...], names: tuple[str, ...]) -> Function:
        return prepare(self.function, kinds, names)


def transform(function: Any) -> Any:
    return Doubling(function)


transform.__static__ = True  # type: ignore[attr-defined]


def with_transform(x: float) -> Any:
    y = x * 3
    transformed = transform(lambda z: z * x + y)
    return transformed(x) + transform(square)(y)


def test_transformations_are_carried_out_while_the_program_is_written() -> None:
    made = program(with_transform, 2.0)
    assert run(made, 2.0) == 2 * 2 + 6 + 36


def test_a_nested_function_takes_what_it_captures_after_its_arguments() -> None:
    seen = []

    def spy(function: Any) -> Any:
        seen.append(function)
        return Doubling(function)

    spy.__static__ = True  # type: ignore[attr-defined]

    def outer(x: float) -> float:
        y = x * x
        return spy(lambda z: z - y)(x)  # type: ignore[no-any-return]

    program(outer, 3.0)
    assert isinstance(seen[0], Lifted)
    assert run(prepare(seen[0], (Number(), Number())).program, 10.0, 4.0) == 6.0


def shuffled(x: Any) -> Any:
    return x * RANDOM.normal(size=3)


RANDOM = np.random.default_rng(0)


def test_functions_without_rules_may_be_called_with_constants() -> None:
    made = program(shuffled, np.ones(3))
    RANDOM.bit_generator.state = np.random.default_rng(1).bit_generator.state
    np.testing.assert_array_equal(run(made, np.ones(3)), np.random.default_rng(1).normal(size=3))


def keeps_its_arguments(x: Any) -> Any:
    ys = [x]
    zs = helper(x)
    zs.append(x)
    zs += ys
    h = fresh(x)
    h += 1
    return ys, zs, h


def helper(x: Any) -> list[Any]:
    return [x, x]


def fresh(x: Any) -> Any:
    return x * 2


def test_what_a_function_returns_new_may_be_changed() -> None:
    agrees(keeps_its_arguments, np.ones(2))


def unpack_results(x: float) -> float:
    a, b = pair_of(x)
    c, (d, e) = pair_of(a)[0], pair_of(b)
    return a * b + c * d + e


def pair_of(x: float) -> tuple[float, float]:
    return x + 1, x * 2


def test_tuples_returned() -> None:
    assert agrees(unpack_results, 1.5).results[0].kind == Number()


def flags(x: float, deep: bool = False, mode: str = "sum") -> float:
    if mode == "sum":
        return x + 1
    return x * 2 if deep else x - 1


def with_flags(x: float) -> float:
    return flags(x) + flags(x, mode="product") + flags(x, True, mode="product")


def test_a_function_is_written_anew_for_flags_and_text() -> None:
    assert len(set(calls(agrees(with_flags, 1.5).body))) == 3
