"""Omniglot from an archive written here in its format; the reduction against the mean of a finer grid."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from etude.data.kinds import Images
from etude.data.omniglot import omniglot, reduced
from etude.errors import InputError

CHARACTERS = ("Greek/character01", "Greek/character02", "Latin/character01")


def write(folder: Path, *, side: int = 105, people: int = 20, name: str = "{number:04}_{person:02}.png") -> np.ndarray:
    """An archive of noise; returns where the ink is: (characters, people, side, side) bool."""
    ink = np.random.default_rng(0).random((len(CHARACTERS), people, side, side)) < 0.1
    with zipfile.ZipFile(folder / "images_background_small1.zip", "w") as archive:
        archive.writestr("images_background_small1/", "")
        for place, character in enumerate(CHARACTERS):
            for person in range(1, people + 1):
                file = io.BytesIO()
                Image.fromarray(~ink[place, person - 1]).save(file, "png")
                number = name.format(number=place + 100, person=person)
                archive.writestr(f"images_background_small1/{character}/{number}", file.getvalue())
    return ink


def test_each_character_is_split_by_who_drew_it(tmp_path: Path) -> None:
    ink = write(tmp_path)
    splits = omniglot(tmp_path)
    expected = reduced(ink.reshape(-1, 105, 105).astype(np.uint8) * 255).reshape(3, 20, 28, 28)
    for (start, stop), part in zip([(0, 14), (14, 17), (17, 20)], splits.parts().values(), strict=True):
        assert isinstance(part, Images)
        assert part.classes == CHARACTERS
        assert part.tensors()["y"].tolist() == [y for y in range(3) for _ in range(stop - start)]
        assert np.array_equal(part.x[:, 0].numpy(), expected[:, start:stop].reshape(-1, 28, 28))
    assert splits.train.dimensions == {"channels": 1, "height": 28, "width": 28, "classes": 3, "outputs": 3}
    assert sorted(torch.cat([part.index for part in splits.parts().values()]).tolist()) == list(range(60))


def test_reduction_is_the_mean_over_equal_areas() -> None:
    """105 x 4 = 28 x 15: on a grid four times as fine, each small pixel is 15x15 of the fine ones."""
    drawings = (np.random.default_rng(0).random((5, 105, 105)) < 0.3).astype(np.uint8) * 255
    fine = drawings.repeat(4, 1).repeat(4, 2).reshape(5, 28, 15, 28, 15)
    assert np.abs(reduced(drawings) - fine.mean((2, 4))).max() <= 0.5 + 1e-3
    assert reduced(np.full((1, 105, 105), 255, np.uint8)).tolist() == np.full((1, 28, 28), 255).tolist()


def test_wrong_archives_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="etude data fetch omniglot"):
        omniglot(tmp_path)
    file = tmp_path / "images_background_small1.zip"
    for make, message in (
        (lambda: file.write_bytes(b"no zip"), "not readable as Omniglot's zip archive"),
        (lambda: write(tmp_path, side=28), r"character01/0100_01\.png: 28x28 pixels where Omniglot has 105x105"),
        (lambda: write(tmp_path, name="{person}-{number}.png"), "not readable as Omniglot's zip archive"),
        (lambda: zipfile.ZipFile(file, "w").close(), "not readable as Omniglot's zip archive"),
    ):
        make()
        with pytest.raises(InputError, match=rf"images_background_small1\.zip: .*{message}"):
            omniglot(tmp_path)
