"""The residual generator: its size, what an output sees, and torch's own layers as the reference."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from etude.errors import InputError
from etude.nn.residual import ResidualBlock, ResidualGenerator


def test_nine_blocks_have_the_parameters_of_the_authors_network() -> None:
    network = ResidualGenerator(3, 3, 9)
    assert sum(p.numel() for p in network.parameters()) == 11_378_179


@pytest.mark.parametrize("blocks", [6, 9])
def test_layers_are_those_of_the_paper(blocks: int) -> None:
    found = [
        (type(layer), layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0])
        for layer in ResidualGenerator(3, 2, blocks).modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert found == [
        *((nn.Conv2d, 3, 64, 7, 1), (nn.Conv2d, 64, 128, 3, 2), (nn.Conv2d, 128, 256, 3, 2)),
        *((nn.Conv2d, 256, 256, 3, 1),) * (2 * blocks),
        *((nn.ConvTranspose2d, 256, 128, 3, 2), (nn.ConvTranspose2d, 128, 64, 3, 2), (nn.Conv2d, 64, 2, 7, 1)),
    ]


def test_a_block_adds_to_its_input_what_two_reflected_convolutions_make_of_it() -> None:
    block, x = ResidualBlock(4), torch.randn(2, 4, 6, 5)
    first, second = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]

    def normalised(x: torch.Tensor, layer: nn.Conv2d) -> torch.Tensor:
        out = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), layer.weight, layer.bias)
        mean, variance = out.mean((2, 3), keepdim=True), out.var((2, 3), unbiased=False, keepdim=True)
        return (out - mean) / (variance + 1e-5).sqrt()

    torch.testing.assert_close(block(x), x + normalised(normalised(x, first).relu(), second))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (28, 40), (30, 33), (5, 7)])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_keep_their_size(channels: int, height: int, width: int) -> None:
    network = ResidualGenerator(channels, 2, 2, maps=4)
    assert network(torch.rand(2, channels, height, width)).shape == (2, 2, height, width)


def test_a_picture_is_changed_by_no_other_in_its_batch() -> None:
    torch.manual_seed(0)
    network, x = ResidualGenerator(1, 1, 2, maps=8), torch.rand(5, 1, 16, 16)
    torch.testing.assert_close(network(x), torch.cat([network(picture) for picture in x.split(1)]))


def test_an_edge_is_reflected() -> None:
    """A picture of one value looks the same everywhere to the first layer; zeros beyond its edge would show."""
    padding, first = list(ResidualGenerator(1, 1, 1, maps=4).layers)[:2]
    out = first(padding(torch.full((1, 1, 12, 12), 0.7)))
    assert out.shape == (1, 4, 12, 12)
    torch.testing.assert_close(out, out[:, :, :1, :1].expand_as(out))


def test_a_picture_too_small_is_one_line() -> None:
    with pytest.raises(InputError, match="4x9 pixels, expected sides in"):
        ResidualGenerator(1, 1, 1, maps=4)(torch.rand(1, 1, 4, 9))
