from tests.autodiff.building import INTEGER, given, made, op, span

from etude.autodiff.lowering import Append, Assign, Copies, Create, Inlined, Repeat, every, lowered, operands
from etude.autodiff.program import Block, Carry, Constant, If, Loop, Merge, Program, Write


def test_stacks_are_appended_to_as_early_as_their_values_are_known() -> None:
    x, s, a, b, following, result = given("x s a b s s")
    stack = made("stack")[0]
    steps: Block = [op(a, "sin", s), op(b, "cos", a), op(following, "add", b, x)]
    for values, place in (((s,), 0), ((a, s), 1), ((b,), 2), ((), 0), ((x, Constant(1)), 0)):
        loop = Loop(steps, [Carry(s, x, following, result)], bounds=span(3), writes=[Write(stack, values)])
        before, create, repeat, after = lowered(Program("f", (x,), [loop], (result,)), Inlined())
        assert isinstance(before, Copies)
        assert isinstance(create, Create)
        assert isinstance(repeat, Repeat)
        assert isinstance(after, Copies)
        assert [isinstance(each, Append) for each in repeat.body].index(True) == place
        assert isinstance(repeat.body[-1], Copies)


def test_every_statement_at_every_depth() -> None:
    x, y = given("x y")
    test = given("c", INTEGER)[0]
    inner = op(y, "sin", x)
    branch = If(test, [inner], [], [])
    condition = op(test, "gt", x, 0)
    loop = Loop([branch], test=[condition], condition=test)
    assert list(every([loop])) == [loop, condition, branch, inner]


def test_leaves_go_through_what_is_inlined() -> None:
    x, y = given("x y")
    a, b = made("t t")
    first, second = op(a, "add", x, 2.0), op(b, "mul", a, y)
    inlined = Inlined({a: first, b: second})
    assert list(inlined.leaves(b)) == [x, y]
    assert list(inlined.leaves(Constant(1))) == []
    assert lowered(Program("f", (x, y), [first, second], (b,)), inlined) == []


def test_operands_of_a_conditional_expression() -> None:
    x, y, z = given("x y z")
    assert operands(If(x, [], [], [Merge(made("t")[0], y, z)])) == (x, y, z)


def test_operations_become_assignments() -> None:
    x, y = given("x y")
    (only,) = lowered(Program("f", (x,), [op(y, "sin", x)], (y,)), Inlined())
    assert isinstance(only, Assign)
    assert only.targets == (y,)
