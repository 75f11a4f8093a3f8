"""CMP facades: halves, sizes and splits of the packing, on small pictures written here."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from etude.data.facades import facades, facades64, facades_unpaired, unpaired
from etude.data.kinds import ImagePairs, Splits
from etude.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """20 pictures to train and 3 to test: a photograph of one shade, and a map with a fine grid."""
    column = np.arange(128)
    grid = np.where((column[:, None] % 2 + column[None] % 2) == 0, 200, 50)[..., None]
    for part, count in (("train", 20), ("test", 3)):
        (tmp_path / "cmp_facades" / part).mkdir(parents=True)
        for number in range(count):
            photograph = np.full((128, 128, 3), 10 * number)
            both = np.concatenate([photograph, np.broadcast_to(grid, (128, 128, 3))], 1).astype(np.uint8)
            Image.fromarray(both).save(tmp_path / "cmp_facades" / part / f"{number}.jpg", quality=100, subsampling=0)
    return tmp_path


def pairs(splits: Splits) -> list[ImagePairs]:
    found = [part for part in splits.parts().values() if isinstance(part, ImagePairs)]
    assert len(found) == 3
    return found


def test_maps_become_photographs(folder: Path) -> None:
    splits = facades(folder)
    assert splits.name == "facades"
    assert [len(part) for part in pairs(splits)] == [17, 3, 3]
    assert splits.train.dimensions == {"channels": 3, "target_channels": 3, "height": 128, "width": 128}
    for part in pairs(splits):
        assert part.aligned
        assert (part.x[:, :, ::2, ::2].int() - 200).abs().max() < 30
        assert (part.y.flatten(1).int() % 10 * (part.y.flatten(1).int() % 10 - 10)).abs().max() < 30


def test_photographs_are_averaged_and_maps_are_not(folder: Path) -> None:
    large, small = facades(folder), facades64(folder)
    assert small.train.dimensions["height"] == 64
    for whole, half in zip(pairs(large), pairs(small), strict=True):
        assert torch.equal(half.x, whole.x[:, :, ::2, ::2])
        mean = whole.y.float().unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
        assert torch.equal(half.y, mean.round().byte())


def test_unpaired_keeps_the_pictures_and_loses_who_goes_with_whom(folder: Path) -> None:
    paired, torn = facades(folder), facades_unpaired(folder)
    first, second = pairs(paired)[0], pairs(torn)[0]
    assert (first.aligned, second.aligned) == (True, False)
    assert torch.equal(first.x, second.x)
    assert not torch.equal(first.y, second.y)
    assert sorted(first.y[:, 0, 0, 0].tolist()) == sorted(second.y[:, 0, 0, 0].tolist())
    assert all(torch.equal(a.y, b.y) and b.aligned for a, b in zip(pairs(paired)[1:], pairs(torn)[1:], strict=True))
    assert unpaired(paired, "torn").name == "torn"


def test_missing_files_are_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"facades\.tar\.gz"):
        facades(tmp_path)
