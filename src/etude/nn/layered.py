"""What recurrent blocks share: layers on top of each other, both directions, sequences of different lengths."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from etude.errors import InputError
from etude.functional.padding import within


def reverse(x: Float[Tensor, "T B F"], lengths: Int[Tensor, " B"] | None = None) -> Float[Tensor, "T B F"]:
    """Each sequence from its last step to its first; padding stays behind it."""
    if lengths is None:
        return x.flip(0)
    steps = torch.arange(len(x), device=x.device)[:, None]
    places = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return x.gather(0, places[:, :, None].expand_as(x))


def last(x: Float[Tensor, "T B F"], lengths: Int[Tensor, " B"] | None = None) -> Float[Tensor, "B F"]:
    """The last step of each sequence."""
    if lengths is None:
        return x[-1]
    return x.gather(0, (lengths - 1)[None, :, None].expand(1, -1, x.shape[2])).squeeze(0)


def present(x: Float[Tensor, "T B F"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "T B F"]:
    """Zeros in the place of padding, whatever stood there."""
    return x.where(within(lengths, len(x)).T[:, :, None], 0)


def at_least_one(**sizes: int) -> None:
    """Let nothing pass that is to be counted from 1 on.

    Raises:
        InputError: one of the sizes is below 1.
    """
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name} is {size}, expected a whole number in [1, inf): give at least 1")


def input_sizes(input_size: int, hidden_size: int, num_layers: int, bidirectional: bool) -> list[int]:
    """How many numbers each layer and direction reads, in the order of `Recurrent.layers`.

    Raises:
        InputError: a size is below 1.
    """
    at_least_one(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
    directions = 1 + bidirectional
    return [input_size] * directions + [directions * hidden_size] * directions * (num_layers - 1)


class Recurrent(nn.Module):
    """A recurrent block, called as `torch.nn.LSTM` and `torch.nn.GRU` are. A subclass brings its layers and is final.

    Args:
        layers: a module for every layer and direction, in PyTorch's order: both directions of a layer side by side. It
            is called with inputs (T, B, F), a state of one or more tensors (B, N) and the time that passed before
            each step, (T, B) or None; it returns outputs (T, B, N) and for each tensor of its state what it was after
            every step, (T, B, N). A step sees the steps before it alone.
        input_size: F, numbers in an input.
        hidden_size: N, units of a layer and direction.
        states: tensors in a state.
        batch_first: whether inputs and outputs are (B, T, ...) and not (T, B, ...).
        bidirectional: whether a second set of units reads each sequence backwards; then outputs have 2 N numbers.

    Attributes:
        num_layers: layers on top of each other.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        input_size: int,
        hidden_size: int,
        states: int,
        *,
        batch_first: bool,
        bidirectional: bool,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.input_size, self.hidden_size, self.states = input_size, hidden_size, states
        self.num_layers = len(layers) // (1 + bidirectional)
        self.batch_first, self.bidirectional = batch_first, bidirectional

    def forward(
        self,
        x: Float[Tensor, "*S F"] | PackedSequence,
        state: Any = None,
        *,
        lengths: Int[Tensor, " *B"] | None = None,
        elapsed: Float[Tensor, " *S"] | None = None,
    ) -> tuple[Any, Any]:
        """Outputs at every step, and the state after the last.

        Args:
            x: sequences side by side, (T, B, F), or (B, T, F) where `batch_first`, or packed by `torch.nn.utils.rnn`;
                or one sequence, (T, F). Then nothing else has the dimension B either.
            state: before the first step, (layers * directions, B, N); a tuple of such where the block has more than
                one; zeros where not given.
            lengths: (B,) true number of steps of each sequence, in [1, T], where they are padded.
            elapsed: time that passed before each step, shaped as x without its last dimension; for blocks in
                continuous time, which take 1 where it is not given.

        Returns:
            Outputs as x came, zero where there is padding, and the state after the last true step of each sequence.
        """
        alone = isinstance(x, Tensor) and x.ndim == 2
        if isinstance(x, PackedSequence):
            h, lengths = pad_packed_sequence(x)
            lengths = lengths.to(h.device)
        elif alone:
            h, elapsed = x[:, None], None if elapsed is None else elapsed[:, None]
            lengths = None if lengths is None else lengths[None]
        elif self.batch_first:
            h, elapsed = x.transpose(0, 1), None if elapsed is None else elapsed.T
        else:
            h = x
        before = self._begin(h, state, alone)
        if lengths is not None:
            h = present(h, lengths)
            elapsed = None if elapsed is None else present(elapsed[:, :, None], lengths).squeeze(2)
        after: list[tuple[Tensor, ...]] = []
        directions = 1 + self.bidirectional
        for number in range(0, len(self.layers), directions):
            sides = []
            for way in range(directions):
                y, states = self._one_way(number + way, h, before, lengths, elapsed, backwards=way == 1)
                sides.append(y)
                after.append(states)
            h = torch.cat(sides, 2) if self.bidirectional else sides[0]
        if lengths is not None:
            h = present(h, lengths)
        found = tuple(torch.stack(each) for each in zip(*after, strict=True))
        if alone:
            h, found = h[:, 0], tuple(each[:, 0] for each in found)
        end = found if self.states > 1 else found[0]
        if isinstance(x, PackedSequence):
            assert lengths is not None
            return pack_padded_sequence(h, lengths.cpu(), enforce_sorted=False), end
        return h.transpose(0, 1) if self.batch_first and not alone else h, end

    def _begin(self, x: Tensor, state: Any, alone: bool) -> tuple[Tensor, ...]:
        if state is None:
            return (x.new_zeros(len(self.layers), x.shape[1], self.hidden_size),) * self.states
        before = state if self.states > 1 else (state,)
        return tuple(each[:, None] for each in before) if alone else before

    def _one_way(
        self,
        number: int,
        x: Tensor,
        before: tuple[Tensor, ...],
        lengths: Tensor | None,
        elapsed: Tensor | None,
        *,
        backwards: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        start = tuple(tensor[number] for tensor in before)
        if backwards:
            x = reverse(x, lengths)
            if elapsed is not None:  # what passed between a step and the one after it
                elapsed = torch.cat([elapsed[:1], reverse(elapsed[:, :, None], lengths).squeeze(2)[:-1]])
        y, states = self.layers[number](x, start, elapsed)
        return reverse(y, lengths) if backwards else y, tuple(last(each, lengths) for each in states)
