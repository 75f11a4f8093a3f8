"""Dense networks against the same layers written out with torch."""

import pytest
import torch
from torch import nn

from etude.nn.activations import ACTIVATIONS, Maxout
from etude.nn.dense import dense


def test_equals_the_layers_written_out() -> None:
    network, x = dense([5, 4, 3, 2], "tanh"), torch.randn(7, 5)
    first, second, third = [layer for layer in network if isinstance(layer, nn.Linear)]
    torch.testing.assert_close(network(x), third(torch.tanh(second(torch.tanh(first(x))))))


def test_without_hidden_layers_it_is_linear() -> None:
    network = dense([5, 2])
    assert len(network) == 1
    assert isinstance(network[0], nn.Linear)


@pytest.mark.parametrize("name", [*ACTIVATIONS, "maxout"])
def test_every_activation_serves(name: str) -> None:
    assert dense([5, 4, 3, 2], name)(torch.randn(7, 5)).shape == (7, 2)


def test_maxout_units_replace_the_hidden_layers() -> None:
    assert [type(layer) for layer in dense([5, 4, 3, 2], "maxout")] == [Maxout, Maxout, nn.Linear]


def test_each_layer_has_parameters_of_its_own() -> None:
    slopes = [p for p in dense([5, 4, 3, 2], "prelu").parameters() if p.shape == (1,)]
    assert len({id(p) for p in slopes}) == 2
