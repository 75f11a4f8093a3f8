"""Dual numbers a + b eps with eps^2 = 0, and hyper-dual numbers for second derivatives.

For an analytic f, f(a + b eps) = f(a) + b f'(a) eps: the further terms of the Taylor series hold eps^2. So a program
run on dual numbers computes its derivative beside its value (course/004, "The algebra behind autodiff: dual numbers").
Nothing is transformed: this is a second, independent way to forward mode, from the same table of rules.

    >>> x = Dual(3.0, 1.0)
    >>> x * x + 1
    Dual(10.0, 6.0)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import count
from operator import add
from typing import Any

import numpy as np

import etude.autodiff.rules  # noqa: F401, the tables are filled by importing it
from etude.autodiff.kinds import kind_of
from etude.autodiff.primitives import (
    ATTRIBUTES,
    FUNCTIONS,
    METHODS,
    PRIMITIVES,
    Binding,
    Builder,
    Primitive,
    Rule,
    Symbol,
)
from etude.autodiff.program import Atom, Constant, Variable


def _unary(name: str) -> Callable[[Any], Any]:
    return lambda self: apply(PRIMITIVES[name], self)


def _binary(name: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: apply(PRIMITIVES[name], self, other)


def _swapped(name: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: apply(PRIMITIVES[name], other, self)


class Perturbed:
    """A number or array with perturbations: Python's operators and NumPy's protocols, by the rules of the primitives.

    Comparisons, truth and length are those of the value. NumPy's functions, methods and attributes work as far as they
    have rules, without `out`, `where` and `dtype`. The functions of `math` take floats only: use NumPy's.
    """

    __neg__, __pos__, __abs__ = _unary("negate"), _unary("positive"), _unary("abs")
    __add__, __radd__ = _binary("add"), _swapped("add")
    __sub__, __rsub__ = _binary("sub"), _swapped("sub")
    __mul__, __rmul__ = _binary("mul"), _swapped("mul")
    __truediv__, __rtruediv__ = _binary("div"), _swapped("div")
    __floordiv__, __rfloordiv__ = _binary("floordiv"), _swapped("floordiv")
    __mod__, __rmod__ = _binary("mod"), _swapped("mod")
    __pow__, __rpow__ = _binary("pow"), _swapped("pow")
    __matmul__, __rmatmul__ = _binary("matmul"), _swapped("matmul")
    __lt__, __le__, __gt__, __ge__ = _binary("lt"), _binary("le"), _binary("gt"), _binary("ge")
    __eq__, __ne__ = _binary("eq"), _binary("ne")

    def __hash__(self) -> int:
        return hash(primal(self))

    def __bool__(self) -> bool:
        return bool(primal(self))

    def __len__(self) -> int:
        return len(primal(self))

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        return apply(PRIMITIVES["item"], self, index=index)

    def __float__(self) -> float:
        raise TypeError("a float would lose the derivative: use NumPy's functions, not those of math")

    def __getattr__(self, name: str) -> Any:
        if name in ATTRIBUTES:
            return apply(ATTRIBUTES[name], self)
        if name in METHODS:
            return lambda *given, **named: _call(METHODS[name], (self, *given), named)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __array_ufunc__(self, ufunc: Any, method: str, *given: Any, **named: Any) -> Any:
        if method != "__call__" or ufunc not in FUNCTIONS:
            return NotImplemented
        return _call(FUNCTIONS[ufunc], given, named)

    def __array_function__(self, function: Any, types: Any, given: Sequence[Any], named: dict[str, Any]) -> Any:
        return _call(FUNCTIONS[function], given, named) if function in FUNCTIONS else NotImplemented


@dataclass(frozen=True, eq=False)
class Dual(Perturbed):
    """value + derivative eps, with eps^2 = 0.

    Attributes:
        value: a number of any type (ints and Fractions stay exact) or an array.
        derivative: a number, or an array of the shape of `value`.
        level: which eps. Numbers of one level share theirs; of two levels, the lower is a constant to the higher.
    """

    value: Any
    derivative: Any
    level: int = field(default=2, repr=False)

    def __repr__(self) -> str:
        return f"Dual({self.value!r}, {self.derivative!r})"


@dataclass(frozen=True, eq=False)
class HyperDual(Perturbed):
    """value + first e1 + second e2 + mixed e1 e2, with e1^2 = e2^2 = 0: second derivatives without rounding of steps.

    f(x + e1 + e2) = f(x) + f'(x) (e1 + e2) + f''(x) e1 e2. With e1 and e2 at different arguments, `mixed` is the mixed
    derivative. A hyper-dual number is a constant to dual numbers.

    Source: Fike & Alonso 2011, "The development of hyper-dual numbers for exact second-derivative calculations".

    Attributes:
        value: a number or an array.
        first: what multiplies e1, of the same shape.
        second: what multiplies e2.
        mixed: what multiplies e1 e2.
    """

    value: Any
    first: Any
    second: Any
    mixed: Any

    def __repr__(self) -> str:
        return f"HyperDual({self.value!r}, {self.first!r}, {self.second!r}, {self.mixed!r})"


def derivative(f: Callable[[Any], Any], x: Any) -> Any:
    """The derivative at the number x of a function of one number. Calls nest, each with an eps of its own."""
    return directional(f, (x,), (1,))[1]


def second_derivative(f: Callable[[Any], Any], x: Any) -> Any:
    """The second derivative at the number x of a function of one number. Calls nest, like those of `derivative`."""
    return derivative(lambda y: derivative(f, y), x)


def directional(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of f(*primals) and its derivative in the direction of the tangents.

    Args:
        f: a function of numbers and arrays to a number, an array, or a tuple or list of such.
        primals: the arguments.
        tangents: for each argument its change, of the same shape.
    """
    level = next(_levels)
    result = f(*(Dual(primal, tangent, level) for primal, tangent in zip(primals, tangents, strict=True)))
    return _value(result, level), _derivative(result, level)


