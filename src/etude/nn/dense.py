"""Dense networks: layers in which every unit sees every number of the layer before."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from etude.nn import activations


def dense(sizes: Sequence[int], activation: str = "relu") -> nn.Sequential:
    """A dense network.

    Args:
        sizes: numbers in the input, units in each hidden layer, numbers in the output; two or more.
        activation: applied after each layer but the last, by name (see `etude.nn.activations`); `maxout` makes hidden
            layers of `Maxout` units instead.

    Raises:
        InputError: no activation has this name.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        if activation == "maxout":
            layers.append(activations.Maxout(inputs, outputs))
        else:
            layers += [nn.Linear(inputs, outputs), activations.activation(activation)]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))
