"""Sequence to sequence: padding, batches, teacher forcing, loss, beam search, attention."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.data.kinds import BEGIN, END, PAD, TextPairs
from etude.systems.recurrent.seq2seq import Seq2Seq
from etude.systems.system import Clock

SOURCES = [[4, 5, 6, END], [6, END], [5, 5, 4, 7, END]]
TARGETS = [[BEGIN, 4, END], [BEGIN, 5, 4, 6, END], [BEGIN, 6, 6, END]]
SIZES = {"embedding": 5, "hidden": 6, "spread": 0.5}
FORMS: list[dict[str, Any]] = [
    {"block": block, "attention": attention, "bidirectional": both, "reverse": not both, "layers": layers}
    for block, attention, both, layers in (
        ("lstm", "none", False, 2),
        ("gru", "none", True, 1),
        ("gru", "bahdanau", True, 2),
        ("lstm", "bahdanau", False, 1),
        ("lstm", "luong", True, 2),
        ("gru", "luong", False, 1),
    )
]
every_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form.values())))


def built(words: int = 8, **form: Any) -> Seq2Seq:
    torch.manual_seed(0)
    return Seq2Seq(8, words, **{"layers": 1, **SIZES, **form})


def padded(rows: list[list[int]], steps: int = 0) -> Tensor:
    longest = max(steps, *map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


def batch(sources: list[list[int]] = SOURCES, targets: list[list[int]] = TARGETS, more: int = 0) -> TextPairs:
    x, target = (padded(rows, max(map(len, rows)) + more) for rows in (sources, targets))
    words = tuple("pbeuabcd")
    return TextPairs(x, (x != PAD).sum(1), target, (target != PAD).sum(1), words, words)


def listened(system: Seq2Seq, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Every word that the decoder reads from now on."""
    decoder, read = system.decoder.forward, list[Tensor]()

    def forward(word: Tensor, *more: Any) -> Any:
        read.append(word)
        return decoder(word, *more)

    monkeypatch.setattr(system.decoder, "forward", forward)
    return read


def likelihood(system: Seq2Seq, source: list[int], said: list[int]) -> list[float]:
    """log p of each word, from a source alone, said word by word."""
    outer, state = system.read(torch.tensor([source]))
    found, before = [], BEGIN
    for word in said:
        h, state, _ = system.decoder(torch.tensor([before]), state, outer)
        found.append(float(torch.log_softmax(system.decoder.output(h), 1)[0, word]))
        before = word
    return found


@every_form
@torch.no_grad()
def test_neither_padding_nor_its_neighbours_change_a_pair(form: dict[str, Any]) -> None:
    system = built(**form).double()
    together, wide = batch(), batch(more=4)
    losses, said = system.word_losses(together.x, together.target), system.translate(together.x, 3)
    torch.testing.assert_close(system.word_losses(wide.x, wide.target)[:, :4], losses)
    assert torch.equal(system.translate(wide.x, 3), said)
    for place, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        x, y = torch.tensor([source]), torch.tensor([target])
        torch.testing.assert_close(system.word_losses(x, y)[0], losses[place, : len(target) - 1])
        assert (losses[place, len(target) - 1 :] == 0).all()
        assert torch.equal(system.translate(x, 3)[0], said[place])


@every_form
def test_padding_changes_no_update(form: dict[str, Any]) -> None:
    systems = [built(**form).double() for _ in range(2)]
    for system, more in zip(systems, (0, 4), strict=True):
        system.step(batch(more=more), Clock())
    for name, weights in systems[0].state_dict().items():
        torch.testing.assert_close(systems[1].state_dict()[name], weights, msg=name)


@every_form
def test_loss_is_torchs_cross_entropy_without_padding(form: dict[str, Any]) -> None:
    system, pairs = built(**form), batch()
    with torch.no_grad():
        h, _ = system.follow(pairs.x, pairs.target)
        logits, truth = system.decoder.output(h).flatten(0, 1), pairs.target[:, 1:].flatten()
        expected = F.cross_entropy(logits, truth, ignore_index=PAD)
        one_by_one = [likelihood(system, s, t[1:]) for s, t in zip(SOURCES, TARGETS, strict=True)]
    losses = system.step(pairs, Clock())
    assert float(losses["per_word"]) == pytest.approx(float(expected), rel=1e-5)
    total = -sum(map(sum, one_by_one))
    assert float(losses["per_word"]) == pytest.approx(total / 9, rel=1e-5)
    assert float(losses["loss"]) == pytest.approx(total / 3, rel=1e-5)  # 1/|S| sum log p(T | S)


def test_first_word_read_is_begin_and_the_true_ones_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    system, pairs = built(attention="luong"), batch()
    read = listened(system, monkeypatch)
    system.follow(pairs.x, pairs.target, 1.0)
    assert torch.equal(torch.stack(read, 1), pairs.target[:, :-1])
    read.clear()
    system.translate(pairs.x, 1)
    assert (read[0] == BEGIN).all()


@torch.no_grad()
def test_free_running_reads_what_it_wrote_and_not_the_target() -> None:
    system, pairs = built(attention="bahdanau"), batch()
    other = pairs.target.clone()
    other[:, 1:3] = 7
    forced, free = ([system.follow(pairs.x, y, share)[0] for y in (pairs.target, other)] for share in (1.0, 0.0))
    torch.testing.assert_close(free[0], free[1], rtol=0, atol=0)
    torch.testing.assert_close(forced[0][:, 0], forced[1][:, 0])
    assert not torch.allclose(forced[0][:, 1:], forced[1][:, 1:])
    own = torch.cat([pairs.target[:, :1], system.decoder.output(free[0]).argmax(2)], 1)
    torch.testing.assert_close(system.follow(pairs.x, own)[0], free[0])


