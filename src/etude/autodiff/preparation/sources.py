"""Finding the syntax tree of a Python function, in the file that the user wrote."""

import ast
import builtins
import inspect
import linecache
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from etude.autodiff.errors import TransformError
from etude.autodiff.kinds import kind_of

Definition = ast.FunctionDef | ast.Lambda

DATA = (np.ndarray, np.generic, int, float, str, list, tuple, dict)
"""Known objects of these types are values of the program; others are asked for their attributes and items at once."""

Step = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Place:
    """Where a value is found outside a function, now and whenever its program is called.

    Attributes:
        identity: the `id` of the start, by which two of these are compared.
        start: where the way to the value starts: a module's names, a cell, an object.
        path: the steps from there, `getattr` or `operator.getitem`, each with its name or index.
    """

    identity: int
    start: Any = field(compare=False)
    path: tuple[tuple[Step, Any], ...] = ()

    def __call__(self) -> Any:
        """The value as it is now."""
        value = self.start
        for step, key in self.path:
            value = step(value, key)
        return value

    def then(self, step: Step, key: Any) -> "Place":
        """Where a part of the value is found."""
        return Place(self.identity, self.start, (*self.path, (step, key)))


def place(start: Any, *path: tuple[Step, Any]) -> Place:
    """The place that a way leads to."""
    return Place(id(start), start, path)


WATCHED: list[dict[Place, tuple[Any, Any]]] = []
"""For each function that is being written, callers first, the values seen outside it, each with its `meaning`."""


@dataclass(frozen=True)
class Known:
    """A Python object that is known when a function is transformed: a module, a function, a global array.

    Attributes:
        name: an expression that names it in the user's source, `np.pi`.
        identity: its `id`, by which two of these are compared.
        value: the object as it is now.
        fetch: where it is found later, when the transformed function is called.
        leaves: the variables that the object, made while the function was transformed, still has to be given.
        captured: the names of the variables that functions given to it have read when it was made.
    """

    name: str
    identity: int
    value: Any = field(compare=False)
    fetch: Place = field(compare=False)
    leaves: tuple[Any, ...] = ()
    captured: tuple[str, ...] = field(default=(), compare=False)

    def attribute(self, name: str) -> "Known":
        """One of its attributes.

        Raises:
            AttributeError: if it has none of that name.
        """
        return known(f"{self.name}.{name}", self.fetch.then(getattr, name))

    def item(self, index: Any) -> "Known":
        """One of its items."""
        return known(f"{self.name}[{index!r}]", self.fetch.then(operator.getitem, index))


def known(name: str, fetch: Place) -> Known:
    """What is known of an object under its name, fetched a first time, and watched."""
    value = fetch()
    if WATCHED and fetch not in WATCHED[-1]:
        WATCHED[-1][fetch] = value, meaning(value)
    return Known(name, id(value), value, fetch)


