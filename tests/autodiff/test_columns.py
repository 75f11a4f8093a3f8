from tests.autodiff.building import INTEGER, given, op, span

from etude.autodiff.columns import aligned, beside, between
from etude.autodiff.forward import forward
from etude.autodiff.kinds import Integer
from etude.autodiff.program import Block, Carry, If, Loop, Merge, Op, Program, Variable, assigned
from etude.autodiff.reverse import joined


def numbered(body: Block, start: int = 1) -> int:
    """Give each statement its number."""
    for statement in body:
        statement.line, start = start, start + 1
        if isinstance(statement, If):
            start = numbered(statement.otherwise, numbered(statement.then, start))
        if isinstance(statement, Loop):
            start = numbered(statement.body, start)
    return start


def choosing() -> Program:
    """y = x * x if a, 3 * x if b, else x."""
    x, y, y1, y2, inner = given("x y y y y")
    a, b = given("a b", Integer())
    nested = If(b, [op(y2, "mul", 3, x)], [], [Merge(inner, y2, x)])
    body: Block = [If(a, [op(y1, "mul", x, x)], [nested], [Merge(y, y1, inner)])]
    numbered(body)
    return Program("f", (x, a, b), body, (y,))


def test_each_branch_stands_beside_its_own() -> None:
    reverse = joined(choosing(), (True, False, False), textbook=True)
    assert aligned(beside(reverse)).splitlines() == [
        "if a:                 | if a:",
        "    y = mul(x, x)     |     d_dx = add(d_dx1, d_dx)",
        "                      |     (d_dx1, d_dx) = mul(d_dy, (x, x))",
        "else:                 | else:",
        "    if b:             |     if b:",
        "        y = mul(3, x) |         (_, d_dx) = mul(d_dy, (x, 3))",
        "    else:             |     else:",
        "        y = x         |         d_dx = d_dy",
    ]


def test_tangents_stand_beside_what_they_belong_to() -> None:
    program = choosing()
    primal: set[Variable] = {*program.parameters, *assigned(program.body)}
    rows = between(forward(program, (True, False, False)), primal)
    assert rows[2:] == [
        ("elif b:", ""),
        ("    y = mul(3, x)", "    dy = mul(3, dx)"),
        ("else:", ""),
        ("    y = x", "    dy = dx"),
    ]


def test_what_has_no_adjoint_stands_alone() -> None:
    x, y, z = given("x y z")
    body: Block = [op(y, "floor", x), op(z, "add", x, y)]
    numbered(body)
    rows = beside(joined(Program("f", (x,), body, (z,)), (True,), textbook=True))
    assert [left for left, _ in rows] == ["y = floor(x)", "z = add(x, y)"]
    assert rows[0][1] == ""


def test_a_loop_and_what_it_starts_from() -> None:
    x, s, s1, result = given("x s s s")
    i, n = given("i n", INTEGER)
    body: list[Op] = [op(s1, "mul", s, x)]
    program = Program("f", (x, n), [Loop([*body], [Carry(s, x, s1, result)], i, span(n))], (result,))
    numbered(program.body)
    rows = beside(joined(program, (True, False), textbook=True))
    assert [row for row in rows if row[0].startswith("for")] == [("for _ in range(n):", "for s1 in reversed(stack1):")]
    assert rows[-1] == ("", "d_dx = 0.0")
