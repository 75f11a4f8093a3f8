import ast
import symtable

import pytest

from etude.autodiff.preparation.names import (
    around_for,
    around_while,
    assigned,
    before,
    free,
    loaded,
    local,
    names,
    parameters,
    root,
    shared,
)


def parsed(text: str) -> list[ast.stmt]:
    return ast.parse(text).body


def function(text: str) -> ast.FunctionDef:
    (found,) = parsed(text)
    assert isinstance(found, ast.FunctionDef)
    return found


FUNCTIONS = [
    "def f(x): return x",
    "def f(x): return x + y",
    "def f(x, *more, k=d, **others): z = x + k; return z * len(more) * w",
    "def f(x):\n    def g(x): return x + v\n    return g(x) + h(x)",
    "def f(x):\n    for i in range(n):\n        x = x * i\n    return x",
    "def f(x): return (lambda x: x * a)(b)",
]


@pytest.mark.parametrize("text", FUNCTIONS)
def test_free_names_are_those_of_the_compiler(text: str) -> None:
    """Python's own symbol table: what a function or those inside it take from outside."""
    (table,) = symtable.symtable(text, "text", "exec").get_children()

    def outside(each: symtable.SymbolTable) -> set[str]:
        found = {symbol.get_name() for symbol in each.get_symbols() if symbol.is_global()}
        return found.union(*map(outside, each.get_children()))

    assert free(function(text)) == outside(table)
    assert set(parameters(function(text).args)) == {s.get_name() for s in table.get_symbols() if s.is_parameter()}


def test_names_that_statements_assign() -> None:
    text = """
a, (b, *c) = x
d: float = 1.0
e += 1
for f in y:
    g = 1
def h(i): j = i
k = [m for m in z]
n[0] = 1
o.append(2)
p.sin(3)
"""
    assert set(local(parsed(text))) == {"a", "b", "c", "d", "e", "f", "g", "h", "k"}
    assert set(assigned(parsed(text))) == {"a", "b", "c", "d", "e", "f", "g", "h", "k", "n", "o"}
    target = parsed("a, (b, *c), d[0], e.f = x")[0]
    assert isinstance(target, ast.Assign)
    assert [name.id for name in names(target.targets[0])] == ["a", "b", "c"]


def test_names_that_an_expression_reads() -> None:
    (statement,) = parsed("x[i].y + f(lambda u: u * v)")
    assert loaded(statement) == {"x", "i", "f", "u", "v"}
    assert root(ast.parse("x[0].y[1]", mode="eval").body) == "x"
    assert root(ast.parse("f(x)[0]", mode="eval").body) is None


def test_names_that_inner_functions_share() -> None:
    text = "def f(x):\n    a = 1\n    def g(u): return u + a\n    return [h(lambda v: v * x) for h in g]"
    assert shared(function(text)) == {"a", "x"}


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("a = b + c", "ad", "bcd"),
        ("a, b = b, a", "ab", "ab"),
        ("a += b", "a", "ab"),
        ("a = b\nc = a", "c", "b"),
        ("if t: a = b\nelse: a = c", "a", "tbc"),
        ("if t: a = b", "a", "tab"),
        ("for i in s: a = a + i", "a", "sa"),
        ("for i in s: a = i", "a", "sa"),
        ("for i in s: b = a; a = i", "b", "sab"),
        ("while t: t = t - d", "", "td"),
        ("def g(x): return x + a", "gb", "abx"),
        ("a[i] = b", "a", "aib"),
        ("a: float = b", "a", "b"),
    ],
)
def test_names_needed_before_statements(text: str, after: str, expected: str) -> None:
    assert before(parsed(text), frozenset(after)) == set(expected)


def test_names_needed_around_loops() -> None:
    (loop,) = parsed("for i in s: b = a; a = i")
    assert isinstance(loop, ast.For)
    assert around_for(loop, frozenset("c")) == {"a", "c"}
    (loop,) = parsed("while t: t = u; u = v")
    assert isinstance(loop, ast.While)
    assert around_while(loop, frozenset()) == {"t", "u", "v"}
