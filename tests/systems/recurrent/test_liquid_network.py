"""Liquid network: one protocol for all blocks, losses over true steps, clipped weights, choice by validation."""

from typing import Any, get_args

import pytest
import torch
from torch.nn import functional as F

from etude.data.kinds import Sequences, Splits
from etude.errors import InputError
from etude.metrics.sequences import accuracy, f1, mean_squared_error
from etude.nn.named import Block
from etude.systems.recurrent.liquid_network import LiquidNetwork
from etude.systems.system import Clock

BLOCKS = get_args(Block)
LENGTHS = torch.tensor([5, 2, 4])


def some(target: str, padding: int = 0) -> Sequences:
    generator = torch.Generator().manual_seed(0)
    inside = torch.arange(5) < LENGTHS[:, None]
    x = torch.randn(3, 5, 2, generator=generator) * inside[:, :, None]
    y = {
        "class": torch.tensor([0, 1, 1]),
        "classes": torch.randint(2, (3, 5), generator=generator).where(inside, -1),
        "number": torch.randn(3, 4, generator=generator),
        "numbers": torch.randn(3, 5, 4, generator=generator),
    }[target]
    if padding:
        x = F.pad(x, (0, 0, 0, padding))
        if target == "classes":
            y = F.pad(y, (0, padding), value=-1)
        if target == "numbers":
            y = F.pad(y, (0, 0, 0, padding), value=9.0)
    return Sequences(x, LENGTHS, y, classes=("no", "yes") if y.ndim < 3 and not y.is_floating_point() else ())


def network(target: str = "classes", **arguments: Any) -> LiquidNetwork:
    torch.manual_seed(0)
    classes = 2 if target.startswith("class") else None
    return LiquidNetwork(2, classes or 4, classes, **{"hidden": 4, "unfolds": 2, **arguments})


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("target", ["class", "classes", "number", "numbers"])
def test_padding_never_changes_a_result(name: Block, target: str) -> None:
    short, long = network(target, block=name), network(target, block=name)
    losses = [each.step(some(target, padding), Clock())["loss"] for each, padding in ((short, 0), (long, 3))]
    torch.testing.assert_close(losses[0], losses[1])
    for one, other in zip(short.parameters(), long.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    said = short.predict(some(target).x, LENGTHS)
    assert said.shape == {"class": (3, 2), "classes": (3, 5, 2), "number": (3, 4), "numbers": (3, 5, 4)}[target]


def test_losses_are_means_over_true_steps() -> None:
    numbers, classes = some("numbers"), some("classes")
    assert numbers.y is not None
    assert classes.y is not None
    system = network("numbers")
    output = system.reader.output(system.reader.block(numbers.x, lengths=LENGTHS)[0])
    errors = [(output[n, t] - numbers.y[n, t]).square().mean() for n in range(3) for t in range(int(LENGTHS[n]))]
    assert float(system.step(numbers, Clock())["loss"]) == pytest.approx(torch.stack(errors).mean().item(), rel=1e-5)
    system = network("classes", class_weights=(0.1, 1.6))
    logits = system.reader.output(system.reader.block(classes.x, lengths=LENGTHS)[0])
    total, weight = 0.0, 0.0
    for n in range(3):
        for t in range(int(LENGTHS[n])):
            y = int(classes.y[n, t])
            total -= (0.1, 1.6)[y] * float(logits[n, t].log_softmax(0)[y])
            weight += (0.1, 1.6)[y]
    assert float(system.step(classes, Clock())["loss"]) == pytest.approx(total / weight, rel=1e-5)


def test_rates_are_those_of_the_authors_code() -> None:
    rates = {name: network(block=name).optimizer.param_groups[0]["lr"] for name in BLOCKS}
    assert rates.pop("ltc") == 0.01
    assert set(rates.values()) == {0.001}
    assert network(rate=0.5).optimizer.param_groups[0]["lr"] == 0.5


def test_weights_of_an_ltc_are_clipped_after_every_update() -> None:
    system = network(rate=10.0)
    layer: Any = system.reader.block.layers[0]
    system.step(some("classes"), Clock())
    for conductance in (layer.sensory.w, layer.recurrent.w, layer.leak):
        assert float(conductance.detach().min()) == pytest.approx(1e-5)  # a step of 10 goes far below 0 otherwise
    assert float(layer.capacitance.detach().min()) == pytest.approx(1e-6)


def test_metrics_follow_from_the_targets() -> None:
    assert network("numbers").metrics == (mean_squared_error,)
    assert network("classes").metrics == (accuracy, f1)
    assert LiquidNetwork(2, 3, 3).metrics == (accuracy,)


@pytest.mark.parametrize("target", ["classes", "numbers"])
def test_the_best_pass_is_taken(target: str) -> None:
    system, batch = network(target, rate=0.1), some(target)
    splits = Splits(batch, batch, batch)
    train, choose = system.phases()
    assert train.done is not None
    assert choose.start is not None
    metric, values = system.metrics[-1], []
    for t in range(8):
        train.step(batch, Clock(t))
        assert not train.done(splits)
        values.append(metric(system, batch))
    choose.start(splits)
    best = max(values) if target == "classes" else min(values)
    assert metric(system, batch) == pytest.approx(best, rel=1e-6)


def test_as_many_weights_as_classes() -> None:
    with pytest.raises(InputError, match="2 classes, give a weight for each"):
        network(class_weights=(1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="0 classes"):
        network("numbers", class_weights=(1.0,))
