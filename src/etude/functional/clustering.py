"""Terms of deep clustering's losses, and the distributions over clusters that they compare.

Xie et al., "Unsupervised Deep Embedding for Clustering Analysis", 2016 (DEC);
Yang et al., "Towards K-means-friendly Spaces", 2017 (DCN);
Hu et al., "Learning Discrete Representations via Information Maximizing Self-Augmented Training", 2017 (IMSAT);
Aljalbout et al., "Clustering with Deep Learning: Taxonomy and New Methods", 2018 (the survey); course 004, module 5.

    q_ij = (1 + |z_i - mu_j|^2 / nu)^(-(nu + 1) / 2), divided by its sum over j        (DEC, equation 1)
    L    = KL(P || Q) = sum_i sum_j p_ij log(p_ij / q_ij)                              (equation 2)
    p_ij = q_ij^2 / f_j, divided by its sum over j, where f_j = sum_i q_ij             (equation 3)

Terms compose: L = alpha L_c + (1 - alpha) L_n, a clustering loss and one that keeps the codes informative. Each term is
a mean over examples, where the papers write sums, so that its weight does not depend on the size of a batch; none is
computed below float32, under autocast neither. The reconstruction loss is the autoencoder's own.

Shapes: n examples, k clusters (or k neighbours), d numbers in a code. Codes are z, centroids mu, soft assignments q.
"""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from etude.errors import InputError
from etude.functional.divergences import kl_divergence

Schedule = Literal["pretrain", "joint", "ramp"]


def squared_distances(z: Float[Tensor, "n d"], centroids: Float[Tensor, "k d"]) -> Float[Tensor, "n k"]:
    """Squared Euclidean distances |z_i - mu_j|^2 in [0, inf), by one matrix product.

    |z|^2 - 2 z mu + |mu|^2, with the origin moved to the mean of the centroids so that large terms do not cancel. What
    rounding leaves below 0 is 0; the gradient, 2 (z_i - mu_j), is kept there.
    """
    z, centroids = _precise(z, centroids)
    origin = centroids.detach().mean(0)
    z, centroids = z - origin, centroids - origin
    norms = z.square().sum(1, keepdim=True) + centroids.square().sum(1)
    with torch.autocast(z.device.type, enabled=False):
        distances = torch.addmm(norms, z, centroids.mT, alpha=-2)
    return distances - distances.detach().clamp(max=0)


def soft_assignment(z: Float[Tensor, "n d"], centroids: Float[Tensor, "k d"], nu: float = 1.0) -> Float[Tensor, "n k"]:
    """How far each example belongs to each cluster, q_ij; each row sums to 1 (DEC, equation 1).

    Student's t-distribution is the kernel, its normalisation taken among logarithms.

    Args:
        z: codes.
        centroids: of the clusters.
        nu: degrees of freedom, in (0, inf); the paper calls it alpha and uses 1. The larger, the closer q comes to the
            responsibilities of a mixture of unit Gaussians.
    """
    return (-(nu + 1) / 2 * (squared_distances(z, centroids) / nu).log1p()).softmax(1)


