"""Documents as TF-IDF (term frequency times inverse document frequency) of the word stems that occur most.

As for Reuters in Xie, Girshick and Farhadi (2016), section 4.1: "tf-idf features on the 2000 most frequently occurring
word stems". The rest follows the corpus used there (RCV1, Lewis et al., 2004), whose words come stemmed and without
stop words, and scikit-learn's usual formulas:

* a word is two or more letters of any script, in lower case; scikit-learn's English stop words are left out;
* a stem is what the Snowball stemmer for English (Porter, 2001) leaves of a word;
* the 2,000 stems with most occurrences in the training documents are kept, the first in the alphabet where two tie;
* a stem that occurs t > 0 times counts (1 + ln t) (1 + ln((1 + n) / (1 + m))), where m of n training documents hold it;
* each row is divided by its Euclidean norm. A document without any stem that was kept is a row of zeros.

Documents come in a folder of `.txt` files in UTF-8, in a folder for each class or without classes, with `train`,
`validation` and `test` above them where they come split; or in a column of a table (`etude.data.table`).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import snowballstemmer
import torch
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer, TfidfTransformer
from torch import Tensor

from etude.data.arrays import Array, assemble
from etude.data.files import reading, visible_files
from etude.data.folder import class_folders, part_folders
from etude.data.kinds import Batch, Splits, Vectors
from etude.data.memory import room
from etude.errors import InputError

MOST_STEMS = 2000
WORD = re.compile(r"[^\W\d_]{2,}")
ENGLISH = snowballstemmer.stemmer("english")


@dataclass(frozen=True)
class Documents:
    """Texts side by side.

    Attributes:
        names: of each, for errors: a file or a row.
        texts: as they were written.
        labels: the class of each; empty where there are none.
    """

    names: list[str]
    texts: list[str]
    labels: list[str]


def stems(text: str) -> list[str]:
    """The stems of the words in a text, in its order, without English stop words."""
    return [_stem(word) for word in WORD.findall(text.lower()) if word not in ENGLISH_STOP_WORDS]


@lru_cache(maxsize=2**17)
def _stem(word: str) -> str:
    stem: str = ENGLISH.stemWord(word)
    return stem


def load_texts(path: Path, unreadable: list[str] | None = None) -> Splits:
    """Splits of the `.txt` files in a folder, with the preparation that `prepare` repeats on new ones.

    Args:
        unreadable: where given, files that cannot be read are left out and named here.

    Raises:
        InputError: a file is not UTF-8, the folders are not as described above, or there are too few documents.
    """
    names, texts = list[str](), list[str]()
    parts: dict[str, dict[str, Array]] = {}
    for part, documents in _read_folder(path, unreadable).items():
        places = np.arange(len(texts), len(texts) + len(documents.texts))[:, None]
        parts[part] = {"x": places} | ({"y": np.array(documents.labels)} if documents.labels else {})
        names += documents.names
        texts += documents.texts
    return prepared(assemble(parts, path.resolve().name, str(path)), names, texts, str(path))


def prepared(
    drawn: Splits,
    names: Sequence[str],
    texts: Sequence[str],
    where: str,
    *,
    column: str | None = None,
    target: str | None = None,
) -> Splits:
    """Splits with TF-IDF in the place of the numbers of the documents; the training documents choose the stems.

    Args:
        drawn: `Vectors` whose x (n, 1) says which of the texts each example is.
        names: of the texts, to tell which hold none of the stems.
        where: the file or folder, for errors.
        column: of a table, that holds the documents.
        target: the column that holds what to predict.

    Returns:
        `Vectors` (n, stems), float32; `preparation["text"]` keeps the weight of each stem, and what was counted.

    Raises:
        InputError: no training document holds a word.
    """
    places = {part: batch.tensors()["x"][:, 0].long().numpy() for part, batch in drawn.parts().items()}
    occurrences = Counter(chain.from_iterable(stems(texts[place]) for place in places["train"].tolist()))
    ranked = sorted(occurrences, key=lambda stem: (-occurrences[stem], stem))
    kept = sorted(ranked[:MOST_STEMS])
    if not kept:
        raise InputError(f"{where}: no word in any of {len(places['train'])} documents to train on: give texts")
    counts = _counts(texts, kept)
    weighting = TfidfTransformer(sublinear_tf=True).fit(counts[places["train"]])
    rows = weighting.transform(counts)
    text = {
        "stems": dict(zip(kept, weighting.idf_.tolist(), strict=True)),
        "words": occurrences.total(),
        "distinct": len(occurrences),
        "empty": [names[place] for place in np.flatnonzero(np.diff(rows.indptr) == 0).tolist()],
        "column": column,
        "target": target,
    }
    parts = {part: _with_rows(batch, _dense(rows[places[part]])) for part, batch in drawn.parts().items()}
    return Splits(**parts, name=drawn.name, preparation={"text": text})


def prepare(path: Path, preparation: dict[str, Any]) -> Vectors:
    """A new `.txt` file or a folder of them as the training documents were prepared.

    They are labelled where each lies in a folder called as one of the classes.

    Args:
        preparation: `Splits.preparation` of the training data.

    Raises:
        InputError: a file is not UTF-8, or no document holds a stem that the system learned from.
    """
    files = text_files(path) if path.is_dir() else [path]
    classes = tuple(preparation["classes"])
    around = [file.relative_to(path).parts for file in files]
    labels = [next((classes.index(name) for name in folders if name in classes), -1) for folders in around]
    y = None if -1 in labels else torch.tensor(labels)
    return Vectors(weigh([_read(file) for file in files], preparation["text"], str(path)), y, classes)


def text_files(folder: Path) -> list[Path]:
    """The `.txt` files in a folder and the folders in it, in the order of their names; hidden ones are left out.

    Raises:
        InputError: there is none.
    """
    seen = sorted(visible_files(folder, (".txt",)))
    if not seen:
        raise InputError(f"{folder}: no .txt file in it: add documents or remove the folder")
    return seen


def weigh(texts: Sequence[str], text: dict[str, Any], where: str) -> Tensor:
    """TF-IDF (n, stems) of new texts; the row of one without any of the stems is zeros.

    Args:
        text: `Splits.preparation["text"]` of the training data.
        where: the file or folder, for errors.

    Raises:
        InputError: none of the texts holds any of the stems.
    """
    weighting = TfidfTransformer(sublinear_tf=True)
    weighting.idf_ = np.array(list(text["stems"].values()))
    rows = weighting.transform(_counts(texts, list(text["stems"])))
    if rows.nnz == 0:
        some = ", ".join(list(text["stems"])[:5])
        raise InputError(f"{where}: no word that the system learned from (such as {some}): give texts like those")
    return _dense(rows)


def _counts(texts: Sequence[str], kept: Sequence[str]) -> csr_array:
    """How often each text (n) holds each stem: (n, stems)."""
    return csr_array(CountVectorizer(analyzer=stems, vocabulary=kept).transform(texts))


def _dense(rows: csr_array) -> Tensor:
    x = room(rows.shape, torch.float32)
    for start in range(0, len(x), 1000):
        x[start : start + 1000] = torch.from_numpy(rows[start : start + 1000].toarray())
    return x


def _with_rows(batch: Batch, x: Tensor) -> Vectors:
    assert isinstance(batch, Vectors)
    return Vectors(x, batch.y, batch.classes, index=batch.index)


def _read_folder(path: Path, unreadable: list[str] | None = None) -> dict[str, Documents]:
    """The documents of each part of a folder, in the order of their names."""
    parts: dict[str, Documents] = {}
    for part, top in part_folders(path).items():
        files, texts = list[Path](), list[str]()
        for file in text_files(top):
            try:
                texts.append(_read(file))
            except InputError:
                if unreadable is None:
                    raise
                unreadable.append(str(file))
            else:
                files.append(file)
        if not files:
            raise InputError(f"{top}: none of its .txt files can be read: save them as UTF-8")
        parts[part] = Documents([str(file) for file in files], texts, class_folders(files, top))
    return parts


def _read(file: Path) -> str:
    with reading(file, "text in UTF-8"):
        return file.read_text(encoding="utf-8-sig")
