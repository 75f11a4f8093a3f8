"""Coloured shapes show what their classes say, measured on the pixels."""

import math

import pytest
import torch
from torch import Tensor

from etude.data import source
from etude.data.kinds import Images
from etude.data.shapes import CLASSES, COLOURS, FORMS, SIZES, beyond, shapes


@pytest.fixture(scope="module")
def whole() -> Images:
    together = shapes().together()
    assert isinstance(together, Images)
    return together


def words(whole: Images, place: int) -> list[str]:
    assert whole.y is not None
    return [CLASSES[c].split()[place] for c in whole.y.tolist()]


def share(x: Tensor) -> Tensor:
    """How much of each picture is coloured, in pixels: the ground is grey, its channels equal."""
    colourful = x.amax(1) - x.amin(1)
    return (colourful / colourful.amax((1, 2), keepdim=True)).sum((1, 2))


def test_the_same_every_time_and_each_class_as_often(whole: Images) -> None:
    assert shapes().digest() == shapes().digest() == source.load("shapes").digest()
    assert whole.x.shape == (6000, 3, 32, 32)
    assert whole.x.dtype == torch.uint8
    assert whole.y is not None
    assert whole.y.bincount().tolist() == [250] * 24
    assert len(torch.unique(whole.x, dim=0)) == 6000


def test_area_is_that_of_the_disc_whatever_the_form(whole: Images) -> None:
    area = share(whole.to("cpu").x)
    said = torch.tensor([SIZES[word] for word in words(whole, 0)])
    ratio = area / (math.pi * said**2)
    assert ratio.min() > 0.75
    assert ratio.max() < 1.25
    for form in FORMS:
        own = torch.tensor([word == form for word in words(whole, 2)])
        assert ratio[own].mean().item() == pytest.approx(1, abs=0.02)


def test_the_middle_has_the_colour_that_is_named(whole: Images) -> None:
    middle = whole.to("cpu").x[:, :, 15:17, 15:17].mean((2, 3))
    names = list(COLOURS)
    nearest = torch.cdist(middle, torch.tensor(list(COLOURS.values()))).argmin(1)
    assert [names[place] for place in nearest.tolist()] == words(whole, 1)


def test_the_ground_is_grey(whole: Images) -> None:
    corner = whole.x[:, :, 0, 0].float()
    assert torch.equal(corner.amax(1), corner.amin(1))
    assert corner.max() <= 255 * 0.3 + 1


@pytest.mark.parametrize("corners", [3, 4, 5])
def test_an_edge_is_where_the_polygon_of_that_many_corners_has_it(corners: int) -> None:
    """Corners of the regular polygon of area pi lie on the edge, and so do the middles of its sides."""
    inner = math.sqrt(math.pi / corners / math.tan(math.pi / corners))
    one, zero = torch.ones(1, 1, 1), torch.zeros(1, 1, 1)
    for side in range(corners):
        for turned, far in ((0.0, inner), (math.pi / corners, inner / math.cos(math.pi / corners))):
            angle = math.pi / 2 + 2 * math.pi * side / corners + turned
            at = beyond(far * math.cos(angle) * one, far * math.sin(angle) * one, one, corners, zero)
            assert float(at) == pytest.approx(0, abs=1e-6)


def test_a_triangle_stands_on_its_side(whole: Images) -> None:
    x = whole.to("cpu").x
    own = [place for place, word in enumerate(words(whole, 2)) if word == "triangle"]
    colourful = (x.amax(1) - x.amin(1))[torch.tensor(own)]
    rows = torch.arange(32.0)
    mass = colourful.sum(2)
    mean = (mass * rows).sum(1) / mass.sum(1)
    skew = (mass * (rows - mean[:, None]) ** 3).sum(1)
    assert (skew < 0).double().mean() > 0.99  # most of it is below, its tip above
