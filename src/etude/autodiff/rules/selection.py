"""Functions that repeat, pick, sort or move items of an array, and their adjoints, which add up or put back."""

from typing import Any

import numpy as np

from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, kind_of
from etude.autodiff.primitives import Primitive
from etude.autodiff.rules.adjoint import adjoint_pair, array_kind, length, linear, ranked, same
from etude.autodiff.rules.registry import constant, define


def _folded(d: Any, like: Any, *, reps: Any) -> Any:
    """The sum of the tiles of `d`, each in the shape of `like`."""
    rank = max(np.size(reps), np.ndim(like))
    counts = (1,) * (rank - np.size(reps)) + tuple(np.atleast_1d(reps))
    sizes = (1,) * (rank - np.ndim(like)) + np.shape(like)
    tiles = np.reshape(d, [size for pair in zip(counts, sizes, strict=True) for size in pair])
    return np.reshape(tiles.sum(axis=tuple(range(0, 2 * rank, 2))), np.shape(like))


def _tiled_kind(kind: Kind, *, reps: Any) -> Kind:
    least = length(reps)
    return ranked(kind, lambda rank: None if least is None else max(rank, least))


tile, _ = adjoint_pair(
    "tile",
    np.tile,
    "tile_sum",
    _folded,
    kind=_tiled_kind,
    template="np.tile({0})",
    functions=(np.tile,),
    names=("A", "reps"),
    inputs=1,
)


def placed(like: Any, axis: Any, positions: Any, d: Any) -> Any:
    """Zeros in the shape of `like`, with the slices of `d` along an axis added at `positions` of it."""
    result = np.zeros(np.shape(like), np.result_type(like, d))
    if axis is None:
        np.add.at(result.reshape(-1), positions, d)
    else:
        np.add.at(np.moveaxis(result, axis, 0), positions, d)
    return result


def _repeat_sum(d: Any, like: Any, *, repeats: Any, axis: Any = None) -> Any:
    """The sum of what each item was repeated to."""
    items = np.size(like) if axis is None else np.shape(like)[axis]
    positions = np.repeat(np.arange(items), repeats)
    return placed(like, axis, positions, d if axis is None else np.moveaxis(d, axis, 0))


def flattened_kind(kind: Kind, *, axis: Any = None, **keywords: Any) -> Kind:
    """The kind of a function that lays the array flat if no axis is given."""
    return ranked(kind, (lambda rank: rank) if axis is not None else 1)


repeat, _ = adjoint_pair(
    "repeat",
    np.repeat,
    "repeat_sum",
    _repeat_sum,
    kind=flattened_kind,
    template="np.repeat({0})",
    functions=(np.repeat,),
    names=("a", "repeats", "axis"),
    inputs=1,
)


def _take_sum(d: Any, like: Any, *, indices: Any, axis: Any = None) -> Any:
    """What was taken, added up where it was taken from."""
    if axis is None:
        return placed(like, None, indices, d)
    first = axis % np.ndim(like)
    taken = tuple(range(first, first + np.ndim(indices)))
    return placed(like, axis, indices, np.moveaxis(d, taken, tuple(range(np.ndim(indices)))))


def rank_of_index(indices: Any) -> int | None:
    """How many axes a keyword that holds positions has."""
    kind = indices if isinstance(indices, Kind) else kind_of(indices)
    kind = array_kind(kind)
    return kind.rank if isinstance(kind, Array) else 0 if isinstance(kind, Integer) else None


def _taken_kind(kind: Kind, *, indices: Any, axis: Any = None) -> Kind:
    added = rank_of_index(indices)
    if added is None:
        return UNKNOWN
    return ranked(kind, lambda rank: added if axis is None else rank - 1 + added)


take, _ = adjoint_pair(
    "take",
    np.take,
    "take_sum",
    _take_sum,
    kind=_taken_kind,
    template="np.take({0})",
    functions=(np.take,),
    names=("a", "indices", "axis"),
    inputs=1,
)


def _take_along_axis_sum(d: Any, like: Any, *, indices: Any, axis: Any = -1) -> Any:
    """What was taken along an axis, added up where it was taken from."""
    result = np.zeros(np.shape(like), np.result_type(like, d))
    if axis is None:
        np.add.at(result.reshape(-1), indices, d)
        return result
    places = list(np.indices(np.shape(indices), sparse=True))
    places[axis] = indices
    np.add.at(result, tuple(places), d)
    return result


