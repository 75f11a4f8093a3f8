import math

import numpy as np
import pytest
from tests.autodiff.building import INTEGER, NUMBER, given, made, op, same, text
from tests.autodiff.interpret import run

from etude.autodiff.identities import LAWS, Definitions, folded, neutral, parts
from etude.autodiff.kinds import Array, Integer, Kind, Number, Tuple
from etude.autodiff.optimise import optimised
from etude.autodiff.primitives import PRIMITIVES
from etude.autodiff.program import Block, Constant, Program, Variable

ONE_INPUT = [
    ("mul", (1, "x"), "x"),
    ("mul", ("x", 1.0), "x"),
    ("mul", ("x", 2), "x * 2"),
    ("mul", ("x", 0.0), "x * 0.0"),
    ("mul", (-1.0, "x"), "-x"),
    ("div", ("x", 1), "x"),
    ("div", (1, "x"), "1 / x"),
    ("add", ("x", 0.0), "x"),
    ("add", (0, "x"), "x"),
    ("add", ("x", 1), "x + 1"),
    ("sub", ("x", 0.0), "x"),
    ("sub", (0.0, "x"), "-x"),
    ("sub", ("x", "x"), "x - x"),
    ("pow", ("x", 1), "x"),
    ("pow", (1, "x"), "1 ** x"),
    ("accumulate", ("x", 0.0), "x"),
    ("accumulate", (0.0, "x"), "x"),
    ("accumulate", ("x", "x"), "x + x"),
    ("unbroadcast", ("x", 2.0), "x"),
    ("broadcast_like", ("x", 2.0), "x"),
    ("zeros_like", ("x",), "0.0"),
    ("mul", ("x", True), "x * True"),
]


@pytest.mark.parametrize(("name", "inputs", "expected"), ONE_INPUT)
def test_laws_of_numbers(name: str, inputs: tuple[object, ...], expected: str) -> None:
    x, y = given("x y")
    program = Program("f", (x,), [op(y, name, *(x if each == "x" else each for each in inputs))], (y,))
    body = text(optimised(program)).splitlines()[1:]
    assert body in ([f"    return {expected}"], [f"    y = {expected}", "    return y"])
    for value in (0.5, -2.0, math.inf):
        assert same(run(optimised(program), value), run(program, value))


@pytest.mark.parametrize(
    ("kind", "one", "holds"),
    [
        (Number(), 1.0, True),
        (Array(2), 1.0, True),
        (Array(None), 1, True),
        (Integer(), 1, True),
        (Integer(), 1.0, False),
        (Array(1, real=False), 1.0, False),
        (Kind(), 1, False),
        (Number(), 2.0, False),
    ],
)
def test_one_is_neutral_where_it_keeps_the_type(kind: Kind, one: float, holds: bool) -> None:
    assert neutral(Constant(one), 1, Variable("x", kind)) is holds
    assert not neutral(Constant(one, "k"), 1, Variable("x", kind))


@pytest.mark.parametrize(
    ("name", "negated", "expected"),
    [("add", 1, "x - y"), ("add", 0, "y - x"), ("sub", 1, "x + y"), ("sub", 0, "-x - y")],
)
def test_signs(name: str, negated: int, expected: str) -> None:
    x, y, z = given("x y z")
    minus = made("t")[0]
    inputs = [x, y]
    body: Block = [op(minus, "negate", inputs[negated])]
    inputs[negated] = minus
    program = Program("f", (x, y), [*body, op(z, name, *inputs)], (z,))
    assert f"z = {expected}" in text(optimised(program))
    assert run(optimised(program), 0.3, 1.7) == run(program, 0.3, 1.7)


def test_minus_minus() -> None:
    x, y, z = given("x y z")
    assert "return x" in text(optimised(Program("f", (x,), [op(y, "negate", x), op(z, "negate", y)], (z,))))


@pytest.mark.parametrize("product", ["mul", "div"])
@pytest.mark.parametrize("outer", ["add", "sub", "negate"])
@pytest.mark.parametrize("position", [0, 1])
def test_minus_inside_products(product: str, outer: str, position: int) -> None:
    x, y, z = given("x y z")
    minus, together = made("t t")
    factors = [y, x]
    factors[position] = minus
    body: Block = [op(minus, "negate", [y, x][position]), op(together, product, *factors)]
    body.append(op(z, outer, *([together] if outer == "negate" else [x, together])))
    program = Program("f", (x, y), body, (z,))
    sign = {"add": "x - ", "sub": "x + ", "negate": ""}[outer]
    assert f"z = {sign}y {'*' if product == 'mul' else '/'} x" in text(optimised(program))
    assert run(optimised(program), 0.3, 1.7) == run(program, 0.3, 1.7)


