"""Statements, and functions made of them."""

import ast
from collections.abc import Callable
from typing import Any

from etude.autodiff.kinds import Array, Dict, Integer, List, Number, Other, Tuple
from etude.autodiff.preparation.calls import dictionary, extended
from etude.autodiff.preparation.control import RESULT, StoppedFor, without_jumps
from etude.autodiff.preparation.expressions import (
    OPERATORS,
    atom,
    constant_key,
    destructure,
    expression,
    index,
    nested,
    operation,
)
from etude.autodiff.preparation.flow import branch, loop
from etude.autodiff.preparation.frame import Bottom, Frame
from etude.autodiff.preparation.names import CHANGING, around_for, around_while, assigned, before, shared
from etude.autodiff.preparation.sequences import go_through, lent, sequence
from etude.autodiff.preparation.sources import Known
from etude.autodiff.preparation.values import Items, Sequence, Value
from etude.autodiff.program import Atom, Constant, Variable

Live = frozenset[str]

REFUSED: dict[type[ast.stmt], str] = {
    ast.Try: "try is not supported: test for the condition instead",
    ast.TryStar: "try is not supported: test for the condition instead",
    ast.With: "with is not supported: enter it around the call of the function",
    ast.AsyncWith: "async with is not supported: enter it around the call of the function",
    ast.AsyncFor: "async for is not supported: use for",
    ast.AsyncFunctionDef: "async functions are not supported: use def",
    ast.ClassDef: "classes are not supported inside a function: define them outside",
    ast.Delete: "del is not supported: leave the value to be forgotten at the end",
    ast.Global: "global is not supported: return the new value instead",
    ast.Nonlocal: "nonlocal is not supported: return the new value instead",
    ast.Match: "match is not supported: use if and elif",
    ast.Import: "import at the top of the file instead",
    ast.ImportFrom: "import at the top of the file instead",
}


def function_body(frame: Frame) -> Atom:
    """Write the body of a function; what it returns."""
    if isinstance(frame.node, ast.Lambda):
        return atom(frame, frame.node.body)
    statements(frame, without_jumps(frame.node), frozenset({RESULT}))
    return frame.atom(frame.names.get(RESULT, Constant(None)))


def statements(frame: Frame, nodes: list[ast.stmt], after: Live) -> None:
    """Write statements.

    Args:
        frame: the function being transformed.
        nodes: the statements.
        after: the names that may be read after them.
    """
    always = shared(frame.node) if isinstance(frame.node, ast.FunctionDef) else frozenset()
    for position, node in enumerate(nodes):
        if frame.unreachable:
            return
        frame.builder.line = node.lineno
        live = before(nodes[position + 1 :], after) | always
        if write := WRITERS.get(type(node)):
            outer = frame.ownership.lent
            write(frame, node, live)
            if not any(isinstance(value, Sequence) for value in frame.names.values()):
                frame.ownership.lent = outer
        else:
            frame.refuse(REFUSED.get(type(node), f"{type(node).__name__} is not supported"))


def _assign(frame: Frame, node: ast.Assign, live: Live) -> None:
    value = expression(frame, node.value)
    if isinstance(value, Items) and isinstance(node.value, ast.Call):
        frame.ownership.alias(*frame.ownership.lent)
    if len(node.targets) > 1 and any(isinstance(target, ast.Subscript) for target in node.targets):
        frame.refuse(f"{ast.unparse(node)}: write one assignment for each target")
    for target in node.targets:
        _store(frame, target, value)


def _annotated(frame: Frame, node: ast.AnnAssign, live: Live) -> None:
    if node.value is not None:
        _store(frame, node.target, expression(frame, node.value))


def _store(frame: Frame, target: ast.expr, value: Value) -> None:
    if isinstance(target, ast.Subscript):
        _store_item(frame, target, value)
    else:
        destructure(frame, target, value)


def _store_item(frame: Frame, target: ast.Subscript, value: Value) -> None:
    """`x[index] = value` for a dictionary, list or array made here: the name stands for a changed copy."""
    name, owner = target.value, atom(frame, target.value)
    label = f"{ast.unparse(target)} = ..."
    if not isinstance(owner.kind, Dict | List | Array):
        frame.refuse(f"{label} changes something that is not known to be an array, a list or a dictionary")
    if not isinstance(name, ast.Name) or not frame.owns(owner):
        frame.refuse(f"{label} changes in place what others may hold; change a copy, or use np.where or np.stack")
    if not isinstance(owner.kind, Dict):
        place, item = index(frame, target.slice), frame.atom(value)
        _check_storable(frame, label, owner, place, item)
        frame.bind(name.id, frame.emit("set_at", owner, item, index=place))
        return
    entries = {key: frame.item(owner, Constant(key)) for key, _ in owner.kind.items}
    entries[constant_key(frame, target.slice)] = frame.atom(value)
    frame.bind(name.id, dictionary(frame, tuple(entries), tuple(entries.values())))


def _check_storable(frame: Frame, label: str, owner: Atom, place: Atom, item: Atom) -> None:
    """Refuse to store what has no derivative, or at places of which one may be named twice."""
    parts = place.kind.items if isinstance(place.kind, Tuple) else (place.kind,)
    if not all(isinstance(part, Integer if isinstance(owner.kind, List) else Integer | Other) for part in parts):
        frame.refuse(f"{label}: the index has to be made of integers and slices; use np.where for others")
    if isinstance(owner.kind, Array) and isinstance(item.kind, Tuple | List | Dict):
        frame.refuse(f"{label}: make an array of the value with np.array")


