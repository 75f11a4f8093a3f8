"""Multi30k from files written here in its format."""

import gzip
from pathlib import Path

import pytest

from etude.data.kinds import TextPairs
from etude.data.multi30k import multi30k, multi30k_words
from etude.data.pairs import decode, encode
from etude.errors import InputError

COLOURS = {"rot": "red", "blau": "blue", "grün": "green"}
THINGS = {"Hund": "dog", "Mann": "man", "Ball": "ball", "Café": "café"}


def write(folder: Path, name: str, count: int, packed: bool = True) -> list[str]:
    german, english = [], []
    for place in range(count):
        colour, thing = list(COLOURS)[place % 3], list(THINGS)[place % 4]
        german.append(f"Ein {thing} ist {colour}.")
        english.append(f"A {THINGS[thing]} is {COLOURS[colour]}.")
    folder.mkdir(exist_ok=True)
    for language, lines in {"de": german, "en": english}.items():
        data = "".join(f"{line}\n" for line in lines).encode()
        file = folder / f"{name}.{language}{'.gz' if packed else ''}"
        file.write_bytes(gzip.compress(data) if packed else data)
    return english


@pytest.mark.parametrize("packed", [True, False])
def test_german_becomes_english(tmp_path: Path, packed: bool) -> None:
    write(tmp_path / "multi30k", "train", 48, packed)
    write(tmp_path / "multi30k", "val", 12, packed)
    english = write(tmp_path / "multi30k", "test_2016_flickr", 24, packed)
    splits = multi30k(tmp_path)
    assert [len(split) for split in splits.parts().values()] == [48, 12, 24]
    assert isinstance(splits.test, TextPairs)
    assert [decode(row, splits.preparation) for row in splits.test.target.tolist()] == english
    assert encode("Ein Hund ist rot.", splits.preparation) == splits.test.x[0, : splits.test.lengths[0]].tolist()
    words = multi30k_words(tmp_path)
    assert isinstance(words.test, TextPairs)
    assert [decode(row, words.preparation) for row in words.test.target.tolist()] == [line.lower() for line in english]


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"multi30k is not in .*data/task1/raw"):
        multi30k(tmp_path)
    for name in ("train", "val", "test_2016_flickr"):
        write(tmp_path, name, 30)
    (tmp_path / "val.en.gz").write_bytes(gzip.compress(b"A dog.\n"))
    with pytest.raises(InputError, match=r"val\.en\.gz: 1 lines where val\.de\.gz has 30: align them"):
        multi30k(tmp_path)
