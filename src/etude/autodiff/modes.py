"""Whole programs of derivatives, made from a program by forward and reverse mode: gradients, products, Jacobians."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from etude.autodiff.forward import forward_function
from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, List, Number, Tuple
from etude.autodiff.primitives import FUNCTIONS, PRIMITIVES, Builder, Primitive
from etude.autodiff.program import Atom, Call, Constant, Function, Loop, Op, Program, Variable, Write
from etude.autodiff.reverse import split_function, sweep

ONE = Constant(1.0)


def gradient(
    program: Program, positions: Sequence[int], *, value: bool, aux: bool, several: bool, again: bool
) -> Program:
    """The program of the gradient of a program with one number as its result.

    Args:
        program: the program; if `aux`, its result is a pair of which the first is differentiated.
        positions: the parameters by which the gradient is asked for.
        value: whether the value is returned before the gradient.
        aux: whether the second item of the result is returned beside the value.
        several: whether the gradient is a tuple, one item for each parameter asked for.
        again: whether the program will be differentiated in its turn.

    Raises:
        TypeError: if the result is not a number.
    """
    finish = Builder(list(program.body))
    (result,) = program.results
    objective = finish.emit(PRIMITIVES["item"], result, index=Constant(0), name="value") if aux else result
    extra = finish.emit(PRIMITIVES["item"], result, index=Constant(1), name="aux") if aux else None
    if _container(objective.kind) or (isinstance(objective.kind, Array) and objective.kind.rank):
        raise TypeError(f"the gradient of {program.name} needs a number as its result: sum it, or ask for its jacobian")
    seed = Builder()
    start = ONE if isinstance(objective.kind, Number | Integer) else seed.emit(ONE_OF, objective, name="d_d")
    mask = tuple(position in positions for position in range(len(program.parameters)))
    primal, adjoint, found = sweep(replace(program, body=finish.block), mask, [(objective, start)], again=again)
    gradients = dict(zip(sorted(set(positions)), found, strict=True))
    end = Builder([*primal, Op((), PRIMITIVES["adjoint"], ()), *seed.block, *adjoint])
    answer: Atom = gradients[positions[0]]
    if several:
        answer = end.emit(PRIMITIVES["tuple"], *(gradients[position] for position in positions))
    if value and extra is not None:
        objective = end.emit(PRIMITIVES["tuple"], objective, extra)
    if value:
        answer = end.emit(PRIMITIVES["tuple"], objective, answer)
    elif extra is not None:
        answer = end.emit(PRIMITIVES["tuple"], answer, extra)
    return replace(program, name=f"{program.name}_gradient", body=end.block, results=(answer,))


def product(function: Function, positions: Sequence[int], directions: int, *, aux: bool) -> Program:
    """The program of Jacobian-vector products: from arguments and tangents to the value and its changes."""
    mask = tuple(position in positions for position in range(len(function.program.parameters)))
    program = forward_function(function, mask, directions).program
    end = Builder(list(program.body))
    result, *changes = program.results
    parts: list[Atom] = [result, *changes]
    if aux:
        first, second = Constant(0), Constant(1)
        parts = [end.emit(PRIMITIVES["item"], part, index=first) for part in parts]
        parts.append(end.emit(PRIMITIVES["item"], result, index=second))
    found = end.emit(PRIMITIVES["tuple"], *parts)
    return replace(program, body=end.block, results=(found,))


def jacobian(function: Function, positions: Sequence[int], mode: str, *, several: bool) -> Program:
    """The program of a Jacobian, column by column (forward) or row by row (reverse).

    The Jacobian of a result of shape R by an argument of shape A has the shape R + A.
    """
    program = function.program
    for atom in (program.results[0], *(program.parameters[position] for position in positions)):
        if _container(atom.kind):
            raise TypeError(f"the jacobian of {program.name} needs numbers or arrays as argument and result")
    parameters = tuple(Variable(p.name, p.kind, p.given) for p in program.parameters)
    build = Builder()
    found = (_columns if mode == "forward" else _rows)(function, parameters, positions, build)
    result: Atom = build.emit(PRIMITIVES["tuple"], *found) if several else found[0]
    name = f"{program.name}_jacobian"
    return Program(name, parameters, build.block, (result,), program.file)


def _container(kind: Kind) -> bool:
    """Whether a value of this kind is neither a number nor an array."""
    return not (isinstance(kind, Number | Integer | Array) or kind == UNKNOWN)


def _outputs(function: Function, *names: str) -> tuple[Variable, ...]:
    return tuple(Variable(name, result.kind) for name, result in zip(names, function.program.results, strict=True))


def _columns(
    function: Function, parameters: tuple[Variable, ...], positions: Sequence[int], build: Builder
) -> list[Atom]:
    found: list[Atom] = []
    for position in positions:
        parameter = parameters[position]
        forth = forward_function(function, tuple(index == position for index in range(len(parameters))), 1)
        value, change = _outputs(forth, "y", "dy")
        if isinstance(parameter.kind, Number):
            build.block.append(Call((value, change), forth, (*parameters, ONE)))
            found.append(change)
            continue
        index, body = Variable("k", Integer()), Builder()
        direction = body.emit(BASIS, parameter, index=index, name=f"d{parameter.name}")
        body.block.append(Call((value, change), forth, (*parameters, direction)))
        (stack,) = _repeated(body, index, parameter, [change], "columns", build)
        found.append(build.emit(COLUMNS, stack, parameter, name="columns"))
    return found


def _rows(function: Function, parameters: tuple[Variable, ...], positions: Sequence[int], build: Builder) -> list[Atom]:
    mask = tuple(position in positions for position in range(len(parameters)))
    forth, back = split_function(function, mask, True)
    value, stored = _outputs(forth, "y", "stored")
    build.block.append(Call((value, stored), forth, parameters))
    chosen = sorted(set(positions))
    changes = [Variable(f"d_d{parameters[position].name}", parameters[position].kind) for position in chosen]
    if isinstance(value.kind, Number):
        build.block.append(Call(tuple(changes), back, (stored, ONE)))
        rows: list[Atom] = list(changes)
    else:
        index, body = Variable("k", Integer()), Builder()
        direction = body.emit(BASIS, value, index=index, name="d_dy")
        body.block.append(Call(tuple(changes), back, (stored, direction)))
        stacks = _repeated(body, index, value, changes, "rows", build)
        rows = [build.emit(ROWS, stack, value, name="rows") for stack in stacks]
    return [rows[chosen.index(position)] for position in positions]


def _repeated(
    body: Builder, index: Variable, like: Variable, changes: list[Variable], name: str, build: Builder
) -> list[Variable]:
    """A loop over the numbers in a value, and the stacks of what each pass leaves in `changes`.

    For an empty value there is one pass, whose direction is empty too: it shows the shape of the changes.
    """
    size = build.emit(PRIMITIVES["size"], like, name="size")
    passes = build.emit(FUNCTIONS[max].primitive, size, Constant(1), name="passes")
    stacks = [Variable(name, List(Tuple((change.kind,)))) for change in changes]
    writes = [Write(stack, (change,)) for stack, change in zip(stacks, changes, strict=True)]
    build.block.append(Loop(body.block, index=index, bounds=(Constant(0), passes, Constant(1)), writes=writes))
    return stacks


def _one_of(value: Any) -> float:
    if np.ndim(value):
        shape = np.shape(value)
        raise TypeError(f"a gradient needs a number as its result, not shape {shape}: sum it, or ask for the jacobian")
    return 1.0


def _basis(value: Any, index: int) -> Any:
    if not np.ndim(value):
        return 1.0
    direction = np.zeros_like(value)
    direction.flat[index : index + 1] = 1
    return direction


def _gathered(stack: list[tuple[Any]], like: Any, axis: int) -> Any:
    """The Jacobian from its columns (axis -1) or rows (axis 0), of which there is one for each number in `like`.

    For an empty `like` there is one all the same, which is left out.
    """
    size = np.size(like)
    stacked = np.stack([np.asarray(item) for (item,) in stack], axis)
    if axis == 0:
        return stacked[:size].reshape(np.shape(like) + stacked.shape[1:])
    return stacked[..., :size].reshape(stacked.shape[:-1] + np.shape(like))


def _scattered(d: Any, like: Any, axis: int) -> list[tuple[Any]]:
    """The columns or rows of an array in a Jacobian's shape: the adjoint of `_gathered`."""
    rank, size = np.ndim(like), int(np.size(like))
    if not size:
        return [(np.zeros(d.shape[rank:] if axis == 0 else d.shape[: d.ndim - rank])[()],)]
    if axis == 0:
        return [(row[()],) for row in d.reshape((size, *d.shape[rank:]))]
    flat = d.reshape((*d.shape[: d.ndim - rank], size))
    return [(flat[..., k][()],) for k in range(size)]


def _gather(name: str, axis: int) -> Primitive:
    scatter = Primitive(f"split_{name}", lambda d, like: _scattered(d, like, axis))
    gather = Primitive(name, lambda stack, like: _gathered(stack, like, axis))
    scatter.forward = (lambda d, _, __, like: scatter(d, like), None)
    scatter.reverse = (lambda d, _, __, like: gather(d, like), None)
    gather.forward = (lambda d, _, __, like: gather(d, like), None)
    gather.reverse = (lambda d, _, __, like: scatter(d, like), None)
    PRIMITIVES[scatter.name], PRIMITIVES[name] = scatter, gather
    return gather


ONE_OF = PRIMITIVES["one_of"] = Primitive("one_of", _one_of, lambda kind: Number(), forward=(None,), reverse=(None,))
BASIS = PRIMITIVES["basis"] = Primitive("basis", _basis, lambda kind, **_: kind, forward=(None,), reverse=(None,))
COLUMNS, ROWS = _gather("columns", -1), _gather("rows", 0)
