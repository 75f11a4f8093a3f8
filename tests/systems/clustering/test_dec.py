"""DEC against the paper's equations 2, 4 and 5, SciPy, and hand-made cases of its rule."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from tests.systems.clustering.table import Table, blobs, codes_of, drawn, numbers, rows
from torch import Tensor

from etude.data.kinds import Vectors, split
from etude.engine.run import Run
from etude.engine.train import train
from etude.errors import InputError
from etude.metrics.clustering import UNSUPERVISED
from etude.systems.autoencoders.stacked_autoencoder import StackedAutoencoder
from etude.systems.clustering.dec import DEC
from etude.systems.feedforward.mlp import MLP
from etude.systems.system import Clock

SMALL: dict[str, Any] = {"hidden": (8,), "latent": 2, "layer_epochs": 5, "epochs": 20, "batch": 20, "rate": 0.5}
ON = {f"on.{key}": value for key, value in SMALL.items()}


def corners(labelled: bool = True) -> Vectors:
    y = torch.arange(60) % 3
    x = 2 * torch.eye(3, 6)[y] + 0.3 * drawn(0, 60, 6)
    return Vectors(x, y, ("a", "b", "c")) if labelled else Vectors(x)


def run(folder: Path, data: Any = None, **more: Any) -> Run:
    splits = split(corners(), "rows") if data is None else data
    return train("dec", splits, runs=folder, quiet=True, device="cpu", epochs=2, restarts=2, batch=20, **more)


def placed(codes: Tensor, **more: Any) -> DEC:
    torch.manual_seed(0)
    system = DEC(Table(codes), 3, **more)
    system.place(numbers(len(codes)))
    return system


@pytest.mark.parametrize("nu", [1.0, 0.5, 4.0])
def test_a_step_goes_down_the_gradients_of_equations_4_and_5(nu: float) -> None:
    system = placed(blobs(0, 30, 3), rate=0.1, nu=nu)
    z, mu = codes_of(system).detach().double().clone(), system.centroids.detach().double().clone()
    batch = rows(30)[torch.tensor([4, 9, 17, 22, 23])]
    q, p = system.cluster(batch.x).double(), system.among.target(batch.index).double()
    loss = system.step(batch, Clock())["loss"]
    apart = z[batch.index][:, None] - mu[None]
    force = ((p - q) / (1 + apart.square().sum(2) / nu))[:, :, None] * apart * (nu + 1) / nu
    moved = torch.zeros_like(z).index_copy(0, batch.index, force.sum(1))
    codes, centroids = codes_of(system).detach().double(), system.centroids.detach().double()
    # the paper's equations are of the sum over the examples of the batch: the mean is a fifth of it
    torch.testing.assert_close(codes, z - 0.1 * moved / 5, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(centroids, mu + 0.1 * force.sum(0) / 5, rtol=1e-4, atol=1e-6)
    expected = np.mean(scipy.stats.entropy(p.numpy(), q.numpy(), axis=1))
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_gradient_descent_has_momentum() -> None:
    system, same = placed(blobs(0, 30, 3)), placed(blobs(0, 30, 3))
    by_hand = torch.optim.SGD([same.among.centroids, codes_of(same)], lr=0.01, momentum=0.9)
    batch = numbers(30).train
    for t in range(5):
        system.step(batch, Clock(step=t))
        loss = -(same.among.targets * same.among(codes_of(same)).log()).sum(1).mean()
        by_hand.zero_grad()
        loss.backward()
        by_hand.step()
    torch.testing.assert_close(codes_of(system), codes_of(same), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(system.centroids, same.centroids, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backprop", [True, False])
def test_the_encoder_learns_only_with_backprop(backprop: bool) -> None:
    torch.manual_seed(0)
    system = DEC(StackedAutoencoder(6, **SMALL), 3, backprop=backprop, restarts=2)
    for weight in system.on.parameters():
        weight.data *= 30  # as if trained: the first ones are close to 0
    splits = split(corners(), "rows")
    system.place(splits)
    before = {name: value.clone() for name, value in system.on.state_dict().items()}
    centroids = system.centroids.detach().clone()
    for t in range(4):
        system.step(splits.train, Clock(step=t))
        system.settled(splits)
    changed = {name for name, value in system.on.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == ({"down.0.weight", "down.0.bias", "down.1.weight", "down.1.bias"} if backprop else set())
    assert not torch.equal(system.centroids, centroids)


def test_settles_when_less_than_the_tolerance_changes_cluster() -> None:
    codes = blobs(0, 30, 3)
    system, splits = placed(codes, tolerance=0.1), numbers(30)
    cluster = system.among.of(torch.arange(30))
    other = system.centroids[(cluster + 1) % 3].detach()
    for moved, settled in ((3, False), (2, True), (0, True), (30, False)):
        codes_of(system).data.copy_(codes)
        system.refresh(splits)
        codes_of(system).data[:moved] = other[:moved]
        assert system.settled(splits) == settled, moved
    assert placed(codes, tolerance=0.0).settled(splits) is False


def test_asking_whether_it_has_settled_refreshes_the_targets() -> None:
    system, splits = placed(blobs(0, 30, 3), rate=1.0), numbers(30)
    first = system.among.targets.clone()
    for t in range(3):
        system.step(splits.train, Clock(step=t))
        assert torch.equal(system.among.targets, first)
    system.settled(splits)
    q = system.cluster(rows(30).x)
    weight = q.square() / q.sum(0)
    torch.testing.assert_close(system.among.targets, weight / weight.sum(1, keepdim=True))
    assert not torch.equal(system.among.targets, first)


def test_clusters_have_no_names() -> None:
    """Centroids in another order: the columns of `cluster` are in that order, and training is the same."""
    codes, order = blobs(0, 30, 3), torch.tensor([2, 0, 1])
    one, other = placed(codes, rate=0.1), placed(codes, rate=0.1)
    other.among.centroids.data.copy_(one.centroids.detach()[order])
    splits = numbers(30)
    other.refresh(splits)
    for t in range(3):
        torch.testing.assert_close(other.cluster(rows(30).x), one.cluster(rows(30).x)[:, order])
        losses = [float(system.step(splits.train, Clock(step=t))["loss"]) for system in (one, other)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        assert one.settled(splits) == other.settled(splits)
    torch.testing.assert_close(codes_of(other), codes_of(one))


def test_refinement_draws_codes_to_their_centroids() -> None:
    splits = numbers(90)
    system = placed(blobs(0, 90, 3), rate=0.3)
    cluster = system.among.of(torch.arange(90))

    def spread() -> float:
        return float((codes_of(system) - system.centroids[cluster]).square().sum().detach())

    before = spread()
    for t in range(60):
        system.step(splits.train, Clock(step=t))
    assert spread() < 0.9 * before


def test_begins_with_the_weights_of_a_run(tmp_path: Path) -> None:
    data = split(corners(), "rows")
    before = train("stacked-autoencoder", data, runs=tmp_path, quiet=True, device="cpu", **SMALL)
    after = train("dec", data, on=str(before.folder), runs=tmp_path, quiet=True, device="cpu", epochs=0, restarts=2)
    weights = {name.removeprefix("on."): value for name, value in after.weights().items() if name.startswith("on.")}
    assert weights.keys() == before.weights().keys()
    assert all(torch.equal(value, weights[name]) for name, value in before.weights().items())
    refined = run(tmp_path, data, on=str(before.folder))
    assert {line["phase"] for line in refined.log} == {"refine"}
    assert not torch.equal(refined.weights()["on.down.0.weight"], before.weights()["down.0.weight"])


def test_pretraining_comes_first_and_is_not_measured(tmp_path: Path) -> None:
    log = run(tmp_path, **ON).log
    phases = [line["phase"] for line in log]
    assert phases[:30] == ["layer 1"] * 5 + ["layer 2"] * 5 + ["all layers"] * 20
    assert set(phases[30:]) == {"refine"}
    assert [bool(line["validation"]) for line in log] == [phase == "refine" for phase in phases]


@pytest.mark.parametrize("clusters", [2, 5])
def test_there_may_be_more_or_fewer_clusters_than_classes(tmp_path: Path, clusters: int) -> None:
    done = run(tmp_path, clusters=clusters, **ON)
    system: Any = done.system
    assert system.cluster(corners().x).shape == (60, clusters)
    assert 0 < done.scores["clustering_accuracy"] <= (0.7 if clusters == 2 else 1)


def test_data_without_classes_need_the_number_of_clusters(tmp_path: Path) -> None:
    done = run(tmp_path, split(corners(labelled=False), "rows"), clusters=3, **ON)
    assert set(done.scores) == {metric.__name__ for metric in UNSUPERVISED} == set(done.log[-1]["validation"])
    with pytest.raises(InputError, match=r"^the data have no classes: say how many --clusters") as told:
        run(tmp_path, split(corners(labelled=False), "rows"), **ON)
    assert "\n" not in str(told.value)


def test_acts_on_nothing_that_makes_no_codes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="acts on an autoencoder and MLP is none: give --on stacked-autoencoder"):
        run(tmp_path, on="mlp")
    with pytest.raises(InputError, match="acts on an autoencoder and MLP is none"):
        DEC(MLP(6, 3), 3)


def test_more_clusters_than_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^50 clusters among 42 examples: give fewer --clusters$"):
        run(tmp_path, clusters=50, **ON)


class Watched(Table):
    """Remembers in which mode it was asked for codes."""

    modes: tuple[bool, ...] = ()

    def code(self, x: Tensor) -> Tensor:
        self.modes += (self.training,)
        return super().code(x)


def test_targets_come_from_codes_in_evaluation_mode() -> None:
    on = Watched(blobs(0, 30, 3))
    system = DEC(on, 3, restarts=1).train()
    system.place(numbers(30))
    system.settled(numbers(30))
    assert set(on.modes) == {False}
    assert system.training
    system.step(rows(30), Clock())
    assert on.modes[-1]
