"""Distance from the true picture, against NumPy."""

import numpy as np
import pytest
import torch
from torch import Tensor

from etude.data.kinds import ImagePairs
from etude.metrics.pictures import absolute_error


class Halves:
    device = torch.device("cpu")

    def translate(self, x: Tensor) -> Tensor:
        return x / 2


def test_mean_over_pictures_of_the_absolute_difference() -> None:
    random = np.random.default_rng(0)
    x, y = (random.integers(0, 256, (230, 3, 4, 4)).astype(np.uint8) for _ in range(2))
    expected = np.abs(x / 510 - y / 255).mean()
    assert absolute_error(Halves(), ImagePairs(torch.from_numpy(x), torch.from_numpy(y))) == pytest.approx(expected)
