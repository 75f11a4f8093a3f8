"""Orthogonal first weights: Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in
deep linear neural networks", 2014 (arXiv:1312.6120, section 3; course 004, module 4).

    h^t = R h^(t-1),  so that  dE/dh^(t-1) = R' dE/dh^t
    R R' = I,         so that  |R' d| = |d|

On its way back through T steps a gradient is multiplied by R' T times. An orthogonal R keeps its norm however many they
are; the norm that a matrix of independent numbers leaves shrinks or grows exponentially. That holds for linear units,
and nearly for tanh where its arguments are small. In continuous time R turns slopes and not states: there it is no more
than a matrix none of whose directions is louder than another.

Letters: N units, I the identity.
"""

from collections.abc import Iterator
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from etude.errors import InputError
from etude.nn.continuous import CTGRULayer, CTRNNLayer, NeuralODELayer
from etude.nn.recurrent import Layer

Module = TypeVar("Module", bound=nn.Module)


def recurrent_matrices(module: nn.Module) -> Iterator[Float[Tensor, "N N"]]:
    """Every recurrent matrix in a block of `etude.nn` or of `torch.nn`, gate by gate, as views of its parameters.

    An LTC has none: its synapses are conductances, which are never negative.
    """
    for part in module.modules():
        match part:
            case Layer():
                yield from part.R
                if part.Q is not None:
                    for to_gate in part.Q.transpose(1, 2):
                        yield from to_gate
            case nn.RNNBase():
                for name, weight in part.named_parameters():
                    if name.startswith("weight_hh"):
                        yield from weight.unflatten(0, (-1, part.hidden_size))
            case nn.RNNCellBase():
                yield from part.weight_hh.unflatten(0, (-1, part.hidden_size))
            case CTRNNLayer() | NeuralODELayer():
                yield part.recurrent.weight
            case CTGRULayer():
                yield from part.scale.weight.unflatten(0, (2, -1))
                yield part.signal.weight


@torch.no_grad()
def orthogonal_(module: Module) -> Module:
    """Draws every recurrent matrix anew, gate by gate, uniformly among the orthogonal ones; returns the module.

    Raises:
        InputError: it has no recurrent matrix that could be orthogonal.
    """
    matrices = list(recurrent_matrices(module))
    if not matrices:
        raise InputError(
            f"{type(module).__name__} has no recurrent matrix that could be orthogonal: leave it as it begins"
        )
    for matrix in matrices:
        nn.init.orthogonal_(matrix)
    return module
