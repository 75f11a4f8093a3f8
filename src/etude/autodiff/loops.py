"""Reverse mode of loops: the adjoint of a loop is a loop the other way, which reads what each pass had stored."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from etude.autodiff.adjoints import Adjoints, adjoint_name
from etude.autodiff.kinds import Array, List, Tuple
from etude.autodiff.primitives import PRIMITIVES, Builder
from etude.autodiff.program import (
    ZERO,
    Atom,
    Block,
    Carry,
    Constant,
    Function,
    Loop,
    Program,
    Read,
    Variable,
    Write,
    assigned,
    defined,
    substituted,
    uses,
)

if TYPE_CHECKING:
    from etude.autodiff.reverse import Reverse


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

    def own(self, variable: Variable, outside: Adjoints, builder: Builder) -> None:
        """Let the adjoint of a variable from outside be one's own, before the first pass and after each."""
        if variable in self.owned:
            outside.own(builder, variable)
            self.adjoints.own(self.builder, variable)


def reverse_loop(mode: "Reverse", loop: Loop, adjoints: Adjoints, builder: Builder) -> Loop:
    builder.line = loop.line
    local = {*assigned([loop]), *assigned(loop.body)}
    live = [carry for carry in loop.carried if carry.result in adjoints.values]
    outer: list[Variable] = []
    indexed: set[Variable] = set()
    while True:
        attempt = one_pass(mode, loop, live, outer, indexed, adjoints)
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
    if loop.checkpointed and loop.bounds is not None and not (mode.again or loop.reads or loop.writes):
        return recompute(loop, attempt, adjoints, builder)
    return close(mode, loop, attempt, adjoints, builder)


def one_pass(
    mode: "Reverse", loop: Loop, live: list[Carry], outer: list[Variable], indexed: set[Variable], outside: Adjoints
) -> Pass:
    """Write the adjoint of one pass of a loop.

    Args:
        loop: the loop.
        live: the carried variables that have an adjoint.
        outer: the variables from outside the loop to whose adjoints a pass adds.
        indexed: those of `outer` that are added to item by item.
        outside: the adjoints of what follows the loop.
    """
    inner = Adjoints(mode.varying)
    attempt = Pass(Builder(line=loop.line), inner)
    for variable in outer:
        attempt.totals[variable] = inner.values[variable] = Variable(adjoint_name(variable), variable.kind)
        if variable in indexed or (isinstance(variable.kind, Array) and variable not in outside.values):
            inner.owned.add(variable)
            attempt.owned.add(variable)
    for carry in live:
        attempt.arriving[carry] = Variable(adjoint_name(carry.variable), carry.variable.kind)
    for carry in live:
        inner.add(attempt.builder, carry.following, attempt.arriving[carry])
    for write in loop.writes:
        if write.stack in outside.values:
            changes = tuple(Variable(adjoint_name(value), value.kind) for value in write.values)
            attempt.reads.append((write, changes))
            for value, change in zip(write.values, changes, strict=True):
                inner.add(attempt.builder, value, change)
    attempt.primal = mode.write(loop.body, inner, attempt.builder)
    return attempt


