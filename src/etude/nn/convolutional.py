"""The two convolutional networks of an image GAN: Radford et al. 2016, section 3 and figure 1.

Strides take the place of pooling: a 5x5 convolution of stride 2 halves a picture, rounding up, and a transposed one
undoes it, so that one pair of networks serves every size. The paper's 64x64 goes 64, 32, 16, 8, 4; 28x28 goes 28, 14,
7, 4. Widths double from `width` next to the picture.

Letters: N examples, L numbers of noise, C channels, S side of a picture.
"""

from itertools import pairwise
from typing import Literal

from torch import nn

from etude.errors import InputError

Norm = Literal["batch", "layer", "none"]
SMALLEST, LARGEST = 8, 128
COARSEST = 4  # the side below which a picture is not halved


def square(height: int, width: int) -> int:
    """The side S of square pictures.

    Raises:
        InputError: they are not square.
    """
    if height != width:
        raise InputError(f"the pictures are {height}x{width} and these networks take square ones: crop or pad them")
    return height


def sides(size: int) -> list[int]:
    """Sides of the picture and of the maps after each halving, the picture first; the last is 4, 5 or 6.

    Raises:
        InputError: the size is out of range.
    """
    if not SMALLEST <= size <= LARGEST:
        raise InputError(f"the pictures are {size}x{size}, expected {SMALLEST} to {LARGEST} a side: resize them")
    found = [size]
    while (half := (found[-1] + 1) // 2) >= COARSEST:
        found.append(half)
    return found


def _normal(norm: Norm, maps: int) -> list[nn.Module]:
    """Of maps (N, maps, S, S); layer normalisation takes all numbers of an example together."""
    if norm == "none":
        return []
    return [nn.BatchNorm2d(maps) if norm == "batch" else nn.GroupNorm(1, maps)]


def _rows(inputs: int, outputs: int, norm: Norm) -> list[nn.Module]:
    """A linear layer with normalised outputs: (N, inputs) to (N, outputs)."""
    normal = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}.get(norm)
    return [nn.Linear(inputs, outputs, bias=normal is None), *([normal(outputs)] if normal else [])]


def generator(
    latent: int, channels: int, size: int, width: int = 128, *, norm: bool = True, hidden: tuple[int, ...] = ()
) -> nn.Sequential:
    """Noise to pictures, before the output's nonlinearity: z (N, L) to (N, C, S, S).

    A linear layer to the coarsest maps, then transposed convolutions; ReLU after each but the last.

    Args:
        latent: L.
        channels: C.
        size: S, in [8, 128].
        width: maps of the layer next to the picture.
        norm: batch normalisation of every layer but the output.
        hidden: units of dense layers before the first maps; the paper advises against them.

    Raises:
        InputError: the size is out of range.
    """
    sizes = sides(size)[::-1]
    widths = [width * 2**place for place in range(len(sizes) - 1)][::-1]
    kind: Norm = "batch" if norm else "none"
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([latent, *hidden, widths[0] * sizes[0] ** 2]):
        layers += [*_rows(inputs, outputs, kind), nn.ReLU()]
    layers.append(nn.Unflatten(1, (widths[0], sizes[0], sizes[0])))
    for (small, large), (inputs, outputs) in zip(pairwise(sizes), pairwise([*widths, channels]), strict=True):
        last = large == size
        layers.append(
            nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, output_padding=large - 2 * small + 1, bias=last or not norm)
        )
        layers += [] if last else [*_normal(kind, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def discriminator(
    channels: int, size: int, width: int = 128, *, norm: Norm = "batch", hidden: tuple[int, ...] = ()
) -> nn.Sequential:
    """Pictures to one number each, a logit or a critic's value: x (N, C, S, S) to (N, 1).

    Convolutions of stride 2 to the coarsest maps, then a linear layer; leaky ReLU after each but the last.

    Args:
        channels: C.
        size: S, in [8, 128].
        width: maps of the layer next to the picture.
        norm: of every layer but the first and the output; `layer` lets no example see another.
        hidden: units of dense layers after the last maps; the paper advises against them.

    Raises:
        InputError: the size is out of range.
    """
    sizes = sides(size)
    widths = [width * 2**place for place in range(len(sizes) - 1)]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([channels, *widths]):
        first = not layers
        kind: Norm = "none" if first else norm
        layers.append(nn.Conv2d(inputs, outputs, 5, 2, 2, bias=kind == "none"))
        layers += [*_normal(kind, outputs), nn.LeakyReLU(0.2)]
    layers.append(nn.Flatten())
    units = [widths[-1] * sizes[-1] ** 2, *hidden]
    for inputs, outputs in pairwise(units):
        layers += [*_rows(inputs, outputs, norm), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(units[-1], 1))


def initialise(module: nn.Module) -> None:
    """Draw the weights of every layer from N(0, 0.02) and the gains from N(1, 0.02); biases become 0 (section 4)."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0, 0.02)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm):
            nn.init.normal_(layer.weight, 1, 0.02)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
