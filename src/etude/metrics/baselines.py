"""Clusterings that train no network, from scikit-learn: what a deep clustering has to beat on the same examples."""

import warnings

import torch
from torch import Tensor

from etude.errors import InputError

SPECTRAL_EXAMPLES = 10_000
NEIGHBOURS = 10


def kmeans(x: Tensor, clusters: int, seed: int = 0, restarts: int = 20) -> Tensor:
    """The cluster of each row by k-means, the best of several starts: x (n, d) to (n,) int64.

    Lloyd's iterations from k-means++ (Arthur and Vassilvitskii 2007); 20 restarts are those of Xie et al. 2016, section
    4.3. Features count in their own units.

    Args:
        clusters: K, in [1, n].
        restarts: in [1, inf); the run of least squared distance is kept.

    Raises:
        InputError: fewer rows than clusters.
    """
    from sklearn.cluster import KMeans

    _enough(x, clusters)
    found = KMeans(clusters, n_init=restarts, random_state=seed).fit(x.detach().cpu().numpy())
    return torch.from_numpy(found.labels_).long()


def spectral(x: Tensor, clusters: int, seed: int = 0) -> Tensor:
    """The cluster of each row by normalised cuts of the graph of its 10 nearest neighbours: x (n, d) to (n,) int64.

    Shi and Malik 2000; k-means in the leading eigenvectors of the normalised Laplacian (von Luxburg 2007), with 10
    restarts. Finds clusters of any shape that lie apart. It clusters the given rows only: there is no cluster for a new
    one. Time grows as n^2 and faster: 12 s on one core for 10,000 images of MNIST, hence the limit.

    Args:
        clusters: K, in [1, n].

    Raises:
        InputError: more than 10,000 rows, or fewer than clusters.
    """
    from sklearn.cluster import SpectralClustering

    if len(x) > SPECTRAL_EXAMPLES:
        raise InputError(
            f"spectral clustering of {len(x)} examples takes too long: "
            f"give at most {SPECTRAL_EXAMPLES}, such as the first ones of a shuffled split"
        )
    _enough(x, clusters)
    neighbours = min(NEIGHBOURS, len(x))
    method = SpectralClustering(clusters, affinity="nearest_neighbors", n_neighbors=neighbours, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Graph is not fully connected")  # clusters that lie apart are no fault
        found = method.fit_predict(x.detach().cpu().numpy())
    return torch.from_numpy(found).long()


def _enough(x: Tensor, clusters: int) -> None:
    if len(x) < clusters:
        raise InputError(f"{len(x)} examples cannot fill {clusters} clusters: ask for at most {len(x)}")
