"""Systems that turn examples into codes, and systems that cluster the codes of another."""

from abc import abstractmethod
from dataclasses import replace

import torch
from torch import Tensor

from etude.data.kinds import Batch, Splits, walk
from etude.errors import InputError
from etude.metrics.clustering import SUPERVISED, UNSUPERVISED
from etude.nn.clusters import Clusters
from etude.systems.system import Phase, System

LEAST_SPREAD = 1e-3  # of codes; soft assignments of closer ones are all the same in float32


class Coder(System):
    """A system that turns examples into codes and back: what a clustering acts on.

    Attributes:
        latent: numbers in a code.
    """

    latent: int

    @abstractmethod
    def code(self, x: Tensor) -> Tensor:
        """Codes z (n, latent) of examples, with gradients; `encode` is the same without."""

    @abstractmethod
    def misfit(self, x: Tensor, z: Tensor) -> Tensor:
        """How far the examples that codes z (n, latent) decode to lie from x: (n,), with gradients."""

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Codes: x (n, ...) to (n, latent)."""
        return self.code(x)


class Clusterer(System):
    """A system that sorts examples into clusters, around centroids among the codes of another: what clustering
    metrics, reports and `etude cluster` rely on.

    Attributes:
        on: the system that makes the codes.
        clusters: K, their number.
        among: the centroids, and what is known of each training example.
        restarts: runs of k-means, of which the best places the centroids.
        tolerance: settled when less than this share of the examples changes cluster in a pass.
    """

    acts_on = "stacked-autoencoder"
    tolerance: float = 0.0

    def __init__(self, on: System, classes: int | None, clusters: int | None, nu: float, restarts: int) -> None:
        """Raises InputError where nothing says how many clusters, or `on` makes no codes."""
        super().__init__()
        if not isinstance(on, Coder):
            raise InputError(
                f"a clustering acts on an autoencoder and {type(on).__name__} is none: give --on stacked-autoencoder, "
                "--on autoencoder or a run of either"
            )
        number = clusters or classes
        if number is None:
            raise InputError("the data have no classes: say how many --clusters (`etude data clusters` estimates it)")
        self.on, self.kind = on, on.kind
        self.metrics = (*SUPERVISED, *UNSUPERVISED) if classes else UNSUPERVISED
        self.clusters, self.restarts = number, restarts
        self.among = Clusters(number, on.latent, nu)

    def pretraining(self) -> list[Phase]:
        """The phases of the system that makes the codes, unless a run has trained it."""
        return [] if self.on.trained else [replace(phase, measured=False) for phase in self.on.phases()]

    def codes(self, split: Batch) -> Tensor:
        """z (n, latent) of a whole split, in evaluation mode."""
        training = self.training
        self.eval()
        z = torch.cat([self.encode(batch.tensors()["x"]) for batch in walk(split, self.device)])
        self.train(training)
        return z

    def place(self, splits: Splits) -> None:
        """Centroids by k-means on the codes of all training examples, and the first targets.

        Raises:
            InputError: there are more clusters than examples, or all codes are about the same.
        """
        if self.clusters > len(splits.train):
            raise InputError(f"{self.clusters} clusters among {len(splits.train)} examples: give fewer --clusters")
        codes = self.codes(splits.train)
        spread = float(codes.var(0, correction=0).sum().sqrt())
        if self.clusters > 1 and spread < LEAST_SPREAD and not self.among.placed:
            raise InputError(
                f"the codes hardly differ (standard deviation {spread:.1g}), so there is nothing to cluster: train the "
                "autoencoder longer or faster (--on.epochs, a smaller --on.batch, a larger --on.rate)"
            )
        self.among.place(codes, self.restarts)
        self.refresh(splits)

    def refresh(self, splits: Splits) -> float:
        """Targets P from the soft assignments Q of all training examples; the share of them that changed cluster."""
        return self.among.refresh(self.codes(splits.train), splits.train.index)

    def settled(self, splits: Splits) -> bool:
        """Refresh the targets; do almost no examples change cluster any more?"""
        return self.refresh(splits) < self.tolerance

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Codes: x (n, ...) to (n, latent)."""
        return self.on.code(x)

    @torch.no_grad()
    def cluster(self, x: Tensor) -> Tensor:
        """Soft assignments Q (n, K); each row sums to 1, and its largest entry names the cluster."""
        q: Tensor = self.among(self.on.code(x))
        return q

    @property
    def centroids(self) -> Tensor:
        """Where the clusters lie among the codes: (K, latent)."""
        return self.among.centroids
