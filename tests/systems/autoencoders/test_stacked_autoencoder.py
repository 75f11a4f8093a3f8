"""Stacked denoising autoencoder: its equations by hand, principal components where it is linear, layer after layer."""

import copy
from typing import Any

import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from etude.data.kinds import Splits, Vectors, split
from etude.systems.autoencoders.stacked_autoencoder import StackedAutoencoder, struck
from etude.systems.system import Clock

SMALL: dict[str, Any] = {"hidden": (7, 6), "latent": 2}


def rows(count: int = 20, features: int = 5) -> Vectors:
    return Vectors(torch.randn(count, features, generator=torch.Generator().manual_seed(0)))


def built(**more: Any) -> StackedAutoencoder:
    """With weights large enough for every unit to matter."""
    torch.manual_seed(0)
    system = StackedAutoencoder(5, **SMALL | more)
    for layer in (*system.down, *system.up):
        nn.init.normal_(layer.weight, std=0.5)
        nn.init.normal_(layer.bias, std=0.1)
    return system


def changed(system: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in system.state_dict().items() if not torch.equal(value, before[name])}


def names(*layers: str) -> set[str]:
    return {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}


@pytest.mark.parametrize("place", [0, 1, 2])
def test_equations_6_to_9_by_hand(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etude.systems.autoencoders.stacked_autoencoder.struck", nn.functional.dropout)
    system, x = built(rate=0.1, dropout=0.4), rows()
    system.scale.fill_(0.5)
    by_hand = copy.deepcopy(system)
    drop = nn.Dropout(0.4)
    g1 = nn.Identity() if place == 2 else nn.ReLU()
    g2 = nn.Identity() if place == 0 else nn.ReLU()
    below = nn.Sequential(*(part for layer in by_hand.down[:place] for part in (layer, nn.ReLU())))
    pair = nn.Sequential(drop, by_hand.down[place], g1, drop, by_hand.up[place], g2)
    optimizer = torch.optim.SGD(pair.parameters(), lr=0.1, momentum=0.9)
    for t in range(3):
        torch.manual_seed(t)
        loss = system.phases()[1 + place].step(x, Clock(step=t))["loss"]
        torch.manual_seed(t)
        h = below(0.5 * x.x).detach()
        expected = (h - pair(h)).square().sum() / h.numel() / 2
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
        assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-5)
    for mine, theirs in zip(system.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_fine_tuning_by_hand() -> None:
    system, x = built(rate=0.1), rows()
    system.scale.fill_(0.5)
    by_hand = copy.deepcopy(system)
    a, b, c = by_hand.down
    d, e, f = by_hand.up
    whole = nn.Sequential(a, nn.ReLU(), b, nn.ReLU(), c, f, nn.ReLU(), e, nn.ReLU(), d)
    optimizer = torch.optim.SGD(whole.parameters(), lr=0.1, momentum=0.9)
    for t in range(3):
        loss = system.phases()[-1].step(x, Clock(step=t))["loss"]
        expected = nn.functional.mse_loss(whole(0.5 * x.x), 0.5 * x.x) / 2
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
        assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-5)
    for mine, theirs in zip(system.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_layers_phase_changes_that_layer_and_its_reversal() -> None:
    system, x = built(), rows()
    for place in range(3):
        before = {name: value.clone() for name, value in system.state_dict().items()}
        for t in range(2):
            system.phases()[1 + place].step(x, Clock(step=t))
        assert changed(system, before) == names(f"down.{place}", f"up.{place}")
    before = {name: value.clone() for name, value in system.state_dict().items()}
    system.phases()[-1].step(x, Clock())
    assert changed(system, before) == names(*(f"{way}.{place}" for way in ("down", "up") for place in range(3)))


def test_layers_come_from_the_outside_in_then_all_of_them() -> None:
    system = built(layer_epochs=3, epochs=7, batch=4)
    phases = system.phases()
    assert [phase.name for phase in phases] == ["scale", "layer 1", "layer 2", "layer 3", "all layers"]
    assert [phase.epochs for phase in phases] == [0, 3, 3, 3, 7]
    assert {phase.batch for phase in phases} == {4}
    weights = {name: tuple(w.shape) for name, w in system.named_parameters() if name.endswith("weight")}
    assert [weights[f"down.{place}.weight"] for place in range(3)] == [(7, 5), (6, 7), (2, 6)]
    assert [weights[f"up.{place}.weight"] for place in range(3)] == [(5, 7), (7, 6), (6, 2)]


def test_the_papers_numbers_of_steps_on_mnist() -> None:
    layer, *_, last = StackedAutoencoder(784, hidden=(), latent=1).phases()[1:]
    assert layer.epochs * (70_000 // layer.batch) == pytest.approx(50_000, rel=0.002)
    assert last.epochs * (70_000 // last.batch) == pytest.approx(100_000, rel=0.002)


def test_something_is_struck_out_while_layers_are_pretrained_and_never_else() -> None:
    x = rows()

    def losses(phase: int, dropout: float) -> set[float]:
        found = set()
        for seed in range(3):
            system = built(dropout=dropout)
            torch.manual_seed(seed)
            found.add(float(system.phases()[phase].step(x, Clock())["loss"]))
        return found

    for phase in (1, 2, 3):
        assert len(losses(phase, 0.3)) == 3
        assert len(losses(phase, 0.0)) == 1
    assert losses(4, 0.9) == losses(4, 0.0)
    system = built(dropout=0.9).train()
    assert torch.equal(system.encode(x.x), system.encode(x.x))
    assert torch.equal(system.encode(x.x), system.eval().encode(x.x))


@pytest.mark.parametrize("factor", [0.01, 1.0, 300.0])
def test_scale_makes_the_mean_square_1(factor: float) -> None:
    x = factor * (rows(1500).x + 3)
    system = built()
    system.fit_scale(Splits(Vectors(x), rows(), rows()))
    assert float((x * system.scale).double().square().mean()) == pytest.approx(1, rel=1e-5)


def test_bytes_are_scaled_as_what_they_become() -> None:
    x = torch.randint(0, 256, (50, 5), dtype=torch.uint8)
    system = built()
    system.fit_scale(Splits(Vectors(x), rows(), rows()))
    assert float((x / 255 * system.scale).square().mean()) == pytest.approx(1, rel=1e-5)


def test_data_that_are_all_0_stay_as_they_are() -> None:
    system = built()
    system.fit_scale(Splits(Vectors(torch.zeros(9, 5)), rows(), rows()))
    assert float(system.scale) == 1


def test_the_unit_of_the_data_does_not_matter() -> None:
    x = rows()
    one, other = built(), built()
    one.fit_scale(split(x, "rows"))
    other.fit_scale(split(Vectors(1000 * x.x), "rows"))
    torch.testing.assert_close(one.encode(x.x), other.encode(1000 * x.x))
    torch.testing.assert_close(
        1000 * one.decode(one.encode(x.x)), other.decode(other.encode(1000 * x.x)), rtol=1e-4, atol=1e-2
    )
    z = one.encode(x.x)
    torch.testing.assert_close(one.misfit(x.x, z), other.misfit(1000 * x.x, z), rtol=1e-4, atol=1e-5)


def test_misfit_is_the_mean_squared_error_over_the_features_of_scaled_data() -> None:
    system, x = built(), rows().x
    system.scale.fill_(3.0)
    z = system.encode(x)
    expected = (3 * (system.decode(z) - x)).square().sum(1) / 5
    torch.testing.assert_close(system.misfit(x, z), expected)
    assert system.misfit(x, z).requires_grad


@pytest.mark.parametrize("phase", [1, 2, 3, 4])
def test_rate_falls_tenfold_at_each_multiple_of_decay_steps(phase: int) -> None:
    system, x = built(rate=0.4, decay_steps=3), rows()
    optimizer = [*system.layer_optimizers, system.optimizer][phase - 1]
    rates = []
    for t in range(9):
        system.phases()[phase].step(x, Clock(step=t))
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.4] * 3 + [0.04] * 3 + [0.004] * 3)


@pytest.mark.parametrize("phase", [1, -1])
def test_one_linear_layer_restores_as_well_as_principal_components(phase: int) -> None:
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(8, 8)).Q
    x = torch.randn(200, 8) * torch.tensor([3.0, 2.5] + [0.5] * 6) @ basis + 1
    data = Vectors(x)
    system = StackedAutoencoder(8, hidden=(), latent=2, dropout=0.0, rate=0.5)
    system.fit_scale(Splits(data, data, data))
    for t in range(500):
        loss = system.phases()[phase].step(data, Clock(step=t))["loss"]
    pca = PCA(2).fit(x.numpy())
    restored = torch.from_numpy(pca.inverse_transform(pca.transform(x.numpy())))
    error = float((restored - x).square().mean())
    assert float(2 * loss / system.scale.square()) == pytest.approx(error, rel=1e-3)
    assert float((system.decode(system.encode(x)) - x).square().mean()) == pytest.approx(error, rel=1e-3)


