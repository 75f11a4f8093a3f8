"""Reverse mode: the program, then the adjoints of its statements in the opposite order.

The adjoint of x, the derivative of the output of the whole program by x, is written d_dx. Every use of a variable adds
to its adjoint. The adjoint of a loop is a loop that runs the other way and reads from a stack what each pass had
stored; what runs once stays in its variable.

Source: course/004, "Reverse-mode AD"; Griewank & Walther, Evaluating Derivatives (2008), sections 3.2 and 12.
"""

from collections.abc import Iterable
from dataclasses import replace

from etude.autodiff.activity import active
from etude.autodiff.adjoints import Adjoints, adjoint_name, total
from etude.autodiff.forward import flavour, keywords_of, named, placed
from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, Number
from etude.autodiff.loops import reverse_loop
from etude.autodiff.primitives import PRIMITIVES, Builder
from etude.autodiff.program import (
    MISSING,
    Atom,
    Block,
    Call,
    Constant,
    Function,
    If,
    Loop,
    Merge,
    Op,
    Program,
    Statement,
    Variable,
    assigned,
    defined,
    substituted,
    uses,
)


class Reverse:
    """One transformation.

    Attributes:
        program: what is differentiated.
        varying: the active variables.
        textbook: whether adjoints are written as on the course's slides where they can be.
        again: whether the result will be differentiated in its turn, so that nothing is recomputed.
    """

    def __init__(self, program: Program, varying: set[Variable], textbook: bool = False, again: bool = False) -> None:
        self.program = program
        self.varying = varying
        self.textbook = textbook
        self.again = again

    def write(self, block: Block, adjoints: Adjoints, builder: Builder) -> Block:
        """Write the adjoint of a block; return the block with what the adjoint needs stored or made visible."""
        primal: list[Statement] = []
        for statement in reversed(block):
            match statement:
                case Op():
                    with placed(self.program, statement.line):
                        self.op(statement, adjoints, builder)
                    primal.append(statement)
                case Call():
                    primal.append(self.call(statement, adjoints, builder))
                case If():
                    adjoints.settle_all(builder)
                    primal.append(self.branch(statement, adjoints, builder))
                case Loop():
                    adjoints.settle_all(builder)
                    primal.append(reverse_loop(self, statement, adjoints, builder))
        adjoints.settle_all(builder)
        return primal[::-1]

    def op(self, op: Op, adjoints: Adjoints, builder: Builder) -> None:
        flavour(builder, op.primitive, op.line)
        for output in op.outputs:
            adjoints.settle(builder, output)
        if not any(output in adjoints.values for output in op.outputs):
            return
        changes = [adjoints.pop(builder, output) for output in op.outputs if output in adjoints.values]
        primitive = op.primitive
        if primitive.name == "dup":
            mark = len(builder.block)
            change = changes[0] if len(changes) == 1 else builder.emit(total(op.inputs[0].kind), *changes)
            adjoints.add(builder, op.inputs[0], named(builder, mark, change, adjoint_name(op.inputs[0])))
        elif primitive.name == "item":
            adjoints.at(builder, op.inputs[0], op.keywords["index"], changes[0])
        elif self.textbook and primitive.name in ("add", "mul") and self.both(op):
            pair = tuple(Variable(adjoint_name(value), Number()) for value in op.inputs)
            name, others = ("dup", ()) if primitive.name == "add" else ("multiples", op.inputs[::-1])
            builder.block.append(Op(pair, PRIMITIVES[name], (changes[0], *others), {}, op.line))
            for value, change in zip(op.inputs, pair, strict=True):
                adjoints.add(builder, value, change)
        else:
            self.rules(op, changes[0], adjoints, builder)

    def both(self, op: Op) -> bool:
        """Whether the adjoints of both inputs of an operation on numbers can be written in one line."""
        return all(isinstance(value.kind, Number | Integer) for value in op.inputs) and (
            op.primitive.name == "mul" or all(value in self.varying for value in op.inputs)
        )

    def rules(self, op: Op, change: Atom, adjoints: Adjoints, builder: Builder) -> None:
        """Write the adjoints of an operation's inputs by its rules."""
        primitive = op.primitive
        d, result = builder.symbol(change), builder.symbol(op.outputs[0])
        inputs = [builder.symbol(value) for value in op.inputs]
        keywords = keywords_of(builder, op)
        for position, value in enumerate(op.inputs):
            rule = primitive.reverse[0 if primitive.variadic else position]
            if value not in self.varying or rule is None:
                continue
            mark = len(builder.block)
            if primitive.variadic:
                contribution = rule(d, result, *inputs, position=position, **keywords)
            else:
                contribution = rule(d, result, *inputs, **keywords)
            if primitive.elementwise and _may_broadcast(value, op):
                contribution = PRIMITIVES["unbroadcast"](contribution, builder.symbol(value))
            adjoints.add(builder, value, named(builder, mark, contribution, adjoint_name(value)))

    def call(self, call: Call, adjoints: Adjoints, builder: Builder) -> Call:
        mask = tuple(value in self.varying for value in call.inputs)
        for output in call.outputs:
            adjoints.settle(builder, output)
        if not any(mask) or not any(output in adjoints.values for output in call.outputs):
            return call
        builder.line = call.line
        changes = tuple(adjoints.pop(builder, output) for output in call.outputs)
        varying = [value for value, varies in zip(call.inputs, mask, strict=True) if varies]
        outputs = tuple(Variable(adjoint_name(value), value.kind) for value in varying)
        if call.function.adjoint:
            (change,) = changes
            mark = len(builder.block)
            found = call.function.adjoint(builder, call, change)
            for value, adjoint in zip(call.inputs, found, strict=True):
                adjoints.add(builder, value, named(builder, mark, adjoint, adjoint_name(value)))
            return call
        if call.function.checkpointed and not self.again:
            repeat = recomputing(call.function, mask)
            builder.block.append(Call(outputs, repeat, (*call.inputs, *changes), call.line))
            primal = call
        else:
            forth, back = split_function(call.function, mask, self.again)
            stored = Variable(f"{call.function.name}_stored", UNKNOWN)
            builder.block.append(Call(outputs, back, (stored, *changes), call.line))
            primal = Call((*call.outputs, stored), forth, call.inputs, call.line)
        for value, change in zip(varying, outputs, strict=True):
            adjoints.add(builder, value, change)
        return primal

    def branch(self, branch: If, adjoints: Adjoints, builder: Builder) -> If:
        changes = [
            (merge, adjoints.pop(builder, merge.output)) for merge in branch.merges if merge.output in adjoints.values
        ]
        sides = []
        for block, sources in (
            (branch.then, [merge.then for merge, _ in changes]),
            (branch.otherwise, [merge.otherwise for merge, _ in changes]),
        ):
            inner = Adjoints(self.varying, values=dict(adjoints.values), owned=set(adjoints.owned))
            side = Builder(line=branch.line)
            for source, (_, change) in zip(sources, changes, strict=True):
                inner.add(side, source, change)
            primal = self.write(block, inner, side)
            sides.append((primal, inner, side))
        (then_primal, then, then_builder), (otherwise_primal, otherwise, otherwise_builder) = sides
        local = {*assigned(branch.then), *assigned(branch.otherwise)}
        merges = []
        touched = [variable for variable in {**then.values, **otherwise.values} if variable not in local]
        for variable in touched:
            if then.values.get(variable) is otherwise.values.get(variable):
                adjoints.values[variable] = then.values[variable]
                continue
            owned = variable in then.owned | otherwise.owned
            if owned:
                then.own(then_builder, variable)
                otherwise.own(otherwise_builder, variable)
            output = Variable(adjoint_name(variable), variable.kind)
            merges.append(Merge(output, then.pop(then_builder, variable), otherwise.pop(otherwise_builder, variable)))
            adjoints.values[variable] = output
            if owned:
                adjoints.owned.add(variable)
            else:
                adjoints.owned.discard(variable)
        adjoints.indexed |= (then.indexed | otherwise.indexed) - local
        exported = list(branch.merges)
        adjoint = If(
            branch.test,
            _exporting(then_builder.block, merges, then_primal, exported, True),
            _exporting(otherwise_builder.block, merges, otherwise_primal, exported, False),
            merges,
            branch.line,
        )
        if merges:
            builder.block.append(adjoint)
        return If(branch.test, then_primal, otherwise_primal, exported, branch.line)


