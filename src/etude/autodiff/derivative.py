"""Derivatives of Python functions as Python functions: `grad`, `jvp`, `vjp`, `jacobian`, `hessian`, `hvp`.

Argument names are JAX's. A function is transformed once for each combination of kinds of its arguments (`kinds`), when
it is first called with one; what is returned can be differentiated again.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

import numpy as np

from etude.autodiff import modes
from etude.autodiff.execution import executable
from etude.autodiff.expansion import expanded_function
from etude.autodiff.kinds import Kind, kind_of, signature
from etude.autodiff.ordering import choose
from etude.autodiff.preparation import argument_kinds, passed, prepare
from etude.autodiff.preparation.sources import origin_of
from etude.autodiff.primitives import PRIMITIVES
from etude.autodiff.program import Call, Function, Program, Variable
from etude.autodiff.reverse import split_function

Mode = Literal["auto", "forward", "reverse"]
Made = TypeVar("Made", bound=Callable[..., Any])
Transform = Callable[[Function, tuple[int, ...], bool], Program]


def function_of(function: Callable[..., Any], kinds: tuple[Kind, ...], names: tuple[str, ...] = ()) -> Function:
    """The program of a function, or of what this module made from one, for arguments of these kinds."""
    make = getattr(function, "__program__", None)
    made: Function = prepare(function, kinds, names) if make is None else make(kinds, names)
    if not (made.forward or made.adjoint or made.checkpointed):
        return made
    return made.once("called", lambda: Function(made.name, lambda: _calling(made), valid=made.valid))


def _calling(function: Function) -> Program:
    """A program that calls a function which has its own way to be differentiated, and does nothing else."""
    program = function.program
    parameters = tuple(Variable(parameter.name, parameter.kind, parameter.given) for parameter in program.parameters)
    results = tuple(Variable("y", result.kind) for result in program.results)
    return replace(program, parameters=parameters, body=[Call(results, function, parameters)], results=results)


def _differentiable(name: str, position: int, value: Any) -> None:
    if not kind_of(value).differentiable:
        raise TypeError(f"argument {position} of {name} is {value!r}: a derivative needs floats")


def _shape(value: Any) -> Any:
    """The shape of a number or an array, of a container those of its items."""
    match value:
        case tuple() | list():
            return tuple(map(_shape, value))
        case dict():
            return {key: _shape(item) for key, item in value.items()}
        case _:
            return np.shape(value)


def apart(result: Any, arguments: Any, executed: Callable[..., Any]) -> Any:
    """The result of a derivative with copies of the arrays in it that others hold, so that it may be changed in place.

    A derivative may be an array that the function was given, as that of `sum(x * c)` by x is c.

    Args:
        result: what was returned.
        arguments: what was given.
        executed: the compiled program, which knows the arrays that it takes from outside.
    """
    if isinstance(result, float):
        return result
    held: set[int] = set()
    hold(arguments, held)
    hold(executed.outside, held)  # type: ignore[attr-defined]
    return own(result, held)


def hold(value: Any, held: set[int]) -> None:
    """Note the arrays in a value."""
    if isinstance(value, np.ndarray):
        held.add(id(value))
    elif isinstance(value, tuple | list):
        for item in value:
            hold(item, held)
    elif isinstance(value, dict):
        hold(list(value.values()), held)


def own(value: Any, held: set[int]) -> Any:
    """A value with copies of the arrays in it that are held or views of others, and that stand in it twice."""
    if isinstance(value, np.ndarray):
        if value.base is not None or id(value) in held:
            return value.copy()
        held.add(id(value))
        return value
    if isinstance(value, tuple | list):
        return type(value)([own(item, held) for item in value])
    if isinstance(value, dict):
        return {key: own(item, held) for key, item in value.items()}
    return value


def static(function: Made) -> Made:
    """Let a call of a function inside a program that is transformed be made then and there: `grad(f)(x)`."""
    function.__static__ = True  # type: ignore[attr-defined]
    return function


class Derivative:
    """A function made from the program of another."""

    def __init__(
        self, function: Callable[..., Any], argnums: int | Sequence[int], key: Any, transform: Transform
    ) -> None:
        self.function = function
        self.positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        self.key = (key, argnums if isinstance(argnums, int) else tuple(argnums))
        self.transform = transform
        self.captures: int = getattr(function, "captures", 0)
        self.ready: dict[Hashable, tuple[Function, Callable[..., Any]]] = {}
        self.__name__ = getattr(function, "__name__", "function")
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the derivative: with the arguments of the function."""
        values = (*arguments, *named.values())
        key: Hashable = (signature(values), *named)
        functions = [origin_of(value) for value in values if callable(value)]
        if functions:
            key = (key, *functions)
        if key not in self.ready or not self.ready[key][0].valid():
            self.check(arguments)
            made = self.made(argument_kinds(values), tuple(named), False)
            self.ready[key] = made, executable(made)
        ready = self.ready[key][1]
        return apart(ready(*(passed(values) if functions else values)), values, ready)

    def __program__(self, kinds: tuple[Kind, ...], names: tuple[str, ...] = ()) -> Function:
        return self.made(kinds, names, True)

    def among(self, count: int) -> tuple[int, ...]:
        """The positions to differentiate by, counted from 0, of so many arguments."""
        for position in self.positions:
            if not -count <= position < count:
                given = "1 argument" if count == 1 else f"{count} arguments"
                raise TypeError(f"{self.__name__} was given {given} by position; argnums asks for number {position}")
        return tuple(position % count for position in self.positions)

    def check(self, values: Sequence[Any]) -> None:
        """Refuse to differentiate by integers."""
        for position in self.among(len(values)):
            _differentiable(self.__name__, position, values[position])

    def made(self, kinds: tuple[Kind, ...], names: tuple[str, ...], again: bool) -> Function:
        """The program of the derivative for arguments of these kinds, made once."""
        function = expanded_function(function_of(self.function, kinds, names))
        positions = self.among(len(kinds) - len(names) - self.captures)
        key = (*self.key, again)

        def build() -> Program:
            return self.transform(function, positions, again)

        return function.once(key, lambda: Function(function.name, build, valid=function.valid))