def hardened(q: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """The target distribution p_ij, closer to 0 and 1 than q; each row sums to 1 (DEC, equation 3).

    The frequency f_j of a cluster is summed over the rows given, so these must be all the examples, not a batch of
    them. A cluster without any mass stays without.
    """
    frequency = q.sum(0)
    weight = q * (q / frequency.masked_fill(frequency == 0, 1))
    return weight / weight.sum(1, keepdim=True)


def hardening_loss(q: Float[Tensor, "n k"], p: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
    """KL(P || Q) in nats, in [0, inf): the mean over examples where the paper writes the sum (DEC, equation 2).

    Args:
        q: soft assignments of a batch.
        p: the same examples' rows of the targets that `hardened` gives for all examples; a constant.
    """
    return kl_divergence(p, q).mean()


def kmeans_loss(
    z: Float[Tensor, "n d"], centroids: Float[Tensor, "k d"], assignment: Int[Tensor, " n"] | None = None
) -> Float[Tensor, ""]:
    """Squared distance of an example to the centroid of its cluster, the mean over examples, in [0, inf).

    Assigned to the nearest centroid, the loss is continuous in codes and centroids; its gradient, which jumps where the
    nearest changes, is not (DCN's second term, without its factor 1/2; the survey's "k-Means loss").

    Args:
        z: codes.
        centroids: of the clusters.
        assignment: the cluster of each example, in [0, k); by default that of the nearest centroid.
    """
    z, centroids = _precise(z, centroids)
    if assignment is None:
        assignment = squared_distances(z.detach(), centroids.detach()).argmin(1)
    return (z - centroids.index_select(0, assignment)).square().sum(1).mean()


def balance_loss(q: Float[Tensor, "n k"], sizes: Float[Tensor, " k"] | None = None) -> Float[Tensor, ""]:
    """KL(G || U) in nats, in [0, inf), where G is how the examples divide among clusters: g_j = 1/n sum_i q_ij.

    The rows given stand for all examples; of a small batch, G is a rough estimate (the survey's "balanced assignments
    loss"; course 004, module 5).

    Args:
        q: soft assignments.
        sizes: shares that sum to 1, to take the place of uniform U. They are compared with G by rank, for no cluster is
            known beforehand to be the largest: their order does not matter.
    """
    shares = q.mean(0)
    if sizes is None:
        return kl_divergence(shares, torch.full_like(shares, 1 / len(shares)))
    return kl_divergence(shares.sort(descending=True).values, sizes.sort(descending=True).values)


def zipf(clusters: int, exponent: float = 1.0) -> Float[Tensor, " k"]:
    """Sizes of clusters by Zipf's law, largest first: rank^(-exponent), divided by the sum over ranks from 1.

    Args:
        clusters: k, in [1, inf).
        exponent: s, in [0, inf); at 0 all are of one size.
    """
    ranks = torch.arange(1, clusters + 1, dtype=torch.float64)
    return (-exponent * ranks.log()).softmax(0).float()


def shares(values: Sequence[float]) -> Float[Tensor, " k"]:
    """Sizes of clusters in any unit (counts, percent), divided by their sum.

    Raises:
        InputError: there is none, or one that is not a positive number. At a share of 0, `balance_loss` is infinite.
    """
    wrong = [value for value in values if not (isfinite(value) and value > 0)]
    if wrong or not values:
        came = f"a size of {wrong[0]:g}" if wrong else "no sizes"
        raise InputError(f"{came}: expected a number in (0, inf) for each cluster; leave out clusters without examples")
    sizes = torch.tensor(values, dtype=torch.float64)
    return (sizes / sizes.sum()).float()


def nearest_neighbours(x: Float[Tensor, "n d"], k: int) -> tuple[Int[Tensor, "n m"], Float[Tensor, "n m"]]:
    """The nearest other rows of each row by Euclidean distance, and how similar they are; constants, without gradients.

    Similarity is exp(-|x_i - x_j|^2 / (2 s^2)), where s^2 is the mean squared distance of a row to its neighbours, over
    all rows: it does not depend on the scale of x.

    Args:
        x: examples, not codes: what the codes should preserve.
        k: neighbours of a row, in [1, inf).

    Returns:
        Numbers of rows and their similarities in [0, 1], nearest first; m is k, or n - 1 where there are fewer others.
    """
    x = x.detach()
    distances = squared_distances(x, x).fill_diagonal_(torch.inf)
    nearest, neighbours = distances.topk(min(k, len(x) - 1), largest=False)
    scale = nearest.mean()
    return neighbours, (-nearest / (2 * scale.masked_fill(scale == 0, 1))).exp()


def locality_loss(
    z: Float[Tensor, "n d"], neighbours: Int[Tensor, "n k"], similarity: Float[Tensor, "n k"]
) -> Float[Tensor, ""]:
    """Squared distances of codes whose examples are neighbours, the sum over neighbours of s(x_i, x_j) |z_i - z_j|^2.

    The mean over examples, in [0, inf) (the survey's "locality-preserving loss"; course 004, module 5).

    Args:
        z: codes.
        neighbours: N_k(i), the rows of z that hold the neighbours of example i.
        similarity: s(x_i, x_j), in [0, 1].
    """
    (z,) = _precise(z)
    others = z.index_select(0, neighbours.flatten()).view(*neighbours.shape, z.shape[1])
    return (similarity * (z.unsqueeze(1) - others).square().sum(2)).sum(1).mean()


def augmentation_loss(
    z: Float[Tensor, "n d"],
    again: Float[Tensor, "n d"],
    similarity: Callable[[Tensor, Tensor], Tensor] = F.cosine_similarity,
) -> Float[Tensor, ""]:
    """Minus the similarity of each code with the code of its augmented example, the mean over examples.

    The survey's "self-augmentation loss", after Hu et al. 2017, who compare distributions over clusters by their
    cross-entropy. With the default it is in [-1, 1].

    Args:
        z: codes f(x).
        again: codes f(T(x)), T a random augmentation.
        similarity: s, of (n, d) and (n, d) to (n,).
    """
    return -similarity(*_precise(z, again)).mean()


def mixing_weight(schedule: Schedule, progress: float, weight: float) -> float:
    """Alpha of the loss alpha L_c + (1 - alpha) L_n, in [0, 1] (the survey and course 004, module 5).

    Args:
        schedule: `pretrain`, where alpha is 0 in an earlier phase and 1 in this one; `joint`, where it is always
            `weight`; `ramp`, where it rises from 0 to `weight` in a straight line.
        progress: how much of the clustering phase is over, in [0, 1].
        weight: alpha once clustering counts in full, in [0, 1].
    """
    return {"pretrain": 1.0, "joint": weight, "ramp": weight * progress}[schedule]


def _precise(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in the most precise of their types, float32 at least."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return tuple(tensor.to(dtype) for tensor in tensors)
