"""Arithmetic and comparisons: what Python's operators mean for numbers and arrays."""

import math
import operator
from dataclasses import replace
from typing import Any

import numpy as np

from etude.autodiff.kinds import UNKNOWN, Array, Kind
from etude.autodiff.primitives import PRIMITIVES
from etude.autodiff.rules.registry import INTEGER, arithmetic_kind, constant, elementwise, known, numeric, truth_kind


def select(condition: Any, then: Any, otherwise: Any) -> Any:
    """`then` where the condition holds, else `otherwise`: `np.where`, or for numbers a conditional expression."""
    return PRIMITIVES["select" if numeric(condition, then, otherwise) else "where"](condition, then, otherwise)


def divisor(d: Any, z: Any, x: Any, y: Any) -> Any:
    """-d z / y with z = x / y; for a constant numerator -d x / y^2, as on the slide of course/004, module 10."""
    match known(x):
        case None:
            return -(d / y * z)
        case 1:
            return -(d / (y * y))
        case _:
            return -(d * x / (y * y))


def base(d: Any, z: Any, x: Any, n: Any) -> Any:
    """d n x^(n - 1), and 0 where n is 0, whatever x is."""
    match known(n):
        case None:
            return d * (n * select(eq(n, 0), select(eq(x, 0), 1.0, x), x) ** (n - 1))
        case 0:
            return d * 0.0
        case 1:
            return d
        case 2:
            return d * (2 * x)
        case exponent:
            return d * (exponent * x ** (exponent - 1))


def exponent(d: Any, z: Any, x: Any, n: Any) -> Any:
    """d x^n log x, 0 where x is 0, not a number where x is negative."""
    number = known(x)
    if number is not None and number > 0:
        return d * (math.log(number) * z)
    if numeric(x):
        return d * (z * PRIMITIVES["math.log"](select(gt(x, 0), x, select(eq(x, 0), 1.0, math.nan))))
    return d * (z * PRIMITIVES["log"](select(eq(x, 0), 1.0, x)))


def where_kind(condition: Kind, x: Kind, y: Kind) -> Kind:
    """The kind of `np.where`: the condition broadcasts too, but does not make an array real."""
    found = arithmetic_kind(condition, x, y)
    if isinstance(found, Array):
        return replace(found, real=x.differentiable or y.differentiable)
    return found if found == UNKNOWN else arithmetic_kind(x, y)


add = elementwise(
    "add",
    operator.add,
    lambda d, z, x, y: d,
    lambda d, z, x, y: d,
    kind=arithmetic_kind,
    template="{0} + {1}",
    precedence=5,
    functions=(operator.add, np.add),
)
sub = elementwise(
    "sub",
    operator.sub,
    lambda d, z, x, y: d,
    lambda d, z, x, y: -d,
    kind=arithmetic_kind,
    template="{0} - {1}",
    precedence=5,
    functions=(operator.sub, np.subtract),
)
mul = elementwise(
    "mul",
    operator.mul,
    lambda d, z, x, y: d * y,
    lambda d, z, x, y: x * d,
    kind=arithmetic_kind,
    template="{0} * {1}",
    precedence=6,
    functions=(operator.mul, np.multiply),
)
div = elementwise(
    "div",
    operator.truediv,
    lambda d, z, x, y: d / y,
    divisor,
    template="{0} / {1}",
    precedence=6,
    functions=(operator.truediv, np.divide),
)
power = elementwise(
    "pow",
    operator.pow,
    base,
    exponent,
    kind=arithmetic_kind,
    template="{0} ** {1}",
    precedence=8,
    functions=(operator.pow, pow, np.power, np.float_power),
)
negate = elementwise(
    "negate",
    operator.neg,
    lambda d, z, x: -d,
    kind=arithmetic_kind,
    template="-{0}",
    precedence=7,
    functions=(operator.neg, np.negative),
)
floordiv = constant(
    "floordiv",
    operator.floordiv,
    kind=arithmetic_kind,
    template="{0} // {1}",
    precedence=6,
    functions=(operator.floordiv, np.floor_divide),
)
mod = elementwise(
    "mod",
    operator.mod,
    lambda d, z, x, y: d,
    lambda d, z, x, y: -(d * floordiv(x, y)),
    kind=arithmetic_kind,
    template="{0} % {1}",
    precedence=6,
    functions=(operator.mod, np.remainder),
)
positive = elementwise(
    "positive",
    operator.pos,
    lambda d, z, x: d,
    kind=arithmetic_kind,
    template="+{0}",
    precedence=7,
    functions=(operator.pos, np.positive),
)

lt, le, gt, ge, eq, ne = (
    constant(name, compare, kind=truth_kind, template=f"{{0}} {sign} {{1}}", precedence=4, functions=(compare, ufunc))
    for name, sign, compare, ufunc in (
        ("lt", "<", operator.lt, np.less),
        ("le", "<=", operator.le, np.less_equal),
        ("gt", ">", operator.gt, np.greater),
        ("ge", ">=", operator.ge, np.greater_equal),
        ("eq", "==", operator.eq, np.equal),
        ("ne", "!=", operator.ne, np.not_equal),
    )
)
constant("is_", operator.is_, kind=INTEGER, template="{0} is {1}", precedence=4)
constant("is_not", operator.is_not, kind=INTEGER, template="{0} is not {1}", precedence=4)
constant("in_", lambda item, items: item in items, kind=INTEGER, template="{0} in {1}", precedence=4)
constant("not_in", lambda item, items: item not in items, kind=INTEGER, template="{0} not in {1}", precedence=4)
constant("not_", operator.not_, kind=INTEGER, template="not {0}", precedence=3, functions=(operator.not_,))

for name, bitwise, ufunc in (
    ("bit_and", operator.and_, np.bitwise_and),
    ("bit_or", operator.or_, np.bitwise_or),
    ("bit_xor", operator.xor, np.bitwise_xor),
    ("bit_not", operator.invert, np.bitwise_not),
    ("shift_left", operator.lshift, np.left_shift),
    ("shift_right", operator.rshift, np.right_shift),
):
    constant(name, bitwise, kind=arithmetic_kind, template=f"np.{ufunc.__name__}({{*}})", functions=(bitwise, ufunc))

where = elementwise(
    "where",
    np.where,
    None,
    lambda d, z, condition, x, y: select(condition, d, 0.0),
    lambda d, z, condition, x, y: select(condition, 0.0, d),
    kind=where_kind,
    template="np.where({*})",
    functions=(np.where,),
    names=("condition", "x", "y"),
    inputs=3,
)
choose = elementwise(
    "select",
    lambda condition, x, y: x if condition else y,
    None,
    lambda d, z, condition, x, y: select(condition, d, 0.0),
    lambda d, z, condition, x, y: select(condition, 0.0, d),
    kind=lambda condition, x, y: arithmetic_kind(x, y),
    template="({1} if {0} else {2})",
)
