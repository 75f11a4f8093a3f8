"""GAN: algorithm 1, the optimum of the game, and two losses that are two."""

import math
from typing import Literal, get_args

import pytest
import torch
from torch import nn

from etude.data.kinds import Splits, Vectors
from etude.errors import InputError
from etude.functional.adversarial import value
from etude.systems.gans.gan import GAN
from etude.systems.system import Clock

Loss = Literal["minimax", "nonsaturating"]
LOSSES: tuple[Loss, ...] = get_args(Loss)


def small(
    loss: Loss = "nonsaturating",
    steps: int = 1,
    rate: float = 0.1,
    momentum: float = 0.5,
) -> GAN:
    torch.manual_seed(0)
    return GAN(
        2,
        latent=4,
        hidden=(16, 16),
        discriminator_units=8,
        pieces=2,
        input_dropout=0,
        dropout=0,
        output="linear",
        loss=loss,
        discriminator_steps=steps,
        rate=rate,
        momentum=momentum,
    )


def weights(module: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


@pytest.mark.parametrize("k", [1, 2, 5])
def test_k_updates_of_d_for_each_one_of_g(k: int) -> None:
    gan = small(steps=k)
    batch = Vectors(torch.randn(10, 2))
    for t in range(2 * k):
        d, g = weights(gan.discriminator), weights(gan.generator)
        losses = gan.step(batch, Clock(step=t))
        turn = t % k == k - 1
        assert not torch.equal(weights(gan.discriminator), d)
        assert torch.equal(weights(gan.generator), g) is not turn
        assert ("generator" in losses) is turn


def test_each_update_leaves_the_other_player_alone() -> None:
    gan = small()
    g = weights(gan.generator)
    gan.update_discriminator(torch.randn(10, 2))
    assert torch.equal(weights(gan.generator), g)
    assert all(p.grad is None for p in gan.generator.parameters())
    d = weights(gan.discriminator)
    gan.update_generator(10)
    assert torch.equal(weights(gan.discriminator), d)
    assert not torch.equal(weights(gan.generator), g)


def test_noise_is_fresh_for_each_player() -> None:
    gan = small()
    drawn = []
    gan.generator.register_forward_pre_hook(lambda module, given: drawn.append(given[0]))
    gan.step(Vectors(torch.randn(10, 2)), Clock())
    assert len(drawn) == 2
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.cat(drawn).abs().max() <= 1


def test_discriminator_ascends_equation_1() -> None:
    gan = small(rate=0.01, momentum=0)
    x, z = torch.randn(50, 2), torch.rand(50, 4) * 2 - 1
    gan.noise = lambda count: z  # type: ignore[method-assign]
    before = weights(gan.discriminator)
    v = value(gan.discriminator(x), gan.discriminator(gan.generate(z)))
    gradient = nn.utils.parameters_to_vector(torch.autograd.grad(v, list(gan.discriminator.parameters())))
    loss = gan.update_discriminator(x)
    assert float(loss) == pytest.approx(-float(v.detach()), rel=1e-5)
    torch.testing.assert_close(weights(gan.discriminator) - before, 0.01 * gradient, rtol=1e-3, atol=1e-7)


def test_discriminator_settles_at_equation_2() -> None:
    """Real N(1, 1) against false N(-1, 1): log D / (1 - D) = log p_data(x) / p_g(x) = 2x."""
    gan = small(rate=0.05, momentum=0.9)
    gan.sample = lambda count: torch.randn(count, 2) - torch.tensor([1.0, 0.0])  # type: ignore[method-assign]
    for _ in range(400):
        gan.update_discriminator(torch.randn(500, 2) + torch.tensor([1.0, 0.0]))
    x = torch.stack([torch.linspace(-1.5, 1.5, 31), torch.zeros(31)], 1)
    torch.testing.assert_close(torch.sigmoid(gan.discriminator(x)[:, 0]), torch.sigmoid(2 * x[:, 0]), atol=0.08, rtol=0)


def test_value_at_the_optimum_is_minus_log_4() -> None:
    gan = small()
    nn.init.zeros_(gan.discriminator[-1].weight)  # type: ignore[arg-type]
    nn.init.zeros_(gan.discriminator[-1].bias)  # type: ignore[arg-type]
    assert float(gan.update_discriminator(torch.randn(10, 2))) == pytest.approx(math.log(4))


def test_minimax_saturates_and_the_other_loss_does_not() -> None:
    norms = {}
    for loss in LOSSES:
        gan = small(loss)
        nn.init.constant_(gan.discriminator[-1].bias, -10)  # type: ignore[arg-type]  # D(G(z)) near 0
        before = weights(gan.generator)
        gan.update_generator(100)
        norms[loss] = float((weights(gan.generator) - before).norm())
    assert norms["nonsaturating"] > 1000 * norms["minimax"] > 0


def test_both_losses_pull_the_same_way() -> None:
    changes = []
    for loss in LOSSES:
        gan = small(loss)
        before = weights(gan.generator)
        torch.manual_seed(1)
        gan.update_generator(100)
        changes.append(weights(gan.generator) - before)
    assert nn.functional.cosine_similarity(changes[0], changes[1], dim=0) > 0.9


def test_learns_where_the_data_are() -> None:
    gan = small(rate=0.05, momentum=0)
    data = Vectors(torch.randn(2000, 2) * 0.3 + torch.tensor([2.0, -1.0]))
    for t in range(400):
        gan.step(data[torch.randint(2000, (100,))], Clock(step=t))
    torch.testing.assert_close(gan.sample(2000).mean(0), torch.tensor([2.0, -1.0]), atol=0.5, rtol=0)


def test_data_that_a_sigmoid_cannot_reach_is_one_line() -> None:
    data = Vectors(torch.tensor([[-3.0, 2.0]]))
    with pytest.raises(InputError, match="--output linear"):
        GAN(2).check(Splits(data, data, data))
    small().check(Splits(data, data, data))


def test_samples_stay_in_range() -> None:
    samples = GAN(3, latent=2, hidden=(4,)).sample(100)
    assert samples.shape == (100, 3)
    assert 0 <= samples.min() < samples.max() <= 1
