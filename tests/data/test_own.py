"""Each form of the user's data goes to its reader."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from etude.data.kinds import Symbols, TextPairs, Vectors
from etude.data.own import form, load_path, read_path
from etude.errors import InputError

IMAGES = {"kind": "Images", "dimensions": {"channels": 1, "height": 4, "width": 4}, "classes": []}


@pytest.mark.parametrize(
    ("files", "path", "expected"),
    [
        (["t.csv"], "t.csv", "table"),
        (["t.TSV"], "t.TSV", "table"),
        (["t.parquet"], "t.parquet", "table"),
        (["t.npy"], "t.npy", "arrays"),
        (["t.npz"], "t.npz", "arrays"),
        (["x.npy", "y.npy"], ".", "arrays"),
        (["train-images-idx3-ubyte"], "train-images-idx3-ubyte", "idx"),
        (["train-images.idx3-ubyte"], ".", "idx"),
        (["a.idx.gz"], "a.idx.gz", "idx"),
        (["a.JPG"], "a.JPG", "image"),
        (["a.png"], ".", "folder"),
        ([], ".", "folder"),
        (["t.tsv.gz"], "t.tsv.gz", "table"),
        (["a.txt"], "a.txt", "text"),
        (["a.txt"], ".", "texts"),
        (["a/b.TXT", ".hidden.png"], ".", "texts"),
        (["labels.txt", "a/b.png"], ".", "folder"),
        (["a.jsonl"], "a.jsonl", "pairs"),
        (["train.de", "train.en.gz"], ".", "pairs"),
        (["a.src", "a.tgt", "a.txt"], ".", "pairs"),
        (["a.src", "b.tgt", "c.txt"], ".", "texts"),
        (["test.tsv"], ".", "pairs"),
        (["labels.tsv", "a.png"], ".", "folder"),
        (["train.jsonl", "test.jsonl"], ".", "pairs"),
    ],
)
def test_form_follows_from_the_name(tmp_path: Path, files: list[str], path: str, expected: str) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert form(tmp_path / path) == expected


def test_unknown_forms_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mat").touch()
    with pytest.raises(InputError, match=r"a\.mat: data of an unknown form: give \.csv"):
        form(tmp_path / "a.mat")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="one image is no data set: give the folder"):
        load_path(tmp_path / "a.png")


def test_texts_are_read_as_the_system_wants_them(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for place in range(20):
        (tmp_path / "texts" / f"{place}.txt").write_text("gold and zinc")
    (tmp_path / "one.txt").write_text("gold and zinc " * 20)
    (tmp_path / "pairs.tsv").write_text("gold\tGold\n" * 20)
    assert isinstance(load_path(tmp_path / "texts").train, Vectors)
    assert isinstance(load_path(tmp_path / "texts", kind=Vectors).train, Vectors)
    assert isinstance(load_path(tmp_path / "texts", kind=Symbols).train, Symbols)
    assert isinstance(load_path(tmp_path / "one.txt").train, Symbols)
    assert isinstance(load_path(tmp_path / "pairs.tsv").train, Vectors)
    assert isinstance(load_path(tmp_path / "pairs.tsv", kind=TextPairs).train, TextPairs)


def test_new_input_of_every_form_is_read_alike(tmp_path: Path) -> None:
    pixels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", pixels[None])
    np.savez(tmp_path / "a.npz", x=pixels[None], ids=np.zeros(3))
    (tmp_path / "a.idx").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 4]) + pixels.tobytes())
    (tmp_path / "folder").mkdir()
    Image.fromarray(pixels).save(tmp_path / "folder" / "a.png")
    for name in ("a.png", "a.npy", "a.npz", "a.idx", "folder"):
        assert np.array_equal(read_path(tmp_path / name, IMAGES).x.numpy(), pixels[None, None])


def test_new_pictures_become_squares_where_those_of_training_did(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "mine").mkdir()
    for place in range(20):
        pixels = random.integers(0, 256, (20 + place, 25)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "mine" / f"{place:02}.png")
    splits = load_path(tmp_path / "mine", size=8)
    assert splits.preparation == {"size": 8}
    every = splits.together().tensors()["x"]
    seen = {"kind": "Images", "dimensions": splits.train.dimensions, "classes": [], **splits.preparation}
    again = read_path(tmp_path / "mine", seen).x
    assert sorted(row.tolist() for row in every) == sorted(row.tolist() for row in again)
    assert torch.equal(read_path(tmp_path / "mine" / "03.png", seen).x[0], again[3])
    np.save(tmp_path / "a.npy", np.zeros((2, 5, 5), np.uint8))
    assert read_path(tmp_path / "a.npy", seen).x.shape == (2, 1, 5, 5)


@pytest.mark.parametrize("size", [0, -3, 4097, 7.5, "64"])
def test_sizes_out_of_range_are_refused(tmp_path: Path, size: Any) -> None:
    with pytest.raises(InputError, match=rf"^--size {size}: expected a whole number of pixels in \[1, 4096\]$"):
        load_path(tmp_path, size=size)


def test_new_documents_of_every_form_are_read_alike(tmp_path: Path) -> None:
    words = ("gold zinc", "ship port", "bank rate", "zinc gold port")
    (tmp_path / "mine").mkdir()
    for place in range(40):
        (tmp_path / "mine" / f"{place}.txt").write_text(words[place % 4])
    splits = load_path(tmp_path / "mine")
    seen = {"dimensions": splits.train.dimensions, "classes": [], **splits.preparation}
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.txt").write_text("Zinc!")
    (tmp_path / "new.csv").write_text("label,body\nx,Zinc\n")
    (tmp_path / "new.tsv.gz").write_bytes(gzip.compress(b"number\ttext\n1\tzincs\n"))
    for name in ("new/a.txt", "new", "new.csv", "new.tsv.gz"):
        found = read_path(tmp_path / name, seen)
        assert found.y is None
        assert found.x.tolist() == [[0, 0, 0, 0, 0, 1]]


def test_a_folder_of_idx_files_is_no_input(tmp_path: Path) -> None:
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"")
    with pytest.raises(InputError, match="no image file in it"):
        read_path(tmp_path, IMAGES)


def test_input_that_cannot_be_told_apart_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.zeros((1, 2)), b=np.zeros((1, 2)))
    with pytest.raises(InputError, match="found a, b: call the examples x"):
        read_path(tmp_path / "a.npz", IMAGES)
    (tmp_path / "a.txt").write_text("gold")
    with pytest.raises(InputError, match="text, and the system did not learn from any: give Images"):
        read_path(tmp_path / "a.txt", IMAGES)
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match="a table, and the system did not learn from one: give Images"):
        read_path(tmp_path / "t.csv", IMAGES)
