"""Adversarial losses: their values and gradients in closed form."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance
from torch import Tensor, nn

from etude.functional import adversarial
from etude.functional.adversarial import (
    critic_generator_loss,
    critic_loss,
    discriminator_loss,
    gradient_penalty,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_generator_loss,
    nonsaturating_generator_loss,
    plummer,
    potential,
    value,
)

logits = torch.linspace(-8, 8, 33, dtype=torch.float64)


def test_value_is_minus_log_4_where_the_discriminator_cannot_tell() -> None:
    undecided = torch.zeros(10)
    assert value(undecided, undecided).item() == pytest.approx(-math.log(4))
    assert discriminator_loss(undecided, undecided).item() == pytest.approx(math.log(4))


def test_values_agree_with_the_definitions() -> None:
    real, fake = torch.sigmoid(logits + 1), torch.sigmoid(logits)
    torch.testing.assert_close(value(logits + 1, logits), real.log().mean() + (1 - fake).log().mean())
    torch.testing.assert_close(minimax_generator_loss(logits), (1 - fake).log().mean())
    torch.testing.assert_close(nonsaturating_generator_loss(logits), -fake.log().mean())


def test_the_discriminator_lowers_what_the_minimax_generator_raises() -> None:
    def gradient(loss: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(loss, fake)[0]

    fake = logits.clone().requires_grad_()
    torch.testing.assert_close(gradient(discriminator_loss(logits, fake)), -gradient(minimax_generator_loss(fake)))


def test_gradients_are_two_different_ones() -> None:
    """By the logit they are -D and -(1 - D): the first vanishes where D(G(z)) is near 0."""
    fake, d = logits.clone().requires_grad_(), torch.sigmoid(logits)
    (minimax,) = torch.autograd.grad(minimax_generator_loss(fake), fake)
    (nonsaturating,) = torch.autograd.grad(nonsaturating_generator_loss(fake), fake)
    torch.testing.assert_close(minimax * len(fake), -d)
    torch.testing.assert_close(nonsaturating * len(fake), d - 1)
    assert minimax[0].abs() < 1e-3 * nonsaturating[0].abs()


def test_losses_are_finite_where_the_discriminator_is_certain() -> None:
    certain = torch.tensor([1000.0])
    assert discriminator_loss(-certain, certain).item() == 2000
    assert nonsaturating_generator_loss(-certain).item() == 1000
    assert minimax_generator_loss(-certain).item() == 0


def double(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_best_critic_of_a_shift_measures_the_earth_movers_distance() -> None:
    """Real numbers are the false ones shifted by 3: the best function of slope 1 is the identity."""
    fake = double(100)
    real = fake + 3
    assert -critic_loss(real, fake).item() == pytest.approx(wasserstein_distance(real.numpy(), fake.numpy()))
    assert critic_generator_loss(fake).item() == pytest.approx(-fake.mean().item())


@pytest.mark.parametrize("shape", [(6, 4), (6, 2, 3, 3)])
def test_penalty_of_a_linear_critic_is_that_of_its_slope(shape: tuple[int, ...]) -> None:
    """|grad| is the norm of the weights at every point, whatever the examples are."""
    slope = double(*shape[1:])
    unit = slope / slope.norm()

    def linear(weights: Tensor) -> Tensor:
        return gradient_penalty(lambda x: (x * weights).flatten(1).sum(1), double(*shape), double(*shape, seed=1))

    assert linear(unit).item() == pytest.approx(0, abs=1e-12)
    assert linear(slope).item() == pytest.approx((slope.norm().item() - 1) ** 2)
    assert linear(0 * slope).item() == 1


def test_penalty_takes_each_example_at_a_point_of_its_own() -> None:
    """D = |x|^2 / 2 has gradient x: between 0 and unit vectors its norm is alpha, uniform in [0, 1]."""
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.square().sum(1) / 2

    real, fake = torch.eye(1000, dtype=torch.float64), torch.zeros(1000, 1000, dtype=torch.float64)
    torch.manual_seed(0)
    penalty = gradient_penalty(critic, real, fake)
    alpha = seen[0].diagonal()
    torch.testing.assert_close(seen[0], alpha.diag())
    assert len(alpha.unique()) == 1000
    assert alpha.mean().item() == pytest.approx(0.5, abs=0.03)
    torch.testing.assert_close(penalty, (alpha - 1).square().mean())


def test_penalty_can_be_differentiated_by_the_critics_weights() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    names = [name for name, _ in critic.named_parameters()]
    real, fake = double(4, 3), double(4, 3, seed=1)

    def penalty(*weights: Tensor) -> Tensor:
        torch.manual_seed(1)
        given = dict(zip(names, weights, strict=True))
        return gradient_penalty(lambda x: torch.func.functional_call(critic, given, x), real, fake)

    weights = tuple(w.detach().clone().requires_grad_() for w in critic.parameters())
    assert torch.autograd.gradcheck(penalty, weights)


def test_least_squares_against_torch() -> None:
    real, fake, mean = double(20), double(20, seed=1), nn.functional.mse_loss
    expected = (mean(real, torch.full_like(real, 2.0)) + mean(fake, torch.full_like(fake, -1.0))) / 2
    torch.testing.assert_close(least_squares_discriminator_loss(real, fake, -1.0, 2.0), expected)
    torch.testing.assert_close(least_squares_generator_loss(fake, 0.5), mean(fake, torch.full_like(fake, 0.5)) / 2)


def test_pearsons_divergence_is_what_the_coding_of_section_3_2_leaves() -> None:
    """With a, b, c = -1, 1, 0 and the best D on three points, 2 C(G) = chi^2(p_d + p_g, 2 p_g) (Mao et al. 2017)."""
    p, q = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), torch.tensor([0.1, 0.4, 0.5], dtype=torch.float64)
    d = ((p - q) / (p + q)).requires_grad_()
    counts = (10 * p).round().long(), (10 * q).round().long()
    real, fake = (d.repeat_interleave(count) for count in counts)
    (slope,) = torch.autograd.grad(least_squares_discriminator_loss(real, fake, -1.0, 1.0), d)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-12, rtol=0)
    both = least_squares_generator_loss(real, 0.0) + least_squares_generator_loss(fake, 0.0)
    torch.testing.assert_close(2 * both.detach(), ((2 * q - (p + q)).square() / (p + q)).sum())


def test_least_squares_gradient_grows_with_the_distance_where_cross_entropy_is_flat() -> None:
    far = torch.tensor([10.0], dtype=torch.float64, requires_grad=True)  # false, and D is sure that it is real
    (squares,) = torch.autograd.grad(least_squares_generator_loss(far), far)
    (entropy,) = torch.autograd.grad(nonsaturating_generator_loss(far), far)
    assert squares.item() == 9
    assert abs(entropy.item()) < 1e-4


@pytest.mark.parametrize(("exponent", "softening"), [(1.0, 1.0), (3.0, 0.2), (0.5, 2.0)])
def test_plummers_kernel_against_scipy(exponent: float, softening: float) -> None:
    a, b = double(7, 3), double(5, 3, seed=1)
    expected = (cdist(a.numpy(), b.numpy(), "sqeuclidean") + softening**2) ** (-exponent / 2)
    np.testing.assert_allclose(plummer(a, b, exponent, softening).numpy(), expected, rtol=1e-12)
    torch.testing.assert_close(
        plummer(a, a, exponent, softening).diagonal(), torch.full((7,), softening**-exponent, dtype=torch.float64)
    )


def test_gradients_of_plummers_kernel() -> None:
    a, b = double(4, 3).requires_grad_(), double(5, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: plummer(a, b, 1.5, 0.7), (a, b))


def test_potential_is_the_plain_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adversarial, "PART", 4)
    points, real, fake = double(11, 3), double(6, 3, seed=1), double(9, 3, seed=2)
    near, far = (cdist(points.numpy(), x.numpy(), "sqeuclidean") for x in (real, fake))
    expected = ((near + 0.25) ** -1.5).mean(1) - ((far + 0.25) ** -1.5).mean(1)
    np.testing.assert_allclose(potential(points, real, fake, 3.0, 0.5).numpy(), expected, rtol=1e-10)


def test_potential_is_nothing_everywhere_where_both_batches_are_the_same() -> None:
    x = double(300, 2)
    assert potential(double(1000, 2, seed=1), x, x).abs().max() == 0
    torch.testing.assert_close(potential(x, x, x.roll(1, 0)), torch.zeros(300, dtype=torch.float64), atol=1e-12, rtol=0)


def test_potential_rises_towards_real_examples_and_away_from_false_ones() -> None:
    line = torch.stack([torch.linspace(-2, 2, 41), torch.zeros(41)], 1).double()
    phi = potential(line, torch.tensor([[3.0, 0.0]]).double(), torch.tensor([[-3.0, 0.0]]).double())
    assert (phi.diff() > 0).all()
    torch.testing.assert_close(phi, -phi.flip(0))


def test_potential_of_two_charges_follows_exponent_and_softening() -> None:
    origin, one = torch.zeros(1, 1).double(), torch.ones(1, 1).double()
    for exponent, softening in ((1.0, 1.0), (2.0, 1.0), (1.0, 0.1)):
        expected = (1 + softening**2) ** (-exponent / 2) - softening**-exponent
        assert potential(origin, one, origin, exponent, softening).item() == pytest.approx(expected)


def test_potential_never_holds_all_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = []

    def watched(a: Tensor, b: Tensor, *given: float) -> Tensor:
        largest.append(len(a) * len(b))
        return plummer(a, b, *given)

    monkeypatch.setattr(adversarial, "plummer", watched)
    x = torch.randn(2000, 2)
    assert not potential(x.requires_grad_(), x, x + 1).requires_grad
    assert max(largest) <= adversarial.PART * 2000
