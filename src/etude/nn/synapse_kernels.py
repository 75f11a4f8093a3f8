"""The passes of `etude.nn.synapses` as Numba kernels, for float32 on a CPU (the extra `etude[fast]`).

Sequences do not see each other, so that each thread takes some of them through all time. The openings of one sequence
at one unfolding stay in the first cache. Their exponential is computed here, 2^n times the Taylor polynomial of 2^f for
f in [-1/2, 1/2], because then the compiler turns it into vector instructions. Values that are not numbers stay so.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from etude.nn.synapses import Slopes, Weights

ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
LOG2_E, LARGEST = np.float32(1 / math.log(2)), np.float32(126)
C1, C2, C3, C4, C5, C6, C7 = (np.float32(math.log(2) ** k / math.factorial(k)) for k in range(1, 8))

compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@compiled
@no_type_check
def opening(z):
    """sigma(z) = 1 / (1 + 2^(-z log2 e))."""
    x = -z * LOG2_E
    x = LARGEST if x > LARGEST else x
    x = -LARGEST if x < -LARGEST else x
    n = np.floor(x + HALF)
    f = x - n
    power = ONE + f * (C1 + f * (C2 + f * (C3 + f * (C4 + f * (C5 + f * (C6 + f * C7))))))
    return ONE / (ONE + power * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32))


@compiled
@no_type_check
def gather(v, weights, s, G, E):
    """Openings, conductances and currents of one sequence."""
    for i in range(len(G)):
        w, pull, sigma, shift, row = weights[0, i], weights[1, i], weights[2, i], weights[3, i], s[i]
        for j in range(len(v)):
            row[j] = opening(sigma[j] * v[j] - shift[j])
        g, e = ZERO, ZERO
        for j in range(len(v)):
            g += w[j] * row[j]
            e += pull[j] * row[j]
        G[i], E[i] = g, e


@compiled
@no_type_check
def spread(dG, dE, v, weights, s, dz, dv, gradients):
    """Adds to the gradients of one sequence's voltages and of the weights what arrives at G and E."""
    for i in range(len(dG)):
        w, pull, sigma, row = weights[0, i], weights[1, i], weights[2, i], s[i]
        Q, P = dG[i], dE[i]
        for j in range(len(v)):
            dz[j] = (Q * w[j] + P * pull[j]) * row[j] * (ONE - row[j])
        for j in range(len(v)):
            dv[j] += dz[j] * sigma[j]
        of_w, of_pull, of_sigma, of_shift = gradients[0, i], gradients[1, i], gradients[2, i], gradients[3, i]
        for j in range(len(v)):
            of_w[j] += Q * row[j]
        for j in range(len(v)):
            of_pull[j] += P * row[j]
        for j in range(len(v)):
            of_sigma[j] += dz[j] * v[j]
        for j in range(len(v)):
            of_shift[j] -= dz[j]


@compiled
@no_type_check
def run_forward(first, last, v0, drive, leak, r, weights, after):
    steps, unfolds, _, units = after.shape
    s = np.empty((units, units), np.float32)
    v, G, E = np.empty(units, np.float32), np.empty(units, np.float32), np.empty(units, np.float32)
    for b in range(first, last):
        v[:] = v0[b]
        for t in range(steps):
            for unfold in range(unfolds):
                gather(v, weights, s, G, E)
                for i in range(units):
                    v[i] = (v[i] + r[t, b, i] * (drive[t, b, i] + E[i])) / (ONE + r[t, b, i] * (leak[t, b, i] + G[i]))
                after[t, unfold, b] = v


@compiled
@no_type_check
def run_backward(first, last, delta, v0, drive, leak, r, weights, after, of_v0, of_drive, of_leak, of_r, gradients):
    steps, unfolds, _, units = after.shape
    s = np.empty((units, units), np.float32)
    v, G, E = np.empty(units, np.float32), np.empty(units, np.float32), np.empty(units, np.float32)
    dG, dE, dz = np.empty(units, np.float32), np.empty(units, np.float32), np.empty(units, np.float32)
    for b in range(first, last):
        dv = of_v0[b]
        for t in range(steps - 1, -1, -1):
            dv += delta[t, b]
            for unfold in range(unfolds - 1, -1, -1):
                if unfold > 0:
                    v[:] = after[t, unfold - 1, b]
                elif t > 0:
                    v[:] = after[t - 1, unfolds - 1, b]
                else:
                    v[:] = v0[b]
                gather(v, weights, s, G, E)
                for i in range(units):
                    total = leak[t, b, i] + G[i]
                    P = dv[i] / (ONE + r[t, b, i] * total)
                    Q = -P * after[t, unfold, b, i]
                    of_r[t, b, i] += P * (drive[t, b, i] + E[i]) + Q * total
                    dG[i], dE[i] = Q * r[t, b, i], P * r[t, b, i]
                    of_leak[t, b, i] += dG[i]
                    of_drive[t, b, i] += dE[i]
                    dv[i] = P
                spread(dG, dE, v, weights, s, dz, dv, gradients)


