"""Random functions with jumps: without them they do the same things in the same order."""

import ast
import random
from typing import Any

import pytest

from etude.autodiff.preparation.control import RESULT, RETURNED, StoppedFor, without_jumps


class Exhausted(Exception):
    """No more coin flips."""


class Writer:
    """Writes a random function that notes where it has been."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.number = 0

    def block(self, depth: int, loop: bool) -> list[str]:
        return [line for _ in range(self.random.randint(1, 3)) for line in self.statement(depth, loop)]

    def statement(self, depth: int, loop: bool) -> list[str]:
        self.number += 1
        kinds = [
            "note",
            "note",
            "return",
            *(["break", "continue"] * loop),
            *(["if", "if", "for", "while"] * (depth > 0)),
        ]
        match self.random.choice(kinds):
            case "return":
                return [f"return {self.number}"]
            case "if":
                lines = ["if flip():", *self.indented(depth, loop)]
                return [*lines, "else:", *self.indented(depth, loop)] if self.random.random() < 0.5 else lines
            case "for":
                return [f"for k{depth} in range({self.random.randint(0, 3)}):", *self.indented(depth, True)]
            case "while":
                return ["while flip():", *self.indented(depth, True)]
            case "note":
                return [f"note({self.number})"]
            case jump:
                return [jump]

    def indented(self, depth: int, loop: bool) -> list[str]:
        return [f"    {line}" for line in self.block(depth - 1, loop)]


class Stopping(ast.NodeTransformer):
    """Python's own form of loops that stop when their flag is up."""

    def visit_If(self, node: ast.If) -> ast.If:
        body, otherwise = ([self.visit(statement) for statement in each] for each in (node.body, node.orelse))
        return ast.If(node.test, body or [ast.Pass()], otherwise)

    def visit_While(self, node: ast.While) -> ast.While:
        return ast.While(node.test, [self.visit(statement) for statement in node.body] or [ast.Pass()], [])

    def visit_For(self, node: ast.For) -> ast.For:
        body = [self.visit(statement) for statement in node.body]
        if isinstance(node, StoppedFor):
            body.insert(0, ast.If(ast.Name(node.flag, ast.Load()), [ast.Break()], []))
        return ast.For(node.target, node.iter, body, [])

    def visit_StoppedFor(self, node: StoppedFor) -> ast.For:
        return self.visit_For(node)


def story(function: ast.FunctionDef, seed: int) -> tuple[list[int], Any]:
    """What a function notes, and what it returns, for one sequence of coin flips."""
    coin, notes = random.Random(seed), list[int]()

    def flip() -> bool:
        if len(notes) > 200:
            raise Exhausted
        found = coin.random() < 0.6
        notes.append(-1 - found)
        return found

    names: dict[str, Any] = {"flip": flip, "note": notes.append}
    module = ast.fix_missing_locations(ast.Module([function], []))
    exec(compile(module, "random", "exec"), names)
    try:
        return notes, names["f"]()
    except Exhausted:
        return notes, Exhausted


@pytest.mark.parametrize("seed", range(200))
def test_functions_without_jumps_do_the_same(seed: int) -> None:
    text = "\n    ".join(["def f():", *Writer(seed).block(3, False)])
    original = ast.parse(text).body[0]
    assert isinstance(original, ast.FunctionDef)
    statements = without_jumps(original)
    assert not [n for s in statements for n in ast.walk(s) if isinstance(n, ast.Return | ast.Break | ast.Continue)]
    start: list[ast.stmt] = [
        ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None)) for name in (RESULT, RETURNED)
    ]
    rewritten = [Stopping().visit(statement) for statement in statements]
    end = ast.Return(ast.Name(RESULT, ast.Load()))
    flat = ast.FunctionDef("f", original.args, [*start, *rewritten, end], [])
    for coins in range(8):
        assert story(flat, coins) == story(original, coins), text


def test_no_flag_has_a_name_of_the_users() -> None:
    text = "def f():\n    for i in x:\n        if i: continue\n        if x: break\n        return i"
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    stored = {n.id for s in without_jumps(function) for n in ast.walk(s) if isinstance(n, ast.Name)}
    assert all(name.startswith("$") for name in stored - {"i", "x"})
    assert {RESULT, RETURNED} <= stored
