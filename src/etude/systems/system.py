"""The one abstraction: a system is what a paper proposes, networks and the rule that trains them."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from etude.data.kinds import Batch, Splits

Losses = dict[str, Tensor]


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
        source: the data set to take where none is asked for, if it is not the one of its kind.
        metrics: measured on the validation split after every pass, and on the test split at the end.
        final_metrics: too dear for every pass, measured on the test split alone.
        tiny: arguments small enough for a unit test.
        quick: arguments that learn something worth seeing in minutes on two cores.
        acts_on: for a system that acts `on` another, the name of the one to take where none is asked for.
        trained: by an earlier run, from which it starts; what acts on it need not train it first.
    """

    paper: ClassVar[Paper]
    kind: type[Batch] = Batch
    source: ClassVar[str | None] = None
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
