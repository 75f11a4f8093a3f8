"""Functions of numbers, applied element by element: those of NumPy, each with its twin in `math` if there is one.

Where a function has a kink, the derivative is a value between those on its two sides: 0 for `abs` at 0, and half of the
change for each argument of `maximum` and `minimum` where they are equal.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from etude.autodiff.kinds import Other
from etude.autodiff.primitives import PRIMITIVES, Primitive, Rule
from etude.autodiff.rules.arithmetic import base, eq, exponent, gt, lt, select
from etude.autodiff.rules.registry import (
    INTEGER,
    NUMBER,
    KindRule,
    arithmetic_kind,
    bind,
    constant,
    elementwise,
    numeric,
    real_kind,
    truth_kind,
)


def function(
    name: str,
    ufunc: Any,
    *rules: Rule | None,
    twin: Callable[..., Any] | None = None,
    kind: KindRule = real_kind,
    also: tuple[Any, ...] = (),
) -> Primitive:
    """A function of NumPy with its rules, which `also` has other names, and its twin in `math` with the same rules."""
    scalar = of_math(twin, *rules) if twin else None
    template = f"np.{ufunc.__name__}({{*}})"
    return elementwise(name, ufunc, *rules, template=template, functions=(ufunc, *also), scalar=scalar, kind=kind)


def of_math(function: Callable[..., Any], *rules: Rule | None, **fields: Any) -> Primitive:
    """A function of the module `math`, of numbers alone."""
    name = f"math.{function.__name__}"
    return elementwise(name, function, *rules, kind=NUMBER, template=f"{name}({{*}})", functions=(function,), **fields)


def step(
    name: str, ufunc: Any, twin: Callable[..., Any] | None = None, *, kind: KindRule = arithmetic_kind
) -> Primitive:
    """A function of NumPy whose derivative is zero wherever it has one, and its twin in `math`, of whole numbers."""
    scalar = None
    if twin:
        spelling = f"math.{twin.__name__}"
        scalar = constant(spelling, twin, kind=INTEGER, template=f"{spelling}({{*}})", functions=(twin,))
    template = f"np.{ufunc.__name__}({{*}})"
    return constant(name, ufunc, kind=kind, template=template, functions=(ufunc,), scalar=scalar)


def slope(x: Any) -> Any:
    """The derivative of |x|: the sign of x."""
    return select(eq(x, 0), 0.0, PRIMITIVES["math.copysign"](1.0, x)) if numeric(x) else sign(x)


def hypotenuse(d: Any, z: Any, *sides: Any, position: int) -> Any:
    return d * (sides[position] / z)


def logarithm(d: Any, z: Any, x: Any, base: Any = None) -> Any:
    return d / x if base is None else d / (x * log(base))


copysign: Primitive = function(
    "copysign",
    np.copysign,
    lambda d, z, x, y: d * (copysign(1.0, x) * copysign(1.0, y)),
    None,
    twin=math.copysign,
)
sign = step("sign", np.sign)
trunc = step("trunc", np.trunc, math.trunc)
bind(np.fix, trunc)
step("floor", np.floor, math.floor)
step("ceil", np.ceil, math.ceil)
step("rint", np.rint)
step("isnan", np.isnan, math.isnan, kind=truth_kind)
step("isinf", np.isinf, math.isinf, kind=truth_kind)
step("isfinite", np.isfinite, math.isfinite, kind=truth_kind)
step("signbit", np.signbit, kind=truth_kind)
step("logical_and", np.logical_and, kind=truth_kind)
step("logical_or", np.logical_or, kind=truth_kind)
step("logical_xor", np.logical_xor, kind=truth_kind)
step("logical_not", np.logical_not, kind=truth_kind)
constant(
    "around",
    np.round,
    kind=lambda x, decimals=0: arithmetic_kind(x),
    template="np.round({*})",
    functions=(np.round, np.around),
    names=("a", "decimals"),
)
for counting in (math.factorial, math.comb, math.perm, math.gcd, math.lcm, math.isqrt):
    spelling = f"math.{counting.__name__}"
    constant(spelling, counting, kind=INTEGER, template=f"{spelling}({{*}})", functions=(counting,))
constant(
    "math.isclose",
    math.isclose,
    kind=INTEGER,
    template="math.isclose({*})",
    functions=(math.isclose,),
    names=("rel_tol", "abs_tol"),
)
constant(
    "isclose",
    np.isclose,
    kind=lambda a, b, **_: truth_kind(a, b),
    template="np.isclose({*})",
    functions=(np.isclose,),
    names=("a", "b", "rtol", "atol", "equal_nan"),
    inputs=2,
)

sin: Primitive = function("sin", np.sin, lambda d, y, x: d * cos(x), twin=math.sin)
cos: Primitive = function("cos", np.cos, lambda d, y, x: -(d * sin(x)), twin=math.cos)
tan = function("tan", np.tan, lambda d, y, x: d * (1 + y * y), twin=math.tan)
arcsin = function("arcsin", np.arcsin, lambda d, y, x: d / sqrt(1 - x * x), twin=math.asin)
arccos = function("arccos", np.arccos, lambda d, y, x: -(d / sqrt(1 - x * x)), twin=math.acos)
arctan = function("arctan", np.arctan, lambda d, y, x: d / (1 + x * x), twin=math.atan)
sinh: Primitive = function("sinh", np.sinh, lambda d, y, x: d * cosh(x), twin=math.sinh)
cosh: Primitive = function("cosh", np.cosh, lambda d, y, x: d * sinh(x), twin=math.cosh)
tanh = function("tanh", np.tanh, lambda d, y, x: d * (1 - y * y), twin=math.tanh)
arcsinh = function("arcsinh", np.arcsinh, lambda d, y, x: d / sqrt(1 + x * x), twin=math.asinh)
arccosh = function("arccosh", np.arccosh, lambda d, y, x: d / sqrt((x - 1) * (x + 1)), twin=math.acosh)
arctanh = function("arctanh", np.arctanh, lambda d, y, x: d / (1 - x * x), twin=math.atanh)
exp = function("exp", np.exp, lambda d, y, x: d * y, twin=math.exp)
expm1 = function("expm1", np.expm1, lambda d, y, x: d * (y + 1), twin=math.expm1)
exp2 = function("exp2", np.exp2, lambda d, y, x: d * (math.log(2) * y), twin=math.exp2)
log2 = function("log2", np.log2, lambda d, y, x: d / (math.log(2) * x), twin=math.log2)
log10 = function("log10", np.log10, lambda d, y, x: d / (math.log(10) * x), twin=math.log10)
log1p = function("log1p", np.log1p, lambda d, y, x: d / (1 + x), twin=math.log1p)
sqrt: Primitive = function("sqrt", np.sqrt, lambda d, y, x: d / (2 * y), twin=math.sqrt)
cbrt = function("cbrt", np.cbrt, lambda d, y, x: d / (3 * (y * y)), twin=math.cbrt)
arctan2 = function(
    "arctan2",
    np.arctan2,
    lambda d, z, y, x: d * (x / (x * x + y * y)),
    lambda d, z, y, x: -(d * (y / (x * x + y * y))),
    twin=math.atan2,
)
log: Primitive = elementwise(
    "log",
    np.log,
    logarithm,
    template="np.log({0})",
    functions=(np.log,),
    scalar=of_math(math.log, logarithm, lambda d, z, x, base: -(d * (z / (base * log(base))))),
)
square = function("square", np.square, lambda d, y, x: 2 * x * d, kind=arithmetic_kind)
reciprocal = function("reciprocal", np.reciprocal, lambda d, y, x: -(d * (y * y)))
absolute = elementwise(
    "abs",
    abs,
    lambda d, y, x: d * slope(x),
    kind=arithmetic_kind,
    template="abs({0})",
    functions=(abs, np.absolute),
)
function("fabs", np.fabs, lambda d, y, x: d * slope(x), twin=math.fabs)
function("degrees", np.degrees, lambda d, y, x: d * (180 / math.pi), twin=math.degrees, also=(np.rad2deg,))
function("radians", np.radians, lambda d, y, x: d * (math.pi / 180), twin=math.radians, also=(np.deg2rad,))
function("fmod", np.fmod, lambda d, z, x, y: d, lambda d, z, x, y: -(d * trunc(x / y)), twin=math.fmod)
function("hypot", np.hypot, lambda d, z, x, y: d * (x / z), lambda d, z, x, y: d * (y / z))
function("logaddexp", np.logaddexp, lambda d, z, x, y: d * exp(x - z), lambda d, z, x, y: d * exp(y - z))
function("logaddexp2", np.logaddexp2, lambda d, z, x, y: d * exp2(x - z), lambda d, z, x, y: d * exp2(y - z))
heaviside = function("heaviside", np.heaviside, None, lambda d, z, x, y: d * eq(x, 0))
function(
    "maximum",
    np.maximum,
    lambda d, z, x, y: d * heaviside(x - y, 0.5),
    lambda d, z, x, y: d * heaviside(y - x, 0.5),
    kind=arithmetic_kind,
)
function(
    "minimum",
    np.minimum,
    lambda d, z, x, y: d * heaviside(y - x, 0.5),
    lambda d, z, x, y: d * heaviside(x - y, 0.5),
    kind=arithmetic_kind,
)
elementwise(
    "clip",
    np.clip,
    lambda d, z, x, low, high: d * eq(x, z),
    lambda d, z, x, low, high: d * lt(x, low),
    lambda d, z, x, low, high: d * gt(x, high),
    kind=lambda x, *bounds: arithmetic_kind(x, *(bound for bound in bounds if not isinstance(bound, Other))),
    template="np.clip({*})",
    functions=(np.clip,),
    names=("a", "a_min", "a_max"),
    inputs=3,
)
of_math(math.erf, lambda d, y, x: d * (2 / math.sqrt(math.pi) * exp(-(x * x))))
of_math(math.erfc, lambda d, y, x: d * (-2 / math.sqrt(math.pi) * exp(-(x * x))))
of_math(math.pow, base, exponent)
of_math(math.hypot, hypotenuse, variadic=True)
