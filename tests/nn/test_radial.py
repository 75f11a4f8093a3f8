"""Radial units against distances by SciPy and torch."""

import scipy.spatial.distance
import torch
from torch import Tensor

from etude.nn.radial import RadialUnits


def test_distances_agree_with_scipy() -> None:
    units, x = RadialUnits(6, 4).double(), torch.randn(5, 6, dtype=torch.float64)
    expected = scipy.spatial.distance.cdist(x, units.centre.detach(), "sqeuclidean")
    torch.testing.assert_close(units.squared_distance(x).detach(), torch.as_tensor(expected))


def test_the_response_is_a_gaussian_of_the_distance() -> None:
    units, x = RadialUnits(6, 4), torch.randn(2, 5, 6)
    units.log_width.data = torch.randn(4)
    expected = torch.exp(-((torch.cdist(x, units.centre) / units.log_width.exp()) ** 2) / 2)
    torch.testing.assert_close(units(x), expected)


def test_value_and_gradient_at_the_centre() -> None:
    units = RadialUnits(3, 1)
    x = units.centre.detach().clone().requires_grad_()
    response = units(x)
    (gradient,) = torch.autograd.grad(response.sum(), x)
    torch.testing.assert_close(response.detach(), torch.ones(1, 1))
    torch.testing.assert_close(gradient, torch.zeros(1, 3))


def test_gradients() -> None:
    units, x = RadialUnits(3, 2).double(), torch.randn(4, 3, dtype=torch.float64)
    x[0] = units.centre[1].detach()
    assert torch.autograd.gradcheck(units, (x.requires_grad_(),))


def test_gradients_of_centre_and_width() -> None:
    def response(centre: Tensor, log_width: Tensor) -> Tensor:
        output: Tensor = torch.func.functional_call(units, {"centre": centre, "log_width": log_width}, x)
        return output

    units, x = RadialUnits(3, 2).double(), torch.randn(4, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(response, (units.centre, units.log_width))
