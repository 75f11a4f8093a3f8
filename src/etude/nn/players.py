"""The two players of an adversarial game: a network that makes examples out of noise, and one that judges them."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from etude.errors import InputError
from etude.nn import convolutional
from etude.nn.dense import dense

Network = Literal["convolutional", "dense"]
Output = Literal["tanh", "linear"]


class Players(nn.Module):
    """A generator and a discriminator (or critic) of examples of one shape.

    Inside the game numbers run from -1 to 1 where the generator ends in tanh, outside from 0 to 1; `inside` and
    `outside` lead from one to the other. Linear outputs stay as they are.

    Args:
        shape: channels, height and width of an example; a row of numbers is an image one pixel high.
        latent: numbers of noise, in [1, inf).
        network: both players are those of `etude.nn.convolutional`, or dense layers with ReLU.
        output: `tanh` makes numbers in [0, 1], `linear` any.
        hidden: units of the hidden layers of dense players.
        maps: feature maps of the convolutional generator's last hidden layer, and of the discriminator's first.
        norm: how the convolutional discriminator normalises.

    Raises:
        InputError: convolutions are asked for, and the examples are not square.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        latent: int,
        *,
        network: Network,
        output: Output,
        hidden: tuple[int, ...],
        maps: tuple[int, int],
        norm: convolutional.Norm = "batch",
    ) -> None:
        super().__init__()
        channels, height, width = shape
        self.latent, self.bounded = latent, output == "tanh"
        if network == "dense":
            features = channels * height * width
            self.generator = nn.Sequential(*dense([latent, *hidden, features]), nn.Unflatten(1, shape))
            self.discriminator = nn.Sequential(nn.Flatten(), *dense([features, *hidden, 1]))
            return
        if height != width:
            raise InputError(
                f"convolutions make square pictures and these examples are {height}x{width}: use --network dense"
            )
        self.generator = convolutional.generator(latent, channels, height, maps[0])
        self.discriminator = convolutional.discriminator(channels, height, maps[1], norm=norm)
        convolutional.initialise(self)

    def noise(self, count: int) -> Float[Tensor, "n latent"]:
        """z (count, L), each number from N(0, 1)."""
        return torch.randn(count, self.latent, device=next(self.parameters()).device)

    def generate(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, "n channels height width"]:
        """G(z), as examples are inside the game."""
        out: Tensor = self.generator(z)
        return torch.tanh(out) if self.bounded else out

    @torch.no_grad()
    def fake(self, count: int) -> Float[Tensor, "n channels height width"]:
        """New examples (count, C, H, W) as they are inside the game, out of fresh noise; G learns nothing from them."""
        return self.generate(self.noise(count))

    def judge(self, x: Float[Tensor, "n channels height width"]) -> Float[Tensor, " n"]:
        """D(x) of examples inside the game."""
        judged: Tensor = self.discriminator(x)
        return judged.squeeze(1)

    def inside(self, x: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n channels height width"]:
        """Examples of the data as they are inside the game."""
        return 2 * x - 1 if self.bounded else x

    def outside(self, x: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n channels height width"]:
        """Examples of inside the game as the data are."""
        return (x + 1) / 2 if self.bounded else x

    def check(self, low: float, high: float) -> None:
        """Can the generator reach data between these two numbers?

        Raises:
            InputError: no.
        """
        if self.bounded and (low < 0 or high > 1):
            raise InputError(
                f"tanh makes data in [0, 1] and these reach from {low:.3g} to {high:.3g}: use --output linear"
            )
