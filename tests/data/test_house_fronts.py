"""House fronts: every map has the parts that a front has, and a picture shows what its map says."""

import numpy as np
import pytest
import torch

from etude.data.house_fronts import (
    COUNT,
    DOOR,
    GROUND,
    PARTS,
    SIDE,
    SKY,
    WINDOW,
    Random,
    facades_like,
    facades_like_unpaired,
    plan,
    render,
)
from etude.data.kinds import ImagePairs, Splits


@pytest.fixture(scope="module")
def splits() -> Splits:
    return facades_like()


def test_pairs_of_maps_and_pictures(splits: Splits) -> None:
    assert sum(len(part) for part in splits.parts().values()) == COUNT
    assert splits.train.dimensions == {"channels": 3, "target_channels": 3, "height": SIDE, "width": SIDE}
    assert isinstance(splits.train, ImagePairs)
    assert splits.train.aligned
    colours = torch.unique(splits.train.x.permute(0, 2, 3, 1).reshape(-1, 3), dim=0)
    assert sorted(map(tuple, colours.tolist())) == sorted(PARTS.values())


def test_the_same_each_time(splits: Splits) -> None:
    assert splits.digest() == facades_like().digest()


def test_unpaired_has_the_same_pictures(splits: Splits) -> None:
    torn = facades_like_unpaired()
    assert isinstance(torn.train, ImagePairs)
    assert not torn.train.aligned
    assert torch.equal(torn.train.x, splits.train.tensors()["x"])
    assert not torch.equal(torn.train.y, splits.train.tensors()["y"])
    assert torch.equal(torn.test.tensors()["y"], splits.test.tensors()["y"])


@pytest.mark.parametrize("seed", range(20))
def test_every_front_has_one_door_at_the_ground_and_windows(seed: int) -> None:
    parts = plan(Random(seed))
    doors = np.argwhere(parts == DOOR)
    (top, left), (bottom, right) = doors.min(0), doors.max(0)
    assert (parts[top : bottom + 1, left : right + 1] == DOOR).all()
    assert (parts[bottom + 1, left : right + 1] == GROUND).all()
    assert (parts == WINDOW).sum() > 30
    assert (parts[0] == SKY).all()


def test_many_pictures_fit_one_map() -> None:
    parts = plan(Random(0))
    pictures = np.stack([render(parts, Random(seed)) for seed in range(20)]).astype(float)
    between = pictures.mean((1, 2)).std(0).max()
    assert between > 5
    windows, sky = pictures[:, parts == WINDOW].mean(), pictures[:, parts == SKY].mean()
    assert windows < 0.8 * sky
