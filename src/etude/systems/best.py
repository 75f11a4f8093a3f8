"""Choosing by validation: the weights of the pass that did best on examples that no update sees."""

import math

import torch
from torch import Tensor, nn


class Best(nn.Module):
    """The weights of a network that did best so far, all in one row.

    Args:
        network: whose weights they are, as they are now.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.weights = nn.Buffer(_row(network))
        self.loss = nn.Buffer(torch.tensor(math.inf, dtype=torch.float64))
        self.waited = nn.Buffer(torch.tensor(0))

    def compare(self, network: nn.Module, loss: float) -> int:
        """Keep the network's weights where its validation loss is the lowest yet; how many passes ago the best was."""
        if loss < self.loss:
            self.weights.copy_(_row(network))
            self.loss.fill_(loss)
            self.waited.zero_()
        else:
            self.waited.add_(1)
        return int(self.waited)

    @torch.no_grad()
    def put_back(self, network: nn.Module) -> None:
        """Give the network the best weights; it stays as it is where nothing was ever compared."""
        if torch.isfinite(self.loss):
            parameters = list(network.parameters())
            for parameter, part in zip(parameters, self.weights.split([p.numel() for p in parameters]), strict=True):
                parameter.copy_(part.view_as(parameter))


@torch.no_grad()
def _row(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])
