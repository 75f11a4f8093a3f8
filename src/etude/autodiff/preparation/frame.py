"""A function while it is transformed: its names, the block being written and what is known of its values."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NoReturn

from etude.autodiff.errors import TransformError
from etude.autodiff.kinds import Closure, Dict, Kind, Other, Tuple, join
from etude.autodiff.preparation.control import RESULT
from etude.autodiff.preparation.ownership import Ownership
from etude.autodiff.preparation.sources import Definition, Known, Origin
from etude.autodiff.preparation.values import (
    Code,
    Items,
    Method,
    Nested,
    Scope,
    Sequence,
    Value,
    closed,
    literal,
    name_of,
    opened,
)
from etude.autodiff.primitives import PRIMITIVES, Builder, Primitive
from etude.autodiff.program import MISSING, Atom, Block, Constant, Function, Op, Variable

SIMPLE = (int, float, str, bool, type(None))
COMPARISONS = {"not_", "is_", "is_not", "in_", "not_in", "lt", "le", "gt", "ge", "eq", "ne"}
ARITHMETIC = {"add", "sub", "mul", "floordiv", "mod"}

Result = Callable[[], tuple[Kind, bool]]
"""What is known of what a function returns: its kind, and whether it is new and held by nobody else."""


@dataclass(frozen=True)
class Bottom(Kind):
    """The kind of a value that no way through the program seen so far assigns."""


BOTTOM = Bottom()


def joined(a: Kind, b: Kind) -> Kind:
    """The narrowest kind that holds the values of both."""
    return b if a == BOTTOM else a if b == BOTTOM else join(a, b)


def kind_at(atom: Atom) -> Kind:
    """The kind of an atom; nothing for a variable that is missing."""
    return BOTTOM if atom is MISSING else atom.kind


@dataclass(frozen=True)
class Literal(Other):
    """The kind of an argument for which the function called is written anew: None, a truth value, text, a function."""

    value: Any


@dataclass(eq=False)
class Frame:
    """A function while it is transformed.

    Attributes:
        node: its definition.
        origin: the outermost function around it.
        scope: where it finds the names that are not its own.
        specialised: the program of a function for arguments of given kinds, and what is known of its result:
            its kind, and whether it is new.
        names: what its names stand for now.
        builder: the block being written.
        ownership: which of its values it may change.
        parts: the items of tuples, lists and dictionaries, where they are known one by one.
        fixed: the names whose values functions that have been stored, returned or given to `grad` have captured.
        unreachable: whether control never comes here.
    """

    node: Definition
    origin: Origin
    scope: Scope
    specialised: Callable[[Known | Code, tuple[Kind, ...], tuple[str, ...]], tuple[Function, Result]]
    names: dict[str, Value] = field(default_factory=dict)
    builder: Builder = field(default_factory=Builder)
    ownership: Ownership = field(default_factory=Ownership)
    parts: dict[Atom, tuple[Value, ...]] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    unreachable: bool = False

    def refuse(self, reason: str) -> NoReturn:
        """Say that the function cannot be transformed, and where.

        Raises:
            TransformError: always.
        """
        raise TransformError(self.origin.file, self.builder.line, name_of(self.node), reason)

    def lookup(self, name: str) -> Value | None:
        found = self.names.get(name)
        return self.scope.lookup(name) if found is None else found

    def bind(self, name: str, value: Value) -> None:
        """Let a name stand for a value."""
        self.check_captured(name)
        if isinstance(value, Known):
            self.fixed.update(value.captured)
        if isinstance(value, Items):
            value = self.atom(value)
        if isinstance(value, Variable):
            if not value.given:
                value.name, value.given = name.lstrip("$").split()[0], not name.startswith("$")
            elif name != RESULT and any(held is value for other, held in self.names.items() if other != name):
                self.ownership.alias(value)
        self.names[name] = value

    def owns(self, value: Atom) -> bool:
        """Whether the function made a value and nobody else could see it change."""
        held = (self.ownership.memory(other) for other in self.names.values() if other is not value)
        return self.ownership.own(value) and not any(value in memory for memory in held)

    def check_captured(self, *names: str) -> None:
        """Refuse to change variables whose present values a function that has been stored keeps."""
        for name in self.fixed.intersection(names):
            self.refuse(f"{name} changes after a function that reads it has been stored; call the function instead")

    @contextmanager
    def block(self) -> Iterator[Block]:
        """Write into a new block."""
        outer, self.builder.block = self.builder.block, []
        try:
            yield self.builder.block
        finally:
            self.builder.block = outer

    def emit(self, primitive: str | Primitive, *inputs: Atom, **keywords: Atom) -> Atom:
        """Apply a primitive; literals of a few primitives are computed at once."""
        if isinstance(primitive, str):
            primitive = PRIMITIVES[primitive]
        if not keywords and (result := folded(primitive, inputs)) is not None:
            return result
        if any(value.kind == BOTTOM for value in inputs):
            variable = Variable("i", BOTTOM)
            self.builder.block.append(Op((variable,), primitive, inputs, keywords, self.builder.line))
            return variable
        try:
            variable = self.builder.emit(primitive, *inputs, name="i", **keywords)
        except (TypeError, ValueError, IndexError) as error:
            self.refuse(str(error))
        self.ownership.made(primitive, variable, inputs)
        return variable

    def atom(self, value: Value | None) -> Atom:
        """The value as an atom of the program; MISSING for none."""
        match value:
            case None:
                return MISSING
            case Variable() | Constant():
                return value
            case Known():
                return self._known(value)
            case Nested():
                kind, leaves = self.closure(value)
                self.fixed.update(self.read_by(kind.code))
                return self._tuple(leaves, kind)
            case Items():
                return self._items(value)
            case Method():
                return self.refuse(f"{value.label} is not called: write {value.label}(...) or a lambda that calls it")
            case Sequence():
                return self.refuse("a range, zip or enumerate can only be gone through: make a list of it")

    def closure(self, value: Nested) -> tuple[Closure, tuple[Atom, ...]]:
        """The kind of a function defined here, and what it captures."""
        code, leaves = closed(value, self.atom)
        return Closure(code, tuple(leaf.kind for leaf in leaves)), leaves

    def read_by(self, code: Code) -> set[str]:
        """The variables that a function defined here reads."""
        return {name for _, edges, _ in code.functions for name, _ in edges if name in self.names}

    def _known(self, value: Known) -> Atom:
        if value.leaves:
            self.refuse(f"{value.name} captures variables: call it where it is made")
        if isinstance(value.value, ModuleType):
            self.refuse(f"{value.name} is a module: name what you need from it")
        if plain_function(value):
            self.fixed.update(value.captured)
            return self._tuple((), Closure(value))
        return Constant(value.value, value.name, value.fetch)

    def _tuple(self, leaves: tuple[Atom, ...], kind: Kind) -> Atom:
        variable = self.emit("tuple", *leaves)
        assert isinstance(variable, Variable)
        variable.kind = kind
        return variable

    def _items(self, value: Items) -> Atom:
        atoms = tuple(map(self.atom, value.values))
        if all(literal(atom) for atom in atoms):
            constant = Constant(tuple(atom.value for atom in atoms if isinstance(atom, Constant)))
            self.parts[constant] = value.values
            return constant
        variable = self._tuple(atoms, Tuple(tuple(atom.kind for atom in atoms)))
        self.parts[variable] = value.values
        return variable

    def argument(self, value: Value) -> tuple[Kind, Atom | None]:
        """The kind that a function called with this argument is written for, and the argument unless that says all."""
        value = self.function(value)
        if isinstance(value, Constant) and literal(value) and isinstance(value.value, bool | str | None):
            return Literal(value.value), None
        if isinstance(value, Known) and plain_function(value):
            self.fixed.update(value.captured)
            return Literal(value), None
        if isinstance(value, Nested):
            kind, leaves = self.closure(value)
            return (kind, self._tuple(leaves, kind)) if leaves else (Literal(kind.code), None)
        atom = self.atom(value)
        return atom.kind, atom

    def item(self, value: Atom, index: Atom) -> Value:
        """value[index]"""
        parts = self.parts.get(value)
        if parts is not None and isinstance(index, Constant) and literal(index):
            if isinstance(value.kind, Dict):
                keys = [key for key, _ in value.kind.items]
                return parts[keys.index(index.value)] if index.value in keys else self.refuse(f"no key {index.value!r}")
            if isinstance(index.value, int) and -len(parts) <= index.value < len(parts):
                return parts[index.value]
        return self.emit("item", value, index=index)

    def function(self, value: Value) -> Value:
        """A function that is a value of the program, as it was where it was made."""
        if isinstance(value, Variable) and isinstance(value.kind, Closure):
            code = value.kind.code
            if isinstance(code, Code):
                positions = range(len(value.kind.captured))
                return opened(code, tuple(self.capture(value, value.kind, position) for position in positions))
            return code  # type: ignore[no-any-return]
        return value

    def capture(self, function: Variable, kind: Closure, position: int) -> Atom:
        """One of the variables that a function captures."""
        found = self.emit("item", function, index=Constant(position))
        assert isinstance(found, Variable)
        found.kind = kind.captured[position]
        return found


def plain_function(value: Known) -> bool:
    """Whether an object is a function to be called, that captures nothing."""
    return not value.leaves and callable(value.value) and not isinstance(value.value, type)


def folded(primitive: Primitive, inputs: tuple[Atom, ...]) -> Constant | None:
    """The result of a primitive of literals, if it is simple enough to be computed at once."""
    values = [value.value for value in inputs if isinstance(value, Constant) and literal(value)]
    if len(values) < len(inputs) or not inputs or not all(isinstance(value, (*SIMPLE, tuple)) for value in values):
        return None
    if primitive.name == "negate" and isinstance(values[0], int | float):
        return Constant(-values[0])
    integers = all(isinstance(value, int) for value in values)
    if primitive.name not in COMPARISONS and not (primitive.name in ARITHMETIC and integers):
        return None
    try:
        return Constant(primitive.evaluate(*values))
    except (ArithmeticError, TypeError):
        return None
