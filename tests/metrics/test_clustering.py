"""Clustering metrics against brute force, scikit-learn and cases counted by hand."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.stats import entropy
from sklearn import metrics as sk
from torch import Tensor

from etude.data.kinds import Vectors
from etude.errors import InputError
from etude.metrics.clustering import (
    SUPERVISED,
    UNSUPERVISED,
    adjusted_rand_index,
    agreement,
    balance,
    clustered,
    clustering_accuracy,
    contingency,
    evenness,
    majority_purity,
    matched_accuracy,
    matching,
    normalised_mutual_information,
    purity,
    silhouette,
)


class Told:
    """Answers with its input: an example is its own code and its own soft assignment."""

    device = torch.device("cpu")

    def cluster(self, x: Tensor) -> Tensor:
        return x

    def encode(self, x: Tensor) -> Tensor:
        return x


@st.composite
def labels(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Classes and clusters of the same examples, up to six of each and often not as many of the one as of the other."""
    count = draw(st.integers(1, 40))
    classes, clusters = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    y = draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count))
    c = draw(st.lists(st.integers(0, clusters - 1), min_size=count, max_size=count))
    return torch.tensor(y), torch.tensor(c)


@pytest.fixture
def split() -> Vectors:
    generator = torch.Generator().manual_seed(0)
    soft = torch.randn(2500, 4, generator=generator).mul(2).softmax(1)
    return Vectors(soft, torch.randint(3, (2500,), generator=generator), ("a", "b", "c"))


def brute_force(y: Tensor, c: Tensor) -> float:
    """The best of all one-to-one maps from clusters to classes, made up to as many as there are clusters."""
    clusters, places = int(c.max()) + 1, int(max(y.max(), c.max())) + 1
    maps = torch.tensor(list(permutations(range(places), clusters)))
    return float((maps[:, c] == y).double().mean(1).max())


@given(labels())
def test_accuracy_is_that_of_the_best_one_to_one_map(given: tuple[Tensor, Tensor]) -> None:
    y, c = given
    assert matched_accuracy(y, c) == pytest.approx(brute_force(y, c))


@given(labels())
def test_matching_is_one_to_one_and_reaches_the_accuracy(given: tuple[Tensor, Tensor]) -> None:
    y, c = given
    found = matching(y, c)
    taken = found[found >= 0]
    assert len(found) == int(c.max()) + 1
    assert len(taken) == len(taken.unique())
    assert float((found[c] == y).double().mean()) == matched_accuracy(y, c)


@given(labels())
def test_accuracy_is_what_the_course_computes(given: tuple[Tensor, Tensor]) -> None:
    """The formula of course 004: a square table, `w.max() - w` as the cost."""
    y, c = given
    side = int(max(y.max(), c.max())) + 1
    w = np.zeros((side, side), dtype=np.int64)
    for true, found in zip(y.tolist(), c.tolist(), strict=True):
        w[found, true] += 1
    chosen = zip(*linear_sum_assignment(w.max() - w), strict=True)
    assert matched_accuracy(y, c) == pytest.approx(sum(w[i, j] for i, j in chosen) / len(y))


@given(labels(), st.permutations(range(6)), st.permutations(range(6)))
def test_names_of_classes_and_clusters_do_not_matter(
    given: tuple[Tensor, Tensor], classes: list[int], clusters: list[int]
) -> None:
    y, c = given
    renamed = torch.tensor(classes)[y], torch.tensor(clusters)[c]
    assert agreement(*renamed) == pytest.approx(agreement(y, c), abs=1e-9)
    assert evenness(renamed[1], 6) == pytest.approx(evenness(c, 6))


@given(labels())
def test_purity_is_never_below_the_accuracy(given: tuple[Tensor, Tensor]) -> None:
    y, c = given
    assert majority_purity(y, c) >= matched_accuracy(y, c)


@given(labels())
def test_contingency_agrees_with_scikit_learn(given: tuple[Tensor, Tensor]) -> None:
    y, c = given
    seen = contingency(y, c)[y.unique()][:, c.unique()]
    assert seen.tolist() == sk.cluster.contingency_matrix(y, c).tolist()


