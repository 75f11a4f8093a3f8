"""True steps are those before each length."""

import torch

from etude.functional.padding import within


def test_the_first_steps_are_true_ones() -> None:
    lengths = torch.tensor([0, 2, 3])
    expected = [[step < length for step in range(3)] for length in lengths.tolist()]
    assert within(lengths, 3).tolist() == expected
    assert within(lengths, 0).shape == (3, 0)
