"""Forward mode: beside each line of a program, the line of its derivative.

The tangent of x is written dx. Time and memory stay proportional to the program's, times the number of directions.

Source: course/004, "Forward-mode AD"; Griewank & Walther, Evaluating Derivatives (2008), section 3.1.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from etude.autodiff.activity import active
from etude.autodiff.errors import TransformError
from etude.autodiff.kinds import Integer, Number, Other
from etude.autodiff.primitives import PRIMITIVES, Builder, Primitive, Symbol, atom
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
    Variable,
    Write,
    inside,
)

Tangents = dict[Atom, Atom]


def forward(program: Program, mask: tuple[bool, ...], directions: int = 1) -> Program:
    """The program with the derivatives of its results beside them.

    Args:
        program: the program.
        mask: for each parameter, whether it varies.
        directions: how many directions are followed at once.

    Returns:
        A program whose parameters are the old ones, then for each direction one tangent for each that varies; and whose
        results are the old ones, then for each direction one tangent for each result.
    """
    varying = [parameter for parameter, varies in zip(program.parameters, mask, strict=True) if varies]
    totals = [variable for variable in _totals(program.body) if variable.kind.differentiable]
    mode = Forward(program, active(program, [*varying, *totals]), [{} for _ in range(directions)])
    parameters = list(program.parameters)
    for tangents in mode.tangents:
        for parameter in varying:
            tangents[parameter] = Variable(f"d{parameter.name}", parameter.kind)
            parameters.append(tangents[parameter])  # type: ignore[arg-type]
    builder = Builder()
    mode.write(program.body, builder)
    results = list(program.results)
    for tangents in mode.tangents:
        results += [mode.tangent(result, tangents, builder) for result in program.results]
    name = f"{program.name}_forward"
    return Program(name, tuple(parameters), builder.block, tuple(results), program.file)


def forward_function(function: Function, mask: tuple[bool, ...], directions: int) -> Function:
    """The forward mode of a function that a program calls, made once."""

    def build() -> Program:
        if function.forward:
            return function.forward(mask, directions)
        return forward(function.program, mask, directions)

    key = ("forward", mask, directions)
    return function.once(key, lambda: Function(f"{function.name}_forward", build))


def zero(builder: Builder, value: Atom) -> Atom:
    """A derivative of zero for a value: 0.0 for a number, zeros in the shape of anything else."""
    if isinstance(value.kind, Number | Integer | Other):
        return ZERO
    return builder.emit(PRIMITIVES["zeros_like"], value, name=f"d{value.name or ''}")


def named(builder: Builder, mark: int, value: object, name: str) -> Atom:
    """The atom that a rule returned, called `name` if the rule made it (after statement `mark` of the block)."""
    result = atom(value)
    if isinstance(result, Variable) and any(result in op.outputs for op in builder.block[mark:] if isinstance(op, Op)):
        result.name = name
    return result


def flavour(builder: Builder, primitive: Primitive, line: int) -> None:
    """Let what is written next belong to a line of the user's, and take functions from `math` where the line does."""
    builder.line = line
    builder.scalar = primitive.name.startswith("math.")


def keywords_of(builder: Builder, op: Op) -> dict[str, object]:
    """The keywords of an operation as a rule takes them: literals as themselves, anything else as symbols."""
    return {
        key: value.value if isinstance(value, Constant) and value.name is None else builder.symbol(value)
        for key, value in op.keywords.items()
    }


@contextmanager
def placed(program: Program, line: int) -> Iterator[None]:
    """Let what a rule refuses name the user's line.

    Raises:
        TransformError: for a TypeError of a rule.
    """
    try:
        yield
    except TypeError as error:
        raise TransformError(program.file, line, program.name, str(error)) from error


