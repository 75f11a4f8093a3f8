import math
from dataclasses import replace
from typing import Any

import pytest
from tests.autodiff import zoo
from tests.autodiff.building import given, op, same
from tests.autodiff.interpret import run

from etude.autodiff import derivative_source, grad, program
from etude.autodiff.expansion import MOST, copied, expanded, expanded_function
from etude.autodiff.program import Call, Function, assigned
from etude.autodiff.source import called

ALL = {**zoo.NUMBERS, **zoo.ARRAYS}
EVERY = pytest.mark.parametrize("function", ALL, ids=lambda function: function.__name__)


@EVERY
def test_the_expanded_program_computes_the_same(function: Any) -> None:
    made = program(function, ALL[function]).prepared
    before = run(made, *ALL[function])
    assert run(expanded(made), *ALL[function]) == pytest.approx(before, rel=1e-14)
    assert same(run(made, *ALL[function]), before)


@EVERY
def test_a_copy_shares_no_variable(function: Any) -> None:
    made = program(function, ALL[function]).prepared
    copy = copied(made)
    ours, theirs = ({*each.parameters, *assigned(each.body)} for each in (made, copy))
    assert ours.isdisjoint(theirs)
    assert sorted(v.name for v in ours) == sorted(v.name for v in theirs)
    assert same(run(copy, *ALL[function]), run(made, *ALL[function]))


def callees(function: Any) -> list[str]:
    return [each.name for each in called(expanded(program(function, ALL[function]).prepared))[:-1]]


def test_calls_of_small_functions_vanish() -> None:
    for function in (zoo.called, zoo.called_in_loop, zoo.closures, zoo.higher_order, zoo.integrated):
        assert callees(function) == []
    assert derivative_source(zoo.called).count("def ") == 1


def test_recursion_and_functions_with_rules_of_their_own_stay() -> None:
    assert set(callees(zoo.recursive)) == {"power"}
    assert set(callees(zoo.mutual)) == {"even", "odd"}
    assert set(callees(zoo.customised)) == {"log1pexp"}
    assert set(callees(zoo.checkpointed)) == {"block"}


def small(x: float) -> float:
    return x


@pytest.mark.parametrize(("statements", "callees"), [(MOST, ["function"]), (MOST + 1, ["small", "function"])])
def test_long_functions_stay(statements: int, callees: list[str]) -> None:
    made = program(lambda x: small(x) * 2.0, (1.0,)).prepared
    (call,) = [statement for statement in made.body if isinstance(statement, Call)]
    called_now = call.function.program
    lines = given(" ".join(f"y{k}" for k in range(statements)))
    longer = replace(called_now, body=[op(y, "negate", called_now.parameters[0]) for y in lines])
    call.function = Function("small", lambda: longer)
    assert [each.name for each in called(expanded(made))] == callees


def first() -> Any:
    data = 2.0
    return lambda x: x * data


def second() -> Any:
    data = 5.0
    return lambda x: x * data * x


TIMES_TWO, TIMES_FIVE = first(), second()


def test_functions_with_other_values_under_one_name_keep_their_own() -> None:
    def both(x: float) -> Any:
        return TIMES_TWO(x) + TIMES_FIVE(x) + math.sin(x)

    assert grad(both)(3.0) == pytest.approx(2.0 + 30.0 + math.cos(3.0))


def test_a_function_is_expanded_once() -> None:
    made = program(zoo.called, (1.0, 2.0)).prepared
    function = Function("called", lambda: made)
    assert expanded_function(function) is expanded_function(function)
    assert expanded_function(function).program is expanded_function(function).program
