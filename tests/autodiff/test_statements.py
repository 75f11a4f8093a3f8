import numpy as np
import pytest
from tests.autodiff.building import INTEGER, NUMBER, agree, given, made, op, span, text

from etude.autodiff.expressions import Style
from etude.autodiff.kinds import Array, Dict, Integer, Kind, List, Number, Other, Tuple
from etude.autodiff.program import Block, Carry, Constant, If, Loop, Merge, Program, Read, Variable, Write
from etude.autodiff.statements import simple


def body(program: Program, style: Style = "optimised") -> str:
    return text(program, style).split(":\n", 1)[1]


def test_sum_of_a_loop_comes_back_as_written() -> None:
    x, s, following, result = given("x s s s")
    n, i = given("n i", INTEGER)
    part = made("t")[0]
    steps: Block = [op(part, "mul", x, i), op(following, "add", s, part)]
    loop = Loop(steps, [Carry(s, Constant(0.0), following, result)], i, span(n))
    program = Program("f", (x, n), [loop], (result,))
    assert body(program) == "    s = 0.0\n    for i in range(n):\n        s = s + x * i\n    return s\n"
    agree(program, 0.5, 4)
    agree(program, 0.5, 0)


@pytest.mark.parametrize(
    ("bounds", "backwards", "head"),
    [
        (span(3), False, "range(3)"),
        (span(5, 2), False, "range(2, 5)"),
        (span(5, 1, 2), False, "range(1, 5, 2)"),
        (span(5, 0, 2), True, "reversed(range(0, 5, 2))"),
    ],
)
def test_heads_of_loops(bounds: tuple[Constant, Constant, Constant], backwards: bool, head: str) -> None:
    s, following, result = given("s s s")
    i = given("i", INTEGER)[0]
    part = made("t")[0]
    loop = Loop([op(part, "mul", s, 3), op(following, "add", part, i)], [Carry(s, Constant(1), following, result)], i)
    loop.bounds, loop.backwards = bounds, backwards
    program = Program("f", (), [loop], (result,))
    assert f"for i in {head}:" in body(program)
    agree(program)


def halving(test_statements: int) -> Program:
    """While x > 1: x = x / 2, with a test that may need a statement of its own."""
    x, y, following, result = given("x y y y")
    condition = made("t", INTEGER)[0]
    test: Block = [op(condition, "gt", y, 1.0)]
    if test_statements == 2:
        big = given("big")[0]
        test = [op(big, "mul", y, 2.0), op(condition, "gt", big, 2.0)]
    loop = Loop([op(following, "div", y, 2)], [Carry(y, x, following, result)], test=test, condition=condition)
    return Program("f", (x,), [loop], (result,))


def test_while() -> None:
    assert "    while y > 1.0:\n        y = y / 2\n" in body(halving(1))
    assert "    while True:\n        big = y * 2.0\n        if not big > 2.0:\n            break\n" in body(halving(2))
    for count in (1, 2):
        agree(halving(count), 20.0)
        agree(halving(count), 0.5)


def test_loop_over_a_range_and_a_stack() -> None:
    x, y, total, following, result, p, q = given("x y s s s p q")
    i, k = given("i k", INTEGER)
    stack = made("stack")[0]
    part, more = made("t t")
    forth = Loop([op(y, "mul", x, i)], index=i, bounds=span(3), writes=[Write(stack, (y, x))])
    steps: Block = [op(part, "mul", p, k), op(more, "add", total, part), op(following, "mul", more, q)]
    back = Loop(steps, [Carry(total, Constant(0.0), following, result)], k, span(3), True, reads=[Read((p, q), stack)])
    program = Program("f", (x,), [forth, back], (result,))
    assert "for k, (p, q) in zip(reversed(range(3)), reversed(stack)):" in body(program)
    agree(program, 0.5)


def test_nested_stacks() -> None:
    """A stack that goes on another stack keeps its tuples."""
    x, y, total, following, result, p = given("x y s s s p")
    i, k = given("i k", INTEGER)
    inner, outer, taken = made("stack stack stack")
    middle = given("s")[0]
    write = Loop([op(y, "mul", x, i)], index=i, bounds=span(k), writes=[Write(inner, (y,))])
    forth = Loop([write], index=k, bounds=span(3), writes=[Write(outer, (inner,))])
    start = given("s")[0]
    read = Loop([op(following, "add", total, p)], [Carry(total, start, following, middle)], reads=[Read((p,), taken)])
    back = Loop([read], [Carry(start, Constant(0.0), middle, result)], reads=[Read((taken,), outer)])
    program = Program("f", (x,), [forth, back], (result,))
    printed = body(program)
    assert ".append((y,))" in printed
    assert "for (p,) in reversed(" in printed
    agree(program, 0.5)


def test_counting_by_a_stack() -> None:
    s, following, result = given("s s s")
    stack = made("stack")[0]
    forth = Loop([], bounds=span(3), writes=[Write(stack, ())])
    back = Loop([op(following, "add", s, 1)], [Carry(s, Constant(0), following, result)], reads=[Read((), stack)])
    program = Program("f", (), [forth, back], (result,))
    assert "stack.append(())" in body(program)
    assert "for _ in reversed(stack):" in body(program)
    agree(program)


