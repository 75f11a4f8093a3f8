"""Pairs of texts, from every form of file, as byte pairs, words and characters."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from etude.data.check import check
from etude.data.kinds import BEGIN, END, PAD, UNKNOWN, Batch, Splits, TextPairs
from etude.data.pairs import SPECIAL, Units, decode, encode, fit, load_pairs, numbered, spell
from etude.data.source import load, read
from etude.errors import InputError

THINGS = {"Hund": "dog", "Mann": "man", "Ball": "ball"}
GERMAN = [f"Ein {thing} ist {'sehr ' * (n // 5)}groß, Nr. {n % 5}." for n in range(10) for thing in THINGS]
ENGLISH = [f"A {thing} is {'very ' * (n // 5)}big, no. {n % 5}." for n in range(10) for thing in THINGS.values()]
PAIRS = set(zip(GERMAN, ENGLISH, strict=True))


def told(splits: Splits) -> set[tuple[str, str]]:
    """Every pair, as text again."""
    found = set()
    for split in splits.parts().values():
        assert isinstance(split, TextPairs)
        for x, target in zip(split.x.tolist(), split.target.tolist(), strict=True):
            found.add((decode(x, splits.preparation, "source"), decode(target, splits.preparation)))
    return found


def texts(batch: Batch, splits: Splits) -> list[tuple[str, str]]:
    return sorted(told(Splits(batch, batch, batch, preparation=splits.preparation)))


def split_into_words(line: str) -> list[str]:
    """Runs of letters, digits and what is written above them, and single marks, by Python's own expressions."""
    spaced = "".join(f" {word}" for word in line.split())
    return re.findall(r" ?[\w\u0301]+| ?[^\w\u0301\s]", spaced.lower())


def write(path: Path, lines: list[str], packed: bool = False) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if packed else data)


@pytest.mark.parametrize("units", ["byte pairs", "words", "characters"])
def test_numbers_become_the_text_again(units: Units) -> None:
    splits = numbered(dict.fromkeys(("train", "validation", "test"), (GERMAN, ENGLISH)), "mine", units)
    assert isinstance(splits.train, TextPairs)
    assert told(splits) == ({(a.lower(), b.lower()) for a, b in PAIRS} if units == "words" else PAIRS)
    for row, length in zip(splits.train.target.tolist(), splits.train.target_lengths.tolist(), strict=True):
        assert row[0] == BEGIN
        assert row[length - 1] == END
        assert not any(row[length:])
    assert encode(GERMAN[4], splits.preparation) == splits.train.x[4, : splits.train.lengths[4]].tolist()
    assert encode(ENGLISH[4], splits.preparation, "target")[0] == BEGIN


@pytest.mark.parametrize("units", ["byte pairs", "words", "characters"])
def test_the_preparation_survives_json(units: Units) -> None:
    splits = numbered(dict.fromkeys(("train", "validation", "test"), (GERMAN, ENGLISH)), "mine", units)
    again = json.loads(json.dumps(splits.preparation))
    assert again == splits.preparation
    assert encode("Ein Ball, groß.", again) == encode("Ein Ball, groß.", splits.preparation)


def test_words_are_runs_of_letters_and_single_marks_seen_twice() -> None:
    words = fit(["The cat, the «cat».", "A dog!!", "a DOG"], "words")
    assert words == {"units": "words", "words": [*SPECIAL[:3], " <unknown>", " a", " dog", " the", "!"]}
    preparation = {"pairs": {"source": words, "target": words}}
    assert encode("the dog!!", preparation) == [6, 5, 7, 7, END]
    assert encode("The bird !", preparation) == [6, UNKNOWN, UNKNOWN, END]
    assert decode([BEGIN, 6, UNKNOWN, 7, END, 5, PAD], preparation) == "the <unknown>!"


@given(st.lists(st.text("aBé «».,!_7 \N{COMBINING ACUTE ACCENT}", max_size=30), max_size=8))
def test_words_are_those_of_an_expression_and_a_count(lines: list[str]) -> None:
    counts = Counter(unit for line in lines for unit in split_into_words(line))
    kept = sorted((unit for unit in counts if counts[unit] > 1), key=lambda unit: (-counts[unit], unit))
    words = fit(lines, "words")
    assert words["words"] == [*SPECIAL[:3], " <unknown>", *kept]
    for line in lines:
        places = [words["words"].index(unit) if unit in kept else UNKNOWN for unit in split_into_words(line)]
        assert encode(line, {"pairs": {"source": words}}) == [*places, END]


