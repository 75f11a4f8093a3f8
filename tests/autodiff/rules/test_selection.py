from typing import Any

import numpy as np
import pytest
import torch
from tests.autodiff.rules.checks import Case, check, check_single_precision, check_torch

from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, Number
from etude.autodiff.primitives import PRIMITIVES

rng = np.random.default_rng(6)
X1, X2, X3 = rng.standard_normal(5), rng.standard_normal((3, 4)), rng.standard_normal((2, 3, 4))
PICKS = np.array([[2, 0], [2, 1]])
ALONG = np.array([[0, 2, 2, 1], [0, 0, 1, 1]])

CASES = [
    Case("tile", (X1,), {"reps": 3}, torch=lambda x: x.tile(3)),
    Case("tile", (X1,), {"reps": (2, 3)}, torch=lambda x: x.tile(2, 3)),
    Case("tile", (X3,), {"reps": (2, 1)}, torch=lambda x: x.tile(2, 1)),
    Case("repeat", (X1,), {"repeats": 3}, torch=lambda x: x.repeat_interleave(3)),
    Case("repeat", (X2,), {"repeats": 2}, torch=lambda x: x.repeat_interleave(2)),
    Case("repeat", (X3,), {"repeats": 2, "axis": 1}, torch=lambda x: x.repeat_interleave(2, 1)),
    Case("repeat", (X2,), {"repeats": (2, 0, 1), "axis": 0}),
    Case("take", (X1,), {"indices": 2}, torch=lambda x: x[2]),
    Case("take", (X2,), {"indices": PICKS}, torch=lambda x: x.ravel()[PICKS]),
    Case("take", (X3,), {"indices": PICKS, "axis": 1}, torch=lambda x: x[:, PICKS]),
    Case("take", (X3,), {"indices": 1, "axis": -1}, torch=lambda x: x[..., 1]),
    Case("take", (X3,), {"indices": [2, 2, 0], "axis": -2}, torch=lambda x: x[:, [2, 2, 0]]),
    Case("take_along_axis", (X2,), {"indices": ALONG, "axis": 0}, torch=lambda x: x.gather(0, torch.tensor(ALONG))),
    Case("take_along_axis", (X2,), {"indices": np.array([3, 0, 3]), "axis": None}),
    Case("sort", (X1,), torch=lambda x: x.sort().values),
    Case("sort", (X3,), {"axis": 1}, torch=lambda x: x.sort(dim=1).values),
    Case("sort", (X2,), {"axis": None}, torch=lambda x: x.ravel().sort().values),
    Case("argsort", (X3,), {"axis": 1}, fixed=(0,)),
    Case("argsort", (X3,), {"axis": None}, fixed=(0,)),
    Case("pad", (X2,), {"pad_width": 2}, torch=lambda x: torch.nn.functional.pad(x, (2, 2, 2, 2))),
    Case("pad", (X1,), {"pad_width": (1, 0), "constant_values": 7.0}),
    Case("pad", (X3,), {"pad_width": ((0, 1), (2, 0), (1, 1)), "mode": "constant"}),
    Case("unpad", (np.pad(X2, 2), X2), {"pad_width": 2}, fixed=(1,)),
    Case("diagonal", (X2,), {"offset": 1}, torch=lambda x: x.diagonal(1)),
    Case("diagonal", (X3,), {"offset": -1, "axis1": 2, "axis2": 0}, torch=lambda x: x.diagonal(-1, 2, 0)),
    Case("trace", (X2,), torch=lambda x: x[:, :3].trace()),
    Case("trace", (X3,), {"axis1": -2, "axis2": -1, "offset": 1}),
    Case("diag", (X1,), {"k": 2}, torch=lambda x: x.diag(2)),
    Case("diag", (X2,), {"k": -1}, torch=lambda x: x.diag(-1)),
    Case("diff", (X1,), torch=torch.diff),
    Case("diff", (X3,), {"axis": 1}, torch=lambda x: x.diff(dim=1)),
]
ADJOINTS = {
    "tile": "tile_sum",
    "repeat": "repeat_sum",
    "take": "take_sum",
    "take_along_axis": "take_along_axis_sum",
    "diagonal": "on_diagonal",
    "trace": "along_diagonal",
    "diag": "diag_like",
    "diff": "undiff",
}


def adjoint_of(case: Case, name: str) -> Case:
    """The adjoint of a function of a case, at what the function makes of its input."""
    return Case(name, (case.primitive.evaluate(*case.inputs, **case.keywords), *case.inputs), case.keywords, fixed=(1,))


OF_ADJOINTS = [adjoint_of(case, ADJOINTS[case.name]) for case in CASES if case.name in ADJOINTS]


@pytest.mark.parametrize("case", CASES + OF_ADJOINTS, ids=str)
def test_rules(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=str)
def test_against_pytorch(case: Case) -> None:
    check_torch(case)


@pytest.mark.parametrize("case", [case for case in CASES + OF_ADJOINTS if any(case.mask)], ids=str)
def test_single_precision(case: Case) -> None:
    check_single_precision(case)


@pytest.mark.parametrize(
    ("name", "kinds", "keywords", "expected"),
    [
        ("take", (Array(3),), {"indices": Array(2, real=False), "axis": Integer()}, Array(4)),
        ("take", (Array(3),), {"indices": Integer()}, Number()),
        ("take", (Array(3),), {"indices": UNKNOWN}, UNKNOWN),
        ("tile", (Array(2),), {"reps": Integer()}, Array(2)),
    ],
)
def test_kinds(name: str, kinds: tuple[Kind, ...], keywords: dict[str, Any], expected: Kind) -> None:
    assert PRIMITIVES[name].kind(*kinds, **keywords) == expected


def test_other_kinds_of_padding_are_refused() -> None:
    with pytest.raises(TypeError, match="constant"):
        PRIMITIVES["pad"].kind(Array(1), pad_width=1, mode="edge")
