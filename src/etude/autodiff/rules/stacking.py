"""Functions between one array and a list or tuple of arrays: stacking, concatenating, splitting."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from etude.autodiff.kinds import UNKNOWN, Array, Kind, List, Number, Tuple, join
from etude.autodiff.primitives import PRIMITIVES
from etude.autodiff.rules.adjoint import adjoint_pair, array_kind, array_of, linear, ranked, same
from etude.autodiff.rules.registry import bind


def nested(d: Any, like: Any) -> Any:
    """The parts of an array along its first axes, in the structure of nested lists and tuples that `like` has."""
    if isinstance(like, list | tuple):
        return type(like)(nested(row, part) for row, part in zip(d, like, strict=True))
    return d


def _array_kind(kind: Kind, *, dtype: Any = None) -> Kind:
    found = array_kind(kind)
    if dtype is None or isinstance(dtype, Kind) or found == UNKNOWN:
        return found
    return array_of(found.rank if isinstance(found, Array) else 0, bool(np.issubdtype(dtype, np.floating)))


array, unnest_like = adjoint_pair(
    "array",
    np.array,
    "unnest_like",
    lambda d, like, *, dtype=None: nested(d, like),
    kind=_array_kind,
    template="np.array({0})",
    functions=(np.array,),
    names=("object", "dtype"),
    inputs=1,
)
asarray = PRIMITIVES["asarray"] = replace(array, name="asarray", evaluate=np.asarray, template="np.asarray({0})")
bind(np.asarray, asarray, ("a", "dtype"), 1)


def joined_kind(least: int, added: int = 0) -> Any:
    """The kind of pieces put together to an array of at least so many axes, or of so many more than a piece."""

    def kind_of_whole(kind: Kind, **keywords: Any) -> Kind:
        pieces: Sequence[Kind] = (UNKNOWN,)
        match kind:
            case Array():
                pieces = (ranked(kind, lambda rank: rank - 1),)
            case List():
                pieces = (kind.item or Number(),)
            case Tuple() if kind.items:
                pieces = kind.items
        return reduce(join, (ranked(piece, lambda rank: max(rank + added, least)) for piece in pieces))

    return kind_of_whole


def cut(d: Any, like: Any, axis: int) -> Any:
    """The pieces, as many and of such shapes as in `like`, that were put together along an axis of `d`."""
    section = max(d.size // max(d.shape[axis], 1), 1)
    ends = np.cumsum([np.size(piece) // section for piece in like])
    pieces = [
        np.reshape(part, np.shape(piece))[()] for part, piece in zip(np.split(d, ends[:-1], axis), like, strict=True)
    ]
    return np.stack(pieces) if isinstance(like, np.ndarray) else type(like)(pieces)


concatenate, _ = adjoint_pair(
    "concatenate",
    np.concatenate,
    "split_like",
    lambda d, like, *, axis=0: cut(d, like, axis),
    kind=joined_kind(1),
    template="np.concatenate({0})",
    functions=(np.concatenate,),
    names=("arrays", "axis"),
    inputs=1,
)
stack, _ = adjoint_pair(
    "stack",
    np.stack,
    "unstack_like",
    lambda d, like, *, axis=0: nested(np.moveaxis(d, axis, 0), like),
    kind=joined_kind(1, 1),
    template="np.stack({0})",
    functions=(np.stack,),
    names=("arrays", "axis"),
    inputs=1,
)
hstack, _ = adjoint_pair(
    "hstack",
    np.hstack,
    "hsplit_like",
    lambda d, like: cut(d, like, min(d.ndim, 2) - 1),
    kind=joined_kind(1),
    template="np.hstack({0})",
    functions=(np.hstack,),
    names=("tup",),
    inputs=1,
)
vstack, _ = adjoint_pair(
    "vstack",
    np.vstack,
    "vsplit_like",
    lambda d, like: cut(d, like, 0),
    kind=joined_kind(2),
    template="np.vstack({0})",
    functions=(np.vstack,),
    names=("tup",),
    inputs=1,
)
column_stack, _ = adjoint_pair(
    "column_stack",
    np.column_stack,
    "columns_like",
    lambda d, like: cut(d, like, 1),
    kind=joined_kind(2),
    template="np.column_stack({0})",
    functions=(np.column_stack,),
    names=("tup",),
    inputs=1,
)
split, array_split = (
    linear(
        name,
        evaluate,
        lambda d, y, x, indices_or_sections, axis=0: concatenate(d, axis=axis),
        kind=lambda kind, **keywords: List(same(kind)),
        template=f"np.{name}({{0}})",
        functions=(evaluate,),
        names=("ary", "indices_or_sections", "axis"),
        inputs=1,
    )
    for name, evaluate in (("split", np.split), ("array_split", np.array_split))
)
