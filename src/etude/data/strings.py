"""Text as strings of symbols: characters, in pieces of a fixed length, for systems that guess the next one.

A text is split by position and not at random, so that no part has seen the lines around those of another: its first
90 % to train, the next 5 % to validate, the last 5 % to test (Karpathy's char-rnn has 95 and 5 % and no test, nanoGPT
has 90 and 10 %). Each part is cut, in order, into pieces of 129 symbols, of which the last is the first of the next
piece: so every symbol but the first of a part is guessed once, after at most 128 others.

The vocabulary is the characters of the training part in the order of their code points. Whatever else comes is
`UNSEEN`, number 0, which no training piece holds: a system has no reason to expect it, and pays for it in its score.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from etude.data.arrays import part_of
from etude.data.files import locate, reading, visible_files
from etude.data.folder import part_folders
from etude.data.kinds import Splits, Symbols
from etude.errors import InputError

UNSEEN = "\N{REPLACEMENT CHARACTER}"
STEPS = 128  # symbols to guess in a piece
SHARES = (0.9, 0.95)  # where validation and test begin


def tinyshakespeare(data_dir: Path | None = None) -> Splits:
    """A million characters of Shakespeare's plays (Karpathy, 2015, char-rnn), 90/5/5 % by position.

    Raises:
        InputError: `input.txt` is not in `data_dir` nor in its folder `tinyshakespeare`, or is not UTF-8.
    """
    get = "it is input.txt of the folder data/tinyshakespeare of github.com/karpathy/char-rnn"
    (file,) = locate(data_dir, "tinyshakespeare", "*input*.txt", get=get)
    return cut(by_position(read_text(file)), "tinyshakespeare", str(file))


def load_strings(path: Path, unreadable: list[str] | None = None) -> Splits:
    """Splits of a `.txt` file, or of the `.txt` files in a folder one after the other in the order of their names.

    Folders `train`, `validation` and `test` in it, or files called so (`train.txt`, `wiki.valid.txt`), are the splits;
    of one text, and of what is missing of validation and test, the end of the training text is taken.

    Args:
        unreadable: where given, files that cannot be read are left out and named here.

    Raises:
        InputError: a file is not UTF-8, or a part is shorter than two symbols.
    """
    parts: dict[str, list[str]] = {}
    for file, part in _files(path).items():
        try:
            parts.setdefault(part, []).append(read_text(file))
        except InputError:
            if unreadable is None:
                raise
            unreadable.append(str(file))
    texts = {part: "\n".join(texts) for part, texts in parts.items()}
    if "train" not in texts:
        raise InputError(f"{path}: no text to train on: add one, saved as UTF-8")
    if len(texts) < 3:
        texts = by_position(texts["train"], [part for part in ("validation", "test") if part not in texts]) | {
            part: text for part, text in texts.items() if part != "train"
        }
    return cut(texts, path.resolve().stem, str(path))


def by_position(text: str, held: Sequence[str] = ("validation", "test")) -> dict[str, str]:
    """A text in the order train, validation, test; each part in `held` is 5 % of it."""
    starts = [round(len(text) * share) for share in (*SHARES[2 - len(held) :], 1)] if held else [len(text)]
    ends = zip(("train", *held), [0, *starts], starts, strict=False)
    return {part: text[start:end] for part, start, end in ends}


def cut(texts: Mapping[str, str], name: str, where: str, steps: int = STEPS) -> Splits:
    """Splits of the texts of train, validation and test, in pieces, with the preparation that `encode` reads.

    Args:
        where: the file or folder, for errors.
        steps: symbols to guess in a piece, in [1, inf).

    Raises:
        InputError: a part is shorter than two symbols.
    """
    words = (UNSEEN, *sorted(set(texts["train"]) - {UNSEEN}))
    preparation = {"symbols": {"vocabulary": list(words), "steps": steps}}
    for part, text in texts.items():
        if len(text) < 2:
            raise InputError(f"{where}: {len(text)} characters for {part}, expected at least 2: give a longer text")
    parts = {part: pieces(encode(text, preparation), preparation) for part, text in texts.items()}
    return Splits(**parts, name=name, preparation=preparation)


def pieces(numbers: Sequence[int], preparation: dict[str, Any]) -> Symbols:
    """Numbers of symbols in overlapping pieces, as the training text was cut; the last piece may be shorter.

    Args:
        preparation: `Splits.preparation` of the training data.
    """
    steps: int = preparation["symbols"]["steps"]
    rows = [numbers[start : start + steps + 1] for start in range(0, len(numbers) - 1, steps)]
    return Symbols(*pad(rows), tuple(preparation["symbols"]["vocabulary"]))


def prepare(path: Path, preparation: dict[str, Any]) -> Symbols:
    """The pieces of a new `.txt` file or of the files in a folder.

    Raises:
        InputError: a file is not UTF-8, or there are fewer than two symbols.
    """
    text = "\n".join(read_text(file) for file in _files(path))
    if len(text) < 2:
        raise InputError(f"{path}: {len(text)} characters, expected at least 2: give a longer text")
    return pieces(encode(text, preparation), preparation)


def encode(text: str, preparation: dict[str, Any]) -> list[int]:
    """The number of each character of a text; 0, which stands for `UNSEEN`, for those that training did not hold.

    Args:
        preparation: `Splits.preparation` of the training data.
    """
    number = {word: number for number, word in enumerate(preparation["symbols"]["vocabulary"])}
    return [number.get(character, 0) for character in text]


def decode(numbers: Sequence[int], preparation: dict[str, Any]) -> str:
    """The text that numbers of symbols stand for."""
    return "".join(preparation["symbols"]["vocabulary"][number] for number in numbers)


def pad(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Rows of numbers side by side, filled with zeros to the longest: (n, steps) and their true lengths (n,), int64."""
    lengths = np.array([len(row) for row in rows])
    x = np.zeros((len(rows), lengths.max()), np.int64)
    x[np.arange(x.shape[1]) < lengths[:, None]] = np.fromiter(chain.from_iterable(rows), np.int64, lengths.sum())
    return torch.from_numpy(x), torch.from_numpy(lengths)


def read_text(file: Path) -> str:
    """A text in UTF-8, gzipped or not, with \\n at the end of each line.

    Raises:
        InputError: it cannot be read.
    """
    with reading(file, "text in UTF-8"):
        data = file.read_bytes()
        data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        try:
            return data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise InputError(f"{file}: line {line} is not UTF-8: save the file as UTF-8, or remove it") from error


def read_json(line: str, where: str) -> Any:
    """What a line of JSON says.

    Raises:
        InputError: it is no JSON, or a text in it cannot be written as UTF-8.
    """
    try:
        found = json.loads(line)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is no JSON ({error}): correct or remove it") from error
    return found


def _files(path: Path) -> dict[Path, str]:
    """The `.txt` files at a path, in the order of their names, and the part that each belongs to."""
    if path.is_file():
        return {path: "train"}
    tops = part_folders(path)
    if tops != {"train": path}:
        return {file: part for part, top in tops.items() for file in sorted(visible_files(top, (".txt",)))}
    return {file: part_of(file.stem.replace(".", "_")) for file in sorted(visible_files(path, (".txt",)))}