def test_neither_codes_nor_examples_are_rectified() -> None:
    system = built()
    x = rows(200).x
    assert (system.encode(x) < 0).any()
    assert (system.decode(system.encode(x)) < 0).any()
    assert system.encode(x).shape == (200, 2)
    assert system.decode(torch.randn(3, 2)).shape == (3, 5)


def test_first_weights_are_the_papers() -> None:
    torch.manual_seed(0)
    system = StackedAutoencoder(300, hidden=(200,), latent=50)
    for layer in (*system.down, *system.up):
        assert float(layer.weight.std().detach()) == pytest.approx(0.01, rel=0.05)
        assert not layer.bias.any()


def test_pretraining_makes_layers_restore_what_they_are_given() -> None:
    torch.manual_seed(0)
    x = Vectors(torch.randn(200, 3) @ torch.randn(3, 12))
    data = Splits(x, x, x)
    system = StackedAutoencoder(12, hidden=(16,), latent=3, rate=0.3, dropout=0.1)
    system.fit_scale(data)
    for phase in system.phases()[1:]:
        losses = [float(phase.step(x, Clock(step=t))["loss"]) for t in range(300)]
        assert losses[-1] < 0.5 * losses[0], phase.name
    assert float(system.misfit(x.x, system.encode(x.x)).detach().mean()) < 0.1


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7])
@pytest.mark.parametrize("shape", [(500, 401), (1, 3)])
def test_struck_is_dropout(share: float, shape: tuple[int, int]) -> None:
    """What is kept is scaled up, each number is struck out by itself, and gradients go the same way."""
    torch.manual_seed(0)
    x = torch.rand(shape).add(0.5).requires_grad_()
    y = struck(x, share)
    kept = y != 0
    torch.testing.assert_close(y, torch.where(kept, x / (1 - share), 0.0))
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(slope, kept / (1 - share))
    if x.numel() > 1000:
        error = (share * (1 - share) / x.numel()) ** 0.5
        assert abs(float((~kept).double().mean()) - share) <= 4 * error
        together = (~kept[:, 1:] & ~kept[:, :-1]).double().mean()
        assert abs(float(together) - share**2) <= 6 * error


def test_struck_differs_from_draw_to_draw() -> None:
    x = torch.ones(10, 100)
    assert not torch.equal(struck(x, 0.5), struck(x, 0.5))
