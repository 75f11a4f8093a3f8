"""Tuples, lists and dictionaries, indexing, and what adjoints need of them: zeros of the same structure, sums, parts.

The adjoint of a container is the same container of the adjoints of its items. 0.0 stands for the adjoint of anything
that cannot vary: an integer, None, text.
"""

import operator
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from etude.autodiff.kinds import (
    UNKNOWN,
    Array,
    Closure,
    Dict,
    Integer,
    Kind,
    List,
    Number,
    Other,
    Size,
    Slice,
    Tuple,
    join,
    kind_of,
)
from etude.autodiff.primitives import PRIMITIVES, Primitive, Rule, Symbol
from etude.autodiff.rules.registry import INTEGER, constant, define, numeric


def add_structures(a: Any, b: Any) -> Any:
    """The sum of two adjoints of one structure, where either may be 0.0 as a whole or in part."""
    match a, b:
        case tuple(), tuple():
            return tuple(map(add_structures, a, b))
        case list(), list():
            return list(map(add_structures, a, b))
        case dict(), dict():
            return {key: add_structures(value, b[key]) for key, value in a.items()}
        case (tuple() | list() | dict(), _):
            return a
        case (_, tuple() | list() | dict()):
            return b
        case _:
            return a + b


def zeros(x: Any) -> Any:
    """The adjoint of x that is zero, new in every part."""
    match x:
        case np.ndarray():
            return np.zeros(x.shape, x.dtype if x.dtype.kind == "f" else float)
        case tuple():
            return tuple(map(zeros, x))
        case list():
            return list(map(zeros, x))
        case dict():
            return {key: zeros(value) for key, value in x.items()}
        case _:
            return 0.0


def renewed(d: Any) -> Any:
    """An equal adjoint that may be added to in place."""
    match d:
        case np.ndarray():
            return np.array(d, None if d.dtype.kind == "f" else float)
        case list() | dict():
            return d.copy()
        case _:
            return d


def add_into(total: Any, value: Any, *, index: Any) -> Any:
    """`total` with `value` added to total[index]: changed in place unless it is a tuple."""
    match total:
        case np.ndarray() if repeats(index):
            np.add.at(total, index, value)
        case np.ndarray():
            total[index] += value
        case tuple():
            return tuple(add_into(list(total), value, index=index))
        case list() if isinstance(index, slice):
            for position, part in zip(range(*index.indices(len(total))), value, strict=True):
                total[position] = add_structures(total[position], part)
        case _:
            total[index] = add_structures(total[index], value)
    return total


def repeats(index: Any) -> bool:
    """Whether an index can name a place of an array more than once, as an array of integers does."""
    match index:
        case tuple():
            return any(map(repeats, index))
        case np.ndarray():
            return bool(index.dtype.kind != "b")
        case _:
            return isinstance(index, list)


def sum_over(d: Any, like: Any) -> Any:
    """d summed over the axes along which something of the shape of `like` was broadcast to the shape of d.

    `like` may have more axes of size 1 before them, as a value may that is assigned to a part of an array.
    """
    shape = like.shape if isinstance(like, np.ndarray) else ()
    if isinstance(d, np.ndarray | np.generic) and d.ndim < len(shape):
        d = np.reshape(d, (1,) * (len(shape) - d.ndim) + d.shape)
    if not isinstance(d, np.ndarray) or d.shape == shape:
        return d
    if not shape:
        return d.sum()
    lead = d.ndim - len(shape)
    stretched = tuple(axis + lead for axis, size in enumerate(shape) if size == 1 != d.shape[axis + lead])
    return d.sum(axis=(*range(lead), *stretched)).reshape(shape)


def spread_to(x: Any, like: Any) -> Any:
    """x in the shape of `like`, and a number also in its precision."""
    match like:
        case np.ndarray() if np.shape(x):
            return np.broadcast_to(x.reshape(x.shape[max(x.ndim - like.ndim, 0) :]), like.shape)
        case np.ndarray():
            return np.full_like(like, x)
        case _:
            return x


def cleared(d: Any, *, index: Any) -> Any:
    """A copy of an adjoint with zero at d[index]."""
    return replaced(d, zeros(d[index]), index=index)


