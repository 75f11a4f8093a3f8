"""Claims about automatic differentiation (course 004, module 10)."""

import math
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from etude.autodiff import checkpoint, grad, jacobian, jvp, value_and_grad, vjp
from etude.autodiff.ordering import chain_jacobian, optimal_bracketing
from etude.claims.lab import Finding, Lab, Plot, claim, spread
from etude.data import source

Numbers = NDArray[Any]
Weights = tuple[Numbers, Numbers, Numbers, Numbers]
SEEDS = range(5)
SIZES, HIDDEN = range(1, 33), 16
SIDE = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
CHAIN = (64, 128, 4, 128, 64)
UNITS, STEPS, RATE = 32, 500, 0.5
PASSES, LONG, REPEATS = (10, 100, 1_000, 10_000, 100_000, 1_000_000), 10_000, 7
STORED, WIDTH = (10, 100, 1_000, 10_000), 128


class Counted(np.ndarray[Any, Any]):
    """Arrays that count the operations on numbers that they take part in: multiply-adds in products, else results."""

    operations: ClassVar[int] = 0

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **named: Any) -> Any:
        plain = [value.view(np.ndarray) if isinstance(value, Counted) else value for value in inputs]
        if out is not None:
            named["out"] = tuple(value.view(np.ndarray) if isinstance(value, Counted) else value for value in out)
        result = getattr(ufunc, method)(*plain, **named)
        if ufunc is np.matmul:
            Counted.operations += np.size(result) * inputs[0].shape[-1]
        else:
            Counted.operations += np.size(result if method == "__call__" else inputs[0])
        return result if result is None else np.asarray(result).view(Counted)


def network(A: Numbers, B: Numbers) -> Callable[[Numbers], Any]:
    """Two layers: from (n,) by way of (HIDDEN,) to (m,)."""

    def apply(x: Numbers) -> Any:
        return np.tanh(B @ np.tanh(A @ x))

    return apply


def by_columns(function: Callable[[Numbers], Any], x: Numbers) -> Numbers:
    """The Jacobian, (m, n), by forward mode: all directions at once."""
    _, columns = jvp(function, (x,), [(direction,) for direction in np.eye(len(x))])
    return np.stack(columns, axis=1)


def by_rows(function: Callable[[Numbers], Any], x: Numbers) -> Numbers:
    """The Jacobian, (m, n), by reverse mode: one run of the program, one of its adjoint for each output."""
    y, pullback = vjp(function, x)
    return np.stack([pullback(change)[0] for change in np.eye(len(y))])


def counted(way: Callable[[Callable[[Numbers], Any], Numbers], Numbers], n: int, m: int) -> int:
    """Operations that the Jacobian of the network with n inputs and m outputs takes."""
    random = np.random.default_rng(0)
    x, A, B = (random.normal(size=shape).view(Counted) for shape in ((n,), (HIDDEN, n), (m, HIDDEN)))
    Counted.operations = 0
    way(network(A, B), x)
    return Counted.operations