def test_elif_and_else() -> None:
    x, y, z = given("x y y")
    first, second = made("t t", INTEGER)
    a, b = given("y y")
    shown = made("t")[0]
    inner = If(second, [op(b, "cos", x), op(shown, "print", b)], [], [Merge(z, b, Constant(0.0))])
    outer = If(first, [op(a, "sin", x)], [op(second, "lt", x, -1), inner], [Merge(y, a, z)])
    program = Program("f", (x,), [op(first, "gt", x, 1), outer], (y,))
    assert (
        body(program)
        == """\
    if x > 1:
        y = np.sin(x)
    elif x < -1:
        y = np.cos(x)
        print(y)
    else:
        y = 0.0
    return y
"""
    )
    for value in (2.0, 0.0, -2.0):
        agree(program, value)


def test_only_the_else_branch() -> None:
    x, y, changed = given("x x x")
    test = made("t", INTEGER)[0]
    branch = If(test, [], [op(changed, "negate", x)], [Merge(y, x, changed)])
    program = Program("f", (x,), [op(test, "gt", x, 0), branch], (y,))
    assert body(program) == "    if not x > 0:\n        x = -x\n    return x\n"
    agree(program, 2.0)
    agree(program, -2.0)


def test_conditional_expression() -> None:
    x, y = given("x y")
    test = made("t", INTEGER)[0]
    a, b = made("t t")
    branch = If(test, [op(a, "mul", x, 2.0)], [op(b, "negate", x)], [Merge(y, a, b)])
    program = Program("f", (x,), [op(test, "gt", x, 0.0), branch], (y,))
    assert body(program) == "    y = x * 2.0 if x > 0.0 else -x\n    return y\n"
    agree(program, 2.0)
    agree(program, -2.0)


@pytest.mark.parametrize(("word", "values"), [("and", (0.5, -1.0, 2.0)), ("or", (0.5, -1.0, 2.0))])
def test_logic(word: str, values: tuple[float, ...]) -> None:
    x, y = given("x y")
    first, second, both = made("t t t", INTEGER)
    sides = (second, first) if word == "and" else (first, second)
    lazy: Block = [op(second, "lt", x, 1)]
    branch = If(first, lazy, [], [Merge(both, *sides)]) if word == "and" else If(first, [], lazy, [Merge(both, *sides)])
    last = If(both, [op(y, "exp", x)], [], [Merge(result := given("y")[0], y, Constant(0.0))])
    program = Program("f", (x,), [op(first, "gt", x, 0), branch, last], (result,))
    assert f"if x > 0 {word} x < 1" in body(program) or f"x > 0 {word} x < 1 else" in body(program)
    for value in values:
        agree(program, value)


def test_rotation_of_three() -> None:
    a, b, c = given("a b c")
    last = given("a b c")
    carried = [Carry(a, Constant(1), b, last[0]), Carry(b, Constant(2), c, last[1]), Carry(c, Constant(3), a, last[2])]
    program = Program("f", (), [Loop([], carried, bounds=span(4))], tuple(last))
    assert "a, b, c = b, c, a" in body(program)
    agree(program)


def test_accumulation_in_place() -> None:
    x = given("x", Array(1))[0]
    s = given("s")[0]
    i = given("i", INTEGER)[0]
    zero, d, following, result = made("d_dx d_dx d_dx d_dx", Array(1))
    minus, last = made("t")[0], made("d_dx", Array(1))[0]
    steps: Block = [op(following, "add_at", d, s, index=i)]
    loop = Loop(steps, [Carry(d, zero, following, result)], i, span(2))
    tail: Block = [op(minus, "negate", s), op(last, "add_at", result, minus, index=slice(1, None))]
    program = Program("f", (x, s), [op(zero, "zeros_like", x), loop, *tail], (last,))
    printed = body(program)
    assert "    d_dx = zeros_like(x)\n    for i in range(2):\n        d_dx[i] += s\n    d_dx[1:] -= s\n" in printed
    agree(program, np.ones(3), 2.0)


@pytest.mark.parametrize(
    ("total", "index", "expected"),
    [
        (Array(1), Integer(), True),
        (Array(2), Tuple((Integer(), Other())), True),
        (Array(1), Array(1, real=False), False),
        (Array(1), Kind(), False),
        (List(Number()), Integer(), True),
        (List(Array(1)), Integer(), False),
        (Tuple((NUMBER,)), Integer(), False),
        (Dict((("a", NUMBER),)), Other(), True),
        (Dict((("a", Array(1)),)), Other(), False),
    ],
)
def test_where_augmented_assignment_does_the_same(total: Kind, index: Kind, expected: bool) -> None:
    assert simple(total, index) is expected


def test_accumulation_with_repeated_indices() -> None:
    x = given("x", Array(1))[0]
    where = Variable("k", Array(1, real=False), given=True)
    zero, following = made("d_dx d_dx", Array(1))
    program = Program(
        "f", (x, where), [op(zero, "zeros_like", x), op(following, "add_at", zero, 1.0, index=where)], (following,)
    )
    assert "add_at(" in body(program)
    agree(program, np.zeros(3), np.array([1, 1]))


def test_outputs_that_nobody_reads() -> None:
    x, y = given("x y")
    pair = made("d_dx d_dy")
    program = Program("f", (x, y), [op(tuple(pair), "multiples", 2.0, x, y)], (pair[1],))
    assert "(_, d_dy) = mul(2.0, (x, y))" in body(program, "textbook")
    agree(program, 1.5, 2.5)


def test_pair_of_copies() -> None:
    x = given("x")[0]
    pair = made("x1 x2")
    program = Program("f", (x,), [op(tuple(pair), "dup", x)], tuple(pair))
    assert "(x1, x2) = dup(x)" in body(program, "textbook")
    agree(program, 1.5)


def test_nothing_to_do_and_no_results() -> None:
    assert body(Program("f", (), [], ())) == "    return ()\n"
    agree(Program("f", (), [], ()))
