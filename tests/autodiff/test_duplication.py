from collections import Counter
from typing import Any

import pytest
from tests.autodiff import zoo
from tests.autodiff.building import Random, same
from tests.autodiff.interpret import run

from etude.autodiff import program
from etude.autodiff.activity import active
from etude.autodiff.duplication import duplicated
from etude.autodiff.program import Block, Call, If, Loop, Op, Program, Variable, assigned, uses

ALL = {**zoo.NUMBERS, **zoo.ARRAYS}


def repeated(block: Block, last: tuple[Any, ...], varying: set[Variable]) -> set[Variable]:
    """The varying variables that a block, followed by a use of `last`, uses more than once."""
    count: Counter[Any] = Counter(last)
    found: set[Variable] = set()
    for statement in block:
        if isinstance(statement, Op | Call):
            count.update(statement.inputs)
            continue
        own = set(assigned([statement]))
        count.update({value for value in uses(statement) if value not in own})
        if isinstance(statement, If):
            found |= repeated(statement.then, tuple(merge.then for merge in statement.merges), varying)
            found |= repeated(statement.otherwise, tuple(merge.otherwise for merge in statement.merges), varying)
        if isinstance(statement, Loop):
            found |= repeated(statement.body, tuple(carry.following for carry in statement.carried), varying)
    return found | {value for value in varying if count[value] > 1}


def linear(made: Program) -> tuple[Program, set[Variable]]:
    result = duplicated(made, active(made, made.parameters))
    return result, active(result, result.parameters)


@pytest.mark.parametrize("function", ALL, ids=lambda function: function.__name__)
def test_every_variable_is_used_once(function: Any) -> None:
    made = program(function, ALL[function]).prepared
    result, varying = linear(made)
    assert repeated(result.body, result.results, varying) == set()
    assert same(run(result, *ALL[function]), run(made, *ALL[function]))


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_compute_the_same(seed: int) -> None:
    made = Random(seed).program()
    result, varying = linear(made)
    assert repeated(result.body, result.results, varying) == set()
    assert same(run(result, 0.4, 0.7, 2), run(made, 0.4, 0.7, 2))


def test_programs_that_use_nothing_twice_stay() -> None:
    made = program(zoo.polynomial, (1.0,)).prepared
    result = duplicated(made, set())
    assert [statement.primitive for statement in result.body] == [statement.primitive for statement in made.body]  # type: ignore[union-attr]
