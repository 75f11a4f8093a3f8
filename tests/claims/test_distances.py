"""The experiments on distances against what is known of parallel lines."""

import math

import pytest
import torch

from etude.claims.distances import of_lines

HEIGHTS = torch.tensor([0.1, 0.4, 0.9], dtype=torch.float64)


@pytest.mark.parametrize("theta", [-2.0, 0.01, 0.5])
def test_lines_that_are_apart(theta: float) -> None:
    assert of_lines(theta, HEIGHTS) == pytest.approx(
        {
            "earth mover's": abs(theta),
            "Jensen-Shannon": math.log(2),
            "total variation": 1.0,
            "Kullback-Leibler": math.inf,
        }
    )


def test_a_line_and_itself() -> None:
    assert set(of_lines(0.0, HEIGHTS).values()) == {0.0}
