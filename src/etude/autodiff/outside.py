"""The names at the level of a printed module: imports, functions, and the values that the program captured."""

import builtins
import importlib
import itertools
import keyword
import re
from collections.abc import Callable
from typing import Any

from etude.autodiff.expressions import Style, literal
from etude.autodiff.lowering import every
from etude.autodiff.primitives import PRIMITIVES, Primitive
from etude.autodiff.program import Atom, Constant, Function, Op, Program, uses

MODULES = {"np": "import numpy as np", "math": "import math"}
STRUCTURES = {"tuple", "list", "dict", "item", "slice", "select", "multiples", "append", "format", "raise_", "adjoint"}
"""The primitives that the optimised style prints in its own way."""


class Outside:
    """The names that the functions of a text share: modules, helpers, captured values and the functions themselves.

    Attributes:
        reserved: all these names, which no variable may have.
        programs: the name of each function.
    """

    def __init__(self, programs: list[Program], style: Style) -> None:
        self.style = style
        self.reserved = {*MODULES, "range", "reversed", "zip", "slice"}
        self.namespace: dict[str, Any] = {}
        self.captured: dict[str, Callable[[], Any]] = {}
        self.origins: dict[str, str] = {}
        self.builtins: set[str] = set()
        self.programs: dict[Program, str] = {}
        self.helpers: set[str] = set()
        self.primitives: dict[Primitive, str] = {}
        self.constants: dict[Any, str] = {}
        for each in programs:
            for statement in every(each.body):
                if isinstance(statement, Op):
                    self.reserve(statement.primitive)
        if style == "textbook":
            self.reserved.update(PRIMITIVES)
        for each in reversed(programs):
            self.programs[each] = self.free(each.name)
        for each in programs:
            for statement in every(each.body):
                if isinstance(statement, Op) and PRIMITIVES.get(statement.primitive.name) is not statement.primitive:
                    self.foreign(statement.primitive)
                for atom in uses(statement):
                    self.constant(atom)
            for atom in each.results:
                self.constant(atom)

    def reserve(self, primitive: Primitive) -> None:
        """Keep the names that a primitive's printed form needs."""
        if PRIMITIVES.get(primitive.name) is not primitive:
            return
        by_name = self.style == "textbook" or not primitive.template
        if by_name and not (self.style == "optimised" and primitive.name in STRUCTURES):
            self.helpers.add(primitive.name)
            self.reserved.add(primitive.name)
        if self.style == "textbook" and primitive.name == "multiples":
            self.reserved.add("mul")
        self.reserved.update(re.findall(r"(?<![\w.{])[A-Za-z_]\w*", primitive.template))

    def free(self, wish: str) -> str:
        """A name at module level that nothing else has."""
        wish = re.sub(r"\W", "_", wish)
        numbered = (f"{wish}{number}" for number in itertools.count(1))
        names = itertools.chain([] if keyword.iskeyword(wish) else [wish], numbered)
        name = next(name for name in names if name not in self.reserved)
        self.reserved.add(name)
        return name

    def foreign(self, primitive: Primitive) -> None:
        """Name the function of a primitive that is not in PRIMITIVES: the user's own."""
        if primitive not in self.primitives:
            name = self.primitives[primitive] = self.free(primitive.name)
            self.origins[name] = primitive.name
            self.namespace[name] = primitive.evaluate

    def constant(self, atom: Atom) -> None:
        """Name a constant that is no literal."""
        if not isinstance(atom, Constant) or _key(atom) in self.constants:
            return
        if isinstance(atom.value, Function):
            self.constants[_key(atom)] = self.programs[atom.value.program]
            return
        if atom.name is None and literal(atom.value) is not None:
            return
        if atom.name is not None and _of_module(atom):
            self.constants[_key(atom)] = atom.name
            return
        if atom.name is not None and self.builtin(atom.name, atom.value):
            self.constants[_key(atom)] = atom.name
            return
        name = self.constants[_key(atom)] = self.free(atom.name or "constant")
        self.origins[name] = atom.name or name
        self.namespace[name] = atom.value
        if atom.fetch is not None:
            self.captured[name] = atom.fetch

    def builtin(self, name: str, value: Any) -> bool:
        """Whether a value is what its name says in Python itself; if nothing else has the name, it is kept for it."""
        if name not in self.reserved and getattr(builtins, name, self) is value:
            self.builtins.add(name)
            self.reserved.add(name)
        return name in self.builtins and getattr(builtins, name) is value

    def __call__(self, thing: Constant | Primitive | Function) -> str:
        """The name of something from outside; empty for a primitive that is printed by its template or its own name."""
        match thing:
            case Constant():
                return self.constants[_key(thing)]
            case Primitive():
                return self.primitives.get(thing, "")
            case Function():
                return self.programs[thing.program]

    def imports(self, text: str) -> list[str]:
        """The import lines that a text needs."""
        standard, numpy = ([MODULES[name]] if re.search(rf"\b{name}\.", text) else [] for name in ("math", "np"))
        helpers = sorted(name for name in self.helpers if re.search(rf"(?<!\.)\b{name}\(", text))
        if self.style == "textbook":
            numpy.append("from etude.autodiff.textbook import *")
        elif helpers:
            numpy.append(f"from etude.autodiff.runtime import {', '.join(helpers)}")
        return [*standard, *([""] if standard and numpy else []), *numpy]

    def values(self) -> list[str]:
        """Lines that assign the values from outside as they are now, or say what they are if they have no literal."""
        lines = []
        for name, value in self.namespace.items():
            text, origin = literal(value), self.origins[name]
            of = "" if re.sub(r"\W", "_", origin) == name else f" {origin},"
            lines.append(
                f"# {name} is{of} from outside: {type(value).__name__}" if text is None else f"{name} = {text}"
            )
        return lines


def _key(constant: Constant) -> Any:
    """Equal for constants from the same place."""
    return constant.name, constant.fetch or id(constant.value)


def _of_module(constant: Constant) -> bool:
    """Whether a constant is what its name says in a module that the text can import: `np.pi`."""
    root, *path = (constant.name or "").split(".")
    if root not in MODULES or not path:
        return False
    value: Any = importlib.import_module({"np": "numpy"}.get(root, root))
    for part in path:
        value = getattr(value, part, None)
    return value is constant.value
