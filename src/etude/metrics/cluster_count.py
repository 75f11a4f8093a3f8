"""How many clusters there are, by six usual criteria on several subsamples, and how far they agree.

No criterion is right in general, so that their agreement matters more than any of them:

* silhouette (Rousseeuw 1987), Calinski-Harabasz (1974), Davies-Bouldin (1979): k-means partitions that are compact for
  how far apart they lie;
* gap (Tibshirani et al. 2001): the smallest K with Gap(K) >= Gap(K + 1) - s(K + 1), where the gap is between the log of
  the squared distances within clusters and what it would be without clusters;
* stability (after Lange et al. 2004): the largest K for which k-means partitions by two halves of the examples agree
  best, to within `SLACK` of the adjusted Rand index;
* BIC (Schwarz 1978) of Gaussian mixtures with full or with diagonal covariances, whichever is better (as Fraley and
  Raftery 2002 choose among models).

"Without clusters" are `REFERENCES` uniform samples of the box around the principal components (Tibshirani et al. 2001,
section 3). They also let criteria that are not defined for one cluster vote for it: where the value at the K that a
criterion would choose is not beyond that of every uniform sample at this K.

Weaknesses. All but BIC see clusters as k-means does, as balls of like size in the units of the features: moons, rings
and clusters of very unequal size or spread mislead them together, and then they may even agree. Gap and silhouette
prefer few groups of clusters to the clusters within them. BIC splits one cluster that is no Gaussian into several.
Outliers count as clusters. In more than some ten dimensions distances are alike and everything grows vague. A cluster
that holds less than some 2 % of the examples is lost in a subsample. Classes need not be clusters: on the pixels of
MNIST the answers go from 2 to 19, and on those of `digits` from 2 to 14.
"""

import math
import warnings
from dataclasses import dataclass
from statistics import median_low
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from etude.errors import InputError

Array = NDArray[np.float64]

DRAWS = 5
REFERENCES = 10
HALVINGS = 3
ROWS = 1000
DIMENSIONS = 50
SLACK = 0.02
BY_PARTITION = ("silhouette", "Calinski-Harabasz", "Davies-Bouldin", "stability")
LOWER_IS_BETTER = ("Davies-Bouldin", "BIC")
KINDS = ("full", "diag")


@dataclass(frozen=True)
class Count:
    """What the criteria say.

    Attributes:
        votes: for each criterion the K that it chose on each subsample.
        curves: for each criterion its value at K = 1, 2, ..., mean over the subsamples; NaN where it has none. Best is
            the highest value, of "Davies-Bouldin" and "BIC" the lowest.
    """

    votes: dict[str, list[int]]
    curves: dict[str, list[float]]

    @property
    def by_criterion(self) -> dict[str, int]:
        """The K that each criterion chose: the median over its subsamples."""
        return {criterion: median_low(votes) for criterion, votes in self.votes.items()}

    @property
    def best(self) -> int:
        """The K with the most votes, where votes for its neighbours count half; the smallest one of equals."""
        return max(sorted(self._ballot), key=lambda clusters: self._ballot.count(clusters) + self._close(clusters))

    @property
    def share(self) -> float:
        """Share of the votes (criteria times subsamples) for the best K, in (0, 1]."""
        return self._ballot.count(self.best) / len(self._ballot)

    @property
    def near(self) -> float:
        """Share of the votes for the best K or one more or less, in (0, 1]; one cluster, none at all, has no
        neighbour."""
        return self._close(self.best) / len(self._ballot)

    @property
    def sureness(self) -> str:
        """In words: "sure" from 5/6 of the votes on, "fairly sure" from 2/3 on (or 5/6 with the neighbours)."""
        if self.share >= 5 / 6:
            return "sure"
        if self.share >= 2 / 3 or self.near >= 5 / 6:
            return "fairly sure"
        chosen = set(self.by_criterion.values())
        who, chosen = ("criteria", chosen) if len(chosen) > 1 else ("subsamples", set(self._ballot))
        return f"unsure: the {who} disagree ({min(chosen)} to {max(chosen)})"

    def lines(self) -> list[str]:
        """One line for each criterion, then the verdict."""
        told = [
            f"{criterion:<18} {self.by_criterion[criterion]:>3}   on subsamples: {' '.join(map(str, votes))}"
            for criterion, votes in self.votes.items()
        ]
        clusters = "1 cluster" if self.best == 1 else f"{self.best} clusters"
        votes = f"{self.share:.0%} of the votes, {self.near:.0%} with its neighbours"
        return [*told, f"{clusters}: {votes}; {self.sureness}"]

    @property
    def _ballot(self) -> list[int]:
        return [vote for votes in self.votes.values() for vote in votes]

    def _close(self, clusters: int) -> int:
        """Votes for this K, one more or one less."""
        return sum(abs(vote - clusters) <= 1 and (vote == 1) == (clusters == 1) for vote in self._ballot)


