"""Functions that make arrays: filled with one value, evenly spaced, identities."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, Number
from etude.autodiff.primitives import FUNCTIONS, Binding, Primitive
from etude.autodiff.program import Atom, Constant
from etude.autodiff.rules.adjoint import array_of, length, same
from etude.autodiff.rules.containers import broadcast_like, unbroadcast, zeros_like
from etude.autodiff.rules.reductions import total
from etude.autodiff.rules.registry import always, bind, constant, define
from etude.autodiff.rules.shapes import size


def filled_kind(shape: Kind, *values: Kind, dtype: Any = None) -> Kind:
    """The kind of an array of a shape, filled with a value."""
    real = all(value.differentiable for value in values) if dtype is None else real_type(dtype)
    return array_of(length(shape), real)


def real_type(dtype: Any) -> bool:
    """Whether numbers of a type are of floating point, as they are taken to be if it is not known."""
    return isinstance(dtype, Kind) or bool(np.issubdtype(dtype, np.floating))


def _like_kind(kind: Kind, *values: Kind, dtype: Any = None) -> Kind:
    found = same(kind)
    if found == UNKNOWN:
        return UNKNOWN
    real = found.differentiable if dtype is None else real_type(dtype)
    return replace(kind, real=real) if isinstance(kind, Array) else array_of(0, real)


zeros, ones = (
    constant(
        name,
        evaluate,
        kind=filled_kind,
        described=True,
        template=f"np.{name}({{0}})",
        functions=(evaluate,),
        names=("shape", "dtype"),
        inputs=1,
    )
    for name, evaluate in (("zeros", np.zeros), ("ones", np.ones))
)
constant(
    "ones_like",
    np.ones_like,
    kind=_like_kind,
    described=True,
    template="np.ones_like({0})",
    functions=(np.ones_like,),
    names=("a", "dtype"),
    inputs=1,
)
bind(np.empty, zeros, ("shape", "dtype"), 1)
constant(
    "eye",
    np.eye,
    kind=always(Array(2)),
    described=True,
    template="np.eye({*})",
    functions=(np.eye, np.identity),
    names=("M", "k"),
)
full: Primitive = define(
    "full",
    np.full,
    kind=filled_kind,
    described=True,
    template="np.full({*})",
    functions=(np.full,),
    names=("shape", "fill_value", "dtype"),
    inputs=2,
    forward=(None, lambda d, y, shape, value, **keywords: full(shape, d, **keywords)),
    reverse=(None, lambda d, y, shape, value, **keywords: unbroadcast(d, value)),
)
full_like: Primitive = define(
    "full_like",
    np.full_like,
    kind=_like_kind,
    described=True,
    template="np.full_like({*})",
    functions=(np.full_like,),
    names=("a", "fill_value", "dtype"),
    inputs=2,
    forward=(None, lambda d, y, a, value, **keywords: full_like(a, d, **keywords)),
    reverse=(None, lambda d, y, a, value, **keywords: unbroadcast(d, value)),
)


@dataclass(frozen=True, eq=False)
class Zeros(Binding):
    """A call that becomes one of np.full_like with zero, whose type is the array's, not that of an adjoint."""

    def arguments(self, given: Sequence[Atom], named: dict[str, Atom]) -> tuple[tuple[Atom, ...], dict[str, Atom]]:
        (like,), keywords = super().arguments(given, named)
        return (like, Constant(0)), keywords


FUNCTIONS[np.zeros_like] = FUNCTIONS[np.empty_like] = Zeros(full_like, ("a", "dtype"))


def _linspace_kind(start: Kind, stop: Kind, **keywords: Any) -> Kind:
    if not isinstance(start, Number | Integer) or not isinstance(stop, Number | Integer):
        raise TypeError("np.linspace needs two numbers")
    return Array(1)


linspace: Primitive = define(
    "linspace",
    np.linspace,
    kind=_linspace_kind,
    described=True,
    template="np.linspace({*})",
    functions=(np.linspace,),
    names=("start", "stop", "num", "endpoint"),
    inputs=2,
    forward=(
        lambda d, y, start, stop, **keywords: linspace(d, 0.0, **keywords),
        lambda d, y, start, stop, **keywords: linspace(0.0, d, **keywords),
    ),
    reverse=(
        lambda d, y, start, stop, **keywords: total(d * linspace(1.0, 0.0, **keywords)),
        lambda d, y, start, stop, **keywords: total(d * linspace(0.0, 1.0, **keywords)),
    ),
)


def _arange_forward(d: Any, y: Any, *bounds: Any, position: int, **keywords: Any) -> Any:
    """The change of start + k step; the stop decides only how many there are."""
    if position == 2:
        return d * arange(size(y))
    return zeros_like(y) if position == 1 or len(bounds) == 1 else broadcast_like(d, y)


def _arange_reverse(d: Any, y: Any, *bounds: Any, position: int, **keywords: Any) -> Any:
    if position == 2:
        return total(d * arange(size(y)))
    return 0.0 if position == 1 or len(bounds) == 1 else total(d)


def _arange_kind(*kinds: Kind, dtype: Any = None) -> Kind:
    return Array(1, any(kind.differentiable for kind in kinds) if dtype is None else real_type(dtype))


arange: Primitive = define(
    "arange",
    np.arange,
    kind=_arange_kind,
    described=True,
    template="np.arange({*})",
    functions=(np.arange,),
    names=("dtype",),
    variadic=True,
    forward=(_arange_forward,),
    reverse=(_arange_reverse,),
)
