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

where <,> is the outer product. Everything that no step waits for is computed for all steps at once: W x, dx and the
gradients of the weights take one matrix product each; a step takes one with R, forwards and backwards.

Letters: T steps, B sequences side by side, F inputs, N units; gates, and the first dimension of W, R and b, in the
order z, i, f, o; peepholes in the order i, f, o.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Weights(NamedTuple):
    """W, R, p and b, or gradients with respect to them."""

    W: Float[Tensor, "4 N F"]
    R: Float[Tensor, "4 N N"]
    p: Float[Tensor, "3 N"]
    b: Float[Tensor, "4 N"]


class States(NamedTuple):
    """What the units did at every step: outputs y, cells c, and z, i, f, o in `gates`."""

    y: Float[Tensor, "T B N"]
    c: Float[Tensor, "T B N"]
    gates: Float[Tensor, "T B 4 N"]


def forward_pass(
    x: Float[Tensor, "T B F"], y0: Float[Tensor, "B N"], c0: Float[Tensor, "B N"], weights: Weights
) -> States:
    """The equations of section II-A, from outputs y0 and cells c0 before the first step."""
    W, R, p, b = weights
    gates = F.linear(x, W.flatten(0, 1), b.flatten()).unflatten(-1, b.shape)
    recurrent = R.flatten(0, 1).T
    y, c = torch.empty_like(gates[:, :, 0]), torch.empty_like(gates[:, :, 0])
    for t in range(len(x)):
        before, cell = (y[t - 1], c[t - 1]) if t else (y0, c0)
        gates[t].flatten(1).addmm_(before, recurrent)
        z, i, f, o = gates[t].unbind(1)
        gates[t, :, 1:3].addcmul_(p[:2], cell[:, None]).sigmoid_()
        torch.mul(z.tanh_(), i, out=c[t]).addcmul_(cell, f)
        o.addcmul_(p[2], c[t]).sigmoid_()
        torch.mul(c[t].tanh(), o, out=y[t])
    return States(y, c, gates)


def backward_pass(
    delta: Float[Tensor, "T B N"],
    delta_c: Float[Tensor, "B N"],
    x: Float[Tensor, "T B F"],
    y0: Float[Tensor, "B N"],
    c0: Float[Tensor, "B N"],
    weights: Weights,
    states: States,
) -> tuple[Float[Tensor, "T B F"], Float[Tensor, "B N"], Float[Tensor, "B N"], Weights]:
    """The equations of section II-B, and the same for the states before the first step.

    Args:
        delta: Delta, the gradient that arrives at every output.
        delta_c: the gradient that arrives at the cells after the last step.
        x, y0, c0, weights: as given to `forward_pass`.
        states: what it returned.

    Returns:
        Gradients with respect to x, y0, c0 and the weights.
    """
    W, R, p, _ = weights
    y, c, gates = states
    c_before, y_before = torch.cat([c0[None], c[:-1]]), torch.cat([y0[None], y[:-1]])
    z, i, f, o = gates.unbind(2)
    h = c.tanh()
    slopes = torch.stack([i * (1 - z * z), z * i * (1 - i), c_before * f * (1 - f)], 2)  # of dzbar, dibar, dfbar in dc
    slope_o, slope_c = h * o * (1 - o), o * (1 - h * h)  # of dobar and dc in dy
    bars, recurrent = torch.empty_like(gates), R.flatten(0, 1)
    dy, dc = delta[-1], delta_c
    for t in reversed(range(len(x))):
        bars[t, :, 3] = dy * slope_o[t]
        dc = dc + dy * slope_c[t] + p[2] * bars[t, :, 3]
        bars[t, :, :3] = dc[:, None] * slopes[t]
        dc = dc * f[t] + p[0] * bars[t, :, 1] + p[1] * bars[t, :, 2]
        dy = bars[t].flatten(1) @ recurrent
        if t:
            dy += delta[t - 1]
    flat = bars.flatten(2)
    gradients = Weights(
        W=torch.mm(flat.flatten(0, 1).T, x.flatten(0, 1)).view_as(W),
        R=torch.mm(flat.flatten(0, 1).T, y_before.flatten(0, 1)).view_as(R),
        p=torch.stack([(c_before * bars[:, :, 1]), (c_before * bars[:, :, 2]), (c * bars[:, :, 3])]).sum((1, 2)),
        b=bars.sum((0, 1)),
    )
    return flat @ W.flatten(0, 1), dy, dc, gradients


