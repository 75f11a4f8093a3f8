# mypy: disable-error-code="no-untyped-call"

from typing import Any

import numpy as np
import pytest
from tests.autodiff import zoo
from tests.autodiff.building import Random, given, op
from tests.autodiff.interpret import run

from etude.autodiff import grad, program
from etude.autodiff.activity import active
from etude.autodiff.duplication import duplicated
from etude.autodiff.forward import forward
from etude.autodiff.kinds import Number
from etude.autodiff.program import Atom, Call, Function, Op, Program
from etude.autodiff.reverse import joined, split, split_function, sweep

ALL = {**zoo.NUMBERS, **zoo.ARRAYS}
EVERY = pytest.mark.parametrize("function", ALL, ids=lambda function: function.__name__)


def everything(function: Any) -> tuple[Program, tuple[bool, ...]]:
    made = program(function, ALL[function]).prepared
    return made, tuple(parameter.kind.differentiable for parameter in made.parameters)


@EVERY
@pytest.mark.parametrize("textbook", [False, True])
@pytest.mark.parametrize("linear", [False, True])
def test_the_program_followed_by_its_adjoint(function: Any, textbook: bool, linear: bool) -> None:
    """Unoptimised, run by an interpreter of its own: the adjoint is linear in what arrives."""
    made, mask = everything(function)
    if linear:
        made = duplicated(made, active(made, made.parameters))
    value, *found = run(joined(made, mask, textbook=textbook), *ALL[function], 3.0)
    assert value == pytest.approx(function(*ALL[function]))
    for position, each in enumerate(found):
        np.testing.assert_allclose(each, 3 * zoo.numeric(function, ALL[function], position), rtol=1e-5, atol=1e-6)


@EVERY
@pytest.mark.parametrize("again", [False, True])
def test_the_halves_together_are_the_whole(function: Any, again: bool) -> None:
    made, mask = everything(function)
    forth, back = split(made, mask, again)
    value, stored = run(forth, *ALL[function])
    found = run(back, stored, 1.0)
    _, *whole = run(joined(made, mask, again=again), *ALL[function], 1.0)
    assert value == pytest.approx(function(*ALL[function]))
    np.testing.assert_equal(found if len(whole) > 1 else (found,), tuple(whole))


def test_the_mask_says_which_adjoints_are_asked_for() -> None:
    made, _ = everything(zoo.slide)
    assert [parameter.name for parameter in made.parameters] == ["x", "y"]
    value, dy = run(joined(made, (False, True)), 1.3, 0.7, 1.0)
    assert (value, dy) == (zoo.slide(1.3, 0.7), pytest.approx(-6.12245, rel=1e-6))
    assert all(
        variable.name != "d_dx" for s in joined(made, (False, True)).body for variable in getattr(s, "outputs", ())
    )


def test_what_is_not_used_has_adjoint_zero() -> None:
    x, y, z = given("x y z")
    made = Program("f", (x, y), [op(z, "sin", y)], (x,))
    assert run(joined(made, (True, True)), 0.3, 0.4, 2.0) == (0.3, 2.0, 0.0)


def test_several_results_have_several_adjoints() -> None:
    x, y, a, b = given("x y a b")
    made = Program("f", (x, y), [op(a, "mul", x, y), op(b, "add", x, y)], (a, b))
    assert run(joined(made, (True, True)), 3.0, 5.0, 1.0, 10.0) == (15.0, 8.0, 15.0, 13.0)
    _, adjoint, (dx, dy) = sweep(made, (True, True), [(a, x)])
    assert len(adjoint) == 2
    assert dx != dy


class Smooth(Random):
    """Random programs as the preparation makes them, whose operations have one result."""

    def op(self, known: list[Atom]) -> Op:
        output = self.variable()
        name = self.random.choice(["add", "sub", "mul", "mul", "negate", "math.sin", "math.tanh"])
        inputs = [self.pick(known) for _ in range(2 if name in ("add", "sub", "mul") else 1)]
        known.append(output)
        return op(output, name, *inputs)


@pytest.mark.parametrize("seed", range(150))
def test_forward_and_reverse_mode_are_transposes(seed: int) -> None:
    """u . (J v) = (J^T u) . v for random programs with loops, stacks and branches, of numbers."""
    made = Smooth(seed).program()
    mask = tuple(isinstance(parameter.kind, Number) for parameter in made.parameters)
    arguments = (0.4, 0.7, 2)
    v = np.array([0.8, -1.1])
    u = np.array([0.7, -0.4, 1.9])[: len(made.results)]
    pushed = run(forward(made, mask), *arguments, *v)
    pulled = run(joined(made, mask), *arguments, *u)
    jv, ju = np.array(pushed[len(u) :], dtype=float), np.array(pulled[len(u) :], dtype=float)
    np.testing.assert_allclose(u @ jv, ju @ v, rtol=1e-8, atol=1e-10)


def test_calls_become_calls_of_halves() -> None:
    x, y, a, b = given("x y a b")
    square = Function("square", lambda: Program("square", (x,), [op(y, "mul", x, x)], (y,)))
    made = Program("f", (a,), [Call((b,), square, (a,))], (b,))
    whole = joined(made, (True,))
    called = [statement.function.name for statement in whole.body if isinstance(statement, Call)]
    assert called == ["square_primal", "square_adjoint"]
    assert run(whole, 3.0, 1.0) == (9.0, 6.0)
    assert split_function(square, (True,), False) is split_function(square, (True,), False)
    again = Function("square", lambda: square.program, checkpointed=True)
    repeated = joined(Program("f", (a,), [Call((b,), again, (a,))], (b,)), (True,))
    assert next(statement.function for statement in repeated.body if isinstance(statement, Call)) is again
    assert run(repeated, 3.0, 1.0) == (9.0, 6.0)


def test_slide_rules_are_those_of_the_textbook() -> None:
    made, mask = everything(zoo.slide)
    names = [s.primitive.name for s in joined(made, mask, textbook=True).body if isinstance(s, Op)]
    assert names[names.index("adjoint") + 1 :].count("multiples") == 6
    assert grad(zoo.slide)(1.3, 0.7) == pytest.approx(2484.3, rel=1e-5)
