"""The report counts what was put in."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etude.data.check import check
from etude.errors import InputError


def test_images_with_duplicates_and_unreadable_files(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    made = random.integers(1, 200, (30, 4, 4)).astype(np.uint8)
    made[1] = made[0]
    for part, start, stop in (("train", 0, 20), ("val", 20, 25), ("test", 25, 30)):
        for place in range(start, stop):
            folder = tmp_path / part / ("even", "odd")[place % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(made[0] if place == 29 else made[place]).save(folder / f"{place}.png")
    (tmp_path / "train" / "odd" / "x.png").write_bytes(b"broken")
    report = check(tmp_path)
    assert report.kind == "Images"
    assert report.counts == {"train": 20, "validation": 5, "test": 5}
    assert report.dimensions == {"channels": 1, "height": 4, "width": 4, "classes": 2, "outputs": 2}
    assert report.classes == {
        "even": {"train": 10, "validation": 3, "test": 2},
        "odd": {"train": 10, "validation": 2, "test": 3},
    }
    assert report.reach == (made.min(), made.max())
    assert report.unreadable == (str(tmp_path / "train" / "odd" / "x.png"),)
    assert report.duplicates == {"train": 1, "test in train": 1}
    text = "\n".join(report.lines())
    assert "train 20, validation 5, test 5" in text
    assert "x.png" in text
    assert "test in train 1" in text


def test_images_of_several_sizes_once_they_are_one(tmp_path: Path) -> None:
    for place in range(20):
        Image.new("L", (30 + place, 20), place).save(tmp_path / f"{place}.png")
    (tmp_path / "x.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"or give --size$"):
        check(tmp_path)
    report = check(tmp_path, size=8)
    assert report.dimensions | {"height": 8, "width": 8} == report.dimensions
    assert report.unreadable == (str(tmp_path / "x.png"),)
    with pytest.raises(InputError, match="--size 8: digits is no folder of pictures"):
        check("digits", size=8)


def test_missing_values_of_a_table(tmp_path: Path) -> None:
    rows = "".join(f"{place},{'' if place < 3 else 'red'},{place % 2}\n" for place in range(40))
    (tmp_path / "t.csv").write_text("a,b,y\n" + rows)
    report = check(tmp_path / "t.csv")
    assert report.missing == {"b": 3}
    assert report.classes["1"] == {"train": 14, "validation": 3, "test": 3}
    assert check(tmp_path / "t.csv", target="a").classes == {}


def test_words_of_documents(tmp_path: Path) -> None:
    rows = [f"The prices of gold {place},{place % 2}" for place in range(40)]
    rows[3], rows[5] = "the 99,0", ",1"
    (tmp_path / "t.csv").write_text("\n".join(["text,label", *rows]))
    report = check(tmp_path / "t.csv")
    assert report.kind == "Vectors"
    assert report.dimensions["features"] == 2
    assert report.text["stems"] == report.text["kept"] == 2
    assert report.counts["train"] * 2 - 4 <= report.text["words"] <= report.counts["train"] * 2
    assert report.empty == ("row 4", "row 6")
    assert "row 4, row 6" in "\n".join(report.lines())
    assert check(np.eye(40)).text == {}


def test_many_empty_documents_are_counted_and_unreadable_ones_listed(tmp_path: Path) -> None:
    for place in range(60):
        (tmp_path / f"{place:02}.txt").write_text("gold" if place < 40 else "")
    (tmp_path / "00.txt").write_bytes(b"\xff\xfe")
    report = check(tmp_path)
    assert report.unreadable == (str(tmp_path / "00.txt"),)
    assert report.counts == {"train": 41, "validation": 9, "test": 9}
    assert report.text == {"words": report.text["words"], "stems": 1, "kept": 1}
    assert report.lines()[-1].endswith("49.txt and 10 more")


def test_named_sources_and_arrays() -> None:
    assert check("xor").duplicates == {"validation in train": 4, "test in train": 4, "test in validation": 4}
    assert check(np.eye(40)).duplicates == {}
    with pytest.raises(InputError, match="did you mean digits"):
        check("digit")


def test_series_are_told_of(tmp_path: Path) -> None:
    rows = [f"s{n // 4},{60 * n},{'' if n == 5 else n / 7},{'ab'[n // 4 % 2]}" for n in range(160) if n != 7]
    (tmp_path / "t.csv").write_text("\n".join(["id,time,heat,label", *rows]))
    report = check(tmp_path / "t.csv")
    assert report.kind == "Sequences"
    assert report.series == {
        "steps": "3 to 4, 4.0 on average",
        "times": "known, in units of 60",
        "labels": "one for each series",
    }
    assert report.missing == {"heat": 1}
    assert report.classes["a"] == {"train": 14, "validation": 3, "test": 3}
    assert report.lines()[-1].split() == ["labels", "one", "for", "each", "series"]
    stepwise = np.arange(200).reshape(40, 5) % 3
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).random((40, 5, 1)), lengths=np.full(40, 4), y=stepwise)
    report = check(tmp_path / "a.npz")
    assert report.series == {"steps": "4 to 4, 4.0 on average", "times": "not known", "labels": "one for each step"}
    assert sum(sum(counts.values()) for counts in report.classes.values()) == 160
