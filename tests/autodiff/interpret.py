"""Running a program of `etude.autodiff` statement by statement, independently of the printer."""

from functools import partial
from typing import Any

from etude.autodiff.program import Atom, Block, Call, Constant, Function, If, Loop, Op, Program, Statement, Variable

State = dict[Variable, Any]


def run(program: Program, *values: Any) -> Any:
    """What the program returns for these values of its parameters: one value, or a tuple of several."""
    assert len(values) == len(program.parameters)
    state: State = dict(zip(program.parameters, values, strict=True))
    execute(program, program.body, state)
    results = tuple(read(program, atom, state) for atom in program.results)
    return results[0] if len(results) == 1 else results


def read(program: Program, atom: Atom, state: State) -> Any:
    if isinstance(atom, Constant) and isinstance(atom.value, Function):
        return partial(run, atom.value.program)
    if isinstance(atom, Constant):
        return atom.fetch() if atom.fetch else atom.value
    return state[atom]


def execute(program: Program, block: Block, state: State) -> None:
    for statement in block:
        step(program, statement, state)


def assign(outputs: tuple[Variable, ...], value: Any, state: State) -> None:
    state.update(zip(outputs, [value] if len(outputs) == 1 else value, strict=True))


def step(program: Program, statement: Statement, state: State) -> None:
    def get(atom: Atom) -> Any:
        return read(program, atom, state)

    match statement:
        case Op():
            keywords = {key: get(atom) for key, atom in statement.keywords.items()}
            value = statement.primitive.evaluate(*map(get, statement.inputs), **keywords)
            assign(statement.outputs, value if statement.outputs else (), state)
        case Call():
            assign(statement.outputs, run(statement.function.program, *map(get, statement.inputs)), state)
        case If():
            test = bool(get(statement.test))
            execute(program, statement.then if test else statement.otherwise, state)
            for merge in statement.merges:
                state[merge.output] = get(merge.then if test else merge.otherwise)
        case Loop():
            loop(program, statement, state)


def loop(program: Program, statement: Loop, state: State) -> None:
    def get(atom: Atom) -> Any:
        return read(program, atom, state)

    def goes_on() -> bool:
        if statement.test is None:
            return True
        execute(program, statement.test, state)
        assert statement.condition is not None
        return bool(get(statement.condition))

    indices = [] if statement.bounds is None else list(range(*map(get, statement.bounds)))
    stacks = [get(each.stack) for each in statement.reads]
    for write in statement.writes:
        state[write.stack] = []
    for carry in statement.carried:
        state[carry.variable] = get(carry.initial)
    bounded = statement.bounds is not None or bool(stacks)
    passes = len(indices) if statement.bounds is not None else len(stacks[0]) if stacks else 0
    assert all(len(stack) == passes for stack in stacks)
    done = 0
    while (not bounded or done < passes) and goes_on():
        if statement.index is not None:
            state[statement.index] = indices[passes - 1 - done if statement.backwards else done]
        for each, stack in zip(statement.reads, stacks, strict=True):
            state.update(zip(each.variables, stack[passes - 1 - done], strict=True))
        execute(program, statement.body, state)
        for write in statement.writes:
            state[write.stack].append(tuple(map(get, write.values)))
        following = [get(carry.following) for carry in statement.carried]
        state.update(zip((carry.variable for carry in statement.carried), following, strict=True))
        done += 1
    for carry in statement.carried:
        state[carry.result] = state[carry.variable]
