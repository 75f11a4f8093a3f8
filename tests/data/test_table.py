"""Tables, against NumPy and scikit-learn."""

import csv
import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from etude.data.kinds import Splits, Vectors
from etude.data.table import load_table, prepare, prepare_documents, read_columns
from etude.data.text import stems
from etude.errors import InputError

RANDOM = np.random.default_rng(0)
WORDS = ("red", "green", "blue")


def write(path: Path, header: list[str], rows: list[list[object]], delimiter: str = ",") -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


def rows(count: int = 80) -> list[list[object]]:
    return [
        [float(RANDOM.normal(5, 3)), WORDS[int(RANDOM.integers(3))], int(RANDOM.integers(1000)), "ab"[place % 2]]
        for place in range(count)
    ]


HEADER = ["size", "colour", "count", "label"]


@pytest.mark.parametrize(("name", "delimiter"), [("t.csv", ","), ("t.csv", ";"), ("t.tsv", "\t")])
def test_columns_are_standardised_and_one_hot_by_the_training_rows(tmp_path: Path, name: str, delimiter: str) -> None:
    made = rows()
    splits = load_table(write(tmp_path / name, HEADER, made, delimiter))
    train = splits.train.index.numpy()
    numbers = np.array([[row[0], row[2]] for row in made], float)
    words = np.array([[row[1]] for row in made])
    scaler, encoder = StandardScaler().fit(numbers[train]), OneHotEncoder(sparse_output=False).fit(words[train])
    for part in splits.parts().values():
        assert isinstance(part, Vectors)
        scaled, hot = scaler.transform(numbers[part.index]), encoder.transform(words[part.index])
        expected = np.concatenate([scaled[:, :1], hot, scaled[:, 1:]], 1)
        assert np.allclose(part.x.numpy(), expected, atol=1e-5)
        assert part.classes == ("a", "b")
        assert part.tensors()["y"].tolist() == [int(i) % 2 for i in part.index]


