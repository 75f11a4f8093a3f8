from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    broadcast,
    join,
    kind_of,
    kinds_of,
    same_shape,
    signature,
)

VALUES: list[tuple[Any, Kind, bool]] = [
    (1.0, Number(), True),
    (np.float32(1), Number(), True),
    (np.array(2.0), Number(), True),
    (3, Integer(), False),
    (True, Integer(), False),
    (np.int64(3), Integer(), False),
    (np.array(2), Integer(), False),
    (np.zeros((2, 3)), Array(2), True),
    (np.arange(3), Array(1, real=False), False),
    ((1.0, 2), Tuple((Number(), Integer())), True),
    ((1, "a"), Tuple((Integer(), Other())), False),
    ([1.0, 2], List(Number()), True),
    ([], List(), True),
    ([1, 2], List(Integer()), False),
    ({"w": np.ones(3), "n": 1}, Dict((("w", Array(1)), ("n", Integer()))), True),
    ("text", Other(), False),
    (None, Other(), False),
    (slice(3), Slice(), False),
]


@pytest.mark.parametrize(("value", "kind", "differentiable"), VALUES, ids=[repr(value) for value, _, _ in VALUES])
def test_kinds_of_values(value: Any, kind: Kind, differentiable: bool) -> None:
    assert kind_of(value) == kind
    assert kind.differentiable == differentiable


ARRAYS = [Array(1), Array(2), Array(), Array(1, real=False), Array().sized("n1", 1), Array().sized("n1", "n2")]
LEAVES = st.sampled_from([Number(), Integer(), *ARRAYS, Other(), UNKNOWN])
KINDS = st.recursive(
    LEAVES,
    lambda kinds: st.one_of(
        st.lists(kinds, max_size=2).map(lambda items: Tuple(tuple(items))),
        kinds.map(List),
        kinds.map(lambda kind: Dict((("a", kind),))),
        kinds.map(lambda kind: Closure("code", (kind,))),
    ),
    max_leaves=4,
)


@given(KINDS, KINDS)
def test_joining_widens(a: Kind, b: Kind) -> None:
    """The join of two kinds is one kind, whichever comes first, and joining again adds nothing."""
    both = join(a, b)
    assert join(a, a) == a
    assert join(b, a) == both
    assert join(both, a) == both
    assert both.differentiable or not (a.differentiable or b.differentiable)


def test_joins_of_tuples_of_other_lengths_are_unknown() -> None:
    assert join(Tuple((Number(),)), Tuple((Number(), Number()))) == UNKNOWN
    assert join(Dict((("a", Number()),)), Dict((("b", Number()),))) == UNKNOWN
    assert join(List(), List(Number())) == List(Number())


SHAPED = [1.5, np.ones(3), np.ones((2, 3)), np.ones((2, 1))]


@pytest.mark.parametrize(("a", "b"), product(SHAPED, SHAPED), ids=lambda value: str(np.shape(value)))
def test_broadcasting_is_that_of_numpy(a: Any, b: Any) -> None:
    assert broadcast([kind_of(a), kind_of(b)]) == kind_of(a + b)
    assert broadcast([kind_of(a), UNKNOWN]) == UNKNOWN
    assert broadcast([kind_of(a), Array()]) == Array()


def test_equal_sizes_have_one_name() -> None:
    x, y, table, items = kinds_of(
        (np.ones((3, 1)), (np.ones(2), 1.0), {"w": np.ones((2, 3))}, [np.ones((5, 3)), np.ones((6, 3))])
    )
    assert x == Array().sized("n1", 1)
    assert y == Tuple((Array().sized("n2"), Number()))
    assert table == Dict((("w", Array().sized("n2", "n1")),))
    assert items == List(Array().sized(None, "n1"))


SHAPES = st.lists(st.sampled_from([1, 1, 2, 3]), max_size=3).map(tuple)


@given(SHAPES, SHAPES)
def test_sizes_broadcast_as_arrays_do(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    try:
        result = np.ones(a) + np.ones(b)
    except ValueError:
        return
    x, y, expected = kinds_of((np.ones(a), np.ones(b), result))
    assert broadcast((x, y)) == expected
    if isinstance(x, Array) and isinstance(y, Array):
        assert same_shape(x, y) == (a == b)


VALUES_OF_ONE_SIGNATURE = [
    ((1.0, np.ones(2)), (2.0, np.zeros(2))),
    ([1.0, 2.0], [3.0]),
    ({"a": np.ones((2, 3)), "b": 1}, {"a": np.zeros((2, 3)), "b": 2}),
    (np.ones((2, 2)).view(np.matrix), np.zeros((2, 2)).view(np.matrix)),
]


@pytest.mark.parametrize(("a", "b"), VALUES_OF_ONE_SIGNATURE)
def test_one_signature_means_one_kind(a: Any, b: Any) -> None:
    assert signature(a) == signature(b)
    assert kinds_of([a]) == kinds_of([b])


def test_values_of_different_kinds_have_different_signatures() -> None:
    values = [value for value, _, _ in VALUES] + [(1.0,), [1.0], np.ones((2, 4)), (np.ones((2, 3)),), {"w": 1.0}]
    for a, b in product(values, values):
        assert signature(a) != signature(b) or kinds_of([a]) == kinds_of([b])
