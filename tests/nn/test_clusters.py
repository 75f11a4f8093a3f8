"""Clusters against equations in plain loops, scikit-learn's k-means and Lloyd's algorithm."""

import multiprocessing
import socket
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from torch import Tensor, distributed

from etude.nn.clusters import Clusters

FEW = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int, *shape: int) -> Tensor:
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def clusters(seed: int = 1, number: int = 4, latent: int = 3, nu: float = 1.0) -> Clusters:
    among = Clusters(number, latent, nu)
    among.centroids.data.copy_(drawn(seed, number, latent))
    return among


def scattered(seed: int, count: int) -> Tensor:
    """Numbers of examples as those of a split are: any of a larger set, in any order."""
    return torch.randperm(3 * count, generator=torch.Generator().manual_seed(seed))[:count]


def loss(among: Clusters, codes: Tensor) -> float:
    return float(np.square(codes.numpy()[:, None] - among.centroids.detach().numpy()[None]).sum(2).min(1).sum())


def in_loops(codes: Tensor, centroids: Tensor, nu: float) -> tuple[list[list[float]], list[list[float]]]:
    """Q and P of equations 1 and 3, as they are printed."""
    z, mu = codes.double().tolist(), centroids.double().tolist()
    n, k = len(z), len(mu)
    q = []
    for i in range(n):
        row = []
        for j in range(k):
            distance = sum((a - b) ** 2 for a, b in zip(z[i], mu[j], strict=True))
            row.append((1 + distance / nu) ** (-(nu + 1) / 2))
        q.append([value / sum(row) for value in row])
    f = [sum(q[i][j] for i in range(n)) for j in range(k)]
    p = [[(q[i][j] ** 2 / f[j]) / sum(q[i][m] ** 2 / f[m] for m in range(k)) for j in range(k)] for i in range(n)]
    return q, p


