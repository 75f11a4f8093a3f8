"""The networks of an image GAN: every size is hit, and each layer is what section 3 of Radford et al. 2016 says."""

import pytest
import torch
from torch import nn

from etude.errors import InputError
from etude.nn.convolutional import Norm, discriminator, generator, initialise, sides, square


@pytest.mark.parametrize("size", [8, 16, 17, 28, 31, 32, 33, 47, 64, 97, 100, 127, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_both_networks_fit_every_size(size: int, channels: int) -> None:
    pictures = generator(5, channels, size, 2)(torch.randn(2, 5))
    assert pictures.shape == (2, channels, size, size)
    assert discriminator(channels, size, 2)(pictures).shape == (2, 1)


def test_every_size_is_halved_to_four_to_six() -> None:
    assert sides(64) == [64, 32, 16, 8, 4]
    assert sides(28) == [28, 14, 7, 4]
    assert sides(100) == [100, 50, 25, 13, 7, 4]
    assert {sides(size)[-1] for size in range(8, 129)} == {4, 5, 6}


def test_maps_have_the_sides_that_are_named() -> None:
    seen: list[int] = []
    network = discriminator(1, 33, 2)
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda module, given, made: seen.append(made.shape[2]))
    network(torch.randn(2, 1, 33, 33))
    assert seen == sides(33)[1:]


def test_figure_1() -> None:
    """The paper's generator for 64x64 pictures: 100 numbers to 1024 maps of 4x4, 512, 256, 128, 3."""
    layers = [layer for layer in generator(100, 3, 64) if isinstance(layer, nn.Linear | nn.ConvTranspose2d)]
    assert [tuple(layer.weight.shape) for layer in layers] == [
        (1024 * 4 * 4, 100),
        (1024, 512, 5, 5),
        (512, 256, 5, 5),
        (256, 128, 5, 5),
        (128, 3, 5, 5),
    ]


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameters_are_those_of_the_closed_form() -> None:
    stem, gains = 100 * 16384, 2 * (16384 + 512 + 256 + 128)
    kernels = 25 * (1024 * 512 + 512 * 256 + 256 * 128)
    assert count(generator(100, 3, 64)) == stem + gains + kernels + 25 * 128 * 3 + 3
    first, gains, last = 25 * 3 * 128 + 128, 2 * (256 + 512 + 1024), 16384 + 1
    assert count(discriminator(3, 64)) == first + gains + kernels + last


def test_dense_layers_only_where_asked_for() -> None:
    assert count(generator(5, 1, 16, 2, hidden=(7,))) == count(generator(7, 1, 16, 2)) + 5 * 7 + 2 * 7
    plain = discriminator(1, 16, 2)
    assert count(discriminator(1, 16, 2, hidden=(7,))) == count(plain) - 64 - 1 + 64 * 7 + 2 * 7 + 7 + 1
    assert discriminator(1, 16, 2, hidden=(7, 6))(torch.randn(2, 1, 16, 16)).shape == (2, 1)


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_no_normalisation_at_the_ends(norm: Norm) -> None:
    kinds = [type(layer) for layer in discriminator(3, 64, 2, norm=norm)]
    normal = {"batch": nn.BatchNorm2d, "layer": nn.GroupNorm}
    between = [nn.Conv2d, normal[norm], nn.LeakyReLU] if norm != "none" else [nn.Conv2d, nn.LeakyReLU]
    assert kinds == [nn.Conv2d, nn.LeakyReLU, *between * 3, nn.Flatten, nn.Linear]
    made = [type(layer) for layer in generator(5, 3, 64, 2, norm=norm == "batch")]
    between = [nn.ConvTranspose2d, *([nn.BatchNorm2d] if norm == "batch" else []), nn.ReLU]
    stem = [nn.Linear, *([nn.BatchNorm1d] if norm == "batch" else []), nn.ReLU, nn.Unflatten]
    assert made == [*stem, *between * 3, nn.ConvTranspose2d]


@pytest.mark.parametrize(("norm", "mixed"), [("batch", True), ("layer", False), ("none", False)])
def test_only_batch_normalisation_lets_examples_see_each_other(norm: Norm, mixed: bool) -> None:
    torch.manual_seed(0)
    network = discriminator(1, 16, 4, norm=norm, hidden=(6,))
    x = torch.randn(6, 1, 16, 16, requires_grad=True)
    network(x)[0].sum().backward()
    assert x.grad is not None
    assert bool(x.grad[1:].abs().max() > 0) is mixed


def test_layer_normalisation_is_over_all_numbers_of_an_example() -> None:
    torch.manual_seed(0)
    network = discriminator(1, 16, 4, norm="layer")
    made = network[:4](torch.randn(3, 1, 16, 16)).detach()
    torch.testing.assert_close(made.mean((1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(made.square().mean((1, 2, 3)), torch.ones(3), atol=1e-2, rtol=0)


def test_generator_undoes_the_discriminator_where_they_share_weights() -> None:
    """<conv(x), y> = <x, transposed conv(y)> for odd and even sizes: one is the adjoint of the other."""
    for size in (28, 33):
        up = generator(5, 1, size, 2)[-1]
        down = discriminator(1, size, 2)[0]
        assert isinstance(up, nn.ConvTranspose2d)
        assert isinstance(down, nn.Conv2d)
        nn.init.zeros_(up.bias)  # type: ignore[arg-type]
        nn.init.zeros_(down.bias)  # type: ignore[arg-type]
        up.weight.data.copy_(down.weight.data)
        x, y = torch.randn(1, 1, size, size), torch.randn(1, 2, sides(size)[1], sides(size)[1])
        torch.testing.assert_close((down(x) * y).sum(), (x * up(y)).sum(), rtol=1e-4, atol=1e-4)


def test_first_weights() -> None:
    torch.manual_seed(0)
    for network in (generator(100, 3, 32, 16, hidden=(200,)), discriminator(3, 32, 16, norm="layer", hidden=(200,))):
        initialise(network)
        weights = {name: p.detach() for name, p in network.named_parameters() if "weight" in name}
        for p in weights.values():
            centre = 1 if p.ndim == 1 else 0
            assert abs(float(p.mean()) - centre) < 5 * 0.02 / p.numel() ** 0.5
            if p.numel() > 1000:
                assert float(p.std()) == pytest.approx(0.02, rel=0.1)
        assert {p.ndim for p in weights.values()} == {1, 2, 4}
        biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
        assert biases
        assert all(bool((p == 0).all()) for p in biases)


@pytest.mark.parametrize("size", [4, 7, 129, 256])
def test_sizes_out_of_range_are_one_line(size: int) -> None:
    with pytest.raises(InputError, match=f"{size}x{size}.*8 to 128"):
        generator(5, 1, size)
    with pytest.raises(InputError, match=f"{size}x{size}.*8 to 128"):
        discriminator(1, size)


def test_pictures_that_are_not_square_are_one_line() -> None:
    assert square(28, 28) == 28
    with pytest.raises(InputError, match=r"28x20.*square"):
        square(28, 20)
