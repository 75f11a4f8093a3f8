"""Functions that are linear in an array: each is its own forward rule, and its reverse rule is its adjoint."""

from collections.abc import Callable
from functools import reduce
from typing import Any

from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, List, Number, Tuple, join, kind_of
from etude.autodiff.primitives import Primitive, Rule, Symbol
from etude.autodiff.rules.registry import KindRule, define

MOST_AXES = 64
"""The most axes that a NumPy array may have, and so the most arguments of a method that takes one for each axis."""


def kind_at(value: Any) -> Kind:
    """The kind of a rule's input, whether it is a symbol or a value."""
    return value.kind if isinstance(value, Symbol) else kind_of(value)


def rank_at(value: Any) -> int | None:
    """How many axes a rule's input has: 0 for numbers, None if that is not known."""
    kind = kind_at(value)
    return 0 if isinstance(kind, Number | Integer) else kind.rank if isinstance(kind, Array) else None


def known_ranks(name: str, x: Any, y: Any) -> tuple[int, int]:
    """The numbers of axes of two inputs.

    Raises:
        TypeError: if they are not known.
    """
    left, right = rank_at(x), rank_at(y)
    if left is None or right is None:
        raise TypeError(f"{name} needs arrays whose number of axes is known")
    return left, right


def array_kind(kind: Kind) -> Kind:
    """The kind of `np.array(x)`: nested lists and tuples become axes."""
    if isinstance(kind, List):
        return stacked_kind(Number() if kind.item is None else array_kind(kind.item))
    if isinstance(kind, Tuple):
        return stacked_kind(reduce(join, map(array_kind, kind.items)) if kind.items else Number())
    return kind if isinstance(kind, Number | Integer | Array) else UNKNOWN


def stacked_kind(kind: Kind) -> Kind:
    """The kind of an array of such items."""
    return ranked(kind, lambda rank: rank + 1) if isinstance(kind, Number | Integer | Array) else UNKNOWN


def ranked(kind: Kind, change: Callable[[int], int | None] | int | None) -> Kind:
    """The kind of an array made from one of `kind` with another number of axes.

    Args:
        kind: the old kind.
        change: the new number of axes, or how to find it from the old one; None for one that is not known.

    Raises:
        TypeError: for a list or tuple, whose derivative would have to be one too.
    """
    if isinstance(kind, List | Tuple):
        raise TypeError("this needs an array: make one of the list with np.array")
    if not isinstance(kind, Number | Integer | Array):
        return UNKNOWN
    old = kind.rank if isinstance(kind, Array) else 0
    new = change if not callable(change) else None if old is None else change(old)
    return array_of(new, kind.differentiable)


def array_of(rank: int | None, real: bool) -> Kind:
    """The kind of an array, a number if it has no axes."""
    if rank == 0:
        return Number() if real else Integer()
    return Array(rank, real)


def same(kind: Kind, *kinds: Kind, **keywords: Any) -> Kind:
    """The kind of a function that keeps the number of axes."""
    return ranked(kind, lambda rank: rank)


def length(value: Any) -> int | None:
    """How many items a keyword such as `axis` or `shape` has: 1 for an integer, None if that is not known."""
    kind = value if isinstance(value, Kind) else kind_of(value)
    if isinstance(kind, Integer):
        return 1
    return len(kind.items) if isinstance(kind, Tuple) else len(value) if isinstance(value, list) else None


def linear(
    name: str, evaluate: Callable[..., Any], reverse: Rule, *, kind: KindRule = same, **fields: Any
) -> Primitive:
    """A function that is linear in its first input and takes only integers, shapes and the like beside it."""

    def forward(d: Any, result: Any, x: Any, *others: Any, **keywords: Any) -> Any:
        return primitive(d, *others, **keywords)

    nothing = (None,) * MOST_AXES
    rules: dict[str, Any] = {"forward": (forward, *nothing), "reverse": (reverse, *nothing)}
    primitive = define(name, evaluate, kind=kind, described=True, **rules, **fields)
    return primitive


def adjoint_pair(
    name: str,
    evaluate: Callable[..., Any],
    adjoint_name: str,
    adjoint_evaluate: Callable[..., Any],
    *,
    kind: KindRule = same,
    **fields: Any,
) -> tuple[Primitive, Primitive]:
    """A function that is linear in its first input, and its adjoint, each the reverse rule of the other.

    Args:
        name: the function's name.
        evaluate: computes it from x and keywords.
        adjoint_name: its adjoint's name.
        adjoint_evaluate: computes the adjoint from an array in the shape of the result, x (for its shape) and the same
            keywords.
        kind: the kind of the function's result.
        fields: other fields of the function's primitive.
    """
    primitive = linear(name, evaluate, lambda d, y, x, **keywords: adjoint(d, x, **keywords), kind=kind, **fields)
    adjoint = linear(
        adjoint_name,
        adjoint_evaluate,
        lambda d, x, y, like, **keywords: primitive(d, **keywords),
        kind=lambda d, like, **keywords: like,
    )
    return primitive, adjoint
