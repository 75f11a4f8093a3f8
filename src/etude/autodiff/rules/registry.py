"""How rules enter the tables of primitives: small functions that create a primitive and say which calls become it."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from etude.autodiff.kinds import UNKNOWN, Array, Dict, Integer, Kind, List, Number, Other, Tuple, broadcast, kind_of
from etude.autodiff.primitives import FUNCTIONS, PRIMITIVES, Binding, Primitive, Rule, Symbol, atom
from etude.autodiff.program import Constant

KindRule = Callable[..., Kind]


def define(
    name: str,
    evaluate: Callable[..., Any],
    *,
    kind: KindRule,
    functions: Iterable[Any] = (),
    names: tuple[str, ...] = (),
    inputs: int | None = None,
    described: bool = False,
    **fields: Any,
) -> Primitive:
    """A new primitive in PRIMITIVES, with a binding for each of the `functions` that users call.

    Args:
        name: the primitive's name.
        evaluate: computes it.
        kind: the kind of its result.
        functions: the Python functions that become it.
        names: the parameters of those functions, inputs first (`Binding.names`).
        inputs: how many of them are inputs; None: all that are given by position.
        described: whether `kind` makes do with the kind of a keyword; otherwise it is asked only if all keywords are
            known, and nothing is known of the result if they are not.
        fields: the other fields of `Primitive`.
    """

    def careful(*kinds: Kind, **keywords: Any) -> Kind:
        return UNKNOWN if any(isinstance(value, Kind) for value in keywords.values()) else kind(*kinds, **keywords)

    assert name not in PRIMITIVES, name
    primitive = PRIMITIVES[name] = Primitive(name, evaluate, kind if described else careful, **fields)
    for function in functions:
        bind(function, primitive, names, inputs)
    return primitive


def bind(
    function: Any, primitive: Primitive, names: tuple[str, ...] = (), inputs: int | None = None, **fixed: Any
) -> None:
    """Let calls of a Python function become a primitive's."""
    FUNCTIONS[function] = Binding(primitive, names, inputs, fixed)


def elementwise(
    name: str,
    evaluate: Callable[..., Any],
    *rules: Rule | None,
    kind: KindRule | None = None,
    **fields: Any,
) -> Primitive:
    """A function applied element by element, with broadcasting: one rule for each input serves both modes."""
    return define(name, evaluate, kind=kind or real_kind, forward=rules, reverse=rules, elementwise=True, **fields)


def constant(name: str, evaluate: Callable[..., Any], *, kind: KindRule, **fields: Any) -> Primitive:
    """A function whose result has no derivative, whatever its inputs are."""
    return define(name, evaluate, kind=kind, **fields)


def known(value: Any) -> Any:
    """The number that a rule's input is bound to be, None if it is a variable or an array."""
    found = atom(value)
    return found.value if isinstance(found, Constant) and not found.name and np.ndim(found.value) == 0 else None


def numeric(*values: Any) -> bool:
    """Whether a rule's inputs are known to be numbers, not arrays."""
    kinds = (value.kind if isinstance(value, Symbol) else kind_of(value) for value in values)
    return all(isinstance(kind, (Number, Integer)) for kind in kinds)


def real_kind(*kinds: Kind) -> Kind:
    """The kind of an elementwise function whose result is of floating point even for integers.

    Raises:
        TypeError: for a list or tuple, whose derivative would have to be one too.
    """
    if any(isinstance(kind, List | Tuple | Dict) for kind in kinds):
        raise TypeError("this needs numbers or arrays: make an array of the list with np.array")
    return broadcast(kinds)


def arithmetic_kind(*kinds: Kind) -> Kind:
    """The kind of sums and products: as `real_kind`, but integers stay integers, and `text % values` is text."""
    if any(isinstance(kind, Other) for kind in kinds):
        return Other()
    if all(isinstance(kind, Integer) for kind in kinds):
        return Integer()
    found = real_kind(*kinds)
    return replace(found, real=any(kind.differentiable for kind in kinds)) if isinstance(found, Array) else found


def truth_kind(*kinds: Kind) -> Kind:
    """The kind of comparisons: a truth value, or an array of them."""
    if any(isinstance(kind, Array) for kind in kinds):
        found = broadcast(kinds)
        return replace(found, real=False) if isinstance(found, Array) else UNKNOWN
    return UNKNOWN if UNKNOWN in kinds else Integer()


def always(kind: Kind) -> KindRule:
    """The kind of a function that returns one kind whatever it is given."""
    return lambda *kinds, **keywords: kind


INTEGER = always(Integer())
NUMBER = always(Number())
OTHER = always(Other())
