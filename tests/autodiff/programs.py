"""Random Python programs for hypothesis, as source text: expressions, branches, loops, calls, containers.

A program keeps all its values small, so that its derivatives are too: every expression knows a bound of its size and is
wrapped in a bounded function where the bound is passed. Thresholds and arguments never meet exactly.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

SIZE = 3
LARGEST = 6.0
MATRIX = np.array([[0.5, -0.3, 0.2], [0.1, 0.4, -0.6], [-0.2, 0.3, 0.5]])
FOLDER = TemporaryDirectory(prefix="generated")
FILES = count()

Scope = dict[str, str]
Term = tuple[str, float]

UNARY: list[tuple[str, Callable[[float], float]]] = [
    ("{m}.sin({0})", lambda a: 1.0),
    ("{m}.cos({0})", lambda a: 1.0),
    ("{m}.tanh({0})", lambda a: 1.0),
    ("{m}.atan({0})", lambda a: 1.6),
    ("{m}.exp({m}.sin({0}))", lambda a: math.e),
    ("{m}.log(1.5 + {m}.cos({0}))", lambda a: 1.0),
    ("{m}.sqrt(1.0 + {0} * {0})", lambda a: 1.0 + a),
    ("abs({0})", lambda a: a),
    ("(-{0})", lambda a: a),
    ("({0} ** 2)", lambda a: a**2),
    ("(({0} * 0.5) ** 3)", lambda a: (a / 2) ** 3),
]
BINARY: list[tuple[str, Callable[[float, float], float]]] = [
    ("({0} + {1})", lambda a, b: a + b),
    ("({0} - {1})", lambda a, b: a - b),
    ("({0} * {1})", lambda a, b: a * b),
    ("({0} / (2.0 + {m}.cos({1})))", lambda a, b: a),
    ("((1.0 + {0} * {0}) ** {m}.sin({1}))", lambda a, b: 1 + a**2),
]
ONLY_NUMBERS: list[tuple[str, Callable[[float, float], float]]] = [
    ("({0} if {c} else {1})", max),
    ("max({0}, {1})", max),
    ("min({0}, {1})", max),
]
ONLY_VECTORS: list[tuple[str, Callable[[float, float], float]]] = [
    ("np.where({0} > {1}, {0}, {1} * 0.5)", max),
    ("np.maximum({0}, {1})", max),
    ("(MATRIX @ {0} - {1})", lambda a, b: 1.5 * a + b),
    ("({0} * np.dot({0}, {1}))", lambda a, b: SIZE * a * a * b),
    ("np.concatenate(({0}[1:], {1}[:1]))", max),
]


@dataclass(frozen=True)
class Generated:
    """A program and arguments for it.

    Attributes:
        source: a module whose function `f` it is.
        arguments: numbers, or arrays of SIZE numbers.
    """

    source: str
    arguments: tuple[Any, ...]

    @property
    def function(self) -> Callable[..., Any]:
        """The function on floats and arrays, its source where `inspect` finds it."""
        file = Path(FOLDER.name, f"generated_{next(FILES)}.py")
        file.write_text(self.source)
        return run(self.source, str(file), math=math, np=np, MATRIX=MATRIX)

    @property
    def on_duals(self) -> Callable[..., Any]:
        """The same function with NumPy's functions for those of `math`."""
        return run(self.source, "duals", math=np, np=np, MATRIX=MATRIX)

    @property
    def on_tensors(self) -> Callable[..., Any]:
        """The same function with PyTorch's functions, and without assignments that would change a tensor in place."""
        functional = re.sub(r"^(\s*)(\w+) ([-+*])= (.*)$", r"\1\2 = \2 \3 (\4)", self.source, flags=re.MULTILINE)
        return run(functional, "tensors", math=Tensors(), np=Tensors(), MATRIX=torch.tensor(MATRIX))


def run(source: str, file: str, **names: Any) -> Callable[..., Any]:
    """The function `f` of a module."""
    exec(compile(source, file, "exec"), names)
    function: Callable[..., Any] = names["f"]
    return function


