"""Log-likelihoods in nats, summed over the last dimension."""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def bernoulli_log_likelihood(
    logits: Float[Tensor, "*batch d"], x: Float[Tensor, "*#batch d"]
) -> Float[Tensor, "*batch"]:
    """Log-likelihood of independent Bernoulli variables, p = sigmoid(logits); x in [0, 1], repeated for more logits.

    sum_j x_j log p_j + (1 - x_j) log(1 - p_j) (Kingma and Welling 2014, appendix C.1).
    """
    return -F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)


def gaussian_log_likelihood(
    mean: Float[Tensor, "*#batch d"], logvar: Float[Tensor, "*#batch d"], x: Float[Tensor, "*#batch d"]
) -> Float[Tensor, "*#batch"]:
    """Log-density of N(mean, diag exp(logvar)) at x, constant included, where logvar is log sigma^2.

    -1/2 sum_j (log 2 pi + logvar_j + (x_j - mean_j)^2 / exp(logvar_j)) (Kingma and Welling 2014, appendix C.2).
    """
    return -0.5 * (math.log(2 * math.pi) + logvar + (x - mean).square() * (-logvar).exp()).sum(-1)