def estimate(x: Tensor, most: int = 20, seed: int = 0) -> Count:
    """The number of clusters among the rows of x (n, d), from 1 to `most`; half a minute or so on one core.

    Each of the `DRAWS` subsamples holds at most `ROWS` examples, in at most `DIMENSIONS` principal components. Features
    count in their own units: standardise those that are not comparable.

    Args:
        most: the largest K to try, in [2, inf).

    Raises:
        InputError: there are too few different examples.
    """
    generator = np.random.default_rng(seed)
    seen = x.detach().double().cpu().numpy()[generator.permutation(len(x))[: 10 * ROWS]]
    different = len(np.unique(seen, axis=0))
    if different < 5 * most:
        raise InputError(
            f"{different} different examples cannot tell up to {most} clusters apart: "
            f"give at least {5 * most}, or try fewer clusters"
        )
    z, rows = _principal(seen), min(ROWS, len(seen) * 4 // 5)
    low, high = z.min(0), z.max(0)
    uniform = [_partitions(generator.uniform(low, high, (rows, len(low))), most, seed) for _ in range(REFERENCES)]
    reference = {criterion: np.stack([values[criterion] for values in uniform]) for criterion in uniform[0]}
    votes: dict[str, list[int]] = {}
    curves: dict[str, list[Array]] = {}
    for _ in range(DRAWS):
        draw = z[generator.permutation(len(z))[:rows]]
        for criterion, values in _partitions(draw, most, seed).items():
            curve = values - reference["gap"].mean(0) if criterion == "gap" else values
            curves.setdefault(criterion, []).append(curve)
            votes.setdefault(criterion, []).append(_vote(criterion, curve, reference[criterion]))
        bic = _mixtures(draw, most, seed)
        curves.setdefault("BIC", []).append(bic)
        votes.setdefault("BIC", []).append(int(bic.argmin()) + 1)
    return Count(votes, {criterion: np.mean(drawn, 0).tolist() for criterion, drawn in curves.items()})


def _principal(x: Array) -> Array:
    """Principal components (n, at most `DIMENSIONS`), in units of the standard deviation of the first."""
    from sklearn.decomposition import PCA

    z: Array = PCA(min(DIMENSIONS, *x.shape), random_state=0).fit_transform(x)
    z /= z[:, 0].std()
    return z


def _partitions(x: Array, most: int, seed: int) -> dict[str, Array]:
    """What k-means partitions of x are worth at K = 1 to `most`: (most,) for each criterion; "gap" is -log W_K yet."""
    from sklearn.metrics import (
        calinski_harabasz_score,
        davies_bouldin_score,
        pairwise_distances,
        silhouette_score,
    )

    distances = pairwise_distances(x)
    values = {name: np.full(most, np.nan) for name in (*BY_PARTITION, "gap")}
    for place in range(most):
        fit = _means(x, place + 1, seed)
        values["gap"][place] = -math.log(max(fit.inertia_, np.finfo(float).tiny))
        if place > 0:
            values["silhouette"][place] = silhouette_score(distances, fit.labels_, metric="precomputed")
            values["Calinski-Harabasz"][place] = calinski_harabasz_score(x, fit.labels_)
            values["Davies-Bouldin"][place] = davies_bouldin_score(x, fit.labels_)
            values["stability"][place] = _stability(x, place + 1, seed)
    return values


def _means(x: Array, clusters: int, seed: int) -> Any:
    from sklearn.cluster import KMeans

    return KMeans(clusters, n_init=3, random_state=seed).fit(x)


def _stability(x: Array, clusters: int, seed: int) -> float:
    """Adjusted Rand index of what k-means on either half of x makes of all of x, mean over `HALVINGS`."""
    from sklearn.metrics import adjusted_rand_score

    generator = np.random.default_rng(seed)
    orders = [generator.permutation(len(x)) for _ in range(HALVINGS)]
    pairs = [[_means(x[half], clusters, seed).predict(x) for half in np.array_split(order, 2)] for order in orders]
    return float(np.mean([adjusted_rand_score(*pair) for pair in pairs]))


def _vote(criterion: str, curve: Array, reference: Array) -> int:
    """The K that a criterion chooses from its curve (most,), given those of uniform samples (references, most)."""
    if criterion == "gap":
        error = reference.std(0) * math.sqrt(1 + 1 / len(reference))
        enough = np.flatnonzero(curve[:-1] >= curve[1:] - error[1:])
        return int(enough[0]) + 1 if len(enough) else len(curve)
    sign = -1 if criterion in LOWER_IS_BETTER else 1
    slack = SLACK if criterion == "stability" else 0
    place = int(np.flatnonzero(sign * curve >= np.nanmax(sign * curve) - slack)[-1])
    return place + 1 if sign * curve[place] > (sign * reference[:, place]).max() else 1


def _mixtures(x: Array, most: int, seed: int) -> Array:
    """BIC (most,) of the better of two Gaussian mixtures of K = 1 to `most` components."""
    from sklearn.mixture import GaussianMixture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that stops at its 100th iteration is good enough to compare
        found = [
            min(
                GaussianMixture(k, covariance_type=kind, reg_covar=1e-3, random_state=seed).fit(x).bic(x)
                for kind in KINDS
            )
            for k in range(1, most + 1)
        ]
    return np.array(found)