@torch.no_grad()
def test_a_share_between_reads_that_share_of_true_words(monkeypatch: pytest.MonkeyPatch) -> None:
    system = built()
    target = torch.full((400, 12), 4)
    system.decoder.output.bias[5] = 100.0  # its own word is always 5
    read = listened(system, monkeypatch)
    system.follow(torch.tensor([[4, END]]).repeat(400, 1), target, 0.3)
    share = (torch.stack(read[1:]) == 4).double().mean()
    assert float(share) == pytest.approx(0.3, abs=0.03)


def test_forcing_and_rate_are_functions_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    system, shares, rates = built(forcing=1.0, last_forcing=0.5, rate=0.64), list[float](), list[float]()
    follow = system.follow

    def noted(x: Tensor, target: Tensor, share: float) -> Any:
        shares.append(share)
        return follow(x, target, share)

    monkeypatch.setattr(system, "follow", noted)
    for progress in (0.0, 0.5, 0.99):
        system.step(batch(), Clock(progress=progress))
        rates.append(system.optimizer.param_groups[0]["lr"])
    assert shares == [1.0, 0.75, pytest.approx(0.505)]
    assert rates == [0.64, 0.64, 0.64 / 2**5]  # passes 5, 5.5, 6, 6.5 and 7 of 7.5 halve it


@every_form
@torch.no_grad()
def test_a_wide_beam_finds_the_best_of_all_translations(form: dict[str, Any]) -> None:
    system = built(6, longest=3, **form)  # unknown, a and b can be said
    ended = [[*said, END] for count in range(3) for said in product((3, 4, 5), repeat=count)]
    every = ended + [list(said) for said in product((3, 4, 5), repeat=3)]
    found = system.translate(batch().x, 60)
    for place, source in enumerate(SOURCES):
        log_p = [likelihood(system, source, said) for said in every]
        best = max(range(len(every)), key=lambda at: sum(log_p[at]) / len(log_p[at]))
        assert found[place].tolist() == every[best] + [PAD] * (3 - len(every[best]))


@every_form
@torch.no_grad()
def test_a_beam_of_one_is_greedy(form: dict[str, Any]) -> None:
    system = built(longest=6, **form)
    found = system.translate(batch().x, 1)
    for place, source in enumerate(SOURCES):
        outer, state = system.read(torch.tensor([source]))
        word, said = BEGIN, list[int]()
        while len(said) < 6 and word != END:
            h, state, _ = system.decoder(torch.tensor([word]), state, outer)
            word = END + int(system.decoder.output(h)[0, END:].argmax())
            said.append(word)
        assert found[place].tolist() == said + [PAD] * (6 - len(said))


@every_form
@torch.no_grad()
def test_attention_sees_true_words_in_their_own_places(form: dict[str, Any]) -> None:
    system, pairs = built(**form), batch()
    weights = system.alignment(pairs.x, pairs.target)
    if form["attention"] == "none":
        assert weights is None
        return
    assert weights is not None
    torch.testing.assert_close(weights.sum(2), torch.ones(3, 4))
    assert (weights.transpose(1, 2)[pairs.x == PAD] == 0).all()
    keys = system.read(pairs.x)[0].keys
    changed = pairs.x.clone()
    changed[0, 0] = 7  # the first word's key follows it, wherever the encoder begins
    assert (system.read(changed)[0].keys - keys)[0, 0].abs().max() > 0.01
    unread = 1 if form["reverse"] else None  # read backwards, words after the first do not know of it
    if unread:
        torch.testing.assert_close(system.read(changed)[0].keys[0, 1:], keys[0, 1:])


@torch.no_grad()
def test_reverse_reads_the_source_from_its_end() -> None:
    forwards, backwards = (built(reverse=reverse) for reverse in (False, True))
    turned = padded([row[::-1] for row in SOURCES])
    for a, b in zip(forwards.read(turned)[1], backwards.read(padded(SOURCES))[1], strict=True):
        torch.testing.assert_close(a, b)


def test_weights_are_drawn_within_the_papers_range() -> None:
    weights = torch.cat([p.detach().flatten() for p in built(spread=0.08, hidden=30).parameters()])
    assert 0.078 < float(weights.abs().max()) <= 0.08
    assert float(weights.std()) == pytest.approx(0.08 / 3**0.5, rel=0.05)


def test_gradients_are_clipped_by_their_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    system = built(clip=1e-3)
    monkeypatch.setattr(system.optimizer, "step", lambda: None)
    system.step(batch(), Clock())
    norm = nn.utils.get_total_norm([p.grad for p in system.parameters() if p.grad is not None])
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("attention", ["none", "bahdanau", "luong"])
def test_the_course_of_training_is_the_same_under_autocast(attention: Any) -> None:
    system = built(attention=attention)
    with torch.autocast("cpu", torch.bfloat16):
        before = system.step(batch(), Clock())["loss"]
        for _ in range(20):
            after = system.step(batch(), Clock())["loss"]
        assert system.translate(batch().x, 2).shape == (3, 50)
    assert float(after) < float(before)
