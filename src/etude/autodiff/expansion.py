"""Calls replaced by the statements of the program called, so that no call has to pack what its adjoint needs."""

from dataclasses import replace

from etude.autodiff.optimise import simplified
from etude.autodiff.program import (
    Atom,
    Block,
    Call,
    Carry,
    Function,
    If,
    Loop,
    Merge,
    Op,
    Program,
    Read,
    Statement,
    Variable,
    Write,
    inside,
)

MOST = 100
"""How many statements a program has at most whose calls are replaced."""


def expanded(program: Program) -> Program:
    """The program, simplified, without calls of small programs that neither recur nor have their own derivative."""
    expansion = _Expansion({})
    body = expansion.block(program.body)
    return simplified(replace(program, body=body, results=expansion.atoms(program.results)))


def copied(program: Program) -> Program:
    """The program with variables of its own."""
    copy = _Expansion({}, fresh=True, most=-1)
    parameters = copy.news(program.parameters)
    body = copy.block(program.body)
    return replace(program, parameters=parameters, body=body, results=copy.atoms(program.results))


def expanded_call(call: Call) -> tuple[Block, tuple[Atom, ...]]:
    """The statements in the place of a call, and its results."""
    expansion = _Expansion({})
    return expansion.call(call), expansion.atoms(call.outputs)


def expanded_function(function: Function) -> Function:
    """The function whose program is `expanded`, made once."""

    def make() -> Function:
        return Function(function.name, lambda: expanded(function.program), valid=function.valid)

    return function.once("expanded", make)


class _Expansion:
    """A copy of statements, in which the variables that they assign are new if `fresh`.

    Attributes:
        names: what stands in the copy for a variable of the original.
        fresh: whether variables are replaced.
        around: the functions whose bodies are being copied.
        most: how many statements a program has at most whose calls are replaced.
    """

    def __init__(
        self,
        names: dict[Variable, Atom],
        fresh: bool = False,
        around: frozenset[Function] = frozenset(),
        most: int = MOST,
    ) -> None:
        self.names = names
        self.fresh = fresh
        self.around = around
        self.most = most

    def atom(self, atom: Atom) -> Atom:
        return self.names.get(atom, atom) if isinstance(atom, Variable) else atom

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return tuple(map(self.atom, atoms))

    def new(self, variable: Variable) -> Variable:
        """The variable that is assigned in the place of another."""
        if not self.fresh:
            return variable
        if variable not in self.names:
            self.names[variable] = Variable(variable.name, variable.kind, variable.given)
        return self.names[variable]  # type: ignore[return-value]

    def news(self, variables: tuple[Variable, ...]) -> tuple[Variable, ...]:
        return tuple(map(self.new, variables))

    def block(self, block: Block) -> Block:
        return [copied for statement in block for copied in self.statement(statement)]

    def statement(self, old: Statement) -> Block:
        match old:
            case Op():
                keywords = {key: self.atom(value) for key, value in old.keywords.items()}
                return [Op(self.news(old.outputs), old.primitive, self.atoms(old.inputs), keywords, old.line)]
            case Call():
                return self.call(old)
            case If():
                test, then, otherwise = self.atom(old.test), self.block(old.then), self.block(old.otherwise)
                merges = [Merge(self.new(m.output), self.atom(m.then), self.atom(m.otherwise)) for m in old.merges]
                return [If(test, then, otherwise, merges, old.line)]
            case Loop():
                return [self.loop(old)]

    def loop(self, old: Loop) -> Loop:
        initial = [self.atom(carry.initial) for carry in old.carried]
        reads = [Read(self.news(read.variables), self.atom(read.stack)) for read in old.reads]
        bounds = old.bounds and (self.atom(old.bounds[0]), self.atom(old.bounds[1]), self.atom(old.bounds[2]))
        index = None if old.index is None else self.new(old.index)
        variables = [self.new(carry.variable) for carry in old.carried]
        test = None if old.test is None else self.block(old.test)
        body = self.block(old.body)
        carried = [
            Carry(variable, first, self.atom(carry.following), self.new(carry.result))
            for variable, first, carry in zip(variables, initial, old.carried, strict=True)
        ]
        return replace(
            old,
            body=body,
            carried=carried,
            index=index,
            bounds=bounds,
            test=test,
            condition=None if old.condition is None else self.atom(old.condition),
            reads=reads,
            writes=[Write(self.new(write.stack), self.atoms(write.values)) for write in old.writes],
        )

    def call(self, old: Call) -> Block:
        function = old.function
        inputs = self.atoms(old.inputs)
        if function in self.around or not self.fits(function):
            return [Call(self.news(old.outputs), function, inputs, old.line)]
        called = function.program
        names = dict(zip(called.parameters, inputs, strict=True))
        inner = _Expansion(names, True, self.around | {function}, self.most)
        body = inner.block(called.body)
        for output, result in zip(old.outputs, inner.atoms(called.results), strict=True):
            self.names[output] = result
            if isinstance(result, Variable) and not result.given and result not in inputs:
                result.name, result.given = output.name, output.given
        return body

    def fits(self, function: Function) -> bool:
        """Whether the calls of a function can be replaced."""
        if function.forward or function.adjoint or function.checkpointed:
            return False
        return _size(function.program.body) <= self.most and not _reaches(function, function, set())


def _size(block: Block) -> int:
    return sum(1 + sum(map(_size, inside(statement))) for statement in block)


def _calls(block: Block) -> list[Call]:
    """The calls in a block, at every depth."""
    found: list[Call] = []
    for statement in block:
        if isinstance(statement, Call):
            found.append(statement)
        for nested in inside(statement):
            found += _calls(nested)
    return found


def _reaches(start: Function, end: Function, seen: set[Function]) -> bool:
    """Whether a function calls another, by however many steps."""
    seen.add(start)
    called = {call.function for call in _calls(start.program.body)}
    return end in called or any(_reaches(function, end, seen) for function in called - seen)