class Recurrence(torch.autograd.Function):
    """`forward_pass` with `backward_pass` as its derivative: (x, y0, c0, W, R, p, b) to all outputs and the last cells.

    It can be differentiated once; asked for a graph of its gradients, it raises RuntimeError.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y0: Tensor, c0: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        states = forward_pass(x, y0, c0, Weights(*weights))
        ctx.save_for_backward(x, y0, c0, *weights, *states)
        return states.y, states.c[-1].clone()

    @staticmethod
    def backward(ctx: Any, delta: Tensor, delta_c: Tensor) -> tuple[Tensor, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("the LSTM with peepholes can be differentiated once: leave out create_graph=True")
        x, y0, c0, W, R, p, b, *states = ctx.saved_tensors
        dx, dy0, dc0, gradients = backward_pass(delta, delta_c, x, y0, c0, Weights(W, R, p, b), States(*states))
        return dx, dy0, dc0, *gradients


class PeepholeLSTM(nn.Module):
    """A layer of LSTM units whose gates see the cells, called as `torch.nn.LSTM` is.

    Weights, peepholes and biases are drawn from N(0, 0.1^2) (section IV-B). It computes in the precision of its
    weights, under autocast too. It can be differentiated once.

    Args:
        input_size: F, numbers in an input, in [1, inf).
        hidden_size: N, units, in [1, inf).
        batch_first: whether inputs and outputs are (B, T, ...) and not (T, B, ...).

    Attributes:
        W: (4, N, F) input weights, of z, i, f, o.
        R: (4, N, N) recurrent weights, of z, i, f, o.
        p: (3, N) peephole weights, of i, f, o.
        b: (4, N) biases, of z, i, f, o.
    """

    def __init__(self, input_size: int, hidden_size: int, *, batch_first: bool = False) -> None:
        super().__init__()
        self.W = nn.Parameter(0.1 * torch.randn(4, hidden_size, input_size))
        self.R = nn.Parameter(0.1 * torch.randn(4, hidden_size, hidden_size))
        self.p = nn.Parameter(0.1 * torch.randn(3, hidden_size))
        self.b = nn.Parameter(0.1 * torch.randn(4, hidden_size))
        self.batch_first = batch_first

    def forward(
        self,
        x: Float[Tensor, "S0 S1 F"],
        state: tuple[Float[Tensor, "1 B N"], Float[Tensor, "1 B N"]] | None = None,
    ) -> tuple[Float[Tensor, "S0 S1 N"], tuple[Float[Tensor, "1 B N"], Float[Tensor, "1 B N"]]]:
        """Outputs at every step, and outputs and cells after the last.

        Args:
            x: one step or more of every sequence, (T, B, F), or (B, T, F) where `batch_first`.
            state: outputs and cells before the first step; zeros where not given.
        """
        x = (x.transpose(0, 1) if self.batch_first else x).to(self.W.dtype)
        start = x.new_zeros(1, x.shape[1], self.b.shape[1])
        y0, c0 = state or (start, start)
        with torch.autocast(x.device.type, enabled=False):
            y, c = Recurrence.apply(x, y0[0], c0[0], self.W, self.R, self.p, self.b)  # type: ignore[no-untyped-call]
        return y.transpose(0, 1) if self.batch_first else y, (y[-1:], c[None])
