"""How well a system's clusters agree with classes that it never saw, and what can be said without any classes.

Functions of labels come first: y (n,) int64 true classes and c (n,) int64 clusters, both counted from 0; they need not
have the same number of values. The metrics after them walk the split in batches and ask `cluster` for soft assignments.

SciPy and scikit-learn are imported where they are used: it takes 0.8 s.
"""

import math
from typing import Protocol

import torch
from torch import Tensor

from etude.data.kinds import Images, Vectors, walk
from etude.errors import InputError

SILHOUETTE_EXAMPLES = 2000


class Clusters(Protocol):
    @property
    def device(self) -> torch.device: ...

    def cluster(self, x: Tensor, /) -> Tensor: ...


class ClustersCodes(Clusters, Protocol):
    def encode(self, x: Tensor, /) -> Tensor: ...


def contingency(y: Tensor, c: Tensor) -> Tensor:
    """Examples of each class in each cluster: counts (classes, clusters), int64."""
    classes, clusters = int(y.max()) + 1, int(c.max()) + 1
    return torch.bincount(y * clusters + c, minlength=classes * clusters).view(classes, clusters)


def matching(y: Tensor, c: Tensor) -> Tensor:
    """The class of each cluster under the one-to-one matching that puts the most examples right: (clusters,) int64.

    Found by the Hungarian method (Kuhn 1955). A cluster without a class has -1: one too many, or one that shares no
    example with the class left for it.
    """
    from scipy.optimize import linear_sum_assignment

    counts = contingency(y, c).cpu()
    classes, clusters = (torch.from_numpy(place) for place in linear_sum_assignment(counts, maximize=True))
    classes[counts[classes, clusters] == 0] = -1
    return torch.full((counts.shape[1],), -1).index_copy(0, clusters, classes)


def matched_accuracy(y: Tensor, c: Tensor) -> float:
    """Unsupervised clustering accuracy (ACC), in (0, 1]: the share of examples whose cluster is matched to their class.

    The matching is one-to-one (Xie et al. 2016, equation 10), so that every example of an unmatched cluster, or of an
    unmatched class, counts as wrong.
    """
    return float((matching(y, c).index_select(0, c.cpu()) == y.cpu()).double().mean())


def majority_purity(y: Tensor, c: Tensor) -> float:
    """Share of examples that belong to the most frequent class of their cluster, in (0, 1]; never below the ACC.

    Several clusters may have the same class, so that more clusters mean higher purity: 1 where each example has its
    own.
    """
    return int(contingency(y, c).amax(0).sum()) / len(y)


def shared_information(y: Tensor, c: Tensor) -> float:
    """Normalised mutual information (NMI), in [0, 1]: 0 for independent labels, 1 for the same partition.

    Divided by the arithmetic mean of the two entropies. Papers from before 2020 mostly divide by the geometric mean,
    the default of scikit-learn before 0.22, which is never larger: their numbers are then as high or higher.
    """
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(y.cpu().numpy(), c.cpu().numpy(), average_method="arithmetic"))


def paired_agreement(y: Tensor, c: Tensor) -> float:
    """Adjusted Rand index (ARI), in [-0.5, 1]: 0 on average for random labels, 1 for the same partition.

    Hubert and Arabie, "Comparing partitions", 1985, equation 5.
    """
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(y.cpu().numpy(), c.cpu().numpy()))


def agreement(y: Tensor, c: Tensor) -> dict[str, float]:
    """How well clusters agree with classes, named as the metrics of `SUPERVISED` are."""
    return {
        "clustering_accuracy": matched_accuracy(y, c),
        "normalised_mutual_information": shared_information(y, c),
        "adjusted_rand_index": paired_agreement(y, c),
        "purity": majority_purity(y, c),
    }


def evenness(c: Tensor, clusters: int) -> float:
    """Entropy of the cluster sizes over log K, in [0, 1]: 1 for equal sizes, 0 where one cluster holds every example.

    Args:
        clusters: K, in [1, inf), those without examples included; one cluster is even by definition.
    """
    shares = torch.bincount(c, minlength=clusters).double() / len(c)
    return float(torch.special.entr(shares).sum()) / math.log(clusters) if clusters > 1 else 1.0


def clustered(system: Clusters, split: Vectors | Images) -> tuple[Tensor, Tensor | None]:
    """Soft assignments (n, K) and true classes (n,), None where there are none, of the whole split, in the machine's
    own memory."""
    soft = [system.cluster(batch.x).float().cpu() for batch in walk(split, system.device)]
    return torch.cat(soft), None if split.y is None or split.y.is_floating_point() else split.y.cpu()


def labelled(system: Clusters, split: Vectors | Images) -> tuple[Tensor, Tensor]:
    """True classes (n,) and clusters (n,) of the whole split.

    Raises:
        InputError: the split has no classes.
    """
    soft, y = clustered(system, split)
    if y is None:
        raise InputError("the split has no classes to compare the clusters with: give data with a class an example")
    return y, soft.argmax(1)


def clustering_accuracy(system: Clusters, split: Vectors | Images) -> float:
    """ACC: share of examples in the right cluster, each cluster matched to one class at most (Hungarian), in [0, 1]."""
    return matched_accuracy(*labelled(system, split))


def normalised_mutual_information(system: Clusters, split: Vectors | Images) -> float:
    """NMI: information that clusters and classes share over the arithmetic mean of their entropies, in [0, 1]."""
    return shared_information(*labelled(system, split))


def adjusted_rand_index(system: Clusters, split: Vectors | Images) -> float:
    """ARI: pairs of examples on which clusters and classes agree, 0 for chance and 1 for all, in [-0.5, 1]."""
    return paired_agreement(*labelled(system, split))


def purity(system: Clusters, split: Vectors | Images) -> float:
    """Share of examples that belong to the most frequent class of their cluster, in (0, 1]; rises with K."""
    return majority_purity(*labelled(system, split))


def silhouette(system: ClustersCodes, split: Vectors | Images) -> float:
    """Mean silhouette of the codes: how much nearer the own cluster is than the next one, in [-1, 1].

    Rousseeuw 1987: (b - a) / max(a, b), with a the mean Euclidean distance to the other examples of the own cluster
    and b the least mean distance to the examples of another one. On at most 2,000 examples, always the same ones; 0
    where they all lie in one cluster, or each in its own. Distances are those among the system's own codes: comparable
    over K, but not between systems.
    """
    from sklearn.metrics import silhouette_score

    drawn = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:SILHOUETTE_EXAMPLES]
    part = split[drawn.sort().values.to(split.x.device)]
    c = clustered(system, part)[0].argmax(1)
    codes = torch.cat([system.encode(batch.x).double().cpu() for batch in walk(part, system.device)])
    occupied = len(c.unique())
    return float(silhouette_score(codes.numpy(), c.numpy())) if 1 < occupied < len(part) else 0.0


def balance(system: Clusters, split: Vectors | Images) -> float:
    """Entropy of the cluster sizes over log K: 1 for equal sizes, 0 where one cluster holds every example."""
    soft, _ = clustered(system, split)
    return evenness(soft.argmax(1), soft.shape[1])


UNSUPERVISED = (silhouette, balance)
SUPERVISED = (clustering_accuracy, normalised_mutual_information, adjusted_rand_index, purity)
