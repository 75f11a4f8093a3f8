import ast
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from tests.autodiff.building import given

from etude.autodiff.preparation.values import Captured, Code, Nested, Value, closed, literal, name_of, opened
from etude.autodiff.program import Atom, Constant


@dataclass
class Scope:
    names: dict[str, Value]

    def lookup(self, name: str) -> Value | None:
        return self.names.get(name)


class Nothing:
    """An origin outside of which nothing is known."""

    def outside(self, name: str) -> None:
        return None


ORIGIN: Any = Nothing()


def nested(text: str, names: dict[str, Value], **defaults: Value) -> Nested:
    (node,) = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef)
    return Nested(node, Scope(names), defaults, ORIGIN)


def same(value: Value) -> Atom:
    return cast("Atom", value)


def test_a_function_is_its_code_and_what_it_captures() -> None:
    a, b = given("a b")
    names: dict[str, Value] = {"a": a, "b": b, "two": Constant(2.0), "unused": b}
    function = nested("def f(x, y=0): return a * x + two + b + a + outside", names, y=b)
    code, leaves = closed(function, same)
    assert leaves == (a, b)
    assert code.name == "f"
    c, d = given("c d")
    again = opened(code, (c, d))
    assert again.node is function.node
    assert again.defaults == {"y": d}
    assert (again.scope.lookup("a"), again.scope.lookup("b")) == (c, d)
    two = again.scope.lookup("two")
    assert isinstance(two, Constant)
    assert two.value == 2.0
    assert again.scope.lookup("outside") is None


def test_codes_are_equal_where_only_the_captured_values_differ() -> None:
    node = nested("def f(x): return a * x", {}).node
    codes = []
    values: list[Value] = [*given("a b"), Constant(2.0), Constant(2.0), Constant(2), Constant(3.0)]
    for value in values:
        codes.append(closed(Nested(node, Scope({"a": value}), {}, ORIGIN), same)[0])
    variable, other, two, again, integer, three = codes
    assert variable == other
    assert two == again
    assert len({variable, two, integer, three}) == 4


def test_functions_that_call_themselves_and_each_other() -> None:
    a = given("a")[0]
    names: dict[str, Value] = {"a": a}
    names["f"] = f = nested("def f(x): return g(x) + a", names)
    names["g"] = Nested(nested("def g(x): return f(x) * g(x)", names).node, f.scope, {}, ORIGIN)
    code, leaves = closed(f, same)
    assert leaves == (a,)
    assert len(code.functions) == 2
    again = opened(code, leaves)
    g = again.scope.lookup("g")
    assert isinstance(g, Nested)
    assert g.scope.lookup("f") is again
    assert g.scope.lookup("g") is g
    assert isinstance(code, Code)


def test_names_outside_are_found_after_those_captured() -> None:
    a = given("a")[0]
    origin: Any = SimpleNamespace(outside=lambda name: Constant(name))
    scope = Captured({"a": a}, origin)
    assert scope.lookup("a") is a
    found = scope.lookup("b")
    assert isinstance(found, Constant)
    assert found.value == "b"


def test_literals_and_names() -> None:
    assert literal(Constant(1.0))
    assert not literal(Constant(1.0, "RATE"))
    assert not literal(given("x")[0])
    assert name_of(nested("def f(x): pass", {}).node) == "f"
    assert name_of(cast("Any", ast.parse("lambda x: x", mode="eval").body)) == "function"
