"""Losses between a network's output and its target, each the mean over examples (course 004, module 0.1).

The output is (n, k): logits of k classes, or k numbers. The target is (n,) int64 classes, or (n, k) floats: numbers to
predict, labels in [0, 1] or probabilities of classes. `LOSSES` has by name those that a network can be trained with;
those of them that compare numbers see classes one-hot encoded.

L1, mean squared error, Huber and smooth L1 are torch's own; huber = delta * smooth_l1 where delta = beta, and both are
1 here. The Kullback-Leibler divergence is in `divergences`, structural similarity in `similarity`.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
Smoothing = Literal["uniform", "off-target"]


def zero_one(output: Float[Tensor, "n k"], target: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """Share of examples whose largest output is not at their class, in [0, 1]; without a gradient."""
    return (output.argmax(-1) != target).to(output.dtype).mean()


def cross_entropy(
    output: Float[Tensor, "n k"],
    target: Int[Tensor, " n"] | Float[Tensor, "n k"],
    smoothing: float = 0.0,
    convention: Smoothing = "uniform",
) -> Float[Tensor, ""]:
    """Categorical cross-entropy in nats: -sum_i y_i log softmax(output)_i.

    Args:
        output: logits.
        target: classes, or their probabilities.
        smoothing: how far the labels are smoothed, in [0, 1]; see `smooth`.
        convention: where the smoothed weight goes; see `smooth`.
    """
    return F.cross_entropy(output, target, label_smoothing=_uniform(smoothing, output.shape[-1], convention))


def binary_cross_entropy(
    output: Float[Tensor, "n k"],
    target: Int[Tensor, " n"] | Float[Tensor, "n k"],
    smoothing: float = 0.0,
    convention: Smoothing = "uniform",
) -> Float[Tensor, ""]:
    """Binary cross-entropy in nats, the mean over k labels that do not exclude each other (multi-label) or one label.

    Args:
        output: the logit of each label.
        target: labels in [0, 1].
        smoothing: how far each label is smoothed, as one of two classes, in [0, 1]; see `smooth`.
        convention: where the smoothed weight goes; see `smooth`.
    """
    labels = smooth(_numbers(output, target), smoothing, convention, classes=2)
    return F.binary_cross_entropy_with_logits(output, labels)


def smooth(
    labels: Float[Tensor, "*shape"], smoothing: float, convention: Smoothing, classes: int
) -> Float[Tensor, "*shape"]:
    """Labels in [0, 1], moved away from certainty.

    `uniform` mixes in the same share of all classes: smoothing / N for each (Szegedy et al. 2016, section 7).
    `off-target` takes from the true class and gives to the others: 1 - smoothing and smoothing / (N - 1)
    (course 000, equations 16 and 17).

    Args:
        labels: 1 for the true class, 0 for others.
        smoothing: weight moved, in [0, 1].
        convention: where it goes.
        classes: N, in [2, inf).
    """
    weight = _uniform(smoothing, classes, convention)
    return labels * (1 - weight) + weight / classes


def _uniform(smoothing: float, classes: int, convention: Smoothing) -> float:
    """The weight to mix in evenly: off-target smoothing is uniform smoothing by N / (N - 1) as much."""
    return smoothing if convention == "uniform" else smoothing * classes / (classes - 1)


def hinge(output: Float[Tensor, "n k"], target: Int[Tensor, " n"] | Float[Tensor, "n k"]) -> Float[Tensor, ""]:
    """Hinge loss with margin 1.

    Labels -1 and 1: the mean of max(0, 1 - y output) (Cortes and Vapnik 1995). Classes: 1/k of the sum over the other
    classes i of max(0, 1 - output_class + output_i) (Weston and Watkins 1999).
    """
    if target.is_floating_point():
        return F.relu(1 - target * output).mean()
    return F.multi_margin_loss(output, target)


def charbonnier(
    output: Float[Tensor, "n k"], target: Int[Tensor, " n"] | Float[Tensor, "n k"], epsilon: float = 1e-3
) -> Float[Tensor, ""]:
    """Mean of sqrt((output - target)^2 + epsilon^2): L1, smooth within epsilon of 0.

    Charbonnier et al. 1994; epsilon from Lai et al. 2017, section 3.3.
    """
    return ((output - _numbers(output, target)).square() + epsilon**2).sqrt().mean()


def cosine_distance(
    output: Float[Tensor, "n k"], target: Int[Tensor, " n"] | Float[Tensor, "n k"]
) -> Float[Tensor, ""]:
    """Mean of 1 - cos(angle between output and target), in [0, 2]."""
    return 1 - F.cosine_similarity(output, _numbers(output, target), dim=-1).mean()


def _numbers(output: Tensor, target: Tensor) -> Tensor:
    """The target as numbers: classes one-hot encoded, for a single output 0 or 1; numbers as they are."""
    if target.is_floating_point():
        return target
    if output.shape[-1] == 1:
        return target[:, None].to(output.dtype)
    return F.one_hot(target, output.shape[-1]).to(torch.promote_types(output.dtype, torch.float32))


def _regression(loss: Loss) -> Loss:
    """A loss between numbers, for class targets too."""
    return lambda output, target: loss(output, _numbers(output, target))


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "hinge": hinge,
    "mse": _regression(F.mse_loss),
    "l1": _regression(F.l1_loss),
    "huber": _regression(F.huber_loss),
    "smooth_l1": _regression(F.smooth_l1_loss),
    "charbonnier": charbonnier,
    "cosine": cosine_distance,
}
