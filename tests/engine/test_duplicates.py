"""Near-duplicates in folders: copies however they were saved are found, pictures that differ are not."""

from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from etude.cli import main
from etude.data import source
from etude.data.kinds import ImagePairs
from etude.engine.duplicates import Duplicates, find_duplicates
from etude.errors import InputError

STEPS = 150


def fronts(count: int) -> list[Image.Image]:
    """House fronts, enlarged to 256x256."""
    train = source.load("facades-like").train
    assert isinstance(train, ImagePairs)
    return [enlarged(each) for each in train.y[:count]]


def enlarged(picture: Tensor) -> Image.Image:
    pixels = picture.permute(1, 2, 0).squeeze(2).contiguous().numpy()
    return Image.fromarray(pixels).resize((256, 256), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 house fronts, five of them as they are a second time, recompressed, smaller, or moved by a pixel."""
    folder = tmp_path_factory.mktemp("fronts")
    (folder / "more").mkdir()
    every = fronts(60)
    for place, picture in enumerate(every):
        picture.save(folder / f"{place:02}.png")
        if place % 12 == 0:
            picture.save(folder / "more" / f"{place:02}-same.png")
            picture.save(folder / "more" / f"{place:02}-recompressed.jpg", quality=70)
            picture.resize((128, 128)).save(folder / "more" / f"{place:02}-smaller.png")
            moved = picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, 1, 0, 1, -1))
            moved.save(folder / "more" / f"{place:02}-moved.png")
    return folder


@pytest.fixture(scope="module")
def found(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Duplicates:
    return find_duplicates(planted, runs=tmp_path_factory.mktemp("runs"), steps=STEPS)


def test_copies_are_found_and_nothing_else(found: Duplicates) -> None:
    names = sorted(sorted(file.stem for file in group) for group in found.groups)
    kinds = ("", "-moved", "-recompressed", "-same", "-smaller")
    assert names == [[f"{place:02}{kind}" for kind in kinds] for place in range(0, 60, 12)]


def test_the_largest_file_of_a_group_is_kept(found: Duplicates) -> None:
    assert len(found.files) == 80
    assert len(found.kept) == 60
    for group in found.groups:
        assert group[0].stat().st_size == max(file.stat().st_size for file in group)
        assert [file in found.kept for file in group] == [True, False, False, False, False]


def test_digits_that_differ_are_not_taken_for_copies(tmp_path: Path) -> None:
    for place, digit in enumerate(source.load("digits").train.tensors()["x"][:300]):
        enlarged(digit).save(tmp_path / f"{place:03}.png")
    found = find_duplicates(tmp_path, runs=tmp_path / "runs", steps=STEPS)
    assert len(found.files) - len(found.kept) < 0.01 * len(found.files)


def test_the_command_names_groups_and_writes_what_to_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("etude.engine.duplicates.find_duplicates", partial(find_duplicates, steps=20))
    (tmp_path / "pictures").mkdir()
    for name, shade in {"a.png": 0, "b.png": 255, "c.bmp": 0}.items():
        picture = Image.new("RGB", (50, 40), (shade, 90, 90))
        picture.paste((9, 200, shade), (10, 5, 25, 30 if shade else 15))
        picture.save(tmp_path / "pictures" / name)
    kept = tmp_path / "kept.txt"
    words = ["data", "dedup", str(tmp_path / "pictures"), "--runs", str(tmp_path / "runs"), "--out", str(kept)]
    assert main(words) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == [str(tmp_path / "pictures" / name) for name in ("c.bmp", "a.png")]
    assert told[-1] == "groups of near-duplicates: 1 in 3 pictures, 1 too many"
    assert kept.read_text().split() == [str(tmp_path / "pictures" / name) for name in ("b.png", "c.bmp")]


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image file"):
        find_duplicates(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.png: not readable as an image"):
        find_duplicates(tmp_path)
    with pytest.raises(InputError, match=r"--distance 128: expected a whole number in \[0, 128\)"):
        find_duplicates(tmp_path, distance=128)


def test_the_same_question_finds_the_run_again(found: Duplicates, planted: Path) -> None:
    again = find_duplicates(planted, runs=found.run.folder.parent, steps=STEPS)
    assert again.run.folder == found.run.folder
    assert again.groups == found.groups
    assert torch.equal(again.run.system.get_buffer("mean"), found.run.system.get_buffer("mean"))
