"""Networks that turn pictures into pictures and judge them: Isola et al. 2017, section 3.2 and appendix 6.1.

    encoder:  C64-C128-C256-C512-C512-C512-C512-C512
    decoder:  CD512-CD512-CD512-C512-C256-C128-C64, each beside the encoder's maps of the same size
    70x70 discriminator:  C64-C128-C256-C512, then one map of logits

Ck is a 4x4 convolution of stride 2 with k maps, normalised, then a (leaky) ReLU; CDk has half of its numbers left out,
at test time as well, which is all the noise there is. Normalisation takes the statistics of the batch at hand, at test
time as well.

Letters: N examples, C and K channels, H height, W width, D depth.
"""

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from etude.errors import InputError
from etude.nn.convolutional import initialise

Field = Literal[1, 16, 70, "full"]
DEEPEST = 8  # halvings of the paper's 256x256
WIDEST = 8  # times the maps of the first layer
NOISY = 3  # blocks of the decoder with dropout
SLOPE = 0.2


def depth(height: int, width: int) -> int:
    """How often both sides can be halved, at most 8 times; U-Nets of this depth take any multiple of 2^D.

    Raises:
        InputError: not twice.
    """
    found = next(d for d in range(DEEPEST, -1, -1) if height % 2**d == 0 and width % 2**d == 0)
    if found < 2:
        raise InputError(f"pictures of {width}x{height} pixels: sides must be multiples of 4, best of 64: resize them")
    return found


def _norm(maps: int) -> nn.BatchNorm2d:
    """Batch normalisation by the batch at hand, in evaluation mode as well."""
    return nn.BatchNorm2d(maps, track_running_stats=False)


class UNet(nn.Module):
    """A U-Net, before the function on its output: (N, C, H, W) to (N, K, H, W).

    The first layer and the coarsest maps, which may be one pixel, are not normalised.

    Args:
        channels: C.
        outputs: K.
        depth: D, halvings, in [2, inf); H and W are to be multiples of 2^D.
        width: maps of the first layer; they double up to eight times as many.
        dropout: share of the numbers that the first three blocks of the decoder leave out, in [0, 1).
    """

    def __init__(self, channels: int, outputs: int, depth: int, width: int = 64, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.stride, self.dropout = 2**depth, dropout
        maps = [width * min(2**level, WIDEST) for level in range(depth)]
        self.down = nn.ModuleList()
        for level, (before, after) in enumerate(pairwise([channels, *maps])):
            plain = level in (0, depth - 1)
            layer = nn.Conv2d(before, after, 4, 2, 1, bias=plain)
            self.down.append(layer if plain else nn.Sequential(layer, _norm(after)))
        self.up = nn.ModuleList()
        for level in range(depth - 1, 0, -1):
            before = maps[level] if level == depth - 1 else 2 * maps[level]
            self.up.append(
                nn.Sequential(nn.ConvTranspose2d(before, maps[level - 1], 4, 2, 1, bias=False), _norm(maps[level - 1]))
            )
        self.last = nn.ConvTranspose2d(2 * maps[0], outputs, 4, 2, 1)
        initialise(self)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Raises InputError where H or W is no multiple of 2^D."""
        height, width = x.shape[2:]
        if height % self.stride or width % self.stride:
            raise InputError(
                f"a picture of {width}x{height} pixels: sides must be multiples of {self.stride}: resize or crop it"
            )
        h, skipped = x, []
        for level, layer in enumerate(self.down):
            h = layer(h if level == 0 else F.leaky_relu(h, SLOPE))
            skipped.append(h)
        skipped.pop()
        for block, layer in enumerate(self.up):
            h = layer(F.relu(h))
            if block < NOISY:
                h = F.dropout(h, self.dropout, training=True)
            h = torch.cat([h, skipped.pop()], 1)
        return self.last(F.relu(h))  # type: ignore[no-any-return]


def halvings(field: Field, size: int | None) -> int:
    """Layers of stride 2 before the two of stride 1: n of them see 9 * 2^n - 2 pixels: 16, 34, 70, 142, 286, ...

    Args:
        field: "full" takes the smallest field that holds the picture.
        size: the shorter side of the pictures.
    """
    wanted = (size or 0) if field == "full" else field
    count = 1
    while 9 * 2**count - 2 < wanted:
        count += 1
    return count


def patch_discriminator(
    channels: int,
    field: Field,
    width: int = 64,
    *,
    norm: Literal["batch", "instance"] = "batch",
    size: int | None = None,
) -> nn.Sequential:
    """Logits that patches of a picture are real: (N, C, H, W) to (N, 1, h, w).

    Args:
        channels: C, of input and output of the translation together where the discriminator sees both.
        field: pixels a side of the patch that a logit sees; "full" takes the smallest of 16, 34, 70, 142, ... that
            holds the picture.
        width: maps of the first layer; they double up to eight times as many.
        norm: of all layers but the first and the last; that of instances has no gains.
        size: the shorter side of the pictures; needed for "full", checked where given.

    Raises:
        InputError: pictures of that size are too small for the field.
    """
    if field == 1:
        strides, kernel, padding = [1, 1], 1, 0
    else:
        strides, kernel, padding = [2] * halvings(field, size) + [1], 4, 1
        least = 3 * 2 ** (len(strides) - 1)
        if size is not None and size < least:
            raise InputError(
                f"a field of {field} needs sides of {least} pixels or more, got {size}: take a smaller one"
            )
    layers: list[nn.Module] = []
    before = channels
    for level, stride in enumerate(strides):
        after = width * min(2**level, WIDEST)
        layers.append(nn.Conv2d(before, after, kernel, stride, padding, bias=level == 0))
        if level > 0:
            layers.append(_norm(after) if norm == "batch" else nn.InstanceNorm2d(after))
        layers.append(nn.LeakyReLU(SLOPE))
        before = after
    network = nn.Sequential(*layers, nn.Conv2d(before, 1, kernel, 1, padding))
    initialise(network)
    return network
