from typing import Any

import numpy as np
import pytest
import torch
from tests.autodiff.interpret import run
from tests.autodiff.rules.checks import Case, check, check_single_precision, check_torch

from etude.autodiff.kinds import UNKNOWN, Array, Kind
from etude.autodiff.primitives import PRIMITIVES, Builder
from etude.autodiff.program import Program, Variable
from etude.autodiff.reverse import joined

rng = np.random.default_rng(6)


def draw(*shape: int) -> Any:
    return rng.standard_normal(shape)


PRODUCTS = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
]
CASES = [
    *(Case("matmul", (draw(*a), draw(*b)), torch=torch.matmul) for a, b in PRODUCTS),
    Case("matmul_left", (draw(2, 4), draw(2, 3), draw(3, 4)), fixed=(1,)),
    Case("matmul_left", (draw(5, 2), draw(5, 2, 3), draw(3)), fixed=(1,)),
    Case("matmul_left", (draw(5, 4), draw(3), draw(5, 3, 4)), fixed=(1,)),
    Case("matmul_right", (draw(5, 2, 4), draw(5, 2, 3), draw(3, 4)), fixed=(2,)),
    Case("matmul_right", (draw(5, 2), draw(5, 2, 3), draw(3)), fixed=(2,)),
    Case("outer", (draw(3), draw(4)), torch=torch.outer),
    Case("outer", (draw(2, 3), draw(4)), torch=lambda a, b: torch.outer(a.ravel(), b)),
    Case("vdot", (draw(3), draw(3)), torch=torch.vdot),
    Case("vdot", (draw(2, 3), draw(3, 2)), torch=lambda a, b: torch.vdot(a.ravel(), b.ravel())),
    Case("cross", (draw(3), draw(3)), torch=torch.linalg.cross),
    Case("cross", (draw(4, 3), draw(3)), torch=lambda a, b: torch.linalg.cross(a, b.expand(4, 3))),
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


@pytest.mark.parametrize(("a", "b"), PRODUCTS, ids=str)
def test_products_of_arrays_of_unknown_rank(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    left, right = draw(*a), draw(*b)
    x, y = Variable("x", Array(None)), Variable("y", Array(None))
    builder = Builder()
    result = builder.emit(PRIMITIVES["matmul"], x, y)
    program = joined(Program("f", (x, y), builder.block, (result,)), (True, True))
    seed = np.asarray(draw(*np.shape(left @ right)))
    tensors = [torch.tensor(value, requires_grad=True) for value in (left, right)]
    (tensors[0] @ tensors[1] * torch.tensor(seed)).sum().backward()
    for gradient, tensor in zip(run(program, left, right, seed)[1:], tensors, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "kinds", "keywords", "expected"),
    [
        ("matmul", (Array(2), Array(None)), {}, UNKNOWN),
        ("matmul", (Array(2), UNKNOWN), {}, UNKNOWN),
        ("matmul", (Array(2, real=False), Array(1)), {}, Array(1)),
    ],
)
def test_kinds(name: str, kinds: tuple[Kind, ...], keywords: dict[str, Any], expected: Kind) -> None:
    assert PRIMITIVES[name].kind(*kinds, **keywords) == expected


def test_a_product_of_matrices_is_derived_with_two_products_and_two_transposes() -> None:
    x, y = Variable("x", Array(2)), Variable("y", Array(2))
    builder = Builder()
    result = builder.emit(PRIMITIVES["matmul"], x, y)
    program = joined(Program("f", (x, y), builder.block, (result,)), (True, True))
    names = [op.primitive.name for op in program.body if op.outputs]  # type: ignore[union-attr]
    assert sorted(names) == ["T", "T", "matmul", "matmul", "matmul"]
