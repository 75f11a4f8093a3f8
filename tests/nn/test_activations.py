"""Activation functions against torch, NumPy and finite differences."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from etude.errors import InputError
from etude.nn.activations import ACTIVATIONS, Maxout, Swish, activation

X = torch.linspace(-8, 8, 41, dtype=torch.float64)

DEFINITIONS = {
    "identity": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1),
    "relu": lambda x: np.maximum(0, x),
    "leaky_relu": lambda x: np.maximum(0.01 * x, x),
    "prelu": lambda x: np.where(x > 0, x, 0.25 * x),
    "elu": lambda x: np.where(x >= 0, x, np.exp(x) - 1),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.log(1 + np.exp(x))),
    "relu6": lambda x: np.minimum(np.maximum(0, x), 6),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values(name: str) -> None:
    torch.testing.assert_close(activation(name).double()(X), torch.as_tensor(DEFINITIONS[name](X.numpy())))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_gradients_of_huge_numbers_are_finite(name: str) -> None:
    x = torch.tensor([-1e4, 1e4], requires_grad=True)
    y = activation(name)(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert y.isfinite().all()
    assert gradient.isfinite().all()


def test_swish_is_silu_where_beta_is_1_half_of_x_at_0_and_relu_at_infinity() -> None:
    swish = Swish().double()
    torch.testing.assert_close(swish(X), nn.functional.silu(X))
    swish.beta.data.zero_()
    torch.testing.assert_close(swish(X), X / 2)
    swish.beta.data.fill_(1e6)
    torch.testing.assert_close(swish(X), X.relu())


def test_swish_gradients() -> None:
    def swish(x: Tensor, beta: Tensor) -> Tensor:
        output: Tensor = torch.func.functional_call(Swish(), {"beta": beta}, x)
        return output

    beta = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(swish, (X.clone().requires_grad_(), beta))


def test_maxout_is_the_largest_of_its_linear_functions() -> None:
    layer, x = Maxout(3, 4, pieces=5).double(), torch.randn(7, 3, dtype=torch.float64)
    weight, bias = layer.linear.weight.view(4, 5, 3), layer.linear.bias.view(4, 5)
    expected = (torch.einsum("opi,ni->nop", weight, x) + bias).max(-1).values
    torch.testing.assert_close(layer(x), expected)
    assert torch.autograd.gradcheck(layer, (x.requires_grad_(),))


def test_maxout_can_be_the_absolute_value() -> None:
    layer = Maxout(1, 1)
    layer.linear.weight.data = torch.tensor([[1.0], [-1.0]])
    layer.linear.bias.data.zero_()
    x = torch.randn(9, 1)
    torch.testing.assert_close(layer(x), x.abs())


def test_a_wrong_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="no activation is called 'rleu': did you mean relu"):
        activation("rleu")
    with pytest.raises(InputError, match="choose one of identity, sigmoid, tanh, "):
        activation("?")
