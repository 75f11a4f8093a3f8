"""Programs in A-normal form: what the preparation makes, the derivative modes transform and `source` prints.

A program is a tree of blocks. Every variable is assigned once (two `Variable` objects may carry the same name: the
printer gives them one name when their lives do not overlap). Values that cross control flow do so openly: an `If`
merges what its branches computed, a `Loop` carries variables from pass to pass, reads stacks from their end and writes
stacks, so that the derivative of a loop is again a loop of this form.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from etude.autodiff.kinds import UNKNOWN, Kind, kind_of

if TYPE_CHECKING:
    from etude.autodiff.primitives import Builder, Primitive


@dataclass(eq=False)
class Variable:
    """A variable, assigned once.

    Attributes:
        name: the wish for its name in the printed program.
        kind: what is known of its values.
        given: whether the user chose the name.
    """

    name: str
    kind: Kind = UNKNOWN
    given: bool = False


@dataclass(frozen=True, eq=False)
class Constant:
    """A literal, or with a `name` a value from outside the program: a global, a captured variable, `np.pi`.

    Attributes:
        value: the value when the program was made.
        name: what it is called in the user's source.
        fetch: fetches the value when the program is called; equal for values from the same place.
    """

    value: Any
    name: str | None = None
    fetch: Callable[[], Any] | None = None

    @property
    def kind(self) -> Kind:
        return kind_of(self.value)


Atom = Variable | Constant
Made = TypeVar("Made")

MAKING = RLock()
"""Held while programs are made, so that threads make each once."""

ZERO = Constant(0.0)
MISSING = Constant(None)
"""What a variable holds on a way through the program that does not assign it."""


@dataclass(eq=False)
class Op:
    """`outputs = primitive(*inputs, **keywords)`. Only `inputs` carry derivatives."""

    outputs: tuple[Variable, ...]
    primitive: "Primitive"
    inputs: tuple[Atom, ...]
    keywords: dict[str, Atom] = field(default_factory=dict)
    line: int = 0


@dataclass(eq=False)
class Call:
    """`outputs = function(*inputs)`: a call to another program."""

    outputs: tuple[Variable, ...]
    function: "Function"
    inputs: tuple[Atom, ...]
    line: int = 0


@dataclass(eq=False)
class Merge:
    """After an `If`, `output` is what the branch that ran left: `then` or `otherwise`."""

    output: Variable
    then: Atom
    otherwise: Atom


@dataclass(eq=False)
class If:
    """`if test: then else: otherwise`. Only merged variables are visible after it."""

    test: Atom
    then: "Block"
    otherwise: "Block"
    merges: list[Merge]
    line: int = 0


@dataclass(eq=False)
class Carry:
    """A variable that a loop carries.

    In the body, `variable` is its value at the start of the pass: `initial` in the first, then `following` of the pass
    before. After the loop `result` holds the last `following`, or `initial` if there was no pass.
    """

    variable: Variable
    initial: Atom
    following: Atom
    result: Variable


@dataclass(eq=False)
class Read:
    """In pass k (from 0), `variables` unpack the tuple stack[len(stack) - 1 - k]: the stack is read from its end."""

    variables: tuple[Variable, ...]
    stack: Atom


@dataclass(eq=False)
class Write:
    """Every pass ends by appending the tuple of `values` to `stack`, a new list that is visible after the loop."""

    stack: Variable
    values: tuple[Atom, ...]


@dataclass(eq=False)
class Loop:
    """`for index in range(start, stop, step)`, `while test` or, with neither, once for each item of the stacks read.

    A loop may both run over a range and read stacks: they have the same length.

    Attributes:
        body: one pass. Its variables are visible outside only as carried results and written stacks.
        carried: the variables carried.
        index: the variable of a loop over a range, assigned anew in every pass.
        bounds: start, stop and step, fixed before the first pass.
        backwards: whether the range is gone through from its end.
        test: the block that computes `condition` before each pass of a `while`; it sees the carried variables.
        condition: the loop goes on while it is true.
        reads: stacks read, last item first.
        writes: stacks written.
        checkpointed: whether reverse mode recomputes passes from few stored states.
    """

    body: "Block"
    carried: list[Carry] = field(default_factory=list)
    index: Variable | None = None
    bounds: tuple[Atom, Atom, Atom] | None = None
    backwards: bool = False
    test: "Block | None" = None
    condition: Atom | None = None
    reads: list[Read] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    checkpointed: bool = False
    line: int = 0


Statement = Op | Call | If | Loop
Block = list[Statement]


@dataclass(eq=False)
class Program:
    """A function in A-normal form.

    Attributes:
        name: the function's name.
        parameters: its parameters, in order.
        body: its statements.
        results: what it returns: one atom, or several returned as a tuple.
        file: where the user's source stands; `line` of statements counts in it.
    """

    name: str
    parameters: tuple[Variable, ...]
    body: Block
    results: tuple[Atom, ...]
    file: str = ""


@dataclass(eq=False)
class Function:
    """A program that others call, built when first asked for: a recursive function calls itself while it is built.

    Attributes:
        name: its name.
        build: makes the program.
        checkpointed: whether reverse mode stores its arguments alone and runs it again.
        forward: makes its forward mode, where it has a rule of its own (`forward.forward`).
        adjoint: writes the adjoint of a call of it, where it has a rule of its own: from the builder, the call and the
            adjoint of the result to an adjoint for each argument.
        built: the program, once it is made.
        valid: whether all outside that the program was made for still means the same.
        derived: what has been made from it (`once`).
    """

    name: str
    build: Callable[[], Program]
    checkpointed: bool = False
    forward: "Callable[[tuple[bool, ...], int], Program] | None" = None
    adjoint: "Callable[[Builder, Call, Atom], list[Atom]] | None" = None
    built: Program | None = None
    valid: Callable[[], bool] = lambda: True
    derived: dict[Any, Any] = field(default_factory=dict)

    @property
    def program(self) -> Program:
        with MAKING:
            if self.built is None:
                self.built = self.build()
            return self.built

    def once(self, key: Any, make: Callable[[], Made]) -> Made:
        """What `make` returned when it was first asked for under this key."""
        if key not in self.derived:
            with MAKING:
                if key not in self.derived:
                    self.derived[key] = make()
        made: Made = self.derived[key]
        return made


def functions(statement: Statement) -> list[Function]:
    """The functions that a statement calls itself, or gives to the primitive that it calls."""
    match statement:
        case Call():
            return [statement.function]
        case Op():
            values = (value.value for value in statement.keywords.values() if isinstance(value, Constant))
            return [value for value in values if isinstance(value, Function)]
        case _:
            return []


def inside(statement: Statement) -> list[Block]:
    """The blocks directly inside a statement."""
    match statement:
        case If():
            return [statement.then, statement.otherwise]
        case Loop():
            return [block for block in (statement.test, statement.body) if block is not None]
        case _:
            return []


def defined(block: Block) -> Iterator[Variable]:
    """The variables that a block assigns for itself and what follows it, not those inside its `If`s and loops."""
    for statement in block:
        match statement:
            case Op() | Call():
                yield from statement.outputs
            case If():
                yield from (merge.output for merge in statement.merges)
            case Loop():
                yield from (carry.result for carry in statement.carried)
                yield from (write.stack for write in statement.writes)


def uses(statement: Statement) -> Iterator[Atom]:
    """The atoms that a statement reads, those in its blocks included, each as often as it is read."""
    match statement:
        case Op():
            yield from statement.inputs
            yield from statement.keywords.values()
        case Call():
            yield from statement.inputs
        case If():
            yield statement.test
            for merge in statement.merges:
                yield from (merge.then, merge.otherwise)
        case Loop():
            yield from statement.bounds or ()
            if statement.condition is not None:
                yield statement.condition
            for carry in statement.carried:
                yield from (carry.initial, carry.following)
            yield from (read.stack for read in statement.reads)
            for write in statement.writes:
                yield from write.values
    for block in inside(statement):
        for nested in block:
            yield from uses(nested)


def assigned(block: Block) -> Iterator[Variable]:
    """All variables that a block assigns, at every depth."""
    yield from defined(block)
    for statement in block:
        if isinstance(statement, Loop):
            yield from (carry.variable for carry in statement.carried)
            yield from (variable for read in statement.reads for variable in read.variables)
            if statement.index is not None:
                yield statement.index
        for nested in inside(statement):
            yield from assigned(nested)


def substituted(block: Block, new: dict[Variable, Atom]) -> Block:
    """The block with the variables that it reads replaced; what it assigns stays."""

    def atom(old: Atom) -> Atom:
        return new.get(old, old) if isinstance(old, Variable) else old

    def atoms(old: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return tuple(map(atom, old))

    def statement(old: Statement) -> Statement:
        match old:
            case Op():
                keywords = {key: atom(value) for key, value in old.keywords.items()}
                return Op(old.outputs, old.primitive, atoms(old.inputs), keywords, old.line)
            case Call():
                return Call(old.outputs, old.function, atoms(old.inputs), old.line)
            case If():
                merges = [Merge(merge.output, atom(merge.then), atom(merge.otherwise)) for merge in old.merges]
                return If(atom(old.test), blocks(old.then), blocks(old.otherwise), merges, old.line)
            case Loop():
                return Loop(
                    body=blocks(old.body),
                    carried=[Carry(c.variable, atom(c.initial), atom(c.following), c.result) for c in old.carried],
                    index=old.index,
                    bounds=None
                    if old.bounds is None
                    else (atom(old.bounds[0]), atom(old.bounds[1]), atom(old.bounds[2])),
                    backwards=old.backwards,
                    test=None if old.test is None else blocks(old.test),
                    condition=None if old.condition is None else atom(old.condition),
                    reads=[Read(read.variables, atom(read.stack)) for read in old.reads],
                    writes=[Write(write.stack, atoms(write.values)) for write in old.writes],
                    checkpointed=old.checkpointed,
                    line=old.line,
                )

    def blocks(old: Block) -> Block:
        return [statement(each) for each in old]

    return blocks(block)
