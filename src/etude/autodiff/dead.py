"""Removing what no result depends on: statements, merges, carried variables, and places in stacks."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from etude.autodiff.program import (
    Atom,
    Block,
    Call,
    Function,
    If,
    Loop,
    Op,
    Program,
    Read,
    Statement,
    Variable,
    Write,
    inside,
)

Node = Variable | If | Loop | tuple[Atom, int]
"""What may be needed: a variable (of a stack: its length), that a statement is there at all, a place in a stack."""


def without_dead_code(program: Program) -> Program:
    """The program without what neither its results nor its effects depend on."""
    needs = Needs(program)
    return replace(program, body=[kept for statement in program.body for kept in _kept(statement, needs)])


def effectful(block: Block, seen: frozenset[Function] = frozenset()) -> bool:
    """Whether a block does anything beside computing values."""
    for statement in block:
        match statement:
            case Op():
                if statement.primitive.effect and statement.primitive.name != "adjoint":
                    return True
            case Call():
                if statement.function in seen:
                    continue
                if effectful(statement.function.program.body, seen | {statement.function}):
                    return True
            case _:
                if any(effectful(nested, seen) for nested in inside(statement)):
                    return True
    return False


class Needs:
    """What is needed, found from the results and the effects along what each thing depends on."""

    def __init__(self, program: Program) -> None:
        self.places: dict[Atom, int] = {}
        self.edges: dict[Node, list[Node]] = {}
        self.effects: set[Statement] = set()
        self.roots: list[Node] = []
        self.stacks(program.body)
        self.block(program.body, None)
        self.needed: set[Node] = set()
        pending = self.roots + list(self.all(program.results))
        while pending:
            node = pending.pop()
            if node not in self.needed:
                self.needed.add(node)
                pending += self.edges.get(node, [])

    def stacks(self, block: Block) -> None:
        for statement in block:
            if isinstance(statement, Loop):
                self.places |= {write.stack: len(write.values) for write in statement.writes}
            for nested in inside(statement):
                self.stacks(nested)

    def all(self, atoms: Iterable[Atom]) -> Iterator[Node]:
        """What reading atoms needs; of a stack every place."""
        for atom in atoms:
            if isinstance(atom, Variable):
                yield atom
                for place in range(self.places.get(atom, 0)):
                    yield atom, place

    def depend(self, node: Node, *nodes: Node | None) -> None:
        self.edges.setdefault(node, []).extend(each for each in nodes if each is not None)

    def block(self, block: Block, parent: If | Loop | None) -> None:
        for statement in block:
            match statement:
                case Op() | Call():
                    self.operation(statement, parent)
                case If():
                    self.branch(statement, parent)
                case Loop():
                    self.loop(statement, parent)

    def operation(self, statement: Op | Call, parent: If | Loop | None) -> None:
        keywords = statement.keywords.values() if isinstance(statement, Op) else ()
        sources = list(self.all((*statement.inputs, *keywords)))
        for output in statement.outputs:
            self.depend(output, parent, *sources)
        if effectful([statement]) or not statement.outputs:
            self.effects.add(statement)
            self.roots += [*sources, *([parent] if parent else [])]

    def branch(self, branch: If, parent: If | Loop | None) -> None:
        self.depend(branch, parent, *self.all([branch.test]))
        for merge in branch.merges:
            self.depend(merge.output, branch, *self.all([merge.then, merge.otherwise]))
        self.block(branch.then, branch)
        self.block(branch.otherwise, branch)

    def loop(self, loop: Loop, parent: If | Loop | None) -> None:
        self.depend(loop, parent, *self.all(loop.bounds or ()))
        if loop.condition is not None:
            self.depend(loop, *self.all([loop.condition]))
        if loop.bounds is None and loop.reads:
            self.depend(loop, *self.length(loop.reads[0]))
        if loop.index is not None:
            self.depend(loop.index, loop)
        for read in loop.reads:
            for place, variable in enumerate(read.variables):
                known = read.stack in self.places
                self.depend(variable, loop, *self.length(read), (read.stack, place) if known else None)
        for carry in loop.carried:
            self.depend(carry.variable, loop, *self.all([carry.initial, carry.following]))
            self.depend(carry.result, carry.variable)
        for write in loop.writes:
            self.depend(write.stack, loop)
            for place, value in enumerate(write.values):
                self.depend((write.stack, place), write.stack, *self.all([value]))
        for nested in inside(loop):
            self.block(nested, loop)

    @staticmethod
    def length(read: Read) -> list[Node]:
        return [read.stack] if isinstance(read.stack, Variable) else []


def _kept(statement: Statement, needs: Needs) -> Block:
    """The statement without its dead parts, nothing if all of it is dead."""
    needed = needs.needed
    match statement:
        case Op() | Call():
            return [statement] if statement in needs.effects or not needed.isdisjoint(statement.outputs) else []
        case If():
            if statement not in needed:
                return []
            merges = [merge for merge in statement.merges if merge.output in needed]
            return [
                replace(
                    statement,
                    then=_block(statement.then, needs),
                    otherwise=_block(statement.otherwise, needs),
                    merges=merges,
                )
            ]
        case Loop():
            return [_loop(statement, needs)] if statement in needed else []


def _block(block: Block, needs: Needs) -> Block:
    return [kept for statement in block for kept in _kept(statement, needs)]


def _loop(loop: Loop, needs: Needs) -> Loop:
    needed = needs.needed

    def places(stack: Atom, count: int) -> list[int]:
        return [place for place in range(count) if stack not in needs.places or (stack, place) in needed]

    reads = []
    for read in loop.reads:
        if not needed.isdisjoint(read.variables) or (loop.bounds is None and read is loop.reads[0]):
            variables = tuple(read.variables[place] for place in places(read.stack, len(read.variables)))
            reads.append(Read(variables, read.stack))
    writes = [
        Write(write.stack, tuple(write.values[place] for place in places(write.stack, len(write.values))))
        for write in loop.writes
        if write.stack in needed
    ]
    ranged = loop.index in needed or not reads
    return replace(
        loop,
        index=loop.index if ranged else None,
        bounds=loop.bounds if ranged else None,
        body=_block(loop.body, needs),
        test=None if loop.test is None else _block(loop.test, needs),
        carried=[carry for carry in loop.carried if carry.variable in needed],
        reads=reads,
        writes=writes,
    )