def _augmented(frame: Frame, node: ast.AugAssign, live: Live) -> None:
    """`x += y`: a new x, unless somebody else could see the old one change."""
    name, target = OPERATORS[type(node.op)], node.target
    if isinstance(target, ast.Subscript):
        old = expression(frame, ast.Subscript(target.value, target.slice, ast.Load(), lineno=node.lineno))
        _check_replaceable(frame, node, target, old)
        _store_item(frame, target, operation(frame, name, old, expression(frame, node.value)))
        return
    if not isinstance(target, ast.Name):
        frame.refuse(f"{ast.unparse(node)} changes an object; return the new value instead")
    current = atom(frame, ast.copy_location(ast.Name(target.id, ast.Load()), node))
    value = expression(frame, node.value)
    changeable = not isinstance(current.kind, Number | Integer | Tuple | Bottom) or current in frame.ownership.boxed
    if changeable and not frame.owns(current):
        frame.refuse(f"{ast.unparse(node)} changes in place an array that others may hold; assign a new one")
    result = operation(frame, name, current, value)
    if current in frame.ownership.boxed and isinstance(result, Variable):
        frame.ownership.boxed.add(result)
    frame.bind(target.id, result)


def _check_replaceable(frame: Frame, node: ast.AugAssign, target: ast.Subscript, old: Value) -> None:
    """Refuse to replace an item that Python would change in place: an array or list inside a list or dictionary."""
    lasting = isinstance(frame.atom(old).kind, Number | Integer | Tuple | Other | Bottom)
    if not lasting and isinstance(atom(frame, target.value).kind, List | Dict):
        frame.refuse(f"{ast.unparse(node)} changes in place an array that others may hold; assign a new item")


def _expression(frame: Frame, node: ast.Expr, live: Live) -> None:
    match node.value:
        case ast.Constant():
            pass
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in CHANGING:
            owner = frame.lookup(name)
            value = owner.value if isinstance(owner, Known) else None
            if isinstance(value, list | dict) or (isinstance(owner, Variable) and isinstance(owner.kind, List | Dict)):
                _changed(frame, name, frame.atom(owner), method, node.value)
            else:
                expression(frame, node.value)
        case value:
            expression(frame, value)


def _changed(frame: Frame, name: str, owner: Atom, method: str, node: ast.Call) -> None:
    """A call that changes a list: the name stands for a new list."""
    label = f"{name}.{method}"
    if method not in ("append", "extend") or len(node.args) != 1:
        frame.refuse(f"{label} is not supported: make a new list")
    value = expression(frame, node.args[0])
    if not frame.owns(owner):
        frame.refuse(f"{label} changes a list that others may hold; make a new list: {name} = [*{name}, ...]")
    if method == "append":
        frame.bind(name, frame.emit("append", owner, frame.atom(value)))
    else:
        frame.bind(name, extended(frame, owner, sequence(frame, value)))


def _if(frame: Frame, node: ast.If, live: Live) -> None:
    branch(
        frame,
        atom(frame, node.test),
        lambda: statements(frame, node.body, live),
        lambda: statements(frame, node.orelse, live),
        live,
    )


def _for(frame: Frame, node: ast.For, live: Live) -> None:
    if node.orelse:
        frame.refuse("else after a loop is not supported: set a flag in the loop and test it afterwards")
    items = lent(frame, expression(frame, node.iter))
    head = around_for(node, live) | live
    target = {each.id for each in ast.walk(node.target) if isinstance(each, ast.Name)}
    carried = [name for name in assigned([node]) if name in (live if name in target else head)]

    def once(item: Value) -> None:
        destructure(frame, node.target, item)
        statements(frame, node.body, head)

    flag = node.flag if isinstance(node, StoppedFor) else None
    go_through(frame, items, carried, once, live=head, flag=flag)


def _while(frame: Frame, node: ast.While, live: Live) -> None:
    if node.orelse:
        frame.refuse("else after a loop is not supported: set a flag in the loop and test it afterwards")
    if any(isinstance(each, ast.NamedExpr) for each in ast.walk(node.test)):
        frame.refuse("an assignment inside the test of a loop is not supported: assign before the loop and at its end")
    head = around_while(node, live) | live
    carried = [name for name in assigned(node.body) if name in head]
    loop(frame, carried, lambda: statements(frame, node.body, head), test=lambda: atom(frame, node.test))


def _function(frame: Frame, node: ast.FunctionDef, live: Live) -> None:
    if node.decorator_list:
        frame.refuse("decorators inside a function are not supported: wrap the function after its definition")
    frame.names[node.name] = nested(frame, node)


def _raise(frame: Frame, node: ast.Raise, live: Live) -> None:
    match node.exc:
        case ast.Call(func=error, args=details, keywords=[]):
            _fail(frame, error, [atom(frame, detail) for detail in details])
        case ast.expr() as error:
            _fail(frame, error, [])
        case None:
            frame.refuse("raise needs an error: raise ValueError(...)")


def _fail(frame: Frame, error: ast.expr, details: list[Atom]) -> None:
    frame.emit("raise_", *details, error=atom(frame, error))
    frame.unreachable = True


def _assert(frame: Frame, node: ast.Assert, live: Live) -> None:
    error = ast.copy_location(ast.Name("AssertionError", ast.Load()), node)

    def fail() -> None:
        _fail(frame, error, [atom(frame, node.msg)] if node.msg else [])

    branch(frame, atom(frame, node.test), lambda: None, fail, live)


def _pass(frame: Frame, node: ast.Pass, live: Live) -> None:
    pass


WRITERS: dict[type[ast.stmt], Callable[[Frame, Any, Live], None]] = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.Expr: _expression,
    ast.If: _if,
    ast.For: _for,
    StoppedFor: _for,
    ast.While: _while,
    ast.FunctionDef: _function,
    ast.Raise: _raise,
    ast.Assert: _assert,
    ast.Pass: _pass,
}
