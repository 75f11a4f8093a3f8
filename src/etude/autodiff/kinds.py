"""What is known of a value before the program runs: a number, an array of so many axes, a tuple of such.

Programs are transformed once for each combination of kinds of their arguments. Kinds decide what has a derivative
(integers, text and truth values are constants) and where a gradient must be summed back over broadcast axes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Kind:
    """Anything: nothing is known. The subclasses know more."""

    @property
    def differentiable(self) -> bool:
        """Whether a value of this kind can carry a derivative."""
        return True


@dataclass(frozen=True)
class Number(Kind):
    """One real number: a Python float, a NumPy float or an array of no axes."""


@dataclass(frozen=True)
class Integer(Kind):
    """One integer or truth value: a constant to differentiation."""

    @property
    def differentiable(self) -> bool:
        return False


@dataclass(frozen=True)
class Array(Kind):
    """A NumPy array of `rank` axes (None: unknown), of floating point if `real`."""

    rank: int | None = None
    real: bool = True

    @property
    def differentiable(self) -> bool:
        return self.real


@dataclass(frozen=True)
class Tuple(Kind):
    """A tuple, item by item."""

    items: tuple[Kind, ...]

    @property
    def differentiable(self) -> bool:
        return any(item.differentiable for item in self.items)


@dataclass(frozen=True)
class List(Kind):
    """A list of any length whose items are all of one kind (None: no item has been seen)."""

    item: Kind | None = None

    @property
    def differentiable(self) -> bool:
        return self.item is None or self.item.differentiable


@dataclass(frozen=True)
class Dict(Kind):
    """A dictionary with constant keys."""

    items: tuple[tuple[Any, Kind], ...]

    @property
    def differentiable(self) -> bool:
        return any(kind.differentiable for _, kind in self.items)


@dataclass(frozen=True)
class Closure(Kind):
    """A function: its `code` (compared by identity or value) and the kinds of the variables that it captures.

    At run time its value is the tuple of what it captures.
    """

    code: Any
    captured: tuple[Kind, ...] = ()

    @property
    def differentiable(self) -> bool:
        return any(kind.differentiable for kind in self.captured)


@dataclass(frozen=True)
class Other(Kind):
    """Text, None, a slice, a type, a random generator: a constant to differentiation."""

    @property
    def differentiable(self) -> bool:
        return False


@dataclass(frozen=True)
class Slice(Other):
    """A slice: as an index, it keeps an axis."""


UNKNOWN = Kind()


def kind_of(value: Any) -> Kind:
    """The kind of a value at hand. Functions are `Other` here: the preparation knows them by their code."""
    match value:
        case bool() | int() | np.integer() | np.bool_():
            return Integer()
        case float() | np.floating():
            return Number()
        case np.ndarray():
            real = np.issubdtype(value.dtype, np.floating)
            return Array(value.ndim, real) if value.ndim else Number() if real else Integer()
        case tuple():
            return Tuple(tuple(kind_of(item) for item in value))
        case list():
            return List(reduce(join, map(kind_of, value)) if value else None)
        case dict():
            return Dict(tuple((key, kind_of(item)) for key, item in value.items()))
        case slice():
            return Slice()
        case _:
            return Other()


def join(a: Kind, b: Kind) -> Kind:
    """The narrowest kind that holds the values of both."""
    match a, b:
        case _ if a == b:
            return a
        case (Number() | Integer(), Number() | Integer()):
            return Number()
        case Array(), Array():
            return Array(a.rank if a.rank == b.rank else None, a.real or b.real)
        case Tuple(), Tuple() if len(a.items) == len(b.items):
            return Tuple(tuple(map(join, a.items, b.items)))
        case List(), List():
            return List(b.item if a.item is None else a.item if b.item is None else join(a.item, b.item))
        case Dict(), Dict() if [key for key, _ in a.items] == [key for key, _ in b.items]:
            return Dict(
                tuple((key, join(kind, other)) for (key, kind), (_, other) in zip(a.items, b.items, strict=True))
            )
        case Closure(), Closure() if a.code == b.code:
            return Closure(a.code, tuple(map(join, a.captured, b.captured)))
        case _:
            return UNKNOWN


def broadcast(kinds: Iterable[Kind]) -> Kind:
    """The kind of an elementwise function of values of these kinds, with NumPy's broadcasting."""
    kinds = list(kinds)
    if all(isinstance(kind, (Number, Integer)) for kind in kinds):
        return Number()
    if not all(isinstance(kind, (Number, Integer, Array)) for kind in kinds):
        return UNKNOWN
    ranks = [kind.rank for kind in kinds if isinstance(kind, Array)]
    return Array(None if None in ranks else max(rank for rank in ranks if rank is not None))
