"""Programs as assignments, for the printer: merges, carried variables and stacks become copies and appends."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from etude.autodiff.program import Atom, Block, Call, If, Loop, Op, Program, Statement, Variable, defined, inside

Value = Op | Call | If


@dataclass(frozen=True, eq=False)
class Inlined:
    """What is printed inside the statement that uses it.

    Attributes:
        values: what stands in the place of a variable.
        conditional: the `If`s that are printed as conditional expressions.
        late: values of the user's variables that may stand in the place of their only use, at the end of a pass.
    """

    values: dict[Variable, Value] = field(default_factory=dict)
    conditional: set[If] = field(default_factory=set)
    late: dict[Variable, Value] = field(default_factory=dict)

    def leaves(self, atom: Atom) -> Iterator[Variable]:
        """The variables that the printed form of an atom names."""
        if isinstance(atom, Variable):
            if atom in self.values:
                yield from self.operands(self.values[atom])
            else:
                yield atom

    def operands(self, value: Value) -> Iterator[Variable]:
        """The variables that the printed form of a value names."""
        for atom in operands(value):
            yield from self.leaves(atom)


def operands(value: Value) -> tuple[Atom, ...]:
    """The atoms that a value reads; of an `If`, those of a conditional expression."""
    match value:
        case Op():
            return (*value.inputs, *value.keywords.values())
        case Call():
            return value.inputs
        case If():
            return (value.test, *(atom for merge in value.merges for atom in (merge.then, merge.otherwise)))


@dataclass(eq=False)
class Assign:
    targets: tuple[Variable, ...]
    value: Value
    line: int


@dataclass(eq=False)
class Copies:
    """All targets get their values at once."""

    pairs: list[tuple[Variable, Atom]]
    line: int


@dataclass(eq=False)
class Create:
    """`stack = []`"""

    stack: Variable
    line: int


@dataclass(eq=False)
class Append:
    stack: Variable
    values: tuple[Atom, ...]
    line: int


@dataclass(eq=False)
class Branch:
    test: Atom
    then: "list[Instruction]"
    otherwise: "list[Instruction]"
    line: int


@dataclass(eq=False)
class Repeat:
    """The head of `loop`, and its test and body as instructions."""

    loop: Loop
    test: "list[Instruction]"
    body: "list[Instruction]"
    line: int

    @property
    def heads(self) -> list[Variable]:
        """What the head assigns in every pass."""
        index = [] if self.loop.index is None else [self.loop.index]
        return index + [variable for read in self.loop.reads for variable in read.variables]

    @property
    def sources(self) -> list[Atom]:
        """What the head reads once."""
        return [*(self.loop.bounds or ()), *(read.stack for read in self.loop.reads)]


Instruction = Assign | Copies | Create | Append | Branch | Repeat


def lowered(program: Program, inlined: Inlined) -> list[Instruction]:
    """The body of a program as instructions, without what is inlined."""
    return _block(program.body, inlined)


def _block(block: Block, inlined: Inlined) -> list[Instruction]:
    return [instruction for statement in block for instruction in _statement(statement, inlined)]


def _statement(statement: Statement, inlined: Inlined) -> list[Instruction]:
    line = statement.line
    match statement:
        case Op() | Call():
            if not inlined.values.keys().isdisjoint(statement.outputs):
                return []
            return [Assign(statement.outputs, statement, line)]
        case If() if statement in inlined.conditional:
            output = statement.merges[0].output
            return [] if output in inlined.values else [Assign((output,), statement, line)]
        case If():
            then: list[Instruction] = _block(statement.then, inlined)
            otherwise: list[Instruction] = _block(statement.otherwise, inlined)
            then.append(Copies([(merge.output, merge.then) for merge in statement.merges], line))
            otherwise.append(Copies([(merge.output, merge.otherwise) for merge in statement.merges], line))
            return [Branch(statement.test, then, otherwise, line)]
        case Loop():
            before: list[Instruction] = [Copies([(carry.variable, carry.initial)], line) for carry in statement.carried]
            before += [Create(write.stack, line) for write in statement.writes]
            test = _block(statement.test or [], inlined)
            repeat = Repeat(statement, test, _pass(statement, inlined), line)
            return [*before, repeat, Copies([(carry.result, carry.variable) for carry in statement.carried], line)]


def _pass(loop: Loop, inlined: Inlined) -> list[Instruction]:
    """The body of a loop. A stack is appended to as early as its values are known, so that they may be overwritten."""
    last = {variable: k for k, statement in enumerate(loop.body) for variable in defined([statement])}
    appends: dict[int, list[Instruction]] = {}
    for write in loop.writes:
        known = max((last.get(value, -1) for value in write.values if isinstance(value, Variable)), default=-1)
        appends.setdefault(known, []).append(Append(write.stack, write.values, loop.line))
    body = appends.get(-1, [])
    for k, statement in enumerate(loop.body):
        body += _statement(statement, inlined) + appends.get(k, [])
    return [*body, Copies([(carry.variable, carry.following) for carry in loop.carried], loop.line)]


def every(block: Block) -> Iterator[Statement]:
    """All statements of a block, at every depth."""
    for statement in block:
        yield statement
        for nested in inside(statement):
            yield from every(nested)
