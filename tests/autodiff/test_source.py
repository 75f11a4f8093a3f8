import linecache
import traceback

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from tests.autodiff.building import INTEGER, STYLES, Random, agree, function, given, made, op, span, text
from tests.autodiff.interpret import run

from etude.autodiff.expressions import Style
from etude.autodiff.optimise import optimised
from etude.autodiff.primitives import PRIMITIVES
from etude.autodiff.program import Block, Call, Carry, Constant, Function, If, Loop, Merge, Op, Program, Read, Write
from etude.autodiff.source import LONGEST, called, compiled, source, wrap


def slide() -> Program:
    """The example of course/004, module 10."""
    x, y, p, r, q, v = given("x y p r q v")
    i1, i2, i3, i4 = made("i i i i")
    body: Block = [
        op(p, "mul", 7, x),
        op(r, "div", 1, y),
        op(i1, "mul", p, x),
        op(q, "mul", i1, 5),
        op(i2, "mul", 2, p),
        op(i3, "mul", i2, q),
        op(i4, "mul", 3, r),
        op(v, "add", i3, i4),
    ]
    for line, statement in enumerate(body, 1):
        statement.line = line
    return Program("f", (x, y), body, (v,))


def test_slide_in_both_styles() -> None:
    assert (
        text(slide(), "textbook")
        == """\
def f(x, y):
    p = mul(7, x)
    r = div(1, y)
    i1 = mul(p, x)
    q = mul(i1, 5)
    i2 = mul(2, p)
    i3 = mul(i2, q)
    i4 = mul(3, r)
    v = add(i3, i4)
    return v
"""
    )
    assert (
        text(slide())
        == """\
def f(x, y):
    p = 7 * x
    r = 1 / y
    q = p * x * 5
    v = 2 * p * q + 3 * r
    return v
"""
    )
    agree(slide(), 1.3, 0.7)


def test_lines_are_the_users() -> None:
    printed = source(slide())
    lines = printed.text.splitlines()
    assert len(lines) == len(printed.lines)
    assert {text.split()[0]: line for text, line in zip(lines, printed.lines, strict=True) if "=" in text} == {
        "p": 1,
        "r": 2,
        "q": 4,
        "v": 8,
    }


@pytest.mark.parametrize("style", STYLES)
def test_text_runs_as_it_stands(style: Style) -> None:
    s, n, x = given("s n x")
    following, result = given("s s")
    cosine, doubled = made("t t")
    loop = Loop(
        [op(cosine, "math.cos", s), op(following, "add", cosine, x)], [Carry(s, Constant(0.0), following, result)]
    )
    loop.bounds = span(n)
    zeros = made("t")[0]
    body: Block = [loop, op(zeros, "unbroadcast", result, x), op(doubled, "mul", zeros, Constant(float("inf")))]
    program = Program("f", (x, n), body, (doubled,))
    namespace: dict[str, object] = {}
    exec(source(program, style).text, namespace)
    assert namespace["f"](0.5, 3) == np.inf  # type: ignore[operator]


def test_loop_with_a_stack() -> None:
    """The primal loop stores what the adjoint loop reads from the end."""
    x, s, following, result = given("x s s s")
    n, k = given("n k", INTEGER)
    stack, t1, t2, read_s, read_t, d, cosine, d_following, d_result = made("stack t t s t d_ds t d_ds d_ds")
    forth = Loop(
        [op(t1, "mul", x, s), op(t2, "math.sin", t1), op(following, "add", s, t2)],
        [Carry(s, Constant(1.0), following, result)],
        k,
        span(n),
        writes=[Write(stack, (s, t1))],
    )
    back = Loop(
        [op(cosine, "math.cos", read_t), op(d_following, "mul", cosine, d)],
        [Carry(d, Constant(1.0), d_following, d_result)],
        reads=[Read((read_s, read_t), stack)],
    )
    program = Program("f", (x, n), [forth, back], (result, d_result))
    assert (
        text(program)
        == """\
def f(x, n):
    s = 1.0
    stack = []
    for _ in range(n):
        t1 = x * s
        stack.append((s, t1))
        s = s + math.sin(t1)
    d_ds = 1.0
    for _, t2 in reversed(stack):
        d_ds = math.cos(t2) * d_ds
    return s, d_ds
"""
    )
    agree(program, 0.3, 4)


def fibonacci() -> Program:
    a, b, following, a_last, b_last = given("a b b a b")
    (n,) = given("n", INTEGER)
    carried = [Carry(a, Constant(0), b, a_last), Carry(b, Constant(1), following, b_last)]
    return Program("fibonacci", (n,), [Loop([op(following, "add", a, b)], carried, bounds=span(n))], (a_last,))


