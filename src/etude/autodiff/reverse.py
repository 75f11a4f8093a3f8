"""Reverse mode: the program, then the adjoints of its statements in the opposite order.

The adjoint of x, the derivative of the output of the whole program by x, is written d_dx. Every use of a variable adds
to its adjoint. The adjoint of a loop is a loop that runs the other way and reads from a stack what each pass had
stored; what runs once stays in its variable.

Source: course/004, "Reverse-mode AD"; Griewank & Walther, Evaluating Derivatives (2008), sections 3.2 and 12.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from etude.autodiff.activity import active
from etude.autodiff.forward import flavour, keywords_of, named, zero
from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, List, Number, Tuple
from etude.autodiff.primitives import PRIMITIVES, Builder, Primitive
from etude.autodiff.program import (
    MISSING,
    ZERO,
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
    Statement,
    Variable,
    Write,
    assigned,
    defined,
    substituted,
    uses,
)


@dataclass
class Adjoints:
    """The adjoints known so far, of variables that no statement yet to come assigns.

    Attributes:
        values: the adjoint of each variable that has one.
        owned: the variables whose adjoint nobody else holds, so that it may be added to in place.
        indexed: the variables whose adjoint has been added to item by item.
    """

    varying: set[Variable]
    values: dict[Variable, Atom] = field(default_factory=dict)
    owned: set[Variable] = field(default_factory=set)
    indexed: set[Variable] = field(default_factory=set)

    def add(self, builder: Builder, variable: Atom, contribution: Atom) -> None:
        """Add what one use of a variable contributes."""
        if variable not in self.varying:
            return
        if variable not in self.values:
            self.values[variable] = contribution
            return
        before = self.values[variable]
        if variable in self.owned and isinstance(variable.kind, Array):
            self.at(builder, variable, Constant(...), contribution)
            return
        self.values[variable] = builder.emit(_sum(variable), before, contribution, name=f"d_d{variable.name}")
        self.owned.discard(variable)

    def at(self, builder: Builder, variable: Atom, index: Atom, contribution: Atom) -> None:
        """Add what a use of `variable[index]` contributes, in place."""
        if variable not in self.varying:
            return
        self.own(builder, variable)
        self.indexed.add(variable)
        self.values[variable] = builder.emit(
            PRIMITIVES["add_at"], self.values[variable], contribution, name=f"d_d{variable.name}", index=index
        )

    def own(self, builder: Builder, variable: Variable) -> None:
        """Let the adjoint of a variable be one that nobody else holds."""
        if variable not in self.owned:
            fresh = builder.emit(PRIMITIVES["zeros_like"], variable, name=f"d_d{variable.name}")
            before = self.values.get(variable)
            if before is not None:
                fresh = builder.emit(_sum(variable), fresh, before, name=f"d_d{variable.name}")
            self.values[variable] = fresh
            self.owned.add(variable)

    def pop(self, builder: Builder, variable: Atom) -> Atom:
        """The finished adjoint of a variable, zero if nothing used it."""
        self.owned.discard(variable)
        if variable in self.values:
            return self.values.pop(variable)
        return zero(builder, variable)


class Reverse:
    """One transformation.

    Attributes:
        varying: the active variables.
        textbook: whether adjoints are written as on the course's slides where they can be.
        again: whether the result will be differentiated in its turn, so that nothing is recomputed.
    """

    def __init__(self, varying: set[Variable], textbook: bool = False, again: bool = False) -> None:
        self.varying = varying
        self.textbook = textbook
        self.again = again

    def write(self, block: Block, adjoints: Adjoints, builder: Builder) -> Block:
        """Write the adjoint of a block; return the block with what the adjoint needs stored or made visible."""
        primal: list[Statement] = []
        for statement in reversed(block):
            match statement:
                case Op():
                    self.op(statement, adjoints, builder)
                    primal.append(statement)
                case Call():
                    primal.append(self.call(statement, adjoints, builder))
                case If():
                    primal.append(self.branch(statement, adjoints, builder))
                case Loop():
                    primal.append(self.loop(statement, adjoints, builder))
        return primal[::-1]

    def op(self, op: Op, adjoints: Adjoints, builder: Builder) -> None:
        flavour(builder, op.primitive, op.line)
        if not any(output in adjoints.values for output in op.outputs):
            return
        changes = [adjoints.pop(builder, output) for output in op.outputs if output in adjoints.values]
        primitive = op.primitive
        if primitive.name == "dup":
            mark = len(builder.block)
            total = changes[0] if len(changes) == 1 else builder.emit(_sum(op.inputs[0]), *changes)
            adjoints.add(builder, op.inputs[0], named(builder, mark, total, _name(op.inputs[0])))
        elif primitive.name == "item":
            adjoints.at(builder, op.inputs[0], op.keywords["index"], changes[0])
        elif self.textbook and primitive.name in ("add", "mul") and self.both(op):
            pair = tuple(Variable(_name(value), Number()) for value in op.inputs)
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
            adjoints.add(builder, value, named(builder, mark, contribution, _name(value)))

    def call(self, call: Call, adjoints: Adjoints, builder: Builder) -> Call:
        mask = tuple(value in self.varying for value in call.inputs)
        if not any(mask) or not any(output in adjoints.values for output in call.outputs):
            return call
        builder.line = call.line
        changes = tuple(adjoints.pop(builder, output) for output in call.outputs)
        varying = [value for value, varies in zip(call.inputs, mask, strict=True) if varies]
        outputs = tuple(Variable(_name(value), value.kind) for value in varying)
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
            inner = Adjoints(self.varying, dict(adjoints.values), set(adjoints.owned))
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
            output = Variable(_name(variable), variable.kind)
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

    def loop(self, loop: Loop, adjoints: Adjoints, builder: Builder) -> Loop:
        builder.line = loop.line
        local = {*assigned([loop]), *assigned(loop.body)}
        live = [carry for carry in loop.carried if carry.result in adjoints.values]
        outer: list[Variable] = []
        indexed: set[Variable] = set()
        while True:
            attempt = self.one_pass(loop, live, outer, indexed, adjoints)
            now_live = [c for c in loop.carried if c in live or c.variable in attempt.adjoints.values]
            now_outer = [v for v in attempt.adjoints.values if v not in local]
            now_outer = outer + [v for v in now_outer if v not in outer]
            now_indexed = indexed | (attempt.adjoints.indexed - local)
            if (now_live, now_outer, now_indexed) == (live, outer, indexed):
                break
            live, outer, indexed = now_live, now_outer, now_indexed
        read = {variable for read in loop.reads for variable in read.variables}
        if not live and not outer and read.isdisjoint(attempt.adjoints.values):
            return loop
        if loop.checkpointed and loop.bounds is not None and not self.again:
            return self.recompute(loop, live, outer, attempt, adjoints, builder)
        return self.close(loop, live, outer, attempt, adjoints, builder)

    def one_pass(
        self, loop: Loop, live: list[Carry], outer: list[Variable], indexed: set[Variable], outside: Adjoints
    ) -> "Pass":
        """Write the adjoint of one pass of a loop.

        Args:
            loop: the loop.
            live: the carried variables that have an adjoint.
            outer: the variables from outside the loop to whose adjoints a pass adds.
            indexed: those of `outer` that are added to item by item.
            outside: the adjoints of what follows the loop.
        """
        inner = Adjoints(self.varying)
        attempt = Pass(Builder(line=loop.line), inner)
        for variable in outer:
            attempt.totals[variable] = inner.values[variable] = Variable(_name(variable), variable.kind)
            if variable in indexed or (isinstance(variable.kind, Array) and variable not in outside.values):
                inner.owned.add(variable)
                attempt.owned.add(variable)
        for carry in live:
            attempt.arriving[carry] = Variable(_name(carry.variable), carry.variable.kind)
        for carry in live:
            inner.add(attempt.builder, carry.following, attempt.arriving[carry])
        for write in loop.writes:
            if write.stack in outside.values:
                changes = tuple(Variable(_name(value), value.kind) for value in write.values)
                attempt.reads.append((write, changes))
                for value, change in zip(write.values, changes, strict=True):
                    inner.add(attempt.builder, value, change)
        attempt.primal = self.write(loop.body, inner, attempt.builder)
        return attempt

    def close(
        self,
        loop: Loop,
        live: list[Carry],
        outer: list[Variable],
        attempt: "Pass",
        adjoints: Adjoints,
        builder: Builder,
    ) -> Loop:
        """Write the adjoint loop from the adjoint of one pass; return the loop with what the passes store."""
        inner, body = attempt.adjoints, attempt.builder
        reads = [Read(changes, adjoints.pop(builder, write.stack)) for write, changes in attempt.reads]
        carried, results = [], []
        for carry in live:
            initial = adjoints.pop(builder, carry.result)
            result = Variable(_name(carry.variable), carry.variable.kind)
            carried.append(Carry(attempt.arriving[carry], initial, inner.pop(body, carry.variable), result))
            results.append((carry.initial, result))
        for variable in outer:
            owned = variable in attempt.owned
            if owned:
                adjoints.own(builder, variable)
                inner.own(body, variable)
            initial = adjoints.pop(builder, variable)
            result = Variable(_name(variable), variable.kind)
            carried.append(Carry(attempt.totals[variable], initial, inner.values.pop(variable), result))
            adjoints.values[variable] = result
            if owned:
                adjoints.owned.add(variable)
        writes = []
        for read in loop.reads:
            if not inner.values.keys().isdisjoint(read.variables):
                values = tuple(inner.pop(body, v) if v in self.varying else ZERO for v in read.variables)
                stack = Variable(_name(read.stack), read.stack.kind)
                writes.append(Write(stack, values))
                adjoints.add(builder, read.stack, stack)
        index = None if loop.index is None else Variable(loop.index.name, loop.index.kind, loop.index.given)
        adjoint = Loop(
            body.block, carried, index, loop.bounds, not loop.backwards, reads=reads, writes=writes, line=loop.line
        )
        new_body, primal_writes = attempt.primal, list(loop.writes)
        inside = {*defined(new_body), *(carry.variable for carry in loop.carried)}
        inside |= {variable for read in loop.reads for variable in read.variables}
        needed = list(dict.fromkeys(value for value in uses(adjoint) if value in inside))
        if needed or loop.bounds is None:
            stack = Variable("stack", List(Tuple(tuple(value.kind for value in needed))))
            again = tuple(Variable(value.name, value.kind, value.given) for value in needed)
            primal_writes.append(Write(stack, tuple(needed)))
            adjoint.reads.append(Read(again, stack))
            replaced: dict[Variable, Atom] = dict(zip(needed, again, strict=True))
        else:
            replaced = {}
        if index is not None and adjoint.reads and loop.index not in set(uses(adjoint)):
            adjoint.index, adjoint.bounds = None, None
        elif index is not None:
            replaced[loop.index] = index  # type: ignore[index]
        builder.block += substituted([adjoint], replaced)
        for value, result in results:
            adjoints.add(builder, value, result)
        return Loop(
            new_body,
            loop.carried,
            loop.index,
            loop.bounds,
            loop.backwards,
            loop.test,
            loop.condition,
            loop.reads,
            primal_writes,
            loop.checkpointed,
            loop.line,
        )

    def recompute(
        self,
        loop: Loop,
        live: list[Carry],
        outer: list[Variable],
        attempt: "Pass",
        adjoints: Adjoints,
        builder: Builder,
    ) -> Loop:
        """Write the adjoint of a loop that runs its passes again instead of storing them; return the loop as it is."""
        inner, body = attempt.adjoints, attempt.builder
        assert loop.index is not None
        assert loop.bounds is not None
        state = [carry.variable for carry in loop.carried]
        changes = tuple(inner.pop(body, carry.variable) for carry in live)
        totals = []
        for variable in outer:
            if variable in attempt.owned:
                adjoints.own(builder, variable)
                inner.own(body, variable)
            totals.append(inner.values.pop(variable))
        following = tuple(carry.following for carry in loop.carried)
        back_body = [*attempt.primal, *body.block]
        local = {loop.index, *state, *attempt.arriving.values(), *attempt.totals.values()}
        local |= set(assigned(loop.body)) | set(assigned(back_body))
        read = [value for statement in [*loop.body, *back_body] for value in uses(statement)]
        read += [*following, *changes, *totals]
        free = [value for value in dict.fromkeys(read) if isinstance(value, Variable) and value not in local]
        given = (loop.index, *state, *free)
        step = _packed("one_pass", given, loop.body, following)
        arriving = (*attempt.arriving.values(), *attempt.totals.values())
        back = _packed("one_pass_back", (*given, *arriving), back_body, (*changes, *totals))
        found = builder.emit(
            PRIMITIVES["treeverse"],
            *loop.bounds,
            builder.emit(PRIMITIVES["tuple"], *(carry.initial for carry in loop.carried)),
            builder.emit(PRIMITIVES["tuple"], *free),
            builder.emit(PRIMITIVES["tuple"], *(adjoints.pop(builder, carry.result) for carry in live)),
            builder.emit(PRIMITIVES["tuple"], *(adjoints.pop(builder, variable) for variable in outer)),
            step=Constant(Function("one_pass", lambda: step)),
            back=Constant(Function("one_pass_back", lambda: back)),
        )
        for position, value in enumerate([*(carry.initial for carry in live), *outer]):
            change = builder.emit(PRIMITIVES["item"], found, index=Constant(position), name=_name(value))
            change.kind = value.kind
            adjoints.add(builder, value, change)
        return loop


@dataclass
class Pass:
    """The adjoint of one pass of a loop, while the loop around it is not yet known.

    Attributes:
        builder: what the adjoint does.
        adjoints: what it leaves, of carried variables at the start of the pass and of variables from outside.
        primal: the pass itself, with what the adjoint needs made visible.
        arriving: for each live carried variable, the adjoint that arrives from the pass after.
        totals: for each variable from outside, its adjoint as it arrives from the pass after.
        owned: those of `totals` that may be added to in place.
        reads: the stacks that the pass writes, with the adjoints of what it puts there.
    """

    builder: Builder
    adjoints: Adjoints
    primal: Block = field(default_factory=list)
    arriving: dict[Carry, Variable] = field(default_factory=dict)
    totals: dict[Variable, Variable] = field(default_factory=dict)
    owned: set[Variable] = field(default_factory=set)
    reads: list[tuple[Write, tuple[Variable, ...]]] = field(default_factory=list)


def _name(value: Atom) -> str:
    return f"d_d{value.name or ''}"


def _packed(name: str, parameters: tuple[Variable, ...], body: Block, results: tuple[Atom, ...]) -> Program:
    """A program whose results are one tuple, however many they are."""
    builder = Builder(list(body))
    return Program(name, parameters, builder.block, (builder.emit(PRIMITIVES["tuple"], *results),))


def _sum(value: Atom) -> Primitive:
    """How adjoints of a value are added."""
    return PRIMITIVES["add" if isinstance(value.kind, Number | Array) else "accumulate"]


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
    seeds = tuple(Variable(_name(result), result.kind) for result in program.results)
    primal, adjoint, gradients = sweep(program, mask, zip(program.results, seeds, strict=True), textbook, again)
    return Program(
        f"{program.name}_gradient",
        (*program.parameters, *seeds),
        [*primal, Op((), PRIMITIVES["adjoint"], ()), *adjoint],
        (*program.results, *gradients),
        program.file,
        program.captured,
    )


def split(program: Program, mask: tuple[bool, ...], again: bool = False) -> tuple[Program, Program]:
    """The program and its adjoint as two programs.

    Returns:
        A program with the old parameters, whose results are the old ones and a tuple of what its adjoint needs; and the
        adjoint, whose parameters are that tuple and one adjoint for each result, and whose results are the adjoints
        of the parameters that vary.
    """
    seeds = tuple(Variable(_name(result), result.kind) for result in program.results)
    primal, adjoint, gradients = sweep(program, mask, zip(program.results, seeds, strict=True), again=again)
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
        program.captured,
    )
    back = Program(
        f"{program.name}_adjoint",
        (parameter, *seeds),
        fetching.block + substituted(adjoint, fetched),
        final,
        program.file,
        program.captured,
    )
    return forth, back


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
    primal = Reverse(varying, textbook, again).write(program.body, adjoints, builder)
    gradients = tuple(adjoints.pop(builder, origin) for origin in origins)
    return primal, builder.block, gradients


def split_function(function: Function, mask: tuple[bool, ...], again: bool) -> tuple[Function, Function]:
    """The two halves of the reverse mode of a function that a program calls, made once."""

    def make() -> tuple[Function, Function]:
        halves: list[tuple[Program, Program]] = []

        def half(which: int) -> Program:
            if not halves:
                halves.append(function.split(mask) if function.split else split(function.program, mask, again))
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
