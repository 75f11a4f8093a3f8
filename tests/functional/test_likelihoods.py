"""Log-likelihoods against SciPy."""

import pytest
import scipy.special
import scipy.stats
import torch
from torch import Tensor

from etude.functional.likelihoods import bernoulli_log_likelihood, gaussian_log_likelihood


def reference(logits: Tensor, x: Tensor) -> Tensor:
    """By SciPy: log p = log_expit(logit) and log(1 - p) = log_expit(-logit)."""
    log_p, log_not_p = scipy.special.log_expit(logits.numpy()), scipy.special.log_expit(-logits.numpy())
    return torch.as_tensor((x.numpy() * log_p + (1 - x.numpy()) * log_not_p).sum(-1))


def test_bernoulli_agrees_with_scipy_for_several_codes_of_each_example() -> None:
    logits, x = torch.randn(3, 5, 4), torch.randint(2, (5, 4)).float()
    torch.testing.assert_close(bernoulli_log_likelihood(logits, x), reference(logits, x))


def test_bernoulli_takes_grey_pixels() -> None:
    logits, x = torch.randn(5, 4), torch.rand(5, 4)
    torch.testing.assert_close(bernoulli_log_likelihood(logits, x), reference(logits, x))


def test_bernoulli_is_exact_where_probabilities_round_to_0_or_1() -> None:
    logits, x = torch.tensor([[200.0, -200.0]]), torch.tensor([[0.0, 1.0]])
    assert bernoulli_log_likelihood(logits, x).item() == -400
    assert bernoulli_log_likelihood(logits, 1 - x).item() == 0


def test_bernoulli_gradient_is_x_minus_p() -> None:
    logits, x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True), torch.rand(5, 4, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(bernoulli_log_likelihood(logits, x).sum(), logits)
    torch.testing.assert_close(gradient, x - torch.sigmoid(logits.detach()))


def test_bernoulli_is_computed_in_float32_under_bfloat16() -> None:
    logits, x = (3 * torch.randn(20, 784)).bfloat16(), torch.randint(2, (20, 784)).float()
    with torch.autocast("cpu", torch.bfloat16):
        likelihood = bernoulli_log_likelihood(logits, x)
    torch.testing.assert_close(likelihood, reference(logits.float(), x))


@pytest.mark.parametrize("shape", [(4,), (5, 4), (3, 5, 4)])
def test_gaussian_agrees_with_scipy(shape: tuple[int, ...]) -> None:
    mean, logvar, x = torch.randn(3, *shape, dtype=torch.float64)
    expected = scipy.stats.norm.logpdf(x, mean, (logvar / 2).exp()).sum(-1)
    torch.testing.assert_close(gaussian_log_likelihood(mean, logvar, x), torch.as_tensor(expected))


def test_gaussian_gradients() -> None:
    mean, logvar, x = torch.randn(3, 5, 4, dtype=torch.float64)
    inputs = (mean.clone().requires_grad_(), logvar.clone().requires_grad_(), x.clone().requires_grad_())
    assert torch.autograd.gradcheck(gaussian_log_likelihood, inputs)