@compiled
@no_type_check
def gather_rows(first, last, v, weights, found):
    s = np.empty(weights.shape[1:], np.float32)
    for m in range(first, last):
        gather(v[m], weights, s, found[0, m], found[1, m])


@compiled
@no_type_check
def spread_rows(first, last, delta, v, weights, dv, gradients):
    after, before = weights.shape[1:]
    s, dz = np.empty((after, before), np.float32), np.empty(before, np.float32)
    G, E = np.empty(after, np.float32), np.empty(after, np.float32)
    for m in range(first, last):
        gather(v[m], weights, s, G, E)
        spread(delta[0, m], delta[1, m], v[m], weights, s, dz, dv[m], gradients)


def shared(rows: int, work: Callable[[int, int], Any]) -> list[Any]:
    """What `work` returns for as many stretches of the rows, from first to last, as PyTorch has threads."""
    size = -(-rows // torch.get_num_threads())
    firsts = range(0, rows, size)
    lasts = [min(first + size, rows) for first in firsts]
    if len(firsts) == 1:
        return [work(0, rows)]
    with ThreadPoolExecutor(len(firsts)) as pool:
        return list(pool.map(work, firsts, lasts))


def arrays(*tensors: Tensor) -> list[Any]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def stacked(weights: Weights) -> Any:
    return torch.stack(weights).detach().numpy()


def forward_pass(
    v0: Float[Tensor, "B N"],
    drive: Float[Tensor, "T B N"],
    leak: Float[Tensor, "T B N"],
    r: Float[Tensor, "T B N"],
    weights: Weights,
    unfolds: int,
) -> Float[Tensor, "T L B N"]:
    """As `etude.nn.synapses.forward_pass`."""
    given = *arrays(v0, drive, leak, r), stacked(weights)
    after = np.empty((len(r), unfolds, *v0.shape), np.float32)
    shared(len(v0), lambda first, last: run_forward(first, last, *given, after))
    return torch.from_numpy(after)


def backward_pass(
    delta: Float[Tensor, "T B N"],
    v0: Float[Tensor, "B N"],
    drive: Float[Tensor, "T B N"],
    leak: Float[Tensor, "T B N"],
    r: Float[Tensor, "T B N"],
    weights: Weights,
    after: Float[Tensor, "T L B N"],
) -> Slopes:
    """As `etude.nn.synapses.backward_pass`."""
    each, given = stacked(weights), arrays(delta, v0, drive, leak, r)
    found = [np.zeros_like(x) for x in given[1:]]
    (voltages,) = arrays(after)

    def work(first: int, last: int) -> Any:
        gradients = np.zeros_like(each)
        run_backward(first, last, *given, each, voltages, *found, gradients)
        return gradients

    gradients = torch.from_numpy(sum(shared(len(v0), work)))
    of_v0, of_drive, of_leak, of_r = (torch.from_numpy(x) for x in found)
    return Slopes(of_v0, of_drive, of_leak, of_r, Weights(*gradients))


def currents(v: Float[Tensor, "M J"], weights: Weights) -> Float[Tensor, "2 M I"]:
    """G and E."""
    each, (rows,) = stacked(weights), arrays(v)
    found = np.empty((2, len(v), len(weights.w)), np.float32)
    shared(len(v), lambda first, last: gather_rows(first, last, rows, each, found))
    return torch.from_numpy(found)


def currents_slopes(
    delta: Float[Tensor, "2 M I"], v: Float[Tensor, "M J"], weights: Weights
) -> tuple[Float[Tensor, "M J"], Weights]:
    """As `etude.nn.synapses.slopes`."""
    each, (arriving, rows) = stacked(weights), arrays(delta, v)
    dv = np.zeros_like(rows)

    def work(first: int, last: int) -> Any:
        gradients = np.zeros_like(each)
        spread_rows(first, last, arriving, rows, each, dv, gradients)
        return gradients

    gradients = torch.from_numpy(sum(shared(len(v), work)))
    return torch.from_numpy(dv), Weights(*gradients)
