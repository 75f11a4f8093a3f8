"""What the page of a run shows of a translation: source, output and target in rows, and where attention looked."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from etude.data.kinds import BEGIN, END, PAD, TextPairs
from etude.metrics.translation import texts
from etude.report import figures
from etude.report.view import SHOWN, Figure, Section, View

MOST_UNITS = 24  # of a text whose map is still legible


def written(view: View) -> Iterator[Section]:
    """The first test pairs: what was given, what the system wrote, what it should have written."""
    test = view.splits.test if view.splits else None
    if not isinstance(test, TextPairs) or not hasattr(view.system, "translate"):
        return
    batch = test[:SHOWN].to("cpu")
    said = view.system.translate(batch.x)
    columns = (batch.x, test.words), (said, test.target_words), (batch.target[:, 1:], test.target_words)
    rows = list(zip(*(texts(numbers, words) for numbers, words in columns), strict=True))
    right = sum(output == target for _, output, target in rows)
    told = f"The first {len(rows)} test pairs, not chosen by anyone; {right} of them are written without a mistake."
    yield Section("Translations", [told], head=("source", "output", "target"), rows=rows)
    yield from attention(view, batch, said)


def attention(view: View, batch: TextPairs, said: Tensor) -> Iterator[Section]:
    """Where each word of an output looked in the source, of the first outputs that are short enough to be read."""
    lengths = torch.maximum(batch.lengths, (said != PAD).sum(1))
    short = (lengths <= MOST_UNITS).nonzero().flatten()[:2]
    target = F.pad(said, (1, 0), value=BEGIN)
    weights = view.system.alignment(batch.x, target)
    if weights is None or not len(short):
        return
    drawn = []
    for place in short.tolist():
        rows, columns = named(said[place], batch.target_words), named(batch.x[place], batch.words)
        map_ = weights[place, : len(rows), : len(columns)]
        drawn.append(Figure(figures.alignment(map_, rows, columns), f"test pair {place + 1}"))
    text = "Each row is a unit of the output, each column one of the source; the darker, the more weight."
    yield Section("Where attention looked", [text], drawn)


def named(numbers: Tensor, words: Sequence[str]) -> list[str]:
    """The units of a text, its end included, as they are to be shown."""
    shown = [words[number].strip() or "␣" for number in numbers.tolist() if number != PAD]
    return [*shown[:-1], "end"] if END in numbers.tolist() else shown
