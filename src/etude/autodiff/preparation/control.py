"""Control flow without jumps: `return`, `break` and `continue` become assignments to flags and `else` branches.

The names of flags start with a dollar sign, so that no name of the user's is one. `$result` holds what the function
returns.
"""

import ast
from dataclasses import dataclass
from functools import lru_cache

RESULT = "$result"
RETURNED = "$returned"

Statements = list[ast.stmt]


class StoppedFor(ast.For):
    """A `for` loop that stops before the first pass that finds the variable `flag` true."""

    flag: str


@dataclass
class Around:
    """The loop around a statement: the flags that stop it and that skip the rest of a pass."""

    broken: str
    skipped: str


@lru_cache(maxsize=4096)
def without_jumps(function: ast.FunctionDef) -> Statements:
    """The statements of a function with its jumps rewritten."""
    statements = _rewritten(function.body, None)
    start = [_assignment(RETURNED, False, function)] if "return" in _jumps(function.body) else []
    return [*start, *statements]


def _assignment(name: str, value: bool, place: ast.AST) -> ast.stmt:
    return _assigned(name, ast.Constant(value), place)


def _assigned(name: str, value: ast.expr, place: ast.AST) -> ast.stmt:
    node = ast.Assign([ast.Name(name, ast.Store())], value)
    return ast.fix_missing_locations(ast.copy_location(node, place))


def _negated(test: ast.expr) -> ast.expr:
    return ast.copy_location(ast.UnaryOp(ast.Not(), test), test)


def _any_of(flags: list[str], place: ast.AST) -> ast.expr:
    """The test that a flag is up."""
    names: list[ast.expr] = [ast.Name(flag, ast.Load()) for flag in flags]
    node = names[0] if len(names) == 1 else ast.BoolOp(ast.Or(), names)
    return ast.fix_missing_locations(ast.copy_location(node, place))


def _jumps(statements: Statements) -> set[str]:
    """How control may leave a list of statements before its end."""
    found: set[str] = set()
    for statement in statements:
        match statement:
            case ast.Return():
                found.add("return")
            case ast.Break():
                found.add("break")
            case ast.Continue():
                found.add("continue")
            case ast.If():
                found |= _jumps(statement.body) | _jumps(statement.orelse)
            case ast.For() | ast.While():
                found |= _jumps(statement.body) & {"return"}
    return found


def _leaves(statements: Statements) -> bool:
    """Whether control never reaches the end of a list of statements."""
    for statement in statements:
        if isinstance(statement, ast.Return | ast.Break | ast.Continue | ast.Raise):
            return True
        if isinstance(statement, ast.If) and _leaves(statement.body) and _leaves(statement.orelse):
            return True
    return False


def _rewritten(statements: Statements, around: Around | None) -> Statements:
    """The statements without jumps; inside a loop, jumps raise the flags of the loop `around`."""
    new: Statements = []
    for position, statement in enumerate(statements):
        rest = statements[position + 1 :]
        match statement:
            case ast.Return():
                value = statement.value or ast.Constant(None)
                new.append(_assigned(RESULT, value, statement))
                flags = dict.fromkeys((RETURNED, around.broken if around else RETURNED))
                new += [_assignment(flag, True, statement) for flag in flags]
                return new
            case ast.Break() if around:
                return [*new, _assignment(around.broken, True, statement)]
            case ast.Continue() if around:
                return [*new, _assignment(around.skipped, True, statement)]
            case ast.If() if _jumps([statement]):
                return [*new, *_branches(statement, rest, around)]
            case ast.If():
                node = ast.If(
                    statement.test, *(_rewritten(each, around) for each in (statement.body, statement.orelse))
                )
                new.append(ast.copy_location(node, statement))
            case ast.For() | ast.While() if not statement.orelse:
                new += _loop(statement)
                if "return" in _jumps(statement.body):
                    if around and around.broken != RETURNED:
                        new.append(_raised_again(around, statement))
                    return [*new, *_guarded([RETURNED], rest, around, statement)]
            case _:
                new.append(statement)
    return new


def _raised_again(around: Around, place: ast.AST) -> ast.stmt:
    """After an inner loop: a return from it stops the loop around it too."""
    node = ast.If(ast.Name(RETURNED, ast.Load()), [_assignment(around.broken, True, place)], [])
    return ast.fix_missing_locations(ast.copy_location(node, place))


def _guarded(flags: list[str], rest: Statements, around: Around | None, place: ast.AST) -> Statements:
    """The statements that follow a jump, run if no flag is up."""
    if not rest:
        return []
    return [ast.copy_location(ast.If(_any_of(flags, place), [], _rewritten(rest, around)), place)]


def _branches(statement: ast.If, rest: Statements, around: Around | None) -> Statements:
    """An `if` with jumps in it and the statements after it."""
    body, otherwise, after = statement.body, statement.orelse, rest
    if _leaves(body) or _leaves(otherwise) or (len(rest) == 1 and isinstance(rest[0], ast.Return)):
        body = body if _leaves(body) else [*body, *rest]
        otherwise = otherwise if _leaves(otherwise) else [*otherwise, *rest]
        after = []
    node = ast.If(statement.test, _rewritten(body, around), _rewritten(otherwise, around))
    flags = {"return": RETURNED}
    if around:
        flags |= {"break": around.broken, "continue": around.skipped}
    raised = [flags[jump] for jump in sorted(_jumps([statement]))]
    return [ast.copy_location(node, statement), *_guarded(raised, after, around, statement)]


def _loop(statement: ast.For | ast.While) -> Statements:
    """A loop, the flags that it needs lowered before it."""
    body = statement.body
    test = None if isinstance(statement, ast.For) else statement.test
    while test is not None and (left := _test_first(body)):
        test = ast.copy_location(ast.BoolOp(ast.And(), [test, _negated(left)]), left)
        body = body[1:]
    jumps = _jumps(body)
    around = Around(f"$broken {statement.lineno}" if "break" in jumps else RETURNED, f"$skipped {statement.lineno}")
    new_body = _rewritten(body, around)
    if "continue" in jumps:
        new_body = [_assignment(around.skipped, False, statement), *new_body]
    stops = bool(jumps & {"break", "return"})
    start = [_assignment(around.broken, False, statement)] if "break" in jumps else []
    loop: ast.stmt
    if test is not None:
        if stops:
            test = ast.copy_location(ast.BoolOp(ast.And(), [_negated(_any_of([around.broken], statement)), test]), test)
        loop = ast.While(test, new_body, [])
    elif isinstance(statement, ast.For):
        loop = (StoppedFor if stops else ast.For)(statement.target, statement.iter, new_body, [])
        if isinstance(loop, StoppedFor):
            loop.flag = around.broken
    return [*start, ast.copy_location(loop, statement)]


def _test_first(body: Statements) -> ast.expr | None:
    """The test of `if test: break` at the start of a loop's body."""
    match body:
        case [ast.If(test=test, body=[ast.Break()], orelse=[]), *_]:
            return test
        case _:
            return None
