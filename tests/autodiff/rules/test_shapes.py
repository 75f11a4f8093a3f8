from typing import Any

import numpy as np
import pytest
import torch
from tests.autodiff.interpret import run
from tests.autodiff.rules.checks import Case, check, check_single_precision, check_torch

from etude.autodiff.kinds import UNKNOWN, Array, Integer, Kind, List, Number, Tuple
from etude.autodiff.primitives import PRIMITIVES, Builder
from etude.autodiff.program import Program, Variable
from etude.autodiff.reverse import joined

rng = np.random.default_rng(6)
X1, X2, X3 = rng.standard_normal(5), rng.standard_normal((3, 4)), rng.standard_normal((2, 3, 4))

CASES = [
    Case("reshape", (X2, (2, 6)), torch=lambda x, shape: x.reshape(shape)),
    Case("reshape", (X2, 2, -1), torch=lambda x, n, m: x.reshape(n, m)),
    Case("reshape", (X2, -1), torch=lambda x, n: x.reshape(n)),
    Case("reshape_like", (X2, np.zeros((2, 6))), fixed=(1,)),
    Case("ravel", (X3,), torch=torch.ravel),
    Case("expand_dims", (X2,), {"axis": 1}, torch=lambda x: x.unsqueeze(1)),
    Case("expand_dims", (X2,), {"axis": (0, -1)}),
    Case("squeeze", (X2[:, None],), {"axis": 1}, torch=lambda x: x.squeeze(1)),
    Case("squeeze", (X2[None, :, None],), {"axis": (0, -2)}),
    Case("transpose", (X3,), torch=lambda x: x.permute(2, 1, 0)),
    Case("transpose", (X3,), {"axes": (1, 2, 0)}, torch=lambda x: x.permute(1, 2, 0)),
    Case("transpose", (X3,), {"axes": (-1, 0, 1)}, torch=lambda x: x.permute(-1, 0, 1)),
    Case("T", (X2,), torch=lambda x: x.T),
    Case("matrix_transpose", (X3,), torch=lambda x: x.mT),
    Case("swapaxes", (X3,), {"axis1": 0, "axis2": -1}, torch=lambda x: x.swapaxes(0, -1)),
    Case("moveaxis", (X3,), {"source": 0, "destination": -1}, torch=lambda x: x.moveaxis(0, -1)),
    Case("moveaxis", (X3,), {"source": (0, 1), "destination": (1, 2)}, torch=lambda x: x.moveaxis((0, 1), (1, 2))),
    Case("flip", (X3,), torch=lambda x: x.flip(0, 1, 2)),
    Case("flip", (X3,), {"axis": (0, 2)}, torch=lambda x: x.flip(0, 2)),
    Case("roll", (X3,), {"shift": 2}, torch=lambda x: x.roll(2)),
    Case("roll", (X3,), {"shift": 1, "axis": 2}, torch=lambda x: x.roll(1, 2)),
    Case("roll", (X3,), {"shift": (1, -2), "axis": (0, 2)}, torch=lambda x: x.roll((1, -2), (0, 2))),
    Case("broadcast_to", (X1,), {"shape": (3, 5)}, torch=lambda x: x.broadcast_to(3, 5)),
    Case("broadcast_to", (X2[:, :1],), {"shape": (2, 3, 4)}, torch=lambda x: x.broadcast_to(2, 3, 4)),
    Case("tril", (X3,), {"k": -1}, torch=lambda x: x.tril(-1)),
    Case("triu", (X2,), torch=torch.triu),
    Case("atleast_1d", (X2,)),
    Case("atleast_2d", (X1,), torch=torch.atleast_2d),
    Case("atleast_2d", (X3,)),
    Case("copy", (X2,)),
    Case("astype", (X2,), {"dtype": np.float64}),
    Case("astype", (X2,), {"dtype": int}, fixed=(0,)),
    Case("astype_like", (X2, X2), {"dtype": np.float64}, fixed=(1,)),
    Case("inverse_permutation", ((1, -1, 0),)),
    *(Case(name, (X3,), fixed=(0,)) for name in ("shape", "ndim", "size")),
    Case("size", (X3,), {"axis": 1}, fixed=(0,)),
    Case("shape", (1.5,), fixed=(0,)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rules(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=str)
def test_against_pytorch(case: Case) -> None:
    check_torch(case)


@pytest.mark.parametrize(
    "case", [case for case in CASES if any(case.mask) and not case.name.startswith("astype")], ids=str
)
def test_single_precision(case: Case) -> None:
    check_single_precision(case)


def test_a_change_of_precision_is_undone_on_the_way_back() -> None:
    case = Case("astype", (X2.astype(np.float32),), {"dtype": np.float64})
    assert run(joined(case.program, (True,)), case.inputs[0], X2)[1].dtype == np.float32
    case = Case("astype", (X2,), {"dtype": np.float32})
    result, gradient = run(joined(case.program, (True,)), X2, X2.astype(np.float32))
    assert (result.dtype, gradient.dtype) == (np.float32, np.float64)


def test_the_shift_and_the_axes_may_be_variables() -> None:
    x, shift, axes = Variable("x", Array(3)), Variable("shift", Integer()), Variable("axes", Tuple((Integer(),) * 3))
    builder = Builder()
    turned = builder.emit(PRIMITIVES["transpose"], x, axes=axes)
    result = builder.emit(PRIMITIVES["roll"], turned, shift=shift, axis=shift)
    program = joined(Program("f", (x, shift, axes), builder.block, (result,)), (True, False, False))
    d = np.roll(X3.transpose(2, 0, 1), 1, 1) ** 2
    np.testing.assert_array_equal(run(program, X3, 1, (2, 0, 1), d)[1], X3**2)


@pytest.mark.parametrize(
    ("name", "kinds", "keywords", "expected"),
    [
        ("reshape", (Array(2), Integer(), Integer(), Integer()), {}, Array(3)),
        ("reshape", (Array(2), Tuple((Integer(),))), {}, Array(1)),
        ("reshape", (Array(2), Tuple(())), {}, Number()),
        ("reshape", (Array(None, real=False), Integer()), {}, Array(1, real=False)),
        ("reshape", (Array(2), UNKNOWN), {}, Array(None)),
        ("expand_dims", (Number(),), {"axis": Integer()}, Array(1)),
        ("expand_dims", (Array(1),), {"axis": UNKNOWN}, Array(None)),
        ("squeeze", (Array(3),), {}, Array(None)),
        ("ravel", (Array(None),), {}, Array(1)),
        ("transpose", (Array(None),), {}, Array(None)),
        ("broadcast_to", (Number(),), {"shape": Tuple((Integer(), Integer()))}, Array(2)),
        ("astype", (Array(2, real=False),), {"dtype": float}, Array(2)),
        ("astype", (Number(),), {"dtype": np.int64}, Integer()),
        ("shape", (Array(None),), {}, UNKNOWN),
        ("flip", (UNKNOWN,), {}, UNKNOWN),
    ],
)
def test_kinds(name: str, kinds: tuple[Kind, ...], keywords: dict[str, Any], expected: Kind) -> None:
    assert PRIMITIVES[name].kind(*kinds, **keywords) == expected


def test_lists_are_refused() -> None:
    with pytest.raises(TypeError, match=r"np\.array"):
        PRIMITIVES["flip"].kind(List(Number()))
