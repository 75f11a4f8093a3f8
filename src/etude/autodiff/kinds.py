"""What is known of a value before the program runs: a number, an array of so many axes, a tuple of such.

Programs are transformed once for each combination of kinds of their arguments. Kinds decide what has a derivative
(integers, text and truth values are constants) and where a gradient must be summed back over broadcast axes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from itertools import zip_longest
from typing import Any

import numpy as np

Size = int | str | None
Sizes = tuple[Size, ...]


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
    """A NumPy array of `rank` axes (None: unknown), of floating point if `real`.

    `sizes`, where not empty, says for each axis what is known of its size: 1, a name that axes of one and the same size
    other than 1 share, or None.
    """

    rank: int | None = None
    real: bool = True
    sizes: Sizes = ()

    @property
    def differentiable(self) -> bool:
        return self.real

    @property
    def axes(self) -> Sizes:
        """What is known of the size of each axis, for an array whose rank is known."""
        return self.sizes or (None,) * (self.rank or 0)

    def sized(self, *sizes: Size) -> "Array":
        """The same with other axes."""
        return Array(len(sizes), self.real, sizes if any(sizes) else ())


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
    """A slice: as an index, it keeps an axis, and its size if it is the `whole` one."""

    whole: bool = False


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
            return Slice(value == slice(None))
        case _:
            return Other()


def kinds_of(values: Iterable[Any]) -> tuple[Kind, ...]:
    """The kinds of several values, with names for the sizes of the axes of arrays, equal for equal sizes."""
    names: dict[int, Size] = {1: 1}

    def sized(kind: Kind, value: Any) -> Kind:
        match kind:
            case Array():
                return kind.sized(*(names.setdefault(size, f"n{len(names)}") for size in value.shape))
            case Tuple():
                return Tuple(tuple(map(sized, kind.items, value)))
            case List() if value:
                return List(reduce(join, (sized(kind_of(item), item) for item in value)))
            case Dict():
                return Dict(tuple((key, sized(item, value[key])) for key, item in kind.items))
            case _:
                return kind

    return tuple(sized(kind_of(value), value) for value in values)


def signature(value: Any) -> Any:
    """Equal for values whose kinds are equal among values of equal signatures (`kinds_of`), and quick to find."""
    kind: Any = type(value)
    if kind is np.ndarray:
        return value.dtype, value.shape
    if kind is tuple:
        return tuple([signature(item) for item in value])
    if kind is list:
        return kind, frozenset(map(signature, value))
    if kind is dict:
        return kind, tuple(value), tuple(map(signature, value.values()))
    if isinstance(value, np.ndarray):
        return kind, value.dtype, value.shape
    return kind


def same_shape(a: Kind, b: Kind) -> bool:
    """Whether both are arrays whose axes are known to have the same sizes."""
    return (
        isinstance(a, Array) and isinstance(b, Array) and bool(a.sizes) and a.sizes == b.sizes and None not in a.sizes
    )


def join(a: Kind, b: Kind) -> Kind:
    """The narrowest kind that holds the values of both."""
    match a, b:
        case _ if a == b:
            return a
        case (Number() | Integer(), Number() | Integer()):
            return Number()
        case Array(), Array():
            if a.rank is None or a.rank != b.rank:
                return Array(None, a.real or b.real)
            common = (size if size == other else None for size, other in zip(a.axes, b.axes, strict=True))
            return Array(real=a.real or b.real).sized(*common)
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
    arrays = [kind for kind in kinds if isinstance(kind, Array)]
    if any(kind.rank is None for kind in arrays):
        return Array()
    axes = zip_longest(*(reversed(kind.axes) for kind in arrays), fillvalue=1)
    return Array().sized(*map(_common, list(axes)[::-1]))


def _common(sizes: Sizes) -> Size:
    """The size of an axis that axes of these sizes broadcast to."""
    names = [size for size in sizes if isinstance(size, str)]
    return names[0] if names else None if None in sizes else 1
