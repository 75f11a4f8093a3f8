import time

import numpy as np
import pytest
from tests.autodiff.building import INTEGER, NUMBER, agree, function, given, made, op, span, text
from tests.autodiff.interpret import run

from etude.autodiff.kinds import Array, Tuple
from etude.autodiff.optimise import optimised
from etude.autodiff.primitives import Primitive
from etude.autodiff.program import (
    MISSING,
    Atom,
    Block,
    Call,
    Carry,
    Constant,
    If,
    Loop,
    Merge,
    Op,
    Program,
    Read,
    Variable,
    Write,
)


def lines(program: Program) -> list[str]:
    """The optimised body as text, without the head."""
    return [line.strip() for line in text(optimised(program)).splitlines()[1:]]


def test_dead_code_goes() -> None:
    x, y, unused = given("x y z")
    assert lines(Program("f", (x,), [op(unused, "exp", x), op(y, "negate", x)], (y,))) == ["y = -x", "return y"]


def test_effects_stay() -> None:
    x, nothing = given("x")[0], made("t")[0]
    program = Program("f", (x,), [op(nothing, "print", "here", x)], (x,))
    assert lines(program) == ["print('here', x)", "return x"]


def test_loop_with_an_effect_stays_without_what_it_computed() -> None:
    x, s, following, result, nothing = *given("x s s s"), *made("t")
    loop = Loop([op(nothing, "print", x), op(following, "add", s, x)], [Carry(s, Constant(0.0), following, result)])
    loop.bounds = span(2)
    assert lines(Program("f", (x,), [loop], (x,))) == ["for _ in range(2):", "print(x)", "return x"]


def test_loop_without_use_goes() -> None:
    x, s, following, result = given("x s s s")
    loop = Loop([op(following, "add", s, x)], [Carry(s, Constant(0.0), following, result)], bounds=span(2))
    assert lines(Program("f", (x,), [loop], (x,))) == ["return x"]


def counting(carried: int) -> tuple[Program, list[Carry]]:
    """A loop with s = s + x, t = t * x."""
    x, s, t, s1, t1, s2, t2 = given("x s t s t s t")
    body: Block = [op(s1, "add", s, x), op(t1, "mul", t, x)]
    carries = [Carry(s, Constant(0.0), s1, s2), Carry(t, Constant(1.0), t1, t2)]
    return Program("f", (x,), [Loop(body, carries, bounds=span(3))], (s2,) if carried == 1 else (s2, t2)), carries


def test_only_carried_variables_that_matter_stay() -> None:
    assert "t = t * x" not in lines(counting(1)[0])
    assert "t = t * x" in lines(counting(2)[0])
    agree(counting(1)[0], 0.5)
    agree(counting(2)[0], 0.5)


def stacked(*positions: int) -> Program:
    """A loop that writes three values and one that adds those at some positions."""
    x, y, a, b, total = given("x y a b total")
    k = given("k", INTEGER)[0]
    stack = made("stack")[0]
    forth = Loop([op(a, "mul", x, k), op(b, "add", a, y)], index=k, bounds=span(3), writes=[Write(stack, (a, b, k))])
    read = tuple(given("p q r"))
    parts = given("u u u")
    body: Block = []
    last: Variable = total
    for position, part in zip(positions, parts, strict=False):
        body.append(op(part, "add", last, read[position]))
        last = part
    result = given("total")[0]
    back = Loop(body, [Carry(total, Constant(0.0), last, result)], reads=[Read(read, stack)])
    return Program("f", (x, y), [forth, back], (result,))


def test_places_of_stacks_that_nobody_reads_go() -> None:
    assert "stack.append(a)" in lines(stacked(0))
    assert "stack.append((a, k))" in lines(stacked(0, 2))
    for positions in ((0,), (1,), (2,), (0, 2), (0, 1, 2), ()):
        agree(stacked(*positions), 0.5, 2.0)


def test_stack_that_leaves_the_program_stays_whole() -> None:
    program = stacked(0)
    first = program.body[0]
    assert isinstance(first, Loop)
    program.results += (first.writes[0].stack,)
    assert any(line.startswith("stack.append((") and line.count(",") == 2 for line in lines(program))
    agree(program, 0.5, 2.0)


def test_range_beside_a_stack_goes_if_its_index_is_not_used() -> None:
    program = stacked(0)
    back = program.body[1]
    assert isinstance(back, Loop)
    back.bounds, back.index = span(3), given("j", INTEGER)[0]
    assert "for p in reversed(stack):" in lines(program)
    agree(program, 0.5, 2.0)


def test_constants_in_stacks_are_not_stored() -> None:
    x, y, p, q, total, following, result = given("x y p q total total total")
    stack = made("stack")[0]
    forth = Loop([op(y, "sin", x)], bounds=span(2), writes=[Write(stack, (Constant(2.0), y))])
    back = Loop(
        [op(following, "mul", total, p)],
        [Carry(total, Constant(1.0), following, result)],
        reads=[Read((p, q), stack)],
    )
    program = Program("f", (x,), [forth, back], (result,))
    assert not any("2.0" in line and "append" in line for line in lines(program))
    agree(program, 0.5)


