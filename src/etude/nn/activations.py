"""Activation functions by name (course 004, modules 0.1 and 9)."""

from collections.abc import Callable
from difflib import get_close_matches

import torch
from jaxtyping import Float
from torch import Tensor, nn

from etude.errors import InputError


class Swish(nn.Module):
    """x sigmoid(beta x): linear at beta = 0, near ReLU where beta is large (Ramachandran et al. 2017, section 5).

    Attributes:
        beta: () learnable, 1 at the start.
    """

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(()))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return x * torch.sigmoid(self.beta * x)


class Maxout(nn.Module):
    """The largest of several linear functions, in place of a linear layer and its activation.

    Goodfellow et al. 2013, section 2.

    Args:
        in_features: numbers in an input.
        out_features: units.
        pieces: linear functions for each unit, in [1, inf).
    """

    def __init__(self, in_features: int, out_features: int, pieces: int = 2) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features * pieces)
        self.pieces = pieces

    def forward(self, x: Float[Tensor, "*batch i"]) -> Float[Tensor, "*batch o"]:
        values: Tensor = self.linear(x)
        return values.view(*x.shape[:-1], -1, self.pieces).amax(-1)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,  # slope 0.01 (Maas et al. 2013); the course prints 0.1
    "prelu": nn.PReLU,  # one slope for the layer, 0.25 at the start (He et al. 2015, section 2.1)
    "elu": nn.ELU,  # alpha 1 (Clevert et al. 2016)
    "swish": Swish,
    "mish": nn.Mish,  # Misra 2019
    "relu6": nn.ReLU6,
}


def activation(name: str) -> nn.Module:
    """A new module that applies this function to each number.

    Raises:
        InputError: no activation has this name.
    """
    if name not in ACTIVATIONS:
        near = get_close_matches(name, ACTIVATIONS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(ACTIVATIONS)}"
        raise InputError(f"no activation is called {name!r}: {hint}")
    return ACTIVATIONS[name]()
