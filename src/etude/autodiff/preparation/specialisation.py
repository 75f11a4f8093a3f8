"""A program for each function and each combination of kinds of its arguments."""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import starmap
from threading import RLock
from typing import Any

from etude.autodiff.kinds import Kind
from etude.autodiff.preparation.calls import call
from etude.autodiff.preparation.frame import BOTTOM, SIMPLE, Frame, Literal, Result, joined
from etude.autodiff.preparation.sources import WATCHED, Known, Origin, Place, origin_of, place, unchanged
from etude.autodiff.preparation.statements import function_body
from etude.autodiff.preparation.values import (
    Captured,
    Code,
    Items,
    Value,
    captured_count,
    captured_names,
    name_of,
    opened,
)
from etude.autodiff.program import Constant, Function, Program, Variable

LOCK = RLock()
"""Held while programs are written, by one thread at a time."""

NOWHERE = ast.Lambda(ast.arguments([], [], None, [], [], None, []), ast.Constant(None), lineno=0)
"""Stands for the definition of a function that is not written in Python."""

Slot = tuple[str, str]
"""Where an argument goes: the parameter's stars and its name."""


@dataclass(eq=False)
class Specialisation:
    """A function for arguments of some kinds.

    Attributes:
        code: the function.
        kinds: the kinds of its arguments, those of captured variables last.
        slots: where the arguments go.
        function: the program, written when it is first asked for.
        kind: the kind of the result, as far as it is known while the program is being written.
        writing: whether it is being written.
        recursive: whether that program has called the function itself.
        own: whether the result is new and held by nobody else.
        watched: what was seen outside the function when the program was written.
        rests_on: the functions that it has called.
    """

    code: Origin | Code
    kinds: tuple[Kind, ...]
    slots: tuple[Slot, ...]
    function: Function = field(init=False)
    kind: Kind = BOTTOM
    writing: bool = False
    recursive: bool = False
    own: bool = False
    watched: dict[Place, tuple[Any, Any]] = field(default_factory=dict)
    rests_on: set["Specialisation"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.function = Function(self.code.name, self.written, valid=self.valid)

    def result(self) -> tuple[Kind, bool]:
        """The kind of the result, and whether it is new and held by nobody else."""
        if self.writing:
            self.recursive = True
            return self.kind, False
        return self.written().results[0].kind, self.own

    def written(self) -> Program:
        """The program. A recursive one is written anew until the kind of its result does not change any more."""
        with LOCK:
            if self.writing:
                raise TypeError(f"{self.code.name} cannot call a derivative of itself")
            if self.function.built is None:
                self.writing, self.kind = True, BOTTOM
                WRITING.append(self)
                WATCHED.append(self.watched)
                try:
                    self.function.built = self._write(len(WRITTEN))
                    WRITTEN.append(self)
                finally:
                    self.writing = False
                    WRITING.pop()
                    WATCHED.pop()
                    if not WRITING:
                        WRITTEN.clear()
            return self.function.built

    def valid(self) -> bool:
        """Whether all that was seen outside when the program was written still means the same."""
        return self.function.built is None or all(starmap(unchanged, self.seen()))

    def seen(self) -> list[tuple[Place, tuple[Any, Any]]]:
        """What this function and those that it calls have seen outside."""
        if WRITING or "seen" not in self.function.derived:
            found: dict[Place, tuple[Any, Any]] = {}
            functions = [self]
            for function in functions:
                found |= function.watched
                functions += function.rests_on.difference(functions)
            self.function.derived["seen"] = list(found.items())
        seen: list[tuple[Place, tuple[Any, Any]]] = self.function.derived["seen"]
        return seen

    def _write(self, done: int) -> Program:
        while True:
            self.recursive = False
            program, self.own = written(self.code, self.kinds, self.slots)
            kind = joined(self.kind, program.results[0].kind)
            if not self.recursive or kind == self.kind:
                return program
            self.kind = kind
            for other in WRITTEN[done:]:
                other.function.built = None
            del WRITTEN[done:]


WRITING: list[Specialisation] = []
"""What is being written, callers before those they call."""

WRITTEN: list[Specialisation] = []
"""What has been written since the first of WRITING was begun: it may rest on the kind of one that is not finished."""


def specialisation(function: Any, kinds: tuple[Kind, ...], names: tuple[str, ...]) -> Specialisation:
    """The function for arguments of these kinds.

    Args:
        function: a Python function, or the code of one inside another.
        kinds: of the arguments by position, then of those by name, then of captured variables.
        names: the names of the arguments given by name.

    Raises:
        TypeError: if the function does not take such arguments.
        TransformError: if its source is not at hand.
    """
    with LOCK:
        code = function if isinstance(function, Code) else origin_of(function)
        origin = code.origin if isinstance(code, Code) else code
        key = (code if isinstance(code, Code) else None, kinds, names)
        if key not in origin.programs or not origin.programs[key].valid():
            count = len(kinds) - len(names) - (captured_count(code) if isinstance(code, Code) else 0)
            origin.programs[key] = Specialisation(code, kinds, slots(code, count, names))
        found: Specialisation = origin.programs[key]
        if WRITING:
            WRITING[-1].rests_on.add(found)
        return found


def definition(code: Origin | Code) -> ast.FunctionDef | ast.Lambda:
    return code.functions[0][0] if isinstance(code, Code) else code.definition


def slots(code: Origin | Code, count: int, names: tuple[str, ...]) -> tuple[Slot, ...]:
    """Where `count` arguments by position and those by name go.

    Raises:
        TypeError: if there is no place for one, or one is missing.
    """
    if isinstance(code, Origin) and not code.python:
        return (*(("", f"x{position + 1}") for position in range(count)), *(("**", name) for name in names))
    node = definition(code)
    label, arguments = name_of(node), node.args
    positional = [each.arg for each in (*arguments.posonlyargs, *arguments.args)][is_method(code) :]
    found: list[Slot] = [("", name) for name in positional[:count]]
    if count > len(positional):
        if arguments.vararg is None:
            raise TypeError(f"{label} takes {len(positional)} arguments by position, not {count}")
        found += [("*", arguments.vararg.arg)] * (count - len(positional))
    by_name = {each.arg for each in (*arguments.args, *arguments.kwonlyargs)}
    for name in names:
        if ("", name) in found:
            raise TypeError(f"{label} is given {name} twice")
        if name not in by_name and arguments.kwarg is None:
            raise TypeError(f"{label} has no parameter {name}")
        found.append(("", name) if name in by_name else ("**", name))
    missing = [name for name in required(arguments)[is_method(code) :] if ("", name) not in found]
    if missing:
        raise TypeError(f"{label} needs {', '.join(missing)}")
    return tuple(found)


def required(arguments: ast.arguments) -> list[str]:
    """The parameters without default values."""
    positional = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    by_name = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return positional[: len(positional) - len(arguments.defaults)] + [
        each.arg for each, default in by_name if default is None
    ]


def is_method(code: Origin | Code) -> bool:
    return isinstance(code, Origin) and code.owner is not None


def written(code: Origin | Code, kinds: tuple[Kind, ...], slots: tuple[Slot, ...]) -> tuple[Program, bool]:
    """Write the program of a function, and say whether its result is new."""
    origin = code.origin if isinstance(code, Code) else code
    captured = captured_names(code) if isinstance(code, Code) else []
    leaves = [Variable(name, kind, True) for name, kind in zip(captured, kinds[len(slots) :], strict=True)]
    default: Callable[[str], Value | None]
    if isinstance(code, Origin) and not code.python:
        return of_object(code, kinds, slots), False
    if isinstance(code, Code):
        nested = opened(code, tuple(leaves))
        frame, default = Frame(nested.node, origin, nested.scope, specialised), nested.defaults.get
    else:
        frame, default = Frame(origin.definition, origin, Captured({}, origin), specialised), origin.default
    given = [Variable(name, kind, True) for (_, name), kind in zip(slots, kinds, strict=False)]
    _fill(frame, slots, given, default)
    if is_method(code):
        frame.names[frame.node.args.args[0].arg] = Known("self", id(origin.owner), origin.owner, place(origin.owner))
    result = function_body(frame)
    parameters = (*passed(given), *leaves)
    program = Program(name_of(frame.node), parameters, frame.builder.block, (result,), origin.file)
    return program, frame.ownership.own(result)


def passed(given: list[Variable]) -> list[Variable]:
    """The parameters that remain: the kinds of the others say all about them."""
    return [variable for variable in given if not isinstance(variable.kind, Literal)]


def of_object(origin: Origin, kinds: tuple[Kind, ...], slots: tuple[Slot, ...]) -> Program:
    """The program of something else that can be called: a NumPy function, `functools.partial`, an object."""
    frame = Frame(NOWHERE, origin, Captured({}, origin), specialised)
    given = [Variable(name, kind, True) for (_, name), kind in zip(slots, kinds, strict=True)]
    values = [argument_value(variable) for variable in given]
    named = {name: value for (stars, name), value in zip(slots, values, strict=True) if stars}
    positional = values[: len(values) - len(named)]
    function = Known(origin.name, id(origin.function), origin.function, place(origin.function))
    result = frame.atom(call(frame, function, positional, named))
    return Program(origin.name, tuple(passed(given)), frame.builder.block, (result,), origin.file)


def _fill(frame: Frame, slots: tuple[Slot, ...], given: list[Variable], default: Callable[[str], Value | None]) -> None:
    """Let the parameters stand for the arguments given, and the others for their defaults."""
    arguments = frame.node.args
    frame.builder.line = frame.node.lineno
    values: list[Value] = [argument_value(variable) for variable in given]
    filled = {name: value for (stars, name), value in zip(slots, values, strict=True) if not stars}
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        value = filled.get(each.arg) or default(each.arg)
        if isinstance(value, Known) and isinstance(value.value, SIMPLE):
            value = Constant(value.value)
        if value is not None:
            frame.names[each.arg] = value
    if arguments.vararg:
        items = tuple(value for (stars, _), value in zip(slots, values, strict=True) if stars == "*")
        frame.names[arguments.vararg.arg] = Items(items)
    if arguments.kwarg:
        more = {name: value for (stars, name), value in zip(slots, values, strict=True) if stars == "**"}
        frame.names[arguments.kwarg.arg] = _keywords(frame, more)


def _keywords(frame: Frame, more: dict[str, Value]) -> Value:
    result = frame.emit("dict", *map(frame.atom, more.values()), keys=Constant(tuple(more)))
    frame.parts[result] = tuple(more.values())
    return result


def argument_value(variable: Variable) -> Value:
    """What a parameter stands for: a variable, or all that is known of its argument."""
    if not isinstance(variable.kind, Literal):
        return variable
    value = variable.kind.value
    if isinstance(value, Code):
        return opened(value, ())
    return value if isinstance(value, Known) else Constant(value)


def specialised(code: Any, kinds: tuple[Kind, ...], names: tuple[str, ...]) -> tuple[Function, Result]:
    """The program of a function that another one calls, and what is known of its result."""
    found = specialisation(code.value if isinstance(code, Known) else code, kinds, names)
    return found.function, found.result
