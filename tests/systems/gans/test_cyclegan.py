"""CycleGAN: equations 1 to 3 by hand, who learns from what, the schedule, pictures of any kind."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from etude.data.kinds import ImagePairs, split
from etude.engine.train import train
from etude.errors import InputError
from etude.nn.residual import ResidualBlock
from etude.systems.gans.cyclegan import CycleGAN, Objective
from etude.systems.system import Clock

OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
SMALL: dict[str, Any] = {"blocks": 1, "maps": 4, "field": 16, "history": 3}


def small(channels: int = 1, target_channels: int = 1, side: int = 16, **more: Any) -> CycleGAN:
    torch.manual_seed(0)
    return CycleGAN(channels, target_channels, side, side, **SMALL | more)


def pictures(count: int = 2, channels: int = 1, target_channels: int = 1, side: int = 16) -> ImagePairs:
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.rand(count, c, side, side, generator=generator) for c in (channels, target_channels))
    return ImagePairs(x, y, aligned=False)


def weights(*modules: nn.Module) -> Tensor:
    return torch.cat([nn.utils.parameters_to_vector(module.parameters()).detach().clone() for module in modules])


def by_hand(gan: CycleGAN, batch: ImagePairs) -> dict[str, Tensor]:
    """The terms of the losses, written out."""
    x, y = 2 * batch.x - 1, 2 * batch.y - 1
    with torch.no_grad():
        G, F, D_X, D_Y = gan.G, gan.F, gan.D_X, gan.D_Y
        return {
            "generators": ((D_Y(G(x)) - 1) ** 2).mean() + ((D_X(F(y)) - 1) ** 2).mean(),
            "forward": 10 * (F(G(x)) - x).abs().mean(),
            "backward": 10 * (G(F(y)) - y).abs().mean(),
            "identity": (G(y) - y).abs().mean() + (F(x) - x).abs().mean(),
            "discriminators": 0.5 * (((D_Y(y) - 1) ** 2).mean() + (D_Y(G(x)) ** 2).mean())
            + 0.5 * (((D_X(x) - 1) ** 2).mean() + (D_X(F(y)) ** 2).mean()),
        }


@pytest.mark.parametrize(
    ("objective", "terms"),
    [
        ("full", {"generators", "forward", "backward"}),
        ("cycle", {"forward", "backward"}),
        ("gan", {"generators"}),
        ("gan+forward", {"generators", "forward"}),
        ("gan+backward", {"generators", "backward"}),
    ],
)
def test_generators_lower_the_terms_of_their_objective(objective: Objective, terms: set[str]) -> None:
    gan, batch = small(objective=objective), pictures()
    expected = by_hand(gan, batch)
    losses = gan.step(batch, Clock())
    torch.testing.assert_close(losses["generators"], torch.stack([expected[term] for term in terms]).sum())


def test_discriminators_lower_half_of_equation_1() -> None:
    gan, batch = small(), pictures()
    before = by_hand(gan, batch)
    torch.testing.assert_close(gan.step(batch, Clock())["discriminators"], before["discriminators"])


def test_cycles_alone_need_no_discriminator() -> None:
    gan = small(objective="cycle")
    before = weights(gan.D_X, gan.D_Y)
    assert set(gan.step(pictures(), Clock())) == {"generators"}
    assert torch.equal(weights(gan.D_X, gan.D_Y), before)


def test_identity_loss_is_an_option_and_off() -> None:
    batch = pictures()
    expected = by_hand(small(), batch)
    plain, kept = (small(identity_weight=weight).step(batch, Clock())["generators"] for weight in (0.0, 5.0))
    torch.testing.assert_close(plain, small().step(batch, Clock())["generators"])
    torch.testing.assert_close(kept - plain, 5 * expected["identity"])


def test_identity_loss_needs_pictures_of_one_kind() -> None:
    with pytest.raises(InputError, match="X has 3 channels and Y 1: leave it at 0"):
        small(3, 1, identity_weight=5.0)


def test_both_generators_learn_and_then_both_discriminators(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = small()
    players = {"G": gan.G, "F": gan.F, "D_X": gan.D_X, "D_Y": gan.D_Y}
    seen = []
    for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer):
        step = optimizer.step

        def watched(step: Any = step) -> None:
            before = {name: weights(player) for name, player in players.items()}
            step()
            seen.append({name for name, player in players.items() if not torch.equal(weights(player), before[name])})

        monkeypatch.setattr(optimizer, "step", watched)
    for at in range(3):
        gan.step(pictures(), Clock(at))
    assert seen == [{"G", "F"}, {"D_X", "D_Y"}] * 3


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_player_leaves_no_gradient_on_the_other(objective: Objective) -> None:
    gan, batch = small(objective=objective), pictures()
    x, y = 2 * batch.x - 1, 2 * batch.y - 1
    false_x, false_y = gan.F(y), gan.G(x)
    gan.update_generators(x, y, false_x, false_y, 1e-3)
    assert all(p.grad is None for d in (gan.D_X, gan.D_Y) for p in d.parameters())
    before = [p.grad.clone() for g in (gan.G, gan.F) for p in g.parameters() if p.grad is not None]
    gan.update_discriminators(x, y, gan.F(y), gan.G(x), 1e-3)
    after = [p.grad for g in (gan.G, gan.F) for p in g.parameters()]
    assert all(grad is not None and torch.equal(grad, then) for grad, then in zip(after, before, strict=True))


def test_discriminators_learn_from_earlier_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    gan, batch = small(history=1), pictures(1)
    made: dict[str, list[Tensor]] = {"G": [], "F": []}
    judged: dict[str, list[Tensor]] = {"D_X": [], "D_Y": []}
    gan.G.register_forward_hook(lambda module, given, out: made["G"].append(out.detach().clone()))
    gan.F.register_forward_hook(lambda module, given, out: made["F"].append(out.detach().clone()))
    gan.D_X.register_forward_hook(lambda module, given, out: judged["D_X"].append(given[0].detach().clone()))
    gan.D_Y.register_forward_hook(lambda module, given, out: judged["D_Y"].append(given[0].detach().clone()))
    for at in range(12):
        gan.step(batch, Clock(at))
    # a step makes G(x) then G(F(y)), and asks D_Y of G(x) for the generator, then of y and of the history
    for g, d in (("G", "D_Y"), ("F", "D_X")):
        newest, shown = made[g][::2], judged[d][2::3]
        assert [torch.equal(a, b) for a, b in zip(newest, judged[d][::3], strict=True)] == [True] * 12
        origin = [next(i for i, picture in enumerate(newest) if torch.equal(picture, each)) for each in shown]
        assert all(i <= at for at, i in enumerate(origin))
        assert any(i < at for at, i in enumerate(origin))
        assert origin[0] == 0


@pytest.mark.parametrize(("progress", "share"), [(0.0, 1.0), (0.25, 1.0), (0.5, 1.0), (0.75, 0.5), (0.999, 0.002)])
def test_rate_is_constant_for_half_then_falls_to_zero(progress: float, share: float) -> None:
    gan = small(rate=0.01)
    gan.step(pictures(), Clock(progress=progress))
    for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01 * share)
        assert optimizer.param_groups[0]["betas"] == (0.5, 0.999)


@pytest.mark.parametrize(("side", "blocks"), [(64, 6), (128, 6), (129, 9), (256, 9)])
def test_larger_pictures_take_nine_blocks(side: int, blocks: int) -> None:
    gan = CycleGAN(3, 3, side, side, maps=2, history=1)
    for generator in (gan.G, gan.F):
        assert sum(isinstance(layer, ResidualBlock) for layer in generator.modules()) == blocks


def test_as_the_paper_has_it() -> None:
    gan = CycleGAN(3, 3, 256, 256)
    assert [len(history.pictures) for history in (gan.history_x, gan.history_y)] == [50, 50]
    assert sum(p.numel() for p in gan.G.parameters()) == pytest.approx(11.4e6, rel=5e-3)
    assert sum(p.numel() for p in gan.D_Y.parameters()) == pytest.approx(2.77e6, rel=5e-3)
    assert (gan.objective, gan.cycle_weight, gan.identity_weight, gan.batch, gan.epochs) == ("full", 10, 0, 1, 200)
    drawn = torch.cat([p.detach().flatten() for p in gan.G.parameters() if p.ndim == 4])
    assert float(drawn.std()) == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize(("channels", "target_channels"), [(1, 1), (3, 1), (1, 3)])
def test_grey_and_coloured_pictures_keep_their_size_and_range(channels: int, target_channels: int) -> None:
    gan = small(channels, target_channels, 64)
    batch = pictures(2, channels, target_channels, 64)
    gan.step(batch, Clock())
    assert gan.translate(batch.x).shape == (2, target_channels, 64, 64)
    assert gan.back(batch.y).shape == gan.cycle(batch.x).shape == (2, channels, 64, 64)
    assert 0 <= gan.translate(batch.x).min() < gan.translate(batch.x).max() <= 1
    assert gan.translate(torch.rand(1, channels, 80, 50)).shape == (1, target_channels, 80, 50)
    torch.testing.assert_close(gan.cycle(batch.x), gan.back(gan.translate(batch.x)))


def test_a_picture_is_translated_the_same_whatever_is_beside_it() -> None:
    gan = small().eval()
    x = pictures(6).x
    torch.testing.assert_close(gan.translate(x), torch.cat([gan.translate(picture) for picture in x.split(1)]))


def test_learns_what_the_other_domain_looks_like_and_keeps_the_picture() -> None:
    """Dark bars on a darker ground, light bars on a lighter one."""
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(60, 1, 16, 16)
    for picture, place in zip(x, torch.randint(12, (60,), generator=generator).tolist(), strict=True):
        picture[:, :, place : place + 4] = 0.3
    domains, gan = ImagePairs(x, x + 0.7, aligned=False), small(rate=2e-3, history=10)
    assert (gan.translate(x).mean() - domains.y.mean()).abs() > 0.2
    for at in range(60):
        gan.step(domains.drawn(torch.randint(60, (1,))), Clock(at, progress=at / 60))
    assert (gan.translate(x).mean() - domains.y.mean()).abs() < 0.05
    assert (gan.back(domains.y).mean() - x.mean()).abs() < 0.05
    assert (gan.cycle(x) - x).abs().mean() < 0.1


@pytest.mark.parametrize("objective", ["full", "cycle"])
def test_a_run_trains_and_serves(objective: Objective, tmp_path: Path) -> None:
    run = train(
        "cyclegan",
        split(pictures(20), "toy"),
        runs=tmp_path,
        quiet=True,
        objective=objective,
        epochs=2,
        batch=4,
        **SMALL,
    )
    assert run.finished
    assert isinstance(run.system, CycleGAN)
