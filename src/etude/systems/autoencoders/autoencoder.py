"""Autoencoder: Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006.

    z = f(x),  x' = g(z),  E = sum_i (x_i - x'_i)^2

An encoder turns an example into a short code and a decoder turns the code back. Trained together to lower the error,
they put into the code what tells examples apart. Without non-linear functions between the layers the best code is that
of a principal component analysis, up to a change of its basis (Bourlard and Kamp 1988); with them it can follow curved
surfaces.

Letters: N examples, C channels, H height, W width, L latent dimensions.
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from etude.data.kinds import Images, Splits, span
from etude.errors import InputError
from etude.functional.convolution import output_size
from etude.metrics.reconstruction import reconstruction_error
from etude.nn.activations import activation as activation_named
from etude.nn.dense import dense
from etude.systems.clusterer import Coder
from etude.systems.system import Clock, Losses, Paper, Phase, descend

Activation = Literal["identity", "sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "swish", "mish", "relu6"]
KERNEL, STRIDE, PADDING = 3, 2, 1  # a convolution that halves height and width


def convolutions(sizes: list[tuple[int, int, int]], activation: str) -> nn.Sequential:
    """Convolutions between images of these (channels, height, width), the activation after each, then a row."""
    layers: list[nn.Module] = []
    for (inputs, _, _), (outputs, _, _) in pairwise(sizes):
        layers += [nn.Conv2d(inputs, outputs, KERNEL, STRIDE, PADDING), activation_named(activation)]
    return nn.Sequential(*layers, nn.Flatten())


def transposed(sizes: list[tuple[int, int, int]], activation: str) -> nn.Sequential:
    """The way back: from a row of numbers through these (channels, height, width), the activation before each layer."""
    layers: list[nn.Module] = [nn.Unflatten(1, sizes[0])]
    for (inputs, height, width), (outputs, taller, wider) in pairwise(sizes):
        missing = [
            size - ((before - 1) * STRIDE - 2 * PADDING + KERNEL) for size, before in ((taller, height), (wider, width))
        ]
        layers += [
            activation_named(activation),
            nn.ConvTranspose2d(inputs, outputs, KERNEL, STRIDE, PADDING, output_padding=(missing[0], missing[1])),
        ]
    return nn.Sequential(*layers)


class Autoencoder(Coder):
    """Autoencoder over images, or over rows of numbers as images one pixel high.

    Args:
        channels: C.
        height: H.
        width: W.
        layout: `dense` layers, or `convolutional` ones that each halve height and width (course 004, module 3).
        hidden: units of the encoder's hidden layers, or channels of its convolutions, in [1, inf); the decoder has them
            in reverse (page 506).
        latent: L, numbers in a code, in [1, inf) (page 506).
        activation: between the layers, by name; `identity` makes the whole linear (the paper has sigmoids, after its
            pretraining).
        output: `sigmoid` for data in [0, 1], `linear` for any numbers (page 506).
        rate: Adam's learning rate, in (0, inf) (Kingma and Ba 2015).
        epochs: passes over the training data, in [0, inf) (no paper fixes it).
        batch: examples a step, in [1, inf) (no paper fixes it).
    """

    paper = Paper(
        "G. E. Hinton and R. R. Salakhutdinov",
        2006,
        "Reducing the dimensionality of data with neural networks",
        "https://doi.org/10.1126/science.1127647",
    )
    kind = Images
    metrics = (reconstruction_error,)
    tiny = {"hidden": (32,), "latent": 2, "output": "linear", "epochs": 20, "batch": 20, "rate": 5e-3}
    quick = {"hidden": (256, 128), "latent": 8, "epochs": 100, "batch": 50}

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        layout: Literal["dense", "convolutional"] = "dense",
        hidden: tuple[int, ...] = (1000, 500, 250),
        latent: int = 30,
        activation: Activation = "relu",
        output: Literal["linear", "sigmoid"] = "sigmoid",
        rate: float = 1e-3,
        epochs: int = 50,
        batch: int = 100,
    ) -> None:
        super().__init__()
        self.latent, self.output, self.epochs, self.batch = latent, output, epochs, batch
        # deviates: ReLU; the paper's units are sigmoids
        # deviates: all layers learn at once; the paper pretrains them one by one as Boltzmann machines
        if layout == "dense":
            features = channels * height * width
            self.encoder = nn.Sequential(nn.Flatten(), *dense([features, *hidden, latent], activation))
            self.decoder = nn.Sequential(
                *dense([latent, *reversed(hidden), features], activation), nn.Unflatten(1, (channels, height, width))
            )
        else:
            sizes = [(channels, height, width)]
            for maps in hidden:
                height, width = (output_size(size, KERNEL, STRIDE, PADDING) for size in (height, width))
                sizes.append((maps, height, width))
            features = torch.Size(sizes[-1]).numel()
            self.encoder = nn.Sequential(*convolutions(sizes, activation), nn.Linear(features, latent))
            self.decoder = nn.Sequential(nn.Linear(latent, features), *transposed(sizes[::-1], activation))
        # deviates: Adam; the paper fine-tunes with conjugate gradients on larger batches
        self.optimizer = torch.optim.Adam(self.parameters(), lr=rate, fused=True)

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch, start=self.check)]

    def check(self, splits: Splits) -> None:
        """A sigmoid gives numbers in [0, 1] and no others."""
        low, high = span(splits.train.tensors()["x"])
        if self.output == "sigmoid" and (low < 0 or high > 1):
            raise InputError(f"a sigmoid gives data in [0, 1], these span {low:.3g} to {high:.3g}: use --output linear")

    def step(self, batch: Images, clock: Clock) -> Losses:
        # deviates: squared errors for all data; the paper fine-tunes on digits with the cross-entropy of the pixels
        error = (self.reconstruct(batch.x) - batch.x).square().flatten(1).sum(1)
        return {"loss": descend(self.optimizer, error.mean())}

    def reconstruct(self, x: Tensor) -> Tensor:
        """x' of x: (N, C, H, W) to (N, C, H, W)."""
        return self.finish(self.decoder(self.code(x)))

    def code(self, x: Tensor) -> Tensor:
        """z of x: (N, C, H, W) to (N, L)."""
        z: Tensor = self.encoder(x)
        return z

    def misfit(self, x: Tensor, z: Tensor) -> Tensor:
        """Mean squared error over the pixels: (N,)."""
        return (self.finish(self.decoder(z)) - x).square().flatten(1).mean(1)

    def finish(self, out: Tensor) -> Tensor:
        """What the last layer computes, in the range of the data."""
        return torch.sigmoid(out) if self.output == "sigmoid" else out

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Examples from codes: z (N, L) to (N, C, H, W)."""
        return self.finish(self.decoder(z))
