"""The experiments on dynamics against what is known of them."""

import math

import pytest
import torch
from torch import nn

from etude.claims import dynamics


def test_gradients_through_orthogonal_and_scaled_weights() -> None:
    torch.manual_seed(0)
    weights = nn.init.orthogonal_(torch.empty(dynamics.UNITS, dynamics.UNITS, dtype=torch.float64))
    kept = dynamics.gradient_norms(weights, lambda h: h)
    assert len(kept) == dynamics.STEPS + 1
    assert kept == pytest.approx([1.0] * len(kept))
    halved = dynamics.gradient_norms(weights / 2, lambda h: h)
    assert math.log2(halved[40]) == pytest.approx(-40)


def test_a_flow_without_weights_goes_where_its_input_takes_it() -> None:
    """dx/dt = -x + tanh(u), u constant: x(t) = tanh(u) (1 - exp(-t))."""
    torch.manual_seed(0)
    states = dynamics.states_of_flow(dynamics.FLOWS["CT-RNN"], 4, 0.0)
    torch.manual_seed(0)
    bias = dynamics.drawn(4, 2, 0.0)[1]
    t = torch.arange(1, dynamics.POINTS + 1, dtype=torch.float64) * 2 * math.pi / dynamics.POINTS
    torch.testing.assert_close(states, bias.tanh() * (1 - torch.exp(-t))[:, None], rtol=1e-6, atol=1e-8)