def objects(value: Any) -> bool:
    """Whether a value is, or a container holds, something that is no value of a program, such as a function."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(not isinstance(item, DATA) for item in items) or not isinstance(value, DATA)


def meaning(value: Any) -> Any:
    """What programs are written for: the kind of data, each item of a container of objects, any other object itself."""
    if not objects(value):
        return kind_of(value)
    if isinstance(value, dict):
        return tuple((key, meaning(item)) for key, item in value.items())
    return tuple(map(meaning, value)) if isinstance(value, list | tuple) else id(value)


def unchanged(fetch: Place, before: tuple[Any, Any]) -> bool:
    """Whether what is found at a place means the same as before."""
    now, (value, meant) = fetch(), before
    return (now is value and not isinstance(now, list | dict)) or meaning(now) == meant


def builtin_or_global(names: dict[str, Any], name: str) -> Any:
    """What a name means that is no variable of a function."""
    return names[name] if name in names else getattr(builtins, name)


@dataclass(frozen=True)
class Origin:
    """A Python function, told from others by its code and by what its names outside it mean.

    Attributes:
        identity: the ids of its code, globals, captured cells, defaults and `self`.
        function: one function of this identity.
        owner: the object that it is a method of, if any.
        programs: what has been made of it and of the functions inside it so far.
    """

    identity: tuple[int, ...]
    function: Any = field(compare=False)
    owner: Any = field(compare=False)
    programs: dict[Any, Any] = field(default_factory=dict, compare=False)

    @property
    def python(self) -> bool:
        """Whether it is written in Python."""
        return isinstance(self.function, FunctionType)

    @property
    def name(self) -> str:
        name = getattr(self.function, "__name__", "function")
        return "function" if name == "<lambda>" else str(name)

    @property
    def file(self) -> str:
        return self.function.__code__.co_filename if self.python else ""

    @property
    def definition(self) -> Definition:
        return definition(self.function)

    def outside(self, name: str) -> Known | None:
        """The object that a name means outside the function: in functions around it, its module or Python itself."""
        function = self.function
        code = function.__code__
        if name in code.co_freevars:
            cell = (function.__closure__ or ())[code.co_freevars.index(name)]
            return known(name, place(cell, (getattr, "cell_contents")))
        if name in function.__globals__ or hasattr(builtins, name):
            return known(name, place(function.__globals__, (builtin_or_global, name)))
        return None

    def default(self, name: str) -> Known | None:
        """The default value of a parameter."""
        function = self.function
        if name in (function.__kwdefaults__ or {}):
            return known(name, place(function.__kwdefaults__, (operator.getitem, name)))
        code = function.__code__
        position = code.co_varnames.index(name) - code.co_argcount
        defaults = function.__defaults__ or ()
        if -len(defaults) <= position < 0:
            return known(name, place(defaults, (operator.getitem, position)))
        return None


def origin_of(function: Any) -> Origin:
    """The origin of a function: the same object for functions that mean the same."""
    owner, plain = getattr(function, "__self__", None), getattr(function, "__func__", function)
    if not isinstance(plain, FunctionType):
        return _kept(Origin((id(function),), function, None))
    parts = (plain.__globals__, *(plain.__closure__ or ()), *(plain.__defaults__ or ()))
    kwdefaults = tuple((plain.__kwdefaults__ or {}).values())
    return _kept(Origin(tuple(map(id, (plain.__code__, *parts, owner, *kwdefaults))), plain, owner))


@lru_cache(maxsize=1024)
def _kept(origin: Origin) -> Origin:
    return origin


def definition(function: FunctionType) -> Definition:
    """The syntax tree of a function.

    Raises:
        TransformError: if there is no source, as for functions typed at the interactive prompt.
    """
    code = function.__code__
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    for node in functions(text) if text else ():
        if describes(node, code) and isinstance(node, ast.FunctionDef | ast.Lambda):
            return node
    reason = "async functions are not supported"
    if not code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        reason = "its source is not at hand: put the function into a file"
    raise TransformError(code.co_filename, code.co_firstlineno, function.__qualname__, reason)


@lru_cache(maxsize=256)
def functions(text: str) -> tuple[Definition | ast.AsyncFunctionDef, ...]:
    """All functions of a file, inner ones before those around them."""

    def walk(node: ast.AST) -> Iterator[Definition | ast.AsyncFunctionDef]:
        for child in ast.iter_child_nodes(node):
            yield from walk(child)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node

    return tuple(walk(ast.parse(text)))


def describes(node: Definition | ast.AsyncFunctionDef, code: CodeType) -> bool:
    """Whether a function in a file is the one that was compiled to `code`."""
    if not isinstance(node, ast.Lambda):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        return node.name == code.co_name and first == code.co_firstlineno
    if code.co_name != "<lambda>":
        return False
    start, end = (node.body.lineno, node.body.col_offset), (node.body.end_lineno or 0, node.body.end_col_offset or 0)
    spans = [span for span in code.co_positions() if span[2] != span[3]]
    starts = [(line or 0, column or 0) for line, _, column, _ in spans if line]
    ends = [(line or 0, column or 0) for _, line, _, column in spans if line]
    return bool(starts) and start <= min(starts) and max(ends) <= end
