"""Making a program shorter without changing what it computes.

Constants are folded, laws of arithmetic applied, common subexpressions computed once, copies and dead code removed,
until nothing changes any more.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from etude.autodiff.dead import without_dead_code
from etude.autodiff.expressions import literal
from etude.autodiff.identities import LAWS, Definitions, folded, numbers, parts, scalar
from etude.autodiff.kinds import Array, Dict, Tuple
from etude.autodiff.lowering import operands
from etude.autodiff.primitives import PRIMITIVES
from etude.autodiff.program import (
    MISSING,
    Atom,
    Block,
    Call,
    Carry,
    Constant,
    Function,
    If,
    Loop,
    Merge,
    Op,
    Program,
    Read,
    Variable,
    Write,
    assigned,
    defined,
    functions,
)

_done: WeakKeyDictionary[Program, Program] = WeakKeyDictionary()


def optimised(program: Program) -> Program:
    """The program without what it need not do, and the same of the programs that it calls."""
    if program not in _done:
        short = simplified(program)
        _done[program] = replace(short, body=_calling(short.body))
    return _done[program]


def optimised_function(function: Function) -> Function:
    """The optimised program of a function, made once, when it is asked for."""

    def make() -> Function:
        made = Function(function.name, lambda: optimised(function.program))
        made.derived["optimised"] = made
        return made

    return function.once("optimised", make)


def simplified(program: Program) -> Program:
    """The program without what it need not do; its calls stay as they are."""
    size = -1
    while size != (size := _size(program.body)):
        simplifier = Simplifier()
        body = simplifier.block(program.body)
        results = tuple(map(simplifier.atom, program.results))
        program = without_dead_code(replace(program, body=body, results=results))
        if simplifier.unfinished:
            size = -1
    return program


def _calling(block: Block) -> Block:
    """The block with calls of optimised programs."""
    result: Block = []
    for statement in block:
        match statement:
            case Call():
                statement = replace(statement, function=optimised_function(statement.function))
            case Op() if functions(statement):
                keywords: dict[str, Atom] = {
                    key: Constant(optimised_function(value.value)) if isinstance(value.value, Function) else value
                    for key, value in statement.keywords.items()
                    if isinstance(value, Constant)
                }
                statement = replace(statement, keywords=keywords)
            case If():
                then, otherwise = _calling(statement.then), _calling(statement.otherwise)
                statement = replace(statement, then=then, otherwise=otherwise)
            case Loop():
                test = None if statement.test is None else _calling(statement.test)
                statement = replace(statement, body=_calling(statement.body), test=test)
            case _:
                pass
        result.append(statement)
    return result


def _size(block: Block) -> int:
    """How much there is in a block: statements, merges, carried variables, places in stacks."""
    size = len(block)
    for statement in block:
        match statement:
            case If():
                size += len(statement.merges) + _size(statement.then) + _size(statement.otherwise)
            case Loop():
                size += (
                    (statement.bounds is not None)
                    + len(statement.carried)
                    + _size(statement.body)
                    + _size(statement.test or [])
                )
                size += sum(1 + len(read.variables) for read in statement.reads)
                size += sum(1 + len(write.values) for write in statement.writes)
    return size


def key(atom: Atom) -> Any:
    """Equal for atoms that always have the same value."""
    if isinstance(atom, Variable):
        return atom
    text = None if atom.name else literal(atom.value)
    return (type(atom.value), text) if text is not None else (atom.name, atom.fetch or id(atom.value))


def inputs_key(op: Op) -> Any:
    """Equal for the inputs of operations that have the same value: those of sums and products in any order."""
    keys = tuple(map(key, op.inputs))
    commutes = op.primitive.name in ("add", "mul") and numbers(*op.inputs)
    return frozenset(Counter(keys).items()) if commutes else keys


def harmless(op: Op) -> bool:
    """Whether an operation can be computed without need: it is cheap and cannot fail."""
    if op.primitive.name in ("slice", "tuple"):
        return True
    if op.primitive.name in ("shape", "size"):
        return isinstance(op.inputs[0].kind, Array)
    if op.primitive.name == "item":
        return isinstance(op.inputs[0].kind, Tuple | Dict) and isinstance(op.keywords["index"], Constant)
    arrays = [atom for atom in op.inputs if not scalar(atom)]
    known = all(isinstance(atom.kind, Array) for atom in arrays)
    return op.primitive.name in ("add", "sub", "mul", "negate") and known and len(arrays) < 2


class Simplifier:
    """One pass over a program, from its start to its end.

    Attributes:
        new: what stands for variables that are no longer computed.
        made: the operation that computes a variable.
        known: the variables that hold what an operation computes, one table for each block that is open.
        stacks: for each place of a stack what is written there, and whether that is the same in every pass.
        unfinished: whether another pass would find more.
    """

    def __init__(self) -> None:
        self.new: dict[Atom, Atom] = {}
        self.made = Definitions()
        self.known: list[dict[Any, tuple[Variable, ...]]] = []
        self.stacks: dict[Atom, tuple[tuple[Atom, bool], ...]] = {}
        self.unfinished = False

    def atom(self, atom: Atom) -> Atom:
        return self.new.get(atom, atom)

    def atoms(self, atoms: Iterable[Atom]) -> tuple[Atom, ...]:
        return tuple(map(self.atom, atoms))

    def block(self, block: Block) -> Block:
        result: Block = []
        self.known.append({})
        self.statements(block, result)
        self.known.pop()
        return result

    def statements(self, block: Block, result: Block) -> None:
        """Append the simplified statements of a block."""
        for statement in block:
            match statement:
                case Op():
                    keywords = {name: self.atom(value) for name, value in statement.keywords.items()}
                    self.op(replace(statement, inputs=self.atoms(statement.inputs), keywords=keywords), result)
                case Call():
                    result.append(replace(statement, inputs=self.atoms(statement.inputs)))
                case If():
                    self.branch(statement, result)
                case Loop():
                    self.loop(statement, result)

    def op(self, op: Op, result: Block) -> None:
        if op.primitive.name == "dup":
            self.new.update(dict.fromkeys(op.outputs, op.inputs[0]))
            return
        single = parts(op, self.made)
        if single is not None:
            for part in single:
                self.op(replace(part, inputs=self.atoms(part.inputs)), result)
            return
        simpler = self.simpler(op)
        if isinstance(simpler, Op):
            self.keep(simpler, result)
        else:
            self.new[op.outputs[0]] = simpler

    def simpler(self, op: Op) -> Op | Atom:
        """What an operation becomes by the laws, applied as often as they can be."""
        while True:
            constant = folded(op)
            if constant is not None:
                return constant
            law = LAWS.get(op.primitive.name) if PRIMITIVES.get(op.primitive.name) is op.primitive else None
            simpler = law(op, self.made) if law else None
            if simpler is None:
                return op
            if not isinstance(simpler, Op):
                return simpler
            op = simpler

    def keep(self, op: Op, result: Block) -> None:
        """Append an operation, unless its value is known."""
        primitive = op.primitive
        if not (primitive.keeps or primitive.effect) and PRIMITIVES.get(primitive.name) is primitive:
            named = tuple((name, key(value)) for name, value in sorted(op.keywords.items()))
            number = (primitive, inputs_key(op), named)
            for table in self.known:
                if number in table:
                    self.new.update(zip(op.outputs, table[number], strict=True))
                    return
            self.known[-1][number] = op.outputs
        if len(op.outputs) == 1:
            self.made.add(op)
        result.append(op)

    def branch(self, branch: If, result: Block) -> None:
        test = self.atom(branch.test)
        if isinstance(test, Constant) and test.name is None:
            self.statements(branch.then if test.value else branch.otherwise, result)
            for merge in branch.merges:
                self.new[merge.output] = self.atom(merge.then if test.value else merge.otherwise)
            return
        then, otherwise = self.block(branch.then), self.block(branch.otherwise)
        merges: dict[Any, Merge] = {}
        own = {*defined(then), *defined(otherwise)}
        for merge in branch.merges:
            sides = self.atom(merge.then), self.atom(merge.otherwise)
            keys = tuple(map(key, sides))
            if keys[0] == keys[1] or (sides[1] is MISSING and sides[0] not in own):
                self.new[merge.output] = sides[0]
            elif sides[0] is MISSING and sides[1] not in own:
                self.new[merge.output] = sides[1]
            elif keys in merges:
                self.new[merge.output] = merges[keys].output
            else:
                merges[keys] = Merge(merge.output, *sides)
        result.append(If(test, then, otherwise, list(merges.values()), branch.line))

    def loop(self, loop: Loop, result: Block) -> None:
        carried = []
        for carry in loop.carried:
            initial = self.atom(carry.initial)
            constant = isinstance(initial, Constant) and isinstance(carry.following, Constant)
            if carry.following is carry.variable or (constant and key(initial) == key(carry.following)):
                self.new[carry.variable] = self.new[carry.result] = initial
            else:
                carried.append(Carry(carry.variable, initial, carry.following, carry.result))
        reads = [self.read(read) for read in loop.reads]
        bounds = None if loop.bounds is None else self.atoms(loop.bounds)
        test = None if loop.test is None else self.block(loop.test)
        condition = None if loop.condition is None else self.atom(loop.condition)
        body = self.block(loop.body)
        for carry in carried:
            carry.following = self.atom(carry.following)
            self.unfinished |= carry.following is carry.variable
        writes = [Write(write.stack, self.atoms(write.values)) for write in loop.writes]
        new = replace(loop, body=[], carried=carried, test=test, condition=condition, reads=reads, writes=writes)
        new.bounds = None if bounds is None else (bounds[0], bounds[1], bounds[2])
        self.hoist(new, body, result)
        inner = set(assigned([new]))
        for write in writes:
            self.stacks[write.stack] = tuple((value, value not in inner) for value in write.values)
        result.append(new)

    def hoist(self, loop: Loop, body: Block, result: Block) -> None:
        """Fill a loop with its body, but move before it what is the same in every pass and cannot fail."""
        inner = {*assigned([loop]), *assigned(body)}
        for statement in body:
            if isinstance(statement, Op) and harmless(statement) and inner.isdisjoint(operands(statement)):
                result.append(statement)
                inner.difference_update(statement.outputs)
                self.unfinished = True
            else:
                loop.body.append(statement)

    def read(self, read: Read) -> Read:
        """A stack read. What is the same in every item, or beside it in the item, need not be read."""
        stack = self.atom(read.stack)
        first: dict[Atom, Variable] = {}
        for variable, (value, fixed) in zip(read.variables, self.stacks.get(stack, ()), strict=False):
            if fixed:
                self.new[variable] = value
            elif value in first:
                self.new[variable] = first[value]
            else:
                first[value] = variable
        return Read(read.variables, stack)