@claim(
    "for f: R^n -> R^m, forward mode takes fewer operations where m > n, reverse mode where m < n",
    source='course 004, module 10, "Why forward and reverse mode?"',
    minutes=0.3,
)
def modes_and_sizes(lab: Lab) -> Finding:
    apart = [(n, m) for n in SIZES for m in SIZES if n != m]
    ratio = {(n, m): counted(by_columns, n, m) / counted(by_rows, n, m) for n, m in apart}
    wrong = [(n, m) for n, m in apart if (ratio[n, m] < 1) != (m > n)]
    middle = SIDE[len(SIDE) // 2]
    across = {
        f"Jacobian from {middle} inputs to m outputs": ("outputs m", [(middle, m) for m in SIDE]),
        f"Jacobian from n inputs to {middle} outputs": ("inputs n", [(n, middle) for n in SIDE]),
    }
    ways = {"forward": by_columns, "reverse": by_rows}
    return Finding(
        holds=not wrong,
        numbers={
            "share of sizes with m other than n where the mode so named is the cheaper": 1 - len(wrong) / len(apart),
            "forward over reverse, largest where m > n": max(value for (n, m), value in ratio.items() if m > n),
            "forward over reverse, smallest where m < n": min(value for (n, m), value in ratio.items() if m < n),
        },
        note=f"tanh(B tanh(A x)) with {HIDDEN} hidden units, n and m each from {SIZES[0]} to {SIZES[-1]}. An operation "
        "is a multiply-add of a matrix product or one result of an elementwise function. Forward mode is `jvp` along "
        "all n directions at once, reverse mode `vjp` with one pullback for each of the m outputs, so that either runs "
        "the program itself once. While every pullback computed the slopes of tanh again, forward mode was the cheaper "
        "for some m a little below n; now the primal program stores them.",
        plots={
            title: Plot(
                [label, "operations"],
                list(map(float, SIDE)),
                {mode: [float(counted(way, n, m)) for n, m in sizes] for mode, way in ways.items()},
            )
            for title, (label, sizes) in across.items()
        },
    )


@claim(
    "an order of multiplying the Jacobians of a chain between forward and reverse mode can beat both",
    source='course 004, module 10, "Why forward and reverse mode?"; Griewank and Naumann 2003',
    minutes=0.1,
)
def best_bracketing(lab: Lab) -> Finding:
    apart, operations = [], {}
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        shapes = zip(CHAIN[1:], CHAIN[:-1], strict=True)
        chain = [layer(random.normal(size=shape) / math.sqrt(shape[1])) for shape in shapes]
        x = random.normal(size=CHAIN[0])
        found = {order: chain_jacobian(chain, x, order) for order in ("forward", "reverse", "optimal")}
        whole = jacobian(composed(chain), mode="reverse")(x)
        apart.append(max(float(abs(product - whole).max()) for product, _ in found.values()) / float(abs(whole).max()))
        operations = {order: count for order, (_, count) in found.items()}
    return Finding(
        holds=operations["optimal"] < min(operations["forward"], operations["reverse"]) and max(apart) < 1e-12,
        numbers={
            **{f"multiply-adds, {order}": count for order, count in operations.items()},
            "better mode over best order": min(operations["forward"], operations["reverse"]) / operations["optimal"],
            "largest relative difference of the three Jacobians from reverse mode on the whole": spread(apart),
        },
        note=f"Four layers tanh(W x) of sizes {' - '.join(map(str, CHAIN))}; the best order is "
        f"{optimal_bracketing(CHAIN)}. Counted are the products of the layers' Jacobians, which are the same in every "
        "order. Holds if the best order takes fewer operations than both modes and all Jacobians agree to 1e-12.",
    )


def layer(W: Numbers) -> Callable[[Numbers], Any]:
    def apply(x: Numbers) -> Any:
        return np.tanh(W @ x)

    return apply


def composed(chain: list[Callable[[Numbers], Any]]) -> Callable[[Numbers], Any]:
    first, second, third, fourth = chain

    def whole(x: Numbers) -> Any:
        return fourth(third(second(first(x))))

    return whole


def cross_entropy(weights: Weights, x: Numbers, labels: Numbers) -> Any:
    """Mean cross-entropy, in nats, of a network with one hidden layer; x (N, n), labels (N, K) one at the class."""
    A, a, B, b = weights
    scores = np.tanh(x @ A + a) @ B + b
    scores = scores - np.max(scores, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(scores), axis=1)) - np.sum(labels * scores, axis=1))


@claim(
    "a network trained through `grad` reaches the loss that it reaches in PyTorch, to 1e-10",
    source="our own: no paper says so of this library",
    minutes=0.5,
)
def same_loss_as_torch(lab: Lab) -> Finding:
    fields = source.load("digits").train.to("cpu").tensors()
    x, y = fields["x"].flatten(1).double(), fields["y"]
    runs = [(start, descended(start, x, y), descended_in_torch(start, x, y)) for start in map(drawn, SEEDS)]
    differences = [float(abs(np.subtract(ours, theirs)).max()) for _, ours, theirs in runs]
    return Finding(
        holds=max(differences) < 1e-10,
        numbers={
            "loss at the start": spread(ours[0] for _, ours, _ in runs),
            "loss at the end, etude.autodiff": spread(ours[-1] for _, ours, _ in runs),
            "loss at the end, PyTorch": spread(theirs[-1] for _, _, theirs in runs),
            "largest difference at any step": spread(differences),
        },
        note=f"Digits, 64 - {UNITS} tanh - 10, cross-entropy in nats on the {len(x)} training examples, float64, "
        f"{STEPS} steps of gradient descent on all of them at rate {RATE}, {len(SEEDS)} seeds; both start from the "
        "same weights. Holds if the losses before every step differ by less than 1e-10 in every seed.",
    )


def drawn(seed: int) -> Weights:
    random = np.random.default_rng(seed)
    return (
        random.normal(size=(64, UNITS)) / math.sqrt(64),
        np.zeros(UNITS),
        random.normal(size=(UNITS, 10)) / math.sqrt(UNITS),
        np.zeros(10),
    )


def descended(weights: Weights, x: torch.Tensor, y: torch.Tensor) -> list[float]:
    """The loss before every step, by `value_and_grad` on NumPy's arrays."""
    images, labels = x.numpy(), np.eye(10)[y.numpy()]
    step, losses = value_and_grad(cross_entropy), []
    for _ in range(STEPS):
        loss, (dA, da, dB, db) = step(weights, images, labels)
        A, a, B, b = weights
        weights = (A - RATE * dA, a - RATE * da, B - RATE * dB, b - RATE * db)
        losses.append(float(loss))
    return losses


def descended_in_torch(start: Weights, x: torch.Tensor, y: torch.Tensor) -> list[float]:
    """The loss before every step, by PyTorch."""
    weights, losses = [torch.tensor(weight, requires_grad=True) for weight in start], []
    for _ in range(STEPS):
        A, a, B, b = weights
        loss = F.cross_entropy(torch.tanh(x @ A + a) @ B + b, y)
        gradients = torch.autograd.grad(loss, weights)
        weights = [(w - RATE * g).detach().requires_grad_() for w, g in zip(weights, gradients, strict=True)]
        losses.append(loss.item())
    return losses


