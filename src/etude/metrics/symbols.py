"""How well a system foretells the next symbol of a string, and how far it counts."""

from collections.abc import Iterator
from math import log
from typing import Protocol

import torch
from torch import Tensor

from etude.data.counting import strings, vocabulary
from etude.data.kinds import END, Symbols, walk
from etude.errors import InputError
from etude.functional.padding import within

STRINGS = 100  # at a time: the states of a recurrent network at every step of every one are kept in memory
MOST = 1000  # the largest n that is tried


class Scores(Protocol):
    @property
    def device(self) -> torch.device: ...

    def score(self, x: Tensor, lengths: Tensor, /) -> Tensor: ...


class Foretells(Protocol):
    @property
    def device(self) -> torch.device: ...

    def foretell(self, x: Tensor, /) -> Tensor: ...


def bits_per_character(system: Scores, split: Symbols) -> float:
    """Mean of -log2 p(symbol | those before it), over every symbol of every string but its first, in [0, inf)."""
    nats, count = 0.0, 0
    for batch in walk(split, system.device, STRINGS):
        nats -= float(system.score(batch.x, batch.lengths).double().sum())
        count += int((batch.lengths - 1).sum())
    return nats / count / log(2)


def solved(system: Foretells, batch: Symbols) -> Tensor:
    """Which of the strings a^n b^n (c^n) a system foretells, (n,) bool: Gers and Schmidhuber 2001, section III.

    After an a it must expect one of the symbols that may follow, a or b; everything else is determined, the end
    included, and it must expect just that. Only the likeliest symbol counts, so that no threshold depends on the
    precision.

    Args:
        batch: ready, on the system's device.
    """
    a, b = END + 1, END + 2
    expected, now, following = system.foretell(batch.x)[:, :-1], batch.x[:, :-1], batch.x[:, 1:]
    allowed = (expected == following) | ((now == a) & ((expected == a) | (expected == b)))
    return (allowed | ~within(batch.lengths - 1, following.shape[1])).all(1).cpu()


def letters(split: Symbols) -> str:
    """The letters that strings such as a^n b^n are made of.

    Raises:
        InputError: the strings are others.
    """
    found = "".join(split.vocabulary[END + 1 :])
    if len(found) < 2 or split.vocabulary != vocabulary(found):
        raise InputError("how far a system counts is measured on a^n b^n: give the data `counting` or `counting-abc`")
    return found


def share_solved(system: Foretells, split: Symbols) -> float:
    """Share of the strings in which every symbol is foretold that can be, the end included, in [0, 1]."""
    letters(split)
    each = [solved(system, batch) for batch in walk(split, system.device, STRINGS)]
    return float(torch.cat(each).double().mean())


def generalises_to(system: Foretells, split: Symbols) -> float:
    """The largest n, of 1,000 at most, such that the strings of every n up to it are solved."""
    reached = 0
    for right in _solved_in_turn(system, split, MOST):
        if not right.all():
            return reached + int(right.long().argmin())
        reached += len(right)
    return reached


def solved_lengths(system: Foretells, split: Symbols, most: int = MOST) -> Tensor:
    """For which n from 1 to `most` the string is solved, (most,) bool.

    Args:
        split: made of the same letters.
        most: the largest n that is tried, in [1, inf).
    """
    return torch.cat(list(_solved_in_turn(system, split, most)))


def _solved_in_turn(system: Foretells, split: Symbols, most: int) -> Iterator[Tensor]:
    for first in range(1, most + 1, STRINGS):
        these = strings(range(first, min(first + STRINGS, most + 1)), letters(split))
        yield solved(system, these.to(system.device))
