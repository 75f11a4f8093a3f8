"""The error of a projection is the sum of the variances that it leaves out."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from etude.data.kinds import Images, Vectors
from etude.metrics.reconstruction import reconstruction_error


class Projection:
    device = torch.device("cpu")

    def __init__(self, pca: PCA) -> None:
        self.pca = pca

    def encode(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self.pca.transform(x.numpy()))

    def decode(self, z: Tensor) -> Tensor:
        return torch.from_numpy(self.pca.inverse_transform(z.numpy()))


def test_error_of_pca() -> None:
    x = torch.randn(1500, 6, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 7)
    whole, part = PCA().fit(x.numpy()), PCA(2).fit(x.numpy())
    left = np.sum(whole.explained_variance_[2:]) * 1499 / 1500
    assert reconstruction_error(Projection(part), Vectors(x)) == pytest.approx(left, rel=1e-4)


class Black(Projection):
    def __init__(self) -> None:
        pass

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        return torch.zeros(len(z), 1, 2, 2)


def test_bytes_are_compared_as_numbers_from_0_to_1() -> None:
    assert reconstruction_error(Black(), Images(torch.full((3, 1, 2, 2), 255, dtype=torch.uint8))) == 4