take_along_axis, take_along_axis_sum = adjoint_pair(
    "take_along_axis",
    lambda x, *, indices, axis=-1: np.take_along_axis(x, indices, axis),
    "take_along_axis_sum",
    _take_along_axis_sum,
    kind=lambda kind, *, indices, axis=-1: flattened_kind(kind, axis=axis),
    template="np.take_along_axis({0})",
    functions=(np.take_along_axis,),
    names=("arr", "indices", "axis"),
    inputs=1,
)
argsort = constant(
    "argsort",
    np.argsort,
    kind=lambda kind, *, axis=-1: (
        ranked(Array(kind.rank, real=False), lambda rank: 1 if axis is None else rank)
        if isinstance(kind, Array)
        else UNKNOWN
    ),
    described=True,
    template="np.argsort({0})",
    functions=(np.argsort,),
    names=("a", "axis"),
    inputs=1,
)
sort = define(
    "sort",
    np.sort,
    kind=lambda kind, *, axis=-1: flattened_kind(kind, axis=axis),
    described=True,
    template="np.sort({0})",
    functions=(np.sort,),
    names=("a", "axis"),
    inputs=1,
    forward=(lambda d, y, x, **keywords: take_along_axis(d, indices=argsort(x, **keywords), **keywords),),
    reverse=(lambda d, y, x, **keywords: take_along_axis_sum(d, x, indices=argsort(x, **keywords), **keywords),),
)


def _unpadded(d: Any, like: Any, *, pad_width: Any) -> Any:
    """The part of `d` where an array in the shape of `like` stood before it was padded."""
    widths = np.broadcast_to(pad_width, (np.ndim(like), 2))
    inner = zip(widths[:, 0], np.shape(like), strict=True)
    return d[tuple(slice(before, before + size) for before, size in inner)]


unpad = linear(
    "unpad",
    _unpadded,
    lambda d, x, y, like, pad_width: pad(d, pad_width=pad_width),
    kind=lambda d, like, **keywords: like,
)


def _padded(x: Any, *, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    return np.pad(x, pad_width, constant_values=constant_values)


def _padded_kind(kind: Kind, *, mode: Any = "constant", **keywords: Any) -> Kind:
    if mode != "constant":
        raise TypeError("np.pad has a derivative here with mode='constant' only")
    return same(kind)


pad: Primitive = define(
    "pad",
    _padded,
    kind=_padded_kind,
    described=True,
    template="np.pad({0})",
    functions=(np.pad,),
    names=("array", "pad_width", "mode", "constant_values"),
    inputs=1,
    forward=(lambda d, y, x, pad_width, **keywords: pad(d, pad_width=pad_width),),
    reverse=(lambda d, y, x, pad_width, **keywords: unpad(d, x, pad_width=pad_width),),
)


def on_diagonal(d: Any, like: Any, offset: int, axis1: int, axis2: int) -> Any:
    """Zeros in the shape of `like`, but `d` on a diagonal."""
    result = np.zeros(np.shape(like), np.result_type(like, d))
    matrices = np.moveaxis(result, (axis1, axis2), (-2, -1))
    places = np.arange(np.diagonal(matrices, offset, -2, -1).shape[-1])
    matrices[..., places + max(-offset, 0), places + max(offset, 0)] = d
    return result


diagonal, _ = adjoint_pair(
    "diagonal",
    np.diagonal,
    "on_diagonal",
    lambda d, like, *, offset=0, axis1=0, axis2=1: on_diagonal(d, like, offset, axis1, axis2),
    kind=lambda kind, **keywords: ranked(kind, lambda rank: rank - 1),
    template="np.diagonal({0})",
    functions=(np.diagonal,),
    names=("a", "offset", "axis1", "axis2"),
    inputs=1,
)
trace, _ = adjoint_pair(
    "trace",
    np.trace,
    "along_diagonal",
    lambda d, like, *, offset=0, axis1=0, axis2=1: on_diagonal(
        np.expand_dims(d, -1) if np.ndim(d) else d, like, offset, axis1, axis2
    ),
    kind=lambda kind, **keywords: ranked(kind, lambda rank: rank - 2),
    template="np.trace({0})",
    functions=(np.trace,),
    names=("a", "offset", "axis1", "axis2"),
    inputs=1,
)
diag, _ = adjoint_pair(
    "diag",
    np.diag,
    "diag_like",
    lambda d, like, *, k=0: np.diagonal(d, k) if np.ndim(like) == 1 else on_diagonal(d, like, k, 0, 1),
    kind=lambda kind, **keywords: ranked(kind, lambda rank: 3 - rank),
    template="np.diag({0})",
    functions=(np.diag,),
    names=("v", "k"),
    inputs=1,
)


def _undiff(d: Any, like: Any, *, axis: Any = -1) -> Any:
    """The adjoint of differences between neighbours."""
    result = np.zeros(np.shape(like), np.result_type(like, d))
    lines, changes = np.moveaxis(result, axis, 0), np.moveaxis(d, axis, 0)
    lines[1:] += changes
    lines[:-1] -= changes
    return result


diff, _ = adjoint_pair(
    "diff",
    lambda x, *, axis=-1: np.diff(x, axis=axis),
    "undiff",
    _undiff,
    template="np.diff({0})",
    functions=(np.diff,),
    names=("a", "axis"),
    inputs=1,
)
