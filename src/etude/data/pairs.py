"""Pairs of texts, and how they become numbers: byte pairs, words or characters.

What the numbers stand for is learned from the training lines, for source and target apart, and begins with padding,
begin, end and unknown. A unit carries the space before it (" man"), so that the units of a text side by side are the
text again, whichever they are:

* "byte pairs": the most frequent neighbours are joined, within words and runs of marks, until there are 4,000 units
  (Sennrich, Haddow and Birch, 2016); upper and lower case stay apart; by the library `tokenizers`;
* "words": runs of letters and digits, and single marks, in lower case; those that occur at least twice; by the same
  library;
* "characters": each one, spaces included.

The user's own pairs come as two line-aligned files in a folder (`train.de` and `train.en`, `corpus.src` and
`corpus.tgt`; gzipped or not; with `train`, `validation` or `test` in the name where they come split), as tab-separated
pairs (`.tsv`) or as JSON lines with two text fields (`.jsonl`). They become what is asked for; where nothing is, byte
pairs, or characters where most lines are without a space, as in spelling. Byte pairs leave next to nothing unknown, so
that what a system writes can be held against the text itself.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch

from etude.data.arrays import complete, part_of
from etude.data.kinds import BEGIN, END, PAD, UNKNOWN, Batch, Splits, TextPairs, Vectors
from etude.data.strings import pad, read_json, read_text
from etude.errors import InputError

Lines = tuple[Sequence[str], Sequence[str]]  # sources, and what each is to become
Units = Literal["byte pairs", "words", "characters"]
Side = Literal["source", "target"]
Vocabulary = dict[str, Any]

SPECIAL = ("<pad>", "<begin>", "<end>", "<unknown>")
CHOICES: dict[str, Units] = {"words": "words", "byte-pairs": "byte pairs", "characters": "characters"}
PIECES = {"byte pairs": r" ?\w+| ?[^\w\s]+", "words": r" ?\w+| ?[^\w\s]"}  # neighbours are joined within the first
UNKNOWN_WORD = {"byte pairs": SPECIAL[UNKNOWN], "words": f" {SPECIAL[UNKNOWN]}"}
SIZE = 4000  # units of byte pairs
LEAST = 2  # occurrences of a word, and of neighbours to be joined

LOOKED_AT = 100  # lines of a TSV
LANGUAGE = re.compile(r"(.+?)\.([a-z]{2}|src|tgt|source|target)(\.gz)?")
NO_LANGUAGES = ("gz", "md", "py", "sh", "xz")
HEADS = frozenset(("source", "src", "input", "target", "tgt", "output"))
TABLES = (".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz")


def load_pairs(path: Path, target: str | None = None, vocabulary: str | None = None) -> Splits:
    """Splits of the user's own pairs, with the preparation that `encode` and `decode` read.

    Args:
        target: what to translate into: a language (`en` of `train.en`), a column of a TSV with a header line, or a
            field of JSON lines; `de-en` names the source too, where there are more than two. The second, if not given;
            of languages in the order of the alphabet.
        vocabulary: words, byte-pairs or characters, which `preparation["vocabulary"]` keeps; chosen by the lines, if
            not given.

    Raises:
        InputError: a file cannot be read, a line is empty or lacks its partner, there are too few, or there is no such
            vocabulary.
    """
    if vocabulary is not None and vocabulary not in CHOICES:
        raise InputError(f"--vocabulary {vocabulary}: expected one of {', '.join(CHOICES)}")
    found: dict[str, Lines] = {}
    for part, (sources, targets) in read_pairs(path, target):
        earlier = found.get(part, ([], []))
        found[part] = ([*earlier[0], *sources], [*earlier[1], *targets])
    if "train" not in found:
        raise InputError(f"{path}: found {' and '.join(found)} without train: name the lines to train on")
    rows = {part: Vectors(torch.arange(len(its[0])).float()[:, None]) for part, its in found.items()}
    drawn = complete(rows, path.resolve().name.split(".")[0], str(path))
    parts = {part: _taken(found.get(part, found["train"]), batch) for part, batch in drawn.parts().items()}
    spaced = sum(" " in line for its in parts["train"] for line in its)
    if vocabulary is None:
        return numbered(parts, drawn.name, "byte pairs" if spaced > len(parts["train"][0]) else "characters")
    splits = numbered(parts, drawn.name, CHOICES[vocabulary])
    return replace(splits, preparation=splits.preparation | {"vocabulary": vocabulary})


def prepare(path: Path, preparation: dict[str, Any]) -> TextPairs:
    """New lines as the training lines were prepared: sources alone, one a line, or pairs as `load_pairs` reads them.

    Args:
        preparation: `Splits.preparation` of the training data.

    Returns:
        `TextPairs`, whose targets are empty (begin, end) where there are none.

    Raises:
        InputError: a file cannot be read, or a line is empty or lacks its partner.
    """
    if path.is_dir() or path.name.lower().endswith(TABLES):
        found = [lines for _, lines in read_pairs(path)]
        sources, targets = ([line for lines in found for line in lines[side]] for side in range(2))
    else:
        sources = read_lines(path)
        targets = [""] * len(sources)
    return _batch((sources, targets), preparation)


def numbered(parts: Mapping[str, Lines], name: str, units: Units) -> Splits:
    """Splits of the lines of train, validation and test; the lines to train on choose the vocabularies.

    Returns:
        `TextPairs`; `preparation["pairs"]` holds the vocabularies "source" and "target".
    """
    sources, targets = parts["train"]
    preparation = {"pairs": {"source": fit(sources, units), "target": fit(targets, units)}}
    batches = {part: _batch(lines, preparation) for part, lines in parts.items()}
    return Splits(**batches, name=name, preparation=preparation)


def fit(lines: Iterable[str], units: Units) -> Vocabulary:
    """What numbers stand for, learned from lines: {"units", "words", and for byte pairs "merges"}, ready for JSON.

    A source that fills shorter texts with spaces adds "width", to which new ones are filled too.
    """
    if units != "characters":
        return _learned(lines, units)
    counts = Counter(character for line in lines for character in line)
    return {"units": units, "words": [*SPECIAL, *sorted(counts, key=lambda unit: (-counts[unit], unit))]}


def encode(text: str, preparation: dict[str, Any], side: Side = "source") -> list[int]:
    """The numbers of a text, `END` after them and, for a target, `BEGIN` before them.

    Args:
        preparation: `Splits.preparation` of the training data.
    """
    return _numbers([text], preparation["pairs"][side], side)[0]


def decode(numbers: Iterable[int], preparation: dict[str, Any], side: Side = "target") -> str:
    """The text that numbers stand for, up to the first `END`."""
    return spell(numbers, preparation["pairs"][side]["words"])


def spell(numbers: Iterable[int], words: Sequence[str]) -> str:
    """The text that numbers stand for, up to the first `END`, without padding, begin and outer spaces.

    Args:
        words: `words` or `target_words` of `TextPairs`.
    """
    shown: list[str] = []
    for number in numbers:
        if number == END:
            break
        if number not in (PAD, BEGIN):
            shown.append(words[number])
    return "".join(shown).strip()


def read_pairs(path: Path, target: str | None = None) -> Iterator[tuple[str, Lines]]:
    """The part ("train", ...) and the lines of each pair of files or each table at a path.

    Raises:
        InputError: as `load_pairs`.
    """
    tables = sorted(file for file in path.iterdir() if file.name.lower().endswith(TABLES)) if path.is_dir() else [path]
    if tables:
        for file in tables:
            read = _read_tsv if ".tsv" in file.name.lower() else _read_json
            yield part_of(file.name.split(".")[0]), read(file, target)
        return
    texts = aligned(path)
    if not texts:
        raise InputError(f"{path}: no two files such as train.de and train.en, nor .tsv or .jsonl: give pairs of texts")
    languages = sorted(set.intersection(*(set(its) for its in texts.values())))
    source, target = _chosen(languages, target, path)
    for stem, files in texts.items():
        yield part_of(stem.replace(".", "_")), read_aligned(files[source], files[target])


def read_aligned(source: Path, target: Path) -> Lines:
    """The lines of two files that belong together line by line.

    Raises:
        InputError: a file cannot be read, a line is empty, or one has more lines than the other.
    """
    sources, targets = read_lines(source), read_lines(target)
    if len(sources) != len(targets):
        raise InputError(f"{target}: {len(targets)} lines where {source.name} has {len(sources)}: align them")
    return sources, targets


def aligned(folder: Path) -> dict[str, dict[str, Path]]:
    """The files of a folder by stem and language, of stems that several languages share: {"train": {"de": ..., }}."""
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.iterdir()):
        parts = LANGUAGE.fullmatch(file.name)
        if parts and parts[2] not in NO_LANGUAGES and not file.name.startswith("."):
            found.setdefault(parts[1], {})[parts[2]] = file
    return {stem: files for stem, files in found.items() if len(files) > 1}


def are_pairs(tsv: Path) -> bool:
    """Whether a TSV is pairs of texts and no table: two columns, in which most cells hold several words and differ."""
    try:
        lines = read_text(tsv).split("\n")[:LOOKED_AT]
    except InputError:  # which a table says better
        return False
    rows = [line.split("\t") for line in lines if line.strip()]
    if any(len(row) != 2 for row in rows):
        return False
    columns = [[row[place] for row in rows] for place in range(2)]
    several = [sum(len(cell.split()) > 1 for cell in cells) for cells in columns]
    return min(*several, *(len(set(cells)) for cells in columns)) > len(rows) / 2


def read_lines(file: Path) -> list[str]:
    """The lines of a text in UTF-8, gzipped or not, without outer spaces.

    Raises:
        InputError: it cannot be read, or a line is empty.
    """
    lines = [line.strip() for line in read_text(file).removesuffix("\n").split("\n")]
    if "" in lines:
        raise InputError(f"{file}: line {lines.index('') + 1} is empty: remove it, and its partner with it")
    return lines


def _taken(lines: Lines, drawn: Batch) -> Lines:
    rows = [int(row) for row in drawn.tensors()["x"][:, 0].tolist()]
    return [lines[0][row] for row in rows], [lines[1][row] for row in rows]


def _chosen(names: Sequence[str], target: str | None, path: Path) -> tuple[str, str]:
    """The source and the target among languages or fields."""
    wanted = list(names) if target is None else target.split("-")
    if target is not None and target in names:
        wanted = [*(name for name in names if name != target), target]
    if len(wanted) != 2 or not set(wanted) <= set(names):
        asked = f"no {target!r}" if target else "not two texts"
        raise InputError(f"{path}: {asked} among {', '.join(names)[:200]}: name both, as in --target de-en")
    return wanted[0], wanted[1]


def _read_tsv(file: Path, target: str | None) -> Lines:
    rows = [[cell.strip() for cell in line.split("\t")] for line in read_lines(file)]
    names, places, first = [cell.lower() for cell in rows[0]], (0, 1), 1
    if target or (len(names) > 1 and HEADS.issuperset(names[:2])):
        source, into = _chosen(names, target, file) if target else names[:2]
        places, rows, first = (names.index(source), names.index(into)), rows[1:], 2
    for line, row in enumerate(rows, first):
        if len(row) <= max(places) or not all(row[place] for place in places):
            raise InputError(f"{file}: line {line} lacks a field: give source and target, with a tab between")
    return [row[places[0]] for row in rows], [row[places[1]] for row in rows]


def _read_json(file: Path, target: str | None) -> Lines:
    entries = [_fields(line, f"{file}: line {place}") for place, line in enumerate(read_lines(file), 1)]
    names = _chosen(list(entries[0]), target, file)
    for place, entry in enumerate(entries, 1):
        if not all(entry.get(name) for name in names):
            raise InputError(f"{file}: line {place} has no text {' or '.join(map(repr, names))}: give both")
    return [entry[names[0]] for entry in entries], [entry[names[1]] for entry in entries]


def _fields(line: str, where: str) -> dict[str, str]:
    """The texts in a line of JSON, by the names of their fields."""
    entry = read_json(line, where)
    if not isinstance(entry, dict):
        raise InputError(f'{where} is no object: give {{"source": ..., "target": ...}}')
    return {name: text.strip() for name, text in entry.items() if isinstance(text, str)}


def _spaced(line: str, units: Units) -> str:
    """A line with one space before each word, the first included, where there were some or none."""
    spaced = "".join(f" {word}" for word in line.split())
    return spaced.lower() if units == "words" else spaced


def _numbers(lines: Sequence[str], vocabulary: Vocabulary, side: Side) -> list[list[int]]:
    place = {word: number for number, word in enumerate(vocabulary["words"])}
    if vocabulary["units"] == "characters":
        filled = [line.ljust(vocabulary.get("width", 0)) for line in lines]
        numbered = [[place.get(character, UNKNOWN) for character in line] for line in filled]
    else:
        spaced = [_spaced(line, vocabulary["units"]) for line in lines]
        numbered = [found.ids for found in _tokenizer(vocabulary, place).encode_batch(spaced)]
    return [[*([BEGIN] if side == "target" else []), *numbers, END] for numbers in numbered]


def _batch(lines: Lines, preparation: dict[str, Any]) -> TextPairs:
    source, target = (preparation["pairs"][side] for side in ("source", "target"))
    rows = _numbers(lines[0], source, "source"), _numbers(lines[1], target, "target")
    return TextPairs(*pad(rows[0]), *pad(rows[1]), tuple(source["words"]), tuple(target["words"]))


def _learned(lines: Iterable[str], units: Units) -> Vocabulary:
    """The byte pairs or the words of lines."""
    library = _library()
    special = [*SPECIAL[:UNKNOWN], UNKNOWN_WORD[units]]
    told = {"min_frequency": LEAST, "special_tokens": special, "show_progress": False}
    if units == "words":
        trainer = library.trainers.WordLevelTrainer(vocab_size=sys.maxsize, **told)
    else:
        trainer = library.trainers.BpeTrainer(vocab_size=SIZE, limit_alphabet=SIZE // 2, **told)
    tokenizer = _tokenizer({"units": units, "merges": []}, {})
    tokenizer.train_from_iterator((_spaced(line, units) for line in lines), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    found = {"units": units, "words": sorted(model["vocab"], key=model["vocab"].get)}
    return found if units == "words" else found | {"merges": model["merges"]}


def _tokenizer(vocabulary: Vocabulary, place: dict[str, int]) -> Any:
    """What cuts a line into the units of a vocabulary; neighbours are joined as they were in training."""
    library, units = _library(), vocabulary["units"]
    if units == "words":
        model = library.models.WordLevel(place, UNKNOWN_WORD[units])
    else:
        model = library.models.BPE(place, [tuple(pair) for pair in vocabulary["merges"]], unk_token=UNKNOWN_WORD[units])
    tokenizer = library.Tokenizer(model)
    tokenizer.pre_tokenizer = library.pre_tokenizers.Split(library.Regex(PIECES[units]), "isolated")
    return tokenizer


def _library() -> Any:
    try:
        return import_module("tokenizers")
    except ImportError:
        raise InputError("byte pairs and words need the library tokenizers: pip install etude[text]") from None
