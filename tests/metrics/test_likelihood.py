"""Means over a split that does not fit one batch."""

import pytest
import torch
from torch import Tensor

from etude.data.kinds import Vectors
from etude.metrics.likelihood import elbo, log_likelihood


class Sums:
    device = torch.device("cpu")

    def bound(self, x: Tensor) -> Tensor:
        return x.sum(1) - 1

    def score(self, x: Tensor) -> Tensor:
        return x.sum(1)


@pytest.mark.parametrize("count", [1, 1000, 2345])
def test_means_over_examples(count: int) -> None:
    split = Vectors(torch.randn(count, 3))
    mean = float(split.x.double().sum(1).mean())
    assert log_likelihood(Sums(), split) == pytest.approx(mean, abs=1e-6)
    assert elbo(Sums(), split) == pytest.approx(mean - 1, abs=1e-6)