def test_swap_is_one_assignment() -> None:
    assert "        a, b = b, a + b\n" in text(fibonacci())
    agree(fibonacci(), 10)
    assert compiled(fibonacci())(10) == 55


def test_functions_that_call_each_other() -> None:
    """Recursion, and two functions of one name."""
    x, n = given("x")[0], given("n", INTEGER)[0]
    test, less, inner, product, result = *made("t", INTEGER), *made("t", INTEGER), *made("t t t")
    power = Function("f", lambda: recursive)
    recursive = Program(
        "f",
        (x, n),
        [
            op(test, "gt", n, 0),
            If(
                test,
                [op(less, "sub", n, 1), Call((inner,), power, (x, less)), op(product, "mul", x, inner)],
                [],
                [Merge(result, product, Constant(1.0))],
            ),
        ],
        (result,),
    )
    y, z = given("y z")
    program = Program("f", (y,), [Call((z,), function(recursive), (y, Constant(3)))], (z,))
    assert called(program) == [recursive, program]
    assert text(program).count("def f(") == 1
    assert "def f1(x, n):" in text(program)
    agree(program, 1.5)
    assert compiled(program)(1.5) == 1.5**3


def test_optimised_recursion_is_printed_once() -> None:
    x, n = given("x")[0], given("n", INTEGER)[0]
    test, less, inner, result = *made("t", INTEGER), *made("t", INTEGER), *made("t t")
    power = Function("f", lambda: recursive)
    branch = If(
        test, [op(less, "sub", n, 1), Call((inner,), power, (x, less))], [], [Merge(result, inner, Constant(1.0))]
    )
    recursive = Program("f", (x, n), [op(test, "gt", n, 0), branch], (result,))
    assert text(optimised(recursive)).count("def ") == 1


def test_captured_values_are_fetched_at_each_call() -> None:
    x, y = given("x y")
    state = {"k": 2.0}
    program = Program("f", (x,), [op(y, "mul", x, Constant(2.0, "self.k", lambda: state["k"]))], (y,))
    multiply = compiled(program)
    assert multiply(3.0) == 6.0
    state["k"] = 5.0
    assert multiply(3.0) == 15.0
    assert "self_k" in text(program)


def test_tracebacks_show_the_printed_line() -> None:
    x, y = given("x y")
    divide = compiled(Program("f", (x,), [op(y, "div", x, 0)], (y,)))
    with pytest.raises(ZeroDivisionError) as caught:
        divide(1.0)
    assert "y = x / 0" in "".join(traceback.format_exception(caught.value))
    linecache.checkcache()
    assert "y = x / 0" in "".join(traceback.format_exception(caught.value))


def test_adjoint_marker_is_a_comment() -> None:
    x, y, z = given("x y z")
    program = Program("f", (x,), [op(y, "negate", x), Op((), PRIMITIVES["adjoint"], ()), op(z, "sin", y)], (z,))
    assert text(program).splitlines() == [
        "def f(x):",
        "    y = -x",
        "    # adjoint",
        "    z = np.sin(y)",
        "    return z",
    ]
    agree(program, 0.4)


@settings(max_examples=150, deadline=None)
@drawn(st.integers(0, 10**9), st.floats(-1, 1), st.floats(-1, 1))
def test_random_programs_print_to_what_they_compute(seed: int, x: float, y: float) -> None:
    program = Random(seed).program()
    try:
        run(program, x, y, 3)
    except (OverflowError, ValueError):  # the sine of infinity
        return
    agree(program, x, y, 3)


def test_long_lines_are_broken_between_brackets() -> None:
    names = ", ".join(f"value{k}" for k in range(60))
    pieces = wrap(f"    for k, ({names}) in zip(range(3), reversed(stack)):")
    assert len(pieces) > 3
    assert max(map(len, pieces)) <= LONGEST
    compile("if True:\n" + "\n".join(pieces) + "\n        pass\n", "text", "exec")
    assert wrap("x = " + "1 + " * 50 + "1") == ["x = " + "1 + " * 50 + "1"]
    assert wrap(f"print('{names}')") == [f"print('{names}')"]


def test_long_programs_are_printed_with_one_user_line_for_each_line() -> None:
    x = given("x")[0]
    values = [given(f"value{k}")[0] for k in range(30)]
    stack = made("stack")[0]
    loop = Loop([op(value, "sin", x) for value in values], bounds=span(2), writes=[Write(stack, tuple(values))])
    program = Program("f", (x,), [loop], (stack,))
    printed = source(program)
    assert len(printed.text.splitlines()) == len(printed.lines)
    agree(program, 0.5)
