"""Lengths of curves against closed forms, and the plane of most spread against scikit-learn."""

import math

import torch
from sklearn.decomposition import PCA

from etude.functional.trajectories import principal_plane, trajectory_length


def test_length_of_a_circle_and_of_a_line() -> None:
    angle = torch.linspace(0, 2 * math.pi, 10_001, dtype=torch.float64)
    circle = 3 * torch.stack([angle.sin(), angle.cos()], 1)
    assert abs(float(trajectory_length(circle)) - 6 * math.pi) < 1e-5
    line = torch.linspace(0, 1, 7)[:, None] * torch.tensor([3.0, 4.0, 12.0])
    torch.testing.assert_close(trajectory_length(line), torch.tensor(13.0))
    assert trajectory_length(line[:1]) == 0


def test_there_and_back_is_twice_as_long() -> None:
    x = torch.randn(20, 4)
    torch.testing.assert_close(trajectory_length(torch.cat([x, x.flip(0)])), 2 * trajectory_length(x))


def test_plane_is_that_of_principal_component_analysis() -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 6, dtype=torch.float64) * torch.tensor([5.0, 1, 4, 0.1, 0.2, 0.3]) + 7
    expected = torch.from_numpy(PCA(2).fit_transform(x.numpy()))
    torch.testing.assert_close(principal_plane(x).abs(), expected.abs())


def test_a_plane_curve_keeps_its_length() -> None:
    torch.manual_seed(0)
    plane, _ = torch.linalg.qr(torch.randn(9, 2, dtype=torch.float64))
    curve = torch.randn(30, 2, dtype=torch.float64)
    torch.testing.assert_close(trajectory_length(principal_plane(curve @ plane.T)), trajectory_length(curve))
