"""Radial units: the excitation is the distance of the input from the unit's centre (course 004, module 0.1)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class RadialUnits(nn.Module):
    """exp(-||x - w||^2 / (2 sigma^2)): 1 where the input is at the unit's centre w, less the further it is away.

    Gaussian radial basis functions (Broomhead and Lowe 1988, section 3). The response is computed from the squared
    distance, so that its gradient at the centre is 0 and not undefined.

    Args:
        in_features: numbers in an input.
        out_features: units.

    Attributes:
        centre: w, (out_features, in_features) learnable, drawn from N(0, 1) as standardised inputs are.
        log_width: log sigma, (out_features,) learnable; sigma is sqrt(in_features) at the start.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.randn(out_features, in_features))
        self.log_width = nn.Parameter(torch.full((out_features,), 0.5 * math.log(in_features)))

    def forward(self, x: Float[Tensor, "*batch i"]) -> Float[Tensor, "*batch o"]:
        return torch.exp(-0.5 * self.squared_distance(x) * torch.exp(-2 * self.log_width))

    def squared_distance(self, x: Float[Tensor, "*batch i"]) -> Float[Tensor, "*batch o"]:
        """||x - w||^2 to every centre, as ||x||^2 + ||w||^2 - 2 x w: one matrix product."""
        product = nn.functional.linear(x, self.centre)
        squares = x.square().sum(-1, keepdim=True) + self.centre.square().sum(-1)
        return (squares - 2 * product).clamp(min=0)
