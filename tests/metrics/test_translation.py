"""Metrics of translation against sacrebleu, torch and counting."""

import sys

import pytest
import sacrebleu
import torch
from torch import Tensor

from etude.data.kinds import BEGIN, END, PAD, UNKNOWN, TextPairs, Trees
from etude.data.trees import FILES, numbered, parse
from etude.errors import InputError
from etude.metrics.translation import bleu, corpus_bleu, exact_match, texts, token_accuracy, token_cross_entropy

WORDS = ("<pad>", "<begin>", "<end>", "<unknown>", "a", " cat", " sat", " on", " mat", ".")
TREES = ["(+ a b)", "(len a)", "(+ (len a) b)", "a"]
ROWS = [[4, 5, 6, 7, 4, 8, 9], [4, 5, 9], [4, UNKNOWN, 6, 9], [5]]


class Says:
    """Writes what it was given to say."""

    device = torch.device("cpu")

    def __init__(self, rows: list[list[int]], steps: int = 12) -> None:
        self.rows = padded([[*row, END] for row in rows], steps)

    def translate(self, x: Tensor) -> Tensor:
        return self.rows[x[:, 0]]

    def word_losses(self, x: Tensor, target: Tensor) -> Tensor:
        return (target[:, 1:] != PAD) * (1.0 + x[:, :1])


def padded(rows: list[list[int]], steps: int = 0) -> Tensor:
    longest = max(steps, *map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


def pairs(rows: list[list[int]]) -> TextPairs:
    """Sources that are their own places."""
    target = padded([[BEGIN, *row, END] for row in rows])
    places = torch.arange(len(rows))[:, None]
    return TextPairs(places, torch.ones(len(rows), dtype=torch.int64), target, (target != PAD).sum(1), WORDS, WORDS)


def test_what_is_right_is_all_right() -> None:
    for steps in (8, 12):
        assert exact_match(Says(ROWS, steps), pairs(ROWS)) == 1
        assert token_accuracy(Says(ROWS, steps), pairs(ROWS)) == 1


def test_matches_and_words_are_counted() -> None:
    said = [ROWS[0], [4, 5], [4, 6, 6, 9, 9, 9], [5]]
    assert exact_match(Says(said), pairs(ROWS)) == 0.5
    assert token_accuracy(Says(said), pairs(ROWS)) == (8 + 2 + 3 + 2) / (8 + 4 + 5 + 2)


def test_a_translation_shorter_than_any_target_counts_what_is_there() -> None:
    short = Says([[4], [4], [4], [5]], 2)
    assert exact_match(short, pairs(ROWS)) == 0.25
    assert token_accuracy(short, pairs(ROWS)) == 5 / 19


def test_cross_entropy_is_a_mean_over_words_and_not_over_pairs() -> None:
    assert token_cross_entropy(Says(ROWS), pairs(ROWS)) == pytest.approx((8 * 1 + 4 * 2 + 5 * 3 + 2 * 4) / 19)


def test_texts_end_at_their_end_and_lose_their_marks() -> None:
    assert texts(torch.tensor([[4, 5, END, 6, 6], [5, 9, END, PAD, PAD], [4, 5, 6, 6, 6]]), WORDS) == [
        "a cat",
        "cat.",
        "a cat sat sat sat",
    ]
    assert texts(torch.tensor([[4, UNKNOWN, 6]]), WORDS, "<rare>") == ["a <rare> sat"]


def test_bleu_is_sacrebleus_on_the_texts() -> None:
    said = [[4, 5, 6, 7, 4, 5, 9], [4, 5, 9], [4, 5, 6, 9], [8]]
    truth = ["a cat sat ona mat.", "a cat.", "a <rare> sat.", "cat"]
    expected = sacrebleu.corpus_bleu(["a cat sat ona cat.", "a cat.", "a cat sat.", "mat"], [truth]).score
    assert bleu(Says(said), pairs(ROWS)) == pytest.approx(expected)
    known = [row for row in ROWS if UNKNOWN not in row]
    assert bleu(Says(known), pairs(known)) == pytest.approx(100)


def test_an_unknown_word_is_no_match_for_another() -> None:
    assert bleu(Says(ROWS), pairs(ROWS)) < 90


def test_without_sacrebleu_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(InputError, match="pip install"):
        corpus_bleu(["a"], ["a"])


def trees() -> Trees:
    problems = [([f"w{place}"] * 2, parse(text)) for place, text in enumerate(TREES)]
    train = numbered(dict.fromkeys(FILES, problems), "given").train
    assert isinstance(train, Trees)
    return train


class WritesTrees:
    """Says what it was given to say for the text of each first word."""

    device = torch.device("cpu")

    def __init__(self, x: Tensor, said: Tensor) -> None:
        self.said = dict(zip(x[:, 0].tolist(), said, strict=True))

    def translate(self, x: Tensor) -> Tensor:
        assert (x[:, 2] == END).all()
        return torch.stack([self.said[word] for word in x[:, 0].tolist()])


@pytest.mark.parametrize("longest", [4, 3, 9])
def test_what_is_right_counts_whatever_the_padding(longest: int) -> None:
    batch = trees()
    said = torch.zeros(4, 9, dtype=torch.int64)
    said[:, :4] = batch.nodes
    fit = batch.sizes <= longest
    assert exact_match(WritesTrees(batch.x, said[:, :longest]), batch) == fit.double().mean()
    right = batch.sizes.clamp(max=longest).sum() / batch.sizes.sum()
    assert token_accuracy(WritesTrees(batch.x, said[:, :longest]), batch) == pytest.approx(float(right))


def test_a_wrong_node_or_one_too_many_spoils_a_tree() -> None:
    batch = trees()
    assert batch.sizes.tolist() == [3, 2, 4, 1]
    said = torch.zeros(4, 6, dtype=torch.int64)
    said[:, :4] = batch.nodes
    said[0, 1] += 1
    said[3, 1] = 5
    assert exact_match(WritesTrees(batch.x, said), batch) == 0.5
    assert token_accuracy(WritesTrees(batch.x, said), batch) == pytest.approx(9 / 10)