def _may_broadcast(value: Atom, op: Op) -> bool:
    """Whether an elementwise operation may spread this input over axes that it does not have."""
    others: list[Kind] = [other.kind for other in op.inputs if other is not value]
    if not others or all(isinstance(other, Number | Integer) for other in others):
        return not isinstance(value.kind, Number | Array)
    return True


def _exporting(adjoint: Block, merges: list[Merge], primal: Block, exported: list[Merge], then: bool) -> Block:
    """The adjoint of a branch, with what it needs from the branch made visible after the `If`."""
    inside = set(defined(primal))
    sides = [merge.then if then else merge.otherwise for merge in merges]
    read = [value for statement in adjoint for value in uses(statement)] + sides
    visible = {merge.then if then else merge.otherwise: merge.output for merge in reversed(exported)}
    replaced: dict[Variable, Atom] = {}
    for value in dict.fromkeys(value for value in read if value in inside):
        if value not in visible:
            output = Variable(value.name, value.kind, value.given)
            exported.append(Merge(output, value, MISSING) if then else Merge(output, MISSING, value))
            visible[value] = output
        replaced[value] = visible[value]
    for merge in merges:
        if then:
            merge.then = replaced.get(merge.then, merge.then)  # type: ignore[arg-type]
        else:
            merge.otherwise = replaced.get(merge.otherwise, merge.otherwise)  # type: ignore[arg-type]
    return substituted(adjoint, replaced)


