"""Recurrent layers: Greff et al., "LSTM: a search space odyssey", 2017 (arXiv:1503.04069; course 004, module 4).

The vanilla LSTM with peepholes, section II-A:

    z^t = tanh(W_z x^t + R_z y^(t-1) + b_z)                            block input
    i^t = sigma(W_i x^t + R_i y^(t-1) + p_i . c^(t-1) + b_i)           input gate
    f^t = sigma(W_f x^t + R_f y^(t-1) + p_f . c^(t-1) + b_f)           forget gate
    c^t = z^t . i^t + c^(t-1) . f^t                                    cell
    o^t = sigma(W_o x^t + R_o y^(t-1) + p_o . c^t + b_o)               output gate
    y^t = tanh(c^t) . o^t                                              block output

and backpropagation through time, section II-B, a bar over what stands inside tanh or sigma above, Delta what arrives
from the layer above:

    dy^t = Delta^t + R_z' dzbar^(t+1) + R_i' dibar^(t+1) + R_f' dfbar^(t+1) + R_o' dobar^(t+1)
    dobar^t = dy^t . tanh(c^t) . sigma'(obar^t)
    dc^t = dy^t . o^t . tanh'(c^t) + p_o . dobar^t + p_i . dibar^(t+1) + p_f . dfbar^(t+1) + dc^(t+1) . f^(t+1)
    dfbar^t = dc^t . c^(t-1) . sigma'(fbar^t)
    dibar^t = dc^t . z^t . sigma'(ibar^t)
    dzbar^t = dc^t . i^t . tanh'(zbar^t)
    dx^t = W_z' dzbar^t + W_i' dibar^t + W_f' dfbar^t + W_o' dobar^t

    dW = sum_t <dbar^t, x^t>        dp_i = sum_t c^(t-1) . dibar^t
    dR = sum_t <dbar^t, y^(t-1)>    dp_f = sum_t c^(t-1) . dfbar^t
    db = sum_t dbar^t               dp_o = sum_t c^t . dobar^t

where <,> is the outer product. The eight variants, section II-C, change one thing each:

    NIG, NFG, NOG   i^t = 1, f^t = 1, o^t = 1; the gate's parameters are gone
    NIAF            z^t = W_z x^t + R_z y^(t-1) + b_z    so dzbar^t = dc^t . i^t
    NOAF            y^t = c^t . o^t                      so dc^t has dy^t . o^t
    CIFG            f^t = 1 - i^t                        so dibar^t = dc^t . (z^t - c^(t-1)) . sigma'(ibar^t)
    NP              p = 0
    FGR             ibar^t, fbar^t and obar^t also have Q (i, f, o)^(t-1), nine N x N matrices;
                    so di^t, df^t and do^t have those rows of Q' (dibar, dfbar, dobar)^(t+1)

Everything that no step waits for is computed for all steps at once: W x, dx and the gradients of the weights take one
matrix product each; a step takes one with R (FGR: one more with Q), forwards and backwards. What is kept for the
backward pass is x, and y, c and the gates of every step: G + 2 numbers a unit, step and sequence.

Letters: T steps, B sequences side by side, F inputs, N units, G gates, P peepholes; gates, and the first dimension of
W, R and b, in the order z, i, f, o; peepholes in the order i, f, o; without those that a variant does not have.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from etude.errors import InputError
from etude.nn.fused import can_fuse, can_fuse_on_gpu
from etude.nn.layered import Recurrent, input_sizes


class Rule(NamedTuple):
    """What a variant computes."""

    gates: str = "zifo"  # those with weights of their own; what of i, f and o is missing is 1
    peepholes: bool = True
    coupled: bool = False  # f = 1 - i
    squash_input: bool = True  # tanh of the block input
    squash_output: bool = True  # tanh of the cell
    seen: bool = False  # gates see the gates before

    def parts(self, gates: Float[Tensor, "*batch G N"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """z, i, f and o, numbers (1) where a gate is missing."""
        found, one = dict(zip(self.gates, gates.unbind(-2), strict=True)), gates.new_ones(())
        i = found.get("i", one)
        return found["z"], i, 1 - i if self.coupled else found.get("f", one), found.get("o", one)

    @property
    def inner(self) -> int:
        """How many of the gates act on the cell: all but o, which is the last."""
        return len(self.gates.rstrip("o"))


Variant = Literal["vanilla", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR"]
VARIANTS: dict[str, Rule] = {
    "vanilla": Rule(),
    "NIG": Rule("zfo"),
    "NFG": Rule("zio"),
    "NOG": Rule("zif"),
    "NIAF": Rule(squash_input=False),
    "NOAF": Rule(squash_output=False),
    "CIFG": Rule("zio", coupled=True),
    "NP": Rule(peepholes=False),
    "FGR": Rule(seen=True),
}


class Weights(NamedTuple):
    """W, R, p, b and Q, or gradients with respect to them; None for what a variant does not have."""

    W: Float[Tensor, "G N F"]
    R: Float[Tensor, "G N N"]
    p: Float[Tensor, "P N"] | None
    b: Float[Tensor, "G N"]
    Q: Float[Tensor, "3 N 3 N"] | None = None


class States(NamedTuple):
    """What the units did: outputs y and cells c, from before the first step on, and the gates at every step."""

    y: Float[Tensor, "T+1 B N"]
    c: Float[Tensor, "T+1 B N"]
    gates: Float[Tensor, "T B G N"]


def forward_pass(
    x: Float[Tensor, "T B F"],
    y0: Float[Tensor, "B N"],
    c0: Float[Tensor, "B N"],
    weights: Weights,
    variant: str = "vanilla",
    gates0: Float[Tensor, "B 3 N"] | None = None,
) -> States:
    """The equations of section II-A, from outputs y0, cells c0 and, for FGR, gates i, f, o before the first step."""
    W, R, p, b, Q = weights
    gates = F.linear(x, W.flatten(0, 1), b.flatten()).unflatten(-1, b.shape)
    y, c = (torch.cat([start[None], start.new_empty(len(x), *start.shape)]) for start in (y0, c0))
    finish = arithmetic(x).forward_arithmetic(variant, gates, y, c, p)
    recurrent, units = R.flatten(0, 1).T.contiguous(), y0.shape[1]
    for t, sums in enumerate(gates.flatten(2).unbind()):
        sums.addmm_(y[t], recurrent)
        if Q is not None and gates0 is not None:
            before = gates[t - 1, :, 1:] if t else gates0
            sums[:, units:].addmm_(before.flatten(1), Q.flatten(0, 1).flatten(1).T)
        finish(t)
    return States(y, c, gates)


def backward_pass(
    delta: Float[Tensor, "T B N"],
    delta_c: Float[Tensor, "T B N"] | None,
    x: Float[Tensor, "T B F"],
    weights: Weights,
    states: States,
    variant: str = "vanilla",
    gates0: Float[Tensor, "B 3 N"] | None = None,
    delta_gates: Float[Tensor, "T B 3 N"] | None = None,
) -> tuple[Float[Tensor, "T B F"], Float[Tensor, "B N"], Float[Tensor, "B N"], Weights, Float[Tensor, "B 3 N"] | None]:
    """The equations of section II-B, and the same for the states before the first step.

    Args:
        delta: Delta, the gradient that arrives at every output.
        delta_c: the gradient that arrives at every cell; None for none.
        x, weights, variant, gates0: as given to `forward_pass`.
        states: what it returned.
        delta_gates: the gradient that arrives at the gates i, f and o of FGR; None for none.

    Returns:
        Gradients with respect to x, y0, c0, the weights and gates0.
    """
    W, R, p, _, Q = weights
    y, c, gates = states
    bars, dy, dc = torch.empty_like(gates), torch.zeros_like(y[0]), torch.zeros_like(c[0])
    dgates = None if gates0 is None else torch.zeros_like(gates0)
    begin = arithmetic(x).backward_arithmetic(variant, delta, gates, c, p, bars, dy, dc, dgates)
    recurrent, units = R.flatten(0, 1), y.shape[2]
    for t, flat in reversed(list(enumerate(bars.flatten(2).unbind()))):
        if delta_c is not None:
            dc += delta_c[t]
        if dgates is not None and delta_gates is not None:
            dgates += delta_gates[t]
        begin(t)
        torch.mm(flat, recurrent, out=dy)
        if Q is not None and dgates is not None:
            torch.mm(flat[:, units:], Q.flatten(0, 1).flatten(1), out=dgates.flatten(1))
    flat, rule = bars.flatten(2).flatten(0, 1), VARIANTS[variant]
    dp = dQ = None
    if p is not None:
        seen = [c[1:] if gate == "o" else c[:-1] for gate in rule.gates[1:]]
        dp = torch.stack([(bars[:, :, k] * cell).sum((0, 1)) for k, cell in enumerate(seen, 1)])
    if Q is not None and gates0 is not None:
        before = torch.cat([gates0[None], gates[:-1, :, 1:]])
        dQ = torch.mm(flat[:, units:].T, before.flatten(2).flatten(0, 1)).view_as(Q)
    gradients = Weights(
        W=torch.mm(flat.T, x.flatten(0, 1)).view_as(W),
        R=torch.mm(flat.T, y[:-1].flatten(0, 1)).view_as(R),
        p=dp,
        b=flat.sum(0).view(R.shape[:2]),
        Q=dQ,
    )
    return torch.mm(flat, W.flatten(0, 1)).view_as(x), dy, dc, gradients, dgates


class Eager:
    """The arithmetic of a step between its products, one operation of PyTorch after another."""

    @staticmethod
    def forward_arithmetic(variant: str, gates: Tensor, y: Tensor, c: Tensor, p: Tensor | None) -> Callable[[int], Any]:
        """A function of t that turns the sums in gates[t] into gates and writes cells and outputs after the step."""
        return partial(_forward_step, VARIANTS[variant], gates, y, c, p)

    @staticmethod
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
        """A function of t that takes dy, dc and dgates from the step after, and writes bars[t] and the dc before it.

        The slopes of all gates at all steps are computed at once.
        """
        rule, before = VARIANTS[variant], c[:-1]
        z, i, f, o = rule.parts(gates)
        h = c[1:].tanh() if rule.squash_output else c[1:]
        inner = [i * (1 - z * z) if rule.squash_input else i.expand_as(z)]
        if "i" in rule.gates:
            inner.append((z - before if rule.coupled else z) * i * (1 - i))
        if "f" in rule.gates:
            inner.append(before * f * (1 - f))
        slopes = _Slopes(
            inner=torch.stack(inner, 2),
            o=h * o * (1 - o),
            c=o * (1 - h * h) if rule.squash_output else o,
            f=f.expand_as(z),
            gates=gates[:, :, 1:] * (1 - gates[:, :, 1:]) if rule.seen else gates,
        )
        return partial(_backward_step, rule, slopes, delta, p, bars, dy, dc, dgates)


def _forward_step(rule: Rule, gates: Tensor, y: Tensor, c: Tensor, p: Tensor | None, t: int) -> None:
    now, cell, after, inner = gates[t], c[t], c[t + 1], rule.inner
    if p is not None:
        now[:, 1:inner].addcmul_(p[: inner - 1], cell[:, None])
    now[:, 1:inner].sigmoid_()
    if rule.squash_input:
        now[:, 0].tanh_()
    z, i, f, o = rule.parts(now)
    torch.mul(z, i, out=after).addcmul_(cell, f)
    if "o" in rule.gates:
        if p is not None:
            o.addcmul_(p[-1], after)
        o.sigmoid_()
    torch.mul(after.tanh() if rule.squash_output else after, o, out=y[t + 1])


class _Slopes(NamedTuple):
    """Derivatives at all steps."""

    inner: Tensor  # of the bars of z, i and f in dc
    o: Tensor  # of the bar of o in dy
    c: Tensor  # of dc in dy
    f: Tensor  # of dc in that of the step after
    gates: Tensor  # of the bars of i, f and o in those gates


def _backward_step(
    rule: Rule,
    slopes: _Slopes,
    delta: Tensor,
    p: Tensor | None,
    bars: Tensor,
    dy: Tensor,
    dc: Tensor,
    dgates: Tensor | None,
    t: int,
) -> None:
    bar, inner = bars[t], rule.inner
    dy.add_(delta[t])
    dc.addcmul_(dy, slopes.c[t])
    if "o" in rule.gates:
        torch.mul(dy, slopes.o[t], out=bar[:, -1])
        if dgates is not None:
            bar[:, -1].addcmul_(dgates[:, -1], slopes.gates[t, :, -1])
        if p is not None:
            dc.addcmul_(bar[:, -1], p[-1])
    torch.mul(dc[:, None], slopes.inner[t], out=bar[:, :inner])
    if dgates is not None:
        bar[:, 1:inner].addcmul_(dgates[:, :-1], slopes.gates[t, :, :-1])
    dc.mul_(slopes.f[t])
    if p is not None:
        for k in range(1, inner):
            dc.addcmul_(bar[:, k], p[k - 1])


def arithmetic(x: Tensor) -> Any:
    """`Eager`, or the same in one kernel a step where Numba (on the CPU) or Triton (on a GPU) is installed."""
    if can_fuse(x):
        from etude.nn import recurrent_kernels

        return recurrent_kernels
    if can_fuse_on_gpu(x):
        from etude.nn import recurrent_triton

        return recurrent_triton
    return Eager


class Recurrence(torch.autograd.Function):
    """`forward_pass` with `backward_pass` as its derivative.

    From (x, y0, c0, W, R, p, b), and for variants (Q, gates0, variant), to all outputs, all cells and, for FGR, the
    gates i, f and o. It can be differentiated once; asked for a graph of its gradients, it raises RuntimeError.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y0: Tensor,
        c0: Tensor,
        W: Tensor,
        R: Tensor,
        p: Tensor | None,
        b: Tensor,
        Q: Tensor | None = None,
        gates0: Tensor | None = None,
        variant: str = "vanilla",
    ) -> tuple[Tensor, ...]:
        states = forward_pass(x, y0, c0, Weights(W, R, p, b, Q), variant, gates0)
        ctx.save_for_backward(x, W, R, p, b, Q, gates0, *states)
        ctx.variant = variant
        ctx.set_materialize_grads(False)
        found = states.y[1:], states.c[1:]
        return found if gates0 is None else (*found, states.gates[:, :, 1:].clone())

    @staticmethod
    def backward(ctx: Any, *deltas: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("the LSTM with peepholes can be differentiated once: leave out create_graph=True")
        x, W, R, p, b, Q, gates0, *parts = ctx.saved_tensors
        states = States(*parts)
        delta, delta_c, delta_gates = (*deltas, None)[:3]
        if delta is None:
            delta = torch.zeros_like(states.y[1:])
        dx, dy0, dc0, gradients, dgates = backward_pass(
            delta, delta_c, x, Weights(W, R, p, b, Q), states, ctx.variant, gates0, delta_gates
        )
        return dx, dy0, dc0, *gradients, dgates, None


class Layer(nn.Module):
    """One layer of a `PeepholeLSTM` in one direction.

    Attributes:
        W: (G, N, F) input weights, of z, i, f, o.
        R: (G, N, N) recurrent weights, of z, i, f, o.
        p: (P, N) peephole weights, of i, f, o; None in NP.
        b: (G, N) biases, of z, i, f, o.
        Q: (3, N, 3, N) weights of gates i, f, o for the gates i, f, o of the step before; None but in FGR.
    """

    def __init__(self, input_size: int, hidden_size: int, variant: str) -> None:
        super().__init__()
        self.variant, rule = variant, VARIANTS[variant]
        G, N = len(rule.gates), hidden_size
        self.W, self.R, self.b = _drawn(G, N, input_size), _drawn(G, N, N), _drawn(G, N)
        self.p = _drawn(G - 1, N) if rule.peepholes else None
        self.Q = _drawn(3, N, 3, N) if rule.seen else None

    def forward(
        self, x: Float[Tensor, "T B F"], state: tuple[Float[Tensor, "B N"], ...], elapsed: Any
    ) -> tuple[Float[Tensor, "T B N"], tuple[Float[Tensor, "T B N"], ...]]:
        x, (y0, c0, *before) = x.to(self.W.dtype).contiguous(), [each.to(self.W.dtype) for each in state]
        gates0 = torch.stack(before, 1) if before else None
        given = x, y0, c0, self.W, self.R, self.p, self.b, self.Q, gates0, self.variant
        with torch.autocast(x.device.type, enabled=False):
            y, c, *gates = Recurrence.apply(*given)  # type: ignore[no-untyped-call]
        return y, (y, c, *(gate for each in gates for gate in each.unbind(2)))


def _drawn(*shape: int) -> nn.Parameter:
    return nn.Parameter(0.1 * torch.randn(*shape))


class PeepholeLSTM(Recurrent):
    """LSTM units whose gates see the cells, and eight variants of them, called as `torch.nn.LSTM` is.

    The state is (y, c), outputs and cells; with FGR it is (y, c, i, f, o), since a step sees the gates before it.
    Weights, peepholes and biases are drawn from N(0, 0.1^2) (section IV-B). It computes in the precision of its
    weights, under autocast too. It can be differentiated once. Where `etude[fast]` is installed, one kernel does the
    arithmetic of a step: Numba's for weights in float32 on the CPU, Triton's in float32 or float64 on a GPU.

    Args:
        input_size: F, numbers in an input, in [1, inf).
        hidden_size: N, units of a layer and direction, in [1, inf).
        num_layers: layers, each with the outputs of the one before as inputs, in [1, inf).
        variant: `vanilla`, or what it is without: NIG, NFG, NOG (input, forget, output gate), NIAF, NOAF (input,
            output activation function), NP (peepholes); or CIFG (coupled input and forget gate), FGR (full gate
            recurrence).
        batch_first: whether inputs and outputs are (B, T, ...) and not (T, B, ...).
        bidirectional: whether a second set of units reads each sequence backwards.

    Raises:
        InputError: no variant has this name, or a size is below 1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        variant: str = "vanilla",
        batch_first: bool = False,
        bidirectional: bool = False,
    ) -> None:
        if variant not in VARIANTS:
            raise InputError(f"{variant!r} is no variant of the LSTM; choose one of: {', '.join(VARIANTS)}")
        sizes = input_sizes(input_size, hidden_size, num_layers, bidirectional)
        layers = [Layer(size, hidden_size, variant) for size in sizes]
        states = 5 if VARIANTS[variant].seen else 2
        super().__init__(layers, input_size, hidden_size, states, batch_first=batch_first, bidirectional=bidirectional)