def test_spelling_stops_at_the_end() -> None:
    words = (*SPECIAL, " a", "b")
    assert spell([BEGIN, 4, 5, 4, END, 4, PAD], words) == "ab a"
    assert spell([4, PAD, 4], words) == "a a"
    assert spell([END], words) == spell([], words) == ""


def test_byte_pairs_are_joined_by_frequency_and_within_words() -> None:
    units = fit(["low low low low lower lower newest newest newest widest"] * 3, "byte pairs")
    words: list[str] = units["words"]
    assert words[:4] == list(SPECIAL)
    assert " low" in words
    assert not any(" " in word[1:] for word in words)
    assert len(words) == len(set(words))
    for a, b in units["merges"]:
        assert a + b in words
    preparation = {"pairs": {"source": units, "target": units}}
    assert encode("low", preparation) == [words.index(" low"), END]
    assert decode(encode("lowest  low", preparation), preparation) == "lowest low"
    assert encode("qx", preparation)[1:] == [UNKNOWN, UNKNOWN, END]


def test_byte_pairs_are_those_of_the_library() -> None:
    """The vocabulary and the merges, written in the library's own format, number a text as we do."""
    units = fit(GERMAN, "byte pairs")
    vocabulary = {word: place for place, word in enumerate(units["words"])}
    model = {"type": "BPE", "vocab": vocabulary, "merges": units["merges"], "unk_token": "<unknown>"}
    split = {"type": "Split", "pattern": {"Regex": r" ?\w+| ?[^\w\s]+"}, "behavior": "Isolated", "invert": False}
    theirs = Tokenizer.from_str(json.dumps({"version": "1.0", "model": model, "pre_tokenizer": split}))
    preparation = {"pairs": {"source": units, "target": units}}
    for line in ("Ein Hund", "Hundeball, sehr groß!", "Zwölf"):
        assert encode(line, preparation) == [*theirs.encode(f" {line}").ids, END]


def test_byte_pairs_are_the_same_in_another_process() -> None:
    program = (
        "import json; from tests.data.test_pairs import GERMAN; from etude.data.pairs import fit;"
        "print(json.dumps(fit(GERMAN, 'byte pairs')))"
    )
    root = Path(__file__).parents[2]
    for threads in ("1", "2"):
        environment = os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"}
        run = [sys.executable, "-c", program]
        told = subprocess.run(run, capture_output=True, text=True, check=True, env=environment, cwd=root)
        assert json.loads(told.stdout) == json.loads(json.dumps(fit(GERMAN, "byte pairs")))


def test_only_the_training_lines_choose_the_units() -> None:
    parts = {"train": (["ab ab"], ["cd cd"]), "validation": (["xy"], ["cd"]), "test": (["ab"], ["zz"])}
    splits = numbered(parts, "mine", "words")
    assert splits.validation.tensors()["x"].tolist() == [[UNKNOWN, END]]
    assert splits.test.tensors()["target"].tolist() == [[BEGIN, UNKNOWN, END]]
    assert splits.train.dimensions == {"words": 5, "target_words": 5}


def test_two_aligned_files_are_pairs(tmp_path: Path) -> None:
    write(tmp_path / "corpus.de", GERMAN)
    write(tmp_path / "corpus.en.gz", ENGLISH, packed=True)
    (tmp_path / "README.md").write_text("not a language")
    (tmp_path / "README.txt").write_text("not a language")
    splits = load(tmp_path)
    assert told(splits) == PAIRS
    assert [len(split) for split in splits.parts().values()] == [21, 4, 5]
    assert splits.preparation["pairs"]["source"]["units"] == "byte pairs"
    assert told(load(tmp_path, target="de")) == {(b, a) for a, b in PAIRS}
    assert told(load(f"{tmp_path}:en")) == PAIRS


