from typing import Any

import numpy as np
import pytest
from tests.autodiff.rules.checks import Case, check, check_single_precision

from etude.autodiff import grad
from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, Number, Tuple
from etude.autodiff.primitives import FUNCTIONS, PRIMITIVES
from etude.autodiff.program import Constant

rng = np.random.default_rng(6)
X2 = rng.standard_normal((2, 3))

CASES = [
    Case("zeros", (3,)),
    Case("zeros", ((2, 3),)),
    Case("zeros", ((2, 3),), {"dtype": int}),
    Case("ones", ((2, 3),), {"dtype": np.float32}),
    Case("ones_like", (X2,), fixed=(0,)),
    Case("ones_like", (X2,), {"dtype": bool}, fixed=(0,)),
    Case("eye", (3,)),
    Case("eye", (3, 4), {"k": 1}),
    Case("full", ((2, 3), 1.5)),
    Case("full", (4, 1.5)),
    Case("full", ((2, 3), X2[0])),
    Case("full", ((2, 3), 1)),
    Case("full", ((2, 3), 1), {"dtype": float}),
    Case("full_like", (X2, 1.5), fixed=(0,)),
    Case("full_like", (X2, X2[1]), fixed=(0,)),
    Case("linspace", (-1.0, 2.0)),
    Case("linspace", (-1.0, 2.0), {"num": 7}),
    Case("linspace", (0, 2.0), {"num": 4, "endpoint": False}),
    Case("arange", (5,)),
    Case("arange", (2, 5), {"dtype": float}),
    Case("arange", (3.7,)),
    Case("arange", (0.2, 3.7)),
    Case("arange", (0.2, 1.93, 0.25)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rules(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("name", ["full", "full_like"])
def test_single_precision(name: str) -> None:
    check_single_precision(Case(name, ((2, 3) if name == "full" else X2, X2[0]), fixed=(0,)))


@pytest.mark.parametrize(
    ("name", "kinds", "keywords", "expected"),
    [
        ("zeros", (Tuple((Integer(), Integer())),), {}, Array(2)),
        ("zeros", (Integer(),), {}, Array(1)),
        ("zeros", (Tuple(()),), {}, Number()),
        ("zeros", (UNKNOWN,), {}, Array(None)),
        ("zeros", (Integer(),), {"dtype": UNKNOWN}, Array(1)),
        ("ones_like", (Array(2, real=False),), {}, Array(2, real=False)),
        ("full_like", (UNKNOWN, Number()), {}, UNKNOWN),
        ("arange", (Integer(), Number()), {}, Array(1)),
    ],
)
def test_kinds(name: str, kinds: tuple[Kind, ...], keywords: dict[str, Any], expected: Kind) -> None:
    assert PRIMITIVES[name].kind(*kinds, **keywords) == expected


def test_linspace_takes_numbers_only() -> None:
    with pytest.raises(TypeError, match="two numbers"):
        PRIMITIVES["linspace"].kind(Array(1), Number())


def counted(x: Any) -> Any:
    places = np.zeros_like(np.arange(3))
    places[1] = 2
    return np.sum(x[places] ** 2)


def filled(x: Any) -> Any:
    y = np.empty_like(x, dtype=float)
    y[:] = np.zeros_like(x)
    y[0] = x[1] * x[2]
    return np.sum(y)


def test_zeros_like_and_empty_like_keep_the_type() -> None:
    x = np.array([0.5, -1.5, 2.0])
    np.testing.assert_array_equal(grad(counted)(x), [4 * x[0], 0.0, 2 * x[2]])
    np.testing.assert_array_equal(grad(filled)(x), [0.0, x[2], x[1]])
    for function in (np.zeros_like, np.empty_like):
        inputs, keywords = FUNCTIONS[function].arguments((Constant(1),), {"dtype": Constant(float)})
        assert FUNCTIONS[function].primitive is PRIMITIVES["full_like"]
        assert [value.value for value in inputs if isinstance(value, Constant)] == [1, 0]
        assert list(keywords) == ["dtype"]
