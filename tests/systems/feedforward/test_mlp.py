"""Multilayer perceptron: the rule of the paper, and what a hidden layer is for."""

from typing import Literal, get_args

import pytest
import torch
from torch import Tensor, nn

from etude.data import toy
from etude.data.kinds import Splits, Vectors
from etude.errors import InputError
from etude.functional.losses import LOSSES
from etude.nn.activations import ACTIVATIONS
from etude.systems.feedforward.mlp import MLP, Activation, Loss
from etude.systems.system import Clock


def xor() -> Vectors:
    data = toy.xor().train
    assert isinstance(data, Vectors)
    return data


def numbers(count: int = 200) -> Vectors:
    """y = sin 2x, a curve that no straight line follows."""
    x = torch.linspace(-2, 2, count)[:, None]
    return Vectors(x, torch.sin(2 * x))


def train(system: MLP, data: Vectors, steps: int) -> Tensor:
    return torch.stack([system.step(data, Clock(step=t))["loss"] for t in range(steps)])


def test_two_layers_learn_xor_and_one_does_not() -> None:
    data = xor()
    torch.manual_seed(0)
    two, one = MLP(2, 2, hidden=(8,), activation="tanh"), MLP(2, 2, hidden=())
    train(two, data, 500)
    loss = train(one, data, 500)[-1]
    assert data.y is not None
    assert (two.classify(data.x).argmax(1) == data.y).all()
    assert float(loss) == pytest.approx(0.6931, abs=1e-3)  # log 2: a straight line says nothing about XOR
    torch.testing.assert_close(one.classify(data.x), torch.full((4, 2), 0.5), atol=0.02, rtol=0)


def test_step_is_equation_9_with_weight_decay() -> None:
    data = xor()
    assert data.y is not None
    torch.manual_seed(0)
    system = MLP(2, 2, hidden=(3,), rate=0.1, momentum=0.9, weight_decay=0.01)
    weights = [p.detach().clone() for p in system.parameters()]
    changes = [torch.zeros_like(w) for w in weights]
    for t in range(5):
        w, b, v, c = (weight.requires_grad_() for weight in weights)
        output = torch.sigmoid(data.x @ w.T + b) @ v.T + c  # (1), (2)
        error = -output.log_softmax(1).gather(1, data.y[:, None]).mean()
        gradients = torch.autograd.grad(error, weights)
        with torch.no_grad():
            pairs = zip(weights, changes, gradients, strict=True)
            changes = [-0.1 * (gradient + 0.01 * weight) + 0.9 * change for weight, change, gradient in pairs]
            weights = [weight + change for weight, change in zip(weights, changes, strict=True)]
        system.step(data, Clock(step=t))
    for ours, theirs in zip(system.parameters(), weights, strict=True):
        torch.testing.assert_close(ours.detach(), theirs)


def test_choices_are_all_there_are() -> None:
    assert set(get_args(Activation)) == {*ACTIVATIONS, "maxout"}
    assert set(get_args(Loss)) == set(LOSSES)


@pytest.mark.parametrize("activation", [name for name in get_args(Activation) if name != "identity"])
def test_every_activation_learns_moons(activation: Activation) -> None:
    data = toy.moons().train
    assert isinstance(data, Vectors)
    torch.manual_seed(0)
    system = MLP(2, 2, hidden=(24,), activation=activation)
    train(system, data, 200)
    assert data.y is not None
    assert (system.classify(data.x).argmax(1) == data.y).double().mean() >= 0.85


def test_radial_units_learn_circles() -> None:
    data = toy.circles().train
    assert isinstance(data, Vectors)
    torch.manual_seed(0)
    system = MLP(2, 2, hidden=(16,), units="radial", rate=0.5)
    train(system, data, 300)
    assert data.y is not None
    assert (system.classify(data.x).argmax(1) == data.y).double().mean() > 0.99


@pytest.mark.parametrize("loss", ["mse", "l1", "huber", "smooth_l1", "charbonnier"])
def test_every_loss_between_numbers_learns_a_curve(loss: Loss) -> None:
    data = numbers()
    assert data.y is not None
    torch.manual_seed(0)
    system = MLP(1, 1, hidden=(32,), activation="tanh", loss=loss, rate=0.02)
    train(system, data, 600)
    assert (system.predict(data.x) - data.y).abs().mean() < 0.4 * data.y.abs().mean()


@pytest.mark.parametrize("loss", get_args(Loss))
def test_every_loss_tells_blobs_apart(loss: Loss) -> None:
    data = toy.blobs().train
    assert isinstance(data, Vectors)
    torch.manual_seed(0)
    system = MLP(2, 3, hidden=(16,), activation="tanh", loss=loss)
    train(system, data, 150)
    assert data.y is not None
    assert (system.classify(data.x).argmax(1) == data.y).double().mean() > 0.95


@pytest.mark.parametrize(("smoothing", "wrong"), [("uniform", 0.3 / 4), ("off-target", 0.3 / 3)])
def test_smoothed_labels_are_what_the_outputs_settle_at(smoothing: str, wrong: float) -> None:
    data = Vectors(torch.eye(4), torch.arange(4), ("a", "b", "c", "d"))
    torch.manual_seed(0)
    system = MLP(4, 4, hidden=(), label_smoothing=0.3, smoothing=smoothing, rate=1.0)  # type: ignore[arg-type]
    train(system, data, 400)
    off = system.classify(data.x)[~torch.eye(4, dtype=torch.bool)]
    torch.testing.assert_close(off, torch.full((12,), wrong), atol=1e-4, rtol=0)


def test_mistakes_are_one_line() -> None:
    with pytest.raises(InputError, match="leave it out"):
        MLP(2, 2, loss="hinge", label_smoothing=0.1)
    data = numbers()
    with pytest.raises(InputError, match="--loss mse"):
        MLP(1, 1).check(Splits(data, data, data))
    MLP(1, 1, loss="mse").check(Splits(data, data, data))


@pytest.mark.parametrize(("activation", "units"), [("prelu", "linear"), ("swish", "radial"), ("maxout", "linear")])
def test_weights_decay_and_slopes_and_centres_do_not(
    activation: Activation, units: Literal["linear", "radial"]
) -> None:
    system = MLP(3, 2, hidden=(4, 4), activation=activation, units=units, weight_decay=0.1)
    decayed = {id(p) for g in system.optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    weights = {id(p) for m in system.modules() if isinstance(m, nn.Linear) for p in m.parameters()}
    held = {id(p) for g in system.optimizer.param_groups for p in g["params"]}
    assert decayed == weights
    assert held == {id(p) for p in system.parameters()}


def test_radial_units_need_a_hidden_layer() -> None:
    with pytest.raises(InputError, match="--units radial makes the first hidden layer and there is none"):
        MLP(3, 2, hidden=(), units="radial")
