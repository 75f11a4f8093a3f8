from typing import Any

import numpy as np
import pytest
import torch
from tests.autodiff.rules.checks import Case, check, check_single_precision, check_torch

from etude.autodiff.kinds import UNKNOWN, Array, Kind, Number, Tuple
from etude.autodiff.primitives import PRIMITIVES

rng = np.random.default_rng(6)


def draw(*shape: int) -> Any:
    return rng.standard_normal(shape)


def well(*shape: int) -> Any:
    """Matrices that are far from singular."""
    return draw(*shape) + 4.0 * np.eye(shape[-1])


SYSTEMS = [
    ((3, 3), (3,)),
    ((3, 3), (3, 2)),
    ((4, 3, 3), (3,)),
    ((4, 3, 3), (4, 3, 2)),
    ((3, 3), (4, 3, 2)),
    ((4, 3, 3), (3, 2)),
]


def solved(a: torch.Tensor, b: torch.Tensor) -> Any:
    return torch.linalg.solve(a, b.expand(*a.shape[:-2], -1) if b.ndim == 1 else b)


def from_lower(a: torch.Tensor) -> torch.Tensor:
    """The symmetric matrices with these lower triangles."""
    return a.tril() + a.tril(-1).mT


def positive(*shape: int) -> Any:
    """Symmetric matrices that are far from singular."""
    a = draw(*shape)
    return a @ np.swapaxes(a, -1, -2) + 4.0 * np.eye(shape[-1])


CASES = [
    *(Case("solve", (well(*a), draw(*b)), torch=solved) for a, b in SYSTEMS),
    *(Case(name, (well(3, 3),), torch=getattr(torch.linalg, name)) for name in ("inv", "det")),
    *(Case(name, (well(2, 3, 3),), torch=getattr(torch.linalg, name)) for name in ("inv", "det")),
    Case("slogdet", (well(3, 3),)),
    Case("slogdet", (well(2, 3, 3),)),
    *(
        Case("cholesky", (positive(*shape),), torch=lambda a: torch.linalg.cholesky(from_lower(a)))
        for shape in ((3, 3), (2, 3, 3))
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rules(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=str)
def test_against_pytorch(case: Case) -> None:
    check_torch(case)


@pytest.mark.parametrize("case", [case for case in CASES if all(map(np.ndim, case.inputs))], ids=str)
def test_single_precision(case: Case) -> None:
    check_single_precision(case)


@pytest.mark.parametrize(
    ("name", "kinds", "keywords", "expected"),
    [
        ("solve", (Array(3), Array(1)), {}, Array(2)),
        ("det", (Array(3),), {}, Array(1)),
        ("slogdet", (Array(2),), {}, Tuple((Number(), Number()))),
        ("slogdet", (UNKNOWN,), {}, UNKNOWN),
    ],
)
def test_kinds(name: str, kinds: tuple[Kind, ...], keywords: dict[str, Any], expected: Kind) -> None:
    assert PRIMITIVES[name].kind(*kinds, **keywords) == expected


def test_the_gradient_of_a_log_determinant_is_the_inverse_transposed() -> None:
    a = well(3, 3)
    rule = PRIMITIVES["slogdet"].reverse[0]
    assert rule is not None
    np.testing.assert_allclose(rule((0.0, 2.0), PRIMITIVES["slogdet"].evaluate(a), a), 2.0 * np.linalg.inv(a).T)
