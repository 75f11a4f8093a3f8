import numpy as np
import pytest
from tests.autodiff.building import given
from tests.autodiff.interpret import run

from etude.autodiff.adjoints import Adjoints, adjoint_name, total
from etude.autodiff.kinds import Array, Dict, Integer, Kind, List, Number, Tuple
from etude.autodiff.primitives import Builder
from etude.autodiff.program import ZERO, Constant, Op, Program, Variable


def started(kind: Kind, count: int) -> tuple[Adjoints, Builder, Variable, list[Variable]]:
    """The adjoints of one variable x, and contributions to it."""
    x = Variable("x", kind, given=True)
    return Adjoints({x}), Builder(), x, given(" ".join(f"d{k}" for k in range(count)))


def names(builder: Builder) -> list[str]:
    return [statement.primitive.name for statement in builder.block if isinstance(statement, Op)]


def test_contributions_to_a_number_are_added() -> None:
    adjoints, builder, x, changes = started(Number(), 3)
    assert adjoints.pop(builder, x) is ZERO
    for change in changes:
        adjoints.add(builder, x, change)
    assert names(builder) == ["add", "add"]
    found = Program("f", tuple(changes), builder.block, (adjoints.pop(builder, x),))
    assert run(found, 1.0, 2.0, 4.0) == 7.0
    assert adjoints.pop(builder, x) is ZERO
    assert adjoint_name(x) == "d_dx"


def test_what_does_not_vary_gets_nothing() -> None:
    adjoints, builder, _, (change,) = started(Number(), 1)
    other = given("y")[0]
    adjoints.add(builder, other, change)
    adjoints.at(builder, other, Constant(0), change)
    adjoints.add(builder, Constant(2.0), change)
    assert not adjoints.values
    assert not builder.block


def test_items_of_an_array_are_added_in_place_to_a_copy_of_its_own() -> None:
    adjoints, builder, x, changes = started(Array(1), 3)
    adjoints.add(builder, x, changes[0])
    adjoints.at(builder, x, Constant(1), changes[1])
    adjoints.at(builder, x, Constant(2), changes[2])
    program = Program("f", (x, *changes), builder.block, (adjoints.pop(builder, x),))
    arriving = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(run(program, np.ones(3), arriving, 10.0, 20.0), [1.0, 12.0, 23.0])
    np.testing.assert_array_equal(arriving, [1.0, 2.0, 3.0])
    assert names(builder).count("fresh") == 1


@pytest.mark.parametrize(
    ("kind", "value", "keys", "expected"),
    [
        (Tuple((Number(), Array(1), Integer())), (1.0, np.ones(2), 3), (0, -3), (6.0, [0.0, 0.0], 0.0)),
        (
            Dict((("a", Number()), ("b", Array(1)))),
            {"a": 1.0, "b": np.ones(2)},
            ("a", "a"),
            {"a": 6.0, "b": [0.0, 0.0]},
        ),
    ],
)
def test_items_of_tuples_and_dictionaries_are_put_together_when_asked_for(
    kind: Kind, value: object, keys: tuple[object, ...], expected: object
) -> None:
    adjoints, builder, x, changes = started(kind, 2)
    for key, change in zip(keys, changes, strict=True):
        adjoints.at(builder, x, Constant(key), change)
    assert names(builder) == ["add"]
    found = run(Program("f", (x, *changes), builder.block, (adjoints.pop(builder, x),)), value, 2.0, 4.0)
    np.testing.assert_equal(found, expected)


def test_adjoints_of_containers_are_added_item_by_item() -> None:
    assert total(Number()).name == total(Array(2)).name == "add"
    assert total(List(Number())).name == "accumulate"
    adjoints, builder, x, changes = started(Tuple((Number(), Number())), 2)
    for change in changes:
        adjoints.add(builder, x, change)
    program = Program("f", tuple(changes), builder.block, (adjoints.pop(builder, x),))
    assert run(program, (1.0, 2.0), (10.0, 20.0)) == (11.0, 22.0)
