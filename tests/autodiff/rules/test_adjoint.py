import numpy as np
import pytest

import etude.autodiff.rules  # noqa: F401
from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, List, Number, Other, Tuple
from etude.autodiff.primitives import PRIMITIVES, Builder
from etude.autodiff.program import Variable
from etude.autodiff.rules.adjoint import array_kind, array_of, known_ranks, length, rank_at, ranked

rng = np.random.default_rng(6)


@pytest.mark.parametrize("forth", ["tile", "repeat", "diff", "diag"])
def test_the_adjoint_of_the_adjoint_is_the_function(forth: str) -> None:
    x = rng.standard_normal(4)
    keywords = {"tile": {"reps": 2}, "repeat": {"repeats": 3}}.get(forth, {})
    function = PRIMITIVES[forth]
    back = function.reverse[0]
    assert back is not None
    d = rng.standard_normal(np.shape(function.evaluate(x, **keywords)))
    builder = Builder()
    symbols = [builder.symbol(Variable(name, Array(1))) for name in ("d", "y", "x")]
    back(*symbols, **keywords)
    adjoint = builder.block[-1].primitive  # type: ignore[union-attr]
    again = adjoint.reverse[0]
    assert again is not None
    np.testing.assert_array_equal(again(x, None, d, x, **keywords), function.evaluate(x, **keywords))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (List(List(Number())), Array(2)),
        (Tuple((Array(2), Array(2, real=False))), Array(3)),
        (Tuple((Array(2), Array(1))), Array(None)),
        (Tuple(()), Array(1)),
        (Integer(), Integer()),
        (Other(), UNKNOWN),
        (List(Other()), UNKNOWN),
    ],
)
def test_kinds_of_arrays(kind: Kind, expected: Kind) -> None:
    assert array_kind(kind) == expected


def test_ranks() -> None:
    assert ranked(Array(2), lambda rank: rank - 2) == Number()
    assert ranked(Array(2, real=False), lambda rank: rank - 2) == Integer()
    assert ranked(Array(None), lambda rank: rank - 2) == Array(None)
    assert ranked(Array(None), 1) == Array(1)
    assert ranked(UNKNOWN, 1) == UNKNOWN
    assert array_of(None, False) == Array(None, real=False)
    assert [rank_at(value) for value in (1.5, 3, np.ones((2, 3)), [1.5])] == [0, 0, 2, None]
    with pytest.raises(TypeError, match="number of axes is known"):
        known_ranks("dot", [1.5], 1.0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 1),
        (Integer(), 1),
        ((1, 2), 2),
        ([1, 2, 3], 3),
        (Tuple((Integer(), Integer())), 2),
        (UNKNOWN, None),
        (None, None),
    ],
)
def test_lengths_of_keywords(value: object, expected: int | None) -> None:
    assert length(value) == expected
