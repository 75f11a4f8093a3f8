"""Strings that only who counts can guess: a^n b^n, which is context-free, and a^n b^n c^n, which is not.

n as in Weiss, Goldberg and Yahav (2018), section 5: up to 100 in training for a^n b^n and up to 50 for a^n b^n c^n, and
larger n in the test. There a network tells such strings from others; here it guesses the next symbol, as in Gers and
Schmidhuber (2001): once the first b has come, every further symbol is certain, the end included.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from etude.data.kinds import BEGIN, END, Splits, Symbols
from etude.data.strings import pad

DRAWN = 1000  # strings to train on


def counting(data_dir: Path | None = None) -> Splits:
    """a^n b^n: 1,000 strings with n drawn from 1 to 100; n = 1 to 100 to validate; n = 101 to 200 to test."""
    return _splits("ab", 100, "counting")


def counting_abc(data_dir: Path | None = None) -> Splits:
    """a^n b^n c^n: 1,000 strings with n drawn from 1 to 50; n = 1 to 50 to validate; n = 51 to 100 to test."""
    return _splits("abc", 50, "counting-abc")


def vocabulary(letters: str = "ab") -> tuple[str, ...]:
    """What the numbers stand for: padding, begin and end, as in every vocabulary, then the letters."""
    return ("<pad>", "<begin>", "<end>", *letters)


def string(n: int, letters: str = "ab") -> list[int]:
    """The numbers of one string: begin, each letter n times, end."""
    return [BEGIN, *(END + place for place in range(1, len(letters) + 1) for _ in range(n)), END]


def strings(ns: Sequence[int], letters: str = "ab") -> Symbols:
    """A string for each n: Symbols (len(ns), max(ns) * len(letters) + 2).

    Args:
        ns: how often each letter occurs, each in [0, inf).
    """
    return Symbols(*pad([string(n, letters) for n in ns]), vocabulary(letters))


def _splits(letters: str, most: int, name: str) -> Splits:
    drawn = torch.randint(1, most + 1, (DRAWN,), generator=torch.Generator().manual_seed(0)).tolist()
    ns = {"train": drawn, "validation": range(1, most + 1), "test": range(most + 1, 2 * most + 1)}
    preparation = {"symbols": {"vocabulary": list(vocabulary(letters)), "steps": 2 * most * len(letters) + 1}}
    return Splits(**{part: strings(its, letters) for part, its in ns.items()}, name=name, preparation=preparation)
