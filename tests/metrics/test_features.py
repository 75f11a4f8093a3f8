"""Scores over features against SciPy, scikit-learn, all pairs in loops, and what they are for normal distributions."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.stats import entropy
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from etude.errors import InputError
from etude.metrics.features import (
    fid,
    fid_at_infinity,
    frechet_distance,
    inception_score,
    kid,
    moments,
    precision,
    recall,
    squared_mmd,
)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_scipy(x: Tensor, y: Tensor) -> float:
    """The distance with the matrix root itself, of which rounding makes a complex one."""
    p, q = np.cov(x.double().numpy(), rowvar=False), np.cov(y.double().numpy(), rowvar=False)
    apart = x.double().mean(0) - y.double().mean(0)
    return float(apart.square().sum() + np.trace(p + q - 2 * sqrtm(p @ q).real))


@pytest.mark.parametrize("count", [200, 5])
def test_fid_agrees_with_the_matrix_root(count: int) -> None:
    """Five examples of eight features have a covariance of rank four."""
    x, y = draw(count, 8), 1 + draw(count, 8, seed=1) @ draw(8, 8, seed=2)
    assert fid(x, y) == pytest.approx(by_scipy(x, y), rel=1e-5)
    assert fid(x, y) == pytest.approx(fid(y, x), rel=1e-6)
    assert fid(x, x) == pytest.approx(0, abs=1e-5)


def test_frechet_distance_in_closed_form() -> None:
    """Of N(mean, diag s^2) and N(mean', diag t^2): |mean - mean'|^2 + |s - t|^2, in any basis."""
    s, t, apart = draw(3, 6).double().abs().unbind()
    basis, _ = torch.linalg.qr(draw(6, 6).double())
    p, q = (basis @ torch.diag(each**2) @ basis.T for each in (s, t))
    found = frechet_distance(basis @ apart, p, torch.zeros(6).double(), q)
    torch.testing.assert_close(found, apart.square().sum() + (s - t).square().sum())


def test_moments_are_unbiased() -> None:
    x = draw(10, 3)
    mean, covariance = moments(x)
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(covariance, np.cov(x.numpy(), rowvar=False, ddof=1), rtol=1e-5)
    assert fid(x[:, :1], 1 + 2 * x[:, :1]) == pytest.approx(float((1 + x[:, 0]).mean() ** 2 + x[:, 0].var()), rel=1e-5)


def test_fid_falls_with_the_number_of_examples_and_the_extrapolation_does_not() -> None:
    """Two draws of one distribution: the truth is 0 but for the number of real examples, which is large here."""
    torch.manual_seed(0)
    real, generated = torch.randn(100_000, 8), torch.randn(400, 8)
    few, more = fid(real, generated[:100]), fid(real, generated)
    assert few > 2 * more
    assert abs(fid_at_infinity(real, generated)) < more / 3


def test_extrapolation_is_the_line_through_two_sizes() -> None:
    real, generated = draw(50, 2), 1 + draw(40, 2, seed=1)
    torch.manual_seed(0)
    a, b = (fid(real, generated[torch.randperm(40)[:size]]) for size in (20, 40))
    torch.manual_seed(0)
    assert fid_at_infinity(real, generated, (20, 40)) == pytest.approx(b - (a - b), rel=1e-9)


def test_kid_agrees_with_all_pairs() -> None:
    x, y = draw(6, 4).double(), 1 + draw(5, 4, seed=1).double()
    xx, yy, xy = (polynomial_kernel(a, b, degree=3, gamma=1 / 4, coef0=1) for a, b in ((x, x), (y, y), (x, y)))
    apart = [[k[i, j] for i in range(len(k)) for j in range(len(k)) if i != j] for k in (xx, yy)]
    expected = np.mean(apart[0]) + np.mean(apart[1]) - 2 * xy.mean()
    assert squared_mmd(x, y).item() == pytest.approx(expected)
    assert kid(x, y[torch.tensor([0, 1, 2, 3, 4, 4])], subsets=3)[1] == pytest.approx(0), "every draw takes all"
    assert kid(x[:5], y, subsets=3)[0] == pytest.approx(squared_mmd(x[:5], y).item())


def test_kid_is_unbiased() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(2000, 3), torch.randn(2000, 3)
    mean, deviation = kid(x, y, subsets=200, size=20)
    assert abs(mean) < 3 * deviation / math.sqrt(200)
    assert kid(x, 0.5 + y, subsets=50, size=100)[0] > 0.3


def test_inception_score_of_known_answers() -> None:
    certain = torch.eye(5).repeat(20, 1)
    assert inception_score(certain, 4) == pytest.approx((5, 0))
    assert inception_score(certain[:1].repeat(20, 1), 1) == pytest.approx((1, 0))
    assert inception_score(torch.full((20, 5), 0.2), 1) == pytest.approx((1, 0))


@pytest.mark.parametrize("splits", [1, 10])
def test_inception_score_agrees_with_scipy(splits: int) -> None:
    p = draw(101, 4).softmax(1)
    parts = np.array_split(p.double().numpy(), splits)
    scores = [math.exp(np.mean([entropy(row, part.mean(0)) for row in part])) for part in parts]
    assert inception_score(p, splits) == pytest.approx((np.mean(scores), np.std(scores)), rel=1e-6)


@pytest.mark.parametrize("neighbours", [1, 3])
def test_precision_and_recall_agree_with_scikit_learn(neighbours: int) -> None:
    real, generated = draw(1200, 3), 0.5 + 0.5 * draw(150, 3, seed=1)

    def among(x: Tensor, centres: Tensor) -> float:
        radii = NearestNeighbors(n_neighbors=neighbours).fit(centres).kneighbors()[0][:, -1]
        return float((cdist(x, centres) <= radii).any(1).mean())

    assert precision(real, generated, neighbours) == among(generated, real)
    assert recall(real, generated, neighbours) == among(real, generated)
    assert 0 < recall(real, generated, neighbours) < precision(real, generated, neighbours) < 1


def test_a_collapsed_generator_has_precision_and_no_recall() -> None:
    real = torch.cat([draw(100, 2), 100 + draw(100, 2)])
    collapsed = 0.5 * draw(100, 2, seed=1)
    assert precision(real, collapsed) > 0.95
    assert recall(real, collapsed) <= 0.5
    assert precision(real, real) == recall(real, real) == 1
    assert recall(real, torch.zeros(50, 2)) == 0


def test_too_few_examples_are_told() -> None:
    x = draw(10, 8)
    with pytest.raises(InputError, match="10 examples of 8 features are too few to extrapolate: give 17 or more"):
        fid_at_infinity(x, x)
    with pytest.raises(InputError, match="1 examples have no covariance"):
        fid(x, x[:1])
    with pytest.raises(InputError, match="3 examples have no 3 neighbours"):
        precision(x[:3], x)
    with pytest.raises(InputError, match="11 parts of 10 examples"):
        inception_score(x.softmax(1), 11)
