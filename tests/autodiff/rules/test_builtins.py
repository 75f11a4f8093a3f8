"""Python's built-in functions, of numbers and of sequences."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.autodiff.rules.checks import Case, check, check_kind, check_single_precision, check_torch, run

from etude.autodiff.primitives import FUNCTIONS, PRIMITIVES
from etude.autodiff.program import Constant
from etude.autodiff.reverse import joined

B = np.array([[0.5, -1.3, 2.1], [1.7, 0.4, -0.6]])

CASES = [
    Case("sum_items", ([1.3, 0.4, -0.7],), torch=lambda x: sum(x)),
    Case("sum_items", ((1.3, 0.4),), torch=lambda x: sum(x)),
    Case("sum_items", ([1.3, 0.4], 2.1), torch=lambda x, start: sum(x, start)),
    Case("sum_items", ([B, B + 1],), torch=lambda x: sum(x)),
    Case("sum_items", ((1.3, B, B[:, :1], B[0]), 2.1), torch=lambda x, start: sum(x, start)),
    Case("sum_items", ([1.3, 0.4], B), torch=lambda x, start: sum(x, start)),
    Case("sum_items", (B,), torch=lambda x: sum(x)),
    Case("sum_items", (B[0],), torch=lambda x: sum(x)),
    Case("spread", (1.3, [0.4, 0.7]), fixed=(1,)),
    Case("spread", (B, [B, B]), fixed=(1,)),
    Case("spread", (B, (1.3, B[0], B[:, :1])), fixed=(1,)),
    Case("spread", (B[0], B), fixed=(1,)),
    Case("largest", (1.3, 0.4), torch=max),
    Case("largest", (0.4, 1.3), torch=max),
    Case("largest", (1.3, 1), torch=max),
    Case("largest", (0.4, 1.3, 0.7), torch=max),
    Case("largest", ([0.4, 1.3, 0.7],)),
    Case("largest", ((0.4, 1.3),)),
    Case("largest", (B[0],), torch=torch.max),
    Case("smallest", (1.3, 0.4), torch=min),
    Case("smallest", (0.4, 1.3), torch=min),
    Case("smallest", (1.3, 0.4, 0.7), torch=min),
    Case("smallest", ([1.3, 0.4, 0.7],)),
    Case("float", (1.3,), torch=lambda x: x),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rules(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=str)
def test_pytorch(case: Case) -> None:
    check_torch(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_single_precision(case: Case) -> None:
    check_single_precision(case)


@pytest.mark.parametrize(
    ("name", "inputs", "keywords"),
    [
        ("largest", (1, 2), {}),
        ("largest", ((1, 2),), {}),
        ("sum_items", ([1, 2],), {}),
        ("int", (1.5,), {}),
        ("bool", (1.5,), {}),
        ("any_item", ([True, False],), {}),
        ("all_items", ([True, False],), {}),
        ("round", (1.5,), {}),
        ("round", (1.55, 1), {}),
        ("isinstance", (1.5, float), {}),
        ("str", (1.5,), {}),
        ("repr", (1.5,), {}),
        ("format", (1.5, "a"), {"text": "{:.3f} of {!r}"}),
        ("place", (2, 1, 2), {}),
    ],
)
def test_kinds(name: str, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    check_kind(Case(name, inputs, keywords))


@pytest.mark.parametrize("name", ["largest", "smallest"])
@pytest.mark.parametrize("inputs", [(1.5, 1.5), (1.5, 1.5, 1.5), ([1.5, 1.5],)], ids=str)
def test_of_equal_numbers_the_first_is_taken(name: str, inputs: tuple[Any, ...]) -> None:
    case = Case(name, inputs)
    _, *gradients = run(joined(case.program, case.mask), *inputs, 1.0)
    first, *others = gradients if len(inputs) > 1 else gradients[0]
    assert (first, sum(others)) == (1.0, 0.0)


def test_the_text_of_an_f_string() -> None:
    assert PRIMITIVES["format"](1.5, "a", text="{:.3f} of {!r} {{}}") == f"{1.5:.3f} of {'a'!r} {{}}"


def test_errors_are_raised() -> None:
    with pytest.raises(KeyError, match="lost"):
        PRIMITIVES["raise_"]("lost", error=KeyError)
    assert PRIMITIVES["raise_"].effect


def test_printing_is_an_effect(capsys: pytest.CaptureFixture[str]) -> None:
    inputs, keywords = FUNCTIONS[print].arguments((Constant("a"), Constant("b")), {"sep": Constant("-")})
    assert PRIMITIVES["print"].effect
    PRIMITIVES["print"].evaluate(*(each.value for each in inputs), sep=keywords["sep"].value)  # type: ignore[union-attr]
    assert capsys.readouterr().out == "a-b\n"
