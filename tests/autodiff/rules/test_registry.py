"""No primitive escapes the tests of its rules."""

from importlib import import_module
from pathlib import Path

from tests.autodiff.rules.checks import Case

from etude.autodiff.primitives import PRIMITIVES
from etude.autodiff.program import Op
from etude.autodiff.reverse import joined

ELSEWHERE = {"rows", "columns", "split_rows", "split_columns"}
"""Of the stacks that Jacobians and Hessians are made of: test_derivative checks those."""


def cases() -> list[Case]:
    """All calls of primitives that the tests beside this one check."""
    modules = [import_module(f"tests.autodiff.rules.{file.stem}") for file in Path(__file__).parent.glob("test_*.py")]
    lists = [value for module in modules for value in vars(module).values() if isinstance(value, list)]
    return [case for each in lists for case in each if isinstance(case, Case)]


def used(case: Case) -> set[str]:
    """The primitive of a case and those in its adjoint, whose rules `check_reverse_twice` checks."""
    return {op.primitive.name for op in joined(case.program, case.mask).body if isinstance(op, Op)}


def test_the_rules_of_every_primitive_are_checked() -> None:
    checked = {name for case in cases() for name in used(case)}
    smooth = {
        name
        for name, primitive in PRIMITIVES.items()
        if any(primitive.forward) or any(primitive.reverse) or primitive.joint_forward
    }
    assert smooth - checked == ELSEWHERE


def test_every_primitive_with_rules_has_them_for_both_modes() -> None:
    for name, primitive in PRIMITIVES.items():
        forth = any(primitive.forward) or primitive.joint_forward is not None
        assert forth == (any(primitive.reverse) or name == "item"), name


def test_every_primitive_stands_under_its_name() -> None:
    assert all(name == primitive.name for name, primitive in PRIMITIVES.items())
    assert all(
        primitive.scalar is None or primitive.scalar.name.startswith("math.") for primitive in PRIMITIVES.values()
    )
