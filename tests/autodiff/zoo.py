"""Functions that use every feature of the language, with arguments at which to differentiate them."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from etude.autodiff import checkpoint, custom_derivative

SCALE = 1.7
POINTS = np.array([0.3, -0.8, 1.4])
MATRIX = np.array([[1.2, 0.3, -0.5], [0.1, 0.9, 0.4], [-0.2, 0.6, 1.5]])


@dataclass
class Settings:
    rate: float = 0.4


SETTINGS = Settings()


def polynomial(x):
    return 3 * x**3 - 2 * x**2 + x / 4 - 7


def slide(x, y):
    p = 7 * x
    r = 1 / y
    q = p * x * 5
    v = 2 * p * q + 3 * r
    return v  # noqa: RET504, as on the slide


def chained(x, y):
    return math.sin(x * y) + math.exp(-x) * math.tanh(y) ** 2 - math.log(1 + x * x) / (2 + math.cos(y))


def overwritten(x):
    y = x
    y = y * y
    y += x
    y *= 2
    x = y - x
    return x * y


def swapped(x, y):
    for _ in range(3):
        x, y = y, x * y + 1
    return x - y


def branched(x, y):
    if x > y:
        z = x * y
        w = z + x
    elif x > 0:
        z = x - y
        w = y
    else:
        z = y * y
        w = math.sin(x)
    return z * w + x


def conditional(x):
    return (x**2 if x > 0 else -x) + (math.sin(x) if 0 < x < 2 and x != 1 else 1.0)


def looped(x, n):
    s = 0.0
    for i in range(n):
        s = s + math.sin(x * (s + i))
    return s


def nested_loops(x):
    total = 0.0
    for i in range(3):
        inner = x
        for j in range(i + 1):
            inner = inner * x + j * total
        total = total + math.tanh(inner)
    return total * x


def newton(a):
    x = a
    while abs(x * x - a) > 1e-12:
        x = (x + a / x) / 2
    return x


def broken(x):
    s = 0.0
    for i in range(10):
        if i == 2:
            continue
        s = s + x**i
        if s > 3:
            break
    return s


def returned(x):
    for i in range(10):
        x = x * 1.5
        if x > 4:
            return x * i
    return x


def early(x):
    if x < 0:
        return x * x
    y = x + 1
    if y > 3:
        return y * x
    return math.sqrt(y)


def guarded(x):
    if x < -100:
        raise ValueError(f"{x} is too small")
    assert x < 100, f"{x} is too large"
    return x * x


def tuples(x, y):
    pair = (x * y, x + y)
    a, (b, c) = x, pair
    first, *rest = (a, b, c)
    return first * rest[0] + rest[1] ** 2 + pair[0]


def lists(x):
    values = []
    for i in range(4):
        values.append(x**i)
    total = 0.0
    for value in values:
        total += value * values[1]
    return total + sum(values) + values[-1]


def comprehension(x):
    powers = [x**k for k in range(5)]
    return sum(power * k for k, power in enumerate(powers)) + max(powers) - min(powers[1:])


def dictionaries(x, y):
    d = {"a": x, "b": x * y}
    d["c"] = d["a"] + d["b"]
    total = 0.0
    for key, value in d.items():
        total = total + value * (2.0 if key == "b" else 1.0)
    return total * d["c"]


def dictionary_argument(parameters, x):
    return parameters["w"] * x + parameters["b"][0] * parameters["b"][1]


def helper(a, b=2.0, *, c=1.0):
    return a * b + c


def called(x, y):
    return helper(x) * helper(y, x) + helper(x, c=y, b=3.0)


def helper_loop(x, n):
    for _ in range(n):
        x = math.sin(x) + helper(x)
    return x


def called_in_loop(x):
    total = 0.0
    for i in range(3):
        total = total + helper_loop(x * 0.5, i)
    return total


def power(x, n):
    if n == 0:
        return 1.0
    return x * power(x, n - 1)


def recursive(x):
    return power(x, 4) + power(math.sin(x), 2)


def even(x, n):
    return x if n == 0 else odd(x * 1.1, n - 1)


def odd(x, n):
    return x * x if n == 0 else even(math.sin(x), n - 1)


def mutual(x):
    return even(x, 5) + odd(x, 4)


def closures(x, y):
    def scaled(z):
        return z * x + SCALE

    square = lambda z: scaled(z) ** 2  # noqa: E731
    return square(y) + scaled(square(x))


def apply_twice(f, x):
    return f(f(x))


def higher_order(x, y):
    return apply_twice(lambda z: z * y + x, x) + apply_twice(math.sin, y)


def euler(f, y, steps):
    for _ in range(steps):
        y = y + 0.1 * f(y)
    return y


def integrated(x, k):
    return euler(lambda y: k * y * (1 - y), x, 7)


def captured(x):
    return x * SCALE + SETTINGS.rate * x**2 + math.pi * x


def unused(x, y):
    z = y * 7
    del_me = z  # noqa: F841
    return x * 3


def constant_branch(x):
    y = 5.0
    if x > 0:
        y = x * x
    return y * 2


def late(x):
    for i in range(3):
        if i == 1:
            found = x * i
    return found * 2


@custom_derivative
def log1pexp(x):
    return math.log(1 + math.exp(x))


@log1pexp.reverse
def _log1pexp_reverse(result, arguments, change):
    return (change * (1 - math.exp(-result)),)


@log1pexp.forward
def _log1pexp_forward(result, arguments, tangents):
    return tangents[0] * (1 - math.exp(-result))


def customised(x):
    return log1pexp(x * x) * x


@checkpoint
def block(x):
    for _ in range(5):
        x = math.sin(x) * 1.1
    return x


def checkpointed(x):
    y = block(x) + block(2 * x)
    for i in checkpoint(range(9)):
        y = y + math.cos(y * x) * i
    return y


NUMBERS = {
    polynomial: (1.3,),
    slide: (1.3, 0.7),
    chained: (0.7, -1.2),
    overwritten: (0.9,),
    swapped: (0.4, 1.1),
    branched: (1.3, 0.7),
    conditional: (0.8,),
    nested_loops: (0.6,),
    newton: (2.0,),
    broken: (0.9,),
    returned: (1.2,),
    early: (1.1,),
    guarded: (0.3,),
    tuples: (0.5, 1.5),
    lists: (1.2,),
    comprehension: (1.4,),
    dictionaries: (0.7, 1.9),
    called: (0.8, 1.2),
    called_in_loop: (0.4,),
    recursive: (1.1,),
    mutual: (0.8,),
    closures: (0.6, 1.2),
    higher_order: (0.3, 0.8),
    integrated: (0.2, 1.4),
    captured: (0.9,),
    unused: (0.4, 0.5),
    constant_branch: (1.5,),
    late: (0.7,),
    customised: (0.8,),
    checkpointed: (0.9,),
}
"""Functions of numbers with one number as their result."""


def logistic(w, x):
    z = x @ w[:-1] + w[-1]
    return np.mean(np.logaddexp(0.0, -z))


def network(w1, b1, w2, x):
    hidden = np.tanh(x @ w1 + b1)
    return np.sum((hidden @ w2) ** 2) / len(x)


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    return -np.log(p[0, 1]) + np.sum(p[1] ** 2)


def indexed(x):
    total = 0.0
    for i in range(len(x)):
        total = total + x[i] * x[i - 1]
    return total + x[1:].sum() * x[-1] + x[[0, 0, 1]] @ np.array([1.0, 2.0, 3.0])


def over_rows(x):
    total = 0.0
    for row in x:
        total = total + np.sum(row**2) * row[0]
    return total


def recurrent(w, x):
    h = np.zeros(3)
    states = []
    for t in range(x.shape[0]):
        h = np.tanh(w @ h + x[t])
        states.append(h)
    return np.sum(np.stack(states) ** 2) + np.sum(h)


def reshaped(x):
    y = x.reshape(3, 2).T
    z = np.concatenate([y, y[:, ::-1]], axis=0)
    return np.sum(np.where(z > 0, z**2, np.sin(z)) * z.mean(axis=1, keepdims=True))


def solved(a, b):
    x = np.linalg.solve(a @ a.T + np.eye(3), b)
    return x @ b + np.linalg.det(a) + np.trace(np.linalg.inv(a))


def summed(a, b):
    return np.einsum("ij,j->", a, b) + np.einsum("ij,jk->ik", a, a)[0, 1] + a.dot(b).sum()


def parameters(tree, x):
    h = x
    for w, b in tree["layers"]:
        h = np.tanh(w @ h + b)
    return np.sum(h * tree["scale"])


_rng = np.random.default_rng(0)

ARRAYS = {
    logistic: (_rng.normal(size=4), _rng.normal(size=(5, 3))),
    network: (_rng.normal(size=(3, 4)), _rng.normal(size=4), _rng.normal(size=(4, 2)), _rng.normal(size=(6, 3))),
    softmax: (_rng.normal(size=(2, 3)),),
    indexed: (_rng.normal(size=4),),
    over_rows: (_rng.normal(size=(3, 2)),),
    recurrent: (_rng.normal(size=(3, 3)), _rng.normal(size=(4, 3))),
    reshaped: (_rng.normal(size=(2, 3)),),
    solved: (MATRIX, POINTS),
    summed: (_rng.normal(size=(3, 3)), _rng.normal(size=3)),
}
"""Functions of arrays with one number as their result."""


def numeric(function: Any, arguments: tuple[Any, ...], position: int, step: float = 1e-6) -> Any:
    """The gradient by central differences."""
    value = np.asarray(arguments[position], dtype=float)
    found = np.zeros(value.shape)
    for index in np.ndindex(value.shape):
        ends = []
        for sign in (1, -1):
            moved = value.copy()
            moved[index] += sign * step
            given = moved if value.ndim else float(moved)
            ends.append(function(*arguments[:position], given, *arguments[position + 1 :]))
        found[index] = (ends[0] - ends[1]) / (2 * step)
    return found
