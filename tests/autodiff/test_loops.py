import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.autodiff import zoo
from tests.autodiff.building import INTEGER, given, op, span
from tests.autodiff.interpret import run

from etude.autodiff import derivative_source, grad
from etude.autodiff.program import Carry, Constant, Loop, Program
from etude.autodiff.reverse import joined


def powers(following_is_product: bool) -> Program:
    """s = s * x, or s = s + x, n times from 1."""
    x, s, after, result = given("x s s s")
    i, n = given("i n", INTEGER)
    body = [op(after, "mul" if following_is_product else "add", s, x)]
    return Program("f", (x, n), [Loop([*body], [Carry(s, Constant(1.0), after, result)], i, span(n))], (result,))


def loops(program: Program) -> list[Loop]:
    return [statement for statement in program.body if isinstance(statement, Loop)]


def test_a_loop_stores_what_its_adjoint_needs() -> None:
    forth, back = loops(joined(powers(True), (True, False)))
    assert [[value.name for value in write.values] for write in forth.writes] == [["s"]]
    assert [read.stack for read in back.reads] == [write.stack for write in forth.writes]
    assert run(joined(powers(True), (True, False)), 3.0, 4, 1.0) == (81.0, 108.0)


def test_a_linear_loop_stores_nothing() -> None:
    forth, back = loops(joined(powers(False), (True, False)))
    assert not forth.writes
    assert not back.reads
    assert back.bounds == forth.bounds
    assert back.backwards
    assert run(joined(powers(False), (True, False)), 3.0, 4, 1.0) == (13.0, 4.0)


def test_a_loop_that_nothing_depends_on_has_no_adjoint() -> None:
    made = powers(True)
    (x, y), n = given("x y"), made.parameters[1]
    whole = Program("f", (x, n), [*made.body, op(y, "sin", x)], (y,))
    assert len(loops(joined(whole, (True, False)))) == 1


def stepping(x: float, n: int) -> float:
    s = 0.0
    for i in range(n, -2, -2):
        s = s * x + i * x
    return s


def inside(x: Any) -> Any:
    """Arrays to which the passes add, whole and by items."""
    total = 0.0
    for i in range(3):
        total = total + x[i] * np.sum(x * x) + (x * i)[2]
    return total


def replaced(x: float, y: float) -> float:
    """y is carried though only the first pass uses what it held; z is carried and not used after."""
    z = x
    for i in range(4):
        z = x * i
        y = y * z + x
    return y


def rotating(x: float) -> float:
    a, b, c, d = x, 0.0, 0.0, 0.0
    for _ in range(5):
        a, b, c, d = d + x, a * x, b, c
    return a + d


def deep(x: float) -> float:
    s = x
    for i in range(2):
        for j in range(i + 2):
            t = s
            while t > 0.5:
                t = t * math.sin(x) / (1 + j)
                if t < 0.6:
                    s = s + t
            s = s * (1 + t)
    return s


def collatz(x: float, n: int) -> float:
    """The number of passes depends on integers, the value on x."""
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        x = math.sin(x) + x / n
    return x


def growing(x: float) -> float:
    values = [x, x * x]
    for i in range(4):
        values.append(values[i] * values[-1] + 1 / (1 + i))
    total = 0.0
    for a, b in zip(values, reversed(values), strict=True):
        total = total + a * b
    return total


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (stepping, (0.7, 7)),
        (stepping, (0.7, -5)),
        (inside, (np.array([0.4, -1.2, 0.9]),)),
        (replaced, (0.7, 1.3)),
        (rotating, (0.7,)),
        (deep, (1.9,)),
        (collatz, (0.4, 11)),
        (growing, (0.6,)),
    ],
)
def test_gradients_of_loops(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    for position, value in enumerate(arguments):
        if not isinstance(value, int):
            found = grad(function, position)(*arguments)
            np.testing.assert_allclose(found, zoo.numeric(function, arguments, position), rtol=1e-6, atol=1e-8)
            again = lambda *a, k=position: np.sum(grad(function, k)(*a))  # noqa: E731
            expected = zoo.numeric(again, arguments, position)
            np.testing.assert_allclose(grad(again, position)(*arguments), expected, rtol=1e-5, atol=1e-6)


def test_adjoints_of_arrays_read_by_items_are_not_copied_in_each_pass() -> None:
    text = derivative_source(zoo.indexed, arguments=zoo.ARRAYS[zoo.indexed])
    back = text[text.index("# adjoint") :]
    loop = back[back.index("for ") :]
    assert loop.count("d_dx[i") == 2
    assert back.count("zeros_like") == 1


def test_a_long_recurrence_agrees_with_torch() -> None:
    rng = np.random.default_rng(5)
    w, x = rng.normal(size=(3, 3)) / 2, rng.normal(size=(40, 3))
    tensors = [torch.tensor(w, requires_grad=True), torch.tensor(x, requires_grad=True)]
    h, total = torch.zeros(3, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for t in range(40):
        h = torch.tanh(tensors[0] @ h + tensors[1][t])
        total = total + (h**2).sum()
    (total + h.sum()).backward()
    for position, tensor in enumerate(tensors):
        assert tensor.grad is not None
        np.testing.assert_allclose(grad(zoo.recurrent, position)(w, x), tensor.grad, rtol=1e-10, atol=1e-13)


def test_reads_of_a_loop_that_is_differentiated_again_have_adjoints() -> None:
    """The gradient of a loop reads a stack; its adjoint writes one for it."""
    text = derivative_source(grad(zoo.looped), arguments=(0.7, 4))
    assert text.count("# adjoint") == 2
    assert text.count("append(") >= 3