@pytest.mark.parametrize("container", ["tuple", "list", "dict"])
def test_item_of_what_was_just_made(container: str) -> None:
    x, y, whole, part = given("x y whole part")
    keywords = {"keys": ("a", "b")} if container == "dict" else {}
    index = "b" if container == "dict" else -1
    program = Program(
        "f", (x, y), [op(whole, container, x, y, **keywords), op(part, "item", whole, index=index)], (part,)
    )
    assert "return y" in text(optimised(program))


def test_item_beyond_the_end_is_left_to_fail() -> None:
    x, whole, part = given("x whole part")
    program = Program("f", (x,), [op(whole, "tuple", x), op(part, "item", whole, index=1)], (part,))
    with pytest.raises(IndexError):
        run(optimised(program), 1.0)


@pytest.mark.parametrize(("order", "whole"), [((0, 1), True), ((1, 0), False), ((0,), False), ((0, 1, 1), False)])
def test_tuple_of_the_items_of_a_tuple(order: tuple[int, ...], whole: bool) -> None:
    pair = Variable("pair", Tuple((NUMBER, NUMBER)), given=True)
    items = made(" ".join("t" for _ in order))
    result = given("z")[0]
    body: Block = [op(item, "item", pair, index=index) for item, index in zip(items, order, strict=True)]
    program = Program("f", (pair,), [*body, op(result, "tuple", *items)], (result,))
    assert ("return pair" in text(optimised(program))) is whole
    assert run(optimised(program), (1.0, 2.0)) == run(program, (1.0, 2.0))


def test_a_sum_over_broadcast_axes_of_such_a_sum_is_one() -> None:
    d, x, y, first, second = (Variable(name, Array(2)) for name in ("d", "x", "y", "first", "second"))
    body: Block = [op(first, "unbroadcast", d, x), op(second, "unbroadcast", first, y)]
    assert "return unbroadcast(d, y)" in text(optimised(Program("f", (d, x, y), body, (second,))))


def test_sums_over_broadcast_axes_go_only_between_arrays_of_one_shape() -> None:
    x, w = given("x w", Array(1))
    d, square, kept = given("d square kept", Array(1))
    sums = given("a b", Array(1))
    body: Block = [
        op(square, "sin", x),
        op(d, "mul", square, x),
        op(kept, "mul", square, w),
        op(sums[0], "unbroadcast", d, x),
        op(sums[1], "unbroadcast", kept, x),
    ]
    program = Program("f", (x, w), body, tuple(sums))
    assert text(optimised(program)).count("unbroadcast") == 1
    arguments = np.array([0.5]), np.array([1.0, 2.0])
    assert same(run(optimised(program), *arguments), run(program, *arguments))


def test_a_number_is_not_spread_before_it_meets_an_array_of_that_shape() -> None:
    x, w = given("x w", Array(1))
    s = given("s")[0]
    spread, near, far = given("spread near far", Array(1))
    body: Block = [op(spread, "broadcast_like", s, x), op(near, "mul", spread, x), op(far, "sub", w, spread)]
    program = Program("f", (s, x, w), body, (near, far))
    assert "near = s * x" in text(optimised(program))
    assert "w - " in text(optimised(program))
    assert "broadcast_like(s, x)" in text(optimised(program))
    arguments = 2.0, np.array([0.5, 1.5]), np.array([1.0])
    assert same(run(optimised(program), *arguments), run(program, *arguments))


def test_select() -> None:
    x, y, z = given("x y z")
    test = given("c", INTEGER)[0]
    assert "return x" in text(optimised(Program("f", (x, test), [op(z, "select", test, x, x)], (z,))))
    assert "return y" in text(optimised(Program("f", (x, y), [op(z, "select", False, x, y)], (z,))))
    assert "if c else" in text(optimised(Program("f", (x, y, test), [op(z, "select", test, x, y)], (z,))))


@pytest.mark.parametrize(
    ("name", "inputs", "result"),
    [
        ("add", (1, 2), 3),
        ("math.sin", (0.0,), 0.0),
        ("sin", (0.0,), 0.0),
        ("log", (0.0,), -math.inf),
        ("lt", (1, 2), True),
        ("div", (1, 0), None),
        ("math.log", (0.0,), None),
        ("print", ("x",), None),
        ("zeros_like", (1.0,), None),
        ("add", (Variable("x"), 2), None),
        ("add", (Constant(1, "k"), 2), None),
    ],
)
def test_folding(name: str, inputs: tuple[object, ...], result: object) -> None:
    found = folded(op(Variable("y"), name, *inputs))
    assert (found and found.value) == result
    assert found is None or type(found.value) in (int, float, bool)


