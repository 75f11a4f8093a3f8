"""Sums, products, extrema and moments along axes of an array, and running sums and products.

`axis` is None (all axes), an integer or a tuple of integers; `keepdims` keeps the reduced axes with length 1. Lists and
tuples stand for the arrays made of them. Where items of a slice are equal extrema, they share the change of the maximum
or minimum equally. A norm or standard deviation that is 0 has no derivative: it is nan there.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, List, Other, Tuple
from etude.autodiff.primitives import Primitive, Rule, Symbol
from etude.autodiff.program import Constant
from etude.autodiff.rules.adjoint import array_kind, array_of, kind_at, length, linear
from etude.autodiff.rules.containers import broadcast_like, item
from etude.autodiff.rules.registry import constant, define, numeric
from etude.autodiff.rules.selection import flattened_kind
from etude.autodiff.rules.shapes import expand_dims, flip, ravel, reshape_like, shape, size
from etude.autodiff.rules.stacking import array, unnest_like

NAMES = ("a", "axis", "keepdims")


def reduced_kind(kind: Kind, *others: Kind, axis: Any = None, keepdims: Any = False, **keywords: Any) -> Kind:
    """The kind of a reduction along axes.

    Raises:
        TypeError: if `keepdims` is not known.
    """
    if isinstance(keepdims, Kind):
        raise TypeError("keepdims must be written out")
    kind = array_kind(kind)
    if not isinstance(kind, Array):
        return kind
    if axis is None or isinstance(axis, Other):
        return kind.sized(*(1 for _ in kind.axes)) if keepdims else array_of(0, kind.real)
    gone = length(axis)
    if kind.rank is None or gone is None:
        return replace(kind, sizes=()) if keepdims else UNKNOWN
    if isinstance(axis, Kind):
        return array_of(kind.rank - (0 if keepdims else gone), kind.real)
    reduced = {place % kind.rank for place in np.atleast_1d(axis)}
    if keepdims:
        return kind.sized(*(1 if place in reduced else size for place, size in enumerate(kind.axes)))
    left = [size for place, size in enumerate(kind.axes) if place not in reduced]
    return kind.sized(*left) if left else array_of(0, kind.real)


def averaged_kind(kind: Kind, *others: Kind, **keywords: Any) -> Kind:
    """The kind of a reduction whose result is of floating point even for integers."""
    found = reduced_kind(kind, **keywords)
    return replace(found, real=True) if isinstance(found, Array) else found if found == UNKNOWN else array_of(0, True)


def position_kind(kind: Kind, *, axis: Any = None, keepdims: Any = False) -> Kind:
    """The kind of a reduction to positions or truth values."""
    found = reduced_kind(kind, axis=axis, keepdims=keepdims)
    return replace(found, real=False) if isinstance(found, Array) else found if found == UNKNOWN else Integer()


def along(axis: Any) -> dict[str, Any]:
    """The keyword `axis`, left out where it is None."""
    return {} if axis is None else {"axis": axis}


def aligned(d: Any, x: Any, axis: Any = None, keepdims: Any = False, **keywords: Any) -> Any:
    """What was computed for each reduced slice, with axes of length 1 to go with the array x that was reduced."""
    return d if numeric(x) or all_axes(axis) or written(keepdims) else expand_dims(d, axis=axis)


def spread(d: Any, x: Any, **keywords: Any) -> Any:
    """What was computed for each reduced slice, in the shape of the array x that was reduced."""
    return d if numeric(x) else broadcast_like(aligned(d, x, **keywords), x)


def written(value: Any) -> Any:
    """The value of a keyword that is a literal or a value from outside the program."""
    return value.atom.value if isinstance(value, Symbol) and isinstance(value.atom, Constant) else value


def all_axes(axis: Any) -> bool:
    """Whether an axis is None, or a variable that can be nothing else."""
    return axis is None or (isinstance(axis, Symbol) and isinstance(axis.kind, Other))


def reduction(
    name: str, evaluate: Any, forward: Rule, reverse: Rule, template: str, functions: tuple[Any, ...], **fields: Any
) -> Primitive:
    """A reduction of an array; of a list or tuple of numbers or arrays it is that of the array made of it."""

    def forward_rule(d: Any, y: Any, x: Any, **keywords: Any) -> Any:
        if isinstance(kind_at(x), List | Tuple):
            return forward(array(d), y, array(x), **keywords)
        return forward(d, y, x, **keywords)

    def reverse_rule(d: Any, y: Any, x: Any, **keywords: Any) -> Any:
        if isinstance(kind_at(x), List | Tuple):
            return unnest_like(reverse(d, y, array(x), **keywords), x)
        return reverse(d, y, x, **keywords)

    rules: dict[str, Any] = {"forward": (forward_rule,), "reverse": (reverse_rule,)}
    described: dict[str, Any] = {"kind": reduced_kind, "names": NAMES, "inputs": 1, "described": True} | fields
    return define(name, evaluate, template=template, functions=functions, **rules, **described)


def slice_size(x: Any, y: Any, axis: Any) -> Any:
    """How many items of x a reduction to y takes together."""
    several = isinstance(axis, tuple) or (isinstance(axis, Symbol) and isinstance(axis.kind, Tuple))
    if isinstance(axis, int) and not numeric(x):
        return item(shape(x), index=axis)
    return size(x) / size(y) if several else size(x, **along(axis))


def _mean_reverse(d: Any, y: Any, x: Any, **keywords: Any) -> Any:
    return spread(d / slice_size(x, y, keywords.get("axis")), x, **keywords)


total: Primitive = reduction(
    "sum",
    np.sum,
    lambda d, y, x, **keywords: total(d, **keywords),
    lambda d, y, x, **keywords: spread(d, x, **keywords),
    "np.sum({0})",
    (np.sum,),
    method="{0}.sum()",
)
mean: Primitive = reduction(
    "mean",
    np.mean,
    lambda d, y, x, **keywords: mean(d, **keywords),
    _mean_reverse,
    "np.mean({0})",
    (np.mean,),
    method="{0}.mean()",
    kind=averaged_kind,
)


def _deviation(x: Any, axis: Any) -> Any:
    """How far each item is from the mean of its slice."""
    return x - (mean(x) if all_axes(axis) else mean(x, axis=axis, keepdims=True))


def _var_forward(d: Any, y: Any, x: Any, ddof: Any = 0, **keywords: Any) -> Any:
    axis = keywords.get("axis")
    return total(d * _deviation(x, axis), **keywords) * (2.0 / (slice_size(x, y, axis) - ddof))


def _var_reverse(d: Any, y: Any, x: Any, ddof: Any = 0, **keywords: Any) -> Any:
    axis = keywords.get("axis")
    return aligned(d * (2.0 / (slice_size(x, y, axis) - ddof)), x, **keywords) * _deviation(x, axis)


MOMENT_NAMES = ("a", "axis", "ddof", "keepdims")
var = reduction(
    "var", np.var, _var_forward, _var_reverse, "np.var({0})", (np.var,), kind=averaged_kind, names=MOMENT_NAMES
)
std = reduction(
    "std",
    np.std,
    lambda d, y, x, **keywords: _var_forward(d, y, x, **keywords) / (2.0 * y),
    lambda d, y, x, **keywords: _var_reverse(d / (2.0 * y), y, x, **keywords),
    "np.std({0})",
    (np.std,),
    kind=averaged_kind,
    names=MOMENT_NAMES,
)


def _norm_kind(kind: Kind, *, ord: Any = None, **keywords: Any) -> Kind:
    """The kind of a norm: of floating point."""
    if ord is not None and not (ord == 2 and isinstance(kind, Array) and kind.rank == 1):
        raise TypeError("only the Euclidean norm has a derivative here (ord=None)")
    return averaged_kind(kind, **keywords)


def _norm_forward(d: Any, y: Any, x: Any, ord: Any = None, **keywords: Any) -> Any:
    return total(d * x, **keywords) / y


def _norm_reverse(d: Any, y: Any, x: Any, ord: Any = None, **keywords: Any) -> Any:
    return aligned(d / y, x, **keywords) * x


norm = reduction(
    "norm",
    np.linalg.norm,
    _norm_forward,
    _norm_reverse,
    "np.linalg.norm({0})",
    (np.linalg.norm,),
    kind=_norm_kind,
    names=("x", "ord", "axis", "keepdims"),
)


def _shares(x: Any, y: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    """For each item, its share in the extremum: 1 / n where n items of a slice are equal to it, 0 elsewhere."""
    chosen = np.equal(x, y if axis is None or keepdims else np.expand_dims(y, axis))
    chosen = chosen.astype(np.asarray(x).dtype)
    return chosen / np.sum(chosen, axis=axis, keepdims=True)


shares = constant("shares", _shares, kind=lambda kind, *others, **keywords: kind, described=True)


def _extremum_forward(d: Any, y: Any, x: Any, **keywords: Any) -> Any:
    return total(d * shares(x, y, **keywords), **keywords)


def _extremum_reverse(d: Any, y: Any, x: Any, **keywords: Any) -> Any:
    return aligned(d, x, **keywords) * shares(x, y, **keywords)


extrema = (_extremum_forward, _extremum_reverse)
"""The rules of max and min: equal extrema share the change equally."""
largest = reduction("max", np.max, *extrema, "np.max({0})", (np.max, np.amax), method="{0}.max()")
smallest = reduction("min", np.min, *extrema, "np.min({0})", (np.min, np.amin), method="{0}.min()")

argmax, argmin, any_, all_, count_nonzero = (
    constant(
        name,
        evaluate,
        kind=position_kind,
        described=True,
        template=f"np.{name}({{0}})",
        functions=(evaluate,),
        names=NAMES,
        inputs=1,
    )
    for name, evaluate in (
        ("argmax", np.argmax),
        ("argmin", np.argmin),
        ("any", np.any),
        ("all", np.all),
        ("count_nonzero", np.count_nonzero),
    )
)


def _before(x: Any, *, axis: Any) -> Any:
    """For each item, the product of those before it along an axis."""
    result = np.ones_like(x)
    np.cumprod(np.moveaxis(x, axis, 0)[:-1], axis=0, out=np.moveaxis(result, axis, 0)[1:])
    return result


def _recurrence(a: Any, b: Any, *, axis: Any) -> Any:
    """h along an axis, with h[0] = 0 and h[k + 1] = a[k] h[k] + b[k]."""
    result = np.zeros_like(b)
    h, a, b = (np.moveaxis(each, axis, 0) for each in (result, a, b))
    for k in range(len(h) - 1):
        h[k + 1] = a[k] * h[k] + b[k]
    return result


def _recurrence_reverse(d: Any, a: Any, axis: Any) -> Any:
    """The adjoint of b in recurrence(a, b)."""
    return flip(recurrence(flip(a, axis=axis), flip(d, axis=axis), axis=axis), axis=axis)


recurrence: Primitive = define(
    "recurrence",
    _recurrence,
    kind=lambda a, b, **keywords: b,
    described=True,
    forward=(
        lambda d, h, a, b, axis: recurrence(a, d * h, axis=axis),
        lambda d, h, a, b, axis: recurrence(a, d, axis=axis),
    ),
    reverse=(
        lambda d, h, a, b, axis: _recurrence_reverse(d, a, axis) * h,
        lambda d, h, a, b, axis: _recurrence_reverse(d, a, axis),
    ),
)
products_before: Primitive = define(
    "products_before",
    _before,
    kind=lambda kind, **keywords: kind,
    described=True,
    forward=(lambda d, p, x, axis: recurrence(x, d * p, axis=axis),),
    reverse=(lambda d, p, x, axis: _recurrence_reverse(d, x, axis) * p,),
)


def products_of_others(x: Any, axis: Any) -> Any:
    """For each item, the product of the others that a product along `axis` multiplies it with, right for zeros too."""
    if all_axes(axis):
        return reshape_like(products_of_others(ravel(x), 0), x)
    axis = written(axis)
    if not isinstance(axis, tuple):
        after = flip(products_before(flip(x, axis=axis), axis=axis), axis=axis)
        return products_before(x, axis=axis) * after
    first, *rest = axis
    others = products_of_others(x, first)
    return others * products_of_others(prod(x, axis=first, keepdims=True), tuple(rest)) if rest else others


prod = reduction(
    "prod",
    np.prod,
    lambda d, y, x, **keywords: total(d * products_of_others(x, keywords.get("axis")), **keywords),
    lambda d, y, x, **keywords: aligned(d, x, **keywords) * products_of_others(x, keywords.get("axis")),
    "np.prod({0})",
    (np.prod,),
)


def _cumsum_reverse(d: Any, y: Any, x: Any, axis: Any = None) -> Any:
    line = 0 if all_axes(axis) else axis
    back = flip(cumsum(flip(d, axis=line), axis=line), axis=line)
    return reshape_like(back, x) if all_axes(axis) else back


cumsum = linear(
    "cumsum",
    np.cumsum,
    _cumsum_reverse,
    kind=flattened_kind,
    template="np.cumsum({0})",
    functions=(np.cumsum,),
    names=("a", "axis"),
    inputs=1,
)


def _cumprod_forward(d: Any, y: Any, x: Any, axis: Any = None) -> Any:
    if all_axes(axis):
        return _cumprod_forward(ravel(d), y, ravel(x), 0)
    change = d * products_before(x, axis=axis)
    return recurrence(x, change, axis=axis) * x + change


def _cumprod_reverse(d: Any, y: Any, x: Any, axis: Any = None) -> Any:
    if all_axes(axis):
        return reshape_like(_cumprod_reverse(d, y, ravel(x), 0), x)
    return (d + _recurrence_reverse(d * x, x, axis)) * products_before(x, axis=axis)


cumprod: Primitive = define(
    "cumprod",
    np.cumprod,
    kind=flattened_kind,
    described=True,
    template="np.cumprod({0})",
    functions=(np.cumprod,),
    names=("a", "axis"),
    inputs=1,
    forward=(_cumprod_forward,),
    reverse=(_cumprod_reverse,),
)
