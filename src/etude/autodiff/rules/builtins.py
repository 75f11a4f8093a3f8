"""Python's built-in functions: sums and extrema of sequences, conversions, text, errors."""

from collections.abc import Callable
from functools import reduce
from typing import Any, NoReturn

import numpy as np

from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, List, Number, Tuple, join
from etude.autodiff.primitives import Primitive
from etude.autodiff.rules.arithmetic import eq, ge, gt, le, lt, select
from etude.autodiff.rules.containers import (
    add_at,
    broadcast_like,
    indexed,
    item,
    sum_over,
    unbroadcast,
    zero_kind,
    zeros_like,
)
from etude.autodiff.rules.registry import INTEGER, NUMBER, OTHER, arithmetic_kind, constant, define, elementwise


def items_kind(items: Kind) -> Kind:
    """The kind that holds each item of a sequence."""
    match items:
        case List(item=Kind() as kind):
            return kind
        case Tuple() if items.items:
            return reduce(join, items.items)
        case Array():
            return indexed(items, index=0)
        case _:
            return UNKNOWN


def spread_over(d: Any, like: Any) -> Any:
    """A sequence like another, with d at each place, summed over the axes along which the item there was broadcast."""
    match like:
        case np.ndarray():
            return np.broadcast_to(d, like.shape)
        case _:
            return type(like)(sum_over(d, part) for part in like)


def position_of(value: Any, *values: Any) -> int:
    """Where a value stands first among values, or in a single sequence."""
    return list(values[0] if len(values) == 1 else values).index(value)


def extremum(name: str, function: Callable[..., Any], first: Primitive, second: Primitive) -> Primitive:
    """`max` or `min` of numbers or of one sequence: the derivative is that of the first place where it is attained.

    Args:
        name: the primitive's name; `max` and `min` are NumPy's.
        function: the built-in function.
        first: the comparison that holds if of two numbers the first is taken.
        second: the one that holds if the second is.
    """

    def among(d: Any, z: Any, *numbers: Any, position: int) -> Any:
        if len(numbers) > 2:
            return select(eq(place(z, *numbers), position), d, 0.0)
        x, y = numbers
        return select(second(y, x) if position else first(x, y), d, 0.0)

    def forward(d: Any, z: Any, *values: Any, position: int) -> Any:
        return among(d, z, *values, position=position) if len(values) > 1 else item(d, index=place(z, *values))

    def reverse(d: Any, z: Any, *values: Any, position: int) -> Any:
        if len(values) > 1:
            return among(d, z, *values, position=position)
        return add_at(zeros_like(*values), d, index=place(z, *values))

    return define(
        name,
        function,
        kind=lambda *kinds: reduce(join, kinds) if len(kinds) > 1 else items_kind(*kinds),
        template=f"{function.__name__}({{*}})",
        functions=(function,),
        variadic=True,
        forward=(forward,),
        reverse=(reverse,),
    )


def fill(*values: Any, text: str) -> str:
    """The text of an f-string, as a format string, with its values."""
    return text.format(*values)


def fail(*details: Any, error: Callable[..., BaseException]) -> NoReturn:
    """Raise an error with its details."""
    raise error(*details)


place = constant("place", position_of, kind=INTEGER)
spread: Primitive = define(
    "spread",
    spread_over,
    kind=lambda d, like: zero_kind(like),
    forward=(lambda t, z, d, like: spread(t, like), None),
    reverse=(lambda t, z, d, like: broadcast_like(sum_items(t), d), None),
)
sum_items: Primitive = define(
    "sum_items",
    sum,
    kind=lambda items, *start: arithmetic_kind(
        *(items.items if isinstance(items, Tuple) else [items_kind(items)]), *start
    ),
    template="sum({*})",
    functions=(sum,),
    forward=(lambda d, z, items, *start: sum_items(d), lambda d, z, items, start: broadcast_like(d, z)),
    reverse=(lambda d, z, items, *start: spread(d, items), lambda d, z, items, start: unbroadcast(d, start)),
)
extremum("largest", max, ge, gt)
extremum("smallest", min, le, lt)
elementwise("float", float, lambda d, y, x: d, kind=NUMBER, template="float({0})", functions=(float,))
constant("int", int, kind=INTEGER, template="int({0})", functions=(int,))
constant("bool", bool, kind=INTEGER, template="bool({0})", functions=(bool,))
constant("any_item", any, kind=INTEGER, template="any({0})", functions=(any,))
constant("all_items", all, kind=INTEGER, template="all({0})", functions=(all,))
constant(
    "round",
    round,
    kind=lambda x, *digits: Integer() if isinstance(x, Number) and not digits else arithmetic_kind(x),
    template="round({*})",
    functions=(round,),
)
constant("isinstance", isinstance, kind=INTEGER, template="isinstance({*})", functions=(isinstance,))
constant("str", str, kind=OTHER, template="str({0})", functions=(str,))
constant("repr", repr, kind=OTHER, template="repr({0})", functions=(repr,))
constant("format", fill, kind=OTHER)
constant(
    "print",
    print,
    kind=OTHER,
    template="print({*})",
    functions=(print,),
    names=("sep", "end", "file", "flush"),
    effect=True,
)
constant("raise_", fail, kind=OTHER, effect=True)
