"""What recurrent blocks share, on torch's own cells: against torch's RNN, LSTM and GRU with the same weights."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from etude.nn.layered import Recurrent, last, present, reverse

T, B, F, N, LAYERS = 7, 4, 3, 5, 2
LENGTHS = torch.tensor([4, 7, 1, 5])
KINDS = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}


class Steps(nn.Module):
    """A layer that is a cell of torch's, step by step."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, state: tuple[Tensor, ...], elapsed: Tensor | None) -> tuple[Tensor, Sequence[Tensor]]:
        after = []
        for now in x:
            found = self.cell(now, state if len(state) > 1 else state[0])
            state = found if isinstance(found, tuple) else (found,)
            after.append(state)
        states = [torch.stack(each) for each in zip(*after, strict=True)]
        return states[0], states


class Clock(nn.Module):
    """A layer that adds up the time that passed."""

    def forward(self, x: Tensor, state: tuple[Tensor], elapsed: Tensor | None) -> tuple[Tensor, tuple[Tensor]]:
        assert elapsed is not None
        now = state[0] + elapsed.cumsum(0)[:, :, None]
        return now, (now,)


def pair(kind: str, **asked: bool) -> tuple[Recurrent, Any]:
    """Ours on torch's cells, and torch's own with the same weights."""
    torch.manual_seed(0)
    theirs = getattr(nn, kind)(F, N, LAYERS, dtype=torch.float64, **asked)
    cells = []
    for layer in range(LAYERS):
        for side in ["", "_reverse"][: 1 + theirs.bidirectional]:
            cell = KINDS[kind](getattr(theirs, f"weight_ih_l{layer}{side}").shape[1], N, dtype=torch.float64)
            for name, parameter in cell.named_parameters():
                parameter.data = getattr(theirs, f"{name}_l{layer}{side}").data
            cells.append(Steps(cell))
    asked = {"batch_first": False, "bidirectional": False} | asked
    return Recurrent(cells, N, 2 if kind == "LSTM" else 1, **asked), theirs


def start(kind: str, directions: int) -> Any:
    states = tuple(torch.randn(LAYERS * directions, B, N, dtype=torch.float64) for _ in range(2))
    return states if kind == "LSTM" else states[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_it_is_torchs(kind: str, bidirectional: bool, batch_first: bool) -> None:
    ours, theirs = pair(kind, bidirectional=bidirectional, batch_first=batch_first)
    x = torch.randn(*(B, T) if batch_first else (T, B), F, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))
    state = start(kind, 1 + bidirectional)
    torch.testing.assert_close(ours(x, state), theirs(x, state))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences_come_back_packed_as_torchs_do(kind: str, bidirectional: bool) -> None:
    ours, theirs = pair(kind, bidirectional=bidirectional)
    x = torch.randn(T, B, F, dtype=torch.float64)
    packed = pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
    state = start(kind, 1 + bidirectional)
    (y, end), (expected, theirs_end) = ours(packed, state), theirs(packed, state)
    for field in ("data", "batch_sizes", "sorted_indices", "unsorted_indices"):
        torch.testing.assert_close(getattr(y, field), getattr(expected, field))
    torch.testing.assert_close(end, theirs_end)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_with_lengths_each_sequence_is_as_if_it_came_alone(kind: str, bidirectional: bool) -> None:
    ours, theirs = pair(kind, bidirectional=bidirectional)
    x = torch.randn(T, B, F, dtype=torch.float64)
    y, end = ours(x, lengths=LENGTHS)
    for b, length in enumerate(LENGTHS.tolist()):
        alone, alone_end = theirs(x[:length, b : b + 1])
        torch.testing.assert_close(y[:length, b], alone[:, 0])
        assert y[length:, b].eq(0).all()
        for ours_last, theirs_last in zip(torch.atleast_1d(end), torch.atleast_1d(alone_end), strict=True):
            torch.testing.assert_close(ours_last[..., b, :], theirs_last[..., 0, :])


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_no_result_and_no_gradient(kind: str) -> None:
    ours, _ = pair(kind, bidirectional=True)
    x = torch.randn(T, B, F, dtype=torch.float64)
    longer = torch.cat([x, torch.randn(3, B, F, dtype=torch.float64)])
    there = torch.arange(T)[:, None] < LENGTHS
    other = torch.where(there[:, :, None], x, torch.full_like(x, 1e3))
    found = []
    for given in (x, longer, other):
        y, end = ours(given, lengths=LENGTHS)
        loss = y.square().sum() + sum(each.square().sum() for each in (end if kind == "LSTM" else [end]))
        found.append((y[:T], end, torch.autograd.grad(loss, list(ours.parameters()))))
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0])


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("batch_first", [False, True])
def test_backwards_the_time_between_two_steps_stays_between_them(lengths: Tensor | None, batch_first: bool) -> None:
    block = Recurrent([Clock(), Clock()], 1, 1, batch_first=batch_first, bidirectional=True)
    times = torch.rand(T, B).cumsum(0)
    elapsed = times.diff(dim=0, prepend=times[:1] - 0.5)
    x = torch.zeros(T, B, F)
    given = (x.transpose(0, 1), elapsed.T) if batch_first else (x, elapsed)
    y, _ = block(given[0], lengths=lengths, elapsed=given[1])
    forwards, backwards = (y.transpose(0, 1) if batch_first else y).unbind(2)
    ends = times[(torch.full((B,), T) if lengths is None else lengths) - 1, torch.arange(B)]
    there = torch.ones(T, B) if lengths is None else (torch.arange(T)[:, None] < lengths).float()
    torch.testing.assert_close(forwards, there * (times - times[0] + 0.5))
    torch.testing.assert_close(backwards, there * (ends - times + 0.5))


def test_the_parts() -> None:
    x = torch.arange(1.0, 9.0).view(4, 2, 1)
    lengths = torch.tensor([3, 2])
    assert reverse(x)[:, :, 0].tolist() == [[7, 8], [5, 6], [3, 4], [1, 2]]
    assert reverse(x, lengths)[:, :, 0].tolist() == [[5, 4], [3, 2], [1, 6], [7, 8]]
    assert last(x)[:, 0].tolist() == [7, 8]
    assert last(x, lengths)[:, 0].tolist() == [5, 4]
    assert present(x, lengths)[:, :, 0].tolist() == [[1, 2], [3, 4], [5, 0], [0, 0]]
