"""How close generated examples come to real ones, in the features that some network takes from them.

Every function takes features (n, d), or class probabilities, and does not ask where they are from: scores of different
extractors cannot be compared. Fréchet inception distance: Heusel et al., "GANs trained by a two time-scale update rule
converge to a local Nash equilibrium", 2017. Kernel distance: Bińkowski et al., "Demystifying MMD GANs", 2018. Inception
score: Salimans et al., "Improved techniques for training GANs", 2016. Precision and recall: Kynkäänniemi et al.,
"Improved precision and recall metric for assessing generative models", 2019.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from etude.errors import InputError
from etude.functional.divergences import kl_divergence

PART = 1000  # rows of a matrix of distances at a time
POINTS = 15  # sample sizes that `fid_at_infinity` looks at (authors' code)


def fid(real: Tensor, generated: Tensor) -> float:
    """Fréchet distance of the normal distributions with the mean and covariance of real (n, d) and of generated (m, d)
    features: 0 where these agree.

    It is biased: the fewer the examples, the larger. Give n and m with it and compare at the same n and m alone, or use
    `fid_at_infinity`.
    """
    return float(frechet_distance(*moments(real), *moments(generated)))


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and unbiased covariance (d, d), divided by n - 1, of features (n, d), in float64."""
    if len(features) < 2:
        raise InputError(f"{len(features)} examples have no covariance: give at least 2")
    x = features.double()
    return x.mean(0), torch.cov(x.T).reshape(x.shape[1], x.shape[1])


def frechet_distance(mean_p: Tensor, covariance_p: Tensor, mean_q: Tensor, covariance_q: Tensor) -> Tensor:
    """Squared Fréchet (Wasserstein-2) distance of two normal distributions: (d,), (d, d), (d,), (d, d) to ().

    |mean_p - mean_q|^2 + tr(C_p + C_q - 2 (C_p C_q)^(1/2)) (Heusel et al. 2017, equation 6). C_p C_q has the
    eigenvalues of the symmetric C_p^(1/2) C_q C_p^(1/2), which are real and not negative; so is the root's trace, the
    sum of their roots, whatever the rank.
    """
    values, vectors = torch.linalg.eigh(covariance_p)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    overlap = torch.linalg.eigvalsh(root @ covariance_q @ root).clamp(min=0).sqrt().sum()
    apart = (mean_p - mean_q).square().sum()
    distance: Tensor = apart + covariance_p.trace() + covariance_q.trace() - 2 * overlap
    return distance.clamp(min=0)


def fid_at_infinity(real: Tensor, generated: Tensor, sizes: Sequence[int] | None = None) -> float:
    """FID as if there were infinitely many generated examples, by extrapolation: Chong and Forsyth, "Effectively
    unbiased FID and inception score and where to find them", 2020.

    FID is close to a line in 1 / m; the line through its values on draws of some of the generated examples meets
    1 / m = 0 here. The real examples are all used each time, and the bias of their number stays.

    Args:
        real: (n, d).
        generated: (m, d).
        sizes: of the draws, in [2, m], at least two different ones; 15 from m / 10, or 2 d if that is more, to m where
            not given.

    Raises:
        InputError: too few examples for two sizes.
    """
    least, most = max(len(generated) // 10, 2 * generated.shape[1]), len(generated)
    if sizes is None:
        if least >= most:
            raise InputError(
                f"{most} examples of {generated.shape[1]} features are too few to extrapolate: give {least + 1} or more"
            )
        sizes = torch.linspace(least, most, POINTS).round().long().tolist()
    mean, covariance = moments(real)
    values = []
    for size in sizes:
        drawn = generated.index_select(0, torch.randperm(most)[:size].to(generated.device))
        values.append(frechet_distance(mean, covariance, *moments(drawn)))
    inverse = 1 / torch.tensor(sizes, dtype=torch.float64)
    line = torch.stack([torch.ones_like(inverse), inverse], 1)
    return float(torch.linalg.lstsq(line, torch.stack(values).cpu()[:, None]).solution[0])


def kid(real: Tensor, generated: Tensor, subsets: int = 100, size: int = 1000) -> tuple[float, float]:
    """Kernel distance: the unbiased squared maximum mean discrepancy of features under the kernel (x.y / d + 1)^3,
    its mean and standard deviation over draws.

    It may be below 0, where the two sets are as alike as two draws of one distribution.

    Args:
        real: (n, d).
        generated: (m, d).
        subsets: draws of some of either, in [1, inf).
        size: of a draw, in [2, inf); n or m where that is less.
    """
    size = min(size, len(real), len(generated))
    found = []
    for _ in range(subsets):
        x, y = (
            every.index_select(0, torch.randperm(len(every))[:size].to(every.device)).double()
            for every in (real, generated)
        )
        found.append(squared_mmd(x, y))
    return _spread(torch.stack(found))


def squared_mmd(x: Tensor, y: Tensor) -> Tensor:
    """Unbiased squared maximum mean discrepancy of (n, d) and (m, d) under (x.y / d + 1)^3 (Bińkowski et al. 2018,
    equations 3 and 4)."""

    def within(a: Tensor) -> Tensor:
        kernel = _cubic(a, a)
        return (kernel.sum() - kernel.trace()) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * _cubic(x, y).mean()


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def inception_score(probabilities: Tensor, splits: int = 10) -> tuple[float, float]:
    """exp E_x KL(p(y | x), p(y)), in [1, classes], its mean and standard deviation over parts of the examples: high
    where each example is clearly of one class and all classes occur.

    It never sees a real example. The number of parts changes it; so does the number of examples.

    Args:
        probabilities: (n, classes), p(y | x); rows sum to 1.
        splits: parts, in [1, n]; 10 in the paper.
    """
    if not 1 <= splits <= len(probabilities):
        raise InputError(f"{splits} parts of {len(probabilities)} examples: expected a number in [1, examples]")
    parts = probabilities.double().tensor_split(splits)
    return _spread(torch.stack([kl_divergence(part, part.mean(0)).mean().exp() for part in parts]))


def _spread(values: Tensor) -> tuple[float, float]:
    return float(values.mean()), float(values.std(correction=0))


def precision(real: Tensor, generated: Tensor, neighbours: int = 3) -> float:
    """Share of generated examples that lie among real ones: no further from one than its k-th nearest real neighbour
    is (Kynkäänniemi et al. 2019, equations 1 and 2).

    Args:
        real: (n, d).
        generated: (m, d).
        neighbours: k, in [1, n).
    """
    return _share_among(generated, real, neighbours)


def recall(real: Tensor, generated: Tensor, neighbours: int = 3) -> float:
    """Share of real examples that lie among generated ones: no further from one than its k-th nearest generated
    neighbour is.

    Args:
        real: (n, d).
        generated: (m, d).
        neighbours: k, in [1, m).
    """
    return _share_among(real, generated, neighbours)


def _share_among(x: Tensor, centres: Tensor, neighbours: int) -> float:
    if neighbours >= len(centres):
        raise InputError(f"{len(centres)} examples have no {neighbours} neighbours each: give more examples")
    radii = torch.cat([_distances(part, centres).kthvalue(neighbours + 1).values for part in centres.split(PART)])
    among = [(_distances(part, centres) <= radii).any(1) for part in x.split(PART)]
    return float(torch.cat(among).double().mean())


def _distances(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
