"""Functions of NumPy and of `math` against finite differences and PyTorch."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.autodiff.interpret import run
from tests.autodiff.rules.checks import Case, check, check_kind, check_single_precision, check_torch

from etude.autodiff.forward import forward
from etude.autodiff.kinds import Integer, Kind, Number, kind_of
from etude.autodiff.primitives import FUNCTIONS, PRIMITIVES
from etude.autodiff.program import Constant
from etude.autodiff.reverse import joined

ANY = np.array([[0.5, -1.3, 2.1], [1.7, 0.4, -0.6]])
INSIDE = np.array([[0.5, -0.3], [0.7, -0.9]])
POSITIVE = np.array([[0.5, 1.3], [0.07, 12.0]])
ABOVE = np.array([1.5, 1.1, 3.0])
ROW = np.array([0.9, -1.9, 1.8])
COLUMN = np.array([[1.1], [-0.7]])

UNARY: list[tuple[str, str, np.ndarray, Callable[..., Any]]] = [
    ("sin", "sin", ANY, torch.sin),
    ("cos", "cos", ANY, torch.cos),
    ("tan", "tan", INSIDE, torch.tan),
    ("arcsin", "asin", INSIDE, torch.asin),
    ("arccos", "acos", INSIDE, torch.acos),
    ("arctan", "atan", ANY, torch.atan),
    ("sinh", "sinh", ANY, torch.sinh),
    ("cosh", "cosh", ANY, torch.cosh),
    ("tanh", "tanh", ANY, torch.tanh),
    ("arcsinh", "asinh", ANY, torch.asinh),
    ("arccosh", "acosh", ABOVE, torch.acosh),
    ("arctanh", "atanh", INSIDE, torch.atanh),
    ("exp", "exp", ANY, torch.exp),
    ("expm1", "expm1", ANY, torch.expm1),
    ("exp2", "exp2", ANY, torch.exp2),
    ("log", "log", POSITIVE, torch.log),
    ("log2", "log2", POSITIVE, torch.log2),
    ("log10", "log10", POSITIVE, torch.log10),
    ("log1p", "log1p", INSIDE, torch.log1p),
    ("sqrt", "sqrt", POSITIVE, torch.sqrt),
    ("cbrt", "cbrt", POSITIVE, lambda x: x ** (1 / 3)),
    ("square", "", ANY, torch.square),
    ("reciprocal", "", ANY, torch.reciprocal),
    ("abs", "", ANY, torch.abs),
    ("fabs", "fabs", ANY, torch.abs),
    ("degrees", "degrees", ANY, torch.rad2deg),
    ("radians", "radians", ANY, torch.deg2rad),
    ("", "erf", ANY, torch.erf),
    ("", "erfc", ANY, torch.erfc),
]
BINARY: list[tuple[str, str, Callable[..., Any] | None]] = [
    ("arctan2", "atan2", torch.atan2),
    ("copysign", "copysign", torch.copysign),
    ("fmod", "fmod", torch.fmod),
    ("hypot", "hypot", torch.hypot),
    ("logaddexp", "", torch.logaddexp),
    ("logaddexp2", "", torch.logaddexp2),
    ("maximum", "", torch.maximum),
    ("minimum", "", torch.minimum),
]


def tensor(x: Any) -> torch.Tensor:
    return torch.as_tensor(x, dtype=torch.float64)


def on_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors, of numbers too."""
    return lambda *values: function(*map(tensor, values))


