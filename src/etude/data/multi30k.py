"""Multi30k (Elliott et al., 2016): captions of 30,000 photographs in German, and in English as translators read them.

Here German becomes English: 29,000 sentences to train, 1,014 to validate and the 1,000 of test2016 to test. As
`multi30k` they are byte pairs, 4,000 for each language (`etude.data.pairs`), upper and lower case and marks stay, so
that BLEU is that of the sentences as they were published. As `multi30k-words` they are words in lower case, and rare
ones are unknown. Another direction: `--data FOLDER --target en-de`, or `fr`, or `cs`.
"""

from pathlib import Path

from etude.data.files import locate
from etude.data.kinds import Splits
from etude.data.pairs import Lines, Units, numbered, read_aligned

NAMES = {"train": "train", "validation": "val", "test": "test_2016_flickr"}


def multi30k(data_dir: Path | None = None) -> Splits:
    """German to English, byte pairs.

    Raises: as `multi30k_words`.
    """
    return _read(data_dir, "multi30k", "byte pairs")


def multi30k_words(data_dir: Path | None = None) -> Splits:
    """German to English, words.

    Raises:
        InputError: `train.de`, `train.en` and so on, gzipped or not, are not in `data_dir` nor in its folder
            `multi30k`, or are not aligned.
    """
    return _read(data_dir, "multi30k-words", "words")


def _read(data_dir: Path | None, name: str, units: Units) -> Splits:
    get = "it is data/task1/raw of github.com/multi30k/dataset"
    patterns = [f"{name}.{language}*" for name in NAMES.values() for language in ("de", "en")]
    files = locate(data_dir, "multi30k", *patterns, get=get)
    parts: dict[str, Lines] = {part: read_aligned(*files[2 * at : 2 * at + 2]) for at, part in enumerate(NAMES)}
    return numbered(parts, name, units)