def replaced(x: Any, value: Any, *, index: Any) -> Any:
    """A copy of an array or a list with `value` at x[index]."""
    result = x.copy()
    result[index] = value
    return result


def indexed(x: Kind, *, index: Any) -> Kind:
    """The kind of x[index], where `index` is its kind if its value is not known."""
    match x:
        case Tuple() if isinstance(index, slice):
            return Tuple(x.items[index])
        case Tuple() if isinstance(index, int) and -len(x.items) <= index < len(x.items):
            return x.items[index]
        case Tuple() if isinstance(index, Integer) and x.items:
            return reduce(join, x.items)
        case List() if isinstance(index, slice | Slice):
            return x
        case List(item=Kind() as kind) if isinstance(index, int | Integer):
            return kind
        case Dict():
            return UNKNOWN if isinstance(index, Kind) else dict(x.items).get(index, UNKNOWN)
        case Array(rank=int()):
            return indexed_array(x, index)
        case Other():
            return Other()
        case _:
            return UNKNOWN


def indexed_array(x: Array, index: Any) -> Kind:
    """The kind of an array indexed by integers, slices, None, an ellipsis and arrays."""
    parts = index if isinstance(index, tuple) else index.items if isinstance(index, Tuple) else (index,)
    old = list(x.axes)
    rank = len(old)
    sizes: list[Size] = []
    arrays = 0
    for part in parts:
        match part:
            case None:
                sizes.append(1)
                rank += 1
            case int() | Integer():
                old[:1] = []
                rank -= 1
            case list() | Array(rank=1):
                rank -= 1
                arrays = 1
            case Array(rank=int(), real=False) | np.ndarray():
                return UNKNOWN
            case slice() | Slice():
                sizes += old[:1] if part in (slice(None), Slice(True)) else [None]
                old[:1] = []
            case _ if part is not Ellipsis:
                return UNKNOWN
    rank += arrays
    if not rank:
        return Number() if x.real else Integer()
    return Array(rank, x.real) if arrays or Ellipsis in parts else x.sized(*sizes, *old)


def zero_kind(x: Kind) -> Kind:
    """The kind of the adjoint of a value."""
    match x:
        case Integer() | Other():
            return Number()
        case Array():
            return replace(x, real=True)
        case Tuple():
            return Tuple(tuple(map(zero_kind, x.items)))
        case List(item=Kind() as kind):
            return List(zero_kind(kind))
        case Dict():
            return Dict(tuple((key, zero_kind(kind)) for key, kind in x.items))
        case Closure():
            return Tuple(tuple(map(zero_kind, x.captured)))
        case _:
            return x


def still(tangent: Any, value: Any) -> Any:
    """A tangent of the value: zero if there is none."""
    return tangent if tangent is not None else 0.0 if numeric(value) else zeros_like(value)


def led(part: Any, value: Any) -> Any:
    """A part of an adjoint with as many axes as the value that was assigned there, if it is known to have more."""
    ranks = [_rank(each.kind if isinstance(each, Symbol) else kind_of(each)) for each in (part, value)]
    if None in ranks or ranks[0] >= ranks[1]:
        return part
    return PRIMITIVES["expand_dims"](part, axis=tuple(range(ranks[1] - ranks[0])))


def _rank(kind: Kind) -> Any:
    return kind.rank if isinstance(kind, Array) else 0 if isinstance(kind, Number | Integer) else None


def joint(primitive: Callable[..., Any]) -> Rule:
    """The forward rule of a container: the same container of the changes."""
    return lambda result, inputs, tangents, **keywords: primitive(*map(still, tangents, inputs), **keywords)


