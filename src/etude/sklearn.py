"""Deep clustering as scikit-learn estimators: the systems of `etude.systems.clustering` on a stacked autoencoder.

>>> from sklearn.datasets import load_iris
>>> from etude.sklearn import DEC
>>> DEC(n_clusters=3, hidden=(32,), latent=2, pretrain_rate=0.5, random_state=0).fit_predict(load_iris().data).shape
(150,)

They keep scikit-learn's conventions (pipelines, `clone`, searches over parameters, `set_output`) and train through the
same door as `etude train`, in a folder that is gone when `fit` returns. Every example is trained on. As for k-means,
features should have comparable scales. Defaults are those of the systems, but for the sizes of layers and steps and the
numbers of passes: these suit thousands of examples and take a minute, where the papers' take hours. Few examples make
few steps: raise the rate of the pretraining or its passes, as above.

A fitted estimator works on the CPU, wherever it was trained, so that its pickle opens anywhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from etude.catalogue import find
from etude.data.kinds import Splits, Vectors
from etude.engine.run import Run
from etude.engine.stopping import Stopped
from etude.engine.train import train
from etude.errors import InputError
from etude.functional.clustering import Schedule
from etude.metrics.clustering import clustered
from etude.signature import arguments
from etude.systems.clusterer import Clusterer

__all__ = ["DCN", "DEC", "IDEC", "DeepClustering"]

# what the estimators call otherwise than the systems do
NAMES = {
    "clusters": "n_clusters",
    "on.hidden": "hidden",
    "on.latent": "latent",
    "on.layer_epochs": "layer_epochs",
    "on.epochs": "pretrain_epochs",
    "on.rate": "pretrain_rate",
    "on.batch": "batch",
}


@dataclass(eq=False, repr=False)
class DeepClusterer(ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin, BaseEstimator):
    """What the estimators share: an autoencoder, pretrained layer by layer, and clusters among its codes.

    Args:
        n_clusters: K.
        hidden: units of the encoder's layers; the decoder has them in reverse. Xie et al. have (500, 500, 2000).
        latent: numbers in a code.
        layer_epochs: passes over the data for each layer of the autoencoder.
        pretrain_epochs: passes for all its layers together.
        pretrain_rate: learning rate of the autoencoder.
        epochs: the most passes of clustering.
        batch: examples a step.
        rate: learning rate of the clustering.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, ...; where to train.
        precision: `bf16` trains under autocast.
        random_state: of weights, noise, order and k-means; a whole number makes `fit` reproducible. Torch's own random
            state stays as it is.

    Attributes:
        labels_: the cluster of each example given to `fit`, (n,) int64.
        cluster_centers_: the centroids among the codes, (K, latent) float32.
        n_iter_: passes of clustering.
        n_features_in_: numbers in an example.
        system_: the trained system, in evaluation mode.
    """

    system: ClassVar[str]

    n_clusters: int = 8
    _: KW_ONLY
    hidden: tuple[int, ...] = (200, 200, 500)
    latent: int = 10
    layer_epochs: int = 20
    pretrain_epochs: int = 50
    pretrain_rate: float = 0.1
    epochs: int = 50
    batch: int = 32
    rate: float = 1e-3
    device: str = "auto"
    precision: Literal["float32", "bf16"] = "float32"
    random_state: int | np.random.RandomState | None = None

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Train the autoencoder, put centroids among its codes and train both.

        Args:
            X: examples, (n, features); trained on in float32.
            y: not used.

        Raises:
            InputError: a parameter out of its range, fewer examples than clusters, or numbers that training makes
                infinite; it is a ValueError.
        """
        examples = Vectors(torch.tensor(validate_data(self, X, dtype=np.float32)))
        options = self._options()
        if len(examples) < self.n_clusters:
            raise InputError(
                f"n_samples={len(examples)} is fewer than n_clusters={self.n_clusters}: give as many examples at least"
            )
        with TemporaryDirectory() as runs, _random_state_kept():
            run = self._run(examples, options, runs)
            assert isinstance(run.system, Clusterer)
            self.system_ = run.system
            self.n_iter_ = len(run.log) - sum(phase.epochs for phase in self.system_.on.phases())
        self.cluster_centers_ = self.system_.centroids.detach().numpy()
        self.labels_ = self._assigned(examples).argmax(1)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """The cluster of each example, that of the closest centroid: (n, features) to (n,)."""
        nearest: NDArray[np.int64] = self.soft_assignments(X).argmax(1)
        return nearest

    def soft_assignments(self, X: ArrayLike) -> NDArray[np.float32]:
        """Q, how much each example belongs to each cluster: (n, features) to (n, K); each row sums to 1."""
        return self._assigned(self._examples(X))

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Codes: (n, features) to (n, latent). They are what was learned; scikit-learn's KMeans, which learns none,
        gives distances to its centroids instead."""
        examples = self._examples(X)
        codes: NDArray[np.float32] = self.system_.codes(examples).numpy()
        return codes

    def _examples(self, X: ArrayLike) -> Vectors:
        check_is_fitted(self)
        return Vectors(torch.tensor(validate_data(self, X, dtype=np.float32, reset=False)))

    def _assigned(self, examples: Vectors) -> NDArray[np.float32]:
        soft: NDArray[np.float32] = clustered(self.system_, examples)[0].numpy()
        return soft

    def _options(self) -> dict[str, Any]:
        """The system's arguments, checked; a mistake is told in the estimator's names."""
        given = self.get_params(deep=False)
        own, on = arguments(find(self.system)), arguments(find("stacked-autoencoder"))
        names = {name: name for name in own if name in given} | NAMES
        options = {}
        for option, name in names.items():
            argument = on[option.removeprefix("on.")] if option.startswith("on.") else own[option]
            try:
                options[option] = argument.check(given[name])
            except InputError:
                raise InputError(f"{name}={given[name]!r}: expected {argument.expects}") from None
        return options

    def _run(self, examples: Vectors, options: dict[str, Any], runs: str) -> Run:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        one = examples[:1]  # nothing is held out, and nobody sees the scores of a run that is thrown away
        splits = Splits(examples, one, one)
        where: Any = {"device": self.device, "precision": self.precision, "runs": runs, "quiet": True}
        try:
            return train(self.system, splits, seed=seed, **where, **options)
        except Stopped as stopped:
            raise KeyboardInterrupt from stopped

    @property
    def _n_features_out(self) -> int:
        return self.system_.on.latent

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Leave torch's random state as it was, and a GPU that nobody has used yet as if nobody had."""
    unused = not torch.cuda.is_initialized()
    with torch.random.fork_rng([] if unused else range(torch.cuda.device_count())):
        yield
    if unused:
        torch.cuda.manual_seed_all(torch.initial_seed())


