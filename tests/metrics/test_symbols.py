"""Metrics of strings, on systems whose answers are known."""

from collections.abc import Callable
from functools import partial
from math import log2

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from etude.data.counting import strings, vocabulary
from etude.data.kinds import BEGIN, END, Symbols
from etude.errors import InputError
from etude.metrics.symbols import bits_per_character, generalises_to, share_solved, solved, solved_lengths

A, B, C = END + 1, END + 2, END + 3
DEVICE = torch.device("cpu")


class Says:
    """A system that answers by a function of how many of each symbol it has seen, (n, T, symbols), and of the last."""

    device = DEVICE

    def __init__(self, answer: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.answer = answer

    def foretell(self, x: Tensor) -> Tensor:
        return self.answer(one_hot(x, C + 1).to(torch.int16).cumsum(1), x)


def counts(seen: Tensor, x: Tensor, most: int = 10**4, last: int = B) -> Tensor:
    """What comes next in a^n b^n, known while there are at most `most` a."""
    a, b, c = seen[:, :, A].clamp(max=most), seen[:, :, B], seen[:, :, C]
    behind = torch.where(c < a, C, END) if last == C else torch.full_like(x, END)
    return torch.where((x == BEGIN) | ((x == A) & (b == 0) & (a < 2)), A, torch.where(b < a, B, behind))


def test_bits_are_the_mean_over_all_symbols_but_the_first_of_each_string() -> None:
    class Scores:
        device = DEVICE

        def score(self, x: Tensor, lengths: Tensor) -> Tensor:
            return (lengths - 1) * torch.log(torch.tensor(1 / 3))

    split = strings(range(1, 150))
    assert bits_per_character(Scores(), split) == pytest.approx(log2(3), rel=1e-6)


def test_a_system_that_counts_solves_everything() -> None:
    assert share_solved(Says(counts), strings(range(1, 150))) == 1
    assert generalises_to(Says(counts), strings([1, 2])) == 1000


@pytest.mark.parametrize("most", [1, 7, 100, 137])
def test_largest_n_is_where_counting_stops(most: int) -> None:
    assert generalises_to(Says(partial(counts, most=most)), strings([1, 2])) == most


@pytest.mark.parametrize("missed", [1, 7, 100, 101])
def test_one_n_missed_ends_what_is_solved_in_a_row_and_nothing_else(missed: int) -> None:
    def misses(seen: Tensor, x: Tensor) -> Tensor:
        return torch.where((seen[:, :, B] == missed) & (seen[:, :, A] == missed), C, counts(seen, x))

    assert generalises_to(Says(misses), strings([1, 2])) == missed - 1
    right = solved_lengths(Says(misses), strings([1, 2]), 120)
    assert right.shape == (120,)
    assert (~right).nonzero().flatten().tolist() == [missed - 1]


@pytest.mark.parametrize(("word", "right"), [(A, True), (B, True), (END, False), (BEGIN, False)])
def test_after_an_a_both_letters_are_right_and_nothing_else(word: int, right: bool) -> None:
    says = Says(lambda seen, x: torch.where(x == A, word, counts(seen, x)))
    assert solved(says, strings([3])).tolist() == [right]


@pytest.mark.parametrize("place", range(2 * 3 + 1))
def test_one_wrong_symbol_fails_the_string(place: int) -> None:
    says = Says(lambda seen, x: torch.where(torch.arange(x.shape[1]) == place, C, counts(seen, x)))
    assert solved(says, strings([3])).tolist() == [False]


def test_padding_does_not_count() -> None:
    says = Says(lambda seen, x: torch.where(seen[:, :, END] > 0, BEGIN, counts(seen, x)))
    assert solved(says, strings([1, 5])).all()


def test_three_letters_are_determined_from_the_first_b_on() -> None:
    three = Says(partial(counts, last=C))
    assert generalises_to(three, strings([2], "abc")) == 1000
    early = Says(lambda seen, x: torch.where(seen[:, :, B] == 4, END, counts(seen, x, last=C)))
    assert generalises_to(early, strings([2], "abc")) == 3


def test_other_strings_are_refused_in_one_line() -> None:
    words = Symbols(torch.zeros(2, 3, dtype=torch.int64), torch.tensor([3, 3]), ("x", "y"))
    with pytest.raises(InputError, match="give the data `counting`"):
        share_solved(Says(counts), words)
    with pytest.raises(InputError, match="give the data `counting`"):
        generalises_to(Says(counts), Symbols(words.x, words.lengths, vocabulary("a")))
