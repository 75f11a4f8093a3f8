"""Folders of images: what Pillow wrote is read back pixel for pixel."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from etude.data.folder import class_folders, image_files, load_folder, part_folders, read_images
from etude.data.kinds import Images
from etude.errors import InputError

RANDOM = np.random.default_rng(0)


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def pixels(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif"])
def test_grey_images_without_loss(tmp_path: Path, suffix: str) -> None:
    made = [pixels(6, 5) for _ in range(3)]
    files = [write(tmp_path / f"{place}.{suffix}", image) for place, image in enumerate(made)]
    x, read = read_images(files, 1)
    assert read == files
    assert np.array_equal(x[:, 0], np.stack(made))


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_images_with_loss(tmp_path: Path, suffix: str) -> None:
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    x, _ = read_images([write(tmp_path / f"a.{suffix}", flat)], 3)
    assert np.abs(x[0].transpose(1, 2, 0).astype(int) - flat).max() <= 4


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    deep = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    x, _ = read_images([write(tmp_path / "a.png", deep)], 1)
    assert np.array_equal(x[0, 0].ravel(), np.arange(256))


def test_transparency_is_dropped(tmp_path: Path) -> None:
    x, _ = read_images([write(tmp_path / "a.png", image := pixels(4, 4, 4))], 3)
    assert np.array_equal(x[0].transpose(1, 2, 0), image[..., :3])


def test_class_folders_name_the_classes(tmp_path: Path) -> None:
    made = {(name, place): pixels(4, 3) for name in ("cat", "ant") for place in range(20)}
    for (name, place), image in made.items():
        write(tmp_path / name / f"{place:02}.png", image)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    write(tmp_path / ".hidden" / "a.png", pixels(9, 9))
    splits = load_folder(tmp_path)
    assert isinstance(splits.train, Images)
    assert splits.train.classes == ("ant", "cat")
    assert splits.train.dimensions == {"channels": 1, "height": 4, "width": 3, "classes": 2, "outputs": 2}
    for part in splits.parts().values():
        for x, y, index in zip(part.tensors()["x"], part.tensors()["y"], part.index, strict=True):
            assert np.array_equal(x[0].numpy(), made[("ant", "cat")[int(y)], int(index) % 20])


def test_given_splits_are_kept_and_one_colour_image_makes_all_colour(tmp_path: Path) -> None:
    for part, count in (("train", 10), ("val", 4), ("test", 3)):
        for place in range(count):
            write(tmp_path / part / f"{place}.png", pixels(4, 4))
    write(tmp_path / "test" / "3.png", pixels(4, 4, 3))
    splits = load_folder(tmp_path)
    assert [len(part) for part in splits.parts().values()] == [10, 4, 4]
    assert splits.train.dimensions == {"channels": 3, "height": 4, "width": 4, "classes": 0, "outputs": 0}
    x = splits.train.tensors()["x"]
    assert torch.equal(x[:, 0], x[:, 2])


def test_sizes_must_agree(tmp_path: Path) -> None:
    write(tmp_path / "a.png", pixels(4, 5))
    write(tmp_path / "b.png", pixels(6, 7))
    with pytest.raises(InputError, match=r"b\.png: 7x6 pixels where a\.png has 5x4: resize"):
        load_folder(tmp_path)


def test_loose_images_beside_classes_are_refused(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png", "1.png"):
        write(tmp_path / name, pixels(4, 4))
    with pytest.raises(InputError, match=r"1\.png: lies beside folders of classes"):
        load_folder(tmp_path)


def test_folders_of_parts_and_of_classes(tmp_path: Path) -> None:
    assert part_folders(tmp_path) == {"train": tmp_path}
    for name in ("test", "dev", "other"):
        (tmp_path / name).mkdir()
    assert part_folders(tmp_path) == {"validation": tmp_path / "dev", "test": tmp_path / "test"}
    assert class_folders([tmp_path / "a" / "x" / "1.txt", tmp_path / "b" / "1.txt"], tmp_path) == ["a", "b"]
    assert class_folders([tmp_path / "1.txt"], tmp_path) == []


def test_unreadable_images_are_refused_or_listed(tmp_path: Path) -> None:
    for place in range(20):
        write(tmp_path / f"{place:02}.png", pixels(4, 4))
    (tmp_path / "05.png").write_bytes(b"no image")
    (tmp_path / "07.png").write_bytes((tmp_path / "08.png").read_bytes()[:50])
    with pytest.raises(InputError, match=r"05\.png: not readable as an image"):
        load_folder(tmp_path)
    unreadable: list[str] = []
    splits = load_folder(tmp_path, unreadable)
    assert unreadable == [str(tmp_path / "05.png"), str(tmp_path / "07.png")]
    assert sum(len(part) for part in splits.parts().values()) == 18


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no image file in it: give a folder of \.png, .* or of \.txt documents"):
        image_files(tmp_path)
    with pytest.raises(InputError, match="no image file in it"):
        load_folder(tmp_path)


def test_no_image_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="none of 1 images can be read"):
        load_folder(tmp_path, [])
