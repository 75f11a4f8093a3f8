"""How well a system reads sequences: every metric walks the split in batches and counts true steps alone."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from etude.data.kinds import Sequences, walk
from etude.errors import InputError
from etude.functional.padding import within

SIZE = 100  # sequences at a time


def through(verb: Callable[..., Tensor], batch: Sequences) -> Tensor:
    """A verb on a batch, with what tells its steps apart from padding and how far apart they are."""
    return verb(batch.x, batch.lengths, batch.elapsed)


def tagged(system: Any, split: Sequences) -> tuple[Tensor, Tensor]:
    """Class probabilities (m, classes) and true classes (m,): of sequences, or of all their steps that have a class.

    Raises:
        InputError: the split has no classes.
    """
    if split.y is None or split.y.is_floating_point():
        raise InputError("the split has no classes to compare with: give data with a class for each sequence or step")
    said, true = [], []
    for batch in walk(split, system.device, SIZE):
        assert batch.y is not None
        probabilities = through(system.classify, batch).flatten(0, -2).float()
        y = batch.y.flatten()
        places = (y >= 0).nonzero().flatten()
        said.append(probabilities.index_select(0, places).cpu())
        true.append(y.index_select(0, places).cpu())
    return torch.cat(said), torch.cat(true)


def accuracy(system: Any, split: Sequences) -> float:
    """Share of sequences, or of labelled steps, whose most probable class is the true one, in [0, 1]."""
    probabilities, y = tagged(system, split)
    return float((probabilities.argmax(1) == y).double().mean())


def cross_entropy(system: Any, split: Sequences) -> float:
    """Mean of -log p(true class) in nats over sequences, or over labelled steps, in [0, 87.4]."""
    probabilities, y = tagged(system, split)
    chosen = probabilities.gather(1, y[:, None]).clamp_min(torch.finfo(torch.float32).tiny)
    return float(-chosen.double().log().mean())


def f1(system: Any, split: Sequences) -> float:
    """Harmonic mean of precision and recall of the second of two classes, in [0, 1]; 0 where it is never found."""
    probabilities, y = tagged(system, split)
    said = probabilities.argmax(1) == 1
    hit = (said & (y == 1)).sum().double()
    return float(2 * hit / (said.sum() + (y == 1).sum()).clamp_min(1))


def mean_squared_error(system: Any, split: Sequences) -> float:
    """Mean of (prediction - target)^2 over targets and sequences, or over targets and true steps.

    Raises:
        InputError: the split has no numbers to predict.
    """
    if split.y is None or not split.y.is_floating_point():
        raise InputError("the split has no numbers to compare with: give data with targets for each sequence or step")
    total, count = 0.0, 0
    for batch in walk(split, system.device, SIZE):
        assert batch.y is not None
        errors = (through(system.predict, batch).double() - batch.y.double()).square()
        if errors.ndim == 3:
            errors = errors * within(batch.lengths, errors.shape[1])[:, :, None]
            count += int(batch.lengths.sum()) * errors.shape[2]
        else:
            count += errors.numel()
        total += float(errors.sum())
    return total / count


def negative_log_likelihood(system: Any, split: Sequences) -> float:
    """Nats a step: the mean of -log p(step | steps before it) over all steps of all sequences.

    A step's log p is summed over what it holds, such as 88 keys, as Boulanger-Lewandowski et al. 2012 have it.
    """
    scores = [through(system.score, batch).double().sum() for batch in walk(split, system.device, SIZE)]
    return float(-torch.stack(scores).sum() / split.lengths.sum())


def next_step_error(system: Any, split: Sequences) -> float:
    """Mean of (prediction - step)^2 over features and all steps that have one before them."""
    total, count = 0.0, 0
    for batch in walk(split, system.device, SIZE):
        errors = (through(system.predict, batch).double() - batch.x.double()).square()[:, 1:]
        total += float((errors * within(batch.lengths - 1, errors.shape[1])[:, :, None]).sum())
        count += int((batch.lengths - 1).sum()) * errors.shape[2]
    return total / max(count, 1)
