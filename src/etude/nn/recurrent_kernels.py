"""The arithmetic of an LSTM's step between its matrix products, in one Numba kernel forwards and one backwards.

What PyTorch does in a dozen small operations a step, `recurrent.Eager`, the kernels do in one pass over the units.
They are compiled once for each variant, in seconds, and kept on disk. Imported by `etude.nn.recurrent` alone, where
Numba is installed, for float32 on the CPU.

exp(x) is 2^k exp(r), k the integer nearest to x / ln 2 and |r| <= ln(2) / 2: the power of two is written into the
exponent's bits, exp(r) - 1 is its series to r^7, whose remainder, 5e-9, is below float32's epsilon. That form becomes
vector instructions, where a call of the C library does not. What is not a number stays so.
"""

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any, no_type_check

import numba
import numpy as np
from torch import Tensor

from etude.nn.recurrent import VARIANTS

LIMIT, LOG2E = np.float32(87.0), np.float32(1 / math.log(2))
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(math.log(2) - 0.693359375)
ROUND = np.float32(1.5 * 2**23)  # what is added to it loses its fraction; its integer stands in the last bits
A1, A2, A3, A4, A5, A6, A7 = (np.float32(1 / math.factorial(k)) for k in range(1, 8))
ONE, TWO, BITS_OF_ONE, SHIFT = np.float32(1), np.float32(2), np.int32(127 << 23), np.int32(23)
GATES, UNITS, WEIGHTS = "float32[:, :, :, ::1]", "float32[:, :, ::1]", "float32[:, ::1]"
NO_PEEPHOLES, NO_GATES = np.empty((1, 1), np.float32), np.empty((1, 1, 1), np.float32)


OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy", "fastmath": {"contract"}}
compiled = numba.njit(**OPTIONS)


@compiled
@no_type_check
def exponential(x):
    """2^k and exp(r) - 1."""
    x = LIMIT if x > LIMIT else x
    x = -LIMIT if x < -LIMIT else x
    shifted = np.float32(x * LOG2E + ROUND)
    k = shifted - ROUND
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    rest = r * (A1 + r * (A2 + r * (A3 + r * (A4 + r * (A5 + r * (A6 + r * A7))))))
    return np.int32((shifted.view(np.int32) << SHIFT) + BITS_OF_ONE).view(np.float32), rest


@compiled
@no_type_check
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    power, rest = exponential(-x)
    return ONE / (ONE + (power + power * rest))


@compiled
@no_type_check
def tanh(x):
    """(exp(2x) - 1) / (exp(2x) + 1); the numerator without cancellation, so that small numbers keep their digits."""
    power, rest = exponential(x + x)
    less_one = power * rest + (power - ONE)
    return less_one / (less_one + TWO)


@cache
@no_type_check
def _forward(variant):
    """The kernel of one step of a variant, over arrays (T, B, ...) that hold all steps.

    A row stays in the first cache from one loop to the next; a loop that met more rows would not become vector
    instructions, for the compiler would have to see that none of them overlap.
    """
    rule = VARIANTS[variant]
    has_i, has_f, has_o = ("i" in rule.gates, "f" in rule.gates, "o" in rule.gates)
    at_i, at_f, inner = rule.gates.find("i"), rule.gates.find("f"), rule.inner
    peepholes, coupled, squash_input, squash_output = rule[1:5]

    def step(gates, y, c, p, t):
        sequences, _, units = gates[0].shape
        for b in range(sequences):
            now, cell, after, out = gates[t, b], c[t, b], c[t + 1, b], y[t + 1, b]
            if squash_input:
                for n in range(units):
                    now[0, n] = tanh(now[0, n])
            for k in range(1, inner):
                for n in range(units):
                    now[k, n] = sigmoid(now[k, n] + p[k - 1, n] * cell[n] if peepholes else now[k, n])
            for n in range(units):
                i = now[at_i, n] if has_i else ONE
                f = now[at_f, n] if has_f else ONE - i if coupled else ONE
                after[n] = now[0, n] * i + cell[n] * f
            for n in range(units):
                out[n] = tanh(after[n]) if squash_output else after[n]
            if has_o:
                for n in range(units):
                    now[inner, n] = sigmoid(now[inner, n] + p[inner - 1, n] * after[n] if peepholes else now[inner, n])
                    out[n] = out[n] * now[inner, n]

    return _compile(step, variant, f"void({GATES}, {UNITS}, {UNITS}, {WEIGHTS}, int64)")


