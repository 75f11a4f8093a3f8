"""The arithmetic of an LSTM's step between its matrix products, in one Triton kernel forwards and one backwards.

What PyTorch launches a dozen small kernels a step for, `recurrent.Eager`, is one launch here; the products stay
PyTorch's. Imported by `etude.nn.recurrent` alone, where Triton is installed, for float32 and float64 on a GPU. All
nine variants are here: of FGR, what stands between its two products a step.

So far the kernels have run in Triton's interpreter and have been compiled for CUDA; no GPU has run them yet.

A program computes up to `BLOCK` units of one sequence. Of unit n of sequence b at step t, the row is t B + b.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, no_type_check

import triton
import triton.language as tl
from torch import Tensor

from etude.nn.recurrent import VARIANTS

BLOCK = 128


@triton.jit
@no_type_check
def sigmoid(x):
    return 1 / (1 + tl.exp(-x))


@triton.jit
@no_type_check
def tanh(x):
    """1 - 2 / (exp(2x) + 1) would lose the digits of small numbers: theirs are six levels of Lambert's fraction."""
    s = x * x
    small = x * (10395 + s * (1260 + s * 21)) / (10395 + s * (4725 + s * (210 + s)))
    return tl.where(s < 0.0625, small, 1 - 2 / (tl.exp(2 * x) + 1))


@triton.jit
@no_type_check
def gate(sums, peephole, cell, there, PEEPHOLES: tl.constexpr):
    """A gate in place of its sum."""
    value = tl.load(sums, there)
    if PEEPHOLES:
        value += tl.load(peephole, there) * cell
    value = sigmoid(value)
    tl.store(sums, value, there)
    return value


@triton.jit(do_not_specialize=["t"])
@no_type_check
def forward_step(
    gates,
    y,
    c,
    p,
    t,
    units,
    AT_I: tl.constexpr,
    AT_F: tl.constexpr,
    INNER: tl.constexpr,
    GATES: tl.constexpr,
    PEEPHOLES: tl.constexpr,
    COUPLED: tl.constexpr,
    SQUASH_INPUT: tl.constexpr,
    SQUASH_OUTPUT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    n = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = n < units
    row = t.to(tl.int64) * tl.num_programs(0) + tl.program_id(0)
    now, after = gates + row * GATES * units + n, (row + tl.num_programs(0)) * units + n
    cell = tl.load(c + row * units + n, there)
    z = tl.load(now, there)
    if SQUASH_INPUT:
        z = tanh(z)
        tl.store(now, z, there)
    i = 1.0
    if AT_I > 0:
        i = gate(now + AT_I * units, p + (AT_I - 1) * units + n, cell, there, PEEPHOLES)
    f = 1.0
    if AT_F > 0:
        f = gate(now + AT_F * units, p + (AT_F - 1) * units + n, cell, there, PEEPHOLES)
    if COUPLED:
        f = 1 - i
    cell = z * i + cell * f
    tl.store(c + after, cell, there)
    out = cell
    if SQUASH_OUTPUT:
        out = tanh(cell)
    if GATES > INNER:
        out *= gate(now + INNER * units, p + (INNER - 1) * units + n, cell, there, PEEPHOLES)
    tl.store(y + after, out, there)


@triton.jit
@no_type_check
def before_gate(in_gate, value, bar, from_gate, there, SEEN: tl.constexpr):
    """The gradient of a gate's sum, from that of the gate and what FGR's next step adds to it."""
    if SEEN:
        in_gate += tl.load(from_gate, there)
    in_sum = in_gate * (value - value * value)
    tl.store(bar, in_sum, there)
    return in_sum


@triton.jit(do_not_specialize=["t"])
@no_type_check
def backward_step(
    delta,
    gates,
    c,
    p,
    bars,
    dy,
    dc,
    dgates,
    t,
    units,
    AT_I: tl.constexpr,
    AT_F: tl.constexpr,
    INNER: tl.constexpr,
    GATES: tl.constexpr,
    PEEPHOLES: tl.constexpr,
    COUPLED: tl.constexpr,
    SQUASH_INPUT: tl.constexpr,
    SQUASH_OUTPUT: tl.constexpr,
    BLOCK: tl.constexpr,
    SEEN: tl.constexpr,
):
    sequence, n = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = n < units
    row = t.to(tl.int64) * tl.num_programs(0) + sequence
    now, bar = gates + row * GATES * units + n, bars + row * GATES * units + n
    here, from_gates = sequence * units + n, dgates + sequence * 3 * units + n
    before = tl.load(c + row * units + n, there)
    h = tl.load(c + (row + tl.num_programs(0)) * units + n, there)
    if SQUASH_OUTPUT:
        h = tanh(h)
    in_y = tl.load(delta + row * units + n, there) + tl.load(dy + here, there)
    in_h = in_y
    if GATES > INNER:
        o = tl.load(now + INNER * units, there)
        in_h = in_y * o
    in_c = tl.load(dc + here, there)
    if SQUASH_OUTPUT:
        in_c += in_h - in_h * (h * h)
    else:
        in_c += in_h
    if GATES > INNER:
        bar_o = before_gate(in_y * h, o, bar + INNER * units, from_gates + 2 * units, there, SEEN)
        if PEEPHOLES:
            in_c += tl.load(p + (INNER - 1) * units + n, there) * bar_o
    z, in_z, in_before = tl.load(now, there), in_c, in_c
    if AT_I > 0:
        i = tl.load(now + AT_I * units, there)
        in_z = in_c * i
        in_i = in_c * z
        if COUPLED:
            in_i = in_c * (z - before)
            in_before = in_c - in_c * i
        bar_i = before_gate(in_i, i, bar + AT_I * units, from_gates, there, SEEN)
    if AT_F > 0:
        f = tl.load(now + AT_F * units, there)
        in_before = in_c * f
        bar_f = before_gate(in_c * before, f, bar + AT_F * units, from_gates + units, there, SEEN)
        if PEEPHOLES:
            in_before += tl.load(p + (AT_F - 1) * units + n, there) * bar_f
    if AT_I > 0 and PEEPHOLES:
        in_before += tl.load(p + (AT_I - 1) * units + n, there) * bar_i
    if SQUASH_INPUT:
        in_z -= in_z * (z * z)
    tl.store(bar, in_z, there)
    tl.store(dc + here, in_before, there)


def launch(kernel: Any, variant: str, gates: Tensor, **flags: bool) -> partial[Any]:
    """A kernel over all units of all sequences, of tensors that hold all steps, and t."""
    rule, (_, sequences, count, units) = VARIANTS[variant], gates.shape
    return partial(
        kernel[sequences, triton.cdiv(units, BLOCK)],
        units=units,
        AT_I=rule.gates.find("i"),
        AT_F=rule.gates.find("f"),
        INNER=rule.inner,
        GATES=count,
        PEEPHOLES=rule.peepholes,
        COUPLED=rule.coupled,
        SQUASH_INPUT=rule.squash_input,
        SQUASH_OUTPUT=rule.squash_output,
        BLOCK=BLOCK,
        **flags,
    )


def forward_arithmetic(variant: str, gates: Tensor, y: Tensor, c: Tensor, p: Tensor | None) -> Callable[[int], Any]:
    """As `recurrent.Eager.forward_arithmetic`."""
    return partial(launch(forward_step, variant, gates), gates, y, c, gates if p is None else p)


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
    run = launch(backward_step, variant, gates, SEEN=VARIANTS[variant].seen)
    peepholes, from_gates = gates if p is None else p, dc if dgates is None else dgates
    return partial(run, delta.contiguous(), gates, c, peepholes, bars, dy, dc, from_gates)
