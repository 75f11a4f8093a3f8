"""Functions that arrange the items of one array anew: reshaping, transposing, reversing, repeating, taking parts."""

from dataclasses import replace
from typing import Any

import numpy as np

from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, Number, Tuple
from etude.autodiff.primitives import PRIMITIVES, Primitive
from etude.autodiff.rules.adjoint import adjoint_pair, array_of, length, linear, ranked, same
from etude.autodiff.rules.containers import unbroadcast
from etude.autodiff.rules.registry import INTEGER, bind, constant


def shape_kind(kind: Kind, **keywords: Any) -> Kind:
    """The kind of an array's shape."""
    if isinstance(kind, Number | Integer):
        return Tuple(())
    known = isinstance(kind, Array) and kind.rank is not None
    return Tuple((Integer(),) * kind.rank) if known else UNKNOWN  # type: ignore[attr-defined]


shape = constant(
    "shape", np.shape, kind=shape_kind, template="np.shape({0})", method="{0}.shape", functions=(np.shape,)
)
ndim = constant("ndim", np.ndim, kind=INTEGER, template="np.ndim({0})", functions=(np.ndim,))


size = constant(
    "size",
    np.size,
    kind=INTEGER,
    described=True,
    template="np.size({0})",
    method="{0}.size",
    functions=(np.size,),
    names=("a", "axis"),
    inputs=1,
)


def reshaped_kind(kind: Kind, *sizes: Any, **keywords: Any) -> Kind:
    """The kind of `np.reshape(x, shape)` and of `x.reshape(n, m)`."""
    return ranked(kind, len(sizes) if len(sizes) > 1 else length(sizes[0]))


reshape_like: Primitive = linear(
    "reshape_like",
    lambda x, like: np.reshape(x, np.shape(like)),
    lambda d, y, x, like: reshape_like(d, x),
    kind=lambda kind, like: replace(like, real=kind.differentiable) if isinstance(like, Array) else like,
    template="np.reshape({0}, np.shape({1}))",
    method="{0}.reshape({1}.shape)",
)
reshape = linear(
    "reshape",
    lambda x, *sizes: np.reshape(x, sizes[0] if len(sizes) == 1 else sizes),
    lambda d, y, x, *sizes: reshape_like(d, x),
    kind=reshaped_kind,
    method="{0}.reshape({+})",
)
ravel = linear(
    "ravel",
    np.ravel,
    lambda d, y, x: reshape_like(d, x),
    kind=lambda kind: ranked(kind, 1),
    template="np.ravel({0})",
    functions=(np.ravel,),
    names=("a",),
    inputs=1,
)


def _extended_kind(kind: Kind, *, axis: Any) -> Kind:
    added = length(axis)
    if not isinstance(kind, Array) or kind.rank is None or added is None or isinstance(axis, Kind):
        return ranked(kind, lambda rank: None if added is None else rank + added)
    new = {place % (kind.rank + added) for place in np.atleast_1d(axis)}
    old = iter(kind.axes)
    return kind.sized(*(1 if place in new else next(old) for place in range(kind.rank + added)))


expand_dims = linear(
    "expand_dims",
    np.expand_dims,
    lambda d, y, x, axis: reshape_like(d, x),
    kind=_extended_kind,
    template="np.expand_dims({0})",
    functions=(np.expand_dims,),
    names=("a", "axis"),
    inputs=1,
)


def _squeezed_kind(kind: Kind, *, axis: Any = None) -> Kind:
    gone = None if axis is None else length(axis)
    return ranked(kind, lambda rank: None if gone is None else rank - gone)


squeeze = linear(
    "squeeze",
    np.squeeze,
    lambda d, y, x, axis=None: reshape_like(d, x),
    kind=_squeezed_kind,
    template="np.squeeze({0})",
    functions=(np.squeeze,),
    names=("a", "axis"),
    inputs=1,
)


def _inverse(axes: Any) -> tuple[int, ...]:
    """The permutation that undoes a permutation of axes."""
    return tuple(int(axis) for axis in np.argsort(np.mod(axes, len(axes))))


inverse_permutation = constant("inverse_permutation", _inverse, kind=lambda kind: kind)


def _transpose_reverse(d: Any, y: Any, x: Any, axes: Any = None) -> Any:
    return transpose(d) if axes is None else transpose(d, axes=inverse_permutation(axes))


