"""Variational autoencoder: Kingma and Welling, "Auto-Encoding Variational Bayes", 2014.

    log q(z|x) = log N(z; mu, sigma^2 I)                                                    (9)
    L(x) = 1/2 sum_j (1 + log sigma_j^2 - mu_j^2 - sigma_j^2) + log p(x|z)                 (10)
    where z = mu + sigma * eps,  eps ~ N(0, I)

An encoder turns x into a normal distribution q(z|x) = N(mu, diag sigma^2) and a decoder turns a code drawn from it into
a distribution p(x|z). Both are trained to raise the lower bound L on log p(x): the second term of (10) asks that x be
likely given its code, the first, minus the divergence of q(z|x) from the prior N(0, I), keeps the codes where the prior
puts them, so that the decoder turns fresh draws from the prior into new examples.

Letters: N examples, D features, L latent dimensions, S samples of z for each x.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from etude.data.kinds import Splits, Vectors
from etude.errors import InputError
from etude.functional.divergences import kl_standard_normal
from etude.functional.likelihoods import bernoulli_log_likelihood, gaussian_log_likelihood
from etude.metrics.likelihood import elbo, log_likelihood
from etude.metrics.reconstruction import reconstruction_error
from etude.nn.dense import dense
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


class VAE(System):
    """Variational autoencoder over rows of numbers; images are taken as the rows of their pixels.

    Args:
        features: D, numbers in an example.
        latent: L, numbers in a code, in [1, inf) (course 001, question 9).
        hidden: sizes of the encoder's hidden layers; the decoder has them in reverse, in [1, inf) (course 001, question
            9; the paper has one of 500).
        decoder: what p(x|z) is: `bernoulli` for data in [0, 1], `gaussian` for any numbers (appendix C).
        kl: the divergence in closed form, or estimated from the same z as the reconstruction (section 2.3, estimators A
            and B).
        rate: Adam's learning rate, in (0, inf) (course 001, question 9).
        epochs: passes over the training data, in [0, inf) (course 001, question 10).
        batch: examples a step, in [1, inf) (section 5).
    """

    paper = Paper(
        "D. P. Kingma and M. Welling", 2014, "Auto-Encoding Variational Bayes", "https://arxiv.org/abs/1312.6114"
    )
    kind = Vectors
    metrics = (elbo, reconstruction_error)
    final_metrics = (log_likelihood,)
    tiny = {"latent": 2, "hidden": (16,), "epochs": 40, "batch": 10, "rate": 5e-3}
    quick = {"latent": 8, "hidden": (256, 128), "epochs": 150, "batch": 50, "rate": 1e-3}

    def __init__(
        self,
        features: int,
        *,
        latent: int = 20,
        hidden: tuple[int, ...] = (500, 250),
        decoder: Literal["bernoulli", "gaussian"] = "bernoulli",
        kl: Literal["closed", "sampled"] = "closed",
        rate: float = 5e-4,
        epochs: int = 80,
        batch: int = 100,
    ) -> None:
        super().__init__()
        self.latent, self.kind_of_decoder, self.kl = latent, decoder, kl
        self.epochs, self.batch = epochs, batch
        parts = 1 if decoder == "bernoulli" else 2
        # deviates: ReLU and two hidden layers; the paper uses tanh and one (appendix C)
        # deviates: torch's first weights and no prior on them; the paper has N(0, 0.01) and N(0, I) (section 5)
        self.encoder = dense([features, *hidden, 2 * latent], "relu")
        self.decoder = dense([latent, *reversed(hidden), parts * features], "relu")
        # deviates: Adam; the paper uses Adagrad (section 5)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=rate, fused=True)

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch, start=self.check)]

    def check(self, splits: Splits) -> None:
        """A Bernoulli decoder explains numbers in [0, 1] and no others."""
        train = splits.train
        if self.kind_of_decoder == "gaussian" or not isinstance(train, Vectors) or not train.x.is_floating_point():
            return
        low, high = (float(v) for v in torch.aminmax(train.x))
        if low < 0 or high > 1:
            raise InputError(
                f"a Bernoulli decoder needs data in [0, 1], these span {low:.3g} to {high:.3g}: use --decoder gaussian"
            )

    def step(self, batch: Vectors, clock: Clock) -> Losses:
        likelihood, divergence = self.terms(batch.x)
        loss = descend(self.optimizer, (divergence - likelihood).mean())
        return {"loss": loss, "reconstruction": -likelihood.detach().mean(), "kl": divergence.detach().mean()}

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The two terms of (10) for one draw of z: log p(x|z) (N,) and the divergence of q(z|x) from the prior (N,)."""
        mean, logvar = self.posterior(x)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        if self.kl == "sampled":
            divergence = gaussian_log_likelihood(mean, logvar, z) - standard_normal_log_likelihood(z)
        else:
            divergence = kl_standard_normal(mean, logvar)
        return self.likelihood(z, x), divergence

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """q(z|x): mean (N, L) and log sigma^2 (N, L)."""
        mean, logvar = self.encoder(x).to(x.dtype).chunk(2, dim=-1)
        return mean, logvar

    def likelihood(self, z: Tensor, x: Tensor) -> Tensor:
        """log p(x|z) in nats, summed over the features: z (..., L), x (..., D) to (...,)."""
        out = self.decoder(z)
        if self.kind_of_decoder == "bernoulli":
            return bernoulli_log_likelihood(out, x)
        mean, logvar = bounded(out.to(x.dtype))
        return gaussian_log_likelihood(mean, logvar, x)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z|x): x (N, D) to (N, L)."""
        return self.posterior(x)[0]

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """The mean of p(x|z): z (N, L) to (N, D), in [0, 1] for a Bernoulli decoder."""
        out = self.decoder(z)
        return torch.sigmoid(out) if self.kind_of_decoder == "bernoulli" else bounded(out)[0]

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """New examples (count, D): decoded draws from the prior, the mean of p(x|z) as in the paper's figures."""
        return self.decode(torch.randn(count, self.latent, device=self.device))

    @torch.no_grad()
    def bound(self, x: Tensor) -> Tensor:
        """The lower bound (10) on log p(x) in nats, by one draw of z: x (N, D) to (N,)."""
        likelihood, divergence = self.terms(x)
        return likelihood - divergence

    @torch.no_grad()
    def score(self, x: Tensor, samples: int = 100) -> Tensor:
        """log p(x) in nats, from below, by importance sampling: x (N, D) to (N,).

        log 1/S sum_s p(x|z_s) p(z_s) / q(z_s|x),  z_s ~ q(z|x): Burda et al. 2016, equation 8; the gap closes as S
        grows.
        """
        mean, logvar = self.posterior(x)
        total = torch.full((len(x),), -math.inf, dtype=x.dtype, device=x.device)
        for _ in range(samples):
            z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
            prior, posterior = standard_normal_log_likelihood(z), gaussian_log_likelihood(mean, logvar, z)
            total = torch.logaddexp(total, self.likelihood(z, x) + prior - posterior)
        return total - math.log(samples)

    @torch.no_grad()
    def grid(self, steps: int = 15) -> Tensor:
        """The plane of a two-dimensional code, decoded at the prior's quantiles .05 to .95: (steps^2, D) by rows."""
        if self.latent != 2:
            raise InputError(
                f"a grid of codes needs two latent dimensions, here are {self.latent}: train with --latent 2"
            )
        at = torch.distributions.Normal(0, 1).icdf(torch.linspace(0.05, 0.95, steps)).to(self.device)
        return self.decode(torch.cartesian_prod(at.flip(0), at).flip(1))

    @torch.no_grad()
    def interpolate(self, a: Tensor, b: Tensor, steps: int = 10) -> Tensor:
        """Decoded codes on the straight line between those of two examples: a (D,), b (D,) to (steps, D)."""
        ends = self.encode(torch.stack([a, b]))
        return self.decode(torch.lerp(ends[0], ends[1], torch.linspace(0, 1, steps, device=ends.device)[:, None]))


def standard_normal_log_likelihood(z: Tensor) -> Tensor:
    """log N(z; 0, I) in nats: (..., L) to (...,)."""
    zero = torch.zeros_like(z)
    return gaussian_log_likelihood(zero, zero, z)


def bounded(out: Tensor) -> tuple[Tensor, Tensor]:
    """The Gaussian decoder's output (N, 2D) as mean (N, D) and log sigma^2 (N, D)."""
    mean, logvar = out.chunk(2, dim=-1)
    # deviates: sigma is at least 0.05; the paper's likelihood is unbounded on features that never vary (appendix C.2)
    return mean, logvar.clamp(min=2 * math.log(0.05))