@pytest.mark.parametrize("form", ["folder", "tsv", "jsonl"])
def test_pairs_become_what_is_asked_for(tmp_path: Path, form: str) -> None:
    if form == "folder":
        write(tmp_path / "corpus.de", GERMAN)
        write(tmp_path / "corpus.en", ENGLISH)
    elif form == "tsv":
        write(tmp_path / "mine.tsv", [f"{a}\t{b}" for a, b in zip(GERMAN, ENGLISH, strict=True)])
    else:
        write(tmp_path / "mine.jsonl", [json.dumps({"a": a, "b": b}) for a, b in zip(GERMAN, ENGLISH, strict=True)])
    path = tmp_path if form == "folder" else tmp_path / f"mine.{form}"
    digests = set()
    for asked, units in {"words": "words", "byte-pairs": "byte pairs", "characters": "characters"}.items():
        splits = load(path, vocabulary=asked)
        assert splits.preparation["vocabulary"] == asked
        assert {splits.preparation["pairs"][side]["units"] for side in ("source", "target")} == {units}
        assert told(splits) == ({(a.lower(), b.lower()) for a, b in PAIRS} if asked == "words" else PAIRS)
        assert load(splits, vocabulary=asked).digest() == splits.digest()
        digests.add(splits.digest())
        assert check(path, vocabulary=asked).dimensions == splits.train.dimensions
    assert len(digests) == 3
    assert "vocabulary" not in load(path).preparation
    with pytest.raises(InputError, match=r"^--vocabulary letters: expected one of words, byte-pairs, characters$"):
        load(path, vocabulary="letters")


def test_files_say_which_part_they_are(tmp_path: Path) -> None:
    for part, lines in {"train": slice(0, 20), "val": slice(20, 23), "test_2016": slice(23, 30)}.items():
        write(tmp_path / f"{part}.src", GERMAN[lines])
        write(tmp_path / f"{part}.tgt", ENGLISH[lines])
    splits = load(tmp_path)
    assert [len(split) for split in splits.parts().values()] == [20, 3, 7]
    assert texts(splits.validation, splits) == sorted(zip(GERMAN[20:23], ENGLISH[20:23], strict=True))


def test_more_than_two_languages_need_a_choice(tmp_path: Path) -> None:
    for language, lines in {"de": GERMAN, "en": ENGLISH, "fr": ENGLISH}.items():
        write(tmp_path / f"a.{language}", lines)
    assert told(load(tmp_path, target="de-en")) == PAIRS
    for target, message in {None: "not two texts", "en": "no 'en'", "de-it": "no 'de-it'"}.items():
        with pytest.raises(InputError, match=f"{message} among de, en, fr: name both, as in --target de-en"):
            load(tmp_path, target=target)


@pytest.mark.parametrize("head", [None, "source\ttarget", "de\ten"])
def test_tab_separated_pairs(tmp_path: Path, head: str | None) -> None:
    rows = [f"{a}\t{b}" for a, b in zip(GERMAN, ENGLISH, strict=True)]
    write(tmp_path / "mine.tsv", rows if head is None else [head, *rows])
    splits = load(tmp_path / "mine.tsv", target="en" if head == "de\ten" else None)
    assert told(splits) == PAIRS
    write(tmp_path / "mine.tsv", [f"{row}\tCC-BY" for row in rows])
    assert told(load(tmp_path / "mine.tsv", kind=TextPairs)) == PAIRS


def test_json_lines(tmp_path: Path) -> None:
    rows = [json.dumps({"id": n, "de": a, "en": b}) for n, (a, b) in enumerate(zip(GERMAN, ENGLISH, strict=True))]
    write(tmp_path / "mine.jsonl", rows)
    assert told(load(tmp_path / "mine.jsonl")) == PAIRS
    assert told(load(tmp_path / "mine.jsonl", target="de")) == {(b, a) for a, b in PAIRS}
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "train.jsonl.gz", rows[:20], packed=True)
    write(tmp_path / "folder" / "test.jsonl", rows[20:])
    splits = load(tmp_path / "folder")
    assert told(splits) == PAIRS
    assert len(splits.test) == 10


def test_single_words_are_spelled(tmp_path: Path) -> None:
    write(tmp_path / "mine.jsonl", [json.dumps({"a": f"w{n}", "b": f"W{n}"}) for n in range(20)])
    splits = load(tmp_path / "mine.jsonl")
    assert splits.preparation["pairs"]["source"]["units"] == "characters"
    assert told(splits) == {(f"w{n}", f"W{n}") for n in range(20)}


