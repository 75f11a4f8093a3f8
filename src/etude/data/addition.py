"""Sums as text, character by character: "123+45 " becomes "168" (Zaremba and Sutskever, 2014, learn to add so).

Drawn as the example `addition_rnn` of Keras draws them: 1 to 3 digits a number, each count as likely, and each digit as
likely; questions are filled with spaces to one length. Unlike there, answers are not filled, since an end closes them.
No question is asked twice, and 12+3 and 3+12 are one, so that none of the test was seen in training.
"""

import random
from pathlib import Path

from etude.data.kinds import Splits
from etude.data.pairs import Lines, numbered

QUESTIONS = 60_000  # of which 5/6 to train; Keras takes 50,000, and holds 10 % of them out


def addition(data_dir: Path | None = None, digits: int = 3) -> Splits:
    """50,000 sums to train, 5,000 to validate, 5,000 to test; fewer of one or two digits, where there are not as many.

    Args:
        digits: the most that a number has, in [1, inf).
    """
    sums = questions(digits)
    held = len(sums) // 12
    starts = {"train": (0, -2 * held), "validation": (-2 * held, -held), "test": (-held, None)}
    parts: dict[str, Lines] = {
        part: ([question(a, b, digits) for a, b in sums[start:end]], [str(a + b) for a, b in sums[start:end]])
        for part, (start, end) in starts.items()
    }
    splits = numbered(parts, "addition", "characters")
    splits.preparation["pairs"]["source"]["width"] = 2 * digits + 1
    return splits


def question(a: int, b: int, digits: int = 3) -> str:
    """A sum as text, filled with spaces."""
    return f"{a}+{b}".ljust(2 * digits + 1)


def questions(digits: int = 3) -> list[tuple[int, int]]:
    """Pairs of numbers, always the same, none of them twice and none turned round: 60,000, or half of all there are."""
    draw, most = random.Random(0), 10**digits
    wanted = min(QUESTIONS, most * (most + 1) // 4)
    found: dict[tuple[int, int], tuple[int, int]] = {}
    while len(found) < wanted:
        a, b = (draw.randrange(10 ** draw.randint(1, digits)) for _ in range(2))
        found.setdefault((min(a, b), max(a, b)), (a, b))
    sums = list(found.values())
    draw.shuffle(sums)  # short sums run out, so that those found last are longer
    return sums
