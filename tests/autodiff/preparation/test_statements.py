"""Statements: programs return what the functions return that they are made of."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.autodiff.interpret import run
from tests.autodiff.preparation.agreement import agrees, program

from etude.autodiff.kinds import Array, Dict, Integer, List, Number, Tuple

floats = st.floats(-4, 4)
counts = st.integers(0, 6)


def branches(x: float) -> float:
    """With a docstring."""
    y: float = 1.0
    if x > 1:
        y = x * 2
    elif x > 0:
        y = x
        z = y + 1
        y = z * z
    else:
        pass
    return y + 1


def early(x: float) -> float:
    if x > 1:
        return x * 2
    if x > 0:
        y = x + 1
        if y > 1.5:
            return y
        y *= 3
    elif x > -1:
        y = -x
    else:
        return x * x
    y = y + 1
    return y * 10


def no_result(x: float) -> Any:
    if x > 0:
        return x
    return None


def powers(x: float, n: int) -> float:
    total: float = 0
    for i in range(n):
        total = total + x**i
    return total


def nested_loops(x: float, n: int) -> float:
    total = 0.0
    for i in range(n):
        row = 1.0
        for j in range(i, 2 * n, 2):
            row = row * (x + j)
        total += row
    return total


def index_after(x: float, n: int) -> tuple[float, int]:
    i = -1
    for i in range(n, 0, -1):
        x = x * 0.5 + i
    return x, i


def swapped(x: float, y: float, n: int) -> tuple[float, float]:
    for _ in range(n):
        x, y = y, x + y
    return x, y


def with_break(x: float, n: int) -> tuple[float, int]:
    total, k = 0.0, 0
    for k in range(n):
        if total > 3:
            break
        if k == 2:
            continue
        total += abs(x)
    return total, k


def with_break_in_branch(x: float, n: int) -> float:
    for k in range(0, 2 * n, 2):
        if x > 2:
            x = x - 1
            if k > 3:
                break
            x = x - 0.5
        elif x < -2:
            x = x + 1
            continue
        x = x * 1.5
    return x


def return_from_loops(x: float, n: int) -> float:
    for i in range(n):
        for j in range(n):
            if i * j > x:
                return i + j + x
            x = x + 0.25
        if x > 4:
            break
    x = x * 2
    return x - 1


def collatz(n: int) -> int:
    steps = 0
    while n > 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def forever(x: float) -> tuple[float, int]:
    k = 0
    while True:
        if abs(x) > 100:
            break
        x = x * 2 + 1
        k += 1
        if k == 20:
            return x, -1
    return x, k


def newton(x: float, n: int) -> float:
    y = 1.0
    while n > 0 and abs(y * y - abs(x) - 1) > 1e-12:
        n -= 1
        if y == 0:
            continue
        y = (y + (abs(x) + 1) / y) / 2
    return y


def late_name(x: float, n: int) -> float:
    for k in range(n):
        if k == 0:
            first = x
        else:
            x = x + first
    return x


@given(floats)
@pytest.mark.parametrize("function", [branches, early, no_result, forever])
def test_branches_and_returns(function: Any, x: float) -> None:
    agrees(function, x)


@given(floats, counts)
@pytest.mark.parametrize(
    "function",
    [powers, nested_loops, index_after, with_break, with_break_in_branch, return_from_loops, newton, late_name],
)
def test_loops(function: Any, x: float, n: int) -> None:
    agrees(function, x, n)


@given(floats, floats, counts)
def test_a_loop_assigns_all_its_variables_at_once(x: float, y: float, n: int) -> None:
    agrees(swapped, x, y, n)


@given(st.integers(1, 40))
def test_while(n: int) -> None:
    agrees(collatz, n)


def unpacked(x: float, pair: tuple[float, tuple[float, float]]) -> tuple[float, ...]:
    a, (b, c) = pair
    (d, *rest), e = [a, x, b, c], x
    first, second, *_ = rest
    k = l = first  # noqa: E741
    return a, b, c, d, e, first, second, k, l


def test_unpacking() -> None:
    made = agrees(unpacked, 1.5, (2.0, (3.0, 4.0)))
    assert made.results[0].kind == Tuple((Number(),) * 9)


def lists(xs: Any, w: float) -> Any:
    ys = []
    for x in xs:
        ys.append(math.sin(x) * w)
    zs = [0.0] * 2
    zs.extend(ys)
    zs += [w, w]
    zs = [*zs, *[1.0, 2.0]]
    return ys[-1], zs, len(zs)


def test_lists_made_here_may_grow() -> None:
    made = agrees(lists, np.arange(4.0), 2.0)
    assert made.results[0].kind == Tuple((Number(), List(Number()), Integer()))
    agrees(lists, [1.0, 2.0], 2.0)


def growing(x: float, n: int) -> list[float]:
    ys = [x]
    while len(ys) < n:
        ys.append(ys[-1] * 2 + ys[0])
        if ys[-1] > 100:
            ys = [ys[-1]]
            break
    return ys


@given(floats, counts)
def test_lists_may_grow_from_their_own_items(x: float, n: int) -> None:
    agrees(growing, x, n)


def dictionary(x: float) -> dict[str, float]:
    values = {"a": x, "b": 2 * x}
    values["c"] = values["a"] * values["b"]
    values["a"] += 1.0
    total = 0.0
    for key, value in values.items():
        if key != "b":
            total += value
    for key in values:
        total = total * 2 + values[key]
    for value in values.values():
        total = total - value
    values["total"] = total
    return values


def test_dictionaries_with_constant_keys() -> None:
    made = agrees(dictionary, 1.5)
    assert made.results[0].kind == Dict((("a", Number()), ("b", Number()), ("c", Number()), ("total", Number())))


def arrays(x: Any, n: int) -> Any:
    total = np.zeros(3)
    for _ in range(n):
        total += x * total.sum() + 1
    total *= 2
    return total


def test_arrays_made_here_may_be_changed_in_place() -> None:
    x = np.arange(3.0)
    assert agrees(arrays, x, 3).results[0].kind == Array(1)
    np.testing.assert_array_equal(x, np.arange(3.0))


def raising(x: float) -> float:
    if x < 0:
        raise ValueError(f"negative: {x:.1f} {{}}", x)
    assert x < 2, "too large"
    return math.sqrt(x)


def raising_else(x: float) -> float:
    if x > 1:
        y = 1.0
    elif x > 0:
        y = 2.0
    else:
        raise ValueError
    return y


def test_errors_are_raised_as_in_the_function() -> None:
    from tests.autodiff.interpret import run

    agrees(raising, 1.0)
    agrees(raising_else, 0.5)
    made = program(raising, 1.0)
    with pytest.raises(ValueError, match="negative") as error:
        run(made, -1.0)
    assert error.value.args == ("negative: -1.0 {}", -1.0)
    with pytest.raises(AssertionError, match="too large"):
        run(made, 3.0)
    with pytest.raises(ValueError):  # noqa: PT011
        run(program(raising_else, 1.0), -1.0)


def printing(x: float) -> float:
    print("x is", f"{x!r}", end=";")
    return x


def test_print(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.autodiff.interpret import run

    run(program(printing, 2.0), 2.0)
    assert capsys.readouterr().out == "x is 2.0;"


def kinds_grow(x: Any, n: int) -> Any:
    total, last = 0, None
    for i in range(n):
        last = total
        total = total + x * i
    return total, last


def test_kinds_of_carried_variables_grow_until_they_hold() -> None:
    made = agrees(kinds_grow, 2.0, 3)
    assert isinstance(made.results[0].kind, Tuple)
    assert made.results[0].kind.items[0] == Number()


def user_names(broken: float, returned: float, result: float) -> float:
    for k in range(3):
        if k > broken:
            break
        returned = returned + result
    return returned


def test_flags_do_not_collide_with_names_of_the_user() -> None:
    agrees(user_names, 1.0, 2.0, 3.0)


def product(x: Any) -> Any:
    a, b = x
    return a * b


@pytest.mark.parametrize("wrong", [[1.0], [1.0, 2.0, 3.0], np.ones(3), np.ones(1)], ids=str)
def test_what_is_unpacked_has_to_have_as_many_items_as_there_are_names(wrong: Any) -> None:
    right = [3.0, 4.0] if isinstance(wrong, list) else np.array([3.0, 4.0])
    made = agrees(product, right)
    for function in (product, lambda x: run(made, x)):
        with pytest.raises(ValueError, match="values to unpack"):
            function(wrong)