_levels = count(3)
"""Every directional derivative has a level of its own, above that of any begun before (Siskind & Pearlmutter 2008)."""


def primal(x: Any) -> Any:
    """What is left of a value, or a container of values, when every eps is 0."""
    match x:
        case Dual():
            return primal(x.value)
        case HyperDual():
            return x.value
        case tuple() | list():
            return type(x)(map(primal, x))
        case _:
            return x


def apply(primitive: Primitive, *inputs: Any, **keywords: Any) -> Any:
    """A primitive at numbers, arrays and containers of them, some of which are dual.

    At the highest level among the inputs it is the primitive of the values, and for its derivative the sum over the
    inputs of the primitive's forward rules.
    """
    level = max(map(_level, inputs), default=0)
    if level == 0:
        return primitive.evaluate(*inputs, **keywords)
    if level == 1:
        return _hyper(apply(primitive, *map(_nested, inputs), **keywords))
    values = [_value(x, level) for x in inputs]
    changes = [_change(x, level) for x in inputs]
    result = apply(primitive, *values, **keywords)
    change = _sum(primitive, result, values, changes, keywords)
    if change is None:
        return result
    if primitive.elementwise and np.shape(primal(change)) != np.shape(primal(result)):
        change = apply(PRIMITIVES["broadcast_like"], change, result)
    return Dual(result, change, level)


def _call(binding: Binding, given: Sequence[Any], named: dict[str, Any]) -> Any:
    """A call of a function of NumPy by a user, as its primitive's."""
    inputs, keywords = binding.arguments([Constant(x) for x in given], {key: Constant(x) for key, x in named.items()})
    return apply(binding.primitive, *(_content(x) for x in inputs), **{key: _content(x) for key, x in keywords.items()})


def _content(atom: Atom) -> Any:
    return atom.value if isinstance(atom, Constant | Held) else None


def _sum(primitive: Primitive, result: Any, inputs: list[Any], changes: list[Any], keywords: dict[str, Any]) -> Any:
    """The change of a result for changes of the inputs, None where they are zero; None if it is zero."""
    if _level([result, inputs, changes]):
        result, *inputs = map(_symbol, (result, *inputs))
        changes = [None if change is None else _symbol(change) for change in changes]
    if primitive.joint_forward is not None:
        return _unwrapped(primitive.joint_forward(result, inputs, changes, **keywords))
    terms = []
    for position, (rule, change) in enumerate(zip(_rules(primitive, len(inputs)), changes, strict=False)):
        if rule is not None and change is not None:
            named = {"position": position, **keywords} if primitive.variadic else keywords
            terms.append(rule(change, result, *inputs, **named))
    return _unwrapped(reduce(add, terms)) if terms else None


def _rules(primitive: Primitive, inputs: int) -> Sequence[Rule | None]:
    return [*primitive.forward] * inputs if primitive.variadic else primitive.forward


def _level(x: Any) -> int:
    """The highest level in a value: that of a dual number, 1 for hyper-dual ones, 0 without any."""
    match x:
        case Dual():
            return x.level
        case HyperDual():
            return 1
        case tuple() | list():
            return max(map(_level, x), default=0)
        case _:
            return 0


def _value(x: Any, level: int) -> Any:
    """What is left of x when the eps of this level is 0."""
    match x:
        case Dual() if x.level == level:
            return x.value
        case tuple() | list():
            return type(x)(_value(item, level) for item in x)
        case _:
            return x


def _change(x: Any, level: int) -> Any:
    """What the eps of this level multiplies in x, None if nothing."""
    match x:
        case Dual() if x.level == level:
            return x.derivative
        case tuple() | list() if _level(x) == level:
            return type(x)(_derivative(item, level) for item in x)
        case _:
            return None


def _derivative(x: Any, level: int) -> Any:
    """What the eps of this level multiplies in x, zeros if nothing."""
    change = _change(x, level)
    return PRIMITIVES["zeros_like"].evaluate(primal(x)) if change is None else change


def _nested(x: Any) -> Any:
    """A hyper-dual number as a dual number whose parts are dual numbers of a lower level."""
    match x:
        case HyperDual():
            return Dual(Dual(x.value, x.first, 2), Dual(x.second, x.mixed, 2), 3)
        case tuple() | list():
            return type(x)(map(_nested, x))
        case _:
            return x


def _hyper(x: Any) -> Any:
    """The hyper-dual number that `_nested` nested."""
    if _level(x) == 0:
        return x
    value, change = _value(x, 3), _derivative(x, 3)
    return HyperDual(_value(value, 2), _derivative(value, 2), _value(change, 2), _derivative(change, 2))


@dataclass(eq=False)
class Held(Variable):
    """A variable of a program that runs while it is written."""

    value: Any = None


class Running(Builder):
    """Runs what a rule writes: so the rules of a higher level meet the dual numbers of lower ones, as symbols."""

    def emit(self, primitive: Primitive, *inputs: Atom, name: str = "t", **keywords: Atom) -> Variable:
        named = {key: _content(atom) for key, atom in keywords.items()}
        return _held(apply(primitive, *map(_content, inputs), **named))


def _held(x: Any) -> Held:
    return Held("", kind_of(primal(x)), value=x)


def _symbol(x: Any) -> Any:
    return Symbol(_held(x) if _level(x) else Constant(x), Running())


def _unwrapped(x: Any) -> Any:
    return _content(x.atom) if isinstance(x, Symbol) else x
