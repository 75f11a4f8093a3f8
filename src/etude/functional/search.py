"""Search for the most probable sequence of words: Graves, "Sequence transduction with recurrent neural networks", 2012,
and Sutskever, Vinyals and Le, "Sequence to sequence learning with neural networks", 2014, section 3.2.

Letters: B sequences side by side, K hypotheses for each, V words, T words of the longest sequence.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

State = tuple[Tensor, ...]
Advance = Callable[[Tensor, State], tuple[Tensor, State]]


class Marks(NamedTuple):
    """The words that are none: what stands behind the end, before the first word and at the end."""

    pad: int
    begin: int
    end: int


def beam_search(
    advance: Advance, state: State, *, marks: Marks, width: int, longest: int
) -> tuple[Int[Tensor, "B T"], Float[Tensor, " B"]]:
    """The best sequence found and its mean log-probability a word, the end included.

    Each hypothesis grows by every word, and the `width` best are kept, those with the highest log-probability a word;
    one that has ended stays as it is and competes. A width of 1 is greedy search.

    Args:
        advance: from the last words (B K,) and a state to log-probabilities of the next word (B K, V) and a new state;
            the K hypotheses of a sequence side by side.
        state: at the beginning, tensors (any, B, any).
        marks: padding and begin are never words of a sequence; with end it ends, and padding follows.
        width: K, in [1, inf).
        longest: T, in [1, inf); a sequence that has not ended then is left without an end.
    """
    B, never = state[0].shape[1], -torch.inf
    places = torch.arange(B, device=state[0].device)
    state = tuple(each.index_select(1, places.repeat_interleave(width)) for each in state)
    total = state[0].new_full((B, width), never).float().index_fill(1, places.new_zeros(1), 0.0)
    length, ended = torch.zeros_like(total), torch.zeros_like(total, dtype=torch.bool)
    said, word = places.new_full((B, width, longest), marks.pad), places.new_full((B * width,), marks.begin)
    for step in range(longest):
        log_p, state = advance(word, state)
        V = log_p.shape[1]
        words = torch.arange(V, device=word.device)
        spoken = log_p.float().view(B, width, V).masked_fill((words == marks.pad) | (words == marks.begin), never)
        waiting = torch.where(words == marks.pad, 0.0, never)
        grown = total[:, :, None] + torch.where(ended[:, :, None], waiting, spoken)
        length = length + ~ended
        chosen = (grown / length[:, :, None]).flatten(1).topk(width, 1).indices
        parent, new = chosen // V, chosen % V
        total, length, ended = grown.flatten(1).gather(1, chosen), length.gather(1, parent), ended.gather(1, parent)
        said = said.gather(1, parent[:, :, None].expand_as(said))
        said[:, :, step] = new
        ended, word = ended | (new == marks.end), new.flatten()
        state = tuple(each.index_select(1, (places[:, None] * width + parent).flatten()) for each in state)
        if not torch.compiler.is_exporting() and ended.all():
            break
    return said[:, 0], total[:, 0] / length[:, 0]
