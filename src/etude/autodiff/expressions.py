"""Atoms and operations as Python expressions, with no more brackets than they need."""

import math
import re
from collections.abc import Callable, Mapping
from types import EllipsisType
from typing import Any, Literal

import numpy as np

from etude.autodiff.kinds import Array
from etude.autodiff.lowering import Inlined, Value
from etude.autodiff.primitives import Primitive
from etude.autodiff.program import Atom, Call, Constant, Function, If, Op, Variable

Style = Literal["textbook", "optimised"]

PRECEDENCE = {"if": 0, "or": 1, "and": 2, "not": 3, "compare": 4, "add": 5, "mul": 6, "unary": 7, "pow": 8, "call": 9}
"""How strongly the outermost operator of an expression binds. A `Primitive` says 0 for calls."""

Text = tuple[str, int]
"""An expression and its precedence."""


def literal(value: Any) -> str | None:
    """A value as a Python literal, None if it has none. Infinities need `math`, slices `np.s_`."""
    match value:
        case np.bool_() | np.integer() | np.floating():
            return literal(value.item())
        case float() if not math.isfinite(value):
            return {math.inf: "math.inf", -math.inf: "-math.inf"}.get(value, "math.nan")
        case None | bool() | int() | float() | complex() | str() | bytes():
            return repr(value)
        case EllipsisType():
            return "..."
        case slice():
            return f"np.s_[{subscript(value)}]"
        case type() if value.__module__ == "builtins":
            return value.__name__
        case tuple() | list() | dict():
            return _display(value)
        case _:
            return None


def _display(value: tuple[Any, ...] | list[Any] | dict[Any, Any]) -> str | None:
    parts = [literal(part) for part in value]
    if isinstance(value, dict):
        items = [literal(item) for item in value.values()]
        parts = [None if None in (key, item) else f"{key}: {item}" for key, item in zip(parts, items, strict=True)]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    inside = ", ".join(known)
    if isinstance(value, tuple):
        return f"({inside},)" if len(known) == 1 else f"({inside})"
    return f"[{inside}]" if isinstance(value, list) else f"{{{inside}}}"


def subscript(index: Any) -> str | None:
    """A literal index as it stands between square brackets."""
    match index:
        case slice(start=start, stop=stop, step=step):
            ends = ["" if end is None else str(literal(end)) for end in (start, stop)]
            return ":".join(ends if step is None else [*ends, str(literal(step))])
        case tuple() if len(index) > 1:
            parts = [subscript(part) for part in index]
            known = [part for part in parts if part is not None]
            return ", ".join(known) if len(known) == len(parts) else None
        case _:
            return literal(index)