def test_common_subexpressions_are_computed_once() -> None:
    x, a, b, y = given("x a b y")
    program = Program("f", (x,), [op(a, "exp", x), op(b, "exp", x), op(y, "mul", a, b)], (y,))
    assert lines(program) == ["a = np.exp(x)", "y = a * a", "return y"]


def test_common_subexpressions_of_branches_stay_apart() -> None:
    x, a, b, y, z = given("x a b y z")
    test = made("t", INTEGER)[0]
    branch = If(test, [op(a, "exp", x)], [], [Merge(y, a, Constant(0.0))])
    program = Program("f", (x,), [op(test, "gt", x, 0.0), branch, op(b, "exp", x), op(z, "add", y, b)], (z,))
    agree(program, 1.0)
    agree(program, -1.0)


def test_values_that_may_be_changed_are_not_shared() -> None:
    x = given("x", Array(1))[0]
    a, b, c, d = made("d_da d_db d_da d_db", Array(1))
    body: Block = [
        op(a, "zeros_like", x),
        op(b, "zeros_like", x),
        op(c, "add_at", a, 1.0, index=0),
        op(d, "add_at", b, 2.0, index=1),
    ]
    program = Program("f", (x,), body, (c, d))
    found = run(optimised(program), np.ones(2))
    np.testing.assert_array_equal(found, [[1, 0], [0, 2]])
    assert text(program).count("+=") == 2


def test_functions_of_the_user_are_not_shared_or_folded() -> None:
    calls: list[float] = []
    own = Primitive("draw", lambda scale: calls.append(scale) or scale * len(calls))  # type: ignore[func-returns-value]
    a, b, y = given("a b y")
    body: Block = [Op((a,), own, (Constant(1.0),)), Op((b,), own, (Constant(1.0),)), op(y, "sub", b, a)]
    assert run(optimised(Program("f", (), body, (y,)))) == 1.0


def test_constants_are_folded_unless_they_fail() -> None:
    x, a, b, y, z = given("x a b y z")
    program = Program("f", (x,), [op(a, "sub", 3, 1), op(b, "pow", x, a), op(y, "div", 1, 0), op(z, "add", b, y)], (z,))
    assert lines(program) == ["b = x ** 2", "y = 1 / 0", "z = b + y", "return z"]


@pytest.mark.parametrize("test", [True, False])
def test_known_tests_choose_their_branch(test: bool) -> None:
    x, a, b, y = given("x a b y")
    branch = If(Constant(test), [op(a, "exp", x)], [op(b, "negate", x)], [Merge(y, a, b)])
    assert lines(Program("f", (x,), [branch], (y,))) == (
        ["a = np.exp(x)", "return a"] if test else ["b = -x", "return b"]
    )


def test_captured_tests_stay() -> None:
    x, a, b, y = given("x a b y")
    branch = If(Constant(True, "flag"), [op(a, "exp", x)], [op(b, "negate", x)], [Merge(y, a, b)])
    assert "flag" in text(optimised(Program("f", (x,), [branch], (y,))))


def merging(then: Atom, otherwise: Atom, x: Variable) -> Program:
    test, y = made("t", INTEGER)[0], given("y")[0]
    branch = If(test, [], [], [Merge(y, then, otherwise)])
    return Program("f", (x,), [op(test, "gt", x, 0.0), branch], (y,))


def test_merges_of_one_value_go() -> None:
    x = given("x")[0]
    assert lines(merging(x, x, x)) == ["return x"]
    assert lines(merging(x, MISSING, x)) == ["return x"]
    assert lines(merging(Constant(1.0), Constant(1.0), x)) == ["return 1.0"]
    assert lines(merging(Constant(1.0), Constant(1), x)) != ["return 1.0"]


def test_invariant_carries_go() -> None:
    x, y, s, s2, t, t1, t2 = given("x y s s t t t")
    carried = [Carry(s, x, s, s2), Carry(t, y, t1, t2)]
    loop = Loop([op(t1, "mul", t, s)], carried, bounds=span(3))
    program = Program("f", (x, y), [loop], (t2, s2))
    assert lines(program) == ["t = y", "for _ in range(3):", "t = t * x", "return t, x"]
    agree(program, 0.5, 2.0)


def test_carries_that_become_invariant_go() -> None:
    """s + 0.0 is s only after a law has been applied."""
    x, s, s1, s2 = given("x s s s")
    loop = Loop([op(s1, "add", s, 0.0)], [Carry(s, x, s1, s2)], bounds=span(3))
    assert lines(Program("f", (x,), [loop], (s2,))) == ["return x"]


def test_called_programs_are_optimised_and_dropped_if_unused() -> None:
    x, y, unused, z, w = given("x y z z w")
    inner = Program("g", (x,), [op(unused, "exp", x), op(y, "negate", x)], (y,))
    u = given("u")[0]
    called = function(inner)
    assert "exp" not in text(optimised(Program("f", (u,), [Call((z,), called, (u,))], (z,))))
    assert lines(Program("f", (u,), [Call((w,), called, (u,))], (u,))) == ["return u"]