@cache
@no_type_check
def _backward(variant):
    """The kernel of one step backwards."""
    rule = VARIANTS[variant]
    has_i, has_f, has_o = ("i" in rule.gates, "f" in rule.gates, "o" in rule.gates)
    at_i, at_f, inner = rule.gates.find("i"), rule.gates.find("f"), rule.inner
    peepholes, coupled, squash_input, squash_output, seen = rule[1:]

    def step(delta, gates, c, p, bars, dy, dc, dgates, t):
        sequences, _, units = gates[0].shape
        for b in range(sequences):
            now, bar, before, after = gates[t, b], bars[t, b], c[t, b], c[t + 1, b]
            given, from_y, from_c, from_gates = delta[t, b], dy[b], dc[b], dgates[b if seen else 0]
            for n in range(units):
                h = tanh(after[n]) if squash_output else after[n]
                o = now[inner, n] if has_o else ONE
                in_y = given[n] + from_y[n]
                in_c = in_y * o
                from_c[n] += in_c - in_c * (h * h) if squash_output else in_c
                if has_o:
                    bar[inner, n] = (in_y * h + from_gates[2, n] if seen else in_y * h) * (o - o * o)
            if has_o and peepholes:
                for n in range(units):
                    from_c[n] += p[inner - 1, n] * bar[inner, n]
            for n in range(units):
                i = now[at_i, n] if has_i else ONE
                slope = ONE - now[0, n] * now[0, n] if squash_input else ONE
                bar[0, n] = from_c[n] * i * slope
            if has_i:
                for n in range(units):
                    i = now[at_i, n]
                    in_i = from_c[n] * (now[0, n] - before[n] if coupled else now[0, n])
                    bar[at_i, n] = (in_i + from_gates[0, n] if seen else in_i) * (i - i * i)
            if has_f:
                for n in range(units):
                    f = now[at_f, n]
                    in_f = from_c[n] * before[n]
                    bar[at_f, n] = (in_f + from_gates[1, n] if seen else in_f) * (f - f * f)
            for n in range(units):
                from_c[n] *= now[at_f, n] if has_f else ONE - now[at_i, n] if coupled else ONE
            if peepholes:
                for k in range(1, inner):
                    for n in range(units):
                        from_c[n] += p[k - 1, n] * bar[k, n]

    return _compile(
        step,
        variant,
        f"void({UNITS}, {GATES}, {UNITS}, {WEIGHTS}, {GATES}, {WEIGHTS}, {WEIGHTS}, {UNITS}, int64)",
    )


@no_type_check
def _compile(step, variant, signature):
    """One file on disk for each variant: Numba's index of several in one file is not safe when two processes write."""
    step.__qualname__ = f"{step.__qualname__}.{variant}"
    return numba.njit(signature, **OPTIONS)(step)


def _array(tensor: Tensor) -> Any:
    return tensor.detach().numpy()


def forward_arithmetic(variant: str, gates: Tensor, y: Tensor, c: Tensor, p: Tensor | None) -> Callable[[int], Any]:
    """As `recurrent.Eager.forward_arithmetic`."""
    peepholes = NO_PEEPHOLES if p is None else _array(p)
    return partial(_forward(variant), _array(gates), _array(y), _array(c), peepholes)


def backward_arithmetic(
    variant: str,
    delta: Tensor,
    gates: Tensor,
    c: Tensor,
    p: Tensor | None,
    bars: Tensor,
    dy: Tensor,
    dc: Tensor,
    dgates: Tensor | None,
) -> Callable[[int], Any]:
    """As `recurrent.Eager.backward_arithmetic`."""
    peepholes = NO_PEEPHOLES if p is None else _array(p)
    arrays = _array(delta.contiguous()), _array(gates), _array(c), peepholes, _array(bars), _array(dy), _array(dc)
    return partial(_backward(variant), *arrays, NO_GATES if dgates is None else _array(dgates))
