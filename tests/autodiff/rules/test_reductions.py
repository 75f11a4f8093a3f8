from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
import torch
from tests.autodiff.interpret import run
from tests.autodiff.rules.checks import Case, check, check_single_precision, check_torch

from etude.autodiff.forward import forward
from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, List, Number, Other, Tuple
from etude.autodiff.primitives import PRIMITIVES, Builder
from etude.autodiff.program import Constant, Program, Variable
from etude.autodiff.reverse import joined

rng = np.random.default_rng(6)
X1, X2, X3 = rng.standard_normal(5), rng.standard_normal((3, 4)), rng.standard_normal((2, 3, 4))
ZEROS = np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 5.0], [1.5, -2.0, 0.5]])

AXES: list[dict[str, Any]] = [
    {},
    {"axis": None},
    {"axis": 0},
    {"axis": -1},
    {"axis": 1, "keepdims": True},
    {"axis": (0, -1)},
    {"axis": (2, 0), "keepdims": True},
    {"axis": (0, 1, 2)},
    {"keepdims": True},
]


def torch_reduction(name: str, **fixed: Any) -> Any:
    """PyTorch's reduction along the same axes."""

    def function(x: torch.Tensor, axis: Any = None, keepdims: bool = False) -> Any:
        axes = tuple(range(x.ndim)) if axis is None else axis
        return attrgetter(name)(torch)(x, dim=axes, keepdim=keepdims, **fixed)

    return function


def reductions() -> list[Case]:
    cases = []
    for keywords in AXES:
        for name, theirs in (
            ("sum", torch_reduction("sum")),
            ("mean", torch_reduction("mean")),
            ("max", torch_reduction("amax")),
            ("min", torch_reduction("amin")),
            ("var", torch_reduction("var", correction=0)),
            ("std", torch_reduction("std", correction=0)),
            ("norm", torch_reduction("linalg.vector_norm")),
        ):
            if name == "norm" and keywords.get("axis") == (0, 1, 2):
                continue
            cases.append(Case(name, (X3,), keywords, torch=partial(theirs, **keywords)))
        cases.append(Case("prod", (X3,), keywords))
    return cases


CASES = [
    *reductions(),
    *(Case(name, (X1,)) for name in ("sum", "mean", "prod", "max", "min", "var", "std", "norm")),
    *(Case(name, (X1,), {"axis": 0}) for name in ("sum", "mean", "prod", "max", "min", "var", "std", "norm")),
    *(Case(name, ([1.5, -0.5, 2.0],)) for name in ("sum", "mean", "prod", "max", "min", "var", "std", "norm")),
    *(Case(name, ((X2, X2[::-1] * 2.0),), {"axis": 0}) for name in ("sum", "mean", "prod", "max")),
    *(Case(name, (0.7,)) for name in ("sum", "mean", "prod", "max", "min", "norm")),
    Case("var", (X2,), {"ddof": 1, "axis": 0}, torch=lambda x: torch.var(x, dim=0, correction=1)),
    Case("std", (X2,), {"ddof": 1}, torch=lambda x: torch.std(x, correction=1)),
    Case("prod", (ZEROS,), {"axis": 0}, torch=lambda x: torch.prod(x, dim=0)),
    Case("prod", (ZEROS,), {"axis": 1}, torch=lambda x: torch.prod(x, dim=1)),
    Case("prod", (ZEROS,), {"axis": (0, 1)}),
    Case("prod", (ZEROS[0],), torch=torch.prod),
    Case("norm", (X1,), {"ord": 2}, torch=torch.linalg.norm),
    Case("cumsum", (X1,), torch=lambda x: torch.cumsum(x, 0)),
    Case("cumsum", (X2,), torch=lambda x: torch.cumsum(x.ravel(), 0)),
    Case("cumsum", (X3,), {"axis": 1}, torch=lambda x: torch.cumsum(x, 1)),
    Case("cumprod", (X1,), torch=lambda x: torch.cumprod(x, 0)),
    Case("cumprod", (X2,), torch=lambda x: torch.cumprod(x.ravel(), 0)),
    Case("cumprod", (ZEROS,), {"axis": 0}, torch=lambda x: torch.cumprod(x, 0)),
    Case("cumprod", (X3,), {"axis": -2}, torch=lambda x: torch.cumprod(x, -2)),
    Case("products_before", (X3,), {"axis": 1}),
    Case("recurrence", (X3, X3[::-1] + 0.5), {"axis": 1}),
    Case("shares", (X2, X2.max(axis=0)), {"axis": 0}, fixed=(0, 1)),
    *(Case(name, (X3,), {"axis": 1}, fixed=(0,)) for name in ("argmax", "argmin", "any", "all", "count_nonzero")),
    *(Case(name, (X3,), fixed=(0,)) for name in ("argmax", "argmin", "any", "all", "count_nonzero")),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rules(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=str)
def test_against_pytorch(case: Case) -> None:
    check_torch(case)


@pytest.mark.parametrize("case", [case for case in CASES if any(case.mask)], ids=str)
def test_single_precision(case: Case) -> None:
    check_single_precision(case)


@pytest.mark.parametrize("name", ["max", "min"])
def test_equal_extrema_share_the_change_equally(name: str) -> None:
    sign = 1.0 if name == "max" else -1.0
    x = Variable("x", Array(2))
    builder = Builder()
    result = builder.emit(PRIMITIVES[name], x, axis=Constant(1))
    program = Program("f", (x,), builder.block, (result,))
    value = sign * np.array([[1.0, 3.0, 3.0], [4.0, 2.0, 0.0]])
    gradient = run(joined(program, (True,)), value, np.array([1.0, 10.0]))[1]
    np.testing.assert_array_equal(gradient, [[0.0, 0.5, 0.5], [10.0, 0.0, 0.0]])
    change = run(forward(program, (True,)), value, np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]))[1]
    np.testing.assert_array_equal(change, [3.0, 8.0])


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "max", "norm"])
@pytest.mark.parametrize("axis", [0, -1])
def test_the_axis_may_be_a_variable(name: str, axis: int) -> None:
    x, along = Variable("x", Array(2)), Variable("axis", Integer())
    builder = Builder()
    result = builder.emit(PRIMITIVES[name], x, axis=along)
    assert result.kind == Array(1)
    gradient = joined(Program("f", (x, along), builder.block, (result,)), (True, False))
    d = rng.standard_normal(3 if axis else 4)
    case = Case(name, (X2,), {"axis": axis})
    expected = run(joined(case.program, (True,)), X2, d)
    np.testing.assert_allclose(run(gradient, X2, axis, d)[1], expected[1])


