"""Baselines on shapes whose clusters are known."""

from typing import Protocol

import pytest
import torch
from sklearn.datasets import make_blobs, make_moons
from torch import Tensor

from etude.errors import InputError
from etude.metrics.baselines import SPECTRAL_EXAMPLES, kmeans, spectral
from etude.metrics.clustering import matched_accuracy


class Method(Protocol):
    def __call__(self, x: Tensor, clusters: int, seed: int = 0) -> Tensor: ...


@pytest.fixture
def moons() -> tuple[Tensor, Tensor]:
    x, y = make_moons(600, noise=0.05, random_state=0)
    return torch.from_numpy(x), torch.from_numpy(y)


@pytest.mark.parametrize("method", [kmeans, spectral])
def test_well_separated_blobs_are_found(method: Method) -> None:
    x, y = make_blobs(300, 3, centers=[[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10]], random_state=0)
    assert matched_accuracy(torch.from_numpy(y), method(torch.from_numpy(x).float(), 4)) == 1


def test_only_spectral_clustering_tells_moons_apart(moons: tuple[Tensor, Tensor]) -> None:
    x, y = moons
    assert matched_accuracy(y, spectral(x, 2)) > 0.98
    assert matched_accuracy(y, kmeans(x, 2)) < 0.9


def test_kmeans_leaves_every_example_at_its_nearest_mean(moons: tuple[Tensor, Tensor]) -> None:
    x, _ = moons
    found = kmeans(x, 5)
    means = torch.stack([x[found == k].mean(0) for k in range(5)])
    assert float((torch.cdist(x, means).argmin(1) == found).double().mean()) > 0.99


def test_more_restarts_are_no_worse() -> None:
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def within(found: Tensor) -> float:
        return sum(float((x[found == k] - x[found == k].mean(0)).square().sum()) for k in range(12))

    assert within(kmeans(x, 12, restarts=20)) <= within(kmeans(x, 12, restarts=1)) + 1e-9


@pytest.mark.parametrize("method", [kmeans, spectral])
def test_the_same_seed_gives_the_same_clusters(method: Method, moons: tuple[Tensor, Tensor]) -> None:
    assert torch.equal(method(moons[0], 7, seed=3), method(moons[0], 7, seed=3))


def test_too_many_examples_for_spectral_clustering_is_one_line() -> None:
    with pytest.raises(InputError, match="give at most 10000"):
        spectral(torch.zeros(SPECTRAL_EXAMPLES + 1, 2), 2)


@pytest.mark.parametrize("method", [kmeans, spectral])
def test_fewer_examples_than_clusters_is_one_line(method: Method) -> None:
    with pytest.raises(InputError, match="ask for at most 3"):
        method(torch.rand(3, 2), 4)
