"""Walks and arithmetic among codes against closed forms."""

import torch

from etude.functional.latent import arithmetic, between, neighbours


def test_a_walk_is_straight_even_and_ends_where_it_should() -> None:
    a, b = torch.randn(5), torch.randn(5)
    walk = between(a, b, 7)
    torch.testing.assert_close(walk[0], a)
    torch.testing.assert_close(walk[-1], b)
    torch.testing.assert_close(walk.diff(dim=0), ((b - a) / 6).expand(6, 5))


def test_what_is_common_to_plus_and_minus_cancels() -> None:
    kept, given = torch.randn(4), torch.randn(3, 4)
    torch.testing.assert_close(arithmetic(given + kept, given, torch.zeros(2, 4)), kept)
    torch.testing.assert_close(arithmetic(given, given, given), given.mean(0))


def test_groups_need_not_be_of_one_size() -> None:
    plus, minus, add = torch.ones(1, 2), 2 * torch.ones(4, 2), torch.tensor([[3.0, 5.0], [5.0, 3.0]])
    torch.testing.assert_close(arithmetic(plus, minus, add), torch.tensor([3.0, 3.0]))


def test_a_code_stands_in_the_middle_of_its_neighbours() -> None:
    torch.manual_seed(0)
    z = torch.randn(2000)
    nine = neighbours(z)
    assert torch.equal(nine[4], z)
    away = torch.cat([nine[:4], nine[5:]]) - z
    assert away.abs().max() <= 0.25 + 1e-6
    torch.testing.assert_close(away.std(1), torch.full((8,), 0.5 / 12**0.5), rtol=0.05, atol=0)
    assert torch.equal(neighbours(z, 0.0), z.expand(9, -1))
