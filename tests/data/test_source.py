"""A name, a path or arrays become splits; new input is held against what the system learned from."""

import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from etude.data import source
from etude.data.kinds import Images, Splits, Vectors
from etude.data.toy import xor
from etude.errors import InputError

FILED = (
    *("mnist", "mnist-binary", "mnist-whole", "cifar10", "omniglot", "reuters-r8", "reuters-r8-whole"),
    *("jsb-chorales", "half-cheetah", "occupancy", "gesture", "traffic", "power", "ozone", "person-activity"),
    *("tinyshakespeare", "multi30k", "multi30k-words", "algolisp", "facades", "facades64", "facades-unpaired"),
)  # sources that need files


def third_party(data_dir: Path | None) -> Splits:
    return xor()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("theirs", f"{__name__}:third_party", "etude.data")
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or type(sys)(__name__))
    monkeypatch.setattr(sys.modules[__name__], "third_party", third_party, raising=False)
    monkeypatch.setattr(source, "entry_points", lambda group: [entry] if group == "etude.data" else [])


@pytest.mark.parametrize("name", [name for name in source.SOURCES if name not in FILED])
def test_every_embedded_source_loads(name: str) -> None:
    splits = source.load(name)
    assert splits.name == name
    assert splits.preparation["kind"] == type(splits.train).__name__
    assert splits.preparation["dimensions"] == splits.train.dimensions


def test_names_are_listed_at_once_and_without_torch() -> None:
    script = (
        "import sys, time; start = time.process_time(); from etude.data.source import names; names();"
        "print(time.process_time() - start); assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    told = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(Path(source.__file__).parents[2])},
    )
    assert float(told.stdout) < 0.3


@pytest.mark.usefixtures("installed")
def test_a_third_party_source_is_listed_and_loaded() -> None:
    assert list(source.names())[-1] == "theirs"
    assert source.load("theirs").digest() == xor().digest()


