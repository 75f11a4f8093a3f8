import threading
import time
from typing import Any

import pytest
from tests.autodiff.building import INTEGER, Random, given, made, op, span
from tests.autodiff.interpret import run

from etude.autodiff.program import (
    Call,
    Carry,
    Constant,
    Function,
    If,
    Loop,
    Merge,
    Program,
    Read,
    Variable,
    Write,
    assigned,
    defined,
    functions,
    inside,
    substituted,
    uses,
)


def example() -> tuple[Loop, If]:
    """A loop that stores what it had, and an `If`."""
    s, t, result, x, y, z = given("s t s x y z")
    i, n = given("i n", INTEGER)
    stack, read = made("stack old")
    loop = Loop(
        [op(t, "mul", s, x)],
        [Carry(s, Constant(1.0), t, result)],
        i,
        span(n),
        reads=[Read((read,), stack)],
        writes=[Write(stack, (s,))],
    )
    return loop, If(x, [op(y, "negate", x)], [], [Merge(z, y, x)])


def test_what_is_visible_after_a_statement() -> None:
    loop, branch = example()
    assert [variable.name for variable in defined([loop, branch])] == ["s", "stack", "z"]
    assert [variable.name for variable in assigned([loop, branch])] == ["s", "stack", "z", "s", "old", "i", "t", "y"]


def test_what_a_statement_reads() -> None:
    loop, branch = example()
    names = [atom.name if not isinstance(atom, Constant) else atom.value for atom in uses(loop)]
    assert sorted(map(str, names)) == sorted(map(str, [0, "n", 1, 1.0, "t", "stack", "s", "s", "x"]))
    assert [atom.name for atom in uses(branch)] == ["x", "y", "x", "x"]
    assert inside(branch) == [branch.then, branch.otherwise]
    assert inside(loop) == [loop.body]


def test_substitution_leaves_what_is_assigned() -> None:
    loop, branch = example()
    (x,) = {atom for atom in uses(branch) if isinstance(atom, Variable) and atom.name == "x"}
    (new,) = given("new")
    for statement in (loop, branch):
        (other,) = substituted([statement], {x: new})
        assert list(assigned([other])) == list(assigned([statement]))
        assert x not in set(uses(other))
        assert list(uses(other)).count(new) == list(uses(statement)).count(x)


@pytest.mark.parametrize("seed", range(30))
def test_substituting_a_parameter_is_renaming_it(seed: int) -> None:
    program = Random(seed).program()
    parameters = tuple(given("a b"))
    new: dict[Any, Any] = dict(zip(program.parameters, parameters, strict=False))
    results = tuple(new.get(result, result) for result in program.results)
    renamed = Program("g", (*parameters, program.parameters[2]), substituted(program.body, new), results)
    assert repr(run(renamed, 0.4, 0.7, 2)) == repr(run(program, 0.4, 0.7, 2))


def test_functions_that_a_statement_calls() -> None:
    x, y = given("x y")
    function = Function("f", lambda: Program("f", (x,), [], (x,)))
    assert functions(Call((y,), function, (x,))) == [function]
    assert functions(op(y, "negate", x)) == []
    assert functions(op(y, "treeverse", x, step=Constant(function))) == [function]


def test_a_function_is_built_when_first_asked_for_and_once() -> None:
    x = given("x")[0]
    built = []

    def build() -> Program:
        built.append(1)
        time.sleep(0.01)
        return Program("f", (x,), [], (x,))

    function = Function("f", build)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(function.program)) for _ in range(8)]
    threads += [threading.Thread(target=lambda: found.append(function.once("made", object))) for _ in range(8)]
    assert not built
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]
    assert len(set(map(id, found))) == 2
