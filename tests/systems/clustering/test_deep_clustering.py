"""Deep clustering by parts: equal to DEC, IDEC and DCN where it has their parts; each part by itself."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sklearn.cluster import KMeans
from tests.systems.clustering.table import Table, blobs, codes_of, drawn, numbers, rows
from torch import Tensor

from etude.data.kinds import Images, Splits, Vectors, split
from etude.engine.train import train
from etude.errors import InputError
from etude.systems.autoencoders.autoencoder import Autoencoder
from etude.systems.autoencoders.stacked_autoencoder import StackedAutoencoder
from etude.systems.clustering.dcn import DCN
from etude.systems.clustering.dec import DEC
from etude.systems.clustering.deep_clustering import SHIFT, TURN, DeepClustering, augmented
from etude.systems.clustering.idec import IDEC
from etude.systems.system import Clock

ALL = ("reconstruction", "locality", "augmentation", "balance")


def table() -> Table:
    return Table(blobs(0, 30, 3), blobs(0, 30, 3) + drawn(1, 30, 2))


def placed(kind: Any = DeepClustering, **more: Any) -> Any:
    torch.manual_seed(0)
    system: Any = kind(table(), 3, restarts=3, **more)
    getattr(system, "begin", system.place)(numbers(30))
    return system


def stacked(**more: Any) -> tuple[DeepClustering, Vectors]:
    """On a network of weights large enough for every unit to matter."""
    torch.manual_seed(0)
    on = StackedAutoencoder(4, hidden=(8,), latent=2)
    for weight in on.parameters():
        weight.data *= 50
    x = Vectors(torch.cat([blobs(0, 40, 2, 4), blobs(1, 20, 1, 4)]))
    system = DeepClustering(on, 2, restarts=3, **more)
    system.begin(Splits(x, x, x))
    return system, x


def test_hardening_alone_is_dec() -> None:
    ours, theirs = placed(others=(), weights=(1.0,), schedule="pretrain"), placed(DEC)
    torch.testing.assert_close(ours.centroids, theirs.centroids, rtol=0, atol=0)
    batch = rows(30)[torch.tensor([4, 8, 22])]
    for system in (ours, theirs):  # the same descent, so that what is left is the loss
        system.optimizer = torch.optim.SGD([system.among.centroids, codes_of(system)], lr=0.1)
    for t in range(5):
        clock = Clock(step=t, progress=t / 5)
        torch.testing.assert_close(ours.step(batch, clock)["loss"], theirs.step(batch, clock)["loss"])
        assert ours.settled(numbers(30)) == theirs.settled(numbers(30))
    torch.testing.assert_close(codes_of(ours), codes_of(theirs))
    torch.testing.assert_close(ours.centroids, theirs.centroids)


def test_hardening_and_reconstruction_together_are_idec() -> None:
    ours, theirs = placed(weights=(0.2, 2.0), alpha=0.5), placed(IDEC, gamma=0.1)
    for t in range(5):
        clock = Clock(step=t, progress=t / 5)
        torch.testing.assert_close(ours.step(rows(30), clock)["loss"], theirs.step(rows(30), clock)["loss"])
    torch.testing.assert_close(codes_of(ours), codes_of(theirs))
    torch.testing.assert_close(ours.centroids, theirs.centroids)


def test_k_means_with_running_means_and_reconstruction_is_dcn() -> None:
    codes = blobs(0, 30, 3)
    spread = float((codes - codes.mean(0)).square().sum(1).mean())
    ours = placed(clustering=("kmeans",), updates="mean", weights=(0.1 * spread, 2.0), alpha=0.5)
    theirs = placed(DCN, pull=0.1)
    for t in range(5):
        clock = Clock(step=t, progress=t / 5)
        torch.testing.assert_close(ours.step(rows(30), clock)["loss"], theirs.step(rows(30), clock)["loss"])
    torch.testing.assert_close(codes_of(ours), codes_of(theirs))
    torch.testing.assert_close(ours.centroids, theirs.centroids)
    torch.testing.assert_close(ours.counts, theirs.counts)


@pytest.mark.parametrize("name", ["hardening", "kmeans", *ALL])
def test_each_term_alone_is_lowered(name: str) -> None:
    clustering, others = ((), (name,)) if name in ALL else ((name,), ())
    schedule = "pretrain" if clustering else "joint"
    system, x = stacked(clustering=clustering, others=others, schedule=schedule, alpha=0.0, rate=0.01)
    values = [float(system.step(x, Clock(step=t))[name]) for t in range(60)]
    assert all(math.isfinite(value) for value in values)
    assert np.mean(values[-5:]) < np.mean(values[:5])
    assert all(torch.isfinite(weight).all() for weight in system.parameters())


@pytest.mark.parametrize(
    ("schedule", "progress", "alpha"),
    [("joint", 0.7, 0.3), ("pretrain", 0.7, 1.0), *(("ramp", t / 4, 0.3 * t / 4) for t in range(5))],
)
def test_weights_and_alpha_weigh_the_terms(schedule: str, progress: float, alpha: float) -> None:
    clustering, others, weights = ("hardening", "kmeans"), ("balance", "reconstruction"), (0.5, 2.0, 3.0, 0.25)
    system = placed(clustering=clustering, others=others, weights=weights, schedule=schedule, alpha=0.3)
    losses = {name: float(loss) for name, loss in system.step(rows(30), Clock(progress=progress)).items()}
    pulled = 0.5 * losses["hardening"] + 2 * losses["kmeans"]
    kept = 3 * losses["balance"] + 0.25 * losses["reconstruction"]
    assert losses["loss"] == pytest.approx(alpha * pulled + (1 - alpha) * kept, rel=1e-5)


@pytest.mark.parametrize("name", ["kmeans", "locality"])
def test_the_scale_of_the_codes_does_not_matter(name: str) -> None:
    parts: Any = {"clustering": (), "others": (name,)} if name in ALL else {"clustering": (name,), "others": ()}
    found = []
    for scale in (1.0, 100.0):
        torch.manual_seed(0)
        system = DeepClustering(Table(scale * blobs(0, 30, 3)), 3, **parts, restarts=3)
        system.begin(numbers(30))
        found.append(float(system.step(rows(30), Clock())[name]))
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_a_ramp_does_not_stop_before_its_end() -> None:
    for schedule, settled in (("joint", True), ("pretrain", True), ("ramp", False)):
        assert placed(schedule=schedule).ended(numbers(30)) is settled


@pytest.mark.parametrize(
    ("given", "shares"),
    [
        ({}, [1 / 3, 1 / 3, 1 / 3]),
        ({"exponent": 1.0}, [6 / 11, 3 / 11, 2 / 11]),
        ({"exponent": 2.0}, [36 / 49, 9 / 49, 4 / 49]),
        ({"sizes": (10.0, 60.0, 30.0)}, [0.6, 0.3, 0.1]),
    ],
)
def test_wanted_sizes_are_compared_with_those_of_the_batch(given: dict[str, Any], shares: list[float]) -> None:
    system = placed(others=("balance",), **given)
    batch = rows(30)[torch.tensor([0, 3, 6, 9, 1, 4, 2])]
    sizes = sorted(system.cluster(batch.x).mean(0).tolist(), reverse=True)
    assert float(system.step(batch, Clock())["balance"]) == pytest.approx(entropy(sizes, shares), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weights": (1.0,)}, r"--weights has 1 numbers for 2 terms \(hardening, reconstruction\)"),
        ({"weights": (1.0, 1.0, 1.0)}, "--weights has 3 numbers for 2 terms"),
        ({"sizes": (1.0, 2.0)}, "--sizes has 2 numbers for 3 clusters: give one for each"),
        ({"sizes": (1.0, 2.0, 0.0)}, "a size of 0: expected a number in"),
        ({"clustering": (), "others": ()}, "name no term: expected one term or more, each once"),
        ({"others": ("balance", "balance")}, "name hardening balance balance: expected one term or more, each once"),
    ],
)
def test_parts_that_do_not_fit_are_told_in_a_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as told:
        DeepClustering(table(), 3, **given)
    assert "\n" not in str(told.value)


def test_running_means_take_the_place_of_gradients() -> None:
    system = placed(updates="mean")
    learned = {id(p) for group in system.optimizer.param_groups for p in group["params"]}
    assert id(system.among.centroids) not in learned
    m, c, batch = system.centroids.detach().clone(), system.counts.clone(), rows(30)[torch.tensor([4, 5, 6, 7])]
    m_before = m.clone()
    system.step(batch, Clock())
    for z in codes_of(system).detach()[batch.index]:
        k = int((z - m_before).square().sum(1).argmin())
        c[k] += 1
        m[k] += (z - m[k]) / c[k]
    torch.testing.assert_close(system.centroids.detach(), m)
    assert torch.equal(system.counts, c)


def test_k_means_once_more_at_the_end() -> None:
    system = placed(again=True, schedule="pretrain", rate=0.05)
    assert [phase.name for phase in system.phases()] == ["cluster", "k-means again"]
    assert [phase.name for phase in placed().phases()] == ["cluster"]
    for t in range(30):
        system.step(rows(30), Clock(step=t))
    last = system.phases()[-1]
    assert last.epochs == 0
    last.start(numbers(30))
    codes = codes_of(system).detach().numpy()
    lloyd = KMeans(3, init=system.centroids.detach().numpy(), n_init=1).fit(codes)
    np.testing.assert_allclose(lloyd.cluster_centers_, system.centroids.detach().numpy(), rtol=1e-4, atol=1e-4)


def pictures(count: int = 200, size: tuple[int, int] = (28, 28)) -> Tensor:
    x = torch.zeros(count, 1, *size)
    x[:, :, size[0] // 2 - 2 : size[0] // 2 + 2, size[1] // 4 : -size[1] // 4] = 1
    return x


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Centre of mass (n, 2) in pixels, across and down, and the angle (n,) of the long axis in degrees."""
    down, across = torch.meshgrid(torch.arange(x.shape[2]) + 0.5, torch.arange(x.shape[3]) + 0.5, indexing="ij")
    mass = x[:, 0] / x.sum((1, 2, 3))[:, None, None]
    centre = torch.stack([(mass * across).sum((1, 2)), (mass * down).sum((1, 2))], 1)
    a, d = across - centre[:, 0, None, None], down - centre[:, 1, None, None]
    angle = 0.5 * torch.atan2(2 * (mass * a * d).sum((1, 2)), (mass * (a * a - d * d)).sum((1, 2)))
    return centre, angle.rad2deg()