tuple_: Primitive = define(
    "tuple",
    lambda *items: items,
    kind=lambda *kinds: Tuple(kinds),
    variadic=True,
    reverse=(lambda d, z, *items, position: item(d, index=position),),
    joint_forward=joint(lambda *items: tuple_(*items)),
)
list_: Primitive = define(
    "list",
    lambda *items: list(items),
    kind=lambda *kinds: List(reduce(join, kinds) if kinds else None),
    variadic=True,
    keeps=True,
    reverse=(lambda d, z, *items, position: item(d, index=position),),
    joint_forward=joint(lambda *items: list_(*items)),
)
dict_: Primitive = define(
    "dict",
    lambda *values, keys: dict(zip(keys, values, strict=True)),
    kind=lambda *kinds, keys: Dict(tuple(zip(keys, kinds, strict=True))),
    variadic=True,
    keeps=True,
    reverse=(lambda d, z, *values, position, keys: item(d, index=keys[position]),),
    joint_forward=joint(lambda *values, keys: dict_(*values, keys=keys)),
)
item: Primitive = define(
    "item",
    lambda x, *, index: x[index],
    kind=indexed,
    described=True,
    forward=(lambda d, y, x, index: item(d, index=index),),
)
slice_ = define(
    "slice",
    lambda *, start=None, stop=None, step=None: slice(start, stop, step),
    kind=lambda **keywords: Slice(),
    described=True,
)
length = constant("len", len, kind=INTEGER, template="len({0})", functions=(len,))
append: Primitive = define(
    "append",
    lambda items, value: [*items, value],
    kind=lambda items, value: join(items, List(value)),
    reverse=(lambda d, z, items, value: item(d, index=slice(None, -1)), lambda d, z, items, value: item(d, index=-1)),
    joint_forward=joint(lambda items, value: append(items, value)),
)
extend: Primitive = define(
    "extend",
    operator.add,
    kind=lambda a, b: Tuple(a.items + b.items) if isinstance(a, Tuple) and isinstance(b, Tuple) else join(a, b),
    template="{0} + {1}",
    precedence=5,
    reverse=(
        lambda d, z, a, b: item(d, index=slice_(stop=length(a))),
        lambda d, z, a, b: item(d, index=slice_(start=length(a))),
    ),
    joint_forward=joint(lambda a, b: extend(a, b)),
)
zeros_like: Primitive = constant("zeros_like", zeros, kind=zero_kind, keeps=True)
fresh: Primitive = define(
    "fresh",
    renewed,
    kind=lambda d: d,
    keeps=True,
    forward=(lambda t, z, d: fresh(t),),
    reverse=(lambda t, z, d: t,),
)
accumulate: Primitive = define(
    "accumulate",
    add_structures,
    kind=lambda a, b: a if a == b else UNKNOWN,
    reverse=(lambda d, z, a, b: d, lambda d, z, a, b: d),
    joint_forward=lambda z, inputs, tangents: reduce(accumulate, [each for each in tangents if each is not None]),
)
add_at: Primitive = define(
    "add_at",
    add_into,
    kind=lambda total, value, index: total,
    described=True,
    keeps=True,
    reverse=(
        lambda d, z, total, value, index: d,
        lambda d, z, total, value, index: unbroadcast(item(d, index=index), value),
    ),
    joint_forward=lambda z, inputs, tangents, index: (
        tangents[0] if tangents[1] is None else add_at(still(tangents[0], inputs[0]), tangents[1], index=index)
    ),
)
set_at: Primitive = define(
    "set_at",
    replaced,
    kind=lambda x, value, index: join(x, List(value)) if isinstance(x, List) else x,
    described=True,
    reverse=(
        lambda d, z, x, value, index: clear_at(d, index=index),
        lambda d, z, x, value, index: unbroadcast(led(item(d, index=index), value), value),
    ),
    joint_forward=joint(lambda x, value, index: set_at(x, value, index=index)),
)
clear_at: Primitive = define(
    "clear_at",
    cleared,
    kind=lambda d, index: d,
    described=True,
    forward=(lambda t, z, d, index: clear_at(t, index=index),),
    reverse=(lambda t, z, d, index: clear_at(t, index=index),),
)
unbroadcast: Primitive = define(
    "unbroadcast",
    sum_over,
    kind=lambda d, like: zero_kind(like),
    forward=(lambda t, z, d, like: unbroadcast(t, like), None),
    reverse=(lambda t, z, d, like: broadcast_like(t, d), None),
)
broadcast_like: Primitive = define(
    "broadcast_like",
    spread_to,
    kind=lambda x, like: zero_kind(like),
    forward=(lambda t, z, x, like: broadcast_like(t, like), None),
    reverse=(lambda t, z, x, like: unbroadcast(t, x), None),
)
dup = define("dup", lambda x: (x, x), kind=lambda x: Tuple((x, x)))
multiples = define("multiples", lambda d, a, b: (d * a, d * b), kind=lambda d, a, b: Tuple((d, d)))
