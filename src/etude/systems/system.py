"""The one abstraction: a system is what a paper proposes, networks and the rule that trains them."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from etude.data.kinds import Batch, Splits, walk
from etude.errors import InputError
from etude.metrics.clustering import SUPERVISED, UNSUPERVISED
from etude.nn.clusters import Clusters

Losses = dict[str, Tensor]

LEAST_SPREAD = 1e-3  # of codes; soft assignments of closer ones are all the same in float32


class Metric(Protocol):
    """A plain function of a system and a split; its name is the name of the score."""

    __name__: str

    def __call__(self, system: Any, split: Any, /) -> float: ...


@dataclass(frozen=True)
class Paper:
    """Where a system comes from."""

    authors: str
    year: int
    title: str
    link: str


@dataclass(frozen=True)
class Clock:
    """Where a phase is. Whatever changes over training is a function of this, never hidden state.

    Attributes:
        step: updates since the phase began.
        epoch: passes over the training data since the phase began.
        progress: 0 at the phase's start, 1 at its end.
    """

    step: int = 0
    epoch: int = 0
    progress: float = 0.0


@dataclass(frozen=True)
class Phase:
    """A stretch of training under one rule. Most systems have one.

    Attributes:
        name: a word for the log.
        step: performs its own update(s) on a batch and returns what to log.
        epochs: passes over the training data.
        batch: examples a step.
        start: called once, before step 0, with the whole splits.
        done: asked after every epoch: has it settled?
        measured: whether the metrics mean something yet, so that they are worth taking after every epoch.
    """

    name: str
    step: Callable[[Any, Clock], Losses]
    epochs: int
    batch: int
    start: Callable[[Splits], None] | None = None
    done: Callable[[Splits], bool] | None = None
    measured: bool = True


class System(nn.Module):
    """What a paper proposes. A subclass is final: nobody subclasses it.

    An `__init__` argument without a default is a dimension of the data (or `on`, the system that this one acts on); a
    keyword argument with one is a hyperparameter, and the default is the paper's. Each has a line under `Args:` that
    gives its meaning, its range (`in [0, 1)`) and, in brackets at the end, the source of the default.

    Attributes:
        paper: where it comes from.
        kind: the data it learns from.
        metrics: measured on the validation split after every pass, and on the test split at the end.
        final_metrics: too dear for every pass, measured on the test split alone.
        tiny: arguments small enough for a unit test.
        quick: arguments that learn something worth seeing in minutes on two cores.
        acts_on: for a system that acts `on` another, the name of the one to take where none is asked for.
        trained: by an earlier run, from which it starts; what acts on it need not train it first.
    """

    paper: ClassVar[Paper]
    kind: type[Batch] = Batch
    metrics: tuple[Metric, ...] = ()
    final_metrics: tuple[Metric, ...] = ()
    tiny: ClassVar[dict[str, Any]] = {}
    quick: ClassVar[dict[str, Any]] = {}
    acts_on: ClassVar[str | None] = None
    trained: bool = False

    @abstractmethod
    def phases(self) -> list[Phase]:
        """The rule: stretches of training, in order."""

    @property
    def served(self) -> "System":
        """The system to use once trained; one that acts `on` another serves that one."""
        return self

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device


class Classifier(System):
    """A system that tells classes apart: what distillation, calibration and label-based metrics can rely on."""

    @abstractmethod
    def classify(self, x: Tensor) -> Tensor:
        """Class probabilities (n, classes); each row sums to 1."""


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
    """

    acts_on = "stacked-autoencoder"

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


class NonFiniteError(ArithmeticError):
    """A loss or a gradient stopped being a finite number; raised before the update that it would have spoiled."""


def descend(optimizer: Optimizer, loss: Tensor, *, rate: float | None = None, clip: float | None = None) -> Tensor:
    """One gradient step: the one door that every update passes.

    Gradients reach the optimizer's own parameters and nothing else, are averaged over processes, checked, clipped,
    applied.

    Args:
        optimizer: holds the parameters to change.
        loss: () scalar to lower.
        rate: the learning rate of this step, where it changes over training.
        clip: the largest Euclidean norm that the gradient of all parameters together may have.

    Returns:
        The loss, () and detached, ready to be logged.

    Raises:
        NonFiniteError: the loss or the gradient is not finite; no parameter has changed.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=parameters)
    gradients = [p.grad for p in parameters if p.grad is not None]
    if distributed.is_initialized():
        _average(gradients)
    norm = nn.utils.get_total_norm(gradients)
    if not torch.isfinite(norm + loss.detach()):
        raise NonFiniteError("the loss" if not torch.isfinite(loss) else "the gradient")
    if clip is not None:
        nn.utils.clip_grads_with_norm_(parameters, clip, norm)
    if rate is not None:
        for group in optimizer.param_groups:
            group["lr"] = rate
    optimizer.step()
    return loss.detach()


def _average(gradients: Sequence[Tensor]) -> None:
    """Replace each gradient by its mean over the processes, in one message."""
    flat = torch.cat([g.flatten() for g in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def optimizers(system: nn.Module) -> dict[str, Optimizer]:
    """Every optimizer held by the system or a module in it, as an attribute or in lists, tuples and dictionaries."""
    found: dict[str, Optimizer] = {}
    for path, module in system.named_modules():
        found |= {f"{path}.{name}".lstrip("."): optimizer for name, optimizer in _held(vars(module))}
    return found


def _held(value: Any) -> Iterator[tuple[str, Optimizer]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        if isinstance(item, Optimizer):
            yield str(key), item
        yield from ((f"{key}.{name}", optimizer) for name, optimizer in _held(item))
