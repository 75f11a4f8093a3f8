"""Which names a piece of syntax reads and assigns, and which it needs from what ran before."""

import ast
from collections.abc import Iterator
from functools import lru_cache

from etude.autodiff.preparation.control import StoppedFor
from etude.autodiff.preparation.sources import Definition

CHANGING = ("append", "extend", "insert", "pop", "remove", "reverse", "sort", "clear", "update", "setdefault")
"""Methods that change a list or dictionary: a call is an assignment to its name."""

Scope = Definition | ast.ListComp | ast.GeneratorExp | ast.DictComp


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of the scope that a node belongs to: of functions inside it only their defaults, of a comprehension not
    the names that it assigns."""
    yield node
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        children: list[ast.AST] = [*node.args.defaults, *(default for default in node.args.kw_defaults if default)]
    elif isinstance(node, ast.comprehension):
        children = [node.iter, *node.ifs]
    else:
        children = list(ast.iter_child_nodes(node))
    for child in children:
        yield from walk(child)


def loaded(node: ast.AST) -> frozenset[str]:
    """The names that a node reads, in functions inside it too."""
    return frozenset(
        each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)
    )


def root(node: ast.expr) -> str | None:
    """The name that an expression such as `x[0].y` starts from."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def assigned(statements: list[ast.stmt]) -> list[str]:
    """The names that statements assign, in order, and those whose lists, dictionaries or arrays they change."""
    found = dict.fromkeys(local(statements))
    for statement in statements:
        for node in walk(statement):
            match node:
                case ast.Subscript(ctx=ast.Store()) if name := root(node):
                    found[name] = None
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in CHANGING:
                    found[name] = None
    return list(found)


def local(statements: list[ast.stmt]) -> list[str]:
    """The names that statements assign."""
    found: dict[str, None] = {}
    for statement in statements:
        for node in walk(statement):
            match node:
                case ast.Name(ctx=ast.Store()):
                    found[node.id] = None
                case ast.FunctionDef():
                    found[node.name] = None
    return list(found)


def names(target: ast.expr) -> list[ast.Name]:
    """The names in a target of an assignment."""
    return [node for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def parameters(arguments: ast.arguments) -> list[str]:
    """The names of all parameters."""
    stars = [star for star in (arguments.vararg, arguments.kwarg) if star]
    return [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars)]


@lru_cache(maxsize=4096)
def free(function: Definition) -> frozenset[str]:
    """The names that a function takes from outside it."""
    own = set(parameters(function.args))
    if isinstance(function, ast.Lambda):
        return frozenset(loaded(function.body) - own)
    read = frozenset().union(*map(loaded, function.body))
    return frozenset(read - own - set(local(function.body)))


@lru_cache(maxsize=4096)
def shared(function: ast.FunctionDef) -> frozenset[str]:
    """The names that functions inside a function take from it: they may be read whenever those are called."""
    inner = (node for statement in function.body for node in ast.walk(statement))
    return frozenset().union(*(free(node) for node in inner if isinstance(node, ast.FunctionDef | ast.Lambda)))


def before(statements: list[ast.stmt], after: frozenset[str]) -> frozenset[str]:
    """The names whose values statements need, or what follows them, which needs those of `after`."""
    for statement in reversed(statements):
        after = _before(statement, after)
    return after


@lru_cache(maxsize=65536)
def _before(statement: ast.stmt, after: frozenset[str]) -> frozenset[str]:
    match statement:
        case ast.Assign(targets=targets, value=value):
            stored = {name.id for target in targets for name in names(target)}
            return (after - stored) | loaded(value) | frozenset().union(*map(loaded, targets))
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return (after - {name}) | loaded(value)
        case ast.If():
            return loaded(statement.test) | before(statement.body, after) | before(statement.orelse, after)
        case ast.For():
            return loaded(statement.iter) | around_for(statement, after)
        case ast.While():
            return around_while(statement, after)
        case ast.FunctionDef():
            return (after - {statement.name}) | loaded(statement)
        case ast.AugAssign():
            return after | loaded(statement) | {name.id for name in names(statement.target)}
        case _:
            return after | loaded(statement)


def around_for(loop: ast.For, after: frozenset[str]) -> frozenset[str]:
    """The names needed before each pass of a `for` loop, and after the last."""
    target = {name.id for name in names(loop.target)}
    head = after | ({loop.flag} if isinstance(loop, StoppedFor) else frozenset())
    return head | (before(loop.body, head | before(loop.body, head)) - target)


def around_while(loop: ast.While, after: frozenset[str]) -> frozenset[str]:
    """The names needed before each test of a `while` loop."""
    head = after | loaded(loop.test)
    return head | before(loop.body, head | before(loop.body, head))
