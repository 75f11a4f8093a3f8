"""U-Net and PatchGAN: sizes, what a logit sees, where noise and statistics come from."""

import pytest
import torch
from torch import Tensor, nn

from etude.errors import InputError
from etude.nn.translation import Field, UNet, depth, halvings, patch_discriminator


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def seen(network: nn.Sequential, channels: int, size: int) -> tuple[int, int]:
    """Sides of the patch that the middle logit depends on, by gradient; without the norms, which look at all."""
    bare = nn.Sequential(*[layer for layer in network if not isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d)])
    bare = bare.double()
    for layer in bare:
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 0.01)
    x = torch.ones(1, channels, size, size, dtype=torch.float64, requires_grad=True)
    logits = bare(x)
    middle = logits.shape[2] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], x)
    rows, columns = (gradient.abs().sum((0, 1)) > 0).nonzero(as_tuple=True)
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


@pytest.mark.parametrize(("field", "expected"), [(1, 1), (16, 16), (70, 70)])
def test_a_logit_sees_its_field_and_no_more(field: Field, expected: int) -> None:
    assert seen(patch_discriminator(2, field, width=2), 2, 192) == (expected, expected)


@pytest.mark.parametrize(("size", "expected"), [(64, 70), (96, 142), (142, 142), (160, 286), (256, 286)])
def test_full_holds_the_whole_picture(size: int, expected: int) -> None:
    network = patch_discriminator(1, "full", width=1, size=size)
    assert seen(network, 1, 640) == (expected, expected)
    assert halvings("full", size) == {70: 3, 142: 4, 286: 5}[expected]


def test_the_published_discriminators() -> None:
    """6 channels, input and output of a translation in colour, give the 2.77 M (2,768,705) of the authors' 70x70."""
    assert count(patch_discriminator(6, 70)) == 2_768_705
    assert round(count(patch_discriminator(3, 70)) / 1e6, 3) == 2.766
    maps = [layer.out_channels for layer in patch_discriminator(6, "full", size=256) if isinstance(layer, nn.Conv2d)]
    assert maps == [64, 128, 256, 512, 512, 512, 1]
    assert [layer.kernel_size for layer in patch_discriminator(6, 1) if isinstance(layer, nn.Conv2d)] == [(1, 1)] * 3


@pytest.mark.parametrize(("field", "shape"), [(1, (64, 64)), (16, (30, 30)), (70, (6, 6)), ("full", (6, 6))])
def test_a_map_of_logits(field: Field, shape: tuple[int, int]) -> None:
    assert patch_discriminator(4, field, 8, size=64)(torch.randn(2, 4, 64, 64)).shape == (2, 1, *shape)


def test_the_first_and_the_last_layer_are_not_normalised() -> None:
    for norm, kind in (("batch", nn.BatchNorm2d), ("instance", nn.InstanceNorm2d)):
        network = patch_discriminator(3, 70, 8, norm=norm)  # type: ignore[arg-type]
        kinds = [type(layer) for layer in network]
        block = [nn.Conv2d, kind, nn.LeakyReLU]
        assert kinds == [nn.Conv2d, nn.LeakyReLU, *block, *block, *block, nn.Conv2d]


def test_instances_are_judged_apart() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 2, 32, 32)
    apart, together = patch_discriminator(2, 16, 8, norm="instance"), patch_discriminator(2, 16, 8)
    torch.testing.assert_close(apart(x)[:1], apart(x[:1]))
    assert not torch.allclose(together(x)[:1], together(x[:1]))


def test_pictures_too_small_for_the_field_are_refused() -> None:
    assert patch_discriminator(1, 70, 1, size=24)(torch.rand(1, 1, 24, 24)).shape[2:] == (1, 1)
    with pytest.raises(InputError, match="a field of 70 needs sides of 24 pixels or more, got 16"):
        patch_discriminator(1, 70, size=16)


