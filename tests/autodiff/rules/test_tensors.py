from typing import Any

import numpy as np
import pytest
import torch
from tests.autodiff.rules.checks import Case, check, check_single_precision, check_torch

from etude.autodiff import TransformError, grad
from etude.autodiff.kinds import UNKNOWN, Array, Kind, Number
from etude.autodiff.primitives import FUNCTIONS, PRIMITIVES
from etude.autodiff.program import Constant, Variable

rng = np.random.default_rng(6)


def draw(*shape: int) -> Any:
    return rng.standard_normal(shape)


PRODUCTS = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4))]
CONTRACTIONS: list[tuple[tuple[int, ...], tuple[int, ...], Any]] = [
    ((2, 3, 4), (3, 4, 5), 2),
    ((2, 3), (4, 5), 0),
    ((2, 3, 4), (4, 2, 5), ((2, 0), (0, 1))),
    ((2, 3, 4), (2, 5, 4), ([0, 2], [0, -1])),
    ((2, 3), (5, 3), (-1, 1)),
    ((2, 3), (2, 3), 2),
]
SUMS: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("ij,jk->ik", ((2, 3), (3, 4))),
    ("ij, jk", ((2, 3), (3, 4))),
    ("ij->ji", ((2, 3),)),
    ("ba", ((2, 3),)),
    ("ij->", ((2, 3),)),
    ("ij->i", ((2, 3),)),
    ("i,i", ((3,), (3,))),
    ("i,j->ji", ((3,), (4,))),
    ("bij,bjk,bk->bi", ((2, 3, 4), (2, 4, 5), (2, 5))),
    ("ij,k->k", ((2, 3), (4,))),
    ("bhqd,bhkd->bhqk", ((2, 2, 3, 4), (2, 2, 5, 4))),
]


def einsum_case(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> Case:
    def theirs(*operands: torch.Tensor) -> Any:
        return torch.einsum(subscripts, *operands)

    return Case("einsum", tuple(draw(*shape) for shape in shapes), {"subscripts": subscripts}, torch=theirs)


def tensordot_case(left: tuple[int, ...], right: tuple[int, ...], axes: Any) -> Case:
    def theirs(a: torch.Tensor, b: torch.Tensor) -> Any:
        pairs = axes if isinstance(axes, int) else [[each] if isinstance(each, int) else list(each) for each in axes]
        return torch.tensordot(a, b, pairs)

    return Case("tensordot", (draw(*left), draw(*right)), {"axes": axes}, torch=theirs)


CASES = [
    *(Case("dot", (draw(*a), draw(*b)), torch=torch.matmul) for a, b in PRODUCTS),
    Case("dot", (0.5, draw(3)), torch=torch.multiply),
    Case("dot", (draw(2, 3), 0.5), torch=torch.multiply),
    Case("dot", (0.5, 1.5), torch=torch.multiply),
    Case("dot", (draw(2, 3, 4), draw(5, 4, 2)), torch=lambda a, b: torch.einsum("ijk,lkm->ijlm", a, b)),
    Case("dot", (draw(2, 3, 4), draw(4)), torch=torch.matmul),
    Case("inner", (draw(3), draw(3)), torch=torch.inner),
    Case("inner", (draw(2, 3), draw(4, 3)), torch=torch.inner),
    Case("inner", (draw(2, 3), 0.5), torch=torch.multiply),
    *(tensordot_case(*contraction) for contraction in CONTRACTIONS),
    *(einsum_case(*terms) for terms in SUMS),
    Case("einsum", (draw(2, 3), draw(3, 4), draw(4)), {"subscripts": "ij,jk,k->i", "optimize": True}),
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
        ("dot", (Array(None), Array(1)), {}, UNKNOWN),
        ("dot", (Number(), Array(2)), {}, Array(2)),
        ("einsum", (Array(2), UNKNOWN), {"subscripts": "ij,j"}, Array(1)),
        ("tensordot", (Array(2), Array(None)), {}, UNKNOWN),
    ],
)
def test_kinds(name: str, kinds: tuple[Kind, ...], keywords: dict[str, Any], expected: Kind) -> None:
    assert PRIMITIVES[name].kind(*kinds, **keywords) == expected


@pytest.mark.parametrize("subscripts", ["ii->i", "ii", "...i,i->...", "ij,jj->i"])
def test_einsum_refuses_what_it_cannot_derive(subscripts: str) -> None:
    with pytest.raises(TypeError, match="einsum has no derivative here"):
        PRIMITIVES["einsum"].kind(Array(2), Array(2), subscripts=subscripts)


def test_einsum_and_tensordot_refuse_what_is_not_written_out() -> None:
    with pytest.raises(TypeError, match="written out"):
        PRIMITIVES["einsum"].kind(Array(2), subscripts=UNKNOWN)
    with pytest.raises(TypeError, match="written out"):
        PRIMITIVES["tensordot"].kind(Array(2), Array(2), axes=UNKNOWN)


def test_the_first_argument_of_einsum_says_what_is_summed() -> None:
    subscripts, x, y = Constant("i,i->"), Variable("x"), Variable("y")
    inputs, keywords = FUNCTIONS[np.einsum].arguments((subscripts, x, y), {})
    assert inputs == (x, y)
    assert keywords == {"subscripts": subscripts}


def by_lists(x: Any) -> Any:
    return np.tensordot(x, x, axes=([0, 1], [0, 1]))


def test_tensordot_says_how_it_takes_its_axes() -> None:
    with pytest.raises(TransformError, match="tensordot takes its axes as a number or a pair of tuples"):
        grad(by_lists)(np.ones((2, 2)))
