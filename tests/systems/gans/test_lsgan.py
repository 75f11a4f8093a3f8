"""LSGAN: the coding of labels, the best discriminator, and one update of each player a batch."""

import pytest
import torch
from torch import nn

from etude.data.kinds import Images, Splits, Vectors
from etude.errors import InputError
from etude.systems.gans.lsgan import LSGAN
from etude.systems.system import Clock


def small(**more: float) -> LSGAN:
    torch.manual_seed(0)
    given = {"rate": 2e-3} | more
    return LSGAN(1, 1, 2, network="dense", output="linear", latent=4, hidden=(16, 16), **given)  # type: ignore[arg-type]


def points(count: int = 10, shift: float = 0.0) -> Images:
    return Vectors(torch.randn(count, 2) + torch.tensor([shift, 0.0])).as_images()


def weights(module: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def test_both_learn_once_from_each_batch() -> None:
    gan = small()
    for t in range(3):
        before = weights(gan.players.discriminator), weights(gan.players.generator)
        losses = gan.step(points(), Clock(step=t))
        assert set(losses) == {"discriminator", "generator"}
        assert not torch.equal(weights(gan.players.discriminator), before[0])
        assert not torch.equal(weights(gan.players.generator), before[1])


def test_each_update_leaves_the_other_player_alone() -> None:
    gan = small()
    generator = weights(gan.players.generator)
    gan.update_discriminator(points().x)
    assert torch.equal(weights(gan.players.generator), generator)
    assert all(p.grad is None for p in gan.players.generator.parameters())
    discriminator = weights(gan.players.discriminator)
    gan.update_generator(10)
    assert torch.equal(weights(gan.players.discriminator), discriminator)
    assert not torch.equal(weights(gan.players.generator), generator)


def test_noise_is_fresh_for_each_player_and_each_step() -> None:
    gan = small()
    drawn: list[torch.Tensor] = []
    gan.players.generator.register_forward_pre_hook(lambda module, given: drawn.append(given[0]))
    gan.step(points(), Clock())
    gan.step(points(), Clock(step=1))
    assert len(torch.cat(drawn).unique(dim=0)) == 40


@pytest.mark.parametrize("labels", [(0.0, 1.0, 1.0), (-1.0, 1.0, 0.0)])
def test_losses_follow_the_coding(labels: tuple[float, float, float]) -> None:
    a, b, c = labels
    gan = small(fake_label=a, real_label=b, wanted_label=c)
    nn.init.zeros_(gan.players.discriminator[-1].weight)  # type: ignore[arg-type]
    nn.init.constant_(gan.players.discriminator[-1].bias, 0.25)  # type: ignore[arg-type]
    assert float(gan.update_generator(10)) == pytest.approx((0.25 - c) ** 2 / 2)
    assert float(gan.update_discriminator(points().x)) == pytest.approx(((0.25 - b) ** 2 + (0.25 - a) ** 2) / 2)


@pytest.mark.parametrize("labels", [(0.0, 1.0), (-1.0, 1.0)])
def test_discriminator_settles_at_its_optimum(labels: tuple[float, float]) -> None:
    """Real N(1, 1) against false N(-1, 1): D = (b p_d + a p_g) / (p_d + p_g), p_d / (p_d + p_g) = sigmoid(2x)."""
    a, b = labels
    gan = small(fake_label=a, real_label=b, rate=5e-3)
    gan.players.fake = lambda count: points(count, -1.0).x  # type: ignore[method-assign]
    for _ in range(600):
        gan.update_discriminator(points(300, 1.0).x)
    x = torch.stack([torch.linspace(-1.5, 1.5, 31), torch.zeros(31)], 1)
    expected = a + (b - a) * torch.sigmoid(2 * x[:, 0])
    found = gan.players.judge(Vectors(x).as_images().x)
    torch.testing.assert_close(found, expected, atol=0.1 * (b - a), rtol=0)


def test_data_that_tanh_cannot_reach_is_one_line() -> None:
    data = points()
    with pytest.raises(InputError, match="--output linear"):
        LSGAN(1, 1, 2, network="dense").check(Splits(data, data, data))
