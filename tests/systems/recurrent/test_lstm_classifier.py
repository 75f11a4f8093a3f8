"""LSTM classifier: padding, labels of sequences and of steps, both directions, clipping and penalties."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from etude.data.kinds import Sequences, Splits
from etude.errors import InputError
from etude.metrics.sequences import cross_entropy
from etude.nn.named import Block, block
from etude.nn.orthogonal import recurrent_matrices
from etude.systems.recurrent.lstm_classifier import (
    LSTMClassifier,
    Reader,
    limit_by_value,
    scale_to_unit_length,
    squares,
)
from etude.systems.system import Clock, descend

BLOCKS = get_args(Block)
LENGTHS = torch.tensor([6, 3, 1, 5])


def some(labels: str = "steps", padding: int = 0) -> Sequences:
    generator = torch.Generator().manual_seed(0)
    x, times = torch.randn(4, 6, 2, generator=generator), torch.rand(4, 6, generator=generator).cumsum(1)
    inside = torch.arange(6) < LENGTHS[:, None]
    y = torch.randint(3, (4, 6), generator=generator).where(inside, -1) if labels == "steps" else torch.arange(4) % 3
    x, times = x * inside[:, :, None], times * inside
    if padding:
        x, times = (nn.functional.pad(each, (0, 0) * (each.ndim - 2) + (0, padding)) for each in (x, times))
        y = nn.functional.pad(y, (0, padding), value=-1) if labels == "steps" else y
    return Sequences(x, LENGTHS, y, times, ("a", "b", "c"))


def system(seed: int = 0, **arguments: Any) -> LSTMClassifier:
    torch.manual_seed(seed)
    return LSTMClassifier(2, 3, **{"hidden": 5, **arguments})


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("labels", ["steps", "sequences"])
def test_padding_never_changes_a_result(name: Block, labels: str) -> None:
    short, long = (system(block=name, layers=2) for _ in range(2))
    a, b = some(labels), some(labels, padding=4)
    for each, batch in ((short, a), (long, b)):
        each.step(batch, Clock())
        each.step(batch, Clock(1))
    for one, other in zip(short.parameters(), long.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    said = [each.classify(batch.x, batch.lengths, batch.elapsed) for each, batch in ((short, a), (short, b))]
    torch.testing.assert_close(said[1][:, :6] if labels == "steps" else said[1], said[0])
    garbage = b.x + 100 * (torch.arange(10) >= LENGTHS[:, None])[:, :, None]
    again = short.classify(garbage, b.lengths, b.elapsed)
    inside = torch.arange(10)[None] < LENGTHS[:, None]
    if labels == "steps":
        torch.testing.assert_close(again * inside[:, :, None], said[1] * inside[:, :, None])
    else:
        torch.testing.assert_close(again, said[1])


@pytest.mark.parametrize("name", BLOCKS)
def test_sequences_do_not_see_one_another(name: Block) -> None:
    tagger, batch = system(block=name), some()
    tagger.step(batch, Clock())
    together = tagger.classify(batch.x, batch.lengths, batch.elapsed)
    for place, length in enumerate(LENGTHS.tolist()):
        elapsed = batch.elapsed
        assert elapsed is not None
        one = slice(place, place + 1)
        alone = tagger.classify(batch.x[one, :length], elapsed=elapsed[one, :length])
        torch.testing.assert_close(together[one, :length], alone)


def test_only_a_second_direction_sees_the_future() -> None:
    batch = some()
    changed = batch.x.clone()
    changed[0, 4:] += 1
    for bidirectional in (False, True):
        tagger = system(bidirectional=bidirectional)
        tagger.step(batch, Clock())
        said = [tagger.classify(x, batch.lengths) for x in (batch.x, changed)]
        assert torch.equal(said[0][0, :4], said[1][0, :4]) != bidirectional
        assert not torch.equal(said[0][0, 4:], said[1][0, 4:])


def test_a_whole_sequence_is_read_where_each_direction_ends() -> None:
    torch.manual_seed(0)
    reader = Reader(block("gru", 2, 5, bidirectional=True), 3)
    assert reader.output.in_features == 10
    x = some().x
    unit = nn.GRU(2, 5, batch_first=True, bidirectional=True)
    for name, p in unit.named_parameters():
        layer: Any = reader.block.layers[int(name.endswith("_reverse"))]
        p.data = layer.unit.get_parameter(name.removesuffix("_reverse")).data
    packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    ends = unit(packed)[1]
    expected = reader.output(torch.cat([ends[0], ends[1]], 1))
    torch.testing.assert_close(reader(x, LENGTHS, None)[0], expected)


def test_what_the_labels_are_of_is_saved_with_the_weights() -> None:
    tagger = system()
    tagger.step(some("steps"), Clock())
    again = system(seed=1)
    again.load_state_dict(tagger.state_dict())
    x = some().x
    assert again.classify(x).shape == (4, 6, 3)
    assert torch.equal(again.classify(x), tagger.classify(x))


def test_steps_without_a_label_do_not_count() -> None:
    batch = some()
    y = batch.y
    assert y is not None
    y[0, :3] = -1
    tagger = system()
    logits = tagger.reader.output(tagger.reader.block(batch.x, lengths=LENGTHS, elapsed=batch.elapsed)[0])
    losses = [-logits[n, t].log_softmax(0)[y[n, t]] for n in range(4) for t in range(6) if y[n, t] >= 0]
    assert float(tagger.step(batch, Clock())["loss"]) == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


def gradients(tagger: LSTMClassifier) -> list[Tensor]:
    return [p.grad for p in tagger.reader.parameters() if p.grad is not None]


def test_gradients_are_clipped_by_value_and_by_norm() -> None:
    free, valued, normed = system(), system(clip_value=1e-3), system(clip_norm=1e-2)
    for tagger in (free, valued, normed):
        tagger.step(some(), Clock())
    for found, whole in zip(gradients(valued), gradients(free), strict=True):
        torch.testing.assert_close(found, whole.clamp(-1e-3, 1e-3))
    norm = nn.utils.get_total_norm(gradients(free))
    assert norm > 1e-2
    for found, whole in zip(gradients(normed), gradients(free), strict=True):
        torch.testing.assert_close(found, whole * 1e-2 / norm, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(
    ("given", "most", "expected"),
    [
        ([3.0, 4.0], None, [0.6, 0.8]),
        ([0.03, -0.04], None, [0.6, -0.8]),
        ([0.0, 0.0], None, [0.0, 0.0]),
        ([5.0, -8.0], 4.0, [0.5**0.5, -(0.5**0.5)]),
    ],
)
def test_a_gradient_is_scaled_to_unit_length_after_it_is_clipped(
    given: list[float], most: float | None, expected: list[float]
) -> None:
    one, other = (nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [one]}, {"params": [other]}], lr=1.0)
    if most is not None:
        limit_by_value(optimizer, most)
    scale_to_unit_length(optimizer)
    descend(optimizer, given[0] * one.sum() + given[1] * other.sum())
    torch.testing.assert_close(torch.cat([one, other]).detach(), -torch.tensor(expected))


def test_normalisation_keeps_the_direction_of_the_whole_gradient() -> None:
    free, scaled = system(), system(normalise=True)
    for tagger in (free, scaled):
        tagger.step(some(), Clock())
    norm = nn.utils.get_total_norm(gradients(free))
    torch.testing.assert_close(nn.utils.get_total_norm(gradients(scaled)), torch.tensor(1.0))
    for found, whole in zip(gradients(scaled), gradients(free), strict=True):
        torch.testing.assert_close(found, whole / norm)


@pytest.mark.parametrize("name", sorted(set(BLOCKS) - {"ltc"}))
def test_recurrent_weights_begin_orthogonal_where_asked(name: Block) -> None:
    for matrix in recurrent_matrices(system(block=name, layers=2, orthogonal=True).reader):
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(5), rtol=0, atol=1e-5)


def test_an_ltc_cannot_begin_orthogonal() -> None:
    with pytest.raises(InputError, match="LTC has no recurrent matrix that could be orthogonal"):
        system(block="ltc", orthogonal=True)


@pytest.mark.parametrize("part", ["kernel", "recurrent", "bias"])
def test_a_penalty_adds_twice_the_weights_to_their_gradient(part: str) -> None:
    penalty: dict[str, Any] = {f"{part}_penalty": 0.3}
    free, penalised = system(block="ctrnn"), system(block="ctrnn", **penalty)
    before = {name: p.detach().clone() for name, p in free.reader.named_parameters()}
    for tagger in (free, penalised):
        tagger.step(some(), Clock())
    ending = {"kernel": "input.weight", "recurrent": "recurrent.weight", "bias": "input.bias"}[part]
    for (name, p), q in zip(free.reader.named_parameters(), penalised.reader.parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        torch.testing.assert_close(q.grad, p.grad + 0.6 * before[name] * name.endswith(ending), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_matrix_and_bias_of_a_block_is_in_one_part(name: Block) -> None:
    unit = block(name, 2, 5)
    for part in ("kernel", "recurrent", *(() if name == "ltc" else ("bias",))):
        assert squares(unit, part) > 0
    if name == "ltc":
        with pytest.raises(InputError, match="no bias weights"):
            squares(unit, "bias")


def test_the_activity_penalty_is_a_mean_over_true_steps() -> None:
    free, penalised, batch = system(), system(activity_penalty=0.3), some()
    alone = [free.reader.block(batch.x[n : n + 1, :length])[0] for n, length in enumerate(LENGTHS.tolist())]
    activity = torch.stack([h.square().sum() for h in alone]).sum() / LENGTHS.sum()
    weights = list(free.reader.block.parameters())
    added = torch.autograd.grad(0.3 * activity, weights)
    for tagger in (free, penalised):
        tagger.step(batch, Clock())
    for p, q, expected in zip(weights, penalised.reader.block.parameters(), added, strict=True):
        assert p.grad is not None
        assert q.grad is not None
        torch.testing.assert_close(q.grad, p.grad + expected, rtol=1e-3, atol=1e-6)


def test_the_best_pass_is_taken_and_long_waiting_ends() -> None:
    tagger, batch = system(rate=0.1, patience=3), some()
    splits = Splits(batch, batch, batch)
    train, choose = tagger.phases()
    assert train.done is not None
    assert choose.start is not None
    losses = []
    for t in range(100):
        train.step(batch, Clock(t))
        losses.append(cross_entropy(tagger, batch))
        if train.done(splits):
            break
    choose.start(splits)
    assert cross_entropy(tagger, batch) == pytest.approx(min(losses), rel=1e-6)
    assert losses.index(min(losses)) == len(losses) - 4 or len(losses) == 100


def test_a_variant_of_no_lstm_is_one_line() -> None:
    with pytest.raises(InputError, match="the variants are of the LSTM"):
        system(block="gru", variant="NP")
