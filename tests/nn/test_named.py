"""Recurrent blocks by name."""

from typing import get_args

import pytest
import torch

from etude.errors import InputError
from etude.nn.continuous import LTC, LTCLayer
from etude.nn.named import BLOCKS, Block, block


@pytest.mark.parametrize("name", get_args(Block))
@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_name_gives_a_block_that_runs_and_learns(name: str, bidirectional: bool) -> None:
    found = block(name, 3, 4, 2, bidirectional=bidirectional)
    y, state = found(torch.randn(2, 5, 3), lengths=torch.tensor([5, 2]))
    assert y.shape == (2, 5, 4 * (1 + bidirectional))
    again, _ = found(torch.randn(2, 5, 3), state)
    (y.sum() + again.sum()).backward()
    assert all(parameter.grad is not None for parameter in found.parameters())


def test_the_names_are_those_of_the_type() -> None:
    assert set(BLOCKS) == set(get_args(Block))


def test_options_are_the_blocks_own() -> None:
    found = block("ltc", 3, 4, unfolds=2)
    assert isinstance(found, LTC)
    layer = found.layers[0]
    assert isinstance(layer, LTCLayer)
    assert layer.unfolds == 2


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="no recurrent block 'gro'; choose one of: lstm, gru, "):
        block("gro", 3, 4)
