"""Clustering terms against their equations in plain Python, scikit-learn, SciPy, torch and closed forms."""

import math
from collections.abc import Callable

import pytest
import scipy.spatial.distance
import scipy.stats
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.distributions import MultivariateNormal

from etude.errors import InputError
from etude.functional.clustering import (
    Schedule,
    augmentation_loss,
    balance_loss,
    hardened,
    hardening_loss,
    kmeans_loss,
    locality_loss,
    mixing_weight,
    nearest_neighbours,
    shares,
    soft_assignment,
    squared_distances,
    zipf,
)

FEW = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)
degrees = st.floats(0.1, 100)
sizes = st.lists(st.floats(0.01, 1000), min_size=1, max_size=8)


def drawn(seed: int, *shapes: tuple[int, ...], scale: float = 2.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(shape, dtype=torch.float64, generator=generator) for shape in shapes]


def entropy(p: Tensor) -> Tensor:
    return torch.as_tensor(scipy.stats.entropy(p.numpy(), axis=1))


@FEW
@given(seeds)
def test_squared_distances_agree_with_scipy(seed: int) -> None:
    z, centroids = drawn(seed, (7, 4), (3, 4))
    expected = torch.as_tensor(scipy.spatial.distance.cdist(z, centroids, "sqeuclidean"))
    torch.testing.assert_close(squared_distances(z, centroids), expected)


def test_squared_distances_far_from_the_origin_are_as_precise_as_close_to_it() -> None:
    z, centroids = (1000 + x.float() for x in drawn(0, (50, 10), (5, 10)))
    expected = squared_distances(z.double(), centroids.double()).float()
    torch.testing.assert_close(squared_distances(z, centroids), expected, rtol=1e-5, atol=1e-4)


def test_a_code_at_a_centroid_is_at_distance_0_and_has_a_gradient() -> None:
    """By rounding the sum falls below 0 for some of the rows; their second derivative remains that of a square."""
    (z,) = drawn(1, (100, 5), scale=7.3)
    z = z.float()
    distances = squared_distances(z, z).diagonal()
    assert (distances >= 0).all()
    torch.testing.assert_close(distances, torch.zeros(100), rtol=0, atol=1e-3)
    at = z.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(squared_distances(at, z).diagonal().sum(), at, create_graph=True)
    torch.testing.assert_close(gradient, torch.zeros_like(z), rtol=0, atol=1e-4)
    (second,) = torch.autograd.grad(gradient.sum(), at)
    torch.testing.assert_close(second, torch.full_like(z, 2))


@FEW
@given(seeds, degrees)
def test_soft_assignment_is_equation_1(seed: int, nu: float) -> None:
    z, centroids = drawn(seed, (5, 3), (4, 3))
    q = soft_assignment(z, centroids, nu)
    torch.testing.assert_close(q.sum(1), torch.ones(5, dtype=torch.float64))
    for i in range(5):
        kernel = [(1 + math.dist(z[i], mu) ** 2 / nu) ** (-(nu + 1) / 2) for mu in centroids.tolist()]
        assert q[i].tolist() == pytest.approx([value / sum(kernel) for value in kernel])


def test_soft_assignment_of_many_degrees_of_freedom_is_a_mixture_of_unit_gaussians() -> None:
    z, centroids = drawn(2, (6, 3), (4, 3), scale=1.0)
    likelihoods = MultivariateNormal(centroids, torch.eye(3, dtype=torch.float64)).log_prob(z.unsqueeze(1)).exp()
    expected = likelihoods / likelihoods.sum(1, keepdim=True)
    torch.testing.assert_close(soft_assignment(z, centroids, 1e9), expected, rtol=1e-6, atol=1e-9)


