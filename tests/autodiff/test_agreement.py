"""Random programs: forward mode, reverse mode, dual numbers, PyTorch and finite differences agree."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.autodiff.programs import Generated, programs

from etude.autodiff import grad, jacobian, jvp
from etude.autodiff.derivative import Mode
from etude.autodiff.dual import directional

FEW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
FEWER = settings(FEW, max_examples=10)
FLAVOURS = pytest.mark.parametrize("vectors", [False, True], ids=["numbers", "vectors"])


def flat(values: Any) -> np.ndarray:
    return np.concatenate([np.ravel(value) for value in values])


def gradient(example: Generated) -> Any:
    return grad(example.function, argnums=tuple(range(len(example.arguments))))(*example.arguments)


def tensors(example: Generated) -> list[torch.Tensor]:
    return [torch.tensor(argument, dtype=torch.float64, requires_grad=True) for argument in example.arguments]


def torch_gradient(y: Any, x: list[torch.Tensor]) -> list[torch.Tensor]:
    if not (isinstance(y, torch.Tensor) and y.requires_grad):
        return [torch.zeros_like(part) for part in x]
    return list(torch.autograd.grad(y, x, create_graph=True, allow_unused=True, materialize_grads=True))


def direction(example: Generated) -> tuple[Any, ...]:
    """A direction that favours no argument and no place of one."""
    return tuple(
        np.cos(np.arange(np.size(x)) + i).reshape(np.shape(x)) if np.ndim(x) else 1.0 - 0.3 * i
        for i, x in enumerate(example.arguments)
    )


@FLAVOURS
@FEW
@given(data=st.data())
def test_all_ways_to_the_first_derivative_agree(vectors: bool, data: st.DataObject) -> None:
    example = data.draw(programs(vectors))
    f, x, dx = example.function, example.arguments, direction(example)
    gradients = gradient(example)
    assert [np.shape(part) for part in gradients] == [np.shape(part) for part in x]
    inputs = tensors(example)
    expected = flat([part.detach() for part in torch_gradient(example.on_tensors(*inputs), inputs)])
    np.testing.assert_allclose(flat(gradients), expected, rtol=1e-9, atol=1e-9)
    slope = expected @ flat(dx)
    np.testing.assert_allclose(jvp(f, x, dx), (f(*x), slope), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(directional(example.on_duals, x, dx), (f(*x), slope), rtol=1e-9, atol=1e-9)


@FLAVOURS
@FEW
@given(data=st.data())
def test_finite_differences_agree(vectors: bool, data: st.DataObject) -> None:
    example = data.draw(programs(vectors))
    f, x, dx = example.function, example.arguments, direction(example)

    def along(h: float) -> float:
        return float(f(*(part + h * change for part, change in zip(x, dx, strict=True))))

    steps = [along(h) - along(0.0) for h in (1e-5, -1e-5, 5e-6)]
    assume(abs(steps[0] + steps[1]) < 1e-8 and abs(steps[0] - 2 * steps[2]) < 1e-8)  # no jump and no kink nearby
    slope = flat(gradient(example)) @ flat(dx)
    np.testing.assert_allclose((steps[0] - steps[1]) / 2e-5, slope, rtol=1e-4, atol=1e-4)


@FLAVOURS
@FEWER
@given(data=st.data())
def test_second_derivatives_agree_in_all_nestings(vectors: bool, data: st.DataObject) -> None:
    """The rows of the Hessian that belong to the first argument, each mode over each."""
    example = data.draw(programs(vectors))
    f, x, dx = example.function, example.arguments, direction(example)
    inputs = tensors(example)
    first = torch_gradient(example.on_tensors(*inputs), inputs)[0]
    expected = np.stack([flat([part.detach() for part in torch_gradient(g, inputs)]) for g in first.reshape(-1)])
    modes: list[Mode] = ["forward", "reverse"]
    for inner, outer in product(modes, repeat=2):
        blocks = jacobian(jacobian(f, 0, inner), tuple(range(len(x))), outer)(*x)
        rows = np.concatenate([np.reshape(block, (np.size(x[0]), -1)) for block in blocks], axis=1)
        np.testing.assert_allclose(rows, expected, rtol=1e-8, atol=1e-8, err_msg=f"{outer} over {inner}")

    def moved(*x: Any) -> Any:
        return directional(example.on_duals, x, [dx[0], *(0 * part for part in x[1:])])[1]

    curvature = np.ravel(dx[0]) @ expected @ flat(dx)
    np.testing.assert_allclose(directional(moved, x, dx)[1], curvature, rtol=1e-8, atol=1e-8)