@static
def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Derivative:
    """The gradient of a function with one number as its result, by reverse mode.

    Args:
        function: a Python function of numbers, arrays and tuples, lists and dictionaries of them.
        argnums: the position of the argument to differentiate by, or several.
        has_aux: whether the function returns a pair (value, something), of which the value is differentiated.

    Returns:
        A function of the same arguments that returns the gradient, in the form of the argument (for several arguments a
        tuple); with `has_aux` the pair (gradient, something).

    Raises:
        TransformError: when called, if the function uses what is not supported.
        TypeError: when called, if the result is not a number or an argument to differentiate by is an integer.
    """
    several = not isinstance(argnums, int)

    def transform(made: Function, positions: tuple[int, ...], again: bool) -> Program:
        return modes.gradient(made.program, positions, value=False, aux=has_aux, several=several, again=again)

    return Derivative(function, argnums, ("grad", has_aux), transform)


@static
def value_and_grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Derivative:
    """The value of a function and its gradient as a pair; with `has_aux` ((value, aux), gradient). See `grad`."""
    several = not isinstance(argnums, int)

    def transform(made: Function, positions: tuple[int, ...], again: bool) -> Program:
        return modes.gradient(made.program, positions, value=True, aux=has_aux, several=several, again=again)

    return Derivative(function, argnums, ("value_and_grad", has_aux), transform)


@static
def jacobian(function: Callable[..., Any], argnums: int | Sequence[int] = 0, mode: Mode = "auto") -> Derivative:
    """The Jacobian of a function of numbers and arrays with a number or an array as its result.

    Args:
        function: the function.
        argnums: the position of the argument to differentiate by, or several.
        mode: `forward` makes it column by column, one direction for each number in the argument; `reverse` row by row,
            one for each number in the result; `auto` chooses by the sizes (`ordering.choose`).

    Returns:
        A function of the same arguments that returns an array of the shape of the result followed by that of the
        argument (for several arguments a tuple).

    Raises:
        ValueError: for another mode.
    """
    several = not isinstance(argnums, int)
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(f"mode is {mode!r}: expected auto, forward or reverse")

    def by(mode: Mode) -> Derivative:
        def transform(made: Function, positions: tuple[int, ...], again: bool) -> Program:
            return modes.jacobian(made, positions, mode, several=several)

        return Derivative(function, argnums, ("jacobian", mode), transform)

    return by(mode) if mode != "auto" else _Automatic(function, argnums, by)


class _Automatic(Derivative):
    """A Jacobian whose mode is chosen when the sizes are known, at each call."""

    def __init__(
        self, function: Callable[..., Any], argnums: int | Sequence[int], by: Callable[[Mode], Derivative]
    ) -> None:
        super().__init__(function, argnums, "jacobian", by("forward").transform)
        self.modes = {mode: by(mode) for mode in ("forward", "reverse")}

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.check(arguments)
        outputs = np.size(self.function(*arguments, **named))
        inputs = sum(np.size(arguments[position]) for position in self.positions)
        return self.modes[choose(inputs, outputs)](*arguments, **named)


