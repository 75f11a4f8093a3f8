"""Curves that states draw over time: Raghu et al., "On the expressive power of deep neural networks", 2017."""

import torch
from jaxtyping import Float
from torch import Tensor


def trajectory_length(points: Float[Tensor, "T d"]) -> Float[Tensor, ""]:
    """Length of the curve through points in their order, in the units of the points (section 2.1)."""
    steps: Tensor = torch.linalg.vector_norm(points.diff(dim=0), dim=1)
    return steps.sum()


def principal_plane(x: Float[Tensor, "T d"]) -> Float[Tensor, "T 2"]:
    """Coordinates in the plane through the mean in which the points spread the most: their first two principal
    components, up to sign; d is at least 2."""
    centred = x - x.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    plane: Tensor = centred @ directions[:2].T
    return plane
