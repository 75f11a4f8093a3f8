"""Adversarial losses: their values and gradients in closed form."""

import math

import pytest
import torch

from etude.functional.adversarial import discriminator_loss, minimax_generator_loss, nonsaturating_generator_loss, value

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
