from typing import Any

import numpy as np
from tests.autodiff.preparation.agreement import agrees, program

from etude.autodiff.kinds import UNKNOWN, Array, Integer, Number
from etude.autodiff.preparation.flow import label, same, variable
from etude.autodiff.program import MISSING, Constant, If, Loop


def test_labels_of_names_and_flags() -> None:
    assert label("x") == "x"
    assert label("$broken 12") == "broken"
    assert variable("x", Number()).given
    assert not variable("$result", Number()).given


def test_values_that_need_no_merging() -> None:
    x = variable("x", Number())
    assert same(x, x)
    assert same(Constant(2.0), Constant(2.0))
    assert not same(Constant(2.0), Constant(2))
    assert not same(Constant(2.0, "RATE"), Constant(2.0, "RATE"))
    assert not same(x, variable("x", Number()))


def decided(x: float, deep: bool = True, name: str = "a") -> float:
    if deep and name == "a":  # noqa: SIM108, both are read
        x = x * x
    else:
        x = x / 0
    return x if name != "b" else -x


def test_literal_tests_decide_at_once() -> None:
    made = agrees(decided, 3.0)
    assert not [statement for statement in made.body if isinstance(statement, If)]


def merged(x: float) -> Any:
    constant, y, only = 1.0, x, 0
    if x > 1:
        y, same = x * x, constant
        only = 5
    else:
        y, same = -x, constant
    return y, same, only, constant


def test_only_what_the_branches_changed_is_merged() -> None:
    made = agrees(merged, 3.0)
    (branch,) = [statement for statement in made.body if isinstance(statement, If)]
    assert sorted(merge.output.name for merge in branch.merges) == ["only", "y"]
    agrees(merged, 0.5)


def half(x: float) -> float:
    if x > 1:
        found = x * 2
    else:
        raise ValueError("too small")
    if x > 2:
        late = x
    return found if x < 2 else late + found


def test_what_one_branch_does_not_leave_is_missing() -> None:
    made = agrees(half, 3.0)
    merges = [merge for each in made.body if isinstance(each, If) for merge in each.merges]
    assert [merge.output.name for merge in merges if MISSING in (merge.then, merge.otherwise)] == ["found", "late"]
    agrees(half, 1.5)


def counted(x: float, n: int) -> Any:
    fixed, kept = x * 2, x
    total: float = 0
    for i in range(n):
        total = total + fixed * i
        unused = total  # noqa: F841
    return total, kept


def test_loops_carry_what_moves_with_the_kind_that_it_comes_to_have() -> None:
    """`total` starts as an integer and becomes a number in the first pass."""
    made = agrees(counted, 1.5, 4)
    (loop,) = [statement for statement in made.body if isinstance(statement, Loop)]
    (total,) = [carry for carry in loop.carried if carry.variable.name == "total"]
    assert total.variable.kind == total.result.kind == Number()
    assert total.initial.kind == Integer()
    assert {carry.variable.name for carry in loop.carried} <= {"total", "unused", "i"}
    assert loop.bounds is not None
    agrees(counted, 1.5, 0)


def shrinking(x: Any) -> Any:
    while np.ndim(x) > 0:
        x = x.sum(0)
    return x


def test_kinds_of_loops_widen_until_they_hold() -> None:
    made = agrees(shrinking, np.ones((2, 3)))
    (loop,) = [statement for statement in made.body if isinstance(statement, Loop)]
    assert loop.condition is not None
    assert loop.carried[0].variable.kind in (UNKNOWN, Array())


def choosing(x: float, n: int) -> Any:
    a = [x, x * x] if x > n else [x]
    return (x if x > 2 else n), len(a), (1 if n else 2) + (x / n if n else 0.0)


def test_conditional_expressions() -> None:
    for x in (3.0, 1.0):
        for n in (0, 2):
            agrees(choosing, x, n)
    assert program(choosing, 1.0, 2).results
