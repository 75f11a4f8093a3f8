"""Thumbnails against averages taken by hand."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etude.data.thumbnails import thumbnails
from etude.errors import InputError


def test_is_the_average_over_the_middle_square(tmp_path: Path) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    Image.fromarray(pixels.transpose(1, 0, 2)).save(tmp_path / "high.png")
    (wide, high), _ = thumbnails([tmp_path / "wide.png", tmp_path / "high.png"])
    expected = pixels[:, 16:80].reshape(32, 2, 32, 2, 3).mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(wide.numpy().astype(float) - expected).max() <= 1.01  # Pillow rounds twice, to bytes
    assert (high.int() - wide.transpose(1, 2).int()).abs().max() <= 1


def test_grey_pictures_and_palettes_become_coloured(tmp_path: Path) -> None:
    for mode in ("L", "P", "RGBA", "1"):
        Image.new("L", (40, 40), 255).convert(mode).save(tmp_path / f"{mode}.png")
    small, _ = thumbnails(sorted(tmp_path.glob("*.png")), 8)
    assert small.shape == (4, 3, 8, 8)
    assert (small == 255).all()


def test_what_cannot_be_read_is_refused_or_left_out(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.png" for name in ("black", "cut", "text", "white")]
    Image.new("L", (40, 40), 0).save(files[0])
    Image.effect_noise((40, 40), 50).save(files[1])
    files[1].write_bytes(files[1].read_bytes()[:400])
    files[2].write_text("no picture")
    Image.new("L", (40, 40), 255).save(files[3])
    with pytest.raises(InputError, match=r"cut\.png: not readable as an image"):
        thumbnails(files)
    unreadable: list[Path] = []
    small, read = thumbnails(files, 8, unreadable)
    assert (unreadable, read) == (files[1:3], [files[0], files[3]])
    assert small.shape == (2, 3, 8, 8)
    assert (small[0] == 0).all()
    assert (small[1] == 255).all()
    with pytest.raises(InputError, match="none of 2 images can be read"):
        thumbnails(files[1:3], 8, [])
