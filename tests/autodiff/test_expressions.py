import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from tests.autodiff.building import INTEGER, agree, given, made, op, text
from tests.autodiff.interpret import run

from etude.autodiff.expressions import literal, subscript
from etude.autodiff.kinds import Array
from etude.autodiff.program import Block, Program, Variable

LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(...),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner)
    ),
    max_leaves=8,
)


@drawn(LITERALS)
def test_literals_are_what_they_stand_for(value: Any) -> None:
    text = literal(value)
    assert text is not None
    assert repr(eval(text, {"math": math})) == repr(value)


@drawn(st.floats(width=32))
def test_numbers_of_numpy_become_pythons(value: float) -> None:
    text = literal(np.float64(value))
    assert text == literal(value)
    assert literal(np.int64(3)) == "3"
    assert literal(np.bool_(True)) == "True"


@pytest.mark.parametrize("value", [np.ones(2), (1, np.ones(2)), {"a": object()}, math.sin, [math]])
def test_what_has_no_literal(value: Any) -> None:
    assert literal(value) is None


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (2, "2"),
        (-1, "-1"),
        (slice(1, None), "1:"),
        (slice(None, None, -1), "::-1"),
        ((slice(None), None, 3), ":, None, 3"),
        ((1,), "(1,)"),
        (..., "..."),
        ("key", "'key'"),
    ],
)
def test_subscripts(index: Any, expected: str) -> None:
    assert subscript(index) == expected

    class Echo:
        def __getitem__(self, index: Any) -> Any:
            return index

    assert eval(f"echo[{expected}]", {"echo": Echo()}) == index


OPERATORS = ["add", "sub", "mul", "div", "pow", "negate", "positive", "lt", "not_", "select", "floordiv", "mod"]


@drawn(st.data())
def test_brackets_keep_the_tree(data: st.DataObject) -> None:
    """Nested operations without their temporaries compute what they did."""
    x, y = given("x y")
    known: list[Any] = [x, y, 2, 3.5, -1.0]
    body: Block = []
    for _ in range(data.draw(st.integers(1, 7))):
        name = data.draw(st.sampled_from(OPERATORS))
        count = {"negate": 1, "positive": 1, "not_": 1, "select": 3}.get(name, 2)
        result = made("t")[0]
        body.append(op(result, name, *(data.draw(st.sampled_from([*known[-4:], x])) for _ in range(count))))
        known.append(result)
    program = Program("f", (x, y), body, (known[-1],))
    try:
        run(program, 1.25, 2.5)
    except (ArithmeticError, ValueError, TypeError):
        return
    agree(program, 1.25, 2.5)


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        ("add", "mul", "(x + y) * z"),
        ("mul", "add", "x * y + z"),
        ("pow", "pow", "(x ** y) ** z"),
        ("sub", "sub", "x - y - z"),
        ("div", "mul", "x / y * z"),
    ],
)
def test_no_more_brackets_than_needed(inner: str, outer: str, expected: str) -> None:
    x, y, z = given("x y z")
    first, second = made("t t")
    program = Program("f", (x, y, z), [op(first, inner, x, y), op(second, outer, first, z)], (second,))
    assert f"return {expected}\n" in text(program)


def test_brackets_on_the_right() -> None:
    x, y, z = given("x y z")
    first, second = made("t t")
    for name, expected in (("sub", "x - (y - z)"), ("pow", "x ** y ** z"), ("div", "x / (y / z)")):
        program = Program("f", (x, y, z), [op(first, name, y, z), op(second, name, x, first)], (second,))
        assert f"return {expected}\n" in text(program)


def test_containers_and_indices() -> None:
    x = given("x", Array(2))[0]
    n = given("n")[0]
    row, pair, both, several, cut, part = made("t t t t t t")
    body: Block = [
        op(cut, "slice", stop=n),
        op(pair, "tuple", cut, 0),
        op(row, "item", x, index=pair),
        op(several, "list", row, 1.0),
        op(both, "dict", several, n, keys=("a", "b")),
        op(part, "tuple", both),
    ]
    program = Program("f", (x, n), body, (part,))
    assert "{'a': t1, 'b': n}" in text(program)
    assert "[x[:n, 0], 1.0]" in text(program)
    found = run(program, np.ones((3, 2)), 2)
    assert found[0]["b"] == 2
    single = Program("f", (n,), [op(part, "tuple", n)], (part,))
    assert "return (n,)" in text(single)
    agree(single, 1.0)


def test_keywords() -> None:
    x = given("x", Array(2))[0]
    y = Variable("t", Array(1))
    program = Program("f", (x,), [op(y, "sum", x, axis=0, keepdims=True)], (y,))
    assert "x.sum(axis=0, keepdims=True)" in text(program)
    assert "sum(x, axis=0, keepdims=True)" in text(program, "textbook")
    agree(program, np.arange(6.0).reshape(3, 2))


def test_text_and_errors() -> None:
    x = given("x")[0]
    message, nothing = made("t t")
    program = Program(
        "f", (x,), [op(message, "format", x, text="{} is bad"), op(nothing, "raise_", message, error=ValueError)], ()
    )
    assert "raise ValueError('{} is bad'.format(x))" in text(program)
    with pytest.raises(ValueError, match=r"0\.5 is bad"):
        agree(program, 0.5)


def test_methods_of_arrays() -> None:
    x, n = given("x", Array(2))[0], given("n", INTEGER)[0]
    y, z = made("t t", Array(2))
    row = made("t", Array(1))[0]
    body: Block = [op(y, "reshape", x, n, -1), op(row, "sum", y, axis=0), op(z, "expand_dims", row, axis=1)]
    program = Program("f", (x, n), body, (z,))
    assert text(program) == "def f(x, n):\n    return x.reshape(n, -1).sum(axis=0)[:, None]\n"
    agree(program, np.arange(6.0).reshape(3, 2), 2)
    back = Program("f", (x, n), [op(y, "reshape_like", x, n)], (y,))
    assert "np.reshape" not in text(back).replace("np.reshape(x, np.shape(n))", "")
    last = Program("f", (x,), [op(y, "expand_dims", x, axis=-1)], (y,))
    assert "x[..., None]" in text(last)
    agree(last, np.ones((2, 3)))


def test_keywords_that_come_first() -> None:
    x = given("x", Array(2))[0]
    y = made("t", Array(1))[0]
    program = Program("f", (x,), [op(y, "einsum", x, x, subscripts="ij,ij->i")], (y,))
    assert "return np.einsum('ij,ij->i', x, x)" in text(program)
    agree(program, np.arange(6.0).reshape(3, 2))
