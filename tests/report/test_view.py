import numpy as np
import torch
from sklearn.decomposition import PCA

from etude.report.view import principal_plane


def test_the_principal_plane_is_scikit_learns_up_to_signs() -> None:
    codes = torch.randn(40, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 3.0, 0.5, 2.0, 1.5]) + 4
    points, share = principal_plane(codes)
    reference = PCA(2).fit(codes.double().numpy())
    np.testing.assert_allclose(np.abs(points.numpy()), np.abs(reference.transform(codes.double().numpy())), atol=1e-8)
    assert abs(share - reference.explained_variance_ratio_.sum()) < 1e-10


def test_others_are_put_into_the_plane_that_was_fitted() -> None:
    codes = torch.randn(40, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points, share = principal_plane(codes)
    again, same = principal_plane(codes[:3], codes)
    torch.testing.assert_close(again, points[:3])
    assert same == share


def test_two_dimensions_stay_as_they_are() -> None:
    codes = torch.tensor([[1.0, 2.0], [3.0, -4.0]])
    points, share = principal_plane(codes, codes + 1)
    assert points is codes
    assert share == 1


def test_of_wide_codes_the_plane_is_that_of_the_exact_method() -> None:
    generator = torch.Generator().manual_seed(0)
    two = torch.randn(60, 2, generator=generator) * torch.tensor([50.0, 20.0])
    codes = two @ torch.randn(2, 1200, generator=generator) / 35 + torch.randn(60, 1200, generator=generator)
    points, share = principal_plane(codes)
    reference = PCA(2, svd_solver="full").fit(codes.double().numpy())
    np.testing.assert_allclose(np.abs(points.numpy()), np.abs(reference.transform(codes.double().numpy())), atol=1e-3)
    assert abs(share - reference.explained_variance_ratio_.sum()) < 1e-5
