"""Beam search: against every sequence there is, and against greedy search."""

from itertools import product

import pytest
import torch
from torch import Tensor

from etude.functional.search import Advance, Marks, State, beam_search

MARKS = Marks(0, 1, 2)
WORDS, LONGEST, SEQUENCES = 6, 4, 5


def model(seed: int) -> tuple[Advance, State]:
    """A random recurrent network of its own for each sequence: its state (1, B, 3) follows the words said."""
    draw = torch.Generator().manual_seed(seed)
    embed, into, out = (torch.randn(size, generator=draw) for size in ((WORDS, 3), (3, 3), (3, WORDS)))

    def advance(word: Tensor, state: State) -> tuple[Tensor, State]:
        h = torch.tanh(state[0][0] @ into + embed.index_select(0, word))
        return torch.log_softmax(3 * h @ out, 1), (h[None],)

    return advance, (torch.randn(1, SEQUENCES, 3, generator=draw),)


def score(advance: Advance, state: State, said: list[int]) -> float:
    """Mean log-probability a word of one sequence."""
    total, before = 0.0, MARKS.begin
    for word in said:
        log_p, state = advance(torch.tensor([before]), state)
        total, before = total + float(log_p[0, word]), word
    return total / len(said)


def every() -> list[list[int]]:
    """All sequences: of words that are none of the marks, then the end, or of the full length without one."""
    spoken = range(3, WORDS)
    ended = [[*said, MARKS.end] for count in range(LONGEST) for said in product(spoken, repeat=count)]
    return ended + [list(said) for said in product(spoken, repeat=LONGEST)]


@pytest.mark.parametrize("seed", range(10))
def test_a_beam_wide_enough_finds_the_best_sequence(seed: int) -> None:
    advance, state = model(seed)
    found, mean = beam_search(advance, state, marks=MARKS, width=200, longest=LONGEST)
    for place in range(SEQUENCES):
        alone = (state[0][:, place : place + 1],)
        best = max(every(), key=lambda said: score(advance, alone, said))
        assert found[place].tolist() == best + [MARKS.pad] * (LONGEST - len(best))
        assert float(mean[place]) == pytest.approx(score(advance, alone, best), rel=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_a_beam_of_one_is_greedy(seed: int) -> None:
    advance, state = model(seed)
    found, _ = beam_search(advance, state, marks=MARKS, width=1, longest=8)
    for place in range(SEQUENCES):
        own: State = (state[0][:, place : place + 1],)
        word, said = MARKS.begin, list[int]()
        while len(said) < 8 and word != MARKS.end:
            log_p, own = advance(torch.tensor([word]), own)
            word = 2 + int(log_p[0, 2:].argmax())
            said.append(word)
        assert found[place].tolist() == said + [MARKS.pad] * (8 - len(said))


def test_a_wider_beam_finds_nothing_worse_here() -> None:
    """Not a theorem, but so for these networks on average."""
    means = []
    for width in (1, 3, 200):
        scores = [beam_search(*model(s), marks=MARKS, width=width, longest=LONGEST)[1].mean() for s in range(20)]
        means.append(float(torch.stack(scores).mean()))
    assert means[0] < means[1] <= means[2]


def test_a_sequence_does_not_depend_on_those_beside_it() -> None:
    advance, state = model(0)
    together, _ = beam_search(advance, state, marks=MARKS, width=3, longest=LONGEST)
    for place in range(SEQUENCES):
        alone, _ = beam_search(advance, (state[0][:, place : place + 1],), marks=MARKS, width=3, longest=LONGEST)
        assert torch.equal(alone[0], together[place])