def test_new_rows_are_prepared_alike(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", HEADER, rows())
    splits = load_table(path)
    table = json.loads(json.dumps(splits.preparation["table"]))
    again = prepare(path, table)
    for part in splits.parts().values():
        assert torch.equal(again[part.index].x, part.tensors()["x"])
    new = write(
        tmp_path / "new.csv", ["count", "extra", "colour", "size"], [[7, "?", "violet", ""], [7, 1, "red", 5.0]]
    )
    found = prepare(new, table)
    assert found.y is None
    assert found.classes == ("a", "b")
    assert found.x[0, :4].tolist() == [0, 0, 0, 0]
    assert found.x[1, 1:4].tolist() == [0, 0, 1]
    count = table["columns"][2]
    assert found.x[0, 4].item() == pytest.approx((7 - count["mean"]) / count["std"], rel=1e-5)


def test_missing_numbers_become_the_mean_and_are_counted(tmp_path: Path) -> None:
    made = rows()
    for place, word in enumerate(["", "NA", "nan", "?", "null"]):
        made[place][0] = word
    splits = load_table(write(tmp_path / "t.csv", HEADER, made))
    known = np.array([float(str(made[i][0])) for i in splits.train.index.tolist() if i >= 5])
    column = splits.preparation["table"]["columns"][0]
    assert column["missing"] == 5
    assert column["mean"] == pytest.approx(known.mean())
    assert column["std"] == pytest.approx(known.std())
    for part in splits.parts().values():
        assert not part.tensors()["x"][part.index < 5, 0].any()


def test_a_constant_column_is_zero(tmp_path: Path) -> None:
    splits = load_table(write(tmp_path / "t.csv", ["a", "b"], [[3, place] for place in range(40)]))
    assert not splits.train.tensors()["x"][:, 0].any()


@pytest.mark.parametrize(
    ("header", "named", "expected"),
    [
        (["a", "Class"], None, "Class"),
        (["y", "target"], None, "target"),
        (["a", "y"], "a", "a"),
        (["a", "b"], None, None),
    ],
)
def test_the_target_is_found_by_its_name(
    tmp_path: Path, header: list[str], named: str | None, expected: str | None
) -> None:
    path = write(tmp_path / "t.csv", header, [[place % 4, place % 2] for place in range(40)])
    splits = load_table(path, named)
    assert splits.preparation["table"]["target"] == expected
    assert ("y" in splits.train.tensors()) is (expected is not None)


def test_few_whole_numbers_are_classes_and_many_numbers_are_predicted(tmp_path: Path) -> None:
    made: list[list[object]] = [[place, place % 3 * 10, place / 7] for place in range(60)]
    path = write(tmp_path / "t.csv", ["a", "b", "c"], made)
    classes, numbers = load_table(path, "b"), load_table(path, "c")
    assert isinstance(classes.train, Vectors)
    assert classes.train.classes == ("0", "10", "20")
    assert classes.train.tensors()["y"].tolist() == [int(i) % 3 for i in classes.train.index]
    assert numbers.train.dimensions == {"features": 2, "classes": 0, "outputs": 1}
    assert numbers.train.tensors()["y"][:, 0].tolist() == pytest.approx([int(i) / 7 for i in numbers.train.index])


def test_a_gzipped_table_is_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", HEADER, rows())
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    plain, packed = load_table(path), load_table(tmp_path / "t.csv.gz")
    assert packed.digest() == plain.digest()
    assert packed.name == plain.name == "t"


def test_parquet_reads_as_the_same_csv(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    made = rows()
    table = pyarrow.table({name: [row[place] for row in made] for place, name in enumerate(HEADER)})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    assert load_table(tmp_path / "t.parquet").digest() == load_table(write(tmp_path / "t.csv", HEADER, made)).digest()


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"pip install etude\[parquet\]"):
        read_columns(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("", None, "no rows"),
        ("a,b\n", None, "no rows"),
        ("a,b\n1,2\n3\n", None, "row 2 has 1 cells, the header 2"),
        ("a,\n1,2\n", None, "column 2 has no name"),
        ("a,a\n1,2\n", None, "two columns have one name"),
        ("1,2\n3,4\n", None, "first line is all numbers"),
        ("a,b\n1,2\n", "c", r"no column 'c': it has a, b"),
        ("size,b\n1,2\n", "siz", "did you mean size"),
        ("y\n1\n", None, "no column beside the target"),
        ("a,y\n1,2\n3,\n", None, "row 2 has no 'y'"),
        ("a\n" + "1\n" * 30 + "inf\n", None, "row 31, column 'a': 'inf'"),
        ("a\n" + "".join(f"w{place}\n" for place in range(1600)), None, "column 'a' has 1120 words"),
        ("a\n" + "1e300\n-1e300\n" * 20, None, "numbers too large"),
        ("a,b\n1,2\n", None, "too few examples"),
        ('a,b\n1,"2\n', None, "not readable as a table"),
        ("a\n\udcff\n", None, "not readable as a table"),
    ],
)
def test_tables_that_cannot_be_learned_from(tmp_path: Path, text: str, target: str | None, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(InputError, match=rf"t\.csv: .*{message}"):
        load_table(path, target)


@pytest.mark.parametrize(("target", "labels"), [("label", [1, 0]), ("weight", [2.5, 3.0])])
def test_new_rows_may_have_labels(tmp_path: Path, target: str, labels: list[float]) -> None:
    """Classes in the order of the training rows', numbers as they are; where a label is missing, there are none."""
    header = ["size", "label", "weight"]
    trained = [[row, "ab"[row % 2], row + 0.5] for row in range(40)]
    table = load_table(write(tmp_path / "t.csv", header, trained), target).preparation["table"]
    found = prepare(write(tmp_path / "new.csv", header, [[1, "b", 2.5], [2, "a", 3]]), table)
    assert found.tensors()["y"].flatten().tolist() == labels
    blank = write(tmp_path / "blank.csv", header, [[1, "b", 2.5], [2, "a", ""] if target == "weight" else [2, "", 3]])
    assert prepare(blank, table).y is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size,count\n1,2\n", "no column 'colour'"),
        ("size,colour,count\nbig,red,2\n", "row 1, column 'size': 'big' is no finite number"),
        ("size,colour,count,label\n1,red,2,c\n", "'label' is 'c', which is none of the classes learned"),
    ],
)
def test_new_rows_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    table = load_table(write(tmp_path / "t.csv", HEADER, rows())).preparation["table"]
    (tmp_path / "new.csv").write_text(text)
    with pytest.raises(InputError, match=rf"new\.csv: .*{message}"):
        prepare(tmp_path / "new.csv", table)


def test_numbers_stay_finite(tmp_path: Path) -> None:
    splits = load_table(write(tmp_path / "t.csv", ["a"], [[1e-30 * place] for place in range(40)]))
    assert math.isfinite(float(splits.train.tensors()["x"].sum()))


