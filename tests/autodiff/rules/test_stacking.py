import numpy as np
import pytest
import torch
from tests.autodiff.rules.checks import Case, check, check_single_precision, check_torch

from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, List, Number, Tuple
from etude.autodiff.primitives import PRIMITIVES

rng = np.random.default_rng(6)
A1, B1, C1 = (rng.standard_normal(size) for size in (2, 3, 2))
A2, B2, C2 = (rng.standard_normal(shape) for shape in ((2, 3), (4, 3), (2, 3)))
A3, B3 = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 1, 4))

CASES = [
    Case("concatenate", ([A1, B1, C1],), torch=torch.cat),
    Case("concatenate", ((A2, B2),), {"axis": 0}, torch=torch.cat),
    Case("concatenate", ([A3, B3],), {"axis": -2}, torch=lambda parts: torch.cat(parts, -2)),
    Case("concatenate", (A3,), {"axis": 1}, torch=lambda x: torch.cat(tuple(x), 1)),
    Case("concatenate", ([A2, np.zeros((0, 3))],), {"axis": 0}, torch=torch.cat),
    Case("stack", ([A1, C1],), torch=torch.stack),
    Case("stack", ((A2, C2),), {"axis": -1}, torch=lambda parts: torch.stack(parts, -1)),
    Case("stack", (A2,), {"axis": 1}),
    Case("stack", ([0.5, -1.5],)),
    Case("hstack", ([A1, B1],), torch=torch.hstack),
    Case("hstack", ((A3, B3),), torch=torch.hstack),
    Case("hstack", ([0.5, -1.5, 2.0],)),
    Case("vstack", ([A1, C1],), torch=torch.vstack),
    Case("vstack", ((A2, B1, B2),), torch=torch.vstack),
    Case("column_stack", ([A1, C1],), torch=torch.column_stack),
    Case("column_stack", ((A2, A1),), torch=torch.column_stack),
    Case("array", ([0.5, -1.5],)),
    Case("array", ([[0.5, -1.5, 1.0], [2.0, 3.0, 4.0]],)),
    Case("array", (((0.5, 2.0), (1.0, -3.0)),)),
    Case("array", ([A2, C2],)),
    Case("array", ([(A1, C1), (C1, A1)],)),
    Case("array", (A2,)),
    Case("asarray", (A2,)),
    Case("array", (0.5,)),
    Case("array", ([1, 2],), {"dtype": float}),
    Case("array", ([1, 2],)),
    Case("array", ([[True, False]],)),
    Case("split", (B1,), {"indices_or_sections": 3}, torch=lambda x: list(x.split(1))),
    Case("split", (B2,), {"indices_or_sections": (1, 3)}, torch=lambda x: list(x.tensor_split((1, 3)))),
    Case("split", (A3,), {"indices_or_sections": 2, "axis": -1}, torch=lambda x: list(x.tensor_split(2, -1))),
    Case("array_split", (B1,), {"indices_or_sections": 2}, torch=lambda x: list(x.tensor_split(2))),
]
ADJOINTS = {
    "concatenate": "split_like",
    "stack": "unstack_like",
    "hstack": "hsplit_like",
    "vstack": "vsplit_like",
    "column_stack": "columns_like",
    "array": "unnest_like",
}


def adjoint_of(case: Case, name: str) -> Case:
    """The adjoint of a function of a case, at what the function makes of its input."""
    return Case(name, (case.primitive.evaluate(*case.inputs, **case.keywords), *case.inputs), case.keywords, fixed=(1,))


OF_ADJOINTS = [adjoint_of(case, ADJOINTS[case.name]) for case in CASES if case.name in ADJOINTS and any(case.mask)]


@pytest.mark.parametrize("case", CASES + OF_ADJOINTS, ids=str)
def test_rules(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=str)
def test_against_pytorch(case: Case) -> None:
    check_torch(case)


@pytest.mark.parametrize("case", [case for case in CASES if any(case.mask) and case.torch], ids=str)
def test_single_precision(case: Case) -> None:
    check_single_precision(case)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("array", List(List(Number())), Array(2)),
        ("array", List(None), Array(1)),
        ("array", Tuple((Integer(), Integer())), Array(1, real=False)),
        ("array", List(Array(None)), Array(None)),
        ("array", List(UNKNOWN), UNKNOWN),
        ("stack", List(Array(2)), Array(3)),
        ("stack", List(Number()), Array(1)),
        ("concatenate", List(Array(2)), Array(2)),
        ("concatenate", Tuple((Array(2, real=False), Array(2))), Array(2)),
        ("vstack", List(Array(1)), Array(2)),
        ("hstack", List(Number()), Array(1)),
        ("concatenate", UNKNOWN, UNKNOWN),
        ("split", Array(2), List(Array(2))),
    ],
)
def test_kinds(name: str, kind: Kind, expected: Kind) -> None:
    keywords = {"indices_or_sections": 2} if name == "split" else {}
    assert PRIMITIVES[name].kind(kind, **keywords) == expected


def test_a_split_into_unequal_parts_fails_as_in_numpy() -> None:
    with pytest.raises(ValueError, match="equal division"):
        PRIMITIVES["split"].evaluate(np.arange(5.0), indices_or_sections=2)
