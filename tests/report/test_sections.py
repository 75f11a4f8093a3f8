import numpy as np
import torch
from sklearn.decomposition import PCA

from etude.report.sections import principal_plane, shown


def test_the_principal_plane_is_scikit_learns_up_to_signs() -> None:
    codes = torch.randn(40, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 3.0, 0.5, 2.0, 1.5]) + 4
    points, share = principal_plane(codes)
    reference = PCA(2).fit(codes.double().numpy())
    np.testing.assert_allclose(np.abs(points.numpy()), np.abs(reference.transform(codes.double().numpy())), atol=1e-8)
    assert abs(share - reference.explained_variance_ratio_.sum()) < 1e-10


def test_two_dimensions_stay_as_they_are() -> None:
    codes = torch.tensor([[1.0, 2.0], [3.0, -4.0]])
    points, share = principal_plane(codes)
    assert points is codes
    assert share == 1


def test_values_are_shown_as_the_command_line_takes_them() -> None:
    assert shown((500, 250)) == "500 250"
    assert shown(0.5) == "0.5"
