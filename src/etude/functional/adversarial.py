"""Losses of the two players of Goodfellow et al. 2014, on the discriminator's logits: D = sigmoid(logit)."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def value(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """V(D, G) = mean log D(x) + mean log(1 - D(G(z))), in (-inf, 0]; -log 4 where D is 1/2 everywhere (equation 1)."""
    return F.logsigmoid(real).mean() + F.logsigmoid(-fake).mean()


def discriminator_loss(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """-V(D, G), which the discriminator lowers (algorithm 1)."""
    return -value(real, fake)


def minimax_generator_loss(fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Mean of log(1 - D(G(z))), which the generator lowers; flat where D is sure of what is false (algorithm 1)."""
    return F.logsigmoid(-fake).mean()


def nonsaturating_generator_loss(fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Mean of -log D(G(z)), which the generator lowers; same fixed point, steep where D is sure (section 3)."""
    return -F.logsigmoid(fake).mean()