@dataclass(eq=False, repr=False, kw_only=True)
class DEC(DeepClusterer):
    """Deep embedded clustering (Xie et al. 2016): encoder and centroids learn from their own confident assignments.

    Args: those of `DeepClusterer`, and
        tolerance: stop when less than this share of the examples changes cluster in a pass.
    """

    system: ClassVar[str] = "dec"

    rate: float = 0.01
    tolerance: float = 0.001


@dataclass(eq=False, repr=False, kw_only=True)
class IDEC(DeepClusterer):
    """Improved deep embedded clustering (Guo et al. 2017): DEC whose codes can still be decoded.

    Args: those of `DeepClusterer`, and
        gamma: weight of the clustering loss.
        tolerance: stop when less than this share of the examples changes cluster in a pass.
    """

    system: ClassVar[str] = "idec"

    gamma: float = 0.1
    tolerance: float = 0.001


@dataclass(eq=False, repr=False, kw_only=True)
class DCN(DeepClusterer):
    """Deep clustering network (Yang et al. 2017): an autoencoder and k-means on its codes learn in turns.

    Args: those of `DeepClusterer`, and
        pull: weight of the distance from the centroids.
    """

    system: ClassVar[str] = "dcn"

    pull: float = 0.05


@dataclass(eq=False, repr=False, kw_only=True)
class DeepClustering(DeepClusterer):
    """Deep clustering by parts (Aljalbout et al. 2018): any sum of losses, mixed by any schedule.

    Args: those of `DeepClusterer`, and
        clustering: the losses that make clusters.
        others: the losses that keep codes honest or the clusters of the wanted sizes.
        weights: of all losses, `clustering` first; the system's own where not given.
        schedule: of the share of `clustering` in the sum.
        alpha: that share, at its end for a ramp.
        sizes: wanted of the clusters, in any unit; equal where not given.
        tolerance: stop when less than this share of the examples changes cluster in a pass.
    """

    system: ClassVar[str] = "deep-clustering"

    clustering: tuple[Literal["hardening", "kmeans"], ...] = ("hardening",)
    others: tuple[Literal["reconstruction", "locality", "augmentation", "balance"], ...] = ("reconstruction",)
    weights: tuple[float, ...] = ()
    schedule: Schedule = "joint"
    alpha: float = 0.5
    sizes: tuple[float, ...] = ()
    tolerance: float = 0.001
