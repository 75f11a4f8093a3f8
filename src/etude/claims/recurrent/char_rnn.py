"""Claims about char-rnn."""

import math
from collections import Counter
from collections.abc import Iterator

import torch

from etude.claims.lab import Finding, Lab, claim, spread
from etude.data.kinds import Symbols

SEEDS = range(3)
EPOCHS = 12  # of the 50 of train.lua: at most four minutes a seed on one core
ORDERS = (4, 5, 6)


@claim(
    "a character-level LSTM foretells text better than counts of the last few characters do, and writes like it",
    source="Karpathy 2015, Shakespeare; Karpathy, Johnson and Li 2016 (arXiv:1506.02078), table 2",
    minutes=15,
)
def shakespeare(lab: Lab) -> Finding:
    runs = [lab.run("char-rnn", "tinyshakespeare", epochs=EPOCHS, seed=seed) for seed in SEEDS]
    bits = spread(run.scores["bits_per_character"] for run in runs)
    splits = runs[0].data()
    train, validation, test = splits.train, splits.validation, splits.test
    assert isinstance(train, Symbols)
    assert isinstance(validation, Symbols)
    assert isinstance(test, Symbols)
    order = min(ORDERS, key=lambda n: ngram_bits(train, validation, n))
    counted = ngram_bits(train, test, order)
    torch.manual_seed(0)
    asked, written = runs[0].record["question"]["arguments"], runs[0].complete("ROMEO:", temperature=0.8, length=300)
    return Finding(
        holds=max(bits["values"]) < counted,
        numbers={
            "test bits a character": bits,
            "test nats a character": spread(b * math.log(2) for b in bits["values"]),
            f"test bits a character, counts of {order} characters": counted,
            "minutes a seed": spread(run.record["seconds"] / 60 for run in runs),
        },
        note=f"{asked['layers']} layers of {asked['units']} units, {asked['epochs']} passes, {len(SEEDS)} seeds; each "
        "piece of 128 characters begins from nothing. The last 5 % of the text are the test. The counts are "
        f"interpolated (Witten and Bell 1991), their order of {ORDERS} chosen on the validation split. As context: "
        "nanoGPT's README gives 1.4697 nats for a character-level transformer, on another split (validation, the last "
        "10 %). Holds if every seed is below the counts. At temperature 0.8, the first draw: "
        f"{'ROMEO:' + written!r}",
    )


def ngram_bits(train: Symbols, split: Symbols, order: int) -> float:
    """Mean of -log2 p(symbol | at most order - 1 before it in its piece), interpolated as Witten and Bell 1991."""
    counts: dict[tuple[int, ...], Counter[int]] = {}
    for context, symbol in grams(train, order):
        for start in range(len(context) + 1):
            counts.setdefault(context[start:], Counter())[symbol] += 1
    totals = {context: counted.total() for context, counted in counts.items()}
    bits = []
    for context, symbol in grams(split, order):
        p = 1 / len(split.vocabulary)
        for start in range(len(context), -1, -1):
            if seen := counts.get(context[start:]):
                p = (seen[symbol] + len(seen) * p) / (totals[context[start:]] + len(seen))
        bits.append(-math.log2(p))
    return math.fsum(bits) / len(bits)


def grams(split: Symbols, order: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Every symbol of every piece but its first, with the symbols before it."""
    for row, length in zip(split.x.tolist(), split.lengths.tolist(), strict=True):
        for place in range(1, length):
            yield tuple(row[max(0, place - order + 1) : place]), row[place]
