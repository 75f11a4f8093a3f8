"""Divergences between distributions, in nats; none of them is a distance, for KL(p, q) differs from KL(q, p)."""

import torch
from jaxtyping import Float
from torch import Tensor


def kl_divergence(p: Float[Tensor, "*#batch k"], q: Float[Tensor, "*#batch k"]) -> Float[Tensor, "*#batch"]:
    """Kullback-Leibler divergence of discrete distributions along the last dimension: sum_i p_i log(p_i / q_i).

    Values that p never takes add 0; the divergence is infinite where p takes a value that q never does
    (Kullback and Leibler 1951, equation 2.3; course 000, equation 21).
    """
    never = p == 0
    return (p * (p.masked_fill(never, 1).log() - q.masked_fill(never, 1).log())).sum(-1)


def js_divergence(p: Float[Tensor, "*#batch k"], q: Float[Tensor, "*#batch k"]) -> Float[Tensor, "*#batch"]:
    """Jensen-Shannon divergence of discrete distributions along the last dimension, in [0, log 2].

    1/2 KL(p, m) + 1/2 KL(q, m) with m = (p + q) / 2; log 2 where the two share no value (Lin 1991, section IV).
    """
    mixture = (p + q) / 2
    return (kl_divergence(p, mixture) + kl_divergence(q, mixture)) / 2


def kl_gaussians(
    mean_p: Float[Tensor, "*#shape"],
    variance_p: Float[Tensor, "*#shape"],
    mean_q: Float[Tensor, "*#shape"],
    variance_q: Float[Tensor, "*#shape"],
) -> Float[Tensor, "*#shape"]:
    """KL(N(mean_p, variance_p), N(mean_q, variance_q)) of univariate normal distributions, element by element.

    1/2 (log(variance_q / variance_p) + (variance_p + (mean_p - mean_q)^2) / variance_q - 1); variances in (0, inf)
    (course 001, question 3).
    """
    return 0.5 * ((variance_q / variance_p).log() + (variance_p + (mean_p - mean_q) ** 2) / variance_q - 1)


def kl_standard_normal(mean: Float[Tensor, "*batch d"], logvar: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
    """KL(N(mean, diag exp(logvar)), N(0, I)), summed over the last dimension (Kingma and Welling 2014, appendix B).

    -1/2 sum_j (1 + logvar_j - mean_j^2 - exp(logvar_j)), where logvar is log sigma^2.
    """
    return 0.5 * (mean.square() + torch.expm1(logvar) - logvar).sum(-1)
