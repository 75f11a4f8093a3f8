"""The number of clusters of data that were drawn with a known one."""

import math

import pytest
import torch
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score
from torch import Tensor

from etude.errors import InputError
from etude.metrics import cluster_count
from etude.metrics.cluster_count import Count, estimate


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer samples of each sort than in earnest, to be quick."""
    monkeypatch.setattr(cluster_count, "DRAWS", 3)
    monkeypatch.setattr(cluster_count, "REFERENCES", 5)
    monkeypatch.setattr(cluster_count, "HALVINGS", 1)


def balls(clusters: int) -> tuple[Tensor, Tensor]:
    """25 examples a cluster, normal with standard deviation 1 around the corners of a regular polygon of side 15."""
    y = torch.arange(clusters).repeat_interleave(25)
    angle = y * 2 * math.pi / clusters
    centres = 7.5 / math.sin(math.pi / clusters) * torch.stack([angle.cos(), angle.sin()], 1)
    return centres + torch.randn(len(y), 2, generator=torch.Generator().manual_seed(0)), y


@pytest.mark.parametrize("clusters", [2, 5, 8])
def test_clusters_that_lie_apart_are_counted_for_sure(clusters: int) -> None:
    x, y = balls(clusters)
    found = estimate(x, clusters + 1)
    assert found.best == clusters
    assert found.sureness == "sure"
    at = {criterion: curve[clusters - 1] for criterion, curve in found.curves.items()}
    assert at["silhouette"] == pytest.approx(silhouette_score(x, y), abs=0.02)
    assert at["Davies-Bouldin"] == pytest.approx(davies_bouldin_score(x, y), abs=0.02)
    assert at["Calinski-Harabasz"] / len(y) == pytest.approx(calinski_harabasz_score(x, y) / len(y), rel=0.3)
    assert at["stability"] == 1


def test_one_ball_is_one_cluster_or_unsure() -> None:
    found = estimate(torch.randn(150, 3, generator=torch.Generator().manual_seed(0)), 6)
    assert found.best == 1 or found.sureness != "sure"
    assert found.by_criterion["gap"] == 1
    assert found.by_criterion["BIC"] == 1


def test_uniform_noise_has_no_clusters_or_leaves_it_unsure() -> None:
    found = estimate(torch.rand(150, 3, generator=torch.Generator().manual_seed(0)), 6)
    assert found.best == 1 or found.sureness.startswith("unsure")


def test_units_and_origin_do_not_matter_and_the_seed_settles_the_rest() -> None:
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0)).double().exp()
    assert estimate(1024 * x - 512, 4).votes == estimate(x, 4).votes


def test_votes_are_counted_over_criteria_and_subsamples() -> None:
    votes = {"silhouette": [4, 4, 5], "gap": [4, 4, 4], "BIC": [4, 3, 9]}
    found = Count(votes, {})
    assert found.by_criterion == {"silhouette": 4, "gap": 4, "BIC": 4}
    assert found.best == 4
    assert found.share == pytest.approx(6 / 9)
    assert found.near == pytest.approx(8 / 9)
    assert found.sureness == "fairly sure"
    assert found.lines() == [
        "silhouette           4   on subsamples: 4 4 5",
        "gap                  4   on subsamples: 4 4 4",
        "BIC                  4   on subsamples: 4 3 9",
        "4 clusters: 67% of the votes, 89% with its neighbours; fairly sure",
    ]


def test_scattered_votes_are_unsure_and_say_from_where_to_where() -> None:
    found = Count({"silhouette": [12, 12, 12], "gap": [4, 4, 6], "BIC": [9, 8, 10]}, {})
    assert found.sureness == "unsure: the criteria disagree (4 to 12)"


def test_criteria_that_agree_on_average_can_still_be_unsure() -> None:
    found = Count({"gap": [2, 4, 9], "BIC": [2, 4, 8]}, {})
    assert found.sureness == "unsure: the subsamples disagree (2 to 9)"


def test_one_cluster_is_no_neighbour_of_two() -> None:
    found = Count({"gap": [1, 1, 1, 1], "BIC": [2, 2, 2, 1]}, {})
    assert (found.best, found.share, found.near) == (1, 5 / 8, 5 / 8)
    assert found.lines()[-1].startswith("1 cluster: ")


def test_neighbours_decide_among_equals() -> None:
    assert Count({"gap": [2, 2, 12], "BIC": [13, 13, 14]}, {}).best == 13


def test_too_few_different_examples_is_one_line() -> None:
    with pytest.raises(InputError, match=r"4 different examples .* give at least 15"):
        estimate(torch.eye(4).repeat(100, 1), 3)
