import numpy as np
from tests.autodiff.building import INTEGER, agree, function, given, made, op, span, text

from etude.autodiff.inlining import DEEPEST, LONGEST, inlining
from etude.autodiff.kinds import Array, Slice
from etude.autodiff.program import Block, Call, Carry, Constant, Loop, Program, Variable
from etude.autodiff.source import compiled


def test_temporaries_of_one_use_are_inlined_others_not() -> None:
    x, y = given("x y")
    once, twice, last = made("t t t")
    body: Block = [op(once, "sin", x), op(twice, "exp", once), op(last, "mul", twice, twice), op(y, "negate", last)]
    program = Program("f", (x,), body, (y,))
    assert set(inlining(program).values) == {once, last}
    agree(program, 0.5)


def test_names_of_the_user_keep_their_line() -> None:
    x, p, y = given("x p y")
    program = Program("f", (x,), [op(p, "sin", x), op(y, "exp", p)], (y,))
    assert not inlining(program).values


def test_nothing_moves_into_a_loop() -> None:
    x, s, following, result = given("x s s s")
    outside = made("t")[0]
    loop = Loop([op(following, "add", s, outside)], [Carry(s, Constant(0.0), following, result)], bounds=span(3))
    program = Program("f", (x,), [op(outside, "exp", x), loop], (result,))
    assert outside not in inlining(program).values
    agree(program, 0.5)


def test_bounds_and_initial_values_are_inlined() -> None:
    x, s, following, result = given("x s s s")
    n = given("n", INTEGER)[0]
    start = made("t")[0]
    stop = made("t", INTEGER)[0]
    loop = Loop([op(following, "mul", s, x)], [Carry(s, start, following, result)], bounds=span(stop))
    program = Program("f", (x, n), [op(start, "exp", x), op(stop, "add", n, 1), loop], (result,))
    assert "    s = np.exp(x)\n    for _ in range(n + 1):\n" in text(program)
    agree(program, 0.5, 2)


def test_reading_an_array_does_not_move_behind_its_change() -> None:
    x, y = given("x y", Array(1))
    d = made("d", Array(1))[0]
    before = made("t", Array(1))[0]
    total = made("d", Array(1))[0]
    body: Block = [
        op(d, "zeros_like", x),
        op(before, "mul", d, 2.0),
        op(total, "add_at", d, 5.0, index=0),
        op(y, "add", before, total),
    ]
    program = Program("f", (x,), body, (y,))
    assert before not in inlining(program).values
    np.testing.assert_array_equal(compiled(program)(np.zeros(2)), [5.0, 0.0])


def test_numbers_may_move() -> None:
    x, y = given("x y", Array(1))
    s = given("s")[0]
    d, total = made("d d", Array(1))
    number = made("t")[0]
    body: Block = [
        op(number, "mul", s, 2.0),
        op(d, "zeros_like", x),
        op(total, "add_at", d, 5.0, index=0),
        op(y, "add", total, number),
    ]
    assert number in inlining(Program("f", (x, s), body, (y,))).values


def test_lines_stay_short_and_flat() -> None:
    x = given("x")[0]
    body: Block = []
    last: Variable = x
    for k in range(40):
        value = made("t")[0]
        body.append(op(value, "add" if k % 2 else "mul", last, 1.2345678 + k))
        last = value
    program = Program("f", (x,), body, (last,))
    printed = text(program)
    assert all(len(line) <= LONGEST + 12 for line in printed.splitlines())
    assert all(line.count("(") + 1 <= DEEPEST for line in printed.splitlines())
    agree(program, 0.5)


def test_calls_keep_their_order() -> None:
    x, y = given("x y")
    seen = given("x")[0]
    shown = made("t")[0]
    first, second = made("t t")
    inner = function(Program("g", (seen,), [op(shown, "print", seen)], (seen,)))
    body: Block = [Call((first,), inner, (x,)), Call((second,), inner, (Constant(2.0),)), op(y, "sub", second, first)]
    printed = text(Program("f", (x,), body, (y,)))
    assert "t1 = g(x)\n    y = g(2.0) - t1" in printed


def test_a_variable_of_the_user_is_inlined_where_its_name_is_taken() -> None:
    """`s` is still needed when its successor is computed: the assignment moves to the end of the pass."""
    x, s, following, result, u, u_following, u_result = given("x s s s u u u")
    steps: Block = [op(following, "add", s, x), op(u_following, "mul", u, s)]
    carried = [Carry(s, Constant(1.0), following, result), Carry(u, Constant(1.0), u_following, u_result)]
    program = Program("f", (x,), [Loop(steps, carried, bounds=span(3))], (result, u_result))
    assert "        u = u * s\n        s = s + x\n" in text(program)
    agree(program, 0.5)


def test_indices_stand_between_brackets_however_often() -> None:
    x, n = given("x", Array(1))[0], given("n", INTEGER)[0]
    index = made("t", Slice())[0]
    a, b = made("t t", Array(1))
    total = given("y", Array(1))[0]
    body: Block = [
        op(index, "slice", stop=n),
        op(a, "item", x, index=index),
        op(b, "exp", a),
        op(total, "zeros_like", x),
    ]
    changed = given("y", Array(1))[0]
    body.append(op(changed, "add_at", total, b, index=index))
    program = Program("f", (x, n), body, (changed,))
    assert "y[:n] += np.exp(x[:n])" in text(program)
    agree(program, np.arange(3.0), 2)
    body.append(op(given("z")[0], "print", index))
    assert index not in inlining(program).values
