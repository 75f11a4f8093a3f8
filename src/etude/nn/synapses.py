"""Synapses between units with voltages, and a membrane that they charge, with hand-written derivatives.

What liquid time-constant networks compute (Hasani et al. 2021; `etude.nn.continuous`), for all pairs of units i after
and j before a synapse:

    s_ij = sigma(sigma_ij v_j - shift_ij)                    share of its channels that is open
    G_i = sum_j w_ij s_ij                                    conductance
    E_i = sum_j w_ij A_ij s_ij                               conductance times reversal potential
    v_i <- (v_i + r_i (drive_i + E_i)) / (1 + r_i (leak_i + G_i))

The openings s are N^2 numbers for every sequence, step and unfolding, by far the most that is computed. They are never
kept: the backward pass computes them again from the voltages. On a CPU, in float32 and with Numba (the extra
`etude[fast]`), they do not even leave the first cache (`etude.nn.synapse_kernels`); elsewhere PyTorch runs the passes
below.

Letters: T steps, L unfoldings of a step, B sequences side by side, M rows of voltages, J units before the synapses, I
units after them (N where they are the same).
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from etude.nn.fused import can_fuse

ROOM = 2**20  # numbers that the openings of as many rows as are computed at once may take


class Weights(NamedTuple):
    """w, pull = w A, sigma and shift = sigma mu of every synapse, or gradients with respect to them."""

    w: Float[Tensor, "I J"]
    pull: Float[Tensor, "I J"]
    sigma: Float[Tensor, "I J"]
    shift: Float[Tensor, "I J"]


def openings(v: Float[Tensor, "M J"], weights: Weights) -> Float[Tensor, "I M J"]:
    """s."""
    return torch.sigmoid(torch.addcmul(-weights.shift[:, None], v, weights.sigma[:, None]))


def sums(s: Float[Tensor, "I M J"], weights: Weights) -> Float[Tensor, "2 M I"]:
    """G and E."""
    return torch.bmm(s, torch.stack([weights.w, weights.pull], 2)).permute(2, 1, 0)


def slopes(
    delta: Float[Tensor, "2 M I"], s: Float[Tensor, "I M J"], v: Float[Tensor, "M J"], weights: Weights
) -> tuple[Float[Tensor, "M J"], Weights]:
    """Gradients with respect to v and the weights where `delta` are those with respect to G and E."""
    delta = delta.permute(2, 1, 0)
    w, pull = torch.bmm(delta.mT, s).unbind(1)
    dz = torch.bmm(delta, torch.stack([weights.w, weights.pull], 1)) * s * (1 - s)
    dv = torch.einsum("imj,ij->mj", dz, weights.sigma)
    return dv, Weights(w, pull, torch.einsum("imj,mj->ij", dz, v), -dz.sum(1))


def forward_pass(
    v0: Float[Tensor, "B N"],
    drive: Float[Tensor, "T B N"],
    leak: Float[Tensor, "T B N"],
    r: Float[Tensor, "T B N"],
    weights: Weights,
    unfolds: int,
) -> Float[Tensor, "T L B N"]:
    """Voltages after every unfolding of every step, from v0 before the first."""
    v, after = v0, list[Tensor]()
    for t in range(len(r)):
        for _ in range(unfolds):
            G, E = sums(openings(v, weights), weights)
            v = (v + r[t] * (drive[t] + E)) / (1 + r[t] * (leak[t] + G))
            after.append(v)
    return torch.stack(after).view(len(r), unfolds, *v0.shape)


class Slopes(NamedTuple):
    """Gradients with respect to what `forward_pass` was given."""

    v0: Float[Tensor, "B N"]
    drive: Float[Tensor, "T B N"]
    leak: Float[Tensor, "T B N"]
    r: Float[Tensor, "T B N"]
    weights: Weights


def backward_pass(
    delta: Float[Tensor, "T B N"],
    v0: Float[Tensor, "B N"],
    drive: Float[Tensor, "T B N"],
    leak: Float[Tensor, "T B N"],
    r: Float[Tensor, "T B N"],
    weights: Weights,
    after: Float[Tensor, "T L B N"],
) -> Slopes:
    """Gradients where `delta` arrive at the voltages after every step, and `after` is what `forward_pass` returned."""
    unfolds = after.shape[1]
    before = torch.cat([v0[None], after.flatten(0, 1)[:-1]]).view_as(after)
    of_drive, of_leak, of_r = torch.zeros_like(r), torch.zeros_like(r), torch.zeros_like(r)
    of_weights = [torch.zeros_like(each) for each in weights]
    dv = torch.zeros_like(v0)
    for t in reversed(range(len(r))):
        dv = dv + delta[t]
        for unfold in reversed(range(unfolds)):
            v = before[t, unfold]
            s = openings(v, weights)
            G, E = sums(s, weights)
            total = leak[t] + G
            P = dv / (1 + r[t] * total)
            Q = -P * after[t, unfold]
            of_r[t] += P * (drive[t] + E) + Q * total
            P_r, Q_r = P * r[t], Q * r[t]
            of_drive[t] += P_r
            of_leak[t] += Q_r
            through, changes = slopes(torch.stack([Q_r, P_r]), s, v, weights)
            for gradient, change in zip(of_weights, changes, strict=True):
                gradient += change
            dv = P + through
    return Slopes(dv, of_drive, of_leak, of_r, Weights(*of_weights))


def kernels() -> Any:
    from etude.nn import synapse_kernels

    return synapse_kernels


def refuse_a_graph() -> None:
    if torch.is_grad_enabled():
        raise RuntimeError("synapses can be differentiated once: leave out create_graph=True")


class Membrane(torch.autograd.Function):
    """`forward_pass` with `backward_pass` as its derivative: (unfolds, v0, drive, leak, r, *Weights) to the voltages
    after every step, (T, B, N).

    It can be differentiated once; asked for a graph of its gradients, it raises RuntimeError. It keeps the voltages
    after every unfolding, T L B N numbers.
    """

    @staticmethod
    def forward(ctx: Any, unfolds: int, *given: Tensor) -> Tensor:
        v0, drive, leak, r, *weights = given
        run = kernels().forward_pass if can_fuse(v0) else forward_pass
        after = run(v0, drive, leak, r, Weights(*weights), unfolds)
        ctx.save_for_backward(*given, after)
        return after[:, -1].clone()

    @staticmethod
    def backward(ctx: Any, delta: Tensor) -> tuple[Tensor | None, ...]:
        refuse_a_graph()
        v0, drive, leak, r, *weights, after = ctx.saved_tensors
        run = kernels().backward_pass if can_fuse(v0) else backward_pass
        *found, of_weights = run(delta, v0, drive, leak, r, Weights(*weights), after)
        return None, *found, *of_weights


class Currents(torch.autograd.Function):
    """(v, *Weights) to G and E, (2, M, I), for any number of rows of voltages; differentiated once, too."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(v, *weights)
        each = Weights(*weights)
        if can_fuse(v):
            found: Tensor = kernels().currents(v, each)
            return found
        return torch.cat([sums(openings(part, each), each) for part in parts(v, each)], 1)

    @staticmethod
    def backward(ctx: Any, delta: Tensor) -> tuple[Tensor, ...]:
        refuse_a_graph()
        v, *weights = ctx.saved_tensors
        each = Weights(*weights)
        if can_fuse(v):
            dv, of_weights = kernels().currents_slopes(delta, v, each)
            return (dv, *of_weights)
        found = [
            slopes(arriving, openings(part, each), part, each)
            for part, arriving in zip(parts(v, each), parts(delta, each, 1), strict=True)
        ]
        rows, changes = zip(*found, strict=True)
        return torch.cat(rows), *(sum(change[1:], change[0]) for change in zip(*changes, strict=True))


def parts(x: Tensor, weights: Weights, dim: int = 0) -> tuple[Tensor, ...]:
    """As many rows at a time as there is room for."""
    return torch.split(x, max(1, ROOM // weights.w.numel()), dim)