class Expressions:
    """The printer of expressions, with the names of everything.

    Attributes:
        names: the names of the variables.
        inlined: what is printed in the place of variables.
        style: how operations are printed.
        outside: the name of a constant that is no literal, of a primitive's function, or of another program.
    """

    def __init__(
        self,
        names: Mapping[Variable, str],
        inlined: Inlined,
        style: Style,
        outside: Callable[[Constant | Primitive | Function], str],
    ) -> None:
        self.names = names
        self.inlined = inlined
        self.style = style
        self.outside = outside

    def atom(self, atom: Atom, level: int = 0) -> str:
        """An atom where precedence `level` or more is needed."""
        text, precedence = self.text(atom)
        return f"({text})" if precedence < level else text

    def text(self, atom: Atom) -> Text:
        if isinstance(atom, Variable):
            if atom in self.inlined.values:
                return self.value(self.inlined.values[atom])
            return self.names[atom], PRECEDENCE["call"]
        text = None if atom.name else literal(atom.value)
        if text is None:
            return self.outside(atom), PRECEDENCE["call"]
        return text, PRECEDENCE["unary" if text.startswith("-") else "call"]

    def value(self, value: Value) -> Text:
        match value:
            case Op():
                return self.operation(value)
            case Call():
                return f"{self.outside(value.function)}({', '.join(map(self.atom, value.inputs))})", PRECEDENCE["call"]
            case If():
                return self.conditional(value)

    def operation(self, op: Op) -> Text:
        name = op.primitive.name
        match name:
            case "tuple" | "list":
                return self.display(op), PRECEDENCE["call"]
            case "dict":
                return self.dictionary(op), PRECEDENCE["call"]
            case "multiples":
                d, *others = map(self.atom, op.inputs)
                if self.style == "optimised":
                    d = self.atom(op.inputs[0], PRECEDENCE["mul"])
                    factors = [self.atom(factor, PRECEDENCE["mul"] + 1) for factor in op.inputs[1:]]
                    return ", ".join(f"{d} * {factor}" for factor in factors), PRECEDENCE["if"]
                return f"mul({d}, ({', '.join(others)}))", PRECEDENCE["call"]
            case "item" if self.style == "optimised":
                place = self.atom(op.inputs[0], PRECEDENCE["call"])
                return f"{place}[{self.index(op.keywords['index'])}]", PRECEDENCE["call"]
            case "expand_dims" if self.style == "optimised" and (places := self.new_axis(op)):
                return f"{self.atom(op.inputs[0], PRECEDENCE['call'])}[{places}]", PRECEDENCE["call"]
            case "slice" if self.style == "optimised":
                return f"np.s_[{self.slice(op)}]", PRECEDENCE["call"]
            case "select" if self.style == "optimised":
                return self.choice(*op.inputs)
            case "append" if self.style == "optimised":
                items, value = op.inputs
                return f"[*{self.atom(items, PRECEDENCE['or'])}, {self.atom(value)}]", PRECEDENCE["call"]
            case "format" if self.style == "optimised":
                text = self.atom(op.keywords["text"])
                return f"{text}.format({', '.join(map(self.atom, op.inputs))})", PRECEDENCE["call"]
            case "raise_" if self.style == "optimised":
                error = self.atom(op.keywords["error"])
                return f"raise {error}({', '.join(map(self.atom, op.inputs))})", PRECEDENCE["if"]
            case "item":
                return f"item({self.atom(op.inputs[0])}, {self.atom(op.keywords['index'])})", PRECEDENCE["call"]
            case _:
                return self.application(op)

    def application(self, op: Op) -> Text:
        """An operation by its template, or by its name."""
        template = self.template(op)
        precedence = op.primitive.precedence or PRECEDENCE["call"]
        if "{*}" in template:
            first, *_ = template.split("{*}")
            placed = {key: self.atom(value) for key, value in op.keywords.items()}
            keywords = [f"{key}={value}" for key, value in placed.items() if f"{{{key}}}" not in first]
            inside = ", ".join([*map(self.atom, op.inputs), *keywords])
            return re.sub(r"\{([a-z]+)\}", lambda found: placed[found[1]], template).replace("{*}", inside), precedence
        needs = {position: self.needed(template, position, precedence) for position in range(len(op.inputs))}
        inputs = [self.atom(value, needs[position]) for position, value in enumerate(op.inputs)]
        values = {key: self.atom(value) for key, value in op.keywords.items()}
        rest = {key: text for key, text in values.items() if f"{{{key}}}" not in template}
        text = re.sub(r"\{(\w+)\}", lambda found: inputs[int(k)] if (k := found[1]).isdigit() else values[k], template)
        if rest:
            text = f"{text[:-1]}{', ' if text[-2] != '(' else ''}{', '.join(f'{k}={v}' for k, v in rest.items())})"
        return text, precedence

    def template(self, op: Op) -> str:
        """How an operation is printed in this style."""
        primitive = op.primitive
        if self.style == "optimised" and not self.outside(primitive):
            method = primitive.method
            objects = [op.inputs[int(position)] for position in re.findall(r"\{(\d)\}\.", method)]
            call = method.endswith(")") or not op.keywords
            if method and call and all(isinstance(atom.kind, Array) for atom in objects):
                return method.replace("{+}", ", ".join(f"{{{k}}}" for k in range(1, len(op.inputs))))
            if primitive.template:
                return primitive.template
        return f"{self.outside(primitive) or primitive.name}({{*}})"

    @staticmethod
    def needed(template: str, position: int, precedence: int) -> int:
        """The precedence that an operand needs at its place in a template."""
        place = f"{{{position}}}"
        if precedence == PRECEDENCE["call"]:
            return PRECEDENCE["call"] if template.startswith(place) or f"{place}." in template else 0
        if precedence == PRECEDENCE["pow"]:
            return PRECEDENCE["call"] if template.startswith(place) else PRECEDENCE["unary"]
        first = template.startswith(place) or precedence in (PRECEDENCE["unary"], PRECEDENCE["not"])
        return precedence if first and precedence != PRECEDENCE["compare"] else precedence + 1

    def display(self, op: Op) -> str:
        inside = ", ".join(map(self.atom, op.inputs))
        if op.primitive.name == "list":
            return f"[{inside}]"
        return f"({inside},)" if len(op.inputs) == 1 else f"({inside})"

    def dictionary(self, op: Op) -> str:
        keys = op.keywords["keys"]
        pairs = zip(keys.value if isinstance(keys, Constant) else (), op.inputs, strict=True)
        return f"{{{', '.join(f'{literal(key)}: {self.atom(value)}' for key, value in pairs)}}}"

    @staticmethod
    def new_axis(op: Op) -> str:
        """The index that adds a new axis to an array, empty where it is not known."""
        axis = op.keywords["axis"]
        if not isinstance(axis, Constant) or axis.name or not isinstance(op.inputs[0].kind, Array):
            return ""
        if axis.value == -1:
            return "..., None"
        return ":, " * axis.value + "None" if isinstance(axis.value, int) and axis.value >= 0 else ""

    def index(self, index: Atom) -> str:
        """An index between square brackets."""
        if isinstance(index, Constant) and not index.name:
            return subscript(index.value) or self.atom(index)
        value = self.inlined.values.get(index) if isinstance(index, Variable) else None
        if isinstance(value, Op) and value.primitive.name == "slice":
            return self.slice(value)
        if isinstance(value, Op) and value.primitive.name == "tuple" and len(value.inputs) > 1:
            return ", ".join(map(self.index, value.inputs))
        return self.atom(index)

    def slice(self, op: Op) -> str:
        """A slice as it stands between square brackets."""

        def end(key: str) -> str:
            atom = op.keywords.get(key)
            missing = atom is None or (isinstance(atom, Constant) and atom.value is None)
            return "" if missing or atom is None else self.atom(atom, PRECEDENCE["or"])

        step = end("step")
        return f"{end('start')}:{end('stop')}" + (f":{step}" if step else "")

    def choice(self, test: Atom, then: Atom, otherwise: Atom) -> Text:
        text = f"{self.atom(then, PRECEDENCE['or'])} if {self.atom(test, PRECEDENCE['or'])} else {self.atom(otherwise)}"
        return text, PRECEDENCE["if"]

    def conditional(self, branch: If) -> Text:
        """A conditional expression; `a and b` and `a or b` where it is one of them."""
        (merge,) = branch.merges
        if merge.otherwise is branch.test:
            return self.logical("and", branch.test, merge.then)
        if merge.then is branch.test:
            return self.logical("or", branch.test, merge.otherwise)
        return self.choice(branch.test, merge.then, merge.otherwise)

    def logical(self, word: str, first: Atom, second: Atom) -> Text:
        level = PRECEDENCE[word]
        return f"{self.atom(first, level)} {word} {self.atom(second, level)}", level