def joined(program: Program, mask: tuple[bool, ...], *, textbook: bool = False, again: bool = False) -> Program:
    """The program followed by its adjoint.

    Args:
        program: the program.
        mask: for each parameter, whether it varies.
        textbook: whether adjoints are written as on the course's slides.
        again: whether the result will be differentiated in its turn.

    Returns:
        A program with the old parameters and one adjoint for each result, and with the old results and one adjoint for
        each parameter that varies.
    """
    seeds = tuple(Variable(adjoint_name(result), result.kind) for result in program.results)
    primal, adjoint, gradients = sweep(program, mask, zip(program.results, seeds, strict=True), textbook, again)
    return Program(
        f"{program.name}_gradient",
        (*program.parameters, *seeds),
        [*primal, Op((), PRIMITIVES["adjoint"], ()), *adjoint],
        (*program.results, *gradients),
        program.file,
    )


def split(program: Program, mask: tuple[bool, ...], again: bool = False) -> tuple[Program, Program]:
    """The program and its adjoint as two programs.

    Returns:
        A program with the old parameters, whose results are the old ones and a tuple of what its adjoint needs; and the
        adjoint, whose parameters are that tuple and one adjoint for each result, and whose results are the adjoints
        of the parameters that vary. What the adjoint computes from values of the program alone is left to the first,
        so that calling the second many times does not compute it again.
    """
    seeds = tuple(Variable(adjoint_name(result), result.kind) for result in program.results)
    primal, adjoint, gradients = sweep(program, mask, zip(program.results, seeds, strict=True), again=again)
    slopes, adjoint = _slopes(adjoint, seeds)
    primal = [*primal, *slopes]
    inside = {*program.parameters, *defined(primal)}
    read = [value for statement in adjoint for value in uses(statement)] + list(gradients)
    needed = [value for value in dict.fromkeys(read) if isinstance(value, Variable) and value in inside]
    storing = Builder(list(primal))
    stored = storing.emit(PRIMITIVES["tuple"], *needed, name="stored")
    parameter = Variable("stored", stored.kind)
    fetching = Builder()
    fetched: dict[Variable, Atom] = {}
    for position, value in enumerate(needed):
        again_here = fetching.emit(PRIMITIVES["item"], parameter, index=Constant(position), name=value.name)
        again_here.given, again_here.kind = value.given, value.kind
        fetched[value] = again_here
    final = tuple(fetched.get(value, value) if isinstance(value, Variable) else value for value in gradients)
    forth = Program(
        f"{program.name}_primal",
        program.parameters,
        storing.block,
        (*program.results, stored),
        program.file,
    )
    back = Program(
        f"{program.name}_adjoint",
        (parameter, *seeds),
        fetching.block + substituted(adjoint, fetched),
        final,
        program.file,
    )
    return forth, back


def _slopes(adjoint: Block, seeds: Iterable[Variable]) -> tuple[Block, Block]:
    """The operations of an adjoint that no adjoint that arrives goes into, and the rest."""
    arriving: set[Atom] = set(seeds)
    slopes: Block = []
    rest: Block = []
    for statement in adjoint:
        lasting = not isinstance(statement, Op) or statement.primitive.effect or statement.primitive.keeps
        if lasting or not arriving.isdisjoint(uses(statement)):
            arriving.update(defined([statement]))
            rest.append(statement)
        else:
            slopes.append(statement)
    return slopes, rest


def sweep(
    program: Program,
    mask: tuple[bool, ...],
    seeds: Iterable[tuple[Atom, Atom]],
    textbook: bool = False,
    again: bool = False,
) -> tuple[Block, Block, tuple[Atom, ...]]:
    """The body of a program as its adjoint needs it, the adjoint, and the adjoints of the parameters of the mask.

    Args:
        program: the program.
        mask: for each parameter, whether its adjoint is asked for.
        seeds: the adjoints that arrive from outside, each with the atom of the program that it belongs to.
        textbook: whether adjoints are written as on the course's slides.
        again: whether the result will be differentiated in its turn.
    """
    origins = [parameter for parameter, varies in zip(program.parameters, mask, strict=True) if varies]
    varying = active(program, origins)
    adjoints, builder = Adjoints(varying), Builder()
    for value, seed in seeds:
        adjoints.add(builder, value, seed)
    primal = Reverse(program, varying, textbook, again).write(program.body, adjoints, builder)
    gradients = tuple(adjoints.pop(builder, origin) for origin in origins)
    return primal, builder.block, gradients


def split_function(function: Function, mask: tuple[bool, ...], again: bool) -> tuple[Function, Function]:
    """The two halves of the reverse mode of a function that a program calls, made once."""

    def make() -> tuple[Function, Function]:
        halves: list[tuple[Program, Program]] = []

        def half(which: int) -> Program:
            if not halves:
                halves.append(split(function.program, mask, again))
            return halves[0][which]

        return (
            Function(f"{function.name}_primal", lambda: half(0)),
            Function(f"{function.name}_adjoint", lambda: half(1)),
        )

    return function.once(("split", mask, again), make)


def recomputing(function: Function, mask: tuple[bool, ...]) -> Function:
    """A function from the arguments of another and the adjoints of its results to those of its arguments."""

    def build() -> Program:
        program = joined(function.program, mask)
        results = program.results[len(function.program.results) :]
        return replace(program, name=f"{function.name}_recomputed", results=results)

    return function.once(("recomputing", mask), lambda: Function(f"{function.name}_recomputed", build))
