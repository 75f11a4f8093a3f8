"""The cycle error of translations whose mistake is known."""

import pytest
import torch
from torch import Tensor

from etude.data.kinds import ImagePairs
from etude.metrics.cycles import cycle_error


class Lighter:
    """There and back, every picture is lighter by its own first pixel."""

    device = torch.device("cpu")

    def cycle(self, x: Tensor) -> Tensor:
        return x + x[:, :, :1, :1]


def test_is_the_mean_over_pixels_and_pictures_of_any_number_of_batches() -> None:
    torch.manual_seed(0)
    x = torch.rand(1200, 1, 4, 4)
    split = ImagePairs(x, torch.rand(1200, 3, 4, 4))
    assert cycle_error(Lighter(), split) == pytest.approx(float(x[:, 0, 0, 0].mean()), rel=1e-5)


def test_bytes_count_as_numbers_up_to_1() -> None:
    x = torch.full((3, 1, 2, 2), 51, dtype=torch.uint8)
    assert cycle_error(Lighter(), ImagePairs(x, x)) == pytest.approx(0.2)
