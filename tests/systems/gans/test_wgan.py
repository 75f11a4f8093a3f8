"""WGAN: algorithm 1, its clipping, and a critic that measures."""

import pytest
import torch
from torch import nn

from etude.data.kinds import Images, Splits, Vectors
from etude.errors import InputError
from etude.systems.gans.coulomb_gan import CoulombGAN
from etude.systems.gans.lsgan import LSGAN
from etude.systems.gans.wgan import WGAN
from etude.systems.gans.wgan_gp import WGANGP
from etude.systems.system import Clock


def small(**more: float) -> WGAN:
    torch.manual_seed(0)
    given = {"rate": 1e-3} | more
    return WGAN(1, 1, 2, network="dense", output="linear", latent=4, hidden=(16, 16), **given)  # type: ignore[arg-type]


def points(count: int = 10, shift: float = 0.0) -> Images:
    return Vectors(torch.randn(count, 2) + shift).as_images()


def weights(module: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def test_defaults_are_those_of_algorithm_1() -> None:
    gan = WGAN(1, 8, 8)
    assert (gan.clipping, gan.critic_steps, gan.batch) == (0.01, 5, 64)
    for optimizer in (gan.generator_optimizer, gan.critic_optimizer):
        assert isinstance(optimizer, torch.optim.RMSprop)
        assert optimizer.defaults["lr"] == 5e-5
        assert optimizer.defaults["momentum"] == 0
    assert not any(isinstance(layer, nn.Sigmoid) for layer in gan.modules())


@pytest.mark.parametrize("n", [1, 2, 5])
def test_n_updates_of_the_critic_for_each_one_of_the_generator(n: int) -> None:
    gan = small(critic_steps=n)
    for t in range(2 * n):
        critic, generator = weights(gan.players.discriminator), weights(gan.players.generator)
        losses = gan.step(points(), Clock(step=t))
        turn = t % n == n - 1
        assert not torch.equal(weights(gan.players.discriminator), critic)
        assert torch.equal(weights(gan.players.generator), generator) is not turn
        assert ("generator" in losses) is turn


def test_no_weight_of_the_critic_is_beyond_the_bound_after_any_of_its_updates() -> None:
    gan = small(clipping=0.02, rate=0.01)
    assert weights(gan.players.discriminator).abs().max() > 0.02
    for _ in range(5):
        gan.update_critic(points().x)
        assert weights(gan.players.discriminator).abs().max() == pytest.approx(0.02)
    assert weights(gan.players.generator).abs().max() > 0.02


def test_a_convolutional_critic_is_clipped_whole_its_normalisation_included() -> None:
    torch.manual_seed(0)
    gan = WGAN(1, 8, 8, network="convolutional", latent=4, maps=4, rate=0.01)
    for t in range(6):
        gan.step(Images(torch.rand(10, 1, 8, 8)), Clock(step=t))
        assert all(p.abs().max() <= gan.clipping for p in gan.players.discriminator.parameters())
    assert weights(gan.players.generator).abs().max() > gan.clipping


@pytest.mark.parametrize("system", [WGAN, WGANGP, LSGAN, CoulombGAN])
def test_convolutional_players_learn_and_a_picture_is_that_of_its_code(
    system: type[WGAN | WGANGP | LSGAN | CoulombGAN],
) -> None:
    torch.manual_seed(0)
    gan = system(1, 8, 8, network="convolutional", latent=4, maps=4)
    for t in range(10):
        if t == 5:  # the critic of WGAN is within its bounds by now
            before = [p.detach().clone() for p in layers(gan)]
        gan.step(Images(torch.rand(10, 1, 8, 8)), Clock(step=t))
    assert len(before) == 4
    assert not any(torch.equal(p, was) for p, was in zip(layers(gan), before, strict=True))
    gan.eval()
    z = torch.randn(6, 4)
    pictures = gan.generate(z)
    assert pictures.shape == (6, 1, 8, 8)
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    torch.testing.assert_close(torch.cat([gan.generate(each[None]) for each in z]), pictures)


def layers(gan: nn.Module) -> list[nn.Parameter]:
    """What the linear and convolutional layers of both players weigh with."""
    return [p for p in gan.parameters() if p.ndim > 1]


def test_each_update_leaves_the_other_player_alone() -> None:
    gan = small()
    generator = weights(gan.players.generator)
    gan.update_critic(points().x)
    assert torch.equal(weights(gan.players.generator), generator)
    assert all(p.grad is None for p in gan.players.generator.parameters())
    critic = weights(gan.players.discriminator)
    gradients = [p.grad.clone() for p in gan.players.discriminator.parameters() if p.grad is not None]
    gan.update_generator(10)
    assert torch.equal(weights(gan.players.discriminator), critic)
    kept = [p.grad for p in gan.players.discriminator.parameters() if p.grad is not None]
    assert all(torch.equal(a, b) for a, b in zip(gradients, kept, strict=True))


def test_noise_is_fresh_for_each_player_and_each_step() -> None:
    gan = small(critic_steps=1)
    drawn: list[torch.Tensor] = []
    gan.players.generator.register_forward_pre_hook(lambda module, given: drawn.append(given[0]))
    gan.step(points(), Clock())
    gan.step(points(), Clock(step=1))
    assert len(drawn) == 4
    assert len(torch.cat(drawn).unique(dim=0)) == 40


def test_losses_are_means_without_a_logarithm() -> None:
    gan = small()
    x, fake = points().x, gan.players.fake(10)
    gan.players.fake = lambda count: fake  # type: ignore[method-assign]
    expected = gan.players.judge(fake).mean() - gan.players.judge(x).mean()
    torch.testing.assert_close(gan.update_critic(x), expected.detach())


def test_the_clipped_critic_is_of_bounded_slope() -> None:
    """No slope is above the product of the largest Frobenius norms: of 2 x 16, 16 x 16 and 16 x 1 weights."""
    gan = small(clipping=0.1)
    for _ in range(20):
        gan.update_critic(points(50, 4.0).x)
    x = points(200).x.requires_grad_()
    (slopes,) = torch.autograd.grad(gan.players.judge(x).sum(), x)
    assert 0 < slopes.flatten(1).norm(dim=1).max() <= 0.1**3 * (32 * 256 * 16) ** 0.5


def test_both_players_pull_at_the_right_end() -> None:
    """The critic comes to value data above samples, and the generator's step raises what it says of samples."""
    gan = small(clipping=0.1, rate=3e-3)
    for _ in range(20):
        loss = gan.update_critic(points(100, 4.0).x)
    assert loss < 0
    z = gan.players.noise(200)
    before = gan.players.judge(gan.players.generate(z)).mean()
    gan.update_generator(200)
    assert gan.players.judge(gan.players.generate(z)).mean() > before


def test_data_that_tanh_cannot_reach_is_one_line() -> None:
    data = points()
    with pytest.raises(InputError, match="--output linear"):
        WGAN(1, 1, 2, network="dense").check(Splits(data, data, data))
    small().check(Splits(data, data, data))