@pytest.mark.parametrize("size", [(28, 28), (28, 56)])
def test_pictures_are_turned_and_moved_a_little(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = pictures(size=size)
    moved = augmented(x, (1, *size), 0.1)
    assert moved.shape == x.shape
    centre, angle = moments(moved)
    shift = (centre - torch.tensor([size[1] / 2, size[0] / 2])) / torch.tensor([size[1], size[0]])
    assert SHIFT * 0.8 < shift.abs().max() < SHIFT * 1.2
    assert shift.mean(0).abs().max() < SHIFT / 4
    assert TURN * 0.9 < angle.abs().max() < TURN * 1.1
    assert angle.mean().abs() < TURN / 4
    torch.testing.assert_close(moved.sum((1, 2, 3)), x.sum((1, 2, 3)), rtol=0.02, atol=0)


def test_flattened_pictures_are_moved_as_pictures_and_rows_get_noise() -> None:
    torch.manual_seed(0)
    flat = augmented(pictures().flatten(1), (1, 28, 28), 0.1)
    torch.manual_seed(0)
    torch.testing.assert_close(flat.view(-1, 1, 28, 28), augmented(pictures(), (1, 28, 28), 0.1))
    constant = augmented(torch.full((50, 3, 28, 28), 0.7), (3, 28, 28), 0.1)
    torch.testing.assert_close(constant[:, :, 8:20, 8:20], torch.full((50, 3, 12, 12), 0.7))
    for shape in ((), (1, 1, 6)):
        x = 5 * torch.randn(4000, *(shape or (6,)))
        noise = augmented(x, shape, 0.2) - x
        assert float(noise.std()) == pytest.approx(1.0, rel=0.05)
        assert float(noise.mean()) == pytest.approx(0.0, abs=0.05)


def test_augmentation_keeps_float32_under_autocast() -> None:
    x = torch.rand(20, 1, 28, 28)
    torch.manual_seed(0)
    plain = augmented(x, (1, 28, 28), 0.1)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = augmented(x, (1, 28, 28), 0.1)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, plain)