def test_soft_assignment_of_very_distant_codes_is_finite() -> None:
    z = torch.tensor([[1e15, 0.0], [0.0, 0.0]], requires_grad=True)
    q = soft_assignment(z, torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    torch.testing.assert_close(q.sum(1), torch.ones(2))
    hardening_loss(q, hardened(q).detach()).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


@FEW
@given(seeds, degrees)
def test_soft_assignment_ignores_rotations_and_translations(seed: int, nu: float) -> None:
    z, centroids, by, square = drawn(seed, (5, 3), (4, 3), (1, 3), (3, 3))
    rotation = torch.linalg.qr(square).Q
    moved = soft_assignment(z @ rotation + by, centroids @ rotation + by, nu)
    torch.testing.assert_close(moved, soft_assignment(z, centroids, nu))


@FEW
@given(seeds, st.permutations(range(4)))
def test_clusters_may_change_names(seed: int, order: list[int]) -> None:
    z, centroids = drawn(seed, (6, 3), (4, 3))
    q, renamed = soft_assignment(z, centroids), soft_assignment(z, centroids[order])
    torch.testing.assert_close(renamed, q[:, order])
    torch.testing.assert_close(hardened(renamed), hardened(q)[:, order])
    torch.testing.assert_close(hardening_loss(renamed, hardened(renamed)), hardening_loss(q, hardened(q)))
    torch.testing.assert_close(kmeans_loss(z, centroids[order]), kmeans_loss(z, centroids))
    torch.testing.assert_close(balance_loss(renamed, zipf(4)), balance_loss(q, zipf(4)))


def equation_3(q: list[list[float]]) -> list[list[float]]:
    targets = []
    for row in q:
        weights = [row[j] ** 2 / sum(other[j] for other in q) for j in range(len(row))]
        targets.append([weight / sum(weights) for weight in weights])
    return targets


@FEW
@given(seeds)
def test_targets_are_equation_3(seed: int) -> None:
    (logits,) = drawn(seed, (7, 4))
    q = logits.softmax(1)
    torch.testing.assert_close(hardened(q), torch.tensor(equation_3(q.tolist()), dtype=torch.float64))
    torch.testing.assert_close(hardened(q).sum(1), torch.ones(7, dtype=torch.float64))


def test_targets_come_from_all_the_examples() -> None:
    """The frequencies of a part are others than those of the whole, and so are the targets."""
    (logits,) = drawn(3, (8, 3))
    q = logits.softmax(1)
    assert not torch.allclose(hardened(q)[:4], hardened(q[:4]), atol=1e-3)


def test_a_cluster_without_mass_stays_without() -> None:
    q = torch.tensor([[0.25, 0.75, 0.0], [0.75, 0.25, 0.0]], requires_grad=True)
    p = hardened(q)
    torch.testing.assert_close(p, torch.tensor([[0.1, 0.9, 0.0], [0.9, 0.1, 0.0]]))
    p.square().sum().backward()
    assert q.grad is not None
    assert q.grad.isfinite().all()


def test_clusters_with_next_to_no_mass_have_targets() -> None:
    """A square of 1e-30 is 0 in float32."""
    q = torch.tensor([[1.0, 1e-30], [1.0, 3e-30]])
    torch.testing.assert_close(hardened(q)[:, 1], torch.tensor([0.5e-30, 4.5e-30]), rtol=1e-5, atol=0)


@FEW
@given(seeds)
def test_targets_are_less_uncertain_where_clusters_are_equally_frequent(seed: int) -> None:
    """Every cyclic shift of each row is a row too: frequencies are equal."""
    (logits,) = drawn(seed, (3, 4))
    q = torch.cat([logits.softmax(1).roll(shift, 1) for shift in range(4)])
    assert (entropy(hardened(q)) < entropy(q)).all()
    assert (hardened(q).argmax(1) == q.argmax(1)).all()


@FEW
@given(seeds)
def test_hardening_loss_agrees_with_torch(seed: int) -> None:
    logits, others = drawn(seed, (6, 4), (6, 4))
    q, p = logits.softmax(1), others.softmax(1)
    torch.testing.assert_close(hardening_loss(q, p), F.kl_div(q.log(), p, reduction="batchmean"))
    assert hardening_loss(q, p) > 0
    torch.testing.assert_close(hardening_loss(q, q), torch.zeros((), dtype=torch.float64))


@FEW
@given(seeds, degrees)
def test_gradients_are_equations_4_and_5(seed: int, nu: float) -> None:
    """DEC's gradients of the sum over examples, with the paper's alpha for nu; ours is the mean."""
    z, centroids = (x.requires_grad_() for x in drawn(seed, (6, 3), (4, 3)))
    q = soft_assignment(z, centroids, nu)
    p = hardened(q.detach())
    found = torch.autograd.grad(6 * hardening_loss(q, p), (z, centroids))
    apart = z.detach().unsqueeze(1) - centroids.detach()
    weight = (nu + 1) / nu * (p - q.detach()) / (1 + apart.square().sum(2) / nu)
    pulls = weight.unsqueeze(2) * apart
    torch.testing.assert_close(found, (pulls.sum(1), -pulls.sum(0)))


def test_kmeans_loss_is_scikit_learns_inertia() -> None:
    (x,) = drawn(4, (200, 5))
    model = KMeans(6, n_init=2, random_state=0).fit(x)
    centroids, labels = torch.as_tensor(model.cluster_centers_), torch.as_tensor(model.labels_).long()
    assert kmeans_loss(x, centroids).item() == pytest.approx(model.inertia_ / 200)
    assert kmeans_loss(x, centroids, labels).item() == pytest.approx(model.inertia_ / 200)


@FEW
@given(seeds)
def test_no_assignment_costs_less_than_the_nearest(seed: int) -> None:
    z, centroids, any_order = drawn(seed, (20, 3), (4, 3), (20, 4))
    assert kmeans_loss(z, centroids) <= kmeans_loss(z, centroids, any_order.argmax(1)) + 1e-12


def test_kmeans_loss_is_continuous_where_the_nearest_changes_and_its_gradient_is_not() -> None:
    centroids = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    before, after = (torch.tensor([[at]], dtype=torch.float64, requires_grad=True) for at in (-1e-9, 1e-9))
    torch.testing.assert_close(kmeans_loss(before, centroids), kmeans_loss(after, centroids))
    gradients = [torch.autograd.grad(kmeans_loss(z, centroids), z)[0].item() for z in (before, after)]
    assert gradients == pytest.approx([2, -2])


@FEW
@given(seeds)
def test_balance_loss_agrees_with_scipy(seed: int) -> None:
    logits, wanted = drawn(seed, (9, 5), (1, 5))
    q, target = logits.softmax(1), wanted.softmax(1).squeeze(0)
    frequencies = q.mean(0)
    assert balance_loss(q).item() == pytest.approx(scipy.stats.entropy(frequencies, [1 / 5] * 5))
    ranked = scipy.stats.entropy(frequencies.sort().values, target.sort().values)
    assert balance_loss(q, target).item() == pytest.approx(ranked)


@FEW
@given(st.permutations(range(4)))
def test_matching_sizes_cost_nothing_in_any_order(order: list[int]) -> None:
    q = F.one_hot(torch.tensor([0] * 12 + [1] * 6 + [2] * 4 + [3] * 3)).double()
    torch.testing.assert_close(balance_loss(q[:, order], zipf(4).double()), q.new_zeros(()), rtol=0, atol=1e-7)
    torch.testing.assert_close(balance_loss(q, zipf(4).double()[order]), q.new_zeros(()), rtol=0, atol=1e-7)
    assert balance_loss(q) > 0.1


def test_descending_the_balance_loss_reaches_the_sizes_asked_for() -> None:
    (logits,) = drawn(5, (40, 3), scale=0.1)
    logits.requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        balance_loss(logits.softmax(1), shares([1.0, 6.0, 3.0])).backward()
        optimizer.step()
    found = logits.detach().softmax(1).mean(0).sort().values
    torch.testing.assert_close(found, torch.tensor([0.1, 0.3, 0.6], dtype=torch.float64), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [(1.0, [12 / 25, 6 / 25, 4 / 25, 3 / 25]), (0.0, [1 / 4] * 4), (2.0, [144 / 205, 36 / 205, 16 / 205, 9 / 205])],
)
def test_zipf_in_closed_form(exponent: float, expected: list[float]) -> None:
    torch.testing.assert_close(zipf(4, exponent), torch.tensor(expected))


@FEW
@given(st.integers(2, 50), st.floats(0, 5))
def test_zipf_agrees_with_scipy(clusters: int, exponent: float) -> None:
    expected = scipy.stats.zipfian(exponent, clusters).pmf(range(1, clusters + 1))
    torch.testing.assert_close(zipf(clusters, exponent), torch.as_tensor(expected).float())


@FEW
@given(sizes)
def test_shares_sum_to_1_in_proportion(values: list[float]) -> None:
    torch.testing.assert_close(shares(values).sum(), torch.tensor(1.0))
    torch.testing.assert_close(shares(values) / shares(values).max(), torch.tensor(values) / max(values))


@pytest.mark.parametrize(
    ("values", "came"),
    [
        ([], "no sizes"),
        ([1.0, -2.0], "size of -2"),
        ([0.0], "size of 0"),
        ([1.0, math.inf], "inf"),
        ([math.nan], "nan"),
    ],
)
def test_shares_that_are_no_positive_numbers_are_refused(values: list[float], came: str) -> None:
    with pytest.raises(InputError, match=f"{came}: expected a number in"):
        shares(values)


@FEW
@given(seeds, st.integers(1, 6))
def test_nearest_neighbours_agree_with_scikit_learn(seed: int, k: int) -> None:
    (x,) = drawn(seed, (12, 4))
    neighbours, similarity = nearest_neighbours(x, k)
    distances, expected = NearestNeighbors(n_neighbors=k).fit(x).kneighbors()
    assert neighbours.tolist() == expected.tolist()
    torch.testing.assert_close(similarity, torch.as_tensor(distances**2 / (-2 * (distances**2).mean())).exp())


@FEW
@given(seeds, st.floats(1e-3, 1e3))
def test_similarity_does_not_depend_on_scale(seed: int, scale: float) -> None:
    (x,) = drawn(seed, (12, 4))
    torch.testing.assert_close(nearest_neighbours(scale * x, 3), nearest_neighbours(x, 3))


def test_a_batch_with_fewer_others_than_neighbours_takes_all_of_them() -> None:
    (x,) = drawn(6, (3, 2))
    neighbours, similarity = nearest_neighbours(x, 10)
    assert neighbours.sort(1).values.tolist() == [[1, 2], [0, 2], [0, 1]]
    assert locality_loss(x, neighbours, similarity) > 0
    assert locality_loss(x[:1], *nearest_neighbours(x[:1], 10)) == 0


def test_equal_rows_are_as_similar_as_can_be() -> None:
    _, similarity = nearest_neighbours(torch.zeros(4, 3), 2)
    torch.testing.assert_close(similarity, torch.ones(4, 2))


@FEW
@given(seeds)
def test_locality_loss_agrees_with_a_loop(seed: int) -> None:
    x, z = drawn(seed, (9, 4), (9, 2))
    neighbours, similarity = nearest_neighbours(x, 3)
    total = sum(
        similarity[i, rank].item() * math.dist(z[i], z[j]) ** 2
        for i in range(9)
        for rank, j in enumerate(neighbours[i].tolist())
    )
    assert locality_loss(z, neighbours, similarity).item() == pytest.approx(total / 9)


def test_augmentation_loss_is_lowest_where_codes_agree() -> None:
    z, again = drawn(7, (6, 3), (6, 3))
    cosine = [1 - scipy.spatial.distance.cosine(a, b) for a, b in zip(z, again, strict=True)]
    assert augmentation_loss(z, again).item() == pytest.approx(-sum(cosine) / 6)
    assert augmentation_loss(z, 3 * z).item() == pytest.approx(-1)
    assert augmentation_loss(z, -z).item() == pytest.approx(1)
    products = augmentation_loss(z, again, lambda a, b: (a * b).sum(1))
    torch.testing.assert_close(products, -torch.einsum("nd,nd->", z, again) / 6)


@pytest.mark.parametrize(
    ("schedule", "expected"), [("pretrain", [1, 1, 1]), ("joint", [0.4, 0.4, 0.4]), ("ramp", [0, 0.1, 0.4])]
)
def test_mixing_weight_over_the_clustering_phase(schedule: Schedule, expected: list[float]) -> None:
    assert [mixing_weight(schedule, at, 0.4) for at in (0.0, 0.25, 1.0)] == pytest.approx(expected)


TERMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared distances": squared_distances,
    "hardening": lambda z, mu: hardening_loss(q := soft_assignment(z, mu), hardened(q.detach())),
    "k-means": kmeans_loss,
    "balance": lambda z, mu: balance_loss(soft_assignment(z, mu)),
    "locality": lambda z, mu: locality_loss(z, *nearest_neighbours(z, 3)),
    "augmentation": lambda z, mu: augmentation_loss(z, z.flip(0)),
}


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float32])
def test_autocast_does_not_lower_the_precision(name: str, precision: torch.dtype) -> None:
    z, centroids = drawn(8, (16, 10), (4, 10))
    z, centroids = z.to(precision), centroids.float()
    with torch.autocast("cpu", torch.bfloat16):
        found = TERMS[name](z, centroids)
    assert found.dtype == torch.float32
    expected = TERMS[name](z.double(), centroids.double())
    assert expected.dtype == torch.float64
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-5)
