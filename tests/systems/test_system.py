"""The abstraction's own parts: one gradient step, the discovery of optimizers, what a system is by default."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import SGD, Adam

from etude.systems.system import NonFiniteError, Phase, System, descend, optimizers


def line(size: int = 3) -> tuple[nn.Linear, Tensor, Tensor]:
    torch.manual_seed(0)
    return nn.Linear(size, 1), torch.randn(8, size), torch.randn(8, 1)


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def test_descend_is_a_step_of_gradient_descent() -> None:
    layer, x, y = line()
    loss = (layer(x) - y).square().mean()
    gradients = torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True)
    expected = [w - 0.1 * g for w, g in zip(weights(layer), gradients, strict=True)]
    logged = descend(SGD(layer.parameters(), lr=0.1), loss)
    torch.testing.assert_close(weights(layer), expected)
    assert logged == loss
    assert not logged.requires_grad


def test_rate_of_the_step_takes_the_place_of_the_optimizers() -> None:
    one, x, y = line()
    other, _, _ = line()
    descend(SGD(one.parameters(), lr=0.1), (one(x) - y).square().mean(), rate=0.01)
    descend(SGD(other.parameters(), lr=0.01), (other(x) - y).square().mean())
    torch.testing.assert_close(weights(one), weights(other), rtol=0, atol=0)


@settings(max_examples=30, deadline=None)
@given(clip=st.floats(1e-3, 1e3))
def test_clip_bounds_the_norm_and_keeps_the_direction(clip: float) -> None:
    layer, x, y = line()
    before = weights(layer)
    loss = 100 * (layer(x) - y).square().mean()
    gradients = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True)])
    descend(SGD(layer.parameters(), lr=1.0), loss, clip=clip)
    moved = torch.cat([(b - a).flatten() for a, b in zip(weights(layer), before, strict=True)])
    assert moved.norm() <= min(clip, float(gradients.norm())) * (1 + 1e-4)
    assert torch.cosine_similarity(moved, gradients, dim=0) > 1 - 1e-3


def test_gradients_reach_the_optimizers_parameters_alone() -> None:
    first, x, y = line()
    second = nn.Linear(1, 1)
    descend(SGD(second.parameters(), lr=0.1), (second(first(x)) - y).square().mean())
    assert all(p.grad is None for p in first.parameters())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nothing_changes_when_the_loss_is_not_finite(bad: float) -> None:
    layer, x, _ = line()
    optimizer = Adam(layer.parameters(), lr=0.1, fused=True)
    before = weights(layer)
    with pytest.raises(NonFiniteError, match="the loss"):
        descend(optimizer, layer(x).mean() * bad)
    torch.testing.assert_close(weights(layer), before, rtol=0, atol=0)


def test_nothing_changes_when_a_gradient_is_not_finite() -> None:
    layer, x, _ = line()
    before = weights(layer)
    root = torch.sqrt((layer(x) - layer(x).detach()).square().sum())  # 0, with gradient 0 / 0
    with pytest.raises(NonFiniteError, match="the gradient"):
        descend(SGD(layer.parameters(), lr=0.1), root)
    torch.testing.assert_close(weights(layer), before, rtol=0, atol=0)


class Several(System):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)
        self.one = SGD(self.a.parameters(), lr=0.1)
        self.more = {"b": [SGD(self.b.parameters(), lr=0.1)]}
        self.pair = (SGD(self.a.parameters(), lr=0.1), SGD(self.b.parameters(), lr=0.1))

    def phases(self) -> list[Phase]:
        return []


def test_optimizers_are_found_wherever_they_are_held() -> None:
    system = Several()
    outer = nn.Module()
    outer.on = system
    found = optimizers(outer)
    assert set(found) == {"on.one", "on.more.b.0", "on.pair.0", "on.pair.1"}
    assert found["on.one"] is system.one


def test_a_system_serves_itself() -> None:
    system = Several()
    assert system.served is system
    assert system.device == torch.device("cpu")
