"""Gated recurrent units: Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.

    r_j = sigma([W_r x]_j + [U_r h^(t-1)]_j)           reset gate     (5)
    z_j = sigma([W_z x]_j + [U_z h^(t-1)]_j)           update gate    (6)
    h_j^t = z_j h_j^(t-1) + (1 - z_j) h~_j^t           state          (7)
    h~_j^t = phi([W x]_j + [U (r . h^(t-1))]_j)        candidate      (8)

cuDNN, and PyTorch after it, reset what comes out of the recurrent product instead of what goes in, so that one product
serves all three:

    h~^t = phi(W x + b + r . (U h^(t-1) + c))          candidate      (8')

Letters: T steps, B sequences side by side, F inputs, N units; weights are in PyTorch's order r, z, candidate.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from etude.errors import InputError
from etude.nn.layered import Recurrent, input_sizes


class GRU(Recurrent):
    """Layers of gated recurrent units, called as `torch.nn.GRU` is; the state is h.

    Args:
        input_size: F, numbers in an input, in [1, inf).
        hidden_size: N, units of a layer and direction, in [1, inf).
        num_layers: layers on top of each other, in [1, inf).
        reset: whether the reset gate acts `before` the recurrent product, as in the paper (equation 8), or `after` it,
            as in cuDNN and PyTorch (8'), which is faster: it is `torch.nn.GRU`'s own mathematics and uses it.
        batch_first: whether inputs and outputs are (B, T, ...) and not (T, B, ...).
        bidirectional: whether a second set of units reads each sequence backwards.

    Raises:
        InputError: `reset` is neither, or a size is below 1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        reset: str = "after",
        batch_first: bool = False,
        bidirectional: bool = False,
    ) -> None:
        if reset not in ("before", "after"):
            raise InputError(
                f"reset is {reset!r}, expected before or after: choose which side of the product it acts on"
            )
        sizes = input_sizes(input_size, hidden_size, num_layers, bidirectional)
        layers = [GRULayer(size, hidden_size, reset) for size in sizes]
        super().__init__(layers, input_size, hidden_size, 1, batch_first=batch_first, bidirectional=bidirectional)


class GRULayer(nn.Module):
    """One layer in one direction. `unit` holds the weights of both forms, each with PyTorch's two biases.

    # deviates: biases; the paper's equations have none
    """

    def __init__(self, input_size: int, hidden_size: int, reset: str) -> None:
        super().__init__()
        self.unit, self.reset = nn.GRU(input_size, hidden_size), reset

    def forward(
        self, x: Float[Tensor, "T B F"], state: tuple[Float[Tensor, "B N"]], elapsed: Float[Tensor, "T B"] | None
    ) -> tuple[Float[Tensor, "T B N"], tuple[Float[Tensor, "T B N"]]]:
        y: Tensor = self.unit(x, state[0][None])[0] if self.reset == "after" else self.reset_before(x, state[0])
        return y, (y,)

    def reset_before(self, x: Float[Tensor, "T B F"], h: Float[Tensor, "B N"]) -> Float[Tensor, "T B N"]:
        """Equations 5 to 8."""
        W, U, b, c = self.unit.parameters()
        sizes = [2 * self.unit.hidden_size, self.unit.hidden_size]
        (U_gates, U_candidate), (c_gates, c_candidate) = U.split(sizes), c.split(sizes)
        states = []
        for now in F.linear(x, W, b).unbind():
            gates, candidate = now.split(sizes, 1)
            r, z = torch.sigmoid(gates + F.linear(h, U_gates, c_gates)).chunk(2, 1)
            h = z * h + (1 - z) * torch.tanh(candidate + F.linear(r * h, U_candidate, c_candidate))
            states.append(h)
        return torch.stack(states)