class Tensors:
    """PyTorch's functions under NumPy's names, taking numbers too."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(torch, name)
        if name in ("where", "concatenate"):
            return function
        return lambda *values: function(*(torch.as_tensor(value, dtype=torch.float64) for value in values))


@st.composite
def programs(draw: st.DrawFn, vectors: bool = False) -> Generated:
    """Programs of one to three numbers, or of one or two vectors, to one number."""
    writer = Writer(draw, vectors)
    kind = "vector" if vectors else "number"
    parameters = [f"x{i + 1}" for i in range(draw(st.integers(1, 2 if vectors else 3)))]
    for name in ("helper", "other")[: draw(st.integers(0, 2))]:
        writer.function(name, {"a": kind, "b": "number"}, "a, b=0.5", size=2)
        writer.helpers.append(name)
    writer.function("f", dict.fromkeys(parameters, kind), ", ".join(parameters), size=6)
    return Generated("\n\n".join(writer.functions), tuple(draw(argument(i, vectors)) for i in range(len(parameters))))


def argument(position: int, vectors: bool) -> st.SearchStrategy[Any]:
    """Values of an argument. No two numbers in all the arguments of a program are equal."""
    offsets = 0.000317 * (1 + position) + 0.0000713 * np.arange(SIZE)
    thousandths = st.integers(-1900, 1900)
    if not vectors:
        return thousandths.map(lambda number: number / 1000 + float(offsets[0]))
    return st.lists(thousandths, min_size=SIZE, max_size=SIZE).map(lambda numbers: np.array(numbers) / 1000 + offsets)


class Writer:
    """Writes a program statement by statement. A scope says what kind the variables visible have."""

    def __init__(self, draw: st.DrawFn, vectors: bool) -> None:
        self.draw = draw
        self.kinds = ["number", "vector"] if vectors else ["number"]
        self.module = "np" if vectors else "math"
        self.helpers: list[str] = []
        self.functions: list[str] = []
        self.numbers = count(1)

    def choose(self, options: list[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def name(self, prefix: str) -> str:
        return f"{prefix}{next(self.numbers)}"

    def function(self, name: str, scope: Scope, parameters: str, size: int) -> None:
        body = self.block(scope, size, depth=2, loop=False)
        terms = [f"0.3 * np.sum({name})" if kind == "vector" else f"0.7 * {name}" for name, kind in scope.items()]
        body.append(f"return {' + '.join([self.number(scope), *terms])}")
        self.functions.append(f"def {name}({parameters}):\n{inner(body)}\n")

    # Expressions

    def number(self, scope: Scope, depth: int = 2) -> str:
        return self.expression(scope, "number", depth)[0]

    def expression(self, scope: Scope, kind: str, depth: int) -> Term:
        """An expression of a kind, and a bound of its values."""
        form = self.choose(["leaf", "unary", "binary", "special", "call"]) if depth else "leaf"
        if form == "leaf":
            return self.leaf(scope, kind)
        if form == "call" and self.helpers and kind == "number":
            return self.call(scope, depth), LARGEST
        names = {"m": self.module, "c": self.condition(scope, 0)}
        first, a = self.expression(scope, kind, depth - 1)
        if form == "unary":
            text, bound = self.choose(UNARY)
            return self.bounded(text.format(first, **names), bound(a))
        second, b = self.expression(scope, kind, depth - 1)
        special = ONLY_NUMBERS if kind == "number" else ONLY_VECTORS
        text, bound = self.choose(special if form == "special" else BINARY)
        return self.bounded(text.format(first, second, **names), bound(a, b))

    def bounded(self, text: str, bound: float) -> Term:
        if bound <= LARGEST:
            return text, bound
        return f"{self.module}.{self.choose(['sin', 'tanh'])}({text})", 1.0

    def leaf(self, scope: Scope, kind: str) -> Term:
        known = [name for name, its in scope.items() if its == kind]
        if kind == "vector":
            return self.choose(known), LARGEST
        vectors = [name for name, its in scope.items() if its == "vector"]
        known += [f"{name}[{place}]" for name in vectors for place in (0, -1)]
        integers = [name for name, its in scope.items() if its == "integer"]
        known += integers + [
            f"{self.module}.sin({name}) ** {integer}" for name in known[:1] for integer in integers[-1:]
        ]
        known += [str(self.draw(st.integers(-200, 200)) / 100)]
        known += [f"np.tanh(np.sum({name}))" for name in vectors]
        return self.choose(known), LARGEST

    def call(self, scope: Scope, depth: int) -> str:
        first, _ = self.expression(scope, self.kinds[-1], depth - 1)
        rest = self.choose(["", f", {self.number(scope, depth - 1)}", f", b={self.number(scope, depth - 1)}"])
        return f"{self.choose(self.helpers)}({first}{rest})"

    def condition(self, scope: Scope, depth: int = 1) -> str:
        a, b = self.number(scope, depth), self.number(scope, depth)
        threshold = self.draw(st.integers(-150, 150)) / 100
        forms = [f"{a} > {threshold}", f"{a} < {b}", f"{threshold} < {a} < {b}", f"not {a} >= {b}"]
        forms += [f"{a} > {threshold} and {b} < 1.0", f"{a} > {threshold} or {a} > {b}"]
        return str(self.choose(forms))

    # Statements

    def block(self, scope: Scope, size: int, depth: int, loop: bool) -> list[str]:
        """As many statements as `size` or a little fewer; the variables that they make are added to the scope."""
        kinds = [self.assign, self.augment, self.swap, self.container, self.closure]
        if depth:
            kinds += [self.branch, self.count, self.repeat, self.leave]
            kinds += [self.leave] * 3 * loop
        lines = []
        for _ in range(self.draw(st.integers((size + 1) // 2, size))):
            lines += self.choose(kinds)(scope, depth, loop)
        return lines

    def target(self, scope: Scope, kind: str) -> str:
        """A variable to assign: an old one of that kind, or a new one."""
        name = self.choose([*(name for name, its in scope.items() if its == kind), "v"])
        return self.name("v") if name == "v" else str(name)

    def put(self, scope: Scope, kind: str, text: str) -> str:
        """The assignment of an expression to a variable."""
        name = self.target(scope, kind)
        scope[name] = kind
        return f"{name} = {text}"

    def assign(self, scope: Scope, depth: int, loop: bool) -> list[str]:
        kind = self.choose(self.kinds)
        return [self.put(scope, kind, self.expression(scope, kind, 3)[0])]

    def augment(self, scope: Scope, depth: int, loop: bool) -> list[str]:
        numbers = [name for name, kind in scope.items() if kind == "number"]
        if not numbers:
            return self.assign(scope, depth, loop)
        change = f"{self.module}.sin({self.number(scope)})"
        return [f"{self.choose(numbers)} {self.choose([f'+= 0.1 * {change}', f'-= 0.1 * {change}', f'*= {change}'])}"]

    def swap(self, scope: Scope, depth: int, loop: bool) -> list[str]:
        values = f"{self.number(scope)}, {self.number(scope)}"
        a, b = self.target(scope, "number"), self.target(scope, "number")
        scope.update({a: "number", b: "number"})
        return [f"{a}, {b} = {values}"]

    def container(self, scope: Scope, depth: int, loop: bool) -> list[str]:
        a, b, name, item = self.number(scope), self.number(scope), self.name("c"), self.name("e")
        each = self.number({**scope, item: "integer"})
        display, use = self.choose(
            [
                (f"({a}, {b})", f"0.5 * ({name}[0] - {name}[1])"),
                (f"[{a}, {b}]", f"0.5 * ({name}[-1] + {name}[0])"),
                (f"{{'a': {a}, 'b': {b}}}", f"0.5 * ({name}['b'] - {name}['a'])"),
                (f"[{each} for {item} in range(3)]", f"0.3 * sum({name})"),
            ]
        )
        return [f"{name} = {display}", self.put(scope, "number", use)]

    def closure(self, scope: Scope, depth: int, loop: bool) -> list[str]:
        name, parameter, argument = self.name("g"), self.name("t"), self.number(scope)
        body = self.number({**scope, parameter: "number"})
        return [f"{name} = lambda {parameter}: {body}", self.put(scope, "number", f"{name}({argument})")]

    def branch(self, scope: Scope, depth: int, loop: bool) -> list[str]:
        lines = [f"if {self.condition(scope)}:", inner(self.block({**scope}, 2, depth - 1, loop))]
        for head in self.choose([[], ["else:"], [f"elif {self.condition(scope)}:", "else:"]]):
            lines += [head, inner(self.block({**scope}, 2, depth - 1, loop))]
        return lines

    def count(self, scope: Scope, depth: int, loop: bool) -> list[str]:
        index = self.name("i")
        vectors = [name for name, kind in scope.items() if kind == "vector"]
        over = self.choose(["range(3)", "range(1, 4)", "range(2, -1, -1)", *vectors])
        kind = "number" if over in vectors else "integer"
        return [f"for {index} in {over}:", inner(self.block({**scope, index: kind}, 2, depth - 1, True))]

    def repeat(self, scope: Scope, depth: int, loop: bool) -> list[str]:
        index = self.name("k")
        body = [f"{index} += 1", *self.block({**scope, index: "integer"}, 2, depth - 1, True)]
        return [f"{index} = 0", f"while {index} < 3 and ({self.condition(scope, 0)}):", inner(body)]

    def leave(self, scope: Scope, depth: int, loop: bool) -> list[str]:
        ways = [*(["break", "continue"] if loop else []), f"return {self.number(scope)}"]
        return [f"if {self.condition(scope)}:", inner([self.choose(ways)])]


def inner(lines: list[str]) -> str:
    return indent("\n".join(lines), "    ")