CASES = [
    *(Case(name, (x,), torch=function) for name, _, domain, function in UNARY if name for x in (domain, domain[-1])),
    *(Case(name, (float(domain.flat[0]),), torch=function) for name, _, domain, function in UNARY if name),
    *(
        Case(f"math.{twin}", (float(x),), torch=on_tensors(function))
        for _, twin, domain, function in UNARY
        if twin
        for x in domain.flat[:3]
    ),
    *(
        Case(name, pair, torch=function and on_tensors(function), fixed=(1,) if name == "copysign" else ())
        for name, _, function in BINARY
        for pair in ((ANY, ROW), (ANY, COLUMN), (COLUMN, ROW), (ANY, 1.1), (1.1, ANY), (0.7, -1.2))
    ),
    *(
        Case(f"math.{twin}", pair, torch=function and on_tensors(function), fixed=(1,) if twin == "copysign" else ())
        for _, twin, function in BINARY
        if twin
        for pair in ((0.7, -1.2), (-3.1, 0.8))
    ),
    Case("math.log", (1.3, 2.7), torch=lambda x, base: torch.log(x) / torch.log(base)),
    Case("math.log", (1.3, 2), torch=lambda x, base: torch.log(x) / math.log(base)),
    Case("math.pow", (1.3, 2.7), torch=torch.pow),
    Case("math.pow", (-1.3, 3), torch=torch.pow),
    Case("math.hypot", (1.3, -2.7, 0.4), torch=lambda *x: torch.linalg.vector_norm(torch.stack(x))),
    Case("heaviside", (ANY, COLUMN), fixed=(0,)),
    Case("clip", (ANY, -1, 1), torch=torch.clip),
    Case("clip", (ANY, COLUMN - 1, COLUMN + 0.9), torch=torch.clip),
    Case("clip", (ANY, None, ROW), torch=torch.clip),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rules(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=str)
def test_pytorch(case: Case) -> None:
    check_torch(case)


@pytest.mark.parametrize("case", [case for case in CASES if not case.name.startswith("math.")], ids=str)
def test_single_precision(case: Case) -> None:
    check_single_precision(case)


@pytest.mark.parametrize(("name", "twin", "domain", "function"), UNARY)
def test_third_derivatives(name: str, twin: str, domain: np.ndarray, function: Callable[..., Any]) -> None:
    x = float(domain.flat[0])
    program = Case(name or f"math.{twin}", (x,)).program
    for order in range(3):
        program = forward(program, (True, *(False for _ in range(order))))
    at = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    value = function(at) + 0 * at**4  # a third derivative for the linear ones too
    for _ in range(3):
        (value,) = torch.autograd.grad(value, at, create_graph=True)
    assert run(program, x, 1.0, 1.0, 1.0)[-1] == pytest.approx(value.item(), rel=1e-9)


def test_numbers_that_bound_an_array() -> None:
    check(Case("clip", (ANY, -1.0, 1.0)))


@pytest.mark.parametrize("name", ["sign", "floor", "ceil", "trunc", "rint", "around", "isnan", "isinf", "isfinite"])
@pytest.mark.parametrize("x", [1.5, ANY], ids=["number", "array"])
def test_steps(name: str, x: Any) -> None:
    check_kind(Case(name, (x,)))
    assert not PRIMITIVES[name].forward


@pytest.mark.parametrize("name", ["logical_and", "logical_or", "logical_xor", "logical_not", "signbit"])
def test_logic(name: str) -> None:
    check_kind(Case(name, (ANY > 0, ROW > 0)[: 1 if name in ("logical_not", "signbit") else 2]))


@pytest.mark.parametrize("function", [math.floor, math.ceil, math.trunc, math.isnan, math.isinf, math.isfinite])
def test_whole_numbers_of_math(function: Callable[..., Any]) -> None:
    assert FUNCTIONS[function].primitive.evaluate(1.5) == function(1.5)
    assert FUNCTIONS[function].primitive.kind(Number()) == Integer() == kind_of(function(1.5))


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (math.factorial, (4,)),
        (math.comb, (4, 2)),
        (math.perm, (4, 2)),
        (math.gcd, (4, 6)),
        (math.lcm, (4, 6)),
        (math.isqrt, (10,)),
        (math.isclose, (0.1, 0.2)),
        (np.isclose, (ANY, ROW)),
        (np.isclose, (0.1, 0.2)),
        (np.fix, (ANY,)),
    ],
)
def test_functions_without_derivative(function: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    primitive = FUNCTIONS[function].primitive
    assert not primitive.forward
    np.testing.assert_array_equal(primitive.evaluate(*inputs), function(*inputs))
    check_kind(Case(primitive.name, inputs))


def test_each_function_of_math_is_the_twin_of_numpys() -> None:
    pairs = [(name, twin) for name, twin, *_ in UNARY] + [(name, twin) for name, twin, _ in BINARY]
    for name, twin in pairs:
        if name and twin and name != "hypot":
            assert PRIMITIVES[name].scalar is PRIMITIVES[f"math.{twin}"]


def test_the_rules_of_math_use_math_alone() -> None:
    for name, primitive in PRIMITIVES.items():
        if name.startswith("math.") and primitive.forward:
            case = next(case for case in CASES if case.name == name)
            used = {op.primitive for op in joined(case.program, case.mask).body}  # type: ignore[union-attr]
            assert not [each.name for each in used if "np." in each.template], name


@pytest.mark.parametrize(
    ("name", "inputs", "expected"),
    [
        ("maximum", (1.0, 1.0), (0.5, 0.5)),
        ("minimum", (1.0, 1.0), (0.5, 0.5)),
        ("abs", (0.0,), (0.0,)),
        ("clip", (1.0, -1.0, 1.0), (1.0, 0.0, 0.0)),
    ],
)
@pytest.mark.parametrize("array", [False, True])
def test_derivatives_at_kinks(name: str, inputs: tuple[float, ...], expected: tuple[float, ...], array: bool) -> None:
    case = Case(name, tuple(np.array([x]) for x in inputs) if array else inputs)
    _, *gradients = run(joined(case.program, case.mask), *case.inputs, np.ones(1) if array else 1.0)
    assert tuple(float(np.sum(gradient)) for gradient in gradients) == expected


def test_parameters_may_be_named() -> None:
    atoms, keywords = FUNCTIONS[np.clip].arguments((Constant(3.0),), {"a_max": Constant(1.0), "a_min": Constant(0.0)})
    assert [atom.value for atom in atoms] == [3.0, 0.0, 1.0]  # type: ignore[union-attr]
    assert keywords == {}
    with pytest.raises(TypeError, match="out"):
        FUNCTIONS[np.sin].arguments((Constant(3.0),), {"out": Constant(None)})


def test_functions_of_lists_are_refused() -> None:
    kind: Kind = kind_of([1.0, 2.0])
    with pytest.raises(TypeError, match=r"np\.array"):
        PRIMITIVES["sin"].kind(kind)
