"""Folders of images: what Pillow wrote is read back pixel for pixel."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from etude.data.folder import class_folders, image_files, load_folder, part_folders, read_images, squared, to_squares
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
    with pytest.raises(InputError, match=r"b\.png: 7x6 pixels where a\.png has 5x4: .* one size, or give --size$"):
        load_folder(tmp_path)
    with pytest.raises(InputError, match=r"resize all to one size$"):
        read_images(image_files(tmp_path), 1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_images_of_every_mode_and_shape_become_squares(tmp_path: Path, mode: str) -> None:
    """A flat image stays what it is, whatever is behind transparency."""
    suffix = "jpg" if mode == "CMYK" else "png"
    for place, size in enumerate([(30, 20), (7, 41), (8, 8), (200, 199), (3, 3)]):
        flat = Image.new("RGB", size, (255, 255, 255))
        if mode == "I;16":
            flat = Image.fromarray(np.full(size, 65535, np.uint16))
        made = flat if mode == "I;16" else flat.convert(mode)
        if mode in ("LA", "RGBA"):
            made.putalpha(Image.fromarray(pixels(size[1], size[0])))
        made.save(tmp_path / f"{place}.{suffix}")
    for channels in (1, 3):
        x, _ = read_images(image_files(tmp_path), channels, change=to_squares(8))
        assert x.shape == (5, channels, 8, 8)
        assert x.min() == 255


@pytest.mark.parametrize(("height", "width"), [(20, 52), (53, 20), (20, 20), (41, 20)])
def test_a_square_is_the_centre_of_the_image(height: int, width: int) -> None:
    """Red outside of the central square is not seen, the square's own blue border is."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 255
    top, left = (height - 20) // 2, (width - 20) // 2
    image[top : top + 20, left : left + 20] = (0, 0, 255)
    image[top + 4 : top + 16, left + 4 : left + 16] = (0, 255, 0)
    made = np.asarray(squared(Image.fromarray(image), 20))
    assert np.array_equal(made, image[top : top + 20, left : left + 20])
    small = np.asarray(squared(Image.fromarray(image), 5)).astype(int)
    assert small[..., 0].max() == 0
    assert np.array_equal(small[..., 2] > small[..., 1], np.pad(np.zeros((3, 3), bool), 1, constant_values=True))


@pytest.mark.parametrize("size", [16, 100])
def test_things_keep_their_proportions(size: int) -> None:
    y, x = np.mgrid[:60, :90]
    disc = ((x - 44.5) ** 2 + (y - 29.5) ** 2 < 20**2).astype(np.uint8) * 255
    made = np.asarray(squared(Image.fromarray(disc), size)) / 255
    wide, high = made[size // 2].sum(), made[:, size // 2].sum()
    assert wide == pytest.approx(high, rel=0.02)
    assert wide == pytest.approx(size * 2 / 3, rel=0.05)


def test_what_becomes_smaller_is_averaged() -> None:
    """Every 16th pixel of these stripes is black; their mean is a grey."""
    stripes = np.tile(np.array([0, 255, 255, 255], np.uint8), (64, 16))
    assert np.abs(np.asarray(squared(Image.fromarray(stripes), 4)).astype(int) - 191).max() <= 6


def test_an_image_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    pixels_ = np.zeros((20, 30, 3), np.uint8)
    pixels_[:, 15:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    Image.fromarray(pixels_).save(tmp_path / "a.jpg", exif=exif, quality=100)
    x, _ = read_images([tmp_path / "a.jpg"], 1, change=to_squares(4))
    assert x[0, 0, 0].max() < 50
    assert x[0, 0, 3].min() > 200
    x, _ = read_images([tmp_path / "a.jpg"], 1)
    assert x.shape == (1, 1, 20, 30)


@pytest.mark.parametrize("colours", [2, 32, 33])
def test_maps_keep_their_colours(colours: int) -> None:
    """No more than 32 of them, and only where maps are wanted."""
    patches = RANDOM.permutation(np.arange(100) % colours).reshape(10, 10).astype(np.uint8)
    image = Image.fromarray(np.kron(patches, np.full((7, 7), 7, np.uint8)))
    known = set(np.unique(patches) * 7)
    assert (set(np.unique(np.asarray(squared(image, 16, maps=True)))) <= known) == (colours <= 32)
    assert not set(np.unique(np.asarray(squared(image, 16)))) <= known


def test_a_broken_image_among_good_ones_is_named_and_other_sizes_are_made_one(tmp_path: Path) -> None:
    for place in range(20):
        write(tmp_path / f"{place:02}.png", pixels(10 + place, 30 - place, 3))
    assert load_folder(tmp_path, size=6).train.dimensions["height"] == 6
    (tmp_path / "05.png").write_bytes((tmp_path / "06.png").read_bytes()[:200])
    with pytest.raises(InputError, match=r"05\.png: not readable as an image"):
        load_folder(tmp_path, size=6)
    unreadable: list[str] = []
    assert sum(map(len, load_folder(tmp_path, unreadable, 6).parts().values())) == 19
    assert unreadable == [str(tmp_path / "05.png")]


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