@static
def hessian(function: Callable[..., Any], argnums: int = 0) -> Derivative:
    """The Hessian of a function with one number as its result: forward over reverse mode.

    Returns:
        A function of the same arguments that returns an array with the shape of the argument twice.
    """
    return jacobian(grad(function, argnums), argnums, "forward")


class _Pushforward(Derivative):
    """The function behind `jvp`: its arguments are those of the function, then tangents direction by direction."""

    def __init__(
        self, function: Callable[..., Any], positions: Sequence[int], inputs: int, directions: int, aux: bool
    ) -> None:
        def transform(made: Function, positions: tuple[int, ...], again: bool) -> Program:
            return modes.product(made, positions, directions, aux=aux)

        super().__init__(function, positions, ("jvp", directions, aux), transform)
        self.inputs = inputs

    def made(self, kinds: tuple[Kind, ...], names: tuple[str, ...], again: bool) -> Function:
        return super().made(kinds[: self.inputs], names, again)

    def inside(self, kinds: tuple[Kind, ...]) -> Function:
        """The program for a call inside another: from arguments, what the function captures, and tangents."""
        return super().made(kinds, (), True)


@static
def _along(function: Callable[..., Any], positions: tuple[int, ...], inputs: int) -> _Pushforward:
    return _Pushforward(function, positions, inputs, 1, False)


@static
def _along_gradient(function: Callable[..., Any], positions: tuple[int, ...], inputs: int) -> _Pushforward:
    return _along(grad(function), positions, inputs)


def directional(make: Callable[..., _Pushforward], part: int | None) -> Callable[[Made], Made]:
    """Let a call inside a program that is transformed be one of the function that `make` makes, or an item of it."""

    def mark(function: Made) -> Made:
        function.__along__ = make, part  # type: ignore[attr-defined]
        return function

    return mark


@directional(_along, None)
def jvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """The value of a function and its change along a direction, by forward mode.

    Args:
        function: the function.
        primals: its arguments.
        tangents: one tangent for each, of the same shape (integers and text have none: theirs is not looked at); or,
            for several directions followed at once, a list of such tuples.
        has_aux: whether the function returns a pair (value, something), of which the value is differentiated.

    Returns:
        The pair (value, change), for several directions (value, list of changes); with `has_aux`, something comes last.

    Raises:
        TypeError: if no argument is a float or holds floats.
        ValueError: if the shape of a tangent is not that of its argument.
    """
    several = isinstance(tangents, list) and all(isinstance(each, tuple) for each in tangents)
    directions = tangents if several else [tangents]
    if any(len(direction) != len(primals) for direction in directions):
        raise ValueError(f"{len(primals)} arguments need as many tangents in each direction")
    positions = [position for position, primal in enumerate(primals) if kind_of(primal).differentiable]
    if not positions:
        _differentiable(getattr(function, "__name__", "function"), 0, primals[0])
    for direction in directions:
        for position in positions:
            shapes = _shape(direction[position]), _shape(primals[position])
            if shapes[0] != shapes[1]:
                raise ValueError(f"tangent {position} has shape {shapes[0]}, its argument {shapes[1]}")
    push = _Pushforward(function, positions, len(primals), len(directions), has_aux)
    value, *changes = push(*primals, *(direction[position] for direction in directions for position in positions))
    extra = (changes.pop(),) if has_aux else ()
    return (value, changes if several else changes[0], *extra)


@directional(_along_gradient, 1)
def hvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The product of the Hessian of a function of one argument with a direction: forward over reverse mode.

    Returns:
        The product, in the form of the argument, at a few times the cost of the function.
    """
    return jvp(grad(function), primals, tangents)[1]


def vjp(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of a function and its pullback, by reverse mode.

    Returns:
        The pair (value, pullback), where pullback(d) is the tuple of what the change d of the value makes of each
        argument, 0.0 for integers; with `has_aux` the triple (value, pullback, something). The pullback may be called
        many times; it reads arrays among the arguments, which must not change meanwhile.
    """
    mask = tuple(kind_of(primal).differentiable for primal in primals)
    made = expanded_function(function_of(function, argument_kinds(primals)))
    forth, back = split_function(made, mask, False)
    result, stored = executable(forth)(*passed(primals))
    value, *extra = result if has_aux else (result,)

    def pullback(d: Any) -> tuple[Any, ...]:
        if _shape(d) != _shape(value):
            raise ValueError(f"the change has shape {_shape(d)}, the value {_shape(value)}")
        pull = executable(back)
        found = pull(stored, (d, PRIMITIVES["zeros_like"].evaluate(*extra)) if has_aux else d)
        found = apart(found, (d, stored), pull)
        changes = iter(found if sum(mask) > 1 else (found,))
        return tuple(next(changes) if varies else 0.0 for varies in mask)

    return value, pullback, *extra
