"""The adjoints that reverse mode has found so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from etude.autodiff.forward import zero
from etude.autodiff.kinds import Array, Dict, Integer, Kind, Number, Other, Tuple
from etude.autodiff.primitives import PRIMITIVES, Builder, Primitive
from etude.autodiff.program import ZERO, Atom, Constant, Variable


@dataclass
class Adjoints:
    """The adjoints known so far, of variables that no statement yet to come assigns.

    Attributes:
        values: the adjoint of each variable that has one.
        parts: for tuples and dictionaries, the adjoints of their items that are not yet in `values`.
        owned: the variables whose adjoint nobody else holds, so that it may be added to in place.
        indexed: the variables whose adjoint has been added to item by item.
    """

    varying: set[Variable]
    values: dict[Variable, Atom] = field(default_factory=dict)
    parts: dict[Variable, dict[Any, Atom]] = field(default_factory=dict)
    owned: set[Variable] = field(default_factory=set)
    indexed: set[Variable] = field(default_factory=set)

    def add(self, builder: Builder, variable: Atom, contribution: Atom) -> None:
        """Add what one use of a variable contributes."""
        if variable not in self.varying:
            return
        self.settle(builder, variable)
        if variable not in self.values:
            self.values[variable] = contribution
            return
        before = self.values[variable]
        if variable in self.owned and isinstance(variable.kind, Array):
            self.at(builder, variable, Constant(...), contribution)
            return
        self.values[variable] = builder.emit(total(variable.kind), before, contribution, name=f"d_d{variable.name}")
        self.owned.discard(variable)

    def at(self, builder: Builder, variable: Atom, index: Atom, contribution: Atom) -> None:
        """Add what a use of `variable[index]` contributes, in place."""
        if variable not in self.varying:
            return
        free = variable not in self.values and _keys(variable.kind)
        if free and isinstance(index, Constant) and not index.name and not isinstance(index.value, slice):
            parts = self.parts.setdefault(variable, {})
            key = index.value % len(variable.kind.items) if isinstance(variable.kind, Tuple) else index.value
            before = parts.get(key)
            kind = dict(_keys(variable.kind))[key]
            parts[key] = contribution if before is None else builder.emit(total(kind), before, contribution)
            return
        self.own(builder, variable)
        self.indexed.add(variable)
        self.values[variable] = builder.emit(
            PRIMITIVES["add_at"], self.values[variable], contribution, name=f"d_d{variable.name}", index=index
        )

    def settle(self, builder: Builder, variable: Atom) -> None:
        """Make the adjoint of a tuple or dictionary from those of its items."""
        if variable not in self.parts:
            return
        parts = self.parts.pop(variable)
        items: list[Atom] = []
        for key, kind in _keys(variable.kind):
            if key not in parts and not isinstance(kind, Number | Integer | Other):
                part = builder.emit(PRIMITIVES["item"], variable, index=Constant(key))
                parts[key] = builder.emit(PRIMITIVES["zeros_like"], part)
            items.append(parts.get(key, ZERO))
        if isinstance(variable.kind, Tuple):
            self.values[variable] = builder.emit(PRIMITIVES["tuple"], *items, name=f"d_d{variable.name}")
        else:
            keys = Constant(tuple(key for key, _ in _keys(variable.kind)))
            self.values[variable] = builder.emit(PRIMITIVES["dict"], *items, name=f"d_d{variable.name}", keys=keys)

    def settle_all(self, builder: Builder) -> None:
        """Make the adjoints of all tuples and dictionaries, before control flow is entered or left."""
        for variable in list(self.parts):
            self.settle(builder, variable)

    def own(self, builder: Builder, variable: Variable) -> None:
        """Let the adjoint of a variable be one that nobody else holds."""
        self.settle(builder, variable)
        if variable not in self.owned:
            before = self.values.get(variable)
            source, primitive = (variable, "zeros_like") if before is None else (before, "fresh")
            self.values[variable] = builder.emit(PRIMITIVES[primitive], source, name=f"d_d{variable.name}")
            self.owned.add(variable)

    def pop(self, builder: Builder, variable: Atom) -> Atom:
        """The finished adjoint of a variable, zero if nothing used it."""
        self.settle(builder, variable)
        self.owned.discard(variable)
        if variable in self.values:
            return self.values.pop(variable)
        nothing = zero(builder, variable)
        if isinstance(nothing, Variable):
            nothing.name = adjoint_name(variable)
        return nothing


def adjoint_name(value: Atom) -> str:
    """The adjoint of x is called d_dx."""
    return f"d_d{value.name or ''}"


def _keys(kind: Kind) -> Sequence[tuple[Any, Kind]]:
    """The items that a tuple or dictionary is known to have, and their kinds."""
    match kind:
        case Tuple():
            return list(enumerate(kind.items))
        case Dict():
            return kind.items
        case _:
            return ()


def total(kind: Kind) -> Primitive:
    """How adjoints of values of a kind are added."""
    return PRIMITIVES["add" if isinstance(kind, Number | Array) else "accumulate"]
