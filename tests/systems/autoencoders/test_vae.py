"""VAE: equation (10) against torch.distributions, both estimators, and log p(x) where it has a closed form."""

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal, kl_divergence

from etude.data.kinds import Splits, Vectors
from etude.errors import InputError
from etude.systems.autoencoders.vae import VAE
from etude.systems.system import Clock


def posterior(system: VAE, x: Tensor) -> Normal:
    mean, logvar = system.posterior(x)
    return Normal(mean, torch.exp(logvar / 2))


def scaled(system: VAE, factor: float) -> VAE:
    """Weights further from 0, so that q(z|x) is far from the prior."""
    with torch.no_grad():
        for p in system.parameters():
            p.mul_(factor)
    return system


@pytest.mark.parametrize("kl", ["closed", "sampled"])
def test_step_lowers_minus_equation_10(kl: str) -> None:
    torch.manual_seed(0)
    system = scaled(VAE(6, latent=3, hidden=(8,), kl=kl), 2)  # type: ignore[arg-type]
    x = torch.rand(20, 6)
    q, prior = posterior(system, x), Normal(0.0, 1.0)
    torch.manual_seed(1)
    z = q.loc + q.scale * torch.randn_like(q.loc)
    likelihood = Independent(Bernoulli(logits=system.decoder(z), validate_args=False), 1).log_prob(x)
    divergence = kl_divergence(q, prior) if kl == "closed" else q.log_prob(z) - prior.log_prob(z)
    torch.manual_seed(1)
    losses = system.step(Vectors(x), Clock())
    expected = {"loss": -(likelihood - divergence.sum(1)), "reconstruction": -likelihood, "kl": divergence.sum(1)}
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value.mean().detach(), rtol=1e-4, atol=1e-4)


def test_gaussian_decoder_against_torch() -> None:
    torch.manual_seed(0)
    system = scaled(VAE(5, latent=2, hidden=(8,), decoder="gaussian"), 3)
    z, x = torch.randn(7, 2), torch.randn(7, 5)
    mean, logvar = system.decoder(z).chunk(2, 1)
    theirs = Normal(mean, torch.exp(logvar / 2).clamp(min=0.05)).log_prob(x).sum(1)
    torch.testing.assert_close(system.likelihood(z, x), theirs)
    torch.testing.assert_close(system.decode(z), mean.detach())


def test_both_estimators_agree_in_expectation() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 6).repeat(20_000, 1)
    systems = [VAE(6, latent=3, hidden=(8,), kl=kl) for kl in ("closed", "sampled")]
    systems[1].load_state_dict(scaled(systems[0], 3).state_dict())
    closed, sampled = (system.terms(x)[1].detach() for system in systems)
    assert sampled.std() > 0.1 > 1e-4 > closed.std()
    assert float(sampled.mean()) == pytest.approx(float(closed.mean()), abs=4 * float(sampled.std()) / 20_000**0.5)


def linear_gaussian() -> tuple[VAE, Tensor, Tensor]:
    """p(x|z) = N(Wz + b, s^2 I) with orthogonal columns in W, and the exact posterior as encoder; x, and log p(x)."""
    torch.manual_seed(0)
    system = VAE(6, latent=2, hidden=(), decoder="gaussian").double()
    w = torch.linalg.qr(torch.randn(6, 2, dtype=torch.float64)).Q * torch.tensor([2.0, 0.7])
    b, s = torch.randn(6, dtype=torch.float64), 0.5
    variance = 1 / (1 + w.square().sum(0) / s**2)
    encoder, decoder = system.encoder[0], system.decoder[0]
    assert isinstance(encoder, nn.Linear)
    assert isinstance(decoder, nn.Linear)
    with torch.no_grad():
        decoder.weight.copy_(torch.cat([w, torch.zeros_like(w)]))
        decoder.bias.copy_(torch.cat([b, torch.full_like(b, s**2).log()]))
        m = variance[:, None] * w.T / s**2
        encoder.weight.copy_(torch.cat([m, torch.zeros_like(m)]))
        encoder.bias.copy_(torch.cat([-m @ b, variance.log()]))
    marginal = MultivariateNormal(b, w @ w.T + s**2 * torch.eye(6, dtype=torch.float64))
    x = marginal.sample((50,))
    return system, x, marginal.log_prob(x)


def test_bound_and_score_are_log_p_where_the_encoder_is_exact() -> None:
    system, x, exact = linear_gaussian()
    system.kl = "sampled"
    torch.testing.assert_close(system.bound(x), exact)
    torch.testing.assert_close(system.score(x, samples=1), exact)
    torch.testing.assert_close(system.score(x, samples=7), exact)


def test_score_tightens_with_samples_and_stays_below_log_p() -> None:
    system, x, exact = linear_gaussian()
    encoder = system.encoder[0]
    assert isinstance(encoder, nn.Linear)
    with torch.no_grad():
        encoder.bias.add_(torch.tensor([0.5, -0.5, 0.5, 0.5]))  # a wrong encoder
    often = x.repeat(200, 1)
    gaps = [float((exact - system.score(often, n).view(200, -1).mean(0)).mean()) for n in (1, 10, 100)]
    elbo = system.bound(often).view(200, -1).mean(0)
    assert gaps[0] > gaps[1] > gaps[2] > -0.01
    assert gaps[2] < 0.1 < gaps[0]
    assert float((exact - elbo).mean()) == pytest.approx(gaps[0], rel=0.1)
    q = posterior(system, x)
    system, x, _ = linear_gaussian()
    gap = kl_divergence(q, posterior(system, x)).sum(1)  # log p(x) - ELBO = KL(q(z|x), p(z|x))
    torch.testing.assert_close(exact - elbo, gap, atol=0.2, rtol=0.2)


def test_grid_is_the_plane_at_the_quantiles_of_the_prior() -> None:
    system = VAE(2, latent=2, hidden=(), decoder="gaussian")
    decoder = system.decoder[0]
    assert isinstance(decoder, nn.Linear)
    nn.init.eye_(decoder.weight)
    nn.init.zeros_(decoder.bias)
    grid = system.grid(3).view(3, 3, 2)
    ends = Normal(0.0, 1.0).icdf(torch.tensor([0.05, 0.5, 0.95]))
    torch.testing.assert_close(grid[0, :, 0], ends)  # to the right grows z_1
    torch.testing.assert_close(grid[:, 0, 1], ends.flip(0))  # upwards grows z_2
    with pytest.raises(InputError, match="--latent 2"):
        VAE(2, latent=3).grid()


def test_interpolation_is_straight_in_the_code() -> None:
    torch.manual_seed(0)
    system = VAE(6, latent=3, hidden=(8,))
    a, b = torch.rand(2, 6)
    path = system.interpolate(a, b, steps=5)
    ends = system.encode(torch.stack([a, b]))
    torch.testing.assert_close(path[0], system.decode(ends[:1])[0])
    torch.testing.assert_close(path[2], system.decode(ends.mean(0, keepdim=True))[0])
    torch.testing.assert_close(path[4], system.decode(ends[1:])[0])


def test_data_that_a_bernoulli_decoder_cannot_explain_is_one_line() -> None:
    data = Vectors(torch.tensor([[-1.5, 0.5]]))
    with pytest.raises(InputError, match="--decoder gaussian"):
        VAE(2).check(Splits(data, data, data))
    VAE(2, decoder="gaussian").check(Splits(data, data, data))
    inside = Vectors(torch.tensor([[0.0, 1.0]]))
    VAE(2).check(Splits(inside, inside, inside))
