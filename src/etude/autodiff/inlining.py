"""Which temporaries are printed inside the statement that uses them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from etude.autodiff.expressions import Expressions, Style
from etude.autodiff.kinds import Integer, Number, Other, Slice
from etude.autodiff.lowering import Inlined, Value, every, operands
from etude.autodiff.naming import temporary
from etude.autodiff.primitives import Primitive
from etude.autodiff.program import (
    MISSING,
    Atom,
    Block,
    Call,
    Constant,
    Function,
    If,
    Loop,
    Op,
    Program,
    Statement,
    Variable,
    uses,
)

LONGEST = 88
"""The most characters of a line in which temporaries are inlined, without its margin."""

DEEPEST = 4
"""The most operations nested in a line."""


@dataclass(eq=False)
class Candidate:
    """A variable that may be inlined at its only use, if nothing between changes what it reads.

    Attributes:
        value: what would be printed.
        position: where it stands in its block.
        fragile: whether it reads something that may be changed in place.
        depth: how many operations are nested in it.
    """

    value: Value
    position: int
    fragile: bool
    depth: int


def changes(statement: Statement) -> bool:
    """Whether a statement may change an array in place or have another effect."""
    match statement:
        case Op():
            name = statement.primitive.name
            return name == "add_at" or (statement.primitive.effect and name != "adjoint")
        case Call():
            return True
        case If():
            return any(map(changes, statement.then + statement.otherwise))
        case Loop():
            return any(map(changes, statement.body + (statement.test or [])))


def _lasting(statement: Op | Call) -> bool:
    """Whether a statement has to be printed where it stands."""
    return isinstance(statement, Op) and (statement.primitive.effect or statement.primitive.name == "add_at")


def _index(op: Op) -> bool:
    """Whether an operation makes an index of slices, which nothing changes."""
    return op.primitive.name == "slice" or (
        op.primitive.name == "tuple" and all(isinstance(atom.kind, Integer | Slice) for atom in op.inputs)
    )


def inlining(program: Program, style: Style = "optimised") -> Inlined:
    """The single-use temporaries of a program that fit into the line of their use; textbook style: those of rules.

    The textbook style keeps what the program itself computes on a line of its own, and nests what one derivative rule
    made: `dr = negate(div(dy, mul(y, y)))`.
    """
    search = Search(program, style)
    if style == "optimised":
        search.indices(program)
    search.block(program.body, [program.results])
    return search.inlined


class Names(dict[Variable, str]):
    """The wishes of variables as names, to measure lines with."""

    def __missing__(self, variable: Variable) -> str:
        return variable.name


def _outside(thing: Constant | Primitive | Function) -> str:
    return "" if isinstance(thing, Primitive) else thing.name or "constant"


class Search:
    """The decisions taken so far, statement by statement, inner blocks first."""

    def __init__(self, program: Program, style: Style) -> None:
        self.style = style
        self.inlined = Inlined()
        self.count = Counter(atom for statement in program.body for atom in uses(statement))
        self.count.update(program.results)
        self.text = Expressions(Names(), self.inlined, style, _outside)

    def indices(self, program: Program) -> None:
        """Inline slices and tuples of them that only stand between square brackets, wherever those are."""
        ops = [op for op in every(program.body) if isinstance(op, Op)]
        places = Counter(op.keywords["index"] for op in ops if "index" in op.keywords)
        for op in reversed([op for op in ops if _index(op)]):
            (output,) = op.outputs
            if self.count[output] == places[output]:
                self.inlined.values[output] = op
                places.update(op.inputs)

    def block(self, block: Block, ends: Sequence[Sequence[Atom]]) -> None:
        """Decide for a block; each of `ends` is printed in a line of its own after it."""
        barriers = [0]
        for statement in block:
            barriers.append(barriers[-1] + changes(statement))
        pending: dict[Variable, Candidate] = {}
        for position, statement in enumerate(block):
            self.inside(statement)
            own = int(isinstance(statement, Op | Call))
            depth = own
            for line in self.lines(statement):
                depth = max(depth, self.choose(line, position, pending, barriers, own, self.counted(statement)))
            self.propose(statement, position, depth, pending)
        for line in ends:
            self.choose(line, len(block), pending, barriers, 0, 1)
        for variable, candidate in pending.items():
            if (
                self.style == "optimised"
                and variable.given
                and not (candidate.fragile and barriers[-1] > barriers[candidate.position + 1])
            ):
                self.inlined.late[variable] = candidate.value

    def inside(self, statement: Statement) -> None:
        """Decide for the blocks of a statement, and whether an `If` is a conditional expression."""
        match statement:
            case If():
                self.block(statement.then, [[merge.then] for merge in statement.merges])
                self.block(statement.otherwise, [[merge.otherwise] for merge in statement.merges])
                if self.style == "optimised" and self.conditional(statement):
                    self.inlined.conditional.add(statement)
            case Loop():
                if statement.test is not None:
                    self.block(statement.test, [[statement.condition] if statement.condition else []])
                ends = [[carry.following] for carry in statement.carried]
                self.block(statement.body, [*ends, *(write.values for write in statement.writes)])

    def lines(self, statement: Statement) -> list[Sequence[Atom]]:
        """The atoms that a statement prints, line by line, without those in its blocks."""
        match statement:
            case Op() | Call():
                total = isinstance(statement, Op) and statement.primitive.name == "add_at"
                return [operands(statement)[total:]]
            case If():
                return [[statement.test]]
            case Loop():
                head = [*(statement.bounds or ()), *(read.stack for read in statement.reads)]
                return [*([carry.initial] for carry in statement.carried), head]

    def conditional(self, branch: If) -> bool:
        """Whether an `If` does nothing but choose one of two short values, neither of them the old value."""
        if len(branch.merges) != 1:
            return False
        (merge,) = branch.merges
        sides = (merge.then, merge.otherwise)
        statements = branch.then + branch.otherwise
        empty = all(isinstance(each, Op | If) and not self.remains(each) for each in statements)
        stays = any(
            side is MISSING or (isinstance(side, Variable) and not temporary(side) and side.name == merge.output.name)
            for side in sides
        )
        logical = branch.test in sides
        if any(
            self.inlined.values.get(side) in self.inlined.conditional for side in sides if isinstance(side, Variable)
        ):
            return False
        return empty and (logical or not stays) and sum(len(self.text.atom(side)) for side in sides) < LONGEST - 10

    def remains(self, statement: Op | If) -> bool:
        outputs = statement.outputs if isinstance(statement, Op) else tuple(merge.output for merge in statement.merges)
        return not outputs or any(output not in self.inlined.values for output in outputs)

    def counted(self, statement: Statement) -> int:
        """How often the test of a statement may be used: `a and b` names a once and uses it twice."""
        if isinstance(statement, If) and statement in self.inlined.conditional:
            return 1 + (statement.test in (statement.merges[0].then, statement.merges[0].otherwise))
        return 1

    def choose(
        self,
        line: Iterable[Atom],
        position: int,
        pending: dict[Variable, Candidate],
        barriers: list[int],
        depth: int,
        counted: int,
    ) -> int:
        """Inline what fits into a line, the shortest first; return how deep the line becomes."""
        atoms = list(line)
        total = sum(len(self.text.atom(atom)) + 2 for atom in atoms)
        found = []
        for atom in atoms:
            if self.style == "textbook" and isinstance(atom, Variable) and atom.name != "t":
                continue
            if not isinstance(atom, Variable) or atom not in pending or atom.given or self.count[atom] != counted:
                continue
            candidate = pending[atom]
            if not candidate.fragile or barriers[position] == barriers[candidate.position + 1]:
                found.append((len(self.text.value(candidate.value)[0]), atom, candidate))
        deepest = depth
        for length, atom, candidate in sorted(found, key=lambda each: each[0]):
            total += length
            if total <= LONGEST and candidate.depth + depth <= DEEPEST:
                self.inlined.values[atom] = candidate.value
                deepest = max(deepest, candidate.depth + depth)
        return deepest

    def propose(self, statement: Statement, position: int, depth: int, pending: dict[Variable, Candidate]) -> None:
        """Make a statement with one result a candidate for the line that uses it."""
        if isinstance(statement, Op | Call):
            if len(statement.outputs) != 1 or _lasting(statement):
                return
            output = statement.outputs[0]
        elif isinstance(statement, If) and statement in self.inlined.conditional:
            output = statement.merges[0].output
            depth += 1
        else:
            return
        if not output.given or self.count[output] == 1:
            pending[output] = Candidate(statement, position, self.fragile(statement), depth)

    def fragile(self, value: Value) -> bool:
        kinds = [leaf.kind for leaf in self.inlined.operands(value)]
        return isinstance(value, Call) or any(not isinstance(kind, Number | Integer | Other) for kind in kinds)
