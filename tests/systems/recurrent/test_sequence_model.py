"""Next-step prediction: likelihoods in closed form, no look at the future, padding, continuing a sequence."""

from itertools import product
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, distributions
from torch.nn import functional as F

from etude.data.kinds import Sequences, Splits
from etude.nn.named import Block
from etude.systems.recurrent.sequence_model import SequenceModel
from etude.systems.system import Clock

LENGTHS = torch.tensor([5, 2, 4])


def model(features: int = 3, *, keys: bool = True, **arguments: Any) -> SequenceModel:
    torch.manual_seed(0)
    system = SequenceModel(features, **{"hidden": 4, **arguments})
    system.binary.fill_(keys)
    return system


def binary(n: int = 3, steps: int = 5, features: int = 3) -> Tensor:
    return torch.rand(n, steps, features, generator=torch.Generator().manual_seed(1)).round()


def test_probabilities_of_all_sequences_add_up_to_one() -> None:
    every = torch.tensor(list(product([0.0, 1.0], repeat=6))).view(64, 3, 2)
    assert float(model(2).score(every).exp().sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("keys", [True, False])
def test_score_is_the_likelihood_of_each_step_given_those_before(*, keys: bool) -> None:
    system, x = model(keys=keys), binary()
    system.logvar.data.copy_(torch.tensor([0.3, -1.0, 0.0]))
    total = torch.zeros(3)
    for t in range(5):
        before = torch.cat([torch.zeros(3, 1, 3), x[:, :t]], 1)
        a = system.reader.output(system.reader.block(before)[0][:, -1])
        if keys:
            law: Any = distributions.Bernoulli(logits=a)
        else:
            law = distributions.Normal(a, (0.5 * system.logvar).exp())
        inside = t < LENGTHS
        total += law.log_prob(x[:, t]).sum(1).detach() * inside
        mean = system.predict(x, LENGTHS)[:, t]
        torch.testing.assert_close(mean * inside[:, None], law.mean.detach() * inside[:, None])
    torch.testing.assert_close(system.score(x, LENGTHS), total)


@pytest.mark.parametrize("name", get_args(Block))
def test_padding_never_changes_a_result(name: Block) -> None:
    system, x = model(block=name, layers=2), binary()
    times = torch.rand(3, 5, generator=torch.Generator().manual_seed(2)).cumsum(1)
    elapsed = Sequences(x, LENGTHS, times=times).elapsed
    assert elapsed is not None
    longer = F.pad(x, (0, 0, 0, 3), value=7.0)
    torch.testing.assert_close(system.score(longer, LENGTHS, F.pad(elapsed, (0, 3))), system.score(x, LENGTHS, elapsed))
    alone = [system.score(x[i : i + 1, :n], None, elapsed[i : i + 1, :n]) for i, n in enumerate(LENGTHS.tolist())]
    torch.testing.assert_close(system.score(x, LENGTHS, elapsed), torch.cat(alone))


def test_a_step_is_one_over_all_true_steps() -> None:
    system, x = model(), binary()
    expected = -float(system.score(x, LENGTHS).sum()) / 11
    assert float(system.step(Sequences(x, LENGTHS), Clock())["loss"]) == pytest.approx(expected, rel=1e-5)


def test_a_continuation_knows_what_came_before() -> None:
    system = model(1, rate=0.05, hidden=8)
    ones, zeros = torch.ones(20, 6, 1), torch.zeros(20, 6, 1)
    batch = Sequences(torch.cat([ones, zeros]), torch.full((40,), 6))
    splits = Splits(batch, batch, batch)
    system.begin(splits)
    for t in range(150):
        system.step(batch, Clock(t))
    torch.manual_seed(0)
    assert system.sample(20, begun=ones).shape == (20, 6, 1)
    assert system.sample(20, 4, ones).mean() > 0.9
    assert system.sample(20, 4, zeros).mean() < 0.1
    alike = system.sample(200)
    assert ((alike == alike[:, :1]).float().mean()) > 0.9  # all ones or all zeros, about half of each
    assert 0.3 < alike.mean() < 0.7


def test_samples_step_by_step_are_those_of_the_whole_sequence() -> None:
    """A Gaussian of no width: each sample is what `predict` says after those before it."""
    system = model(keys=False, layers=2)
    system.logvar.data.fill_(-60)
    x = system.sample(2, 7)
    torch.testing.assert_close(system.predict(x), x)
    more = system.sample(2, 3, x[:, :4])
    torch.testing.assert_close(more, x[:, 4:])


@pytest.mark.parametrize(
    ("x", "keys"),
    [
        (binary(), True),
        ((255 * binary()).byte(), True),
        (torch.zeros(3, 5, 3), True),
        (5 * binary(), False),
        (-binary(), False),
        (binary() / 2 + 0.5, False),
        (binary().byte(), False),
    ],
)
def test_zeros_and_ones_alone_are_keys(x: Tensor, *, keys: bool) -> None:
    batch, system = Sequences(x, LENGTHS), model(keys=not keys)
    system.begin(Splits(batch, batch, batch))
    assert bool(system.binary) == keys
