"""Activity: which variables of a program depend, in a way that has a derivative, on the variables differentiated."""

from collections.abc import Iterable

from etude.autodiff.program import Atom, Block, Call, If, Loop, Op, Program, Variable


def active(program: Program, origins: Iterable[Variable]) -> set[Variable]:
    """The variables whose values change when those of `origins` do, `origins` included.

    A stack is followed item by item, so that integers and constants beside a differentiated value cost nothing.
    """
    found = {origin for origin in origins if origin.kind.differentiable}
    stacks: dict[Variable, tuple[Atom, ...]] = {}
    before = -1
    while before != len(found):
        before = len(found)
        _mark(program.body, found, stacks)
    return found


def smooth(op: Op) -> list[Atom]:
    """The inputs on which the result of an operation depends smoothly: those with a derivative rule."""
    primitive = op.primitive
    if primitive.joint_forward is not None or len(op.outputs) > 1 or (primitive.variadic and any(primitive.forward)):
        return list(op.inputs)
    if primitive.variadic:
        return []
    return [value for value, rule in zip(op.inputs, primitive.forward, strict=False) if rule is not None]


def _mark(block: Block, found: set[Variable], stacks: dict[Variable, tuple[Atom, ...]]) -> None:
    def mark(variable: Variable, *sources: Atom) -> None:
        if variable.kind.differentiable and not found.isdisjoint(sources):
            found.add(variable)

    for statement in block:
        match statement:
            case Op():
                for output in statement.outputs:
                    mark(output, *smooth(statement))
            case Call():
                for output in statement.outputs:
                    mark(output, *statement.inputs)
            case If():
                _mark(statement.then, found, stacks)
                _mark(statement.otherwise, found, stacks)
                for merge in statement.merges:
                    mark(merge.output, merge.then, merge.otherwise)
            case Loop():
                for read in statement.reads:
                    values = stacks.get(read.stack) if isinstance(read.stack, Variable) else None
                    for position, variable in enumerate(read.variables):
                        mark(variable, read.stack if values is None else values[position])
                for carry in statement.carried:
                    mark(carry.variable, carry.initial, carry.following)
                _mark(statement.body, found, stacks)
                for carry in statement.carried:
                    mark(carry.result, carry.initial, carry.following)
                for write in statement.writes:
                    stacks[write.stack] = write.values
                    mark(write.stack, *write.values)