def test_new_lines_are_prepared_alike(tmp_path: Path) -> None:
    write(tmp_path / "corpus.tsv", [f"{a}\t{b}" for a, b in zip(GERMAN, ENGLISH, strict=True)])
    splits = load(tmp_path / "corpus.tsv")
    write(tmp_path / "new.txt", GERMAN[:2])
    found = read(tmp_path / "new.txt", TextPairs, splits.preparation)
    assert texts(found, splits) == sorted((line, "") for line in GERMAN[:2])
    assert found.tensors()["target"].tolist() == [[BEGIN, END]] * 2
    assert found.dimensions == splits.train.dimensions
    write(tmp_path / "new.tsv", [f"{GERMAN[0]}\t{ENGLISH[0]}"])
    assert texts(read(tmp_path / "new.tsv", TextPairs, splits.preparation), splits) == [(GERMAN[0], ENGLISH[0])]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.de": "x\ny\n", "a.en": "x\n"}, r"a\.en: 1 lines where a\.de has 2: align them"),
        ({"a.de": "x\n\nz\n", "a.en": "x\ny\nz\n"}, r"a\.de: line 2 is empty"),
        ({"a.de": "", "a.en": ""}, r"a\.de: line 1 is empty"),
        ({"a.de": b"x\n\xff\n", "a.en": "x\ny\n"}, r"a\.de: line 2 is not UTF-8"),
        ({"a.de.gz": b"\x1f\x8bbroken", "a.en": "x\n"}, r"a\.de\.gz: not readable as text in UTF-8"),
        ({"test.de": "x\n", "test.en": "x\n"}, "found test without train"),
        ({"a.de": "x\n", "a.en": "x\n"}, "too few examples"),
        ({"a.tsv": "x y\tx\nx\n"}, r"a\.tsv: line 2 lacks a field"),
        ({"a.tsv": "x\ty\n\tz\n"}, r"a\.tsv: line 2 lacks a field"),
        ({"a.tsv": "source\ttarget\nx\t \n"}, r"a\.tsv: line 2 lacks a field"),
        ({"a.jsonl": '{"a": "x", "b": "y"}\n{"a": "x"\n'}, r"a\.jsonl: line 2 is no JSON"),
        ({"a.jsonl": '{"a": "x", "b": "y"}\n{"a": "x"}\n'}, r"a\.jsonl: line 2 has no text 'a' or 'b'"),
        ({"a.jsonl": '{"a": "x", "b": "y"}\n{"a": "x", "b": 3}\n'}, r"a\.jsonl: line 2 has no text 'a' or 'b'"),
        ({"a.tsv": "source\nx\ty\n"}, r"a\.tsv: line 1 lacks a field"),
        ({"a.jsonl": '{"a": "x", "b": "\\ud800"}\n'}, r"a\.jsonl: line 1 is no JSON \(.*surrogates not allowed"),
        ({"a.jsonl": '{"a": "x"}\n'}, r"a\.jsonl: not two texts among a"),
        ({"a.jsonl": "[1]\n"}, r"a\.jsonl: line 1 is no object"),
    ],
)
def test_bad_pairs_are_one_line(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as caught:
        load_pairs(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_without_pairs_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no two files such as train\.de and train\.en"):
        load_pairs(tmp_path)


def test_the_check_tells_lengths_and_what_is_unseen(tmp_path: Path) -> None:
    write(tmp_path / "train.tsv", ["ab\tcde"] * 8 + ["a\tc"])
    write(tmp_path / "val.tsv", ["ax\tc"])
    write(tmp_path / "test.tsv", ["ab\tyz"])
    report = check(tmp_path)
    assert report.kind == "TextPairs"
    assert report.dimensions == {"words": 6, "target_words": 7}
    assert {what: report.text[f"source {what}"] for what in ("symbols", "longest", "unseen")} == {
        "symbols": 26,
        "longest": 3,
        "unseen": 1,
    }
    assert {what: report.text[f"target {what}"] for what in ("symbols", "longest", "unseen")} == {
        "symbols": 43,
        "longest": 5,
        "unseen": 2,
    }
    assert report.duplicates == {"train": 7, "test in train": 1}
    assert "target unseen 2" in "\n".join(report.lines())
