"""What a gradient costs: reverse mode over the function itself, for `etude.autodiff`, HIPS autograd, JAX and PyTorch.

Five programs on small and large arrays, float64, written once for every array library; JAX under jit has its loops as
`fori_loop`, because it would compile a thousand steps for minutes. A contestant's number is the time of its gradient
over the time of the function in plain NumPy: the median of repetitions in which the contestants take turns, so that a
noisy machine is noisy for all, with one thread each. All gradients are compared before they are timed. Writes
benchmarks/autodiff.json.

python benchmarks/autodiff.py [--rounds 7]
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import autograd
import autograd.numpy
import jax
import numpy
import torch
from threadpoolctl import threadpool_limits

from etude.autodiff import grad

Program = Callable[..., Any]
Arrays = tuple[Any, ...]
ENOUGH = 0.01  # seconds of one measurement: a short call is repeated within it
TOO_LONG = 20  # seconds after which a contestant leaves the later rounds out
BOUND = 5  # times the function: what a gradient may cost (Griewank and Walther 2008, section 3.3)
PROMISED = {"scalar loop, 200 steps": 100, "small": 3, "large": 1}  # times as fast as autograd


def programs(np: Any) -> dict[str, Program]:
    """The programs, for NumPy or what stands in its place; each returns a number and is differentiated by its first."""

    def relax(x: Any) -> Any:
        return x + 0.01 * (1.0 - x * x)

    def scalar_loop(x: Any) -> Any:
        for _ in range(200):
            x = relax(x)
        return x

    def logistic_regression(w: Any, x: Any, y: Any) -> Any:
        return np.mean(np.log1p(np.exp(-y * (x @ w)))) + 0.01 * np.sum(w * w)

    def two_layers(weights: Any, x: Any, y: Any) -> Any:
        A, a, B, b = weights
        scores = np.tanh(x @ A + a) @ B + b
        return np.mean(np.log(np.sum(np.exp(scores), 1)) - np.sum(y * scores, 1))

    def slope(q: Any, v: Any) -> Any:
        return v, (1.0 - q * q) * v - q

    def runge_kutta(q: Any, v: Any) -> Any:
        h = 0.01
        q1, v1 = slope(q, v)
        q2, v2 = slope(q + 0.5 * h * q1, v + 0.5 * h * v1)
        q3, v3 = slope(q + 0.5 * h * q2, v + 0.5 * h * v2)
        q4, v4 = slope(q + h * q3, v + h * v3)
        return q + h / 6.0 * (q1 + 2.0 * q2 + 2.0 * q3 + q4), v + h / 6.0 * (v1 + 2.0 * v2 + 2.0 * v3 + v4)

    def ode(q: Any, v: Any) -> Any:
        for _ in range(1000):
            q, v = runge_kutta(q, v)
        return np.sum(q * q)

    def sigmoid(x: Any) -> Any:
        return 1.0 / (1.0 + np.exp(-x))

    def unit(weights: Any, x: Any, y: Any, c: Any) -> Any:
        W, R, b = weights
        n = R.shape[0]
        gates = x @ W + y @ R + b
        z, i = np.tanh(gates[:, :n]), sigmoid(gates[:, n : 2 * n])
        f, o = sigmoid(gates[:, 2 * n : 3 * n]), sigmoid(gates[:, 3 * n :])
        c = z * i + c * f
        return np.tanh(c) * o, c

    def lstm(weights: Any, x: Any, y: Any, c: Any) -> Any:
        for t in range(100):
            y, c = unit(weights, x[t], y, c)
        return np.sum(y * y)

    def compiled_loops(loop: Any) -> dict[str, Program]:
        return {
            "scalar loop, 200 steps": lambda x: loop(0, 200, lambda _, x: relax(x), x),
            "ODE solver, 1,000 steps": lambda q, v: np.sum(
                loop(0, 1000, lambda _, state: runge_kutta(*state), (q, v))[0] ** 2
            ),
            "LSTM, 100 steps": lambda weights, x, y, c: np.sum(
                loop(0, 100, lambda t, state: unit(weights, x[t], *state), (y, c))[0] ** 2
            ),
        }

    return {
        "scalar loop, 200 steps": scalar_loop,
        "logistic regression": logistic_regression,
        "two-layer network": two_layers,
        "ODE solver, 1,000 steps": ode,
        "LSTM, 100 steps": lstm,
        "compiled loops": compiled_loops,
    }


def inputs() -> dict[str, tuple[str, Arrays]]:
    """What is measured: by title, a program and what it is given."""
    random = numpy.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return random.normal(size=shape) / max(shape) ** 0.5

    def network(count: int, n: int, hidden: int, classes: int) -> Arrays:
        labels = numpy.eye(classes)[random.integers(classes, size=count)]
        return (normal(n, hidden), normal(hidden), normal(hidden, classes), normal(classes)), normal(count, n), labels

    def lstm(batch: int, n: int, units: int) -> Arrays:
        weights = normal(n, 4 * units), normal(units, 4 * units), normal(4 * units)
        return weights, normal(100, batch, n), normal(batch, units), normal(batch, units)

    def regression(count: int, n: int) -> Arrays:
        return normal(n), random.normal(size=(count, n)), numpy.sign(normal(count))

    given = {
        "scalar loop, 200 steps": {"": (0.3,)},
        "logistic regression": {"small": regression(32, 8), "large": regression(20_000, 200)},
        "two-layer network": {"small": network(32, 8, 16, 4), "large": network(1000, 784, 300, 10)},
        "ODE solver, 1,000 steps": {"small": (normal(4), normal(4)), "large": (normal(1000), normal(1000))},
        "LSTM, 100 steps": {"small": lstm(4, 4, 8), "large": lstm(64, 64, 128)},
    }
    return {
        f"{name}, {size}" if size else name: (name, arrays)
        for name, sizes in given.items()
        for size, arrays in sizes.items()
    }


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """The function of every array in nested tuples."""
    return tuple(mapped(function, each) for each in value) if isinstance(value, tuple | list) else function(value)


def by_torch(program: Program) -> Program:
    def gradient(first: Any, *rest: Any) -> Any:
        leaves = first if isinstance(first, tuple) else (first,)
        found = torch.autograd.grad(program(first, *rest), leaves)
        return found if isinstance(first, tuple) else found[0]

    return gradient


def contestants(name: str, arrays: Arrays) -> dict[str, Callable[[], Any]]:
    """For every contestant, and the function alone, a call without arguments."""
    plain, own = programs(numpy)[name], programs(jax.numpy)
    in_jax = mapped(jax.numpy.asarray, arrays)
    first, *rest = mapped(lambda value: torch.as_tensor(value, dtype=torch.float64), arrays)
    first = mapped(lambda value: value.requires_grad_(), first)
    eager = jax.grad(own[name])
    compiled = jax.jit(jax.grad(own["compiled loops"](jax.lax.fori_loop).get(name, own[name])))
    ours, hips = grad(plain), autograd.grad(programs(autograd.numpy)[name])
    in_torch = by_torch(programs(torch)[name])
    return {
        "function": lambda: plain(*arrays),
        "etude": lambda: ours(*arrays),
        "autograd": lambda: hips(*arrays),
        "JAX": lambda: jax.block_until_ready(eager(*in_jax)),
        "JAX, jit": lambda: jax.block_until_ready(compiled(*in_jax)),
        "torch": lambda: in_torch(first, *rest),
    }


def compare(title: str, calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Call every contestant for the first time: the seconds that it takes, compilation included.

    Raises:
        SystemExit: two gradients differ.
    """
    seconds, expected = {}, None
    for name, call in calls.items():
        began = time.perf_counter()
        found = call()
        seconds[name] = time.perf_counter() - began
        if name != "function":
            leaves = [numpy.asarray(leaf) for leaf in (found if isinstance(found, tuple | list) else [found])]
            expected = expected or leaves
            for ours, theirs in zip(expected, leaves, strict=True):
                if not numpy.allclose(ours, theirs, rtol=1e-8, atol=1e-12):
                    raise SystemExit(f"{title}: the gradient of {name} is another one")
    return seconds


