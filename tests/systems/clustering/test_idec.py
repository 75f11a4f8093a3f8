"""IDEC: equation 6 by hand, its two ends, and that its stop rule is DEC's."""

import pytest
import torch
from scipy.stats import entropy
from tests.systems.clustering.table import Table, blobs, codes_of, drawn, numbers, rows
from torch import Tensor

from etude.systems.clustering.dec import DEC
from etude.systems.clustering.idec import IDEC
from etude.systems.system import Clock


def truth() -> Tensor:
    return blobs(0, 30, 3) + 0.3 * drawn(1, 30, 2)


def placed(gamma: float = 0.1, tolerance: float = 0.001) -> IDEC:
    torch.manual_seed(0)
    codes = blobs(0, 30, 3)
    system = IDEC(Table(codes, truth()), 3, gamma=gamma, rate=0.01, tolerance=tolerance, restarts=3)
    system.place(numbers(30))
    return system


@pytest.mark.parametrize("gamma", [0.1, 3.0])
def test_loss_is_the_reconstruction_and_gamma_times_the_divergence(gamma: float) -> None:
    system, same = placed(gamma), placed(gamma)
    batch = rows(30)[torch.tensor([3, 1, 20, 28])]
    by_hand = torch.optim.Adam([same.among.centroids, codes_of(same)], lr=0.01)
    for t in range(3):
        q, p = system.cluster(batch.x), system.among.target(batch.index)
        misfit = (system.encode(batch.x) - truth()[batch.index]).square()
        losses = system.step(batch, Clock(step=t))
        assert float(losses["reconstruction"]) == pytest.approx(float(misfit.mean()), rel=1e-5)
        assert float(losses["clustering"]) == pytest.approx(entropy(p.numpy(), q.numpy(), axis=1).mean(), rel=1e-4)
        assert float(losses["loss"]) == pytest.approx(
            float(losses["reconstruction"] + gamma * losses["clustering"]), rel=1e-5
        )
        z = codes_of(same)[batch.index]
        q = 1 / (1 + (z[:, None] - same.among.centroids[None]).square().sum(2))
        q = q / q.sum(1, keepdim=True)
        loss = (z - truth()[batch.index]).square().mean() + gamma * (p * (p / q).log()).sum(1).mean()
        by_hand.zero_grad()
        loss.backward()
        by_hand.step()
    torch.testing.assert_close(codes_of(system), codes_of(same), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(system.centroids, same.centroids, rtol=1e-4, atol=1e-5)


def test_without_gamma_it_is_an_autoencoder() -> None:
    system = placed(gamma=0.0)
    before = system.centroids.detach().clone()
    for t in range(150):
        system.step(rows(30), Clock(step=t))
    assert torch.equal(system.centroids, before)
    torch.testing.assert_close(codes_of(system).detach(), truth(), rtol=0, atol=0.02)


def test_the_decoder_keeps_codes_where_they_decode() -> None:
    """The larger gamma, the nearer the codes come to centroids and the further they move from what decodes best."""
    found = []
    for gamma in (0.0, 0.3, 30.0):
        system = placed(gamma)
        for t in range(100):
            losses = system.step(rows(30), Clock(step=t))
        found.append((float(losses["reconstruction"]), -float(losses["clustering"])))
    assert found == sorted(found)


def test_targets_and_stop_rule_are_those_of_dec() -> None:
    ours = placed(tolerance=0.1)
    torch.manual_seed(0)
    theirs = DEC(Table(blobs(0, 30, 3)), 3, tolerance=0.1, restarts=3)
    theirs.place(numbers(30))
    torch.testing.assert_close(ours.among.targets, theirs.among.targets)
    for moved in (3, 2, 0):
        for system in (ours, theirs):
            codes_of(system).data.copy_(blobs(0, 30, 3))
            system.refresh(numbers(30))
            cluster = system.among.of(torch.arange(30))
            codes_of(system).data[:moved] = system.centroids[(cluster[:moved] + 1) % 3].detach()
            assert system.settled(numbers(30)) == (moved < 3)
