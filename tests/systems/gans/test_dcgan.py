"""DCGAN: the five guidelines, alternation, what each player touches, and what its features are."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from etude.data.kinds import Images, Splits
from etude.data.shapes import shapes
from etude.errors import InputError
from etude.functional.adversarial import value
from etude.systems.gans.dcgan import DCGAN
from etude.systems.system import Clock


def small(size: int = 16, *, batch_norm: bool = True, hidden: tuple[int, ...] = (), weight_decay: float = 0.0) -> DCGAN:
    torch.manual_seed(0)
    return DCGAN(
        1, size, size, latent=5, maps=4, batch_norm=batch_norm, hidden=hidden, weight_decay=weight_decay, rate=1e-3
    )


def pictures(count: int = 6, size: int = 16) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(1))


def weights(module: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def test_every_batch_teaches_both_players_once() -> None:
    gan = small()
    moved = {"discriminator": 0, "generator": 0}
    for name, optimizer in (("discriminator", gan.discriminator_optimizer), ("generator", gan.generator_optimizer)):

        def count(*_: object, of: str = name) -> None:
            moved[of] += 1

        optimizer.register_step_pre_hook(count)
    for t in range(3):
        assert set(gan.step(Images(pictures()), Clock(step=t))) == {"discriminator", "generator"}
    assert moved == {"discriminator": 3, "generator": 3}


@pytest.mark.parametrize("batch_norm", [True, False])
def test_each_update_leaves_the_other_player_alone(batch_norm: bool) -> None:
    gan = small(batch_norm=batch_norm)
    g, d = weights(gan.generator), weights(gan.discriminator)
    gan.update_discriminator(pictures())
    assert torch.equal(weights(gan.generator), g)
    assert not torch.equal(weights(gan.discriminator), d)
    assert all(p.grad is None for p in gan.generator.parameters())
    gan = small(batch_norm=batch_norm)
    gan.update_generator(6)
    assert torch.equal(weights(gan.discriminator), d)
    assert not torch.equal(weights(gan.generator), g)
    assert all(p.grad is None for p in gan.discriminator.parameters())


def test_noise_is_uniform_and_fresh_for_each_player() -> None:
    gan = small()
    drawn = []
    gan.generator.register_forward_pre_hook(lambda module, given: drawn.append(given[0]))
    gan.step(Images(pictures()), Clock())
    assert len(drawn) == 2
    assert not torch.equal(drawn[0], drawn[1])
    z = gan.noise(10_000)
    assert z.min() >= -1
    assert z.max() < 1
    assert float(z.var()) == pytest.approx(1 / 3, rel=0.02)


def test_real_and_false_pictures_are_normalised_apart() -> None:
    gan = small()
    seen = []
    gan.discriminator.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    x = pictures()
    gan.update_discriminator(x)
    assert torch.equal(seen[0], 2 * x - 1)
    assert [len(batch) for batch in seen] == [6, 6]


def test_losses_are_those_of_the_game() -> None:
    gan, x, z = small(), pictures(), torch.rand(6, 5) * 2 - 1
    gan.noise = lambda count: z  # type: ignore[method-assign]
    with torch.no_grad():
        real, fake = gan.logit(x), gan.logit(gan.generate(z))
    assert float(gan.update_discriminator(x)) == pytest.approx(-float(value(real, fake)), rel=1e-5)
    gan = small()
    gan.noise = lambda count: z  # type: ignore[method-assign]
    assert float(gan.update_generator(6)) == pytest.approx(float(-torch.log(torch.sigmoid(fake)).mean()), rel=1e-5)


def test_weights_decay_by_the_squared_norm() -> None:
    """One step of Adam on loss + l2 / 2 |w|^2, by autograd, against the optimizer's own."""
    decay, x, z = 0.1, pictures(), torch.rand(6, 5) * 2 - 1
    plain, decayed = small(), small(weight_decay=decay)
    for gan in (plain, decayed):
        gan.noise = lambda count: z  # type: ignore[method-assign]
    parameters = list(plain.discriminator.parameters())
    loss = -value(plain.logit(x), plain.logit(plain.sample(6)))
    loss = loss + decay / 2 * torch.stack([p.square().sum() for p in parameters]).sum()
    plain.discriminator_optimizer.zero_grad()
    loss.backward(inputs=parameters)
    plain.discriminator_optimizer.step()
    decayed.update_discriminator(x)
    torch.testing.assert_close(weights(plain.discriminator), weights(decayed.discriminator), rtol=1e-4, atol=1e-5)