def measure(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median seconds of a call of each contestant, all taking turns."""
    repeats: dict[str, int] = {}
    took: dict[str, list[float]] = {name: [] for name in calls}
    for name, call in calls.items():
        began = time.perf_counter()
        call()
        repeats[name] = max(1, int(ENOUGH / (time.perf_counter() - began)))
    for _ in range(rounds):
        for name, call in calls.items():
            if sum(took[name]) > TOO_LONG:
                continue
            began = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            took[name].append((time.perf_counter() - began) / repeats[name])
    return {name: statistics.median(values) for name, values in took.items()}


def row(title: str, first: dict[str, float], seconds: dict[str, float]) -> dict[str, float]:
    """A line of the table: times the function, and what was promised."""
    function = seconds.pop("function")
    least = PROMISED.get(title) or PROMISED[title.rpartition(", ")[2]]
    return {
        "function, ms": float(f"{1e3 * function:.3g}"),
        **{f"{name}, times the function": float(f"{value / function:.3g}") for name, value in seconds.items()},
        "promised of etude at most": BOUND,
        "times as fast as autograd": float(f"{seconds['autograd'] / seconds['etude']:.3g}"),
        "promised at least": least,
        "etude transforms, s": round(first["etude"] - seconds["etude"], 3),
        "JAX compiles, s": round(first["JAX, jit"] - seconds["JAX, jit"], 3),
    }


def one_thread() -> None:
    """Give every contestant one thread: their pools would wait for each other's."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    threadpool_limits(1)
    torch.set_num_threads(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    one_thread()
    jax.config.update("jax_enable_x64", True)
    versions = {name: version(name) for name in ("numpy", "autograd", "jax", "torch")}
    found: dict[str, Any] = {"threads": torch.get_num_threads(), "versions": versions, "rows": {}}
    for title, (name, arrays) in inputs().items():
        calls = contestants(name, arrays)
        first = compare(title, calls)
        found["rows"][title] = row(title, first, measure(calls, rounds))
        print(title, json.dumps(found["rows"][title]))
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
