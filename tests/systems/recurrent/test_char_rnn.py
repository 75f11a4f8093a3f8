"""char-rnn: its loss against a network read one symbol at a time, its draws, and the defaults of train.lua."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from etude.data.kinds import Symbols
from etude.metrics.symbols import bits_per_character
from etude.systems.recurrent.char_rnn import CharRNN, draw
from etude.systems.system import Clock


def small(**more: Any) -> CharRNN:
    torch.manual_seed(0)
    return CharRNN(5, **{"units": 6, "layers": 2, **more})


def batch() -> Symbols:
    x = torch.randint(5, (4, 9), generator=torch.Generator().manual_seed(0))
    return Symbols(x, torch.tensor([9, 5, 2, 7]), tuple("abcde"))


def one_by_one(system: CharRNN, row: Tensor) -> Tensor:
    """log p of a string after its first symbol, its symbols read one at a time."""
    total, states = torch.tensor(0.0), None
    for now, following in pairwise(row):
        scores, states = system.network(now.view(1, 1), states)
        total = total + F.log_softmax(scores[0, 0], 0)[following]
    return total


@pytest.mark.parametrize("block", ["lstm", "gru"])
def test_score_is_that_of_symbols_read_one_by_one_and_padding_changes_nothing(block: str) -> None:
    system, given = small(block=block), batch()
    rows = zip(given.x, given.lengths.tolist(), strict=True)
    expected = torch.stack([one_by_one(system, row[:length]) for row, length in rows])
    torch.testing.assert_close(system.score(given.x, given.lengths), expected.detach())
    changed = given.x.clone()
    changed[1, 5:] = changed[2, 2:] = 4
    torch.testing.assert_close(system.score(changed, given.lengths), expected.detach())


def test_loss_is_the_mean_over_all_symbols_to_guess() -> None:
    system, given = small(), batch()
    expected = -system.score(given.x, given.lengths).sum() / (8 + 4 + 1 + 6)
    assert float(system.step(given, Clock())["loss"]) == pytest.approx(float(expected), rel=1e-6)


def test_a_network_that_knows_nothing_takes_log2_k_bits() -> None:
    system = small()
    torch.nn.init.zeros_(system.network.scores.weight)
    torch.nn.init.zeros_(system.network.scores.bias)
    assert bits_per_character(system, batch()) == pytest.approx(torch.log2(torch.tensor(5.0)).item(), rel=1e-6)


def test_draws_follow_the_scores_at_a_temperature() -> None:
    torch.manual_seed(0)
    scores = torch.tensor([0.0, 1.0, 2.0]).repeat(20_000, 1)
    for temperature in (0.5, 1.0, 3.0):
        drawn = torch.bincount(draw(scores, temperature)[:, 0], minlength=3) / len(scores)
        torch.testing.assert_close(drawn, F.softmax(scores[0] / temperature, 0), atol=0.015, rtol=0)
    assert (draw(scores, 0.0) == 2).all()


@pytest.mark.parametrize("block", ["lstm", "gru"])
def test_completing_carries_the_state_over(block: str) -> None:
    """At temperature 0 it adds what the likeliest symbol is, each time after the whole string read again."""
    system = small(block=block)
    for parameter in system.parameters():
        torch.nn.init.normal_(parameter, std=3)
    torch.nn.init.zeros_(system.network.scores.bias)
    x = batch().x[:, :3]
    whole = x
    for _ in range(10):
        whole = torch.cat([whole, system.network(whole)[0][:, -1].argmax(1, keepdim=True)], 1)
    assert torch.equal(system.complete(x, 10, 0.0), whole[:, 3:])
    assert len(whole[:, 3:].unique()) > 1


def test_weights_begin_as_in_train_lua() -> None:
    system = small(units=64)
    for layer in system.network.layers:
        inner: Any = layer.get_submodule("layers.0")
        assert (inner.b[2] == 1).all()  # forget gates
        rest = torch.cat([inner.W.flatten(), inner.R.flatten(), inner.b[[0, 1, 3]].flatten()])
        assert 0.079 < rest.abs().max() <= 0.08
        assert inner.p is None  # no peepholes
        assert rest.std().item() == pytest.approx(0.16 / 12**0.5, rel=0.02)


def test_rate_falls_from_the_tenth_pass_on(monkeypatch: pytest.MonkeyPatch) -> None:
    system = small()
    rates = []
    for epoch in (0, 9, 10, 11, 49):
        system.step(batch(), Clock(epoch=epoch))
        rates.append(system.optimizer.param_groups[0]["lr"] / 2e-3)
    assert rates == pytest.approx([1, 1, 0.97, 0.97**2, 0.97**40])
    assert system.optimizer.param_groups[0]["alpha"] == 0.95


def test_gradients_are_cut_entry_by_entry() -> None:
    system, free = small(clip=1e-3), small(clip=1e9)
    system.step(batch(), Clock())
    free.step(batch(), Clock())
    for cut, whole in zip(system.parameters(), free.parameters(), strict=True):
        assert cut.grad is not None
        assert whole.grad is not None
        torch.testing.assert_close(cut.grad, whole.grad.clamp(-1e-3, 1e-3))
    assert max(float(p.grad.abs().max()) for p in free.parameters() if p.grad is not None) > 1e-3


def test_dropout_is_for_training_alone() -> None:
    system = small(dropout=0.5)
    given = batch()
    assert not torch.equal(system.train().score(given.x), system.score(given.x))
    assert torch.equal(system.eval().score(given.x), system.score(given.x))