def test_first_weights_are_drawn_in_both_players() -> None:
    gan = small(hidden=(50,))
    for network in (gan.generator, gan.discriminator):
        layers = [layer for layer in network if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
        drawn = torch.cat([layer.weight.detach().flatten() for layer in layers])
        assert float(drawn.std()) == pytest.approx(0.02, rel=0.05)


def test_a_guideline_is_an_argument() -> None:
    def kinds(gan: DCGAN) -> list[str]:
        return [type(layer).__name__ for layer in gan.modules()]

    full, bare, dense = small(), small(batch_norm=False), small(hidden=(9, 7))
    assert sum("BatchNorm" in kind for kind in kinds(full)) == 3
    assert not any("Norm" in kind for kind in kinds(bare))
    assert kinds(full).count("Linear") == 2
    assert kinds(dense).count("Linear") == 6
    units = [layer.out_features for layer in dense.modules() if isinstance(layer, nn.Linear)]
    assert units == [9, 7, 8 * 4 * 4, 7, 9, 1]


@pytest.mark.parametrize("size", [8, 16, 28, 33, 64, 100, 128])
def test_every_size(size: int) -> None:
    torch.manual_seed(0)
    gan = DCGAN(3, size, size, latent=4, maps=2)
    losses = gan.step(Images(torch.rand(2, 3, size, size)), Clock())
    assert all(bool(torch.isfinite(loss)) for loss in losses.values())
    sample = gan.eval().sample(2)
    assert sample.shape == (2, 3, size, size)
    assert 0 <= sample.min() < sample.max() <= 1


def test_once_trained_no_example_sees_another() -> None:
    gan = small()
    for t in range(3):
        gan.step(Images(pictures()), Clock(step=t))
    x, z = pictures(), gan.noise(6)

    def alone_or_together() -> list[tuple[torch.Tensor, torch.Tensor]]:
        with torch.no_grad():
            return [
                (torch.cat([verb(row[None]) for row in given]), verb(given))
                for verb, given in ((gan.generate, z), (gan.encode, x), (gan.logit, x))
            ]

    gan.eval()
    for alone, together in alone_or_together():
        torch.testing.assert_close(alone, together)
    gan.train()
    with pytest.raises(ValueError, match="more than 1 value"):  # batch normalisation of one row
        alone_or_together()


def test_codes_are_the_largest_of_each_sixteenth_of_every_layer() -> None:
    gan = small(32).eval()
    x = pictures(3, 32)
    first, second, third = gan.features(x)
    torch.testing.assert_close(first, F.leaky_relu(gan.discriminator[0](2 * x - 1), 0.2))
    assert [tuple(maps.shape[1:]) for maps in (first, second, third)] == [(4, 16, 16), (8, 8, 8), (16, 4, 4)]
    pooled = [F.max_pool2d(first, 4), F.max_pool2d(second, 2), third]
    torch.testing.assert_close(gan.encode(x), torch.cat([maps.flatten(1) for maps in pooled], 1))
    assert gan.encode(x).shape == (3, 16 * (4 + 8 + 16))


def test_features_end_with_the_convolutions() -> None:
    assert len(small(hidden=(7,)).eval().features(pictures())) == 2


def test_learns_where_the_light_is() -> None:
    """Pictures that are light on the left, and nothing else."""
    gan = small()
    x = torch.zeros(64, 1, 16, 16)
    x[..., :8] = 0.9
    x += 0.1 * torch.rand(64, 1, 16, 16)
    for t in range(250):
        gan.step(Images(x[torch.randperm(64)[:16]]), Clock(step=t))
    mean = gan.eval().sample(50).mean((0, 1, 2))
    assert mean[:8].mean() > mean[8:].mean() + 0.4


def test_pictures_of_another_range_or_form_are_one_line() -> None:
    data = Images(torch.randn(4, 1, 16, 16))
    with pytest.raises(InputError, match=r"in \[0, 1\] and these reach from"):
        small().check(Splits(data, data, data))
    small().check(shapes())
    with pytest.raises(InputError, match="28x20"):
        DCGAN(1, 28, 20)
    with pytest.raises(InputError, match="8 to 128"):
        DCGAN(1, 200, 200)
