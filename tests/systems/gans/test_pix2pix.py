"""pix2pix: equations 1 to 4, what each objective leaves out, jitter, and pictures of other sizes."""

from typing import Any, Literal, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.data.kinds import ImagePairs, Splits
from etude.errors import InputError
from etude.functional.adversarial import value
from etude.systems.gans.pix2pix import Pix2Pix, jittered
from etude.systems.system import Clock, optimizers

Objective = Literal["l1", "gan", "cgan", "l1+gan", "l1+cgan"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
ADVERSARIAL = OBJECTIVES[1:]


def small(objective: Objective = "l1+cgan", **arguments: Any) -> Pix2Pix:
    torch.manual_seed(0)
    sizes = {"maps": 4, "field": 16, "dropout": 0.0, "jitter": 1.0, "mirror": False}
    return Pix2Pix(1, 2, 16, 16, objective=objective, **sizes | arguments)


def pairs(count: int = 3, size: int = 16) -> ImagePairs:
    random = torch.Generator().manual_seed(1)
    return ImagePairs(
        torch.rand(count, 1, size, size, generator=random), torch.rand(count, 2, size, size, generator=random)
    )


def weights(module: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def centred(batch: ImagePairs) -> tuple[Tensor, Tensor]:
    return 2 * batch.x - 1, 2 * batch.y - 1


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_terms_of_each_objective(objective: Objective) -> None:
    system, batch = small(objective), pairs()
    losses = system.step(batch, Clock())
    if objective == "l1":
        assert system.discriminator is None
        assert [*optimizers(system)] == ["generator_optimizer"]
        assert set(losses) == {"l1"}
        return
    assert set(losses) == {"discriminator", "l1", "adversarial"}
    first = system.discriminator[0]  # type: ignore[index]
    assert first.in_channels == (3 if "cgan" in objective else 2)


@pytest.mark.parametrize("objective", ADVERSARIAL)
def test_the_discriminator_sees_the_input_or_does_not(objective: Objective) -> None:
    system, (x, y) = small(objective), centred(pairs())
    same = torch.equal(system.judge(x, y), system.judge(-x, y))
    assert same == ("cgan" not in objective)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_generator_sees_the_input_always(objective: Objective) -> None:
    system, (x, _) = small(objective), centred(pairs())
    assert not torch.allclose(system.generate(x), system.generate(-x))


def gradient(loss: Tensor, module: nn.Module) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(module.parameters()))])


def learned(optimizer: torch.optim.Optimizer) -> Tensor:
    """The gradient that an optimizer was last given."""
    return torch.cat([p.grad.flatten() for group in optimizer.param_groups for p in group["params"]])


@pytest.mark.parametrize("objective", ADVERSARIAL)
def test_the_discriminator_ascends_half_of_equation_1_or_2(objective: Objective) -> None:
    system, (x, y) = small(objective), centred(pairs())
    fake = system.generate(x).detach()
    shown = (torch.cat([x, y], 1), torch.cat([x, fake], 1)) if "cgan" in objective else (y, fake)
    assert system.discriminator is not None
    v = value(system.discriminator(shown[0]), system.discriminator(shown[1]))
    expected = -gradient(v, system.discriminator) / 2
    loss = system.update_discriminator(x, y, fake)
    assert float(loss) == pytest.approx(-float(v.detach()) / 2, rel=1e-5)
    torch.testing.assert_close(learned(system.discriminator_optimizer), expected)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("weight", [100.0, 7.0])
def test_the_generator_descends_equation_4(objective: Objective, weight: float) -> None:
    system, (x, y) = small(objective, l1_weight=weight), centred(pairs())
    fake = system.generate(x)
    loss = torch.zeros(())
    if "l1" in objective:
        loss = loss + weight * (fake - y).abs().mean()
    if "gan" in objective:
        loss = loss - torch.log(torch.sigmoid(system.judge(x, fake))).mean()
    expected = gradient(loss, system.generator)
    system.update_generator(x, y, system.generate(x))
    torch.testing.assert_close(learned(system.generator_optimizer), expected, rtol=1e-3, atol=1e-6)


