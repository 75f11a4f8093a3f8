"""Coulomb GAN: a discriminator that regresses the potential, a generator that climbs it, both at once."""

import pytest
import torch
from torch import Tensor, nn

from etude.data.kinds import Images, Splits, Vectors
from etude.errors import InputError
from etude.functional.adversarial import plummer
from etude.systems.gans.coulomb_gan import CoulombGAN
from etude.systems.system import Clock


def small(**more: float) -> CoulombGAN:
    torch.manual_seed(0)
    given = {"generator_rate": 2e-3, "discriminator_rate": 2e-3} | more
    return CoulombGAN(1, 1, 2, network="dense", output="linear", latent=4, hidden=(16, 16), **given)  # type: ignore[arg-type]


def points(count: int = 10, shift: float = 0.0) -> Images:
    return Vectors(torch.randn(count, 2) + torch.tensor([shift, 0.0])).as_images()


def weights(module: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def phi(a: Tensor, real: Tensor, fake: Tensor, gan: CoulombGAN) -> Tensor:
    return plummer(a, real, gan.exponent, gan.softening).mean(1) - plummer(a, fake, gan.exponent, gan.softening).mean(1)


def test_settings_of_the_paper() -> None:
    gan = CoulombGAN(3, 16, 16, maps=4)
    assert (gan.exponent, gan.softening, gan.batch) == (1, 1, 128)
    assert gan.generator_optimizer.defaults["lr"] == 1e-4
    assert gan.generator_optimizer.defaults["weight_decay"] == 0
    assert gan.discriminator_optimizer.defaults["lr"] == 5e-5
    assert gan.discriminator_optimizer.defaults["weight_decay"] == 1e-7
    ends = [m for m in gan.players.modules() if isinstance(m, nn.Conv2d) and m.in_channels == 3]
    assert ends[0].out_channels == 8


@pytest.mark.parametrize(("exponent", "softening"), [(1.0, 1.0), (2.0, 0.5)])
def test_both_gradients_are_those_of_the_same_batch_before_the_step(exponent: float, softening: float) -> None:
    """With plain gradient descent in Adam's place, both changes are those of the printed losses."""
    gan = small(exponent=exponent, softening=softening)
    g, d = (list(player.parameters()) for player in (gan.players.generator, gan.players.discriminator))
    gan.generator_optimizer = torch.optim.SGD(g, 1.0)  # type: ignore[assignment]
    gan.discriminator_optimizer = torch.optim.SGD(d, 1.0)  # type: ignore[assignment]
    batch, z = points(), gan.players.noise(10)
    gan.players.noise = lambda count: z  # type: ignore[method-assign]
    fake = gan.players.generate(z)
    up = torch.autograd.grad(-gan.players.judge(fake).mean() / 2, g, retain_graph=True)
    both = torch.cat([batch.x, fake.detach()])
    rows = [x.flatten(1) for x in (both, batch.x, fake.detach())]
    errors = gan.players.judge(both) - phi(rows[0], rows[1], rows[2], gan)
    regression = torch.autograd.grad(errors.square().mean() / 2, d)
    before = [p.detach().clone() for p in (*g, *d)]
    losses = gan.step(batch, Clock())
    for old, new, gradient in zip(before, (*g, *d), (*up, *regression), strict=True):
        torch.testing.assert_close(old - new.detach(), gradient, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(losses["discriminator"], errors.detach().square().mean() / 2)


def test_no_gradient_of_one_player_reaches_the_other() -> None:
    gan = small()
    reached: dict[str, list[bool]] = {"generator": [], "discriminator": []}
    for name, optimizer in (("generator", gan.generator_optimizer), ("discriminator", gan.discriminator_optimizer)):
        step = optimizer.step

        def watched(name: str = name, step: object = step) -> None:
            other = gan.players.discriminator if name == "generator" else gan.players.generator
            reached[name] += [p.grad is not None and bool(p.grad.any()) for p in other.parameters()]
            step()  # type: ignore[operator]

        optimizer.step = watched  # type: ignore[method-assign,assignment]
    gan.step(points(), Clock())
    assert not any(reached["generator"])
    real, fake, before = points().x, gan.players.fake(10), weights(gan.players.generator)
    gan.update_discriminator(real, fake)
    assert torch.equal(weights(gan.players.generator), before)


def test_noise_is_fresh_for_each_step() -> None:
    gan = small()
    drawn: list[Tensor] = []
    gan.players.generator.register_forward_pre_hook(lambda module, given: drawn.append(given[0]))
    gan.step(points(), Clock())
    gan.step(points(), Clock(step=1))
    assert len(drawn) == 2
    assert not torch.equal(drawn[0], drawn[1])


def test_the_discriminator_learns_the_potential_and_the_generator_climbs_it() -> None:
    gan = small(discriminator_rate=5e-3)
    z = gan.players.noise(60)
    real, fake = points(60, 3.0).x, gan.players.generate(z).detach()
    for _ in range(150):
        gan.update_discriminator(real, fake)
    both = torch.cat([real, fake])
    expected = phi(both.flatten(1), real.flatten(1), fake.flatten(1), gan)
    assert (gan.players.judge(both) - expected).square().mean() < 0.05 * expected.var()
    for t in range(5):
        gan.step(Images(real), Clock(step=t))
    moved = (gan.players.generate(z).detach() - fake).mean((0, 1, 2))
    assert moved[0] > 0.02  # towards the data


def test_where_samples_are_the_data_there_is_nothing_to_learn() -> None:
    gan = small()
    nn.init.zeros_(gan.players.discriminator[-1].weight)  # type: ignore[arg-type]
    nn.init.zeros_(gan.players.discriminator[-1].bias)  # type: ignore[arg-type]
    x = points(100).x
    assert float(gan.update_discriminator(x, x)) == 0


def test_data_that_tanh_cannot_reach_is_one_line() -> None:
    data = points()
    with pytest.raises(InputError, match="--output linear"):
        CoulombGAN(1, 1, 2, network="dense").check(Splits(data, data, data))
