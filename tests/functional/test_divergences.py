"""Divergences against SciPy, torch.distributions and the values that the course works out."""

import math

import jaxtyping
import pytest
import scipy.spatial.distance
import scipy.special
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor
from torch.distributions import Normal
from torch.distributions import kl_divergence as reference

from etude.functional.divergences import js_divergence, kl_divergence, kl_gaussians, kl_standard_normal

distributions = arrays(float, 5, elements=st.integers(0, 9)).filter(any).map(lambda n: torch.as_tensor(n / n.sum()))


def test_course_000_two_bernoulli_distributions_in_bits() -> None:
    p, q = torch.tensor([0.3, 0.7]), torch.tensor([0.5, 0.5])
    assert kl_divergence(p, q).item() / math.log(2) == pytest.approx(0.1187, abs=5e-5)
    assert kl_divergence(q, p).item() / math.log(2) == pytest.approx(0.1258, abs=5e-5)


def test_course_004_binomial_and_uniform_in_nats() -> None:
    p, q = torch.tensor([9 / 25, 12 / 25, 4 / 25]), torch.full((3,), 1 / 3)
    assert kl_divergence(p, q).item() == pytest.approx(0.085, abs=5e-4)
    assert kl_divergence(q, p).item() == pytest.approx(0.097, abs=5e-4)


@pytest.mark.parametrize(("mean", "variance", "expected"), [(0.1, 1.0, 0.005), (1.0, 0.0001, 9994.9)])
def test_course_001_univariate_normal_distributions(mean: float, variance: float, expected: float) -> None:
    zero, one, mean_q, variance_q = torch.tensor([0.0, 1.0, mean, variance], dtype=torch.float64)
    assert kl_gaussians(zero, one, mean_q, variance_q).item() == pytest.approx(expected, rel=1e-6)


@given(distributions, distributions)
def test_discrete_divergences_agree_with_scipy(p: Tensor, q: Tensor) -> None:
    torch.testing.assert_close(kl_divergence(p, q), torch.as_tensor(scipy.special.rel_entr(p.numpy(), q.numpy()).sum()))
    assert js_divergence(p, q).item() == pytest.approx(scipy.spatial.distance.jensenshannon(p, q) ** 2, abs=1e-12)


@given(distributions, distributions)
def test_divergences_are_bounded_and_js_is_symmetric(p: Tensor, q: Tensor) -> None:
    assert kl_divergence(p, q) >= -1e-12
    assert -1e-12 <= js_divergence(p, q) <= math.log(2) + 1e-12
    torch.testing.assert_close(js_divergence(p, q), js_divergence(q, p))


def test_disjoint_supports() -> None:
    p, q = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert kl_divergence(p, q) == math.inf
    assert js_divergence(p, q).item() == pytest.approx(math.log(2))


def test_gradients_are_finite_where_neither_has_mass() -> None:
    p = torch.tensor([0.4, 0.6, 0.0], requires_grad=True)
    q = torch.tensor([0.5, 0.5, 0.0], requires_grad=True)
    for gradient in torch.autograd.grad(kl_divergence(p, q), (p, q)):
        assert gradient.isfinite().all()


def test_rows_are_compared_with_one_reference() -> None:
    p = torch.tensor([[0.3, 0.7], [0.5, 0.5]])
    bits = kl_divergence(p, torch.tensor([0.5, 0.5])) / math.log(2)
    torch.testing.assert_close(bits, torch.tensor([0.1187, 0.0]), atol=5e-5, rtol=0)


def test_shapes_that_torch_would_stretch_are_refused_in_tests() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        kl_divergence(torch.rand(2, 3), torch.rand(2, 1))


def test_normal_distributions_agree_with_torch() -> None:
    mean_p, mean_q = torch.randn(2, 7, 3, dtype=torch.float64)
    variance_p, variance_q = torch.rand(2, 7, 3, dtype=torch.float64) + 0.1
    p, q = Normal(mean_p, variance_p.sqrt()), Normal(mean_q, variance_q.sqrt())
    torch.testing.assert_close(kl_gaussians(mean_p, variance_p, mean_q, variance_q), reference(p, q))
    expected = reference(p, Normal(torch.zeros_like(mean_p), torch.ones_like(mean_p))).sum(-1)
    torch.testing.assert_close(kl_standard_normal(mean_p, variance_p.log()), expected)


def test_standard_normal_is_precise_close_to_the_prior() -> None:
    """e^v - 1 - v = v^2 / 2 + v^3 / 6 + ..., of which subtracting 1 from e^v in float32 would leave nothing."""
    divergence = kl_standard_normal(torch.zeros(1), torch.tensor([1e-2]))
    assert divergence.item() == pytest.approx(1e-4 / 4 + 1e-6 / 12, rel=1e-4)


def test_gradients_of_the_divergence_from_the_standard_normal() -> None:
    """The mean itself, and half of variance - 1."""
    mean, logvar = (
        torch.randn(4, dtype=torch.float64, requires_grad=True),
        torch.randn(4, dtype=torch.float64, requires_grad=True),
    )
    found = torch.autograd.grad(kl_standard_normal(mean, logvar), (mean, logvar))
    torch.testing.assert_close(found, (mean.detach(), (logvar.detach().exp() - 1) / 2))
