"""Text in pieces of symbols."""

from pathlib import Path

import pytest
import torch

from etude.data.kinds import Splits, Symbols
from etude.data.source import load, read
from etude.data.strings import UNSEEN, by_position, cut, decode, encode, load_strings, pad, tinyshakespeare
from etude.errors import InputError

TEXT = "The quick brown fox jumps over the lazy dog.\n" * 40


def told(split: Symbols, splits: Splits) -> str:
    rows = [row[:length] for row, length in zip(split.x.tolist(), split.lengths.tolist(), strict=True)]
    return decode([*rows[0], *(number for row in rows[1:] for number in row[1:])], splits.preparation)


def texts(splits: Splits) -> list[str]:
    return [told(split, splits) for split in splits.parts().values() if isinstance(split, Symbols)]


def test_every_symbol_but_the_first_is_guessed_once() -> None:
    splits = cut({"train": "abcdefg", "validation": "abcd", "test": "ab"}, "mine", "mine", steps=3)
    assert isinstance(splits.train, Symbols)
    assert splits.train.vocabulary == (UNSEEN, *"abcdefg")
    assert splits.train.x.tolist() == [[1, 2, 3, 4], [4, 5, 6, 7]]
    assert splits.validation.tensors()["x"].tolist() == [[1, 2, 3, 4]]
    assert splits.test.tensors()["lengths"].tolist() == [2]
    assert texts(splits) == ["abcdefg", "abcd", "ab"]


def test_parts_follow_each_other() -> None:
    parts = by_position("".join(map(chr, range(1000))))
    assert [len(text) for text in parts.values()] == [900, 50, 50]
    assert "".join(parts.values()) == "".join(map(chr, range(1000)))
    assert {part: len(text) for part, text in by_position("a" * 100, ["validation"]).items()} == {
        "train": 95,
        "validation": 5,
    }


def test_what_training_never_saw_is_unseen() -> None:
    splits = cut({"train": "abab", "validation": "azb", "test": "ba"}, "mine", "mine")
    assert splits.validation.tensors()["x"].tolist() == [[1, 0, 2]]
    assert encode("b?a", splits.preparation) == [2, 0, 1]
    assert decode([2, 0, 1], splits.preparation) == f"b{UNSEEN}a"


def test_padding_is_zeros_behind_true_lengths() -> None:
    x, lengths = pad([[5], [], [1, 2, 3]])
    assert x.tolist() == [[5, 0, 0], [0, 0, 0], [1, 2, 3]]
    assert lengths.tolist() == [1, 0, 3]
    assert x.dtype == lengths.dtype == torch.int64


def test_one_file_is_split_by_position(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    splits = load(tmp_path / "mine.txt")
    assert splits.name == "mine"
    assert splits.preparation["kind"] == "Symbols"
    assert "".join(texts(splits)) == TEXT
    assert splits.digest() == cut(by_position(TEXT), "mine", "mine").digest()


def test_a_folder_is_its_files_one_after_the_other(tmp_path: Path) -> None:
    for name, text in {"b": "second", "a": TEXT, ".c": "hidden"}.items():
        (tmp_path / f"{name}.txt").write_text(text)
    splits = load(tmp_path, kind=Symbols)
    assert "".join(texts(splits)) == f"{TEXT}\nsecond"


@pytest.mark.parametrize("name", ["{}.txt", "wiki.{}.txt", "{}/a.txt"])
def test_files_and_folders_say_which_part_they_are(tmp_path: Path, name: str) -> None:
    for part, text in {"train": "abc" * 20, "test": "cba"}.items():
        file = tmp_path / name.format(part)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert texts(load_strings(tmp_path)) == ["abc" * 19, "abc", "cba"]
    file = tmp_path / name.format("valid")
    file.parent.mkdir(exist_ok=True)
    file.write_text("ab")
    assert texts(load_strings(tmp_path)) == ["abc" * 20, "ab", "cba"]


def test_new_text_is_prepared_alike(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(TEXT)
    splits = load(tmp_path / "mine.txt")
    (tmp_path / "new.txt").write_text("The lazy Ümlaut.")
    found = read(tmp_path / "new.txt", Symbols, splits.preparation)
    assert isinstance(found, Symbols)
    assert told(found, splits) == f"The lazy {UNSEEN}mlaut."
    assert found.dimensions == splits.train.dimensions


def test_bad_texts_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"gold\nzinc\n\xff\xfe")
    with pytest.raises(InputError, match=r"a\.txt: line 3 is not UTF-8"):
        load_strings(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_text(TEXT)
    unreadable: list[str] = []
    assert "".join(texts(load_strings(tmp_path, unreadable))) == TEXT
    assert unreadable == [str(tmp_path / "a.txt")]
    for text in ("", "a", "abcdefgh"):
        (tmp_path / "a.txt").write_text(text)
        with pytest.raises(InputError, match=r"a\.txt: \d characters for \w+, expected at least 2: give a longer text"):
            load_strings(tmp_path / "a.txt")


def test_tinyshakespeare_lies_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_text(TEXT)
    assert "".join(texts(tinyshakespeare(tmp_path))) == TEXT
    with pytest.raises(InputError, match=r"tinyshakespeare is not in .*char-rnn"):
        tinyshakespeare(tmp_path / "nowhere")
