"""WGAN-GP: algorithm 1, the penalty on single examples, and a critic without batch normalisation."""

import pytest
import torch
from torch import nn

from etude.data.kinds import Images, Splits, Vectors
from etude.errors import InputError
from etude.systems.gans.wgan_gp import WGANGP
from etude.systems.system import Clock


def small(**more: float) -> WGANGP:
    torch.manual_seed(0)
    given = {"rate": 1e-3} | more
    return WGANGP(1, 1, 2, network="dense", output="linear", latent=4, hidden=(16, 16), **given)  # type: ignore[arg-type]


def points(count: int = 10) -> Images:
    return Vectors(torch.randn(count, 2)).as_images()


def weights(module: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def test_defaults_are_those_of_algorithm_1() -> None:
    gan = WGANGP(1, 8, 8)
    assert (gan.penalty, gan.critic_steps) == (10, 5)
    for optimizer in (gan.generator_optimizer, gan.critic_optimizer):
        assert isinstance(optimizer, torch.optim.Adam)
        assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (1e-4, (0.0, 0.9))


def test_no_example_changes_what_the_critic_says_of_another() -> None:
    gan = WGANGP(1, 16, 16, maps=4, latent=4)
    x = torch.rand(6, 1, 16, 16)
    alone = torch.cat([gan.players.judge(each[None]) for each in x])
    torch.testing.assert_close(gan.players.judge(x), alone)
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    assert not any(isinstance(layer, kinds) for layer in gan.players.discriminator.modules())
    assert any(isinstance(layer, kinds) for layer in gan.players.generator.modules())


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


def test_each_update_leaves_the_other_player_alone() -> None:
    gan = small()
    generator = weights(gan.players.generator)
    gan.update_critic(points().x)
    assert torch.equal(weights(gan.players.generator), generator)
    assert all(p.grad is None for p in gan.players.generator.parameters())
    critic = weights(gan.players.discriminator)
    gan.update_generator(10)
    assert torch.equal(weights(gan.players.discriminator), critic)
    assert not torch.equal(weights(gan.players.generator), generator)


def test_noise_is_fresh_for_each_player_and_each_step() -> None:
    gan = small(critic_steps=1)
    drawn: list[torch.Tensor] = []
    gan.players.generator.register_forward_pre_hook(lambda module, given: drawn.append(given[0]))
    gan.step(points(), Clock())
    gan.step(points(), Clock(step=1))
    assert len(torch.cat(drawn).unique(dim=0)) == 40


def test_the_critic_descends_equation_3() -> None:
    """Both parts and their weight: without a penalty the step is another one, in the direction of the first part."""
    gan = small(penalty=10.0)
    x, fake = points().x, gan.players.fake(10)
    gan.players.fake = lambda count: fake  # type: ignore[method-assign]
    torch.manual_seed(1)
    alpha = torch.rand(10, 1, 1, 1)
    between = (alpha * x + (1 - alpha) * fake).requires_grad_()
    scores = gan.players.judge(between)
    slopes = [torch.autograd.grad(scores[i], between, retain_graph=True)[0][i].norm() for i in range(10)]
    penalty = torch.stack([(slope - 1) ** 2 for slope in slopes]).mean()
    expected = gan.players.judge(fake).mean() - gan.players.judge(x).mean()
    taken: list[torch.Tensor] = []

    def watched() -> None:
        taken.extend(p.grad.clone() for p in gan.players.discriminator.parameters() if p.grad is not None)

    gan.critic_optimizer.step = watched  # type: ignore[method-assign,assignment]
    torch.manual_seed(1)
    losses = gan.update_critic(x)
    torch.testing.assert_close(losses["critic"], expected.detach())
    torch.testing.assert_close(losses["penalty"], penalty.detach())
    torch.manual_seed(1)
    between = (alpha * x + (1 - alpha) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(gan.players.judge(between).sum(), between, create_graph=True)
    whole = expected + 10 * (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    by_hand = torch.autograd.grad(whole, list(gan.players.discriminator.parameters()), allow_unused=True)
    for ours, theirs in zip(taken, (g for g in by_hand if g is not None), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_the_critics_gradient_comes_nearer_to_norm_1() -> None:
    gan = small(rate=3e-3)
    penalties = [float(gan.update_critic(points(50).x + 5)["penalty"]) for _ in range(150)]
    assert sum(penalties[-20:]) / 20 < 0.3 * penalties[0]


def test_both_players_pull_at_the_right_end() -> None:
    """The critic comes to value data above samples, and the generator's step raises what it says of samples."""
    gan = small(rate=3e-3)
    for _ in range(50):
        loss = gan.update_critic(points(50).x + 5)["critic"]
    assert loss < 0
    z = gan.players.noise(200)
    before = gan.players.judge(gan.players.generate(z)).mean()
    gan.update_generator(200)
    assert gan.players.judge(gan.players.generate(z)).mean() > before


def test_data_that_tanh_cannot_reach_is_one_line() -> None:
    data = points()
    with pytest.raises(InputError, match="--output linear"):
        WGANGP(1, 1, 2, network="dense").check(Splits(data, data, data))
