"""Derivatives to read: the stages of a transformation as source, a program beside its derivative as on the slides."""

import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Literal, get_args

import numpy as np

from etude.autodiff import columns, modes
from etude.autodiff.activity import active
from etude.autodiff.checkpoint import Checkpointed
from etude.autodiff.custom import custom_derivative
from etude.autodiff.derivative import Derivative, function_of
from etude.autodiff.duplication import duplicated
from etude.autodiff.errors import TransformError
from etude.autodiff.expansion import copied, expanded
from etude.autodiff.expressions import Style
from etude.autodiff.forward import forward
from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, Number
from etude.autodiff.optimise import optimised
from etude.autodiff.preparation import argument_kinds
from etude.autodiff.program import Block, If, Loop, Op, Program, Statement, assigned
from etude.autodiff.reverse import joined
from etude.autodiff.source import Printed, every, source

Direction = Literal["forward", "reverse"]


def derivative_source(
    function: Callable[..., Any],
    mode: Direction = "reverse",
    style: Style = "optimised",
    *,
    arguments: Sequence[Any] | None = None,
    directions: int = 1,
) -> str:
    """The Python source of the derivative of a function: a program that runs as it is printed.

    Args:
        function: the function; what `grad` and its like return can be given too.
        mode: `forward`: to the arguments come their tangents dx, to the result its tangent. `reverse`: the program
            followed by its adjoint; the adjoint of the result arrives as an argument.
        style: `optimised`: as a person would write it. If the result is a number, the reverse program starts from 1 and
            returns the gradient alone. `textbook`: one function call a line, every variable used once, as on the
            slides of course/004.
        arguments: examples of the arguments, whose kinds the program is made for: where axes of these have one size, or
            size 1, those of the arguments that the program is called with must too. Without them annotations say what
            an argument is (`float`, `np.ndarray`); what is not annotated is a number, or anything if the function does
            with it what numbers cannot.
        directions: in forward mode, how many directions are followed at once.

    Raises:
        TransformError: if the function uses what is not supported.
        ValueError: for another mode or style.
    """
    return Stages(function, arguments).derivative(mode, style, directions).text


def program(function: Callable[..., Any], arguments: Sequence[Any] | None = None) -> "Stages":
    """The stages of the transformation of a function, each as source to look at. See `derivative_source`."""
    return Stages(function, arguments)