def documents(count: int = 60) -> list[list[object]]:
    words = (["gold", "zinc", "copper", "lead"], ["ships", "port", "vessel", "gulf"])
    made: list[list[object]] = []
    for place in range(count):
        first, second = words[place % 2][place // 2 % 4], words[place % 2][place // 8 % 4]
        made.append([f"{first}, {second} number {place} said {chr(97 + place % 26) * 3}", ("metal", "sea")[place % 2]])
    return made


def remembered(splits: Splits) -> dict[str, Any]:
    train = splits.train
    assert isinstance(train, Vectors)
    kept = {"dimensions": train.dimensions, "classes": list(train.classes)}
    loaded: dict[str, Any] = json.loads(json.dumps(kept | splits.preparation))
    return loaded


@pytest.mark.parametrize("header", [["text", "label"], ["Example", "Class"], ["words", "topic"]])
def test_a_column_of_documents_becomes_their_tfidf(tmp_path: Path, header: list[str]) -> None:
    made = documents()
    path = write(tmp_path / "t.csv", header, made)
    splits = load_table(path, header[1])
    train = [str(made[place][0]) for place in splits.train.index.tolist()]
    theirs = TfidfVectorizer(sublinear_tf=True, analyzer=stems).fit(train)
    for part in splits.parts().values():
        assert isinstance(part, Vectors)
        texts = [str(made[place][0]) for place in part.index.tolist()]
        assert np.allclose(part.x.numpy(), theirs.transform(texts).toarray(), atol=1e-6)
        assert part.classes == ("metal", "sea")
        assert part.tensors()["y"].tolist() == [int(place) % 2 for place in part.index]
    again = prepare_documents(path, remembered(splits))
    assert torch.equal(again[splits.test.index].x, splits.test.tensors()["x"])
    assert torch.equal(again[splits.test.index].tensors()["y"], splits.test.tensors()["y"])


def test_documents_without_labels_and_with_numbers_to_predict(tmp_path: Path) -> None:
    made = [[row[0], place / 7] for place, row in enumerate(documents())]
    alone = load_table(write(tmp_path / "t.csv", ["text"], [row[:1] for row in made]))
    assert "y" not in alone.train.tensors()
    assert prepare_documents(write(tmp_path / "new.csv", ["text", "y"], made[:2]), remembered(alone)).y is None
    numbers = load_table(write(tmp_path / "t.csv", ["text", "y"], made))
    assert numbers.train.dimensions["outputs"] == 1
    assert numbers.train.tensors()["y"][:, 0].tolist() == pytest.approx([int(i) / 7 for i in numbers.train.index])


@pytest.mark.parametrize(
    "cells",
    [
        [WORDS[place % 3] for place in range(60)],
        [("New York", "Los Angeles")[place % 2] for place in range(60)],
        [f"word{place}" for place in range(60)],
        [str(place / 7) for place in range(60)],
        [""] * 60,
    ],
)
def test_what_is_no_document_stays_a_table(tmp_path: Path, cells: list[str]) -> None:
    splits = load_table(write(tmp_path / "t.csv", ["a", "y"], [[cell, place % 2] for place, cell in enumerate(cells)]))
    assert list(splits.preparation) == ["table"]


def test_documents_beside_other_columns_are_refused_or_words(tmp_path: Path) -> None:
    made = [[place, *row] for place, row in enumerate(documents(1600))]
    with pytest.raises(InputError, match=r"t\.csv: column 'text' holds documents beside other columns: keep it"):
        load_table(write(tmp_path / "t.csv", ["id", "text", "label"], made))
    few = load_table(write(tmp_path / "t.csv", ["id", "text", "label"], made[:60]))
    assert list(few.preparation) == ["table"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("body,id\ngold,1\nzinc,2\n", "the documents may be in no column: call theirs 'text'"),
        ("a,b\ngold zinc,one two\nlead ore,two three\n", "the documents may be in 'a' or 'b': call theirs 'text'"),
        ("text,label\ngold,air\n", "'label' is 'air', which is none of the classes learned"),
        ("text\nxylophones\n", "no word that the system learned from"),
    ],
)
def test_new_documents_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    splits = load_table(write(tmp_path / "t.csv", ["text", "label"], documents()))
    (tmp_path / "new.csv").write_text(text)
    with pytest.raises(InputError, match=rf"new\.csv: .*{message}"):
        prepare_documents(tmp_path / "new.csv", remembered(splits))


def test_the_column_of_new_documents_is_found(tmp_path: Path) -> None:
    splits = load_table(write(tmp_path / "t.csv", ["text", "label"], documents()))
    rows: dict[str, list[object]] = {
        "id,text,note": [1, "gold ships", "a word"],
        "body": ["gold ships"],
        "body,label": ["gold ships", ""],
        "id,body": [1, "gold ships"],
    }
    found = [
        prepare_documents(write(tmp_path / "new.csv", header.split(","), [row]), remembered(splits)).x
        for header, row in rows.items()
    ]
    assert all(torch.equal(x, found[0]) for x in found)
