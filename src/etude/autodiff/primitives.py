"""Primitive functions with their derivative rules, and the builder that a rule writes its program into.

A rule is written once, with the same expression for values and for programs: on numbers and arrays it computes, on
`Symbol`s it appends statements to the program that the symbols belong to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from etude.autodiff.kinds import UNKNOWN, Kind
from etude.autodiff.program import Atom, Block, Constant, Op, Variable

Rule = Callable[..., Any]


@dataclass(eq=False)
class Primitive:
    """A function that the transformation knows.

    Attributes:
        name: its name in prefix form: `mul`, `sin`, `matmul`.
        evaluate: computes it: `evaluate(*inputs, **keywords)`.
        kind: the kind of its result from those of its inputs: `kind(*kinds, **keywords)`, where a keyword that is known
            is its value and one that is not is its kind.
        template: how it is printed with operators or calls, `{0} * {1}` or `np.sin({0})`; `{*}` stands for all inputs
            separated by commas; keywords follow the inputs inside the last bracket. Empty: `name(...)`.
        method: how it is printed instead where the inputs before a dot are arrays: `{0}.sum()`; `{+}` stands for the
            inputs after the first.
        precedence: of the outermost operator of the template, as in `source.PRECEDENCE`; 0 for calls.
        forward: for each input, the rule `(d, result, *inputs, **keywords)`: the change of the result for a change d of
            that input. None: the result does not depend on that input smoothly.
        reverse: for each input, the rule `(d, result, *inputs, **keywords)`: the change of the output of the whole
            program for a change of that input, if it is d for a change of the result.
        joint_forward: instead of `forward`, where changes of several inputs do not simply add up: the rule
            `(result, inputs, tangents, **keywords)` for the change of the result, a tangent None where it is zero.
        elementwise: whether inputs broadcast. Then `forward` and `reverse` are the same rules, and the transformation
            sums reverse results back over broadcast axes.
        scalar: the same function for numbers alone, from `math`; rules of such a function use such functions.
        variadic: whether the one rule in `forward` and `reverse` serves every input, with the input's position as
            keyword `position`.
        keeps: whether the result is new at every call and may be changed in place, so that no two calls may be merged.
        effect: whether it is called for what it does (`print`, `raise`), so that it stays though nobody reads it.
    """

    name: str
    evaluate: Callable[..., Any]
    kind: Callable[..., Kind] = lambda *kinds, **keywords: UNKNOWN
    template: str = ""
    method: str = ""
    precedence: int = 0
    forward: Sequence[Rule | None] = ()
    reverse: Sequence[Rule | None] = ()
    joint_forward: Rule | None = None
    elementwise: bool = False
    scalar: "Primitive | None" = None
    variadic: bool = False
    keeps: bool = False
    effect: bool = False

    def __call__(self, *inputs: Any, **keywords: Any) -> Any:
        """Compute on values; on symbols, append to their program and return the symbol of the result."""
        for value in (*inputs, *keywords.values()):
            if isinstance(value, Symbol):
                atoms: dict[str, Any] = {key: atom(keyword) for key, keyword in keywords.items()}
                return value.builder.symbol(value.builder.emit(self, *map(atom, inputs), **atoms))
        return self.evaluate(*inputs, **keywords)


@dataclass(eq=False)
class Builder:
    """A block being written.

    Attributes:
        block: the statements so far.
        line: the user's line that the statements come from.
        scalar: whether functions are taken from `math` where they have a twin there.
    """

    block: Block = field(default_factory=list)
    line: int = 0
    scalar: bool = False

    def emit(self, primitive: Primitive, *inputs: Atom, name: str = "t", **keywords: Atom) -> Variable:
        """Append a call of a primitive with one result, and return the result."""
        if self.scalar and primitive.scalar is not None:
            primitive = primitive.scalar
        known = {k: value.value if isinstance(value, Constant) else value.kind for k, value in keywords.items()}
        result = Variable(name, primitive.kind(*(value.kind for value in inputs), **known))
        self.block.append(Op((result,), primitive, inputs, keywords, self.line))
        return result

    def symbol(self, value: Atom) -> "Symbol":
        return Symbol(value, self)


@dataclass(eq=False)
class Symbol:
    """An atom of a program being written: operators and primitives applied to it append to the program."""

    atom: Atom
    builder: Builder

    @property
    def kind(self) -> Kind:
        return self.atom.kind

    def __add__(self, other: Any) -> Any:
        return PRIMITIVES["add"](self, other)

    def __radd__(self, other: Any) -> Any:
        return PRIMITIVES["add"](other, self)

    def __sub__(self, other: Any) -> Any:
        return PRIMITIVES["sub"](self, other)

    def __rsub__(self, other: Any) -> Any:
        return PRIMITIVES["sub"](other, self)

    def __mul__(self, other: Any) -> Any:
        return PRIMITIVES["mul"](self, other)

    def __rmul__(self, other: Any) -> Any:
        return PRIMITIVES["mul"](other, self)

    def __truediv__(self, other: Any) -> Any:
        return PRIMITIVES["div"](self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return PRIMITIVES["div"](other, self)

    def __pow__(self, other: Any) -> Any:
        return PRIMITIVES["pow"](self, other)

    def __neg__(self) -> Any:
        return PRIMITIVES["negate"](self)

    def __matmul__(self, other: Any) -> Any:
        return PRIMITIVES["matmul"](self, other)


def atom(value: Any) -> Atom:
    """The atom of a symbol; any other value is a constant of the program."""
    if isinstance(value, Symbol):
        return value.atom
    return value if isinstance(value, Variable | Constant) else Constant(value)


@dataclass(frozen=True, eq=False)
class Binding:
    """How a call that a user writes becomes a primitive's: which of its arguments are inputs, which keywords.

    Attributes:
        primitive: the primitive.
        names: the parameters of the user's function in their order, as the user may name them. The first `inputs` of
            them are the primitive's inputs, the others its keywords.
        inputs: how many are inputs; None: all that are given by position, and only those.
        fixed: keywords that are always added.
    """

    primitive: Primitive
    names: tuple[str, ...] = ()
    inputs: int | None = 1
    fixed: dict[str, Any] = field(default_factory=dict)

    def arguments(self, given: Sequence[Atom], named: dict[str, Atom]) -> tuple[tuple[Atom, ...], dict[str, Atom]]:
        """The inputs and keywords of the primitive.

        Raises:
            TypeError: for a keyword that the primitive does not know, or too many or too few arguments.
        """
        fixed = {key: Constant(value) for key, value in self.fixed.items()}
        if self.inputs is None:
            if set(named) - set(self.names):
                raise TypeError(
                    f"{self.primitive.name} does not take {', '.join(sorted(set(named) - set(self.names)))}"
                )
            return tuple(given), named | fixed
        if len(given) > len(self.names):
            raise TypeError(f"{self.primitive.name} takes {len(self.names)} arguments, not {len(given)}")
        values = dict(zip(self.names, given, strict=False))
        for name, value in named.items():
            if name not in self.names or name in values:
                raise TypeError(f"{self.primitive.name} does not take {name!r} here")
            values[name] = value
        missing = [name for name in self.names[: self.inputs] if name not in values]
        if missing:
            raise TypeError(f"{self.primitive.name} needs {', '.join(missing)}")
        inputs = tuple(values.pop(name) for name in self.names[: self.inputs])
        return inputs, values | fixed


PRIMITIVES: dict[str, Primitive] = {}
"""Every primitive by its name."""

FUNCTIONS: dict[Any, Binding] = {}
"""What a call of a Python function becomes: `np.sin`, `math.sin`, `len`, `operator.add`. Keys are the functions."""

METHODS: dict[str, Binding] = {}
"""What a call of a method of an array becomes, the array first: `x.sum(axis=0)`."""

ATTRIBUTES: dict[str, Primitive] = {}
"""What an attribute of an array becomes: `x.T`, `x.shape`."""

PRIMITIVES["adjoint"] = Primitive("adjoint", lambda: None, effect=True)
"""Does nothing: where it stands, a program ends and its adjoint begins."""
