"""Prose that is always at hand: the first 100,000 characters of Shakespeare's Coriolanus, acts 1 to 4.

They are the beginning of Karpathy's tinyshakespeare, so that what learns from them learns from that too. The text is in
the public domain.
"""

from pathlib import Path

from etude.data.kinds import Splits
from etude.data.strings import by_position, cut, read_text

FILE = Path(__file__).with_suffix(".txt")


def prose(data_dir: Path | None = None) -> Splits:
    """Pieces of 129 characters, the first 90 % to train, 5 % to validate, 5 % to test."""
    return cut(by_position(read_text(FILE)), "prose", str(FILE))
