# mypy: disable-error-code="no-untyped-call"

import inspect
import math
import re
from typing import Any

import numpy as np
import pytest
from tests.autodiff import zoo
from tests.autodiff.building import STYLES

from etude.autodiff import derivative_source, grad, hessian, jacobian, program
from etude.autodiff.expressions import Style
from etude.autodiff.stages import Direction

ALL: dict[Any, tuple[Any, ...]] = {**zoo.NUMBERS, **zoo.ARRAYS}
EVERY = pytest.mark.parametrize("function", ALL, ids=lambda function: function.__name__)
STYLED = pytest.mark.parametrize("style", STYLES)


def executed(text: str, name: str, namespace: dict[str, Any] | None = None) -> Any:
    """The function of that name in a printed program."""
    names = dict(namespace or {})
    exec(compile(text, "printed", "exec"), names)
    return names[name]


def made(function: Any, mode: Direction, style: Style, arguments: tuple[Any, ...] | None = None) -> Any:
    """The printed derivative of a function, run."""
    printed = program(function, arguments).derivative(mode, style)
    return executed(printed.text, printed.name, printed.namespace)


def test_the_stages_of_the_slide() -> None:
    """The steps of course/004, "Autodiff: an example", in its notation."""
    stages = program(zoo.slide)
    assert stages.source == inspect.getsource(zoo.slide)
    assert (
        stages.normal_form
        == """\
from etude.autodiff.textbook import *


def slide(x, y):
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
        stages.duplicated
        == """\
from etude.autodiff.textbook import *


def slide(x, y):
    (x1, x2) = dup(x)
    p = mul(7, x1)
    (p1, p2) = dup(p)
    r = div(1, y)
    i1 = mul(p1, x2)
    q = mul(i1, 5)
    i2 = mul(2, p2)
    i3 = mul(i2, q)
    i4 = mul(3, r)
    v = add(i3, i4)
    return v
"""
    )


def test_the_slide_side_by_side() -> None:
    """As the slides print it where they are right: their reverse program has errors (FIDELITY, section 3)."""
    assert program(zoo.slide).side_by_side("forward").splitlines() == [
        "p = mul(7, x)   | dp = mul(7, dx)",
        "r = div(1, y)   | dr = negate(div(dy, mul(y, y)))",
        "i1 = mul(p, x)  | di1 = add(mul(dp, x), mul(p, dx))",
        "q = mul(i1, 5)  | dq = mul(di1, 5)",
        "i2 = mul(2, p)  | di2 = mul(2, dp)",
        "i3 = mul(i2, q) | di3 = add(mul(di2, q), mul(i2, dq))",
        "i4 = mul(3, r)  | di4 = mul(3, dr)",
        "v = add(i3, i4) | dv = add(di3, di4)",
    ]
    assert program(zoo.slide).side_by_side("reverse").splitlines() == [
        "(x1, x2) = dup(x) | d_dx = add(d_dx1, d_dx2)",
        "p = mul(7, x1)    | (_, d_dx1) = mul(d_dp, (x1, 7))",
        "(p1, p2) = dup(p) | d_dp = add(d_dp1, d_dp2)",
        "r = div(1, y)     | d_dy = negate(div(d_dr, mul(y, y)))",
        "i1 = mul(p1, x2)  | (d_dp1, d_dx2) = mul(d_di1, (x2, p1))",
        "q = mul(i1, 5)    | (d_di1, _) = mul(d_dq, (5, i1))",
        "i2 = mul(2, p2)   | (_, d_dp2) = mul(d_di2, (p2, 2))",
        "i3 = mul(i2, q)   | (d_di2, d_dq) = mul(d_di3, (q, i2))",
        "i4 = mul(3, r)    | (_, d_dr) = mul(d_di4, (r, 3))",
        "v = add(i3, i4)   | (d_di3, d_di4) = dup(d_dv)",
    ]


def test_the_columns_of_the_slide_are_the_program() -> None:
    """The left column downwards, then the right one upwards, is the printed reverse program; and it runs."""
    left, right = zip(*(row.split(" | ") for row in program(zoo.slide).side_by_side().splitlines()), strict=True)
    lines = [f"    {line.rstrip()}" for line in [*left, "# adjoint", *reversed(right)]]
    text = program(zoo.slide).reverse
    assert text.splitlines()[4:-1] == lines
    value, dx, dy = executed(text, "slide_gradient")(1.3, 0.7, 1.0)
    assert value == zoo.slide(1.3, 0.7)
    assert (dx, dy) == (pytest.approx(2484.3, rel=1e-5), pytest.approx(-6.12245, rel=1e-6))
    for position, found in enumerate((dx, dy)):
        assert found == pytest.approx(float(zoo.numeric(zoo.slide, (1.3, 0.7), position)))
    value, change = executed(program(zoo.slide).forward, "slide_forward")(1.3, 0.7, 1.0, 0.0)
    assert (value, change) == (zoo.slide(1.3, 0.7), pytest.approx(dx))


@EVERY
@STYLED
def test_printed_programs_of_forward_mode_run(function: Any, style: Style) -> None:
    arguments = ALL[function]
    rng = np.random.default_rng(1)
    direction = tuple(rng.normal(size=np.shape(a)) if np.ndim(a) else rng.normal() for a in arguments)
    value, change = made(function, "forward", style, arguments)(*arguments, *direction)
    assert value == pytest.approx(function(*arguments))
    along = sum(np.sum(zoo.numeric(function, arguments, k) * direction[k]) for k in range(len(arguments)))
    assert change == pytest.approx(along, rel=1e-5, abs=1e-6)


@EVERY
@STYLED
def test_printed_programs_of_reverse_mode_run(function: Any, style: Style) -> None:
    arguments = ALL[function]
    adjoint = made(function, "reverse", style, arguments)
    if style == "textbook":
        value, *found = adjoint(*arguments, 1.0)
        assert value == pytest.approx(function(*arguments))
    else:
        found = adjoint(*arguments)
        found = list(found) if len(arguments) > 1 else [found]
    for position, each in enumerate(found):
        np.testing.assert_allclose(each, zoo.numeric(function, arguments, position), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("function", zoo.NUMBERS, ids=lambda function: function.__name__)
def test_numbers_need_no_examples(function: Any) -> None:
    arguments = zoo.NUMBERS[function]
    found = made(function, "reverse", "optimised")(*arguments)
    expected = grad(function, tuple(range(len(arguments))))(*arguments)
    np.testing.assert_allclose(found if len(arguments) > 1 else [found], expected, rtol=1e-12)


@EVERY
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_columns_hold_the_program(function: Any, mode: Direction) -> None:
    """Every line of the printed derivative stands in one of the columns, once, and what it calls under them."""
    stages = program(function, ALL[function])
    printed = stages.derivative(mode, "textbook")
    text = printed.text[printed.text.index(f"def {printed.name}(") :].replace("elif ", "if ")
    unwrapped = re.sub(r",\n {12,}", ", ", text)
    expected = [line.strip() for line in unwrapped.splitlines()[1:-1] if line.strip() not in ("# adjoint", "else:")]
    table, *functions = stages.side_by_side(mode).split("\n\n\n", 1)
    columns = [part.strip() for row in table.splitlines() for part in row.split(" |")]
    assert sorted(part for part in columns if part not in ("", "else:")) == sorted(expected)
    assert all(text in printed.text for text in functions)
    assert len(functions) == (printed.text.count("\ndef ") > (0 if printed.text.startswith("def ") else 1))


def stepped(x: float, n: int) -> float:
    s = 0.0
    for i in range(n):
        if s > i:  # noqa: SIM108, to be printed so
            s = s * x
        else:
            s = s + x
    return s


def test_loops_and_branches_side_by_side() -> None:
    assert (
        program(stepped).side_by_side("forward")
        == """\
s = 0.0                | ds = 0.0
for i in range(n):     |
    i1 = gt(s, i)      |
    if i1:             |
        s1 = mul(s, x) |         ds = add(mul(ds, x), mul(s, dx))
        s = s1         |
    else:              |
        s = add(s, x)  |         ds = add(ds, dx)"""
    )
    assert (
        program(stepped).side_by_side("reverse")
        == """\
s = 0.0                     |
stack1 = []                 |
for i in range(n):          | for i1, s2 in reversed(stack1):
    (s1, s2) = dup(s)       |
    i1 = gt(s1, i)          |
    stack1.append((i1, s2)) |     d_ds = d_ds2
    if i1:                  |     if i1:
        s = mul(s2, x)      |         d_dx = add(d_dx, d_dx1)
                            |         (d_ds2, d_dx1) = mul(d_ds, (x, s2))
    else:                   |     else:
        s = add(s2, x)      |         d_dx = add(d_dx, d_dx1)
                            |         (d_ds2, d_dx1) = dup(d_ds)
                            | d_dx = 0.0"""
    )


def test_a_program_differentiated_twice_is_short_and_right() -> None:
    """The slide's gradient has 5 lines."""
    second = derivative_source(grad(zoo.slide))
    assert len(second.splitlines()) < 20
    found = executed(second, "slide_gradient_gradient")(1.3, 0.7)
    expected = [hessian(zoo.slide)(1.3, 0.7), zoo.numeric(grad(zoo.slide), (1.3, 0.7), 1)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    looped = derivative_source(grad(zoo.looped), arguments=(0.7, 4))
    assert len(looped.splitlines()) < 45
    found = executed(looped, "looped_gradient_gradient")(0.7, 4)
    assert found == pytest.approx(float(zoo.numeric(grad(zoo.looped), (0.7, 4), 0)), rel=1e-6)


def adjoints(d_dx: float, dx: float) -> float:
    d_ddx, dd_dx = d_dx * dx, d_dx + dx
    d_d = d_ddx * dd_dx
    return d_d * d_dx


def stacks(x: float, n: int) -> float:
    stack, stack1, i1 = x, x * x, 2.0
    for i in range(n):
        stack = stack * x + i1
        stack1 = stack1 * stack / (1 + i)
        i2 = stack * stack1
        stack = i2 / (1 + i2 * i2)
    return stack + stack1


def temporaries(t1: float, i1: float) -> float:
    t2 = t1 * i1 + 1
    t = t2**2 * t1
    i2 = math.sin(t * t1) * math.sin(t * i1)
    i = i2 * t2
    return i * i2


def modules(np: float, math: float) -> float:
    reversed, zip, range, slice = np * math, np / math, np - math, np**2
    one_pass = reversed * zip
    add_at = one_pass * range + slice
    mul, add, dup = add_at * np, add_at + math, one_pass * add_at
    result = mul * add + dup
    zeros_like, item, sum = result * mul, result + add, dup**2
    return zeros_like / item + sum


def loops(range_: float, zip: float, n: int) -> float:
    reversed = 1.0
    for k in range(n):
        reversed = reversed * range_ + zip * k
        if reversed > 3:
            reversed = reversed / zip
    return reversed


def adjoint_gradient(adjoint: float) -> float:
    adjoint_gradient = adjoint**2
    adjoint_forward = adjoint_gradient * adjoint
    return adjoint_forward * adjoint_gradient


COLLIDING = {
    adjoints: (0.7, 1.3),
    stacks: (0.8, 4),
    temporaries: (0.6, 0.9),
    modules: (1.2, 0.7),
    loops: (1.4, 1.7, 4),
    adjoint_gradient: (0.9,),
}


@pytest.mark.parametrize("function", COLLIDING, ids=lambda function: function.__name__)
@STYLED
def test_names_never_collide_with_those_of_the_user(function: Any, style: Style) -> None:
    arguments = COLLIDING[function]
    floats = [position for position, value in enumerate(arguments) if isinstance(value, float)]
    expected = [zoo.numeric(function, arguments, position) for position in floats]
    back = made(function, "reverse", style, arguments)
    if style == "textbook":
        _, *found = back(*arguments, 1.0)
    else:
        found = back(*arguments) if len(floats) > 1 else [back(*arguments)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    _, change = made(function, "forward", style, arguments)(*arguments, *(1.0 for _ in floats))
    assert change == pytest.approx(float(sum(expected)), rel=1e-6)
    first = jacobian(grad(function), floats[-1])(*arguments)
    step = [*arguments]
    ends = []
    for moved in (1e-6, -1e-6):
        step[floats[-1]] = arguments[floats[-1]] + moved
        ends.append(grad(function)(*step))
    assert first == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)


def arrays(w: np.ndarray, n: int):  # type: ignore[no-untyped-def]
    return np.sum(w**2) * n


def test_annotations_and_use_say_what_arguments_are() -> None:
    assert made(arrays, "reverse", "optimised")(np.array([1.0, 2.0]), 3).tolist() == [6.0, 12.0]
    rows = made(lambda x: np.sum(x @ x), "reverse", "optimised")(np.eye(2))
    np.testing.assert_array_equal(rows, 2 * np.ones((2, 2)))
    assert made(lambda x, n: sum([x * k for k in range(n)]), "reverse", "optimised")(1.0, 4) == 6.0


def test_what_returns_arrays_takes_the_change_of_its_result() -> None:
    x = np.array([0.3, -0.8])
    text = derivative_source(zoo_vector, arguments=(x,))
    assert text.startswith("import numpy as np\n\n\ndef zoo_vector_gradient(x, d_d")
    value, dx = executed(text, "zoo_vector_gradient")(x, np.ones(2))
    np.testing.assert_allclose(value, np.sin(x) * x)
    np.testing.assert_allclose(dx, np.cos(x) * x + np.sin(x))


def zoo_vector(x: np.ndarray) -> Any:
    return np.sin(x) * x


def weighted(x: float) -> Any:
    return x * zoo.SCALE * zoo.POINTS[0] + math.pi


@STYLED
def test_values_from_outside_are_assigned_or_said(style: Style) -> None:
    text = derivative_source(weighted, style=style)
    assert "zoo_SCALE = 1.7\n" in text
    assert "# zoo_POINTS is from outside: ndarray\n" in text
    found = executed(text, "weighted_gradient", {"zoo_POINTS": zoo.POINTS})
    gradient = found(2.0, 1.0)[1] if style == "textbook" else found(2.0)
    assert gradient == pytest.approx(1.7 * zoo.POINTS[0])


def test_several_directions_are_printed_together() -> None:
    text = derivative_source(zoo.slide, "forward", directions=2)
    value, first, second = executed(text, "slide_forward")(1.3, 0.7, 1.0, 0.0, 0.0, 1.0)
    assert (first, second) == pytest.approx(grad(zoo.slide, (0, 1))(1.3, 0.7))
    assert value == zoo.slide(1.3, 0.7)


def test_functions_without_anything_to_vary_are_refused() -> None:
    def counted(n: int) -> int:
        return n * n

    with pytest.raises(TypeError, match="counted has no argument that a derivative could be taken by"):
        derivative_source(counted)
