"""Losses of the two players of an adversarial game.

The first four are those of Goodfellow et al. 2014, on the discriminator's logits: D = sigmoid(logit). The others take
the outputs of D as they are.
"""

from collections.abc import Callable

import torch
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


def critic_loss(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """mean f(G(z)) - mean f(x), which the critic f lowers: Arjovsky et al. 2017, algorithm 1.

    Where f is the best of all functions of slope at most 1, this is minus the earth mover's distance.
    """
    return fake.mean() - real.mean()


def critic_generator_loss(fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """-mean f(G(z)), which the generator lowers: Arjovsky et al. 2017, algorithm 1."""
    return -fake.mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Float[Tensor, "n *shape"], fake: Float[Tensor, "n *shape"]
) -> Float[Tensor, ""]:
    """Mean of (norm of the critic's gradient - 1)^2 between real and false examples: Gulrajani et al. 2017, section 4.

    Each pair has a point of its own, drawn uniformly from the straight line between the two; the norm is taken over all
    numbers of an example. The result can be differentiated by the critic's weights.

    Args:
        critic: (n, *shape) to one number for each example, which no other example influences.
    """
    alpha = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=real.dtype, device=real.device)
    between = (alpha * real + (1 - alpha) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norms: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return (norms - 1).square().mean()


def least_squares_discriminator_loss(
    real: Float[Tensor, "..."], fake: Float[Tensor, "..."], a: float = 0.0, b: float = 1.0
) -> Float[Tensor, ""]:
    """mean (D(x) - b)^2 / 2 + mean (D(G(z)) - a)^2 / 2, which D lowers: Mao et al. 2017, equation 2.

    Args:
        a: what D is to say of false examples.
        b: what D is to say of real ones.
    """
    return ((real - b).square().mean() + (fake - a).square().mean()) / 2


def least_squares_generator_loss(fake: Float[Tensor, "..."], c: float = 1.0) -> Float[Tensor, ""]:
    """mean (D(G(z)) - c)^2 / 2, which G lowers: Mao et al. 2017, equation 2.

    Args:
        c: what G wants D to say of false examples.
    """
    return (fake - c).square().mean() / 2


def plummer(
    a: Float[Tensor, "n features"], b: Float[Tensor, "m features"], exponent: float = 1.0, softening: float = 1.0
) -> Float[Tensor, "n m"]:
    """Plummer's kernel k(a, b) = 1 / sqrt(|a - b|^2 + softening^2)^exponent: Unterthiner et al. 2018, section 2.

    Args:
        exponent: d, in (0, inf); 1 is Coulomb's law in three dimensions.
        softening: epsilon, in (0, inf); the kernel of a point with itself is softening^-exponent.
    """
    return (torch.cdist(a, b).square() + softening**2).pow(-exponent / 2)


PART = 256  # points whose kernels are held at once


@torch.no_grad()
def potential(
    points: Float[Tensor, "p features"],
    real: Float[Tensor, "n features"],
    fake: Float[Tensor, "m features"],
    exponent: float = 1.0,
    softening: float = 1.0,
) -> Float[Tensor, " p"]:
    """Phi(a) = mean_i k(a, y_i) - mean_i k(a, x_i), high near real y and low near false x: Unterthiner et al. 2018.

    `PART` points are taken at a time, so memory grows in proportion to the number of examples and not to its square.
    Nothing is differentiated.

    Args:
        points: where the potential is wanted, the a.
        exponent: of the kernel, in (0, inf).
        softening: of the kernel, in (0, inf).
    """

    def mean(part: Tensor, sources: Tensor) -> Tensor:
        return plummer(part, sources, exponent, softening).mean(1)

    return torch.cat([mean(part, real) - mean(part, fake) for part in points.split(PART)])
