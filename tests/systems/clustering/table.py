"""The smallest coder: a code of its own for every example, free to move. An example holds nothing but its number."""

import torch
from torch import Tensor, nn

from etude.data.kinds import Splits, Vectors
from etude.systems.clusterer import Clusterer, Coder
from etude.systems.system import Phase


class Table(Coder):
    """z_i is row i of a table of parameters; it decodes to itself, and should decode to row i of `truth`."""

    kind = Vectors

    def __init__(self, codes: Tensor, truth: Tensor | None = None) -> None:
        super().__init__()
        self.latent = codes.shape[1]
        self.codes = nn.Parameter(codes.clone())
        self.truth = nn.Buffer(codes.clone() if truth is None else truth)

    def phases(self) -> list[Phase]:
        return []

    def code(self, x: Tensor) -> Tensor:
        return self.codes.index_select(0, x[:, 0].long())

    def misfit(self, x: Tensor, z: Tensor) -> Tensor:
        return (z - self.truth.index_select(0, x[:, 0].long())).square().mean(1)


def rows(count: int) -> Vectors:
    """Examples 0 to count - 1."""
    return Vectors(torch.arange(float(count))[:, None])


def numbers(count: int) -> Splits:
    """All of them in every split."""
    return Splits(rows(count), rows(count), rows(count))


def codes_of(system: Clusterer) -> nn.Parameter:
    assert isinstance(system.on, Table)
    return system.on.codes


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def blobs(seed: int, count: int, clusters: int, latent: int = 2) -> Tensor:
    """Codes around `clusters` corners: (count, latent), example i at corner i modulo clusters."""
    corners = 6 * torch.eye(max(clusters, latent))[:clusters, :latent] - 2
    return corners[torch.arange(count) % clusters] + 0.7 * drawn(seed, count, latent)
