"""Guided backpropagation against the rule of Springenberg et al. 2015, and of captum, worked out by hand."""

import torch
from torch import Tensor, nn

from etude.functional.saliency import guided_backpropagation


def network(relu: nn.Module) -> nn.Sequential:
    """Three numbers to two units to two responses."""
    below, above = nn.Linear(3, 2, bias=False), nn.Linear(2, 2, bias=False)
    below.weight.data = torch.tensor([[1.0, -1.0, 2.0], [0.5, 1.0, -1.0]])  # of (1, 2, 3): 5 and -0.5
    above.weight.data = torch.tensor([[3.0, 4.0], [-3.0, 4.0]])
    return nn.Sequential(below, relu, above)


X = torch.tensor([[1.0, 2.0, 3.0]])


def guided(module: nn.Module, unit: int, x: Tensor = X) -> Tensor:
    return guided_backpropagation(module, lambda given: module(given)[:, unit], x)


def test_what_lowers_the_response_is_left_out() -> None:
    """3 reaches the first unit, which is on: 3 (1, -1, 2). 4 reaches the second, which is off: nothing."""
    assert guided(network(nn.ReLU()), 0).tolist() == [[3.0, -3.0, 6.0]]
    assert guided(network(nn.ReLU()), 1).tolist() == [[0.0, 0.0, 0.0]]  # -3 is cut off


def test_both_units_on() -> None:
    """(1, 2, 1): units 1 and 1.5. The response 3 a + 4 b keeps both, -3 a + 4 b the second alone."""
    x = torch.tensor([[1.0, 2.0, 1.0]])
    assert guided(network(nn.ReLU()), 0, x).tolist() == [[5.0, 1.0, 2.0]]
    assert guided(network(nn.ReLU()), 1, x).tolist() == [[2.0, 4.0, -4.0]]


def test_a_leaky_unit_that_is_off_lets_its_slope_through() -> None:
    """0.2 x 4 (0.5, 1, -1) beside 3 (1, -1, 2)."""
    expected = torch.tensor([[3.4, -2.2, 5.2]])
    torch.testing.assert_close(guided(network(nn.LeakyReLU(0.2)), 0), expected)
    torch.testing.assert_close(guided(network(nn.LeakyReLU(0.2)), 1), torch.tensor([[0.4, 0.8, -0.8]]))


def test_captums_rule_step_by_step_through_two_layers() -> None:
    """captum replaces the gradient that a ReLU passes on, g' = relu'(input) g, by relu(g')."""
    torch.manual_seed(0)
    first, second, last = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(16, 1)
    deep, x = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), last), torch.randn(3, 1, 6, 6)
    before_1 = first(x)
    before_2 = second(before_1.clamp(min=0))
    g = last.weight.expand(3, -1).reshape(3, 4, 2, 2)
    g = ((before_2 > 0) * g).clamp(min=0)
    g = nn.functional.conv_transpose2d(g, second.weight)
    g = ((before_1 > 0) * g).clamp(min=0)
    g = nn.functional.conv_transpose2d(g, first.weight)
    torch.testing.assert_close(guided(deep, 0, x), g)
    plain = x.clone().requires_grad_()
    (unguided,) = torch.autograd.grad(deep(plain).sum(), plain)
    assert not torch.allclose(g, unguided)


def test_nothing_is_left_behind() -> None:
    """Weights get no gradient, hooks are gone, and it works where gradients are switched off."""
    made = network(nn.ReLU())
    with torch.no_grad():
        guided(made, 0)
    assert all(p.grad is None for p in made.parameters())
    leaf = torch.tensor([[1.0, 2.0, 1.0]], requires_grad=True)
    made(leaf)[0, 1].backward()
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [[-1.0, 7.0, -10.0]]  # -3 (1, -1, 2) + 4 (0.5, 1, -1)