@FEW
@given(seeds, st.floats(0.2, 20))
def test_targets_are_equation_3_over_all_examples(seed: int, nu: float) -> None:
    among, codes, index = clusters(nu=nu), drawn(seed, 15, 3), scattered(seed, 15)
    among.refresh(codes, index)
    q, p = in_loops(codes, among.centroids.detach(), nu)
    torch.testing.assert_close(among(codes), torch.tensor(q), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(among.target(index), torch.tensor(p), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(among.target(index).sum(1), torch.ones(15))
    batch = torch.tensor([7, 2, 11])
    torch.testing.assert_close(among.target(index[batch]), torch.tensor(p)[batch], rtol=1e-4, atol=1e-6)
    assert among.of(index).tolist() == [row.index(max(row)) for row in q]


def test_frequencies_are_those_of_the_whole_set() -> None:
    """p_ij f_j / q_ij^2 is the same for all clusters of an example, with f over all; with f of a batch it is not."""
    among, codes = clusters(), drawn(0, 40, 3)
    among.refresh(codes, torch.arange(40))
    q, p = among(codes).detach(), among.target(torch.arange(40))
    ratio = p * q.sum(0) / q.square()
    torch.testing.assert_close(ratio, ratio[:, :1].expand(-1, 4))
    batch = slice(0, 8)
    ratio = p[batch] * q[batch].sum(0) / q[batch].square()
    assert float((ratio / ratio[:, :1] - 1).abs().max()) > 0.1
    alone = clusters()
    alone.refresh(codes[batch], torch.arange(8))
    assert float((alone.targets - p[batch]).abs().max()) > 0.02


def test_targets_do_not_move_between_refreshes() -> None:
    among, codes, index = clusters(), drawn(0, 20, 3), scattered(0, 20)
    among.refresh(codes, index)
    p, q = among.target(index), among(codes)
    optimizer = torch.optim.SGD(among.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        (-among.target(index[:5]) * among(codes[:5]).log()).sum().backward()
        optimizer.step()
    torch.testing.assert_close(among.target(index), p, rtol=0, atol=0)
    assert float((among(codes) - q).abs().max().detach()) > 1e-3
    among.refresh(codes, index)
    assert float((among.target(index) - p).abs().max()) > 1e-3
    assert not among.target(index).requires_grad


@FEW
@given(seeds, seeds)
def test_refresh_tells_the_share_that_moved(before: int, after: int) -> None:
    among, index = clusters(), scattered(before, 25)
    assert among.refresh(drawn(before, 25, 3), index) == 1.0
    old, codes = among.of(index).tolist(), drawn(after, 25, 3)
    moved = among.refresh(codes, index)
    mu = among.centroids.detach()
    new = [min(range(4), key=lambda k: float((z - mu[k]).square().sum())) for z in codes]
    assert among.of(index).tolist() == new
    assert moved == pytest.approx(np.mean([a != b for a, b in zip(old, new, strict=True)]))
    assert among.refresh(codes, index) == 0.0


def test_examples_that_were_not_seen_are_in_no_cluster() -> None:
    among, index = clusters(), torch.tensor([5, 2, 9])
    among.refresh(drawn(0, 3, 3), index)
    assert [i for i, k in enumerate(among.assigned.tolist()) if k >= 0] == [2, 5, 9]
    assert among.targets.sum(1).nonzero().flatten().tolist() == [2, 5, 9]


def test_a_state_of_another_size_is_loaded() -> None:
    full, fresh, smaller = clusters(), Clusters(4, 3), clusters(2)
    full.refresh(drawn(0, 30, 3), scattered(0, 30))
    full.placed.fill_(True)
    smaller.refresh(drawn(0, 5, 3), torch.arange(5))
    for other in (fresh, smaller):
        other.load_state_dict(full.state_dict())
        assert other.state_dict().keys() == full.state_dict().keys()
        for name, value in full.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], value, rtol=0, atol=0)
    full.load_state_dict(Clusters(4, 3).state_dict())
    assert len(full.assigned) == len(full.targets) == 0
    with pytest.raises(RuntimeError, match="centroids"):
        Clusters(5, 3).load_state_dict(smaller.state_dict())


def test_k_means_finds_well_separated_centres() -> None:
    x, _, centres = make_blobs(200, 3, centers=4, cluster_std=0.05, random_state=0, return_centers=True)
    among = Clusters(4, 3)
    assert not among.placed
    among.place(torch.from_numpy(x).float(), 5)
    assert among.placed
    distances = np.linalg.norm(among.centroids.detach().numpy()[:, None] - centres[None], axis=2)
    assert sorted(distances.argmin(1)) == [0, 1, 2, 3]
    assert distances.min(1).max() < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_place_is_the_best_of_several_runs_to_convergence(seed: int) -> None:
    codes = drawn(seed, 60, 2)
    torch.manual_seed(seed)
    among = Clusters(5, 2)
    among.place(codes, 20)
    single = [KMeans(5, n_init=1, random_state=s).fit(codes.numpy()).inertia_ for s in range(20)]
    assert loss(among, codes) <= np.quantile(single, 0.25)
    further = KMeans(5, init=among.centroids.detach().numpy(), n_init=1).fit(codes.numpy())
    assert loss(among, codes) == pytest.approx(further.inertia_, rel=1e-4)


def test_placing_is_a_function_of_the_seed() -> None:
    placed = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        among = Clusters(5, 2)
        among.place(drawn(0, 60, 2), 1)
        placed.append(among.centroids.detach())
    assert torch.equal(placed[0], placed[1])
    assert not torch.equal(placed[0], placed[2])


def one_by_one(centroids: Tensor, codes: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, list[int]]:
    """Equation 6 for a batch, then equation 8 for one example after another, c_k counting the one that comes."""
    m, c = centroids.double().clone(), counts.double().clone()
    nearest = [min(range(len(m)), key=lambda k: float((z - m[k]).square().sum())) for z in codes.double()]
    for z, k in zip(codes.double(), nearest, strict=True):
        c[k] += 1
        m[k] = m[k] - 1 / c[k] * (m[k] - z)
    return m, c, nearest


@FEW
@given(seeds, st.booleans())
def test_following_equals_one_example_after_another(seed: int, fresh: bool) -> None:
    among, codes, index = clusters(seed), drawn(seed + 1, 12, 3), scattered(seed, 12)
    among.refresh(drawn(seed + 2, 12, 3), index)
    counts = torch.zeros(4) if fresh else torch.tensor([3.0, 1.0, 100.0, 7.0])
    m, c, nearest = one_by_one(among.centroids.detach(), codes, counts)
    among.follow(codes, index, counts)
    torch.testing.assert_close(among.centroids.detach().double(), m, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(counts.double(), c)
    assert among.of(index).tolist() == nearest


def test_a_centroid_stays_the_mean_of_all_codes_it_was_given() -> None:
    among, codes = clusters(), drawn(0, 40, 3)
    counts = torch.zeros(4)
    came: dict[int, list[Tensor]] = {k: [] for k in range(4)}
    among.refresh(codes, torch.arange(40))
    for start in range(0, 40, 8):
        index = torch.arange(start, start + 8)
        among.follow(codes[index], index, counts)
        for i in index.tolist():
            came[int(among.assigned[i])].append(codes[i])
    for k, members in came.items():
        if members:
            torch.testing.assert_close(among.centroids[k].detach(), torch.stack(members).mean(0))
    assert counts.tolist() == [len(members) for members in came.values()]


def test_a_centroid_that_no_code_came_to_stays() -> None:
    among = clusters()
    among.centroids.data[2] = 1000
    codes = drawn(0, 10, 3)
    among.refresh(codes, torch.arange(10))
    among.follow(codes, torch.arange(10), torch.zeros(4))
    assert among.centroids[2].tolist() == [1000] * 3


@FEW
@given(seeds)
def test_k_means_loss_never_rises_under_its_own_updates(seed: int) -> None:
    """A step of `follow` on all codes takes each centroid a part of the way to the mean of its codes: all of it where
    the counts begin at 0, and that is a step of Lloyd's algorithm. Neither it nor a change to the nearest centroid can
    raise the loss."""
    codes, index = drawn(seed, 30, 3), torch.arange(30)
    for lloyd in (True, False):
        among, counts, losses = clusters(seed + 1), torch.ones(4), []
        among.refresh(codes, index)
        for _ in range(8):
            losses.append(loss(among, codes))
            among.follow(codes, index, torch.zeros(4) if lloyd else counts)
        assert all(after <= before * (1 + 1e-5) for before, after in pairwise(losses))
        assert losses[-1] < losses[0]


def test_following_from_no_counts_is_lloyds_step() -> None:
    codes, among = drawn(0, 50, 3), clusters()
    among.refresh(codes, torch.arange(50))
    step = KMeans(4, init=among.centroids.detach().numpy(), n_init=1, max_iter=1, tol=0).fit(codes.numpy())
    among.follow(codes, torch.arange(50), torch.zeros(4))
    np.testing.assert_allclose(among.centroids.detach().numpy(), step.cluster_centers_, rtol=1e-4, atol=1e-5)


def follow_in_a_process(rank: int, port: int, answers: "multiprocessing.Queue[tuple[list[float], list[int]]]") -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    among, codes, counts, index = clusters(), drawn(0, 12, 3), torch.ones(4), torch.arange(12)
    among.refresh(drawn(5, 12, 3), index)
    among.follow(codes[rank::2], index[rank::2], counts)
    answers.put((among.centroids.flatten().tolist(), among.assigned.tolist()))
    distributed.destroy_process_group()


def test_two_processes_follow_as_one() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[tuple[list[float], list[int]]] = context.Queue()
    children = [context.Process(target=follow_in_a_process, args=(rank, port, answers)) for rank in range(2)]
    for child in children:
        child.start()
    found = [answers.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    among, counts, index = clusters(), torch.ones(4), torch.arange(12)
    among.refresh(drawn(5, 12, 3), index)
    among.follow(drawn(0, 12, 3), index, counts)
    for centroids, assigned in found:
        assert centroids == pytest.approx(among.centroids.flatten().tolist(), rel=1e-5)
        assert assigned == among.assigned.tolist()
