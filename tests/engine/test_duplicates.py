"""Near-duplicates in folders: copies however they were saved are found, pictures that differ are not."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from etude.cli import main
from etude.data import source
from etude.data.kinds import ImagePairs, Images
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


@pytest.fixture
def sorted_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of pictures in a folder, one of them twice and one cut short; few steps are enough."""
    monkeypatch.setattr("etude.engine.duplicates.find_duplicates", partial(find_duplicates, steps=20))
    folder = tmp_path / "pictures"
    for name, shade in {"dark/a.png": 0, "dark/c.bmp": 0, "light/b.png": 255, "light/cut.png": 60}.items():
        picture = Image.new("RGB", (50, 40), (shade, 90, 90))
        picture.paste((9, 200, shade), (10, 5, 25, 30 if shade else 15))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name)
    cut = folder / "light" / "cut.png"
    cut.write_bytes(cut.read_bytes()[:60])
    return folder


def test_the_command_names_groups_and_copies_what_to_keep(
    sorted_pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "new" / "kept"
    before = {file: file.read_bytes() for file in sorted_pictures.rglob("*.*")}
    assert main(["data", "dedup", str(sorted_pictures), "--runs", str(tmp_path / "runs"), "--out", str(kept)]) == 0
    near = "  ".join(str(sorted_pictures / "dark" / name) for name in ("c.bmp", "a.png"))
    assert capsys.readouterr().out.splitlines() == [
        near,
        f"{sorted_pictures / 'light' / 'cut.png'}: not readable as an image, left out",
        "groups of near-duplicates: 1 in 3 pictures, 1 too many",
        f"2 pictures in {kept}",
    ]
    names = {"dark/c.bmp", "light/b.png"}
    assert {str(file.relative_to(kept)) for file in kept.rglob("*.*")} == names
    assert all((kept / name).read_bytes() == before[sorted_pictures / name] for name in names)
    assert {file: file.read_bytes() for file in sorted_pictures.rglob("*.*")} == before


def test_what_is_kept_can_be_trained_on(tmp_path: Path) -> None:
    """Classes and splits stay; of a picture that is there twice, that of the test goes, because its file is smaller."""
    pictures = tmp_path / "pictures"
    noise = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
    for place, picture in enumerate(noise.repeat(8, 1).repeat(8, 2)):
        folder = pictures / ("test" if place < 5 else "train") / ("even", "odd")[place % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{place:02}.png")
    with Image.open(pictures / "test" / "even" / "00.png") as twice:
        twice.save(pictures / "train" / "even" / "again.bmp")
    find_duplicates(pictures, distance=0, runs=tmp_path / "runs", steps=20, out=tmp_path / "kept")
    kept = source.load(str(tmp_path / "kept"))
    assert len(kept.test) == 4
    assert len(kept.train) + len(kept.validation) == 16
    assert isinstance(kept.train, Images)
    assert kept.train.classes == ("even", "odd")


def test_a_folder_that_has_files_is_not_written_to(
    sorted_pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for out in (sorted_pictures, tmp_path / "file"):
        assert main(["data", "dedup", str(sorted_pictures), "--runs", str(tmp_path / "runs"), "--out", str(out)]) == 2
        assert capsys.readouterr().err == (
            f"etude: --out {out}: is there and not empty: give a folder that is empty or not there yet\n"
        )
    assert not (tmp_path / "runs").exists()


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image file"):
        find_duplicates(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="none of 1 images can be read: replace or remove them"):
        find_duplicates(tmp_path)
    with pytest.raises(InputError, match=r"--distance 128: expected a whole number in \[0, 128\)"):
        find_duplicates(tmp_path, distance=128)


def test_the_same_question_finds_the_run_again(found: Duplicates, planted: Path) -> None:
    again = find_duplicates(planted, runs=found.run.folder.parent, steps=STEPS)
    assert again.run.folder == found.run.folder
    assert again.groups == found.groups
    assert torch.equal(again.run.system.get_buffer("mean"), found.run.system.get_buffer("mean"))
