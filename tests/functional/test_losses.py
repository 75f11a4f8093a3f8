"""Losses against their definitions in NumPy, against scikit-learn, and each other."""

import numpy as np
import pytest
import scipy.spatial.distance
import sklearn.metrics
import torch
import torch.nn.functional as F
from torch import Tensor

from etude.functional.losses import (
    LOSSES,
    Smoothing,
    binary_cross_entropy,
    charbonnier,
    cosine_distance,
    cross_entropy,
    hinge,
    smooth,
    zero_one,
)

CLASSES = torch.tensor([0, 3, 2, 1, 1, 0])


def logits() -> Tensor:
    return torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def one_hot() -> Tensor:
    return torch.eye(4, dtype=torch.float64)[CLASSES]


def test_zero_one_counts_mistakes() -> None:
    expected = sklearn.metrics.zero_one_loss(CLASSES, logits().argmax(-1))
    assert zero_one(logits(), CLASSES).item() == pytest.approx(expected)


def test_cross_entropy_agrees_with_scikit_learn() -> None:
    expected = sklearn.metrics.log_loss(CLASSES, torch.softmax(logits(), -1).numpy())
    assert cross_entropy(logits(), CLASSES).item() == pytest.approx(expected)
    assert cross_entropy(logits(), one_hot()).item() == pytest.approx(expected)


def test_smoothed_labels_by_the_two_conventions() -> None:
    """Course 000, equations 16 and 17, for the second."""
    labels = torch.tensor([0.0, 1.0, 0.0, 0.0])
    torch.testing.assert_close(smooth(labels, 0.2, "uniform", 4), torch.tensor([0.05, 0.85, 0.05, 0.05]))
    torch.testing.assert_close(smooth(labels, 0.3, "off-target", 4), torch.tensor([0.1, 0.7, 0.1, 0.1]))


@pytest.mark.parametrize(("convention", "share"), [("uniform", 0.2 / 4), ("off-target", 0.2 / 3)])
def test_smoothed_cross_entropy_is_that_of_smoothed_labels(convention: Smoothing, share: float) -> None:
    labels = np.full((6, 4), share)
    labels[np.arange(6), CLASSES] = 1 - 3 * share
    expected = -(labels * torch.log_softmax(logits(), -1).numpy()).sum(-1).mean()
    assert cross_entropy(logits(), CLASSES, 0.2, convention).item() == pytest.approx(expected)


@pytest.mark.parametrize(("convention", "share"), [("uniform", 0.1), ("off-target", 0.2)])
def test_smoothed_binary_cross_entropy_treats_each_label_as_two_classes(convention: Smoothing, share: float) -> None:
    labels, p = np.where(one_hot() == 1, 1 - share, share), torch.sigmoid(logits()).numpy()
    expected = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean()
    assert binary_cross_entropy(logits(), one_hot(), 0.2, convention).item() == pytest.approx(expected)


def test_multi_label_cross_entropy_is_the_mean_over_labels() -> None:
    labels = (logits() > 0.3).double().flip(0)
    p = torch.sigmoid(logits())
    each = [sklearn.metrics.log_loss(labels[:, k], p[:, k].numpy(), labels=[0, 1]) for k in range(4)]
    assert binary_cross_entropy(logits(), labels).item() == pytest.approx(np.mean(each))


def test_cross_entropy_of_two_classes_is_binary_cross_entropy_of_their_difference() -> None:
    two, classes = logits()[:, :2], CLASSES % 2
    difference = two[:, 1:] - two[:, :1]
    torch.testing.assert_close(cross_entropy(two, classes), binary_cross_entropy(difference, classes[:, None].double()))


def test_hinge_agrees_with_scikit_learn() -> None:
    signs = torch.tensor([[1.0], [-1.0], [1.0], [-1.0], [-1.0], [1.0]], dtype=torch.float64)
    expected = sklearn.metrics.hinge_loss(signs[:, 0], logits()[:, 0])
    assert hinge(logits()[:, :1], signs).item() == pytest.approx(expected)


def test_hinge_of_classes_by_hand() -> None:
    output = torch.tensor([[2.0, 0.5, 1.5], [0.0, 3.0, 0.0]])
    assert hinge(output, torch.tensor([0, 1])).item() == pytest.approx((0 + 0.5 + 0) / 3 / 2)


def test_charbonnier_lies_between_l1_and_l1_plus_epsilon() -> None:
    target = logits().flip(0)
    l1 = F.l1_loss(logits(), target)
    assert l1 < charbonnier(logits(), target, epsilon=0.1) < l1 + 0.1
    assert charbonnier(target, target, epsilon=0.1).item() == pytest.approx(0.1)


def test_charbonnier_has_a_gradient_at_its_minimum() -> None:
    output = torch.zeros(2, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(charbonnier(output, torch.zeros(2, 3)), output)
    assert torch.equal(gradient, torch.zeros(2, 3))


def test_cosine_distance_agrees_with_scipy() -> None:
    target = logits().flip(0)
    expected = np.mean([scipy.spatial.distance.cosine(a, b) for a, b in zip(logits(), target, strict=True)])
    assert cosine_distance(logits(), target).item() == pytest.approx(expected)


def test_huber_is_delta_times_smooth_l1() -> None:
    """The course's two definitions differ in scale alone; they meet where the threshold is 1."""
    output, target = 5 * logits(), torch.zeros(6, 4, dtype=torch.float64)
    for delta in (0.5, 1.0, 2.0):
        huber = F.huber_loss(output, target, delta=delta)
        torch.testing.assert_close(huber, delta * F.smooth_l1_loss(output, target, beta=delta))
    distance = output.abs()
    expected = torch.where(distance <= 1, 0.5 * distance**2, distance - 0.5).mean()
    torch.testing.assert_close(LOSSES["huber"](output, target), expected)
    torch.testing.assert_close(LOSSES["smooth_l1"](output, target), expected)


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"hinge"}))
def test_classes_are_their_one_hot_encoding(name: str) -> None:
    torch.testing.assert_close(LOSSES[name](logits(), CLASSES), LOSSES[name](logits(), one_hot()))


@pytest.mark.parametrize("name", LOSSES)
def test_descending_a_loss_finds_the_classes(name: str) -> None:
    output = 0.1 * logits()
    for _ in range(100):
        output.requires_grad_()
        loss = LOSSES[name](output, CLASSES)
        (gradient,) = torch.autograd.grad(loss, output)
        output = output.detach() - 0.02 * gradient.sign()
    assert loss.shape == ()
    assert zero_one(output, CLASSES) == 0


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name: str) -> None:
    assert torch.autograd.gradcheck(lambda output: LOSSES[name](output, CLASSES), (logits().requires_grad_(),))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_computed_in_float32_under_bfloat16(name: str) -> None:
    output = logits().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = LOSSES[name](output, CLASSES)
    torch.testing.assert_close(loss, LOSSES[name](output.float(), CLASSES), rtol=1e-3, atol=0)


def test_one_logit_takes_classes_as_labels() -> None:
    output, y = torch.tensor([[2.0], [-1.0]]), torch.tensor([1, 0])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(output[:, 0], y.float())
    torch.testing.assert_close(LOSSES["binary_cross_entropy"](output, y), expected)
