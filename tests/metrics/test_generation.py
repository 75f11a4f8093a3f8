"""Generation metrics against scikit-learn, SciPy and known answers."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from sklearn.neighbors import KernelDensity
from torch import Tensor

from etude.data import toy
from etude.data.kinds import Images, Vectors
from etude.metrics.generation import mode_coverage, modes, nearest_examples, parzen, parzen_log_likelihood


class Normal:
    """Samples of N(0, scale^2 I) in the plane."""

    device = torch.device("cpu")

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def sample(self, count: int) -> Tensor:
        return self.scale * torch.randn(count, 2)


def test_parzen_agrees_with_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    samples, x = (torch.randn(n, 5, generator=generator) for n in (200, 30))
    widths = torch.tensor([0.3, 1.0])
    ours = parzen(samples, x, widths)
    for width, row in zip(widths.tolist(), ours, strict=True):
        theirs = KernelDensity(bandwidth=width).fit(samples.numpy()).score_samples(x.numpy())
        np.testing.assert_allclose(row.numpy(), theirs, rtol=1e-5)


def test_parzen_log_likelihood_of_a_normal_distribution_is_its_entropy() -> None:
    torch.manual_seed(0)
    split = Vectors(torch.randn(1000, 2))
    right, wrong = (parzen_log_likelihood(Normal(scale), split, 4000) for scale in (1.0, 3.0))
    assert right == pytest.approx(-(1 + math.log(2 * math.pi)), abs=0.1)
    assert wrong < right - 0.2


def test_mode_coverage_of_the_grid() -> None:
    centres, x = toy.modes("gaussians25"), toy.gaussians25().train
    assert isinstance(x, Vectors)
    covered, quality = mode_coverage(x.x, centres, 0.05)
    assert covered == 25
    assert quality == pytest.approx(1 - math.exp(-8), abs=2e-3)  # four deviations of a normal distribution in the plane


def test_mode_coverage_counts_modes_that_good_samples_reach() -> None:
    centres = torch.tensor([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]])
    samples = torch.tensor([[0.0, 0.1], [0.0, -0.1], [2.5, 0.0], [4.0, 0.19]])
    assert mode_coverage(samples, centres, 0.05) == (2, 0.75)


@pytest.mark.parametrize(("name", "every"), [("gaussians25", 25), ("ring8", 8)])
def test_modes_of_the_toy_data_themselves(name: str, every: int) -> None:
    train: Vectors = getattr(toy, name)().train

    class Again:
        device = torch.device("cpu")

        def sample(self, count: int) -> Tensor:
            return train[:count].x

    class Shrunk(Again):
        def sample(self, count: int) -> Tensor:
            return super().sample(count) * 0.99

    covered, quality = modes(Again(), name)
    assert covered == every
    assert quality == pytest.approx(1 - math.exp(-8), abs=2e-3)
    assert modes(Shrunk(), name)[1] < quality


def test_nearest_examples_agree_with_a_tree() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (2300, 1, 3, 3), generator=generator, dtype=torch.uint8)
    samples = torch.rand(40, 9, generator=generator)
    distances, places = nearest_examples(samples, Images(x))
    theirs = cKDTree(x.flatten(1).numpy() / 255).query(samples.numpy())
    np.testing.assert_allclose(distances.numpy(), theirs[0], rtol=1e-5)
    np.testing.assert_array_equal(places.numpy(), theirs[1])


def test_nearest_example_to_a_copy_is_at_distance_zero() -> None:
    x = torch.rand(1500, 4)
    distances, places = nearest_examples(x[1200:1300], Vectors(x))
    assert distances.max() == 0
    assert places.tolist() == list(range(1200, 1300))
