"""Containers, indexing, and the sums and zeros that adjoints are made of."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from tests.autodiff.rules.checks import Case, check, check_kind, check_single_precision, run

from etude.autodiff import grad, hessian
from etude.autodiff.forward import forward
from etude.autodiff.kinds import (
    UNKNOWN,
    Array,
    Closure,
    Dict,
    Integer,
    Kind,
    List,
    Number,
    Other,
    Slice,
    Tuple,
    kind_of,
)
from etude.autodiff.primitives import PRIMITIVES

A = np.arange(24.0).reshape(2, 3, 4)
B = np.array([[0.5, -1.3, 2.1], [1.7, 0.4, -0.6]])
NESTED = [(1.0, np.array([2.0, 3.0])), (4.0, np.array([5.0, 6.0]))]

CASES = [
    Case("tuple", (1.3, B)),
    Case("tuple", ()),
    Case("list", (1.3, 0.4)),
    Case("list", ()),
    Case("list", (B, B + 1)),
    Case("dict", (1.3, B), {"keys": ("a", "b")}),
    Case("append", ([1.3, 0.4], 2.1)),
    Case("append", ([], 2.1)),
    Case("append", (NESTED, (7.0, np.array([8.0, 9.0])))),
    Case("extend", ([1.3, 0.4], [2.1])),
    Case("extend", ((1.3, B), (2.1,))),
    Case("accumulate", (1.3, 0.4)),
    Case("accumulate", (NESTED, NESTED)),
    Case("accumulate", (NESTED, NESTED), fixed=(0,)),
    Case("accumulate", ({"a": 1.3, "b": B}, {"a": 0.7, "b": B})),
    Case("add_at", (B, 1.5), {"index": (1, 2)}),
    Case("add_at", (B, B[0]), {"index": 1}),
    Case("add_at", (B, B[:, :2]), {"index": (slice(None), slice(1, None))}),
    Case("add_at", (B, B), {"index": ...}),
    Case("add_at", (B[0], np.array([0.1, 0.2, 0.3])), {"index": np.array([2, 0, 2])}),
    Case("add_at", (B, np.array([0.1, 0.2])), {"index": (np.array([1, 1]), [2, 2])}),
    Case("add_at", (B, np.array([0.1, 0.2, 0.3, 0.4])), {"index": B > 0}),
    Case("add_at", ((1.3, B), B), {"index": 1}),
    Case("add_at", ([1.3, 0.4], 2.1), {"index": -1}),
    Case("add_at", ([1.3, 0.4, 0.7], [2.1, 0.2]), {"index": slice(1, None)}),
    Case("add_at", (NESTED, (7.0, np.array([8.0, 9.0]))), {"index": 1}),
    Case("add_at", ({"a": 1.3, "b": B}, B), {"index": "b"}),
    Case("set_at", (B, 1.5), {"index": (1, 2)}),
    Case("set_at", (B, 1.5), {"index": 1}),
    Case("set_at", (B, B[0]), {"index": slice(None)}),
    Case("set_at", ([1.3, 0.4], 2.1), {"index": 0}),
    Case("set_at", (NESTED, (7.0, np.array([8.0, 9.0]))), {"index": 1}),
    Case("fresh", (B,)),
    Case("fresh", (NESTED,)),
    Case("clear_at", (B,), {"index": 1}),
    Case("clear_at", (NESTED,), {"index": 1}),
    Case("unbroadcast", (A, B[:1, :1]), fixed=(1,)),
    Case("unbroadcast", (A, A[0]), fixed=(1,)),
    Case("unbroadcast", (A, A[:1, :, :1]), fixed=(1,)),
    Case("unbroadcast", (A, 1.5), fixed=(1,)),
    Case("unbroadcast", (1.3, 1.5), fixed=(1,)),
    Case("broadcast_like", (B[:1, :], A[0].T), fixed=(1,)),
    Case("broadcast_like", (1.5, B), fixed=(1,)),
    Case("broadcast_like", (1.5, 1.3), fixed=(1,)),
]
ITEMS = [
    *(
        Case("item", (A,), {"index": index})
        for index in (
            0,
            -1,
            (1, 2),
            (1, 2, 3),
            slice(None, None, -1),
            (slice(None), slice(1, None)),
            (0, slice(1, 3)),
            (..., 2),
            (slice(None), None, 1),
            None,
            [1, 0, 1],
            ([0, 1], [2, 2]),
            ([0, 1], 2),
        )
    ),
    Case("item", ((1.3, B),), {"index": 1}),
    Case("item", ((1.3, B),), {"index": slice(0, 1)}),
    Case("item", ([1.3, 0.4],), {"index": -1}),
    Case("item", ([1.3, 0.4, 0.7],), {"index": slice(1, None)}),
    Case("item", (NESTED,), {"index": 0}),
    Case("item", ({"a": 1.3, "b": B},), {"index": "b"}),
]


@pytest.mark.parametrize("case", [*CASES, *ITEMS], ids=str)
def test_rules(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.inputs], ids=str)
def test_single_precision(case: Case) -> None:
    check_single_precision(case)


@pytest.mark.parametrize(
    ("kind", "index", "expected"),
    [
        (Array(2), Integer(), Array(1)),
        (Array(1), Integer(), Number()),
        (Array(1, real=False), Integer(), Integer()),
        (Array(3), Tuple((Integer(), Slice())), Array(2)),
        (Array(2), Slice(), Array(2)),
        (Array(2), Array(1, real=False), Array(2)),
        (Array(2), Array(2, real=False), UNKNOWN),
        (Array(2), UNKNOWN, UNKNOWN),
        (Array(None), Integer(), UNKNOWN),
        (Tuple((Number(), Number())), Integer(), Number()),
        (Tuple((Number(), Integer())), 2, UNKNOWN),
        (List(Array(1)), Integer(), Array(1)),
        (List(Number()), Slice(), List(Number())),
        (Dict((("a", Number()),)), "a", Number()),
        (Other(), 0, Other()),
        (UNKNOWN, 0, UNKNOWN),
    ],
)
def test_kinds_of_items_at_unknown_places(kind: Kind, index: Any, expected: Kind) -> None:
    assert PRIMITIVES["item"].kind(kind, index=index) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.5, 0.0),
        (3, 0.0),
        (None, 0.0),
        ("text", 0.0),
        ((1.5, 2, "a"), (0.0, 0.0, 0.0)),
        ([(1.5, 2)], [(0.0, 0.0)]),
        ({"a": 1.5}, {"a": 0.0}),
    ],
)
def test_zeros_have_the_structure_of_the_value(value: Any, expected: Any) -> None:
    assert PRIMITIVES["zeros_like"](value) == expected
    check_kind(Case("zeros_like", (value,)))


def test_zeros_of_arrays() -> None:
    for x, dtype in ((B, np.float64), (np.ones((2, 3), np.float32), np.float32), (np.ones((2, 3), int), np.float64)):
        zeros = PRIMITIVES["zeros_like"](x)
        assert (zeros.shape, zeros.dtype) == ((2, 3), dtype)
        assert not zeros.any()
    assert PRIMITIVES["zeros_like"].kind(Closure("code", (Array(2, real=False),))) == Tuple((Array(2),))


@pytest.mark.parametrize("structure", [(1.5, B), [1.5], {"a": B}])
def test_a_zero_stands_for_any_structure(structure: Any) -> None:
    assert PRIMITIVES["accumulate"](0.0, structure) is structure
    assert PRIMITIVES["accumulate"](structure, 0.0) is structure


def test_add_at_changes_in_place_all_but_tuples() -> None:
    for total in (B.copy(), [1.5, 2.5], {0: 1.5}):
        assert PRIMITIVES["add_at"](total, 1.0, index=0) is total
    pair = (1.5, 2.5)
    assert PRIMITIVES["add_at"](pair, 1.0, index=0) == (2.5, 2.5)
    assert pair == (1.5, 2.5)


def test_fresh_can_be_changed_without_changing_the_original() -> None:
    shared = np.broadcast_to(1.5, (3,))
    changed = PRIMITIVES["add_at"](PRIMITIVES["fresh"](shared), 2.0, index=0)
    assert (changed.tolist(), shared.tolist()) == ([3.5, 1.5, 1.5], [1.5] * 3)
    for original in ([1.5, 2.5], {0: 1.5}):
        before = deepcopy(original)
        PRIMITIVES["add_at"](PRIMITIVES["fresh"](original), 2.0, index=0)
        assert original == before


def test_set_at_changes_nothing_in_place() -> None:
    for x in (B, [1.5, 2.5]):
        before = deepcopy(x)
        changed = PRIMITIVES["set_at"](x, 7.0, index=0)
        assert np.all(np.equal(changed[0], 7.0))
        assert np.array_equal(x, before)


def test_a_tangent_of_zero_costs_nothing_in_add_at() -> None:
    case = Case("add_at", (B, 1.5), {"index": (0, 0)})
    program = forward(case.program, (True, False))
    assert len(program.body) == 1
    assert np.array_equal(run(program, *case.inputs, A[0, :2, :3])[1], A[0, :2, :3])


def test_containers_of_what_has_no_derivative() -> None:
    case = Case("tuple", (1.5, 2, "a"))
    value, change = run(forward(case.program, case.mask), *case.inputs, 1.0)
    assert (value, change) == ((1.5, 2, "a"), (1.0, 0.0, 0.0))
    assert case.primitive.kind(*map(kind_of, case.inputs)) == kind_of(value)


def test_slices_and_lengths() -> None:
    assert PRIMITIVES["slice"](start=1, step=2) == slice(1, None, 2)
    assert PRIMITIVES["slice"].kind(start=Integer()) == Slice()
    check_kind(Case("len", ([1.0],)))


def test_the_slides_two_functions_with_two_results() -> None:
    assert PRIMITIVES["dup"].evaluate(1.5) == (1.5, 1.5)
    assert PRIMITIVES["multiples"].evaluate(2.0, 3.0, 5.0) == (6.0, 10.0)


def all_of_one(x: Any) -> Any:
    a = np.zeros(3)
    a[:] = x[None] * 2
    return np.sum(a**3)


def row_of_one(x: Any) -> Any:
    a = np.zeros((2, 3))
    a[1] = np.ones((1, 3)) * x
    return np.sum(a**3)


def stretched(x: Any) -> Any:
    a = np.zeros((2, 3))
    a[0] = x[0] * np.ones((1, 1, 1))
    return np.sum(a**3)


def column(x: Any) -> Any:
    a = np.zeros((3, 1))
    a[0] = x[0] * np.ones((1, 1, 1))
    return np.sum(a**3)


@pytest.mark.parametrize(
    ("function", "factors"),
    [(all_of_one, (8, 8, 8)), (row_of_one, (1, 1, 1)), (stretched, (3, 0, 0)), (column, (1, 0, 0))],
)
def test_assigned_values_with_more_axes_than_their_place(function: Any, factors: Any) -> None:
    x = np.array([1.5, -2.0, 0.5])
    np.testing.assert_allclose(grad(function)(x), 3 * np.array(factors) * x**2)
    np.testing.assert_allclose(hessian(function)(x), np.diag(6 * np.array(factors) * x))
    np.testing.assert_allclose(grad(lambda x: np.sum(grad(function)(x)))(x), 6 * np.array(factors) * x)


def test_sums_over_and_spreads_to_more_axes_of_size_1() -> None:
    d = np.array([1.0, 2.0])
    assert np.array_equal(PRIMITIVES["unbroadcast"](d, np.ones((1, 1, 2))), [[d]])
    assert np.array_equal(PRIMITIVES["unbroadcast"](d, np.ones((1, 1))), [[3.0]])
    assert np.array_equal(PRIMITIVES["unbroadcast"](d[1], np.ones((1, 1))), [[2.0]])
    assert PRIMITIVES["unbroadcast"](0.0, np.ones((1, 1))) == 0.0
    assert np.array_equal(PRIMITIVES["broadcast_like"](np.array([[3.0]]), d), [3.0, 3.0])
