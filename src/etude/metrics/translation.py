"""How well a system turns texts into others, or into trees. What it writes is its own, word after word or node after
node, never helped along by the truth; `token_cross_entropy` alone is told it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from etude.data.kinds import PAD, UNKNOWN, TextPairs, Trees, walk
from etude.data.pairs import spell
from etude.errors import InputError

PART = 200  # pairs at a time; each needs room for the probabilities of all words at all its steps


class Translates(Protocol):
    @property
    def device(self) -> torch.device: ...

    def translate(self, x: Tensor, /) -> Tensor: ...


class Predicts(Protocol):
    @property
    def device(self) -> torch.device: ...

    def word_losses(self, x: Tensor, target: Tensor, /) -> Tensor: ...


def translated(system: Translates, split: TextPairs | Trees) -> Iterator[tuple[Tensor, Tensor]]:
    """What the system writes and what it should, batch by batch: (n, steps) each, padding behind the end."""
    for batch in walk(split, system.device, PART):
        said, truth = system.translate(batch.x), batch.truth
        steps = max(said.shape[1], truth.shape[1])
        yield F.pad(said, (0, steps - said.shape[1]), value=PAD), F.pad(truth, (0, steps - truth.shape[1]), value=PAD)


def exact_match(system: Translates, split: TextPairs | Trees) -> float:
    """Share of the targets that are written without a mistake, in [0, 1]."""
    right = [(said == truth).all(1) for said, truth in translated(system, split)]
    return float(torch.cat(right).double().mean())


def token_accuracy(system: Translates, split: TextPairs | Trees) -> float:
    """Share of the targets' words, their end included, or of their nodes, breadth first, that are written in their
    place, in [0, 1]."""
    right = [((said == truth) & (truth != PAD)).sum() for said, truth in translated(system, split)]
    return float(torch.stack(right).sum().double() / (split.truth != PAD).sum())


def token_cross_entropy(system: Predicts, split: TextPairs) -> float:
    """Mean of -log p(word | source, true words before it) in nats a word of the targets, their end included."""
    losses = [system.word_losses(b.x, b.target).double().sum() for b in walk(split, system.device, PART)]
    return float(torch.stack(losses).sum() / (split.target_lengths - 1).sum())


def bleu(system: Translates, split: TextPairs) -> float:
    """BLEU of the whole split as text, in [0, 100], by sacrebleu with its default 13a tokens: Post 2018."""
    return corpus_bleu(*translations(system, split))


def translations(system: Translates, split: TextPairs) -> tuple[list[str], list[str]]:
    """What the system writes and what it should, as texts; an unknown word of one is none of the other."""
    said = [text for batch, _ in translated(system, split) for text in texts(batch, split.target_words, "<unknown>")]
    return said, texts(split.truth, split.target_words, "<rare>")


def corpus_bleu(said: Sequence[str], truth: Sequence[str]) -> float:
    """BLEU of texts against one reference each, in [0, 100].

    Raises:
        InputError: sacrebleu is not installed.
    """
    try:
        import sacrebleu
    except ImportError:
        raise InputError("BLEU needs the library sacrebleu: pip install 'etude[text]'") from None
    return float(sacrebleu.corpus_bleu(list(said), [list(truth)]).score)


def texts(numbers: Tensor, words: Sequence[str], unknown: str = "<unknown>") -> list[str]:
    """Texts (n,) of words side by side, up to their `END`.

    Args:
        numbers: (n, steps).
        words: what each number stands for.
        unknown: what to write for an unknown word.
    """
    told = (*words[:UNKNOWN], f" {unknown}", *words[UNKNOWN + 1 :])
    return [spell(row, told) for row in numbers.tolist()]