def test_cases_counted_by_hand() -> None:
    y, c = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([1, 1, 0, 0, 0, 0])
    assert contingency(y, c).tolist() == [[1, 2], [2, 0], [1, 0]]
    assert matching(y, c).tolist() == [1, 0]
    assert matched_accuracy(y, c) == pytest.approx(4 / 6)
    assert majority_purity(y, c) == pytest.approx(4 / 6)


def test_too_many_clusters_count_as_wrong_but_stay_pure() -> None:
    y, c = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 0, 2, 3, 3, 1])
    assert matching(y, c).tolist() == [0, -1, -1, 1]
    assert matched_accuracy(y, c) == pytest.approx(4 / 6)
    assert majority_purity(y, c) == 1


def test_accuracy_is_no_majority_vote() -> None:
    y, c = torch.tensor([0, 0, 0, 0, 1]), torch.tensor([0, 0, 1, 1, 1])
    assert matched_accuracy(y, c) == pytest.approx(3 / 5)
    assert majority_purity(y, c) == pytest.approx(4 / 5)


def test_perfect_clusters() -> None:
    y = torch.arange(5).repeat(4)
    assert agreement(y, (y + 2) % 5) == pytest.approx(dict.fromkeys(agreement(y, y), 1))
    assert evenness(y, 5) == pytest.approx(1)


def test_chance_has_no_adjusted_rand_index() -> None:
    generator = torch.Generator().manual_seed(0)
    y, c = torch.randint(10, (2, 5000), generator=generator)
    assert agreement(y, c)["adjusted_rand_index"] == pytest.approx(0, abs=2e-3)


def test_evenness_is_the_normalised_entropy() -> None:
    c = torch.tensor([0] * 5 + [1] * 3 + [3] * 2)
    assert evenness(c, 4) == pytest.approx(entropy([5, 3, 2]) / np.log(4))
    assert evenness(c * 0, 4) == 0
    assert evenness(c * 0, 1) == 1


def test_metrics_agree_with_the_functions_of_labels(split: Vectors) -> None:
    soft, y = clustered(Told(), split)
    assert y is not None
    c = soft.argmax(1)
    assert torch.equal(soft, split.x)
    assert {metric.__name__: metric(Told(), split) for metric in SUPERVISED} == pytest.approx(agreement(y, c))
    assert clustering_accuracy(Told(), split) == matched_accuracy(y, c)
    assert purity(Told(), split) == majority_purity(y, c)
    assert adjusted_rand_index(Told(), split) == pytest.approx(sk.adjusted_rand_score(y, c))
    assert normalised_mutual_information(Told(), split) == pytest.approx(
        sk.mutual_info_score(y, c) / ((entropy(np.bincount(y)) + entropy(np.bincount(c))) / 2)
    )
    assert balance(Told(), split) == evenness(c, 4)


def test_silhouette_of_few_and_of_many_examples(split: Vectors) -> None:
    few = split[:2000]
    assert silhouette(Told(), few) == pytest.approx(sk.silhouette_score(few.x.double(), few.x.argmax(1)))
    whole = sk.silhouette_score(split.x.double(), split.x.argmax(1))
    assert silhouette(Told(), split) == pytest.approx(whole, abs=0.02)
    assert silhouette(Told(), split) == silhouette(Told(), split)


@pytest.mark.parametrize("x", [torch.eye(3), torch.tensor([[0.9, 0.1], [0.6, 0.4]])])
def test_silhouette_of_one_cluster_or_of_single_examples_is_zero(x: Tensor) -> None:
    assert silhouette(Told(), Vectors(x)) == 0


@pytest.mark.parametrize("y", [None, torch.zeros(3, 1)])
def test_without_classes_is_one_line(y: Tensor | None) -> None:
    split = Vectors(torch.rand(3, 2), y)
    for metric in SUPERVISED:
        with pytest.raises(InputError, match="no classes"):
            metric(Told(), split)
    for unsupervised in UNSUPERVISED:
        assert -1 <= unsupervised(Told(), split) <= 1
