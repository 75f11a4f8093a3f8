"""DCN: a turn by hand, Lloyd's fixed point where the network stands still, an autoencoder where nothing pulls."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from tests.systems.clustering.table import Table, blobs, codes_of, drawn, numbers, rows
from torch import Tensor

from etude.data.kinds import Splits, Vectors
from etude.systems.autoencoders.stacked_autoencoder import StackedAutoencoder
from etude.systems.clustering.dcn import DCN
from etude.systems.system import Clock


def begun(codes: Tensor, pull: float = 0.05, rate: float = 0.01) -> DCN:
    torch.manual_seed(0)
    system = DCN(Table(codes, codes + drawn(1, *codes.shape)), 3, pull=pull, rate=rate, restarts=3)
    system.begin(numbers(len(codes)))
    return system


def apart(codes: Tensor, centroids: Tensor) -> Tensor:
    return (codes[:, None] - centroids[None]).square().sum(2)


def test_a_turn_by_hand() -> None:
    codes = blobs(0, 24, 3)
    system, pull = begun(codes, pull=0.7), 0.7
    batches = [rows(24)[torch.tensor(index)] for index in ([5, 9, 2, 14], [3, 9, 11, 20], [5, 6, 7, 8])]
    z = codes.clone().requires_grad_()
    m, c, s = system.centroids.detach().clone(), system.counts.clone(), system.among.assigned.clone()
    by_hand = torch.optim.Adam([z], lr=0.01)
    for batch in batches:
        losses = system.step(batch, Clock())
        i = batch.index
        reconstruction = (z[i] - (codes + drawn(1, 24, 2))[i]).square().mean(1).mean()
        distance = (z[i] - m[s[i]]).square().sum(1).mean()
        loss = reconstruction + pull / 2 * distance
        by_hand.zero_grad()
        loss.backward()
        by_hand.step()
        assert float(losses["loss"]) == pytest.approx(float(loss.detach()), rel=1e-5)
        assert float(losses["distance"]) == pytest.approx(float(distance.detach()), rel=1e-5)
        s[i] = apart(z[i].detach(), m).argmin(1)
        for number in i.tolist():
            k = int(s[number])
            c[k] += 1
            m[k] -= (m[k] - z[number].detach()) / c[k]
    torch.testing.assert_close(codes_of(system), z, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(system.centroids.detach(), m, rtol=1e-4, atol=1e-5)
    assert torch.equal(system.counts, c)
    assert torch.equal(system.among.assigned, s)


def test_begins_with_the_means_and_sizes_of_k_means() -> None:
    codes = blobs(0, 40, 3)
    system = begun(codes)
    for k in range(3):
        members = codes[system.among.assigned == k]
        torch.testing.assert_close(system.centroids[k].detach(), members.mean(0))
        assert system.counts[k] == len(members)


def test_a_network_that_stands_still_leaves_k_means() -> None:
    codes = drawn(3, 60, 2)
    system = begun(codes, rate=1e-12)
    system.among.centroids.data.copy_(drawn(5, 3, 2))
    system.counts.zero_()
    generator = torch.Generator().manual_seed(0)
    losses = []
    for epoch in range(60):
        losses.append(float(apart(codes, system.centroids.detach()).min(1).values.mean()))
        for index in torch.randperm(60, generator=generator).split(20):
            system.step(rows(60)[index], Clock(epoch=epoch))
    assert losses[-1] < losses[5] < losses[0]
    assert all(after <= before + 1e-3 for before, after in pairwise(losses[1:]))
    assert torch.equal(codes_of(system).round(decimals=4), codes.round(decimals=4))
    lloyd = KMeans(3, init=system.centroids.detach().numpy(), n_init=1).fit(codes.numpy())
    assert losses[-1] == pytest.approx(lloyd.inertia_ / 60, rel=0.02)
    assert np.abs(lloyd.cluster_centers_ - system.centroids.detach().numpy()).max() < 0.15


def test_without_a_pull_the_network_is_trained_as_an_autoencoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etude.systems.clusterer.LEAST_SPREAD", 0.0)
    torch.manual_seed(0)
    x = Vectors(drawn(0, 20, 6))
    on = StackedAutoencoder(6, hidden=(5,), latent=2)
    plain = copy.deepcopy(on)
    system = DCN(on, 3, pull=0.0, restarts=2)
    system.begin(Splits(x, x, x))
    before = system.centroids.detach().clone()
    by_hand = torch.optim.Adam(plain.parameters(), lr=1e-3)
    for t in range(10):
        losses = system.step(x, Clock(step=t))
        loss = (plain.restored(plain.code(x.x)) - x.x).square().sum(1).mean()
        by_hand.zero_grad()
        loss.backward()
        by_hand.step()
        assert float(losses["loss"]) == pytest.approx(float(loss.detach()), rel=1e-5)
        assert losses["loss"] == losses["reconstruction"]
    for mine, theirs in zip(on.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
    assert not torch.equal(system.centroids, before)


def test_a_pull_makes_codes_friendly_to_k_means() -> None:
    inertia = []
    for pull in (0.0, 1.0, 10.0):
        system = begun(blobs(0, 60, 3), pull=pull)
        for t in range(120):
            losses = system.step(rows(60), Clock(step=t))
        inertia.append(float(losses["distance"]))
    assert inertia[2] < 0.5 * inertia[1] < 0.5 * inertia[0]


def test_centroids_follow_and_are_not_learned_by_gradients() -> None:
    system = begun(blobs(0, 30, 3))
    learned = {id(p) for group in system.optimizer.param_groups for p in group["params"]}
    assert id(system.among.centroids) not in learned
    assert learned == {id(p) for p in system.on.parameters()}