@pytest.mark.parametrize(
    ("given", "message"), [("digit", "did you mean digits"), ("no/such/folder", "give a path or one of digits, mnist")]
)
def test_unknown_names_get_a_suggestion(given: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        source.load(given)


def test_data_dir_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ETUDE_DATA", raising=False)
    with pytest.raises(InputError, match="needs a folder to look in"):
        source.load("mnist")
    monkeypatch.setenv("ETUDE_DATA", str(tmp_path / "environment"))
    with pytest.raises(InputError, match="environment"):
        source.load("mnist")
    with pytest.raises(InputError, match="argument"):
        source.load("mnist", data_dir=tmp_path / "argument")


def test_arrays_tensors_and_splits_are_data() -> None:
    x, y = np.random.default_rng(0).random((40, 4)).astype(np.float32), np.arange(40) % 2
    given: list[Any] = [(x, y), (torch.from_numpy(x), torch.from_numpy(y)), source.load((x, y))]
    assert len({source.load(data).digest() for data in given}) == 1
    assert "y" not in source.load(x).train.tensors()


def test_kind_is_offered_or_refused() -> None:
    splits = source.load("digits").as_kind(Vectors)
    assert isinstance(splits.train, Vectors)
    assert splits.preparation["kind"] == "Images"


def test_the_column_of_a_table_stands_behind_a_colon(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "1,0\n2,1\n" * 20)
    assert source.load(f"{tmp_path / 't.csv'}:b").digest() == source.load(tmp_path / "t.csv", target="b").digest()
    assert "y" not in source.load(tmp_path / "t.csv").train.tensors()


@pytest.mark.parametrize("form", ["name", "array", "npz", "table", "texts", "splits"])
def test_nothing_but_picture_files_is_resized(tmp_path: Path, form: str) -> None:
    np.savez(tmp_path / "mine.npz", x=np.zeros((20, 4, 4)))
    (tmp_path / "mine.csv").write_text("a,target\n" + "1,x\n2,y\n" * 20)
    (tmp_path / "texts").mkdir()
    for place in range(40):
        (tmp_path / "texts" / f"{place}.txt").write_text(f"gold zinc ship {'port' * (place % 2)}")
    data: dict[str, Any] = {
        "name": "digits",
        "array": np.zeros((20, 4, 4)),
        "npz": tmp_path / "mine.npz",
        "table": tmp_path / "mine.csv",
        "texts": tmp_path / "texts",
        "splits": xor(),
    }
    assert not source.pictures(data[form])
    with pytest.raises(
        InputError, match=r"^--size 8: .* is no folder of pictures, which alone are resized: leave it out$"
    ):
        source.load(data[form], size=8)


def test_a_folder_of_pictures_is_resized(tmp_path: Path) -> None:
    for place in range(20):
        Image.new("L", (30 + place, 20), place).save(tmp_path / f"{place}.png")
    assert source.pictures(tmp_path)
    assert source.pictures(f"{tmp_path}:left")
    assert not source.pictures(tmp_path / "nowhere")
    splits = source.load(tmp_path, size=8)
    assert splits.train.dimensions["width"] == splits.preparation["size"] == 8
    assert source.load(splits, size=8).digest() == splits.digest()
    with pytest.raises(InputError, match="--size 9: "):
        source.load(splits, size=9)


@pytest.mark.parametrize("form", ["name", "pairs by name", "array", "table", "texts", "splits"])
def test_nothing_but_files_of_pairs_has_a_vocabulary_to_choose(tmp_path: Path, form: str) -> None:
    (tmp_path / "mine.tsv").write_text("a\ttarget\n" + "1\tx\n2\ty\n" * 20)
    (tmp_path / "texts").mkdir()
    for place in range(40):
        (tmp_path / "texts" / f"{place}.txt").write_text(f"gold zinc ship {'port' * (place % 2)}")
    data: dict[str, Any] = {
        "name": "digits",
        "pairs by name": "addition",
        "array": np.zeros((20, 4)),
        "table": tmp_path / "mine.tsv",
        "texts": tmp_path / "texts",
        "splits": xor(),
    }
    said = (
        r"^--vocabulary words: .* is no file or folder of pairs of texts, whose vocabulary alone can be chosen: leave"
    )
    with pytest.raises(InputError, match=said):
        source.load(data[form], vocabulary="words")


def test_new_images_for_a_system_of_vectors(tmp_path: Path) -> None:
    seen = source.load("digits").preparation
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    Image.fromarray(pixels).convert("RGB").save(tmp_path / "a.png")
    found = source.read(tmp_path / "a.png", Vectors, seen)
    assert isinstance(found, Vectors)
    assert found.x.tolist() == [pixels.flatten().tolist()]
    assert found.classes[3] == "3"
    rows = source.read(pixels.reshape(1, 64), Images, seen)
    assert isinstance(rows, Images)
    assert np.array_equal(rows.x[0, 0].numpy(), pixels)


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (np.zeros((2, 3, 32, 32), np.uint8), "digits", "input: expected 1x8x8, got 3x32x32"),
        (np.zeros((2, 63), np.uint8), "digits", "input: expected 1x8x8, got rows of 63 numbers"),
        (np.zeros((2, 3)), "moons", "input: expected rows of 2 numbers, got rows of 3 numbers"),
        (np.zeros((2, 1, 5)), "moons", "input: expected rows of 2 numbers, got 1x1x5"),
        ("no/such.png", "moons", r"no/such\.png: no such file"),
    ],
)
def test_input_of_another_size_is_refused(data: Any, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        source.read(data, Vectors, source.load(name).preparation)


def test_new_rows_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,y\n" + "1,red,0\n2,blue,1\n" * 20)
    (tmp_path / "new.csv").write_text("b,a\nred,1\n")
    splits = source.load(tmp_path / "t.csv")
    found = source.read(tmp_path / "new.csv", Vectors, splits.preparation)
    train = splits.train.tensors()
    assert torch.equal(found.tensors()["x"][0], train["x"][train["y"] == 0][0])