def test_arrays_are_not_folded() -> None:
    assert folded(op(Variable("y"), "list", 1)) is None


def test_parts_of_a_pair() -> None:
    d, a, b = made("d a b")
    first, second = made("t t")
    single = parts(op((first, second), "multiples", d, a, b), Definitions())
    assert single is not None
    assert [(each.outputs, each.primitive.name, each.inputs) for each in single] == [
        ((first,), "mul", (d, a)),
        ((second,), "mul", (d, b)),
    ]


def test_every_law_is_about_a_primitive() -> None:
    assert set(LAWS) <= set(PRIMITIVES)


def sized(names: str, *sizes: int | str | None) -> list[Variable]:
    return given(names, Array().sized(*sizes))


SUMS = [
    (("n1", "n2"), ("n2",), "d.sum(axis=0)"),
    (("n1", "n2"), ("n1", 1), "d.sum(axis=1, keepdims=True)"),
    (("n3", "n1", "n2"), ("n2",), "d.sum(axis=(0, 1))"),
    (("n1", "n2"), ("n1", "n2"), "d"),
    (("n1", 1), (1, 1), "d.sum(axis=0, keepdims=True)"),
    (("n1", "n2"), (1,), "unbroadcast(d, x)"),
    (("n1", "n2"), (None,), "unbroadcast(d, x)"),
    ((None, "n2"), (1, "n2"), "unbroadcast(d, x)"),
]


@pytest.mark.parametrize(("wide", "narrow", "expected"), SUMS)
def test_summing_back_over_axes_whose_sizes_are_known(
    wide: tuple[int | str | None, ...], narrow: tuple[int | str | None, ...], expected: str
) -> None:
    (d,), (x,) = sized("d", *wide), sized("x", *narrow)
    y = Variable("t", x.kind)
    program = Program("f", (d, x), [op(y, "unbroadcast", d, x)], (y,))
    assert f"return {expected}\n" in text(optimised(program))
    lengths = {"n1": 2, "n2": 3, "n3": 4, 1: 1, None: 3}
    values = (np.random.default_rng(0).normal(size=[lengths[size] for size in sizes]) for sizes in (wide, narrow))
    found = list(values)
    assert same(run(optimised(program), *found), run(program, *found))


def test_summing_back_to_a_number() -> None:
    (d,), (x,) = given("d", Array(2)), given("x")
    y = Variable("t", NUMBER)
    assert "return d.sum()" in text(optimised(Program("f", (d, x), [op(y, "unbroadcast", d, x)], (y,))))


def test_a_number_is_not_spread_before_it_meets_an_array_of_the_shape() -> None:
    (d,), (x,), (y,) = given("d"), sized("x", "n1"), sized("y", "n1", "n2")
    spread, minus, column = made("t t t")
    result = Variable("t", y.kind)
    spread.kind = minus.kind = x.kind
    column.kind = Array().sized("n1", 1)
    body: Block = [
        op(spread, "broadcast_like", d, x),
        op(minus, "negate", spread),
        op(column, "expand_dims", minus, axis=1),
        op(result, "mul", y, column),
    ]
    program = Program("f", (d, x, y), body, (result,))
    assert "return y * -d" in text(optimised(program))
    values = 2.0, np.ones(2), np.arange(6.0).reshape(2, 3)
    assert same(run(optimised(program), *values), run(program, *values))


def test_sizes_are_taken_from_the_first_array_of_the_shape() -> None:
    x = given("x", Array(2))[0]
    y, z = made("t t", Array(2))
    n = Variable("t", INTEGER)
    body: Block = [op(y, "exp", x), op(z, "mul", y, 2.0), op(n, "size", z)]
    assert "return x.size" in text(optimised(Program("f", (x,), body, (n,))))


def test_what_is_added_into_an_array_is_broadcast_there() -> None:
    x, d = given("x", Array(1))[0], given("d")[0]
    total, part, spread, result = (Variable("t", Array(1)) for _ in range(4))
    body: Block = [
        op(total, "zeros_like", x),
        op(part, "item", x, index=slice(1, None)),
        op(spread, "broadcast_like", d, part),
        op(result, "add_at", total, spread, index=slice(1, None)),
    ]
    program = Program("f", (x, d), body, (result,))
    assert "[1:] += d" in text(optimised(program))
    assert same(run(optimised(program), np.ones(3), 2.0), run(program, np.ones(3), 2.0))