class Forward:
    """One transformation: the active variables, and the tangents found so far in each direction."""

    def __init__(self, program: Program, varying: set[Variable], tangents: list[Tangents]) -> None:
        self.program = program
        self.active = varying
        self.tangents = tangents

    def tangent(self, value: Atom, tangents: Tangents, builder: Builder) -> Atom:
        """The tangent of a value, zero for one that does not vary."""
        if value is MISSING:
            return MISSING
        return tangents[value] if value in self.active else zero(builder, value)

    def write(self, block: Block, builder: Builder) -> None:
        """Write the block and its derivative."""
        for statement in block:
            match statement:
                case Op():
                    builder.block.append(statement)
                    if not self.active.isdisjoint(statement.outputs):
                        for tangents in self.tangents:
                            with placed(self.program, statement.line):
                                self.op(statement, tangents, builder)
                case Call() if self.active.isdisjoint(statement.outputs):
                    builder.block.append(statement)
                case Call():
                    self.call(statement, builder)
                case If():
                    self.branch(statement, builder)
                case Loop():
                    self.loop(statement, builder)

    def op(self, op: Op, tangents: Tangents, builder: Builder) -> None:
        mark = len(builder.block)
        flavour(builder, op.primitive, op.line)
        inputs = [builder.symbol(value) for value in op.inputs]
        changes = [builder.symbol(tangents[value]) if value in self.active else None for value in op.inputs]
        (output,) = op.outputs
        if op.primitive.name == "zeros_like":
            tangents[output] = zero(builder, output)
            return
        result = builder.symbol(output)
        total = self.change(op, result, inputs, changes, keywords_of(builder, op))
        if op.primitive.elementwise and _may_spread(op, self.active):
            total = PRIMITIVES["broadcast_like"](total, result)
        tangents[output] = named(builder, mark, total, f"d{output.name}")

    @staticmethod
    def change(
        op: Op, result: Symbol, inputs: list[Symbol], changes: list[Symbol | None], keywords: dict[str, object]
    ) -> object:
        """The change of an operation's result for changes of its inputs: the sum of its rules."""
        primitive = op.primitive
        if primitive.joint_forward is not None:
            return primitive.joint_forward(result, inputs, changes, **keywords)
        total: object = None
        for position, change in enumerate(changes):
            if change is None or (not primitive.variadic and primitive.forward[position] is None):
                continue
            if primitive.variadic:
                term = primitive.forward[0](change, result, *inputs, position=position, **keywords)  # type: ignore[misc]
            else:
                term = primitive.forward[position](change, result, *inputs, **keywords)  # type: ignore[misc]
            total = term if total is None else total + term
        return total

    def call(self, call: Call, builder: Builder) -> None:
        mask = tuple(value in self.active for value in call.inputs)
        inputs = list(call.inputs)
        outputs = list(call.outputs)
        for tangents in self.tangents:
            inputs += [tangents[value] for value in call.inputs if value in self.active]
            changes = [Variable(f"d{output.name}", output.kind) for output in call.outputs]
            tangents.update(zip(call.outputs, changes, strict=True))
            outputs += changes
        function = forward_function(call.function, mask, len(self.tangents))
        builder.block.append(Call(tuple(outputs), function, tuple(inputs), call.line))

    def branch(self, branch: If, builder: Builder) -> None:
        then, otherwise = Builder(), Builder()
        self.write(branch.then, then)
        self.write(branch.otherwise, otherwise)
        merges = list(branch.merges)
        for merge in branch.merges:
            if merge.output in self.active:
                for tangents in self.tangents:
                    change = Variable(f"d{merge.output.name}", merge.output.kind)
                    sides = self.tangent(merge.then, tangents, then), self.tangent(merge.otherwise, tangents, otherwise)
                    merges.append(Merge(change, *sides))
                    tangents[merge.output] = change
        builder.block.append(If(branch.test, then.block, otherwise.block, merges, branch.line))

    def loop(self, loop: Loop, builder: Builder) -> None:
        body = Builder()
        moving = [carry for carry in loop.carried if carry.variable in self.active]
        reads = list(loop.reads)
        for tangents in self.tangents:
            for carry in moving:
                tangents[carry.variable] = Variable(f"d{carry.variable.name}", carry.variable.kind)
            for read in loop.reads:
                if read.stack in self.active:
                    changes = tuple(Variable(f"d{variable.name}", variable.kind) for variable in read.variables)
                    tangents.update(zip(read.variables, changes, strict=True))
                    reads.append(Read(changes, tangents[read.stack]))
        self.write(loop.body, body)
        carried = list(loop.carried)
        writes = list(loop.writes)
        for tangents in self.tangents:
            for carry in moving:
                initial = self.tangent(carry.initial, tangents, builder)
                following = self.tangent(carry.following, tangents, body)
                result = Variable(f"d{carry.result.name}", carry.result.kind)
                carried.append(Carry(tangents[carry.variable], initial, following, result))  # type: ignore[arg-type]
                tangents[carry.result] = result
            for write in loop.writes:
                if write.stack in self.active:
                    stack = Variable(f"d{write.stack.name}", write.stack.kind)
                    writes.append(Write(stack, tuple(self.tangent(value, tangents, body) for value in write.values)))
                    tangents[write.stack] = stack
        builder.block.append(
            Loop(
                body.block,
                carried,
                loop.index,
                loop.bounds,
                loop.backwards,
                loop.test,
                loop.condition,
                reads,
                writes,
                loop.checkpointed,
                loop.line,
            )
        )


def _may_spread(op: Op, varying: set[Variable]) -> bool:
    """Whether an elementwise result may have axes that the changes of its varying inputs do not have."""
    if op.primitive.name in ("mul", "div"):
        return False
    return any(value not in varying and not isinstance(value.kind, Number | Integer) for value in op.inputs)


def _totals(block: Block) -> Iterator[Variable]:
    """The zeros in which a reverse program adds up in place; their tangents are zeros of their own."""
    for statement in block:
        if isinstance(statement, Op) and statement.primitive.name == "zeros_like":
            yield from statement.outputs
        for nested in inside(statement):
            yield from _totals(nested)
