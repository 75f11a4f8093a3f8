"""The residual network that turns a picture into a picture of the same size: Johnson et al. 2016; Zhu et al. 2017, 7.2.

    c7s1-w, d2w, d4w, R4w, ..., R4w, u2w, uw, c7s1-k

Two strided convolutions, residual blocks on the coarse maps, two fractionally-strided convolutions back. Instance
normalisation after every convolution but the last, reflection padding except where the stride is not 1. Without a dense
layer it takes pictures of any size.

Letters: N examples, C and K channels, H height, W width.
"""

from jaxtyping import Float
from torch import Tensor, nn

from etude.errors import InputError

LEAST = 5  # the shortest side that two halvings leave wide enough to be reflected


def convolution(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    """A convolution of stride 1 that keeps height and width: what lies beyond the edge is a reflection."""
    return [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(inputs, outputs, kernel)]


class ResidualBlock(nn.Module):
    """Rk: two 3x3 convolutions whose output is added to the input, (N, channels, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(*convolution(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)),
            *(*convolution(channels, channels, 3), nn.InstanceNorm2d(channels)),
        )

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return x + self.layers(x)  # type: ignore[no-any-return]


class ResidualGenerator(nn.Module):
    """The network, without a function on its output: (N, C, H, W) to (N, K, H, W).

    Args:
        channels: C.
        outputs: K.
        blocks: residual blocks; the paper has 6 for pictures of 128 pixels and 9 for larger ones.
        maps: w, of the first and the last hidden layer; four times as many in the blocks.
    """

    def __init__(self, channels: int, outputs: int, blocks: int, maps: int = 64) -> None:
        super().__init__()
        layers = [*convolution(channels, maps, 7), nn.InstanceNorm2d(maps), nn.ReLU(inplace=True)]
        for wide in (2 * maps, 4 * maps):
            layers += [nn.Conv2d(wide // 2, wide, 3, 2, 1), nn.InstanceNorm2d(wide), nn.ReLU(inplace=True)]
        layers += [ResidualBlock(4 * maps) for _ in range(blocks)]
        for wide in (2 * maps, maps):
            layers += [
                nn.ConvTranspose2d(2 * wide, wide, 3, 2, 1, output_padding=1),
                *(nn.InstanceNorm2d(wide), nn.ReLU(inplace=True)),
            ]
        self.layers = nn.Sequential(*layers, *convolution(maps, outputs, 7))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Raises InputError where a picture is too small."""
        height, width = x.shape[2:]
        if min(height, width) < LEAST:
            raise InputError(f"pictures of {height}x{width} pixels, expected sides in [{LEAST}, inf): enlarge them")
        # where a side is no multiple of 4 the way back ends beyond it
        return self.layers(x)[:, :, :height, :width]  # type: ignore[no-any-return]