def test_calls_with_effects_stay() -> None:
    x, nothing, u, z = given("x t u z")
    inner = Program("g", (x,), [op(nothing, "print", x)], (x,))
    assert "g(u)" in text(optimised(Program("f", (u,), [Call((z,), function(inner), (u,))], (u,))))


def test_accumulation_into_a_known_tuple() -> None:
    x, y = given("x y")
    like, pair, new = (Variable("d", Tuple((NUMBER, NUMBER))) for _ in range(3))
    result = given("z")[0]
    body: Block = [
        op(pair, "zeros_like", like),
        op(new, "add_at", pair, x, index=1),
    ]
    body.append(op(result, "item", new, index=1))
    assert lines(Program("f", (like, x, y), body, (result,))) == ["return x"]


def test_optimising_twice_changes_nothing() -> None:
    program = counting(2)[0]
    once = optimised(program)
    assert text(optimised(once)) == text(once)


def test_program_itself_is_not_changed() -> None:
    program = stacked(0)
    before = text(program, "textbook")
    optimised(program)
    assert text(program, "textbook") == before


def test_speed() -> None:
    """A long program is optimised in a time that nobody notices (500 statements in 0.2 s; here 2,000, with room)."""
    x = given("x")[0]
    body: Block = []
    last: Variable = x
    for k in range(1000):
        a, b = made("t t")
        body += [op(a, "sin", last), op(b, "mul", a, float(k))]
        last = b
    start = time.perf_counter()
    short = optimised(Program("f", (x,), body, (last,)))
    text(short)
    assert time.perf_counter() - start < 5.0


def test_what_is_the_same_in_every_pass_is_computed_before_the_loop() -> None:
    x, s, minus, product, following, result = given("x s m p s s")
    stack, p = made("stack")[0], given("q")[0]
    total, more, last = given("u u u")
    steps: Block = [op(minus, "mul", x, 2.0), op(product, "add", minus, 1.0), op(following, "add", s, product)]
    forth = Loop(steps, [Carry(s, Constant(0.0), following, result)], bounds=span(3), writes=[Write(stack, (product,))])
    back = Loop([op(more, "add", total, p)], [Carry(total, Constant(0.0), more, last)], reads=[Read((p,), stack)])
    program = Program("f", (x,), [forth, back], (result, last))
    body = lines(program)
    assert body.index("p = m + 1.0") < body.index("for _ in range(3):")
    assert "stack.append(())" in body
    agree(program, 0.5)


def test_what_may_fail_stays_in_the_loop() -> None:
    """The loop may have no pass at all."""
    x, s, quotient, following, result = given("x s q s s")
    n = given("n", INTEGER)[0]
    steps: Block = [op(quotient, "div", 1.0, x), op(following, "add", s, quotient)]
    loop = Loop(steps, [Carry(s, Constant(0.0), following, result)], bounds=span(n))
    assert run(optimised(Program("f", (x, n), [loop], (result,))), 0.0, 0) == 0.0


def test_nothing_is_moved_out_of_a_branch() -> None:
    x, y, a, b = given("x y a b")
    test = given("c", INTEGER)[0]
    s, last = given("s s")
    following = given("s")[0]
    branch = If(test, [op(a, "mul", x, 2.0)], [], [Merge(y, a, Constant(0.0))])
    loop = Loop([branch, op(following, "add", s, y)], [Carry(s, Constant(0.0), following, last)], bounds=span(3))
    program = Program("f", (x, test), [loop, op(b, "sin", last)], (b,))
    agree(program, 0.5, 1)
    agree(program, 0.5, 0)


def test_sums_and_products_are_shared_whatever_their_order() -> None:
    x, y = given("x y")
    a, b, c, d, z = made("t t t t t")
    body: Block = [op(a, "mul", x, y), op(b, "mul", y, x), op(c, "sub", x, y), op(d, "sub", y, x), op(z, "add", a, b)]
    assert lines(Program("f", (x, y), body, (z, c, d))) == ["t1 = x * y", "return t1 + t1, x - y, y - x"]


def test_parts_of_tuples_and_shapes_are_taken_before_a_loop() -> None:
    pair = given("pair", Tuple((Array(1), NUMBER)))[0]
    s, following, result = given("s s s")
    w, shape, n = Variable("w", Array(1), True), Variable("t", Tuple((INTEGER,))), Variable("n", INTEGER, True)
    body: Block = [
        op(w, "item", pair, index=0),
        op(shape, "shape", w),
        op(n, "item", shape, index=0),
        op(following, "mul", s, n),
    ]
    loop = Loop(body, [Carry(s, Constant(1.0), following, result)], bounds=span(2))
    assert lines(Program("f", (pair,), [loop], (result,))) == [
        "w = pair[0]",
        "n = w.shape[0]",
        "s = 1.0",
        "for _ in range(2):",
        "s = s * n",
        "return s",
    ]