@pytest.mark.parametrize(
    ("kind", "keywords", "expected"),
    [
        (Array(3), {"axis": Integer()}, Array(2)),
        (Array(3), {"axis": Tuple((Integer(), Integer()))}, Array(1)),
        (Array(1), {"axis": Integer()}, Number()),
        (Array(3), {"axis": Other()}, Number()),
        (Array(None), {}, Number()),
        (Array(None), {"axis": 0}, UNKNOWN),
        (Array(None), {"axis": 0, "keepdims": True}, Array(None)),
        (Array(2, real=False), {"axis": 0}, Array(1, real=False)),
        (Array(2, real=False), {}, Integer()),
        (List(Array(1)), {"axis": 0}, Array(1)),
        (UNKNOWN, {}, UNKNOWN),
    ],
)
def test_kinds_of_sums(kind: Kind, keywords: dict[str, Any], expected: Kind) -> None:
    assert PRIMITIVES["sum"].kind(kind, **keywords) == expected


def test_the_mean_of_integers_is_a_real_number() -> None:
    assert PRIMITIVES["mean"].kind(Array(2, real=False), axis=0) == Array(1)
    assert PRIMITIVES["mean"].kind(Array(2, real=False)) == Number()
    assert PRIMITIVES["mean"].kind(Integer()) == Number()
    assert PRIMITIVES["mean"].kind(UNKNOWN) == UNKNOWN


def test_a_variable_keepdims_is_refused() -> None:
    with pytest.raises(TypeError, match="keepdims"):
        PRIMITIVES["sum"].kind(Array(2), axis=0, keepdims=Integer())


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "max"])
@pytest.mark.parametrize("axis", [None, 1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_keywords_may_be_values_from_outside(name: str, axis: Any, keepdims: bool) -> None:
    x = Variable("x", Array(2))
    builder = Builder()
    result = builder.emit(PRIMITIVES[name], x, axis=Constant(axis, "AXIS"), keepdims=Constant(keepdims, "KEEP"))
    case = Case(name, (X2,), {"axis": axis, "keepdims": keepdims})
    value, expected = run(joined(case.program, (True,)), X2, case.primitive.evaluate(X2, axis=axis, keepdims=keepdims))
    gradient = run(joined(Program("f", (x,), builder.block, (result,)), (True,)), X2, value)[1]
    np.testing.assert_allclose(gradient, expected)


def test_other_norms_are_refused() -> None:
    for order in (1, np.inf, "nuc"):
        with pytest.raises(TypeError, match="Euclidean"):
            PRIMITIVES["norm"].kind(Array(1), ord=order)
    with pytest.raises(TypeError, match="Euclidean"):
        PRIMITIVES["norm"].kind(Array(2), ord=2)


def test_the_gradient_of_a_sum_names_no_keyword_that_the_user_left_out() -> None:
    for name in ("sum", "mean", "var", "max", "prod"):
        case = Case(name, (X2,))
        statements = joined(case.program, (True,)).body
        assert all(value.value is not None for op in statements for value in op.keywords.values())  # type: ignore[union-attr]