def _turned_kind(kind: Kind) -> Kind:
    return kind.sized(*kind.axes[::-1]) if isinstance(kind, Array) and kind.rank is not None else same(kind)


T: Primitive = linear("T", np.transpose, lambda d, y, x: T(d), kind=_turned_kind, template="{0}.T")
transpose: Primitive = linear(
    "transpose",
    np.transpose,
    _transpose_reverse,
    template="np.transpose({0})",
    functions=(np.transpose, np.permute_dims),
    names=("a", "axes"),
    inputs=1,
)
swapaxes: Primitive = linear(
    "swapaxes",
    np.swapaxes,
    lambda d, y, x, axis1, axis2: swapaxes(d, axis1=axis1, axis2=axis2),
    template="np.swapaxes({0})",
    functions=(np.swapaxes,),
    names=("a", "axis1", "axis2"),
    inputs=1,
)
moveaxis: Primitive = linear(
    "moveaxis",
    np.moveaxis,
    lambda d, y, x, source, destination: moveaxis(d, source=destination, destination=source),
    template="np.moveaxis({0})",
    functions=(np.moveaxis,),
    names=("a", "source", "destination"),
    inputs=1,
)
matrix_transpose: Primitive = linear(
    "matrix_transpose",
    np.matrix_transpose,
    lambda d, y, x: matrix_transpose(d),
    template="np.matrix_transpose({0})",
    functions=(np.matrix_transpose, np.linalg.matrix_transpose),
    names=("x",),
    inputs=1,
)
flip: Primitive = linear(
    "flip",
    np.flip,
    lambda d, y, x, **keywords: flip(d, **keywords),
    template="np.flip({0})",
    functions=(np.flip,),
    names=("m", "axis"),
    inputs=1,
)
bind(np.flipud, flip, ("m",), 1, axis=0)
bind(np.fliplr, flip, ("m",), 1, axis=1)


def _roll_reverse(d: Any, y: Any, x: Any, shift: Any, **keywords: Any) -> Any:
    return roll(d, shift=tuple(-each for each in shift) if isinstance(shift, tuple) else -shift, **keywords)


roll: Primitive = linear(
    "roll",
    np.roll,
    _roll_reverse,
    template="np.roll({0})",
    functions=(np.roll,),
    names=("a", "shift", "axis"),
    inputs=1,
)
broadcast_to = linear(
    "broadcast_to",
    np.broadcast_to,
    lambda d, y, x, shape: unbroadcast(d, x),
    kind=lambda kind, *, shape: ranked(kind, length(shape)),
    template="np.broadcast_to({0})",
    functions=(np.broadcast_to,),
    names=("array", "shape"),
    inputs=1,
)
tril, triu = (
    linear(
        name,
        evaluate,
        lambda d, y, x, *, name=name, **keywords: PRIMITIVES[name](d, **keywords),
        template=f"np.{name}({{0}})",
        functions=(evaluate,),
        names=("m", "k"),
        inputs=1,
    )
    for name, evaluate in (("tril", np.tril), ("triu", np.triu))
)
atleast_1d, atleast_2d = (
    linear(
        name,
        evaluate,
        lambda d, y, x: reshape_like(d, x),
        kind=lambda kind, least=least: ranked(kind, lambda rank: max(rank, least)),
        template=f"np.{name}({{0}})",
        functions=(evaluate,),
    )
    for name, evaluate, least in (("atleast_1d", np.atleast_1d, 1), ("atleast_2d", np.atleast_2d, 2))
)
copy: Primitive = linear(
    "copy", np.copy, lambda d, y, x: d, template="np.copy({0})", functions=(np.copy,), names=("a",), inputs=1
)


def _converted_kind(kind: Kind, *, dtype: Any) -> Kind:
    found = ranked(kind, lambda rank: rank)
    real = isinstance(dtype, Kind) or np.issubdtype(dtype, np.floating)
    return array_of(found.rank if isinstance(found, Array) else 0, real) if found != UNKNOWN else found


astype, _ = adjoint_pair(
    "astype",
    lambda x, *, dtype: np.asarray(x, dtype)[()],
    "astype_like",
    lambda d, like, *, dtype: np.asarray(d, np.result_type(like))[()],
    kind=_converted_kind,
    functions=(np.astype,),
    names=("x", "dtype"),
    inputs=1,
)
