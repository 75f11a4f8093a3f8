import ast
from types import SimpleNamespace
from typing import Any

import pytest
from tests.autodiff.building import given

import etude.autodiff.rules  # noqa: F401
from etude.autodiff.errors import TransformError
from etude.autodiff.kinds import UNKNOWN, Array, Integer, Number, Tuple
from etude.autodiff.preparation.frame import BOTTOM, Frame, folded, joined, kind_at
from etude.autodiff.preparation.values import Items
from etude.autodiff.primitives import PRIMITIVES
from etude.autodiff.program import MISSING, Constant, Op, Variable


@pytest.fixture
def frame() -> Frame:
    """A frame in which only `outside` is known beside its own names."""
    (node,) = ast.parse("def f(x): pass").body
    origin: Any = SimpleNamespace(file="model.py", outside=lambda name: None)
    scope: Any = SimpleNamespace(lookup=lambda name: Constant(7.0) if name == "outside" else None)
    specialised: Any = None
    assert isinstance(node, ast.FunctionDef)
    return Frame(node, origin, scope, specialised)


def test_refusals_say_where(frame: Frame) -> None:
    frame.builder.line = 12
    with pytest.raises(TransformError, match=r"model\.py:12: in f: too hard"):
        frame.refuse("too hard")
    with pytest.raises(TransformError, match=r"model\.py:12: in f: .*np\.array"):
        frame.emit("sin", Variable("values", Tuple((Number(),))))


def test_names_are_looked_up_here_first(frame: Frame) -> None:
    (x,) = given("x")
    frame.bind("outside", x)
    assert frame.lookup("outside") is x
    del frame.names["outside"]
    found = frame.lookup("outside")
    assert isinstance(found, Constant)
    assert found.value == 7.0
    assert frame.lookup("nowhere") is None


def test_what_is_computed_takes_the_name_that_it_is_bound_to(frame: Frame) -> None:
    made = frame.emit("mul", *given("x y"))
    frame.bind("area", made)
    assert (made.name, made.kind) == ("area", Number())
    flag = frame.emit("gt", *given("x y"))
    frame.bind("$broken 3", flag)
    assert isinstance(flag, Variable)
    assert (flag.name, flag.given) == ("broken", False)


def test_blocks_are_written_apart(frame: Frame) -> None:
    x, y = given("x y")
    with frame.block() as inner:
        frame.emit("mul", x, y)
    frame.emit("add", x, y)
    names = [[op.primitive.name for op in block if isinstance(op, Op)] for block in (inner, frame.builder.block)]
    assert names == [["mul"], ["add"]]


def test_tuples_are_known_item_by_item(frame: Frame) -> None:
    x, y = given("x y")
    pair = frame.atom(Items((x, y)))
    assert pair.kind == Tuple((Number(), Number()))
    assert frame.item(pair, Constant(-1)) is y
    literal = frame.atom(Items((Constant(1), Constant(2.0))))
    assert isinstance(literal, Constant)
    assert literal.value == (1, 2.0)
    assert len(frame.builder.block) == 1
    index = Variable("i", Integer())
    assert isinstance(frame.item(pair, index), Variable)


def test_stored_functions_fix_the_names_that_they_read(frame: Frame) -> None:
    frame.fixed.add("rate")
    frame.bind("other", given("x")[0])
    with pytest.raises(TransformError, match="rate changes after a function that reads it has been stored"):
        frame.bind("rate", given("x")[0])


def test_what_nothing_assigns_has_no_kind(frame: Frame) -> None:
    assert frame.atom(None) is MISSING
    assert kind_at(MISSING) == BOTTOM
    assert joined(BOTTOM, Array(1)) == joined(Array(1), BOTTOM) == Array(1)
    assert joined(Number(), Array(1)) == UNKNOWN
    assert frame.emit("add", Variable("x", BOTTOM), Constant(1.0)).kind == BOTTOM


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("add", (2, 3), 5),
        ("mul", (2, True), 2),
        ("lt", (1.5, 2), True),
        ("is_", (None, None), True),
        ("negate", (2.5,), -2.5),
        ("not_", ("",), True),
        ("eq", ((1, 2), (1, 2)), True),
        ("add", (2.0, 3), None),
        ("floordiv", (1, 0), None),
        ("sin", (1.0,), None),
        ("lt", ("a", 1), None),
    ],
)
def test_literals_are_computed_where_that_is_exact(name: str, values: tuple[Any, ...], expected: Any) -> None:
    found = folded(PRIMITIVES[name], tuple(map(Constant, values)))
    assert (found.value if found else None) == expected
    assert folded(PRIMITIVES[name], (Constant(values[0], "NAMED"), *map(Constant, values[1:]))) is None