def test_codes_of_pictures_become_the_same_for_moved_ones() -> None:
    torch.manual_seed(0)
    x = Images(torch.rand(40, 1, 1, 1) * pictures(40, (8, 8)) + 0.1 * torch.rand(40, 1, 8, 8))
    on = Autoencoder(1, 8, 8, hidden=(16,), latent=3, output="linear")
    system = DeepClustering(on, None, clusters=2, clustering=(), others=("augmentation",), alpha=0.0, rate=0.01)
    system.begin(Splits(x, x, x))
    values = [float(system.step(x, Clock(step=t))["augmentation"]) for t in range(60)]
    assert values[-1] < values[0]
    assert values[-1] < -0.9


def test_convolutional_encoders_cluster_images(tmp_path: Path) -> None:
    more: dict[str, Any] = {"on.layout": "convolutional", "on.hidden": (4,), "on.latent": 3, "on.epochs": 1}
    done = train(
        "deep-clustering",
        "digits",
        on="autoencoder",
        runs=tmp_path,
        quiet=True,
        device="cpu",
        others=ALL,
        clustering=("hardening", "kmeans"),
        epochs=1,
        restarts=1,
        again=True,
        **more,
    )
    system: Any = done.system
    assert system.kind is Images
    assert system.cluster(torch.rand(5, 1, 8, 8)).shape == (5, 10)
    assert set(done.log[-1]["losses"]) == {"loss", "hardening", "kmeans", *ALL}
    assert all(math.isfinite(value) for value in done.log[-1]["losses"].values())


def test_rows_cluster_on_any_autoencoder(tmp_path: Path) -> None:
    data = split(Vectors(blobs(0, 60, 3, 4)), "rows").as_kind(Images)
    more: dict[str, Any] = {"on.output": "linear", "on.hidden": (4,), "on.latent": 2, "on.epochs": 1, "others": ALL}
    done = train("deep-clustering", data, on="autoencoder", runs=tmp_path, quiet=True, clusters=3, epochs=1, **more)
    assert set(done.scores) == {"silhouette", "balance"}
