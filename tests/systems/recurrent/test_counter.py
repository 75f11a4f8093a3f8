"""The counter: a network set by hand that counts without bound, what cells show, and the rule."""

from typing import Any

import pytest
import torch
from torch import nn

from etude.data.counting import strings
from etude.data.kinds import END
from etude.metrics.symbols import generalises_to
from etude.nn.recurrent import Variant
from etude.systems.recurrent.counter import Counter
from etude.systems.system import Clock

A, B = END + 1, END + 2


def by_hand() -> Counter:
    """Unit 0 adds 1 for an a and takes 1 off for a b; unit 1 is on after a b."""
    system = Counter(5, units=2, variant="NP")
    for parameter in system.parameters():
        nn.init.zeros_(parameter)
    layer: Any = system.network.get_submodule("layers.0.layers.0")
    with torch.no_grad():
        layer.W[0, 0, A], layer.W[0, 0, B], layer.W[0, 1, B] = 20, -20, 20  # block input
        layer.b[1:] = 40  # gates open
        layer.b[2, 1] = -40  # but unit 1 forgets
        scores = system.network.scores
        scores.bias[A], scores.bias[B], scores.bias[END] = 5, -50, -40
        scores.weight[B] = torch.tensor([20.0, 100.0])
        scores.weight[END, 1] = 100
    return system


def test_a_cell_of_an_lstm_counts_without_bound() -> None:
    system = by_hand()
    assert generalises_to(system, strings([1])) == 1000
    cells = system.cells(strings([300]).x)[0, :, 0]
    expected = torch.cat([torch.arange(301), torch.arange(299, -1, -1), torch.zeros(1)])
    torch.testing.assert_close(cells, expected)


def test_completing_ends_the_string() -> None:
    x = strings([7]).x
    assert torch.equal(by_hand().complete(x[:, :9], 7), x[:, 9:])


def test_what_a_gru_remembers_is_bounded() -> None:
    torch.manual_seed(0)
    system = Counter(5, block="gru", remember=0.5)
    for parameter in system.parameters():
        parameter.data.mul_(5)
    cells = system.cells(strings([500]).x)
    assert cells.shape == (1, 1002, 10)
    assert 0.5 < cells.abs().max() <= 1


@pytest.mark.parametrize(("block", "variant"), [("lstm", "vanilla"), ("lstm", "FGR"), ("lstm", "NFG"), ("gru", "NP")])
def test_cells_are_the_states_of_the_network(block: Any, variant: Variant) -> None:
    torch.manual_seed(0)
    system, x = Counter(5, block=block, variant=variant), strings([6]).x
    for steps in (1, 5, 14):
        (state,) = system.network(x[:, :steps])[1]
        last = state if isinstance(state, torch.Tensor) else state[1]
        torch.testing.assert_close(system.cells(x)[:, steps - 1], last[0])


def test_the_gate_that_keeps_begins_open() -> None:
    lstm: Any = Counter(5, remember=3.0).network.get_submodule("layers.0.layers.0")
    assert (lstm.b[2] == 3).all()
    assert (lstm.b[[0, 1, 3]].abs() < 1).all()
    torch.manual_seed(0)
    x = torch.full((1, 50), A)
    kept, lost = (Counter(5, block="gru", remember=bias).cells(x)[0] for bias in (8.0, -8.0))
    assert kept.diff(dim=0).abs().max() < 0.01  # with the update gate at 1, the state hardly moves
    assert lost[0].abs().max() > 0.05


def test_rate_falls_to_nothing_in_a_straight_line() -> None:
    system = Counter(5, rate=0.04)
    rates = []
    for progress in (0.0, 0.25, 0.5, 1.0):
        system.step(strings([1, 3]), Clock(progress=progress))
        rates.append(system.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.04, 0.03, 0.02, 0])


def test_padding_changes_neither_loss_nor_answers() -> None:
    torch.manual_seed(0)
    system = Counter(5)
    narrow, wide = strings([2, 4]), strings([2, 4, 9])
    torch.testing.assert_close(system.score(narrow.x, narrow.lengths), system.score(wide.x, wide.lengths)[:2])
    assert torch.equal(system.foretell(narrow.x), system.foretell(wide.x)[:2, : narrow.x.shape[1]])
