"""The form of a program in which every variable is used once: further uses go through copies made by `dup`.

What is a use in the program becomes a definition in the reverse program: the adjoint of `dup` is `add`.

Source: course/004, "Reverse-mode AD" ("notice the relation to the linear logic and linear type systems").
"""

from collections import Counter
from dataclasses import replace

from etude.autodiff.primitives import PRIMITIVES
from etude.autodiff.program import (
    Atom,
    Block,
    Call,
    Carry,
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


def duplicated(program: Program, varying: set[Variable]) -> Program:
    """The program with a `dup` for every further use of a variable of `varying`.

    A statement that holds blocks uses a variable once, however often its blocks do; inside a block the variable is then
    duplicated again.
    """
    body, results = _linear(program.body, program.parameters, program.results, varying)
    return replace(program, body=body, results=results)


def _linear(
    block: Block, given: tuple[Variable, ...], last: tuple[Atom, ...], varying: set[Variable]
) -> tuple[Block, tuple[Atom, ...]]:
    """A block in which each varying variable is used once, and its atoms `last`, used after its end."""
    block = [_inner(statement, varying) for statement in block]
    count: Counter[Atom] = Counter(value for statement in block for value in _used(statement))
    count.update(last)
    copies: dict[Atom, list[Variable]] = {}
    result: Block = []

    def duplicate(variable: Variable, line: int) -> None:
        if variable not in varying or count[variable] < 2:
            return
        total = count[variable]
        names = [Variable(f"{variable.name}{k + 1}", variable.kind) for k in range(2 * total - 2)]
        copies[variable], rests = names[:total], [variable, *names[total:]]
        for k, rest in enumerate(rests):
            second = rests[k + 1] if k + 1 < len(rests) else copies[variable][-1]
            varying.update((copies[variable][k], second))
            result.append(Op((copies[variable][k], second), PRIMITIVES["dup"], (rest,), {}, line))

    def take(value: Atom) -> Atom:
        return copies[value].pop(0) if value in copies else value

    free = {value for value in count if isinstance(value, Variable)} - {*defined(block), *given}
    for variable in (*given, *sorted(free, key=lambda variable: variable.name)):
        duplicate(variable, 0)
    for statement in block:
        if isinstance(statement, Op | Call):
            result.append(replace(statement, inputs=tuple(map(take, statement.inputs))))
        else:
            result += substituted([statement], {variable: take(variable) for variable in _used(statement)})
        for variable in defined([statement]):
            duplicate(variable, statement.line)
    final = tuple(map(take, last))
    return result, final


def _used(statement: Statement) -> list[Variable]:
    """The variables that a statement uses: by each of its inputs, or once by all its blocks together."""
    if isinstance(statement, Op | Call):
        return [value for value in statement.inputs if isinstance(value, Variable)]
    own = set(assigned([statement]))
    return list(dict.fromkeys(value for value in uses(statement) if isinstance(value, Variable) and value not in own))


def _inner(statement: Statement, varying: set[Variable]) -> Statement:
    """A statement whose blocks use each variable once."""
    match statement:
        case If():
            then, left = _linear(statement.then, (), tuple(merge.then for merge in statement.merges), varying)
            sides = tuple(merge.otherwise for merge in statement.merges)
            otherwise, right = _linear(statement.otherwise, (), sides, varying)
            merges = [Merge(m.output, a, b) for m, a, b in zip(statement.merges, left, right, strict=True)]
            return replace(statement, then=then, otherwise=otherwise, merges=merges)
        case Loop():
            given = [carry.variable for carry in statement.carried]
            given += [variable for read in statement.reads for variable in read.variables]
            last = tuple(carry.following for carry in statement.carried)
            body, last = _linear(statement.body, tuple(given), last, varying)
            carried = [
                Carry(carry.variable, carry.initial, following, carry.result)
                for carry, following in zip(statement.carried, last, strict=True)
            ]
            return replace(statement, body=body, carried=carried)
        case _:
            return statement
