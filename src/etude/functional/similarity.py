"""Structural similarity of images.

Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from etude.errors import InputError

WINDOW, SIGMA = 11, 1.5  # section III-C


def ssim(x: Float[Tensor, "n c h w"], y: Float[Tensor, "n c h w"], span: float = 1.0) -> Float[Tensor, " n"]:
    """Mean structural similarity of each pair of images, in [-1, 1]; 1 where they are equal (equations 13 to 17).

    Means, variances and covariance are taken under a Gaussian window, wherever it lies within the image, and not beyond
    its edges as torchmetrics does. `1 - ssim(x, y)` serves as a loss.

    Args:
        x: images, at least 11 pixels high and wide.
        y: images to compare them with.
        span: L, the difference between the largest and the smallest value that a pixel can have.

    Raises:
        InputError: the images are smaller than the window.
    """
    channels, height, width = x.shape[1:]
    if min(height, width) < WINDOW:
        smallest = f"{WINDOW} x {WINDOW}"
        raise InputError(
            f"structural similarity needs {smallest} pixels or more, got {height} x {width}: enlarge the images"
        )
    at = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    weights = torch.softmax(-0.5 * (at / SIGMA).square(), 0)
    rows = weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    columns = rows.mT

    def mean(image: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(image, rows, groups=channels), columns, groups=channels)

    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity = similarity / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    return similarity.mean(dim=(1, 2, 3))
