import math
import tracemalloc
from collections import Counter
from collections.abc import Callable
from math import comb
from typing import Any

import numpy as np
import pytest

from etude.autodiff import checkpoint, derivative_source, grad, hessian, jvp, value_and_grad, vjp
from etude.autodiff.checkpoint import treeverse


class Kept:
    """A state that knows how many like it are alive."""

    alive = 0
    most = 0

    def __init__(self, passes: int) -> None:
        self.passes = passes
        Kept.alive += 1
        Kept.most = max(Kept.most, Kept.alive)

    def __del__(self) -> None:
        Kept.alive -= 1


def schedule(passes: int) -> tuple[list[int], Counter[int], int]:
    """The passes in the order of their adjoints, how often each was run, and how many states were kept at once."""
    order: list[int] = []
    runs: Counter[int] = Counter()
    Kept.alive = Kept.most = 0

    def step(index: int, state: Kept) -> tuple[Kept]:
        assert state.passes == index
        runs[index] += 1
        return (Kept(index + 1),)

    def back(index: int, state: Kept, change: int) -> tuple[int]:
        assert state.passes == index
        order.append(index)
        return (change + 1,)

    found = treeverse(0, passes, 1, (Kept(0),), (), (0,), (), step=step, back=back)
    assert found == (passes,)
    return order, runs, Kept.most


@pytest.mark.parametrize("passes", [0, 1, 2, 3, 6, 7, 19, 20, 21, 70, 251, 252, 900])
def test_schedule(passes: int) -> None:
    """Griewank (1992), section 3: (s + t)! / (s! t!) passes need s snapshots and t repetitions."""
    depth = next(s for s in range(1, 20) if comb(2 * s, s) >= passes)
    order, runs, kept = schedule(passes)
    assert order == list(reversed(range(passes)))
    assert max(runs.values(), default=0) <= depth
    assert kept <= depth + 2  # the first state, and the one that is being advanced


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_number_of_steps(depth: int) -> None:
    """t l - beta(s + 1, t - 1) steps for l = beta(s, t) passes: Griewank & Walther (2008), proposition 12.3."""
    passes = comb(2 * depth, depth)
    _, runs, _ = schedule(passes)
    assert sum(runs.values()) == depth * passes - comb(2 * depth, depth - 1)


def test_ranges_with_a_stride() -> None:
    seen: list[int] = []

    def back(index: int) -> tuple[()]:
        seen.append(index)
        return ()

    treeverse(7, 0, -3, (), (), (), (), step=lambda index: (), back=back)
    assert seen == [1, 4, 7]


def looped(x: float, w: float, n: int) -> float:
    y = x
    for i in checkpoint(range(1, n, 2)):
        y = math.sin(y * w) + x / i
    return y * w


def plain(x: float, w: float, n: int) -> float:
    y = x
    for i in range(1, n, 2):
        y = math.sin(y * w) + x / i
    return y * w


def on_arrays(x: Any, n: int) -> Any:
    h = np.zeros(3)
    for t in checkpoint(range(n)):
        h = np.tanh(x @ h + x[t % 3])
    return np.sum(h**2)


def plainly_on_arrays(x: Any, n: int) -> Any:
    h = np.zeros(3)
    for t in range(n):
        h = np.tanh(x @ h + x[t % 3])
    return np.sum(h**2)


@checkpoint
def block(x: float, w: float) -> float:
    """A function that is run again."""
    for _ in range(5):
        x = math.sin(x * w) * 1.1
    return x


def of_blocks(x: float, w: float) -> Any:
    return block(x, w) + block(2 * x, w=w) ** 2


def of_plain_blocks(x: float, w: float) -> Any:
    return block.function(x, w) + block.function(2 * x, w=w) ** 2


PAIRS: list[tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = [
    (looped, plain, (0.4, 1.3, 30)),
    (looped, plain, (0.4, 1.3, 0)),
    (looped, plain, (0.4, 1.3, 2)),
    (on_arrays, plainly_on_arrays, (np.random.default_rng(0).normal(size=(3, 3)), 25)),
    (of_blocks, of_plain_blocks, (0.4, 1.3)),
]


@pytest.mark.parametrize(("function", "without", "arguments"), PAIRS)
def test_the_derivatives_are_those_without(
    function: Callable[..., Any], without: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    assert function(*arguments) == without(*arguments)
    for one, other in zip(value_and_grad(function)(*arguments), value_and_grad(without)(*arguments), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    direction = tuple(1.0 * np.ones_like(a) for a in arguments)
    np.testing.assert_allclose(
        jvp(function, arguments, direction)[1], jvp(without, arguments, direction)[1], rtol=1e-12
    )
    np.testing.assert_allclose(hessian(function)(*arguments), hessian(without)(*arguments), rtol=1e-9, atol=1e-11)
    twice = grad(lambda *a: np.sum(grad(function)(*a)))
    expected = grad(lambda *a: np.sum(grad(without)(*a)))
    np.testing.assert_allclose(twice(*arguments), expected(*arguments), rtol=1e-9, atol=1e-11)
    one, other = (vjp(each, *arguments)[1](1.0) for each in (function, without))
    np.testing.assert_allclose(one[0], other[0], rtol=1e-12, atol=1e-14)


def peak(function: Callable[..., Any], n: int) -> int:
    """The memory that a gradient takes, in bytes."""
    x = np.full(1000, 0.5)
    gradient = grad(function)
    gradient(x, 2)
    tracemalloc.start()
    gradient(x, n)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def drifting(x: Any, n: int) -> Any:
    y = x
    for _ in checkpoint(range(n)):
        y = y + 0.1 * np.sin(y)
    return np.sum(y)


def storing(x: Any, n: int) -> Any:
    y = x
    for _ in range(n):
        y = y + 0.1 * np.sin(y)
    return np.sum(y)


def test_memory_grows_with_the_logarithm() -> None:
    """70 passes need 4 snapshots, 924 need 6: the memory of 13 times the passes grows by half at most."""
    short, long = peak(drifting, 70), peak(drifting, 924)
    assert long < 1.7 * short
    assert peak(storing, 924) > 10 * peak(storing, 70)
    assert peak(storing, 924) > 20 * long


def test_a_checkpointed_function_stores_its_arguments_alone() -> None:
    text = derivative_source(of_blocks)
    assert "stack" in text[text.index("def block") :]
    adjoint = text[text.index("def of_blocks_gradient") :]
    assert "stack" not in adjoint


def test_it_stays_a_function_and_a_range() -> None:
    assert (block.__name__, block.__doc__) == ("block", "A function that is run again.")
    assert block(0.3, 1.0) == block.function(0.3, 1.0)
    assert checkpoint(range(3)) == range(3)
    assert grad(block)(0.3, 1.0) == pytest.approx(grad(block.function)(0.3, 1.0))


def test_it_takes_nothing_else() -> None:
    with pytest.raises(TypeError, match="checkpoint takes a function or a range, not 5"):
        checkpoint(5)  # type: ignore[call-overload]
