"""Players: shapes, ranges, fresh noise, and what convolutions cannot do."""

from typing import Any

import pytest
import torch
from torch import nn

from etude.errors import InputError
from etude.nn.players import Network, Players


def small(shape: tuple[int, int, int] = (1, 8, 8), network: Network = "dense", **more: Any) -> Players:
    torch.manual_seed(0)
    given: dict[str, Any] = {"output": "tanh", "hidden": (8,), "maps": (2, 4)}
    return Players(shape, 5, network=network, **given | more)


@pytest.mark.parametrize("network", ["dense", "convolutional"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16)])
def test_both_networks_take_and_make_pictures(network: Network, shape: tuple[int, int, int]) -> None:
    players = small(shape, network)
    fake = players.generate(players.noise(4))
    assert fake.shape == (4, *shape)
    assert players.judge(fake).shape == (4,)
    assert players.outside(fake).shape == (4, *shape)


def test_rows_of_numbers_are_pictures_one_pixel_high() -> None:
    players = small((1, 1, 2), output="linear")
    assert players.fake(4).shape == (4, 1, 1, 2)
    with pytest.raises(InputError, match="1x2: use --network dense"):
        small((1, 1, 2), "convolutional")


def test_tanh_lives_in_minus_one_to_one_inside_and_zero_to_one_outside() -> None:
    players, x = small(), torch.rand(3, 1, 8, 8)
    nn.init.normal_(players.generator[-2].weight, std=3)  # type: ignore[arg-type]
    inside = players.fake(50)
    assert -1 <= inside.min() < -0.5 < 0.5 < inside.max() <= 1
    outside = players.outside(inside)
    assert 0 <= outside.min() < 0.25 < 0.75 < outside.max() <= 1
    torch.testing.assert_close(players.inside(outside), inside)
    torch.testing.assert_close(players.inside(x), 2 * x - 1)


def test_linear_outputs_stay_as_they_are() -> None:
    players, x = small(output="linear"), torch.randn(3, 1, 8, 8)
    assert players.inside(x) is x
    assert players.outside(x) is x
    torch.manual_seed(1)
    fake = players.fake(5)
    torch.manual_seed(1)
    assert torch.equal(players.generator(players.noise(5)), fake)


def test_noise_is_normal_and_fresh() -> None:
    players = small()
    z = players.noise(10_000)
    assert z.shape == (10_000, 5)
    assert z.mean().abs() < 0.02
    assert z.std() == pytest.approx(1, abs=0.02)
    assert not torch.equal(players.noise(3), players.noise(3))
    assert not players.fake(3).requires_grad


def test_numbers_that_tanh_cannot_reach_are_one_line() -> None:
    with pytest.raises(InputError, match=r"reach from -4 to .*: use --output linear"):
        small().check(-4.0, 4.2)
    small().check(0.0, 1.0)
    small(output="linear").check(-4.0, 4.2)


def test_norm_of_the_judge_is_chosen_and_the_generator_keeps_its_own() -> None:
    kinds = {"batch": nn.BatchNorm2d, "layer": nn.GroupNorm, "none": nn.Identity}
    for norm, kind in kinds.items():
        players = small((1, 16, 16), "convolutional", norm=norm)
        assert any(isinstance(layer, kind) for layer in players.discriminator.modules()) is (norm != "none")
        assert any(isinstance(layer, nn.BatchNorm2d) for layer in players.discriminator.modules()) is (norm == "batch")
        assert any(isinstance(layer, nn.BatchNorm2d) for layer in players.generator.modules())


def test_maps_are_those_of_each_players_picture_side() -> None:
    players = small((3, 16, 16), "convolutional")
    convolutions = [m for m in players.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    ends = {(m.in_channels, m.out_channels) for m in convolutions if 3 in (m.in_channels, m.out_channels)}
    assert ends == {(2, 3), (3, 4)}
    assert all(float(m.weight.detach().std()) == pytest.approx(0.02, rel=0.3) for m in convolutions)
