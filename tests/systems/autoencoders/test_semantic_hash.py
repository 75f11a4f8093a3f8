"""Semantic hashing: the loss by hand, what the bits are, and that noise hardly changes them."""

from typing import Any

import pytest
import torch

from etude.data.kinds import Images, Splits
from etude.systems.autoencoders.semantic_hash import SemanticHash
from etude.systems.system import Clock


def pictures(count: int) -> Images:
    """Coarse random pictures (count, 1, 8, 8) in [0, 1]."""
    coarse = torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return Images(coarse.repeat_interleave(2, 2).repeat_interleave(2, 3))


def system(**asked: Any) -> SemanticHash:
    torch.manual_seed(0)
    return SemanticHash(1, 8, 8, bits=24, dropout=0.0, rate=5e-3, **asked)


def test_layers_are_those_of_the_paper() -> None:
    shapes = [tuple(p.shape) for p in SemanticHash(3, 32, 32).parameters()]
    assert shapes == [(128, 3072), (128,), (3072, 128), (3072,)]


def test_loss_is_the_squared_error_of_the_clean_picture() -> None:
    one, batch = system(noise=0.0), pictures(10)
    with torch.no_grad():
        w, b, v, c = one.parameters()
        z = ((batch.x - one.mean).flatten(1) @ w.T + b).clamp(min=0)
        restored = torch.sigmoid(z @ v.T + c)
        expected = (restored - batch.x.flatten(1)).square().sum(1).mean()
    torch.testing.assert_close(one.step(batch, Clock())["loss"], expected)


def test_noise_is_added_to_what_it_sees_and_not_to_what_it_is_to_restore() -> None:
    noisy, clean = system(noise=0.5), system(noise=0.0)
    batch = pictures(10)
    seen = []
    noisy.encoder.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))
    noisy.step(batch, Clock())
    clean.step(batch, Clock())
    added = seen[0] + noisy.mean - batch.x
    assert float(added.std()) == pytest.approx(0.5, rel=0.1)
    assert float(added.mean()) == pytest.approx(0, abs=0.1)


def test_bits_say_which_units_are_on() -> None:
    one, x = system(), pictures(10).x
    assert one.hash(x).dtype == torch.bool
    assert torch.equal(one.hash(x), one.encode(x) > 0)
    assert not one.hash(x).all()


def test_pictures_are_centred_on_the_mean_of_the_training_split() -> None:
    one, data = system(), pictures(30)
    one.centre(Splits(data, data[:1], data[:1]))
    torch.testing.assert_close(one.mean, data.x.mean(0))
    as_bytes = Images((data.x * 255).round().to(torch.uint8))
    one.centre(Splits(as_bytes, as_bytes, as_bytes))
    torch.testing.assert_close(one.mean, data.x.mean(0), atol=2e-3, rtol=0)


def test_a_little_noise_turns_fewer_bits_than_another_picture() -> None:
    one, data = system(), pictures(100)
    one.centre(Splits(data, data, data))
    for at in range(200):
        one.step(data, Clock(at))
    bits, noisy = one.hash(data.x), one.hash(data.x + 0.02 * torch.randn_like(data.x))
    turned, apart = (bits ^ noisy).sum(1), (bits[:, None] ^ bits).sum(2)
    assert float(turned.double().mean()) < 1
    assert float(apart.double().mean()) > 8