def test_each_update_leaves_the_other_player_alone() -> None:
    system, (x, y) = small(), centred(pairs())
    assert system.discriminator is not None
    fake, before = system.generate(x), weights(system.generator)
    system.update_discriminator(x, y, fake)
    assert torch.equal(weights(system.generator), before)
    assert all(p.grad is None for p in system.generator.parameters())
    judged = weights(system.discriminator)
    system.update_generator(x, y, fake)
    assert torch.equal(weights(system.discriminator), judged)
    assert not torch.equal(weights(system.generator), before)


def test_rates_and_momenta_are_the_published_ones() -> None:
    groups = [optimizer.param_groups[0] for optimizer in optimizers(Pix2Pix(1, 1, 32, 32, maps=2)).values()]
    assert [(group["lr"], group["betas"]) for group in groups] == [(2e-4, (0.5, 0.999))] * 2


def test_pairs_are_cut_and_mirrored_together() -> None:
    torch.manual_seed(0)
    x = torch.rand(40, 1, 16, 16)
    a, b = jittered(x, torch.cat([x, -x], 1), 1.5, True)
    assert a.shape == (40, 1, 16, 16)
    torch.testing.assert_close(b, torch.cat([a, -a], 1))
    large = F.interpolate(x, size=(24, 24), mode="bilinear")
    cuts = large.unfold(2, 16, 1).unfold(3, 16, 1).flatten(2, 3)[:, 0]
    found = [[bool((cuts[n] == one).all((1, 2)).any()) for n, one in enumerate(some[:, 0])] for some in (a, a.flip(3))]
    assert all(plain != mirrored for plain, mirrored in zip(*found, strict=True))
    assert 10 < sum(found[1]) < 30
    places = {int((cuts[n] == one).all((1, 2)).nonzero()) for n, one in enumerate(a[:, 0]) if found[0][n]}
    assert len(places) > 10


def test_without_jitter_pairs_stay_as_they_are() -> None:
    x, y = centred(pairs())
    a, b = jittered(x, y, 1.0, False)
    assert torch.equal(a, x)
    assert torch.equal(b, y)
    assert Pix2Pix(1, 1, 32, 32, maps=2).jitter == 286 / 256


def test_larger_pictures_than_those_of_training() -> None:
    system = small(batch=1)
    assert system.translate(torch.rand(1, 1, 48, 32)).shape == (1, 2, 48, 32)
    with pytest.raises(InputError, match=r"a picture of 24x16 pixels: sides must be multiples of 16"):
        system.translate(torch.rand(1, 1, 16, 24))


def test_pictures_are_translated_in_groups_as_large_as_a_batch() -> None:
    x = torch.rand(4, 1, 16, 16)
    alone, two = small(batch=1), small(batch=2)
    torch.testing.assert_close(alone.translate(x)[2:3], alone.translate(x[2:3]))
    torch.testing.assert_close(two.translate(x)[2:], two.translate(x[2:]))
    assert not torch.allclose(two.translate(x)[2:3], two.translate(x[2:3]), atol=1e-4)


def test_evaluation_changes_nothing() -> None:
    system, x = small(batch=1), torch.rand(2, 1, 16, 16)
    assert torch.equal(system.train().translate(x), system.eval().translate(x))
    noisy = small(dropout=0.5).eval()
    assert not torch.equal(noisy.translate(x), noisy.translate(x))


def test_what_is_not_aligned_is_refused() -> None:
    batch = pairs()
    torn = ImagePairs(batch.x, batch.y, aligned=False)
    with pytest.raises(InputError, match="torn is not aligned, and pix2pix learns from pairs: train cyclegan instead"):
        small().check(Splits(torn, torn, torn, "torn"))
    small().check(Splits(batch, batch, batch, "pairs"))


def test_a_field_larger_than_the_pictures_is_refused() -> None:
    with pytest.raises(InputError, match="a field of 70 needs sides of 24 pixels or more, got 16"):
        small(field=70)


def test_l1_alone_learns_the_median() -> None:
    """Targets all black or all white, whatever the input: where 70 % are black the answer is black, not grey."""
    torch.manual_seed(0)
    system = Pix2Pix(1, 1, 8, 8, objective="l1", maps=4, dropout=0.0, jitter=1.0, mirror=False, rate=5e-3, batch=50)
    for t in range(80):
        white = (torch.rand(50, 1, 1, 1) < 0.3).float()
        system.step(ImagePairs(torch.rand(50, 1, 8, 8), white.expand(-1, 1, 8, 8)), Clock(step=t))
    assert system.translate(torch.rand(50, 1, 8, 8)).mean() < 0.1