def close(mode: "Reverse", loop: Loop, attempt: Pass, adjoints: Adjoints, builder: Builder) -> Loop:
    """Write the adjoint loop from the adjoint of one pass; return the loop with what the passes store."""
    inner, body = attempt.adjoints, attempt.builder
    adjoint = Loop(body.block, bounds=loop.bounds, backwards=not loop.backwards, line=loop.line)
    adjoint.reads = [Read(changes, adjoints.pop(builder, write.stack)) for write, changes in attempt.reads]
    first: list[tuple[Atom, Variable]] = []
    for carry, arriving in attempt.arriving.items():
        initial = adjoints.pop(builder, carry.result)
        result = Variable(arriving.name, arriving.kind)
        adjoint.carried.append(Carry(arriving, initial, inner.pop(body, carry.variable), result))
        first.append((carry.initial, result))
    for variable, sum_so_far in attempt.totals.items():
        attempt.own(variable, adjoints, builder)
        result = Variable(sum_so_far.name, sum_so_far.kind)
        initial = adjoints.pop(builder, variable)
        adjoint.carried.append(Carry(sum_so_far, initial, inner.values.pop(variable), result))
        adjoints.values[variable] = result
        adjoints.owned |= {variable} & attempt.owned
    for read in loop.reads:
        if not inner.values.keys().isdisjoint(read.variables):
            values = tuple(inner.pop(body, v) if v in mode.varying else ZERO for v in read.variables)
            stack = Variable(adjoint_name(read.stack), read.stack.kind)
            adjoint.writes.append(Write(stack, values))
            first.append((read.stack, stack))
    stored = stored_by(loop, attempt.primal, adjoint, builder)
    for value, change in first:
        adjoints.add(builder, value, change)
    return stored


def stored_by(loop: Loop, primal: Block, adjoint: Loop, builder: Builder) -> Loop:
    """Write the adjoint loop with stacks for what it needs of each pass; return the loop that writes these stacks.

    Args:
        loop: the loop.
        primal: its body, with what the adjoint needs made visible.
        adjoint: the adjoint loop, which still names variables of the passes.
        builder: where it goes.
    """
    inside = {*defined(primal), *(carry.variable for carry in loop.carried)}
    inside |= {variable for read in loop.reads for variable in read.variables}
    read = set(uses(adjoint))
    needed = [value for value in dict.fromkeys(uses(adjoint)) if isinstance(value, Variable) and value in inside]
    replaced: dict[Variable, Atom] = {}
    writes = list(loop.writes)
    if needed or loop.bounds is None:
        stack = Variable("stack", List(Tuple(tuple(value.kind for value in needed))))
        again = tuple(Variable(value.name, value.kind, value.given) for value in needed)
        writes.append(Write(stack, tuple(needed)))
        adjoint.reads.append(Read(again, stack))
        replaced |= zip(needed, again, strict=True)
    if adjoint.reads and loop.index not in read:
        adjoint.bounds = None
    elif loop.index is not None:
        adjoint.index = Variable(loop.index.name, loop.index.kind, loop.index.given)
        replaced[loop.index] = adjoint.index
    builder.block += substituted([adjoint], replaced)
    return replace(loop, body=primal, writes=writes)


def recompute(loop: Loop, attempt: Pass, adjoints: Adjoints, builder: Builder) -> Loop:
    """Write the adjoint of a loop that runs its passes again instead of storing them; return the loop as it is."""
    inner, body = attempt.adjoints, attempt.builder
    assert loop.index is not None
    assert loop.bounds is not None
    state = [carry.variable for carry in loop.carried]
    changes = tuple(inner.pop(body, carry.variable) for carry in attempt.arriving)
    for variable in attempt.totals:
        attempt.own(variable, adjoints, builder)
    totals = [inner.values.pop(variable) for variable in attempt.totals]
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
        builder.emit(PRIMITIVES["tuple"], *(adjoints.pop(builder, carry.result) for carry in attempt.arriving)),
        builder.emit(PRIMITIVES["tuple"], *(adjoints.pop(builder, variable) for variable in attempt.totals)),
        step=Constant(Function("one_pass", lambda: step)),
        back=Constant(Function("one_pass_back", lambda: back)),
    )
    for position, value in enumerate([*(carry.initial for carry in attempt.arriving), *attempt.totals]):
        change = builder.emit(PRIMITIVES["item"], found, index=Constant(position), name=adjoint_name(value))
        change.kind = value.kind
        adjoints.add(builder, value, change)
    return loop


def _packed(name: str, parameters: tuple[Variable, ...], body: Block, results: tuple[Atom, ...]) -> Program:
    """A program whose results are one tuple, however many they are."""
    builder = Builder(list(body))
    return Program(name, parameters, builder.block, (builder.emit(PRIMITIVES["tuple"], *results),))
