"""FCN-score: the confusion matrix against scikit-learn, colours found in noise, and what a judge says of pictures."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, jaccard_score
from torch import Tensor

from etude.data.kinds import ImagePairs
from etude.errors import InputError
from etude.metrics.segmentation import Judge, Segmenter, agreement, confusion, fcn_score, labels, palette, segmenter

COLOURS = torch.tensor([[0, 0, 170], [0, 80, 255], [255, 80, 0], [255, 255, 255]], dtype=torch.uint8)


def drawn(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Classes (count, 16, 16), in squares of 8 pixels, and maps that show them."""
    random = torch.Generator().manual_seed(seed)
    classes = torch.randint(4, (count, 2, 2), generator=random).repeat_interleave(8, 1).repeat_interleave(8, 2)
    maps = COLOURS.index_select(0, classes.flatten()).view(count, 16, 16, 3).permute(0, 3, 1, 2)
    return classes, maps.contiguous()


@pytest.mark.parametrize("present", [4, 3])
def test_scores_are_those_of_scikit_learn(present: int) -> None:
    random = np.random.default_rng(0)
    true, said = random.integers(0, present, 500), random.integers(0, 4, 500)
    table = confusion(torch.from_numpy(true), torch.from_numpy(said), 4)
    assert np.array_equal(table.numpy(), confusion_matrix(true, said, labels=range(4)))
    scores = agreement(table)
    assert scores["per-pixel accuracy"] == pytest.approx(accuracy_score(true, said))
    assert scores["per-class accuracy"] == pytest.approx(np.diag(table)[:present].dot(1 / np.bincount(true)) / present)
    expected = jaccard_score(true, said, labels=range(present), average="macro")
    assert scores["class IoU"] == pytest.approx(expected)
    if present == 4:
        assert scores["per-class accuracy"] == pytest.approx(balanced_accuracy_score(true, said))


def test_colours_are_found_in_spite_of_noise() -> None:
    classes, maps = drawn(200)
    noise = torch.randint(-10, 11, maps.shape, generator=torch.Generator().manual_seed(1))
    noisy = (maps.int() + noise).clamp(0, 255).to(torch.uint8)
    found = palette(noisy)
    nearest = torch.cdist(COLOURS / 255, found).min(1)
    assert len(found) == 4
    assert nearest.values.max() < 20 / 255
    assert torch.equal(labels(noisy / 255, COLOURS / 255), classes)


def test_colours_come_by_frequency() -> None:
    maps = COLOURS.index_select(0, torch.tensor([3] * 50 + [1] * 30 + [0] * 15 + [2] * 5)).T.reshape(1, 3, 10, 10)
    torch.testing.assert_close(palette(maps), COLOURS.index_select(0, torch.tensor([3, 1, 0, 2])) / 255)


def test_as_many_colours_as_there_are() -> None:
    levels = torch.tensor([0, 127, 255], dtype=torch.uint8)
    colours = torch.cartesian_prod(levels, levels, levels)
    assert len(palette(colours.repeat(10, 1).T.reshape(1, 3, 27, 10))) == 27


def test_photographs_have_no_colours_of_classes() -> None:
    pixels = torch.cartesian_prod(*[torch.arange(4, 256, 16, dtype=torch.uint8)] * 3)
    with pytest.raises(InputError, match="no colour on"):
        palette(pixels.T.reshape(1, 3, 64, 64))


def test_rare_mixtures_are_no_class() -> None:
    maps = COLOURS[:2].repeat_interleave(5000, 0).T.reshape(1, 3, 100, 100).clone()
    maps[0, :, 50, :3] = torch.tensor([[128], [255], [0]], dtype=torch.uint8)
    assert len(palette(maps)) == 2


def pairs(count: int, seed: int) -> ImagePairs:
    """Maps, and pictures of them: the class is the shade of grey, under noise."""
    classes, maps = drawn(count, seed)
    noise = torch.randint(-5, 6, classes.shape, generator=torch.Generator().manual_seed(seed))
    return ImagePairs(maps, (shades(classes) + noise)[:, None].to(torch.uint8))


def shades(classes: Tensor) -> Tensor:
    """20, 50, 125 and 245: told apart in any light that training has."""
    return (20 * 2.5**classes).clamp(max=245)


@pytest.fixture(scope="module")
def judge() -> Segmenter:
    return segmenter(pairs(60, 0), epochs=15, batch=10)


class Answers:
    device = torch.device("cpu")

    def __init__(self, answer: Any) -> None:
        self.translate = answer


def test_a_judge_finds_the_maps_of_real_pictures_and_of_good_ones_only(judge: Segmenter) -> None:
    test = pairs(30, 1)
    real = fcn_score(judge, test)
    assert min(real.values()) > 0.9
    truth = Answers(lambda x: shades(labels(x, COLOURS / 255)[:, None]) / 255)
    assert min(fcn_score(judge, test, truth).values()) > 0.9
    grey = fcn_score(judge, test, Answers(lambda x: torch.full_like(x[:, :1], 0.5)))
    assert grey["class IoU"] < 0.3
    assert grey["per-class accuracy"] < 0.5


def test_a_judge_is_the_same_for_the_same_seed_and_leaves_chance_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second, third = (segmenter(pairs(10, 0), epochs=1, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    x = torch.rand(1, 1, 16, 16)
    assert torch.equal(first.judge(x), second.judge(x))
    assert not torch.equal(first.judge(x), third.judge(x))


def test_classes_are_those_of_the_colours_given() -> None:
    judge = segmenter(pairs(10, 0), colours=COLOURS[:3] / 255, epochs=1)
    assert judge.judge(torch.rand(1, 1, 16, 16)).shape == (1, 3, 16, 16)


def test_rare_classes_weigh_more(monkeypatch: pytest.MonkeyPatch) -> None:
    classes, maps = drawn(10)
    maps[classes[:, None].expand(-1, 3, -1, -1) == 2] = 255  # white is twice as frequent
    true = F.cross_entropy
    weights = []

    def spied(scores: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        weights.append(weight)
        return true(scores, target, weight)

    monkeypatch.setattr(F, "cross_entropy", spied)
    by = segmenter(ImagePairs(maps, maps), epochs=1)
    shares = labels(maps / 255, by.colours).flatten().bincount() / classes.numel()
    torch.testing.assert_close(weights[0] / weights[0][0], (shares[0] / shares).sqrt().sqrt())
    assert shares.max() > 1.5 * shares.min()


def test_scores_for_every_pixel_of_any_size() -> None:
    judge = Judge(3, 5, 4)
    assert judge(torch.rand(2, 3, 24, 37)).shape == (2, 5, 24, 37)


def test_a_pixel_is_judged_from_afar() -> None:
    y = torch.rand(1, 3, 64, 64, requires_grad=True)
    Judge(3, 5, 4).eval()(y)[0, 0, 32, 32].backward()
    assert y.grad is not None
    assert all(y.grad[0, :, row, column].abs().sum() > 0 for row, column in [(4, 32), (60, 32), (32, 4), (32, 60)])
