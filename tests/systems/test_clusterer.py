"""What clusterings share: pretraining, centroids placed among the codes, settling."""

import pytest
import torch
from torch import Tensor, nn

from etude.data.kinds import Splits, Vectors
from etude.errors import InputError
from etude.metrics.clustering import SUPERVISED, UNSUPERVISED
from etude.systems.autoencoders.stacked_autoencoder import StackedAutoencoder
from etude.systems.clusterer import Clusterer, Coder
from etude.systems.clustering.dec import DEC
from etude.systems.system import Phase, System


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
    with pytest.raises(InputError, match="acts on an autoencoder and Sorts is none"):
        Sorts(Sorts(Halves(), 3), 3)


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


def test_it_has_settled_when_few_examples_change_cluster() -> None:
    rows = Vectors(torch.arange(40.0)[:, None].expand(-1, 2).contiguous())
    system = Sorts(Halves(), clusters=2)
    system.place(Splits(rows, rows, rows))
    assert not system.settled(Splits(rows, rows, rows))  # none may change, and fewer than none cannot
    system.tolerance = 0.06
    with torch.no_grad():
        system.centroids.add_(1.0)  # the border moves by one code, or two examples of forty
    assert system.settled(Splits(rows, rows, rows))
    with torch.no_grad():
        system.centroids.sub_(3.0)
    assert not system.settled(Splits(rows, rows, rows))