def wander(x: Any, passes: int) -> Any:
    """A loop whose derivative needs a value of every pass."""
    for _ in range(passes):
        x = x + 0.001 * math.sin(x)
    return x


def through(loop: Callable[[Any, int], Any], passes: int) -> Callable[[Any], Any]:
    """The loop with its number of passes set: `jvp` wants a tangent of every argument."""

    def set_loop(x: Any) -> Any:
        return loop(x, passes)

    return set_loop


@claim(
    "both modes run in time proportional to that of the program",
    source="course 004, module 10, properties of forward-mode and reverse-mode AD",
    minutes=0.2,
)
def time_proportional(lab: Lab) -> Finding:
    gradient, loops = grad(wander), {passes: through(wander, passes) for passes in PASSES}
    ways: dict[str, Callable[[int], Any]] = {
        "function": lambda passes: wander(0.5, passes),
        "forward": lambda passes: jvp(loops[passes], (0.5,), (1.0,)),
        "reverse": lambda passes: gradient(0.5, passes),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for passes in PASSES:
        took: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(REPEATS):
            for name, way in ways.items():
                began = time.perf_counter()
                way(passes)
                took[name].append(time.perf_counter() - began)
        for name, values in took.items():
            seconds[name].append(statistics.median(values))
    ratios = {
        mode: [derived / alone for derived, alone in zip(seconds[mode], seconds["function"], strict=True)]
        for mode in ("forward", "reverse")
    }
    long = slice(PASSES.index(LONG), None)
    return Finding(
        holds=all(max(values[long]) < 1.5 * min(values[long]) for values in ratios.values()),
        numbers={
            f"time over the function's, {mode}, {passes:,} passes": value
            for mode, values in ratios.items()
            for passes, value in zip(PASSES, values, strict=True)
        },
        note="x <- x + 0.001 sin x on one number, value and derivative; medians of "
        f"{REPEATS} interleaved repetitions. Holds if from {LONG:,} passes on, where the time that a call of the "
        "derivative takes by itself no longer counts, the largest ratio is below 1.5 times the smallest, in both "
        "modes.",
        plots={
            "Time of the function and of its derivative": Plot(["passes", "seconds"], list(map(float, PASSES)), seconds)
        },
    )


def wander_together(x: Numbers, passes: int) -> Any:
    """The same for many numbers side by side."""
    for _ in range(passes):
        x = x + 0.001 * np.sin(x)
    return np.sum(x)


def wander_checkpointed(x: Numbers, passes: int) -> Any:
    """The same, with few of its passes stored."""
    for _ in checkpoint(range(passes)):
        x = x + 0.001 * np.sin(x)
    return np.sum(x)


@claim(
    "forward mode runs in the memory of the program, reverse mode in memory proportional to run time, "
    "with checkpoints to its logarithm",
    source="course 004, module 10, properties of forward-mode and reverse-mode AD; Griewank 1992",
    minutes=0.5,
)
def memory_proportional(lab: Lab) -> Finding:
    x = np.linspace(0, 1, WIDTH)
    gradient, checkpointed = grad(wander_together), grad(wander_checkpointed)
    loops = {passes: through(wander_together, passes) for passes in STORED}
    ways: dict[str, Callable[[int], Any]] = {
        "function": lambda passes: wander_together(x, passes),
        "forward": lambda passes: jvp(loops[passes], (x,), (np.ones_like(x),)),
        "reverse": lambda passes: gradient(x, passes),
        "reverse, checkpointed": lambda passes: checkpointed(x, passes),
    }
    memory = {name: [float(peak(way, passes)) for passes in STORED] for name, way in ways.items()}
    grown = {name: values[-1] / values[0] for name, values in memory.items()}
    longer = STORED[-1] / STORED[0]
    return Finding(
        holds=grown["forward"] < 2
        and 0.5 * longer < grown["reverse"] < 2 * longer
        and grown["reverse, checkpointed"] < 2 * math.log(STORED[-1]) / math.log(STORED[0]),
        numbers={
            f"peak memory after {longer:,.0f} times as many passes, {name}": value for name, value in grown.items()
        },
        note=f"x <- x + 0.001 sin x on {WIDTH} numbers, then their sum; the peak of what Python and NumPy allocate "
        f"while the derivative runs, from {STORED[0]} to {STORED[-1]:,} passes. Holds if that of forward mode less "
        "than doubles, that of reverse mode grows as the passes within a factor of 2, and that with checkpoints no "
        "more than twice as fast as the logarithm of the passes.",
        plots={
            "Peak memory of the function and of its derivative": Plot(
                ["passes", "bytes"], list(map(float, STORED)), memory
            )
        },
    )


def peak(way: Callable[[int], Any], passes: int) -> int:
    """Bytes allocated at once at most while it runs, transformed before."""
    way(passes)
    tracemalloc.start()
    way(passes)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most
