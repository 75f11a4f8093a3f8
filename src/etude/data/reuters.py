"""Reuters-21578 (Lewis), the subset R8: news of one of its eight most frequent topics (Cardoso-Cachopo, 2007).

Read from the original files "all terms": a header line, then a line for each story, its topic, a tab and its words. As
TF-IDF of 2,000 stems they stand in for the Reuters of Xie et al. (2016), a part of RCV1 that is not to be had.
"""

from pathlib import Path

import torch

from etude.data.arrays import complete
from etude.data.files import locate
from etude.data.kinds import Splits, Vectors
from etude.data.table import read_columns
from etude.data.text import prepared
from etude.errors import InputError

COLUMNS = ["Class", "Example"]


def reuters_r8(data_dir: Path | None = None) -> Splits:
    """TF-IDF (n, 2000) as `etude.data.text` has it: 15 % of the training file held out to validate, the test file.

    Raises:
        InputError: `r8-train*.txt*` and `r8-test*.txt*` are not in `data_dir` nor in its folder `reuters_r8`, or are
            not R8.
    """
    drawn, texts, where = _read(data_dir)
    return _weighed(drawn, texts, where)


def reuters_r8_whole(data_dir: Path | None = None) -> Splits:
    """All 7,674 stories to train and to test, as `Splits.whole` has it; the stems are those of all of them.

    Raises:
        InputError: as `reuters_r8`.
    """
    drawn, texts, where = _read(data_dir)
    return _weighed(drawn.whole(), texts, where)


def _weighed(drawn: Splits, texts: list[str], where: str) -> Splits:
    names = [f"story {place}" for place in range(1, len(texts) + 1)]
    return prepared(drawn, names, texts, where, column=COLUMNS[1], target=COLUMNS[0])


def _read(data_dir: Path | None) -> tuple[Splits, list[str], str]:
    """Splits whose x numbers the stories, all stories of the training file and of the test file, and where they lie."""
    get = "it is Cardoso-Cachopo's r8-train-all-terms.txt and r8-test-all-terms.txt, gzipped or not"
    train, test = locate(data_dir, "reuters_r8", "r8-train*.txt*", "r8-test*.txt*", get=get)
    files = {"train": train, "test": test}
    columns = {part: read_columns(file) for part, file in files.items()}
    for part, file in files.items():
        if list(columns[part]) != COLUMNS:
            raise InputError(f"{file}: has {', '.join(columns[part])} where R8 has {', '.join(COLUMNS)}: replace it")
    topics = tuple(sorted({topic for cells in columns.values() for topic in cells[COLUMNS[0]]}))
    parts: dict[str, Vectors] = {}
    texts: list[str] = []
    for part, cells in columns.items():
        y = torch.tensor([topics.index(topic) for topic in cells[COLUMNS[0]]])
        parts[part] = Vectors(torch.arange(len(texts), len(texts) + len(y)).float()[:, None], y, topics)
        texts += cells[COLUMNS[1]]
    return complete(parts, "reuters-r8", str(train)), texts, str(train)
