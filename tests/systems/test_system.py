"""The abstraction's own parts: one gradient step, the discovery of optimizers, what a system is by default."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import SGD, Adam

from etude.data.kinds import Splits, Vectors
from etude.errors import InputError
from etude.metrics.clustering import SUPERVISED, UNSUPERVISED
from etude.systems.autoencoders.stacked_autoencoder import StackedAutoencoder
from etude.systems.clustering.dec import DEC
from etude.systems.system import Clusterer, Coder, NonFiniteError, Phase, System, descend, optimizers


def line(size: int = 3) -> tuple[nn.Linear, Tensor, Tensor]:
    torch.manual_seed(0)
    return nn.Linear(size, 1), torch.randn(8, size), torch.randn(8, 1)


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def test_descend_is_a_step_of_gradient_descent() -> None:
    layer, x, y = line()
    loss = (layer(x) - y).square().mean()
    gradients = torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True)
    expected = [w - 0.1 * g for w, g in zip(weights(layer), gradients, strict=True)]
    logged = descend(SGD(layer.parameters(), lr=0.1), loss)
    torch.testing.assert_close(weights(layer), expected)
    assert logged == loss
    assert not logged.requires_grad


def test_rate_of_the_step_takes_the_place_of_the_optimizers() -> None:
    one, x, y = line()
    other, _, _ = line()
    descend(SGD(one.parameters(), lr=0.1), (one(x) - y).square().mean(), rate=0.01)
    descend(SGD(other.parameters(), lr=0.01), (other(x) - y).square().mean())
    torch.testing.assert_close(weights(one), weights(other), rtol=0, atol=0)


@settings(max_examples=30, deadline=None)
@given(clip=st.floats(1e-3, 1e3))
def test_clip_bounds_the_norm_and_keeps_the_direction(clip: float) -> None:
    layer, x, y = line()
    before = weights(layer)
    loss = 100 * (layer(x) - y).square().mean()
    gradients = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True)])
    descend(SGD(layer.parameters(), lr=1.0), loss, clip=clip)
    moved = torch.cat([(b - a).flatten() for a, b in zip(weights(layer), before, strict=True)])
    assert moved.norm() <= min(clip, float(gradients.norm())) * (1 + 1e-4)
    assert torch.cosine_similarity(moved, gradients, dim=0) > 1 - 1e-3


def test_gradients_reach_the_optimizers_parameters_alone() -> None:
    first, x, y = line()
    second = nn.Linear(1, 1)
    descend(SGD(second.parameters(), lr=0.1), (second(first(x)) - y).square().mean())
    assert all(p.grad is None for p in first.parameters())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nothing_changes_when_the_loss_is_not_finite(bad: float) -> None:
    layer, x, _ = line()
    optimizer = Adam(layer.parameters(), lr=0.1, fused=True)
    before = weights(layer)
    with pytest.raises(NonFiniteError, match="the loss"):
        descend(optimizer, layer(x).mean() * bad)
    torch.testing.assert_close(weights(layer), before, rtol=0, atol=0)


def test_nothing_changes_when_a_gradient_is_not_finite() -> None:
    layer, x, _ = line()
    before = weights(layer)
    root = torch.sqrt((layer(x) - layer(x).detach()).square().sum())  # 0, with gradient 0 / 0
    with pytest.raises(NonFiniteError, match="the gradient"):
        descend(SGD(layer.parameters(), lr=0.1), root)
    torch.testing.assert_close(weights(layer), before, rtol=0, atol=0)


class Several(System):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)
        self.one = SGD(self.a.parameters(), lr=0.1)
        self.more = {"b": [SGD(self.b.parameters(), lr=0.1)]}
        self.pair = (SGD(self.a.parameters(), lr=0.1), SGD(self.b.parameters(), lr=0.1))

    def phases(self) -> list[Phase]:
        return []


def test_optimizers_are_found_wherever_they_are_held() -> None:
    system = Several()
    outer = nn.Module()
    outer.on = system
    found = optimizers(outer)
    assert set(found) == {"on.one", "on.more.b.0", "on.pair.0", "on.pair.1"}
    assert found["on.one"] is system.one


def test_a_system_serves_itself() -> None:
    system = Several()
    assert system.served is system
    assert system.device == torch.device("cpu")


class Halves(Coder):
    """Half of each number is its code."""

    kind = Vectors

    def __init__(self) -> None:
        super().__init__()
        self.latent = 2
        self.factor = nn.Parameter(torch.tensor(0.5))

    def phases(self) -> list[Phase]:
        return [Phase("first", lambda batch, clock: {}, 3, 10), Phase("second", lambda batch, clock: {}, 2, 10)]

    def code(self, x: Tensor) -> Tensor:
        return self.factor * x

    def misfit(self, x: Tensor, z: Tensor) -> Tensor:
        return (z / self.factor - x).square().mean(1)


class Sorts(Clusterer):
    def __init__(self, on: System, classes: int | None = None, clusters: int | None = None) -> None:
        super().__init__(on, classes, clusters, 1.0, 3)

    def phases(self) -> list[Phase]:
        return [*self.pretraining(), Phase("sort", lambda batch, clock: {}, 1, 10, start=self.place)]


def test_encode_is_code_without_gradients() -> None:
    x = torch.randn(4, 2)
    for system in (Halves(), Sorts(Halves(), 3)):
        assert not system.encode(x).requires_grad
        torch.testing.assert_close(system.encode(x), x / 2)
    assert Halves().code(x).requires_grad
    assert not Sorts(Halves(), 3).cluster(x).requires_grad


def test_a_clustering_has_as_many_clusters_as_asked_for_or_as_there_are_classes() -> None:
    for classes, clusters, number in ((3, None, 3), (3, 5, 5), (None, 4, 4), (4, 2, 2)):
        system = Sorts(Halves(), classes, clusters)
        assert system.clusters == len(system.centroids) == number
        assert system.metrics == ((*SUPERVISED, *UNSUPERVISED) if classes else UNSUPERVISED)
        assert system.kind is Vectors
    with pytest.raises(InputError, match=r"the data have no classes: say how many --clusters"):
        Sorts(Halves())
    with pytest.raises(InputError, match="acts on an autoencoder and Several is none"):
        Sorts(Several(), 3)


def test_pretraining_is_left_out_where_a_run_has_done_it() -> None:
    phases = Sorts(Halves(), 3).phases()
    assert [(phase.name, phase.epochs, phase.measured) for phase in phases] == [
        ("first", 3, False),
        ("second", 2, False),
        ("sort", 1, True),
    ]
    trained = Halves()
    trained.trained = True
    assert [phase.name for phase in Sorts(trained, 3).phases()] == ["sort"]


def test_centroids_are_placed_among_the_codes_of_training_examples() -> None:
    corners = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    train = Vectors(corners.repeat(2500, 1), index=torch.randperm(20_000)[:7500])  # more than a walk takes at once
    other = Vectors(100 + torch.randn(50, 2))
    system = Sorts(Halves(), clusters=3)
    before = {name: value.clone() for name, value in system.on.state_dict().items()}
    system.place(Splits(train, other, other))
    found = sorted(system.centroids.detach().round().tolist())
    assert found == sorted((corners / 2).tolist())
    assert torch.equal(system.among.of(train.index), system.cluster(train.x).argmax(1))
    assert system.refresh(Splits(train, other, other)) == 0
    assert all(torch.equal(value, before[name]) for name, value in system.on.state_dict().items())
    with pytest.raises(InputError, match="3 clusters among 2 examples: give fewer --clusters"):
        system.place(Splits(train[:2], other, other))


def test_codes_that_hardly_differ_are_not_clustered() -> None:
    rows = Vectors(torch.rand(40, 6))
    system = DEC(StackedAutoencoder(6, hidden=(5,), latent=2), None, clusters=3)
    with pytest.raises(InputError, match=r"the codes hardly differ .* train the autoencoder longer or faster"):
        system.place(Splits(rows, rows, rows))
