from tests.autodiff.building import INTEGER, agree, function, given, made, op, span

from etude.autodiff.dead import effectful, without_dead_code
from etude.autodiff.primitives import PRIMITIVES
from etude.autodiff.program import Block, Call, Carry, Constant, Function, If, Loop, Merge, Op, Program, Read, Write


def test_effects_are_found_at_every_depth() -> None:
    x, y = given("x y")
    shown = op(made("t")[0], "print", x)
    quiet = op(y, "sin", x)
    assert effectful([shown])
    assert not effectful([quiet])
    assert effectful([If(x, [], [Loop([shown])], [])])
    assert effectful([Call((y,), function(Program("g", (x,), [shown], (x,))), (x,))])
    assert not effectful([Op((), PRIMITIVES["adjoint"], ())])


def test_recursion_has_no_effect_by_itself() -> None:
    x, y = given("x y")
    loop = Function("g", lambda: program)
    program = Program("g", (x,), [Call((y,), loop, (x,))], (y,))
    assert not effectful(program.body)


def test_the_border_to_the_adjoint_stays() -> None:
    x = given("x")[0]
    border = Op((), PRIMITIVES["adjoint"], ())
    assert without_dead_code(Program("f", (x,), [border], (x,))).body == [border]


def test_merges_and_branches() -> None:
    x, a, b, y, z = given("x a b y z")
    test = given("c", INTEGER)[0]
    branch = If(test, [op(a, "sin", x), op(b, "cos", x)], [], [Merge(y, a, x), Merge(z, b, x)])
    program = Program("f", (x, test), [branch], (y,))
    (kept,) = without_dead_code(program).body
    assert isinstance(kept, If)
    assert [merge.output for merge in kept.merges] == [y]
    assert kept.then == [branch.then[0]]
    assert without_dead_code(Program("f", (x, test), [branch], (x,))).body == []


def test_variables_that_only_carry_each_other_go() -> None:
    x, a, b, s, a1, b1, s1, a2, b2, s2 = given("x a b s a b s a b s")
    steps: Block = [op(a1, "sin", b), op(b1, "cos", a), op(s1, "add", s, x)]
    carried = [Carry(a, x, a1, a2), Carry(b, x, b1, b2), Carry(s, x, s1, s2)]
    (kept,) = without_dead_code(Program("f", (x,), [Loop(steps, carried, bounds=span(3))], (s2,))).body
    assert isinstance(kept, Loop)
    assert kept.body == [steps[2]]
    assert [carry.variable for carry in kept.carried] == [s]


def test_the_condition_of_a_while_stays() -> None:
    x, s, s1, s2, n, n1, n2 = given("x s s s n n n")
    test = made("t", INTEGER)[0]
    steps: Block = [op(s1, "add", s, x), op(n1, "sub", n, 1)]
    carried = [Carry(s, x, s1, s2), Carry(n, Constant(5), n1, n2)]
    loop = Loop(steps, carried, test=[op(test, "gt", n, 0)], condition=test)
    program = Program("f", (x,), [loop], (s2,))
    (kept,) = without_dead_code(program).body
    assert isinstance(kept, Loop)
    assert len(kept.carried) == 2
    agree(program, 0.5)


def test_a_place_is_dropped_from_every_reader_of_a_stack() -> None:
    x, y, z = given("x y z")
    stack = made("stack")[0]
    forth = Loop([op(y, "sin", x), op(z, "cos", x)], bounds=span(3), writes=[Write(stack, (y, z))])
    loops, results = [], []
    for _ in range(2):
        p, q, s, s1, s2 = given("p q s s s")
        loops.append(Loop([op(s1, "add", s, q)], [Carry(s, Constant(0.0), s1, s2)], reads=[Read((p, q), stack)]))
        results.append(s2)
    program = Program("f", (x,), [forth, *loops], tuple(results))
    first, second, third = without_dead_code(program).body
    assert isinstance(first, Loop)
    assert isinstance(second, Loop)
    assert isinstance(third, Loop)
    assert first.writes[0].values == (z,)
    assert len(first.body) == len(second.reads[0].variables) == len(third.reads[0].variables) == 1
    agree(program, 0.5)


def test_a_stack_that_is_only_counted_keeps_its_length() -> None:
    x, y, p, s, s1, s2 = given("x y p s s s")
    stack = made("stack")[0]
    forth = Loop([op(y, "sin", x)], bounds=span(3), writes=[Write(stack, (y,))])
    back = Loop([op(s1, "add", s, x)], [Carry(s, Constant(0.0), s1, s2)], reads=[Read((p,), stack)])
    program = Program("f", (x,), [forth, back], (s2,))
    first, _ = without_dead_code(program).body
    assert isinstance(first, Loop)
    assert first.writes[0].values == ()
    assert first.body == []
    agree(program, 0.5)
