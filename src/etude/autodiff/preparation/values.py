"""What a name stands for while a function is transformed: an atom of the program, or more that is known of it."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from etude.autodiff.preparation.names import free
from etude.autodiff.preparation.sources import Definition, Known, Origin
from etude.autodiff.program import Atom, Constant


class Scope(Protocol):
    """Where names are looked up."""

    def lookup(self, name: str) -> "Value | None": ...


@dataclass(frozen=True, eq=False)
class Nested:
    """A function defined inside another one, or a lambda.

    Attributes:
        node: its definition.
        scope: where it finds the names of the functions around it, when it is called.
        defaults: the default values of its parameters.
        origin: the outermost function around it.
    """

    node: Definition
    scope: Scope
    defaults: dict[str, "Value"]
    origin: Origin


@dataclass(frozen=True, eq=False)
class Items:
    """A tuple whose items are known one by one, not (yet) a value of the program."""

    values: tuple["Value", ...]


@dataclass(frozen=True, eq=False)
class Method:
    """A method of a value, about to be called."""

    owner: Atom
    name: str
    label: str


@dataclass(frozen=True, eq=False)
class Sequence:
    """Something to go through: a range, an array, the result of `zip` or `enumerate`.

    Attributes:
        length: emits how many items there are.
        item: emits the item at a position that the program counts from 0.
        count: how many there are, if that is known before the program runs.
        items: all items, where each has to be treated on its own because they differ in kind.
        bounds: start, stop and step of a range that a loop may count instead.
        at: emits the item at a number of that range.
        backwards: whether the range is gone through from its end.
        checkpointed: whether reverse mode shall store few of the states of a loop over the range.
    """

    length: Callable[[], Atom]
    item: Callable[[Atom], "Value"]
    count: int | None = None
    items: tuple["Value", ...] | None = None
    bounds: tuple[Atom, Atom, Atom] | None = None
    at: Callable[[Atom], "Value"] = lambda number: number
    backwards: bool = False
    checkpointed: bool = False


Value = Atom | Known | Nested | Items | Method | Sequence
Edge = tuple[Any, ...]


@dataclass(frozen=True)
class Code:
    """A nested function without the values that it captures, which `Edge`s count.

    Attributes:
        origin: the outermost function around it.
        functions: the function and those that it calls by name, each with its names and its defaults.
    """

    origin: Origin
    functions: tuple[tuple[Definition, tuple[tuple[str, Edge], ...], tuple[tuple[str, Edge], ...]], ...]

    @property
    def name(self) -> str:
        return name_of(self.functions[0][0])


@dataclass
class Captured:
    """The names that a function finds outside itself."""

    names: Mapping[str, Value]
    origin: Origin

    def lookup(self, name: str) -> Value | None:
        return self.names[name] if name in self.names else self.origin.outside(name)


@dataclass
class Closing:
    """Takes a nested function apart into its code and the atoms that it captures."""

    atom: Callable[[Value], Atom]
    leaves: list[Atom] = field(default_factory=list)
    numbers: dict[tuple[int, int], int] = field(default_factory=dict)
    functions: dict[int, tuple[Definition, tuple[tuple[str, Edge], ...], tuple[tuple[str, Edge], ...]]] = field(
        default_factory=dict
    )

    def visit(self, function: Nested) -> int:
        key = (id(function.node), id(function.scope))
        if key not in self.numbers:
            number = self.numbers[key] = len(self.numbers)
            edges = []
            for name in sorted(free(function.node)):
                value = function.scope.lookup(name)
                if value is not None and value != function.origin.outside(name):
                    edges.append((name, self.edge(value)))
            defaults = [(name, self.edge(value)) for name, value in function.defaults.items()]
            self.functions[number] = (function.node, tuple(edges), tuple(defaults))
        return self.numbers[key]

    def edge(self, value: Value) -> Edge:
        match value:
            case Nested():
                return ("function", self.visit(value))
            case Known():
                bare = Known(value.name, value.identity, value.value, value.fetch)
                return ("known", bare, tuple(self.leaf(leaf) for leaf in value.leaves))
            case Constant(name=None, value=bool() | int() | float() | str() | None):
                return ("literal", type(value.value), value.value)
            case _:
                return ("leaf", self.leaf(self.atom(value)))

    def leaf(self, atom: Atom) -> int:
        if atom not in self.leaves:
            self.leaves.append(atom)
        return self.leaves.index(atom)


def closed(function: Nested, atom: Callable[[Value], Atom]) -> tuple[Code, tuple[Atom, ...]]:
    """The code of a nested function and the atoms that it captures; `atom` makes atoms of other values."""
    closing = Closing(atom)
    closing.visit(function)
    functions = tuple(closing.functions[number] for number in range(len(closing.functions)))
    return Code(function.origin, functions), tuple(closing.leaves)


def opened(code: Code, leaves: tuple[Atom, ...]) -> Nested:
    """The nested function of a code that captures these atoms."""
    names: list[dict[str, Value]] = [{} for _ in code.functions]
    defaults: list[dict[str, Value]] = [{} for _ in code.functions]
    made = [
        Nested(node, Captured(names[number], code.origin), defaults[number], code.origin)
        for number, (node, _, _) in enumerate(code.functions)
    ]

    def value(edge: Edge) -> Value:
        match edge:
            case ("function", number):
                return made[number]
            case ("known", bare, positions):
                return Known(bare.name, bare.identity, bare.value, bare.fetch, tuple(leaves[k] for k in positions))
            case ("literal", _, literal):
                return Constant(literal)
            case _:
                return leaves[edge[1]]

    for number, (_, edges, default_edges) in enumerate(code.functions):
        names[number].update((name, value(edge)) for name, edge in edges)
        defaults[number].update((name, value(edge)) for name, edge in default_edges)
    return made[0]


def captured_names(code: Code) -> list[str]:
    """The names of the variables that a nested function captures, in order."""
    found: dict[int, str] = {}
    for _, names, defaults in code.functions:
        for name, edge in (*names, *defaults):
            positions = edge[2] if edge[0] == "known" else edge[1:] if edge[0] == "leaf" else ()
            for position in positions:
                found.setdefault(position, name)
    return [found[position] for position in sorted(found)]


def captured_count(code: Code) -> int:
    return len(captured_names(code))


def name_of(node: Definition) -> str:
    """What to call a function in messages and printed programs."""
    return "function" if isinstance(node, ast.Lambda) else node.name


def literal(atom: Any) -> bool:
    """Whether an atom is a literal, so that its value may decide what the program is."""
    return isinstance(atom, Constant) and atom.name is None
