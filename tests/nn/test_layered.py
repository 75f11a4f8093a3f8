"""What recurrent blocks share, on torch's own cells: against torch's RNN, LSTM and GRU with the same weights; and what
holds for every block."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from etude.errors import InputError
from etude.nn import CTGRU, CTRNN, GRU, LTC, NeuralODECell, PeepholeLSTM
from etude.nn.layered import Recurrent, last, present, reverse
from etude.nn.recurrent import VARIANTS

T, B, F, N, LAYERS = 7, 4, 3, 5, 2
LENGTHS = torch.tensor([4, 7, 1, 5])
BLOCKS: dict[str, tuple[Callable[..., Recurrent], dict[str, Any]]] = {
    **{f"LSTM {variant}": (PeepholeLSTM, {"variant": variant}) for variant in VARIANTS},
    **{f"GRU {reset}": (GRU, {"reset": reset}) for reset in ("before", "after")},
    "CT-RNN": (CTRNN, {"unfolds": 2}),
    "CT-GRU": (CTGRU, {"scales": 3}),
    "LTC": (LTC, {"unfolds": 2}),
    "neural ODE": (NeuralODECell, {"unfolds": 2}),
}
"""Every block, with steps of fixed length where it has a solver."""
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
    return Recurrent(cells, F, N, 2 if kind == "LSTM" else 1, **asked), theirs


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
@pytest.mark.parametrize("batch_first", [False, True])
def test_one_sequence_without_a_batch_is_taken_as_torchs_take_it(
    kind: str, bidirectional: bool, batch_first: bool
) -> None:
    ours, theirs = pair(kind, bidirectional=bidirectional, batch_first=batch_first)
    x = torch.randn(T, F, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))
    given = start(kind, 1 + bidirectional)
    state = tuple(each[:, 0] for each in given) if kind == "LSTM" else given[:, 0]
    torch.testing.assert_close(ours(x, state), theirs(x, state))


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_one_sequence_without_a_batch_is_a_batch_of_one(name: str, batch_first: bool) -> None:
    kind, own = BLOCKS[name]
    block = kind(F, N, 2, bidirectional=True, batch_first=batch_first, **own)
    x, elapsed, batch = torch.randn(T, F), torch.rand(T), 0 if batch_first else 1
    state = tuple(torch.rand(4, N) for _ in range(block.states))

    def one(states: tuple[Tensor, ...]) -> Any:
        return states if block.states > 1 else states[0]

    for length in (None, torch.tensor(5)):
        y, end = block(x, one(state), lengths=length, elapsed=elapsed)
        of_batch, end_of_batch = block(
            x.unsqueeze(batch),
            one(tuple(each.unsqueeze(1) for each in state)),
            lengths=None if length is None else length[None],
            elapsed=elapsed.unsqueeze(batch),
        )
        torch.testing.assert_close(y, of_batch.squeeze(batch))
        torch.testing.assert_close(tensors(end), tuple(each.squeeze(1) for each in tensors(end_of_batch)))
        again, _ = block(x, end)
        assert again.shape == (T, 2 * N)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_tells_its_sizes_as_torchs_do(name: str) -> None:
    kind, own = BLOCKS[name]
    for size in ("input_size", "hidden_size", "num_layers", "batch_first", "bidirectional"):
        asked = {"input_size": F, "hidden_size": N, "num_layers": 3, "batch_first": True, "bidirectional": True}
        assert getattr(kind(**asked, **own), size) == getattr(nn.LSTM(**asked), size)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_size_below_one_is_refused(name: str) -> None:
    kind, own = BLOCKS[name]
    counted = {"input_size": F, "hidden_size": N, "num_layers": 2} | {
        option: value for option, value in own.items() if option in ("unfolds", "scales")
    }
    for size in counted:
        with pytest.raises(InputError, match=f"{size} is 0, expected a whole number in"):
            kind(**counted | {size: 0})


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


def tensors(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", BLOCKS)
@settings(max_examples=8, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    more=st.integers(0, 3),
    content=st.floats(width=32),
    bidirectional=st.booleans(),
    seed=st.integers(0, 2**32),
)
@example(lengths=[4, 2], more=1, content=math.nan, bidirectional=True, seed=0)
def test_padding_never_changes_a_result(
    name: str, dtype: torch.dtype, lengths: list[int], more: int, content: float, bidirectional: bool, seed: int
) -> None:
    """Each sequence as if it came alone, and so the gradients, whatever stands in the padding and how much there is."""
    torch.manual_seed(seed)
    kind, own = BLOCKS[name]
    block, steps = kind(F, N, 2, bidirectional=bidirectional, **own).to(dtype), max(lengths) + more
    x, elapsed = torch.randn(steps, len(lengths), F, dtype=dtype), 2 * torch.rand(steps, len(lengths), dtype=dtype)
    there, learnt = torch.arange(steps)[:, None] < torch.tensor(lengths), [x.requires_grad_(), *block.parameters()]
    padded = x.where(there[:, :, None], content), elapsed.where(there, content)
    y, end = block(padded[0], lengths=torch.tensor(lengths), elapsed=padded[1])
    alone = [block(x[:length, b], elapsed=elapsed[:length, b]) for b, length in enumerate(lengths)]
    expected = pad_sequence([one for one, _ in alone])
    ends = [torch.stack(each, 1) for each in zip(*(tensors(one) for _, one in alone), strict=True)]
    found, other = ([ys, *states] for ys, states in ((y[: max(lengths)], tensors(end)), (expected, ends)))
    near: dict[str, Any] = {} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(found, other, **near)
    assert y[max(lengths) :].eq(0).all()
    slopes = [torch.autograd.grad(sum(each.square().sum() for each in of), learnt) for of in (found, other)]
    torch.testing.assert_close(*slopes, **near)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("batch_first", [False, True])
def test_backwards_the_time_between_two_steps_stays_between_them(lengths: Tensor | None, batch_first: bool) -> None:
    block = Recurrent([Clock(), Clock()], F, 1, 1, batch_first=batch_first, bidirectional=True)
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
    x[3] = torch.nan
    assert present(x, lengths)[:, :, 0].tolist() == [[1, 2], [3, 4], [5, 0], [0, 0]]