@dataclass(frozen=True)
class Stages:
    """A function on its way to its derivative."""

    function: Callable[..., Any]
    arguments: Sequence[Any] | None = None

    @property
    def prepared(self) -> Program:
        """The program in A-normal form, for other transformations."""
        if self.arguments is not None:
            return function_of(self.function, argument_kinds(tuple(self.arguments))).program
        guesses = _kinds(self.function)
        try:
            found = self.guessed(guesses, Number())
        except (TransformError, TypeError):
            return self.guessed(guesses, UNKNOWN)
        if None in guesses and _arrays(found.body):
            return self.guessed(guesses, UNKNOWN)
        bounds = {bound for loop in every(found.body) if isinstance(loop, Loop) for bound in loop.bounds or ()}
        counts = [Integer() if parameter in bounds else None for parameter in found.parameters]
        return self.guessed([guess or count for guess, count in zip(guesses, counts, strict=True)], Number())

    def guessed(self, guesses: Sequence[Kind | None], otherwise: Kind) -> Program:
        """The program for arguments of these kinds."""
        return function_of(self.function, tuple(guess or otherwise for guess in guesses)).program

    @property
    def mask(self) -> tuple[bool, ...]:
        """For each parameter, whether it can vary."""
        prepared = self.prepared
        found = tuple(parameter.kind.differentiable for parameter in prepared.parameters)
        if not any(found):
            raise TypeError(f"{prepared.name} has no argument that a derivative could be taken by")
        return found

    @property
    def source(self) -> str:
        """The user's source."""
        return textwrap.dedent(inspect.getsource(self.function))

    @property
    def normal_form(self) -> str:
        """The program in A-normal form: one call of a prefix function a line."""
        return source(self.numbered, "textbook").text

    @property
    def numbered(self) -> Program:
        """The program in A-normal form with its temporaries numbered: i1, i2, ..., and d_di1 the adjoint of i1."""
        program = copied(self.prepared)
        temporaries = [variable for variable in assigned(program.body) if variable.name == "i" and not variable.given]
        for number, variable in enumerate(temporaries, 1):
            variable.name = f"i{number}"
        return program

    @property
    def linear(self) -> Program:
        """The program in which every variable is used once."""
        prepared = self.numbered
        varying = [p for p, varies in zip(prepared.parameters, self.mask, strict=True) if varies]
        return duplicated(prepared, active(prepared, varying))

    @property
    def duplicated(self) -> str:
        """The program in which every variable is used once, further uses through `dup`."""
        return source(self.linear, "textbook").text

    @property
    def forward(self) -> str:
        """The textbook program of forward mode."""
        return self.derivative("forward", "textbook").text

    @property
    def reverse(self) -> str:
        """The textbook program of reverse mode."""
        return self.derivative("reverse", "textbook").text

    def derivative(self, mode: Direction = "reverse", style: Style = "optimised", directions: int = 1) -> Printed:
        """The program of the derivative, printed."""
        _expect("mode", mode, get_args(Direction))
        _expect("style", style, get_args(Style))
        if style == "textbook":
            return source(self.textbook(mode, directions), style)
        prepared = expanded(self.prepared)
        if mode == "forward":
            return source(optimised(forward(prepared, self.mask, directions)))
        if prepared.results[0].kind in (Number(), Integer(), UNKNOWN):
            positions = [position for position, varies in enumerate(self.mask) if varies]
            several = len(positions) > 1
            made = modes.gradient(prepared, positions, value=False, aux=False, several=several, again=False)
            return source(optimised(made))
        return source(optimised(joined(prepared, self.mask)))

    def textbook(self, mode: Direction, directions: int = 1) -> Program:
        """The program of the derivative with nothing simplified."""
        if mode == "forward":
            return forward(self.numbered, self.mask, directions)
        return joined(self.linear, self.mask, textbook=True)

    def side_by_side(self, mode: Direction = "reverse") -> str:
        """The textbook program with the derivative of each line beside it; in reverse mode it is read upwards.

        Functions that it still calls follow as programs of their own.
        """
        _expect("mode", mode, get_args(Direction))
        if mode == "forward":
            lines = _by_statement(self.numbered)
            made = forward(lines, self.mask)
            rows = columns.between(made, {*lines.parameters, *assigned(lines.body)})
        else:
            made = joined(_by_statement(self.linear), self.mask, textbook=True)
            rows = columns.beside(made)
        return "\n\n\n".join([columns.aligned(rows), *_called(source(made, "textbook"))])

    def __str__(self) -> str:
        return self.side_by_side()


def _expect(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}: expected {' or '.join(known)}")


def _called(printed: Printed) -> list[str]:
    """The functions that a printed program calls, as text."""
    before = printed.text.partition(f"def {printed.name}(")[0]
    start = before.find("def ")
    return [before[start:].rstrip()] if start >= 0 else []


NUMBERS = {"tuple", "list", "dict", "item", "append", "accumulate", "select", "sum_items", "smallest", "largest"}
"""The primitives without broadcasting that programs on numbers use too."""


def _kinds(function: Callable[..., Any]) -> list[Kind | None]:
    """What the annotations of the parameters without a default say; None where there is none."""
    known = {float: Number(), int: Integer(), np.ndarray: Array(), "float": Number(), "int": Integer()}
    known["np.ndarray"] = Array()
    while isinstance(function, Derivative | Checkpointed | custom_derivative):
        function = function.function
    parameters = inspect.signature(function).parameters.values()
    return [known.get(parameter.annotation) for parameter in parameters if parameter.default is parameter.empty]


def _arrays(block: Block) -> bool:
    """Whether a program prepared for numbers does what only arrays can."""
    ops = (statement for statement in every(block) if isinstance(statement, Op))
    return any(
        not op.primitive.elementwise and any(op.primitive.reverse) and op.primitive.name not in NUMBERS for op in ops
    )


def _by_statement(program: Program) -> Program:
    """The program with the number of each statement in the place of its line in the user's source."""
    numbers = count(1)

    def numbered(block: Block) -> Block:
        return [one(statement) for statement in block]

    def one(statement: Statement) -> Statement:
        line = next(numbers)
        match statement:
            case If():
                then = numbered(statement.then)
                return replace(statement, line=line, then=then, otherwise=numbered(statement.otherwise))
            case Loop():
                return replace(statement, line=line, body=numbered(statement.body))
            case _:
                return replace(statement, line=line)

    return replace(program, body=numbered(program.body))
