"""Finding the syntax tree of a Python function, in the file that the user wrote."""

import ast
import builtins
import inspect
import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from etude.autodiff.errors import TransformError

Definition = ast.FunctionDef | ast.Lambda


@dataclass(frozen=True)
class Known:
    """A Python object that is known when a function is transformed: a module, a function, a global array.

    Attributes:
        name: an expression that names it in the user's source, `np.pi`.
        identity: its `id`, by which two of these are compared.
        value: the object as it is now.
        fetch: what it is later, when the transformed function is called.
        leaves: the variables that the object, made while the function was transformed, still has to be given.
    """

    name: str
    identity: int
    value: Any = field(compare=False)
    fetch: Callable[[], Any] = field(compare=False)
    leaves: tuple[Any, ...] = ()

    def attribute(self, name: str) -> "Known":
        """One of its attributes.

        Raises:
            AttributeError: if it has none of that name.
        """
        fetch = self.fetch
        return known(f"{self.name}.{name}", lambda: getattr(fetch(), name))

    def item(self, index: Any) -> "Known":
        """One of its items."""
        fetch = self.fetch
        return known(f"{self.name}[{index!r}]", lambda: fetch()[index])


def known(name: str, fetch: Callable[[], Any]) -> Known:
    """What is known of an object under its name, fetched a first time."""
    value = fetch()
    return Known(name, id(value), value, fetch)


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
            return known(name, lambda: cell.cell_contents)
        if name in function.__globals__:
            return known(name, lambda: function.__globals__[name])
        return known(name, lambda: getattr(builtins, name)) if hasattr(builtins, name) else None

    def default(self, name: str) -> Known | None:
        """The default value of a parameter."""
        function = self.function
        if name in (function.__kwdefaults__ or {}):
            return known(name, lambda: function.__kwdefaults__[name])
        code = function.__code__
        position = code.co_varnames.index(name) - code.co_argcount
        defaults = function.__defaults__ or ()
        return known(name, lambda: defaults[position]) if -len(defaults) <= position < 0 else None


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