def test_the_published_generator() -> None:
    assert depth(256, 256) == 8
    network = UNet(3, 3, 8)
    assert round(count(network) / 1e6, 1) == 54.4
    maps = [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert maps == [64, 128, 256, 512, 512, 512, 512, 512]
    maps = [m.out_channels for m in network.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert maps == [512, 512, 512, 512, 256, 128, 64, 3]


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(64, 64, 6), (128, 128, 7), (512, 512, 8), (96, 64, 5), (8, 8, 3), (100, 60, 2)]
)
def test_depth_follows_from_the_size(height: int, width: int, expected: int) -> None:
    assert depth(height, width) == expected
    assert UNet(1, 2, expected, 2)(torch.rand(1, 1, height, width)).shape == (1, 2, height, width)


def test_sizes_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(InputError, match=r"pictures of 6x8 pixels: sides must be multiples of 4"):
        depth(8, 6)
    with pytest.raises(InputError, match=r"a picture of 12x16 pixels: sides must be multiples of 8"):
        UNet(1, 1, 3, 2)(torch.rand(1, 1, 16, 12))
    assert UNet(1, 1, 3, 2)(torch.rand(1, 1, 16, 24)).shape == (1, 1, 16, 24)


def test_dropout_is_the_noise_at_test_time_too() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 3, 32, 32)
    noisy, plain = UNet(3, 3, 5, 8).eval(), UNet(3, 3, 5, 8, dropout=0.0).eval()
    assert not torch.equal(noisy(x), noisy(x))
    assert torch.equal(plain(x), plain(x))


def test_dropout_is_in_the_first_three_blocks_of_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[tuple[int, ...], float, bool]] = []

    def recorded(h: Tensor, p: float, training: bool) -> Tensor:
        seen.append((tuple(h.shape[1:]), p, training))
        return h

    monkeypatch.setattr("torch.nn.functional.dropout", recorded)
    UNet(3, 3, 6, 4).eval()(torch.rand(1, 3, 64, 64))
    assert seen == [((32, 2, 2), 0.5, True), ((32, 4, 4), 0.5, True), ((16, 8, 8), 0.5, True)]


def test_statistics_are_those_of_the_batch_at_hand() -> None:
    torch.manual_seed(0)
    network = UNet(3, 3, 4, 8, dropout=0.0)
    x = torch.rand(2, 3, 16, 16)
    learned = network(x)
    assert torch.equal(network.eval()(x), learned)
    assert not torch.allclose(network(x[:1]), learned[:1], atol=1e-4)
    assert not dict(network.named_buffers())


def test_neither_the_first_layer_nor_one_pixel_is_normalised() -> None:
    """What batch normalisation makes of one number is its shift, whatever the picture: a code of nothing."""
    torch.manual_seed(0)
    network = UNet(3, 3, 4, 8, dropout=0.0)
    norms = [isinstance(layer, nn.Sequential) for layer in network.down]
    assert norms == [False, True, True, False]
    codes: list[Tensor] = []
    network.down[-1].register_forward_hook(lambda module, given, out: codes.append(out))
    for _ in range(2):
        network(torch.rand(1, 3, 16, 16))
    assert codes[0].shape[2:] == (1, 1)
    assert not torch.allclose(codes[0], codes[1])


def test_skips_carry_what_the_bottleneck_cannot() -> None:
    torch.manual_seed(0)
    network = UNet(1, 1, 4, 4, dropout=0.0)
    x = torch.rand(1, 1, 16, 16, requires_grad=True)
    with torch.no_grad():
        for parameter in network.down[-1].parameters():
            parameter.zero_()
    (gradient,) = torch.autograd.grad(network(x)[0, 0, 8, 8], x)
    assert (gradient != 0).any()


def test_first_weights() -> None:
    torch.manual_seed(0)
    for network in (UNet(3, 3, 5, 32), patch_discriminator(6, 70, 32)):
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                assert float(module.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
            if isinstance(module, nn.BatchNorm2d):
                assert float(module.weight.detach().mean()) == pytest.approx(1, abs=0.02)
                assert float(module.weight.detach().std()) == pytest.approx(0.02, rel=0.4)
                assert float(module.bias.detach().abs().sum()) == 0
