"""EMA: the average in closed form, over any system, buffers and phases included."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from etude.data.kinds import Splits, Vectors
from etude.systems.autoencoders.vae import VAE
from etude.systems.gans.gan import GAN
from etude.systems.system import Clock, Losses, Phase, System, optimizers
from etude.systems.techniques.ema import EMA


class Walk(System):
    """One weight that goes up by 1 a step, and a buffer that counts, in two phases."""

    kind = Vectors

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.count = nn.Buffer(torch.tensor(0))
        self.optimizer = SGD([self.weight], lr=1.0)

    def phases(self) -> list[Phase]:
        return [Phase("first", self.step, 1, 1), Phase("second", self.step, 1, 1, start=self.jump)]

    def jump(self, splits: Splits) -> None:
        self.weight.data.fill_(100)

    def step(self, batch: Vectors, clock: Clock) -> Losses:
        self.weight.data += 1
        self.count.add_(1)
        return {}


BATCH = Vectors(torch.zeros(1, 1))
SPLITS = Splits(BATCH, BATCH, BATCH)


def averages(decay: float, values: list[float]) -> float:
    average = 0.0
    for t, value in enumerate(values):
        d = min(decay, (1 + t) / (10 + t))
        average = d * average + (1 - d) * value
    return average


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9, 0.999])
def test_average_in_closed_form(decay: float) -> None:
    ema = EMA(Walk(), decay=decay)
    phase = ema.phases()[0]
    for t in range(200):
        phase.step(BATCH, Clock(step=t))
    served = ema.served
    assert isinstance(served, Walk)
    assert served.weight.item() == pytest.approx(averages(decay, [t + 1.0 for t in range(200)]), rel=1e-4)
    assert int(served.count) == 200  # what is counted is copied, not averaged


def test_counts_over_all_phases_and_takes_over_what_a_start_sets() -> None:
    ema = EMA(Walk(), decay=0.999)
    first, second = ema.phases()
    for t in range(30):
        first.step(BATCH, Clock(step=t))
    assert second.start is not None
    second.start(SPLITS)
    assert isinstance(ema.served, Walk)
    assert ema.served.weight.item() == 100
    second.step(BATCH, Clock())
    assert ema.served.weight.item() == pytest.approx(100 + 1 - 31 / 40, rel=1e-5)  # d_30, not d_0


def test_training_is_what_it_would_be_without() -> None:
    data = Vectors(torch.rand(40, 6))

    def vae() -> VAE:
        torch.manual_seed(0)
        return VAE(6, latent=2, hidden=(8,))

    plain, wrapped = vae(), EMA(vae())
    for system in (plain, wrapped):
        torch.manual_seed(1)
        step = system.phases()[0].step
        for t in range(5):
            step(data, Clock(step=t))
    for ours, theirs in zip(wrapped.on.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert isinstance(wrapped.served, VAE)
    assert not torch.equal(wrapped.served.encode(data.x), plain.encode(data.x))


def test_takes_over_kind_metrics_and_phases() -> None:
    gan = GAN(2, latent=2, hidden=(4,), output="linear")
    ema = EMA(gan)
    assert (ema.kind, ema.metrics) == (gan.kind, gan.metrics)
    same = [replace(p, step=q.step, start=q.start) for p, q in zip(ema.phases(), gan.phases(), strict=True)]
    assert same == gan.phases()
    assert {"on.generator_optimizer", "on.discriminator_optimizer"} <= optimizers(ema).keys()


def test_settles_where_the_iterate_does_not() -> None:
    """Least squares with noisy gradients: the mean squared distance of the average from the optimum is far smaller."""

    class Noisy(Walk):
        def step(self, batch: Vectors, clock: Clock) -> Losses:
            gradient: Tensor = self.weight + torch.randn(1)
            self.weight.data -= 0.3 * gradient.detach()
            return {}

    torch.manual_seed(0)
    ema = EMA(Noisy(), decay=0.98)
    step, distances = ema.phases()[0].step, []
    for t in range(2000):
        step(BATCH, Clock(step=t))
        distances.append([float(next(s.parameters()).detach()) ** 2 for s in (ema.on, ema.served)])
    iterate, average = torch.tensor(distances[500:]).mean(0)
    assert average < 0.2 * iterate
