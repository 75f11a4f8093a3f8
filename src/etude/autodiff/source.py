"""Programs as Python source that a person can read, and that runs as it stands.

Two styles: "textbook" prints one operation per line in prefix form, as on the slides of course/004, "Automatic
differentiation"; "optimised" prints operators and calls as a person writes them.
"""

import itertools
import linecache
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from etude.autodiff.expressions import Style
from etude.autodiff.lowering import every as every
from etude.autodiff.outside import Outside
from etude.autodiff.program import Program, functions
from etude.autodiff.statements import ADJOINT as ADJOINT
from etude.autodiff.statements import Body


@dataclass(frozen=True)
class Printed:
    """The source of a program.

    Attributes:
        text: the source: imports, values from outside, then the functions called, then the program's own function.
        name: the name of the program's own function.
        lines: for each line of the text the user's line that it comes from, 0 where there is none.
        namespace: the values from outside.
        captured: how to fetch the values in `namespace` that may change between calls.
    """

    text: str
    name: str
    lines: list[int]
    namespace: dict[str, Any]
    captured: dict[str, Callable[[], Any]]


def source(program: Program, style: Style = "optimised") -> Printed:
    """Print a program and those that it calls."""
    programs = called(program)
    outside = Outside(programs, style)
    parts = [Body(each, style, outside).lines() for each in programs]
    body = [line for part in parts for line in [(0, "", 0), (0, "", 0), *part]]
    values = outside.values()
    imports = outside.imports("\n".join([*values, *(text for _, text, _ in body)]))
    head = [*imports, *([""] if imports and values else []), *values]
    lines = [*((0, text, 0) for text in head), *(body if head else body[2:])]
    wrapped = [(piece, line) for depth, text, line in lines for piece in wrap("    " * depth + text)]
    text = "".join(f"{piece}\n" for piece, _ in wrapped)
    return Printed(text, outside.programs[program], [line for _, line in wrapped], outside.namespace, outside.captured)


LONGEST = 110
"""The longest printed line that is not broken."""


def wrap(text: str) -> list[str]:
    """A line in pieces, broken behind commas between brackets where it is too long."""
    if len(text) <= LONGEST or "'" in text or '"' in text:
        return [text]
    margin = " " * (len(text) - len(text.lstrip()) + 8)
    pieces: list[str] = []
    start = last = depth = 0
    for position, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if position - start + (len(margin) if pieces else 0) >= LONGEST and last > start:
            pieces.append(text[start:last])
            start = last
        if letter == "," and depth and text[position + 1 : position + 2] == " ":
            last = position + 1
    pieces.append(text[start:])
    return [pieces[0], *(margin + piece.lstrip() for piece in pieces[1:])]


_numbers = itertools.count(1)


def compiled(program: Program, style: Style = "optimised") -> Callable[..., Any]:
    """The printed function, ready to be called. Tracebacks show its source, and calls fetch the captured values.

    The values that it takes from outside are its attribute `outside`, by name.
    """
    printed = source(program, style)
    file = f"<derivative {next(_numbers)}: {program.name}>"
    linecache.cache[file] = (len(printed.text), None, printed.text.splitlines(keepends=True), file)
    namespace, outside = dict(printed.namespace), dict(printed.namespace)
    exec(compile(printed.text, file, "exec"), namespace)
    namespace.update(printed.namespace)
    function: Callable[..., Any] = namespace[printed.name]

    @wraps(function)
    def located(*values: Any) -> Any:
        for name, fetch in printed.captured.items():
            namespace[name] = outside[name] = fetch()
        try:
            return function(*values)
        except Exception as error:
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
            line = printed.lines[(frames[-1].lineno or 1) - 1]
            if line:
                text = linecache.getline(program.file, line).strip()
                error.add_note(f"in the derivative of {program.file}:{line}: {text}")
            raise

    located.outside = outside  # type: ignore[attr-defined]
    return located


def called(program: Program) -> list[Program]:
    """A program and those that it calls, each after those that it calls first."""
    order: list[Program] = []
    seen = {program}

    def visit(each: Program) -> None:
        for statement in every(each.body):
            for function in functions(statement):
                if function.program not in seen:
                    seen.add(function.program)
                    visit(function.program)
        order.append(each)

    visit(program)
    return order
