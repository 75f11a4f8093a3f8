"""Distances against SciPy, all permutations, all events, the axioms of a metric and closed forms."""

import math
from itertools import chain, combinations, permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import wasserstein_distance, wasserstein_distance_nd
from torch import Tensor
from torch.autograd import gradcheck

from etude.functional.distances import (
    earth_mover,
    earth_mover_of_samples,
    earth_mover_on_a_line,
    on_one_support,
    total_variation,
)
from etude.functional.divergences import js_divergence, kl_divergence

PLACES = 4
weights = arrays(float, PLACES, elements=st.integers(0, 9)).filter(any).map(lambda n: torch.as_tensor(n / n.sum()))
numbers = st.integers(-20, 20).map(lambda n: n / 4)
lines = st.integers(1, 8).flatmap(lambda n: arrays(float, n, elements=numbers)).map(torch.as_tensor)
points = arrays(float, (PLACES, 2), elements=numbers, unique=True).map(torch.as_tensor)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("theta", [-0.5, 0.0, 1e-3, 0.25, 1.0])
def test_parallel_lines(theta: float) -> None:
    """Arjovsky et al. 2017, example 1: (0, Z) and (theta, Z), with Z uniform in [0, 1]."""
    z = torch.linspace(0, 1, 20, dtype=torch.float64)
    x, y = torch.stack([0 * z, z], 1), torch.stack([0 * z + theta, z], 1)
    each = torch.full_like(z, 1 / len(z))
    p, q = on_one_support(x, each, y, each)
    apart = float(theta != 0)
    assert total_variation(p, q).item() == pytest.approx(apart)
    assert kl_divergence(p, q).item() == (math.inf if apart else 0)
    assert js_divergence(p, q).item() == pytest.approx(math.log(2) if apart else 0)
    assert earth_mover(each, each, torch.cdist(x, y)).item() == pytest.approx(abs(theta), abs=1e-12)
    assert earth_mover_of_samples(x, y).item() == pytest.approx(abs(theta), abs=1e-12)


@given(weights, weights)
def test_total_variation_is_the_most_that_an_event_tells_apart(p: Tensor, q: Tensor) -> None:
    events = chain.from_iterable(combinations(range(PLACES), size) for size in range(PLACES + 1))
    apart = max(abs(p[list(event)].sum() - q[list(event)].sum()).item() for event in events)
    assert total_variation(p, q).item() == pytest.approx(apart)


@given(weights, weights, weights)
def test_total_variation_is_a_metric(p: Tensor, q: Tensor, r: Tensor) -> None:
    assert total_variation(p, p) == 0
    assert (total_variation(p, q) > 1e-12) == (not torch.allclose(p, q))
    assert total_variation(p, q) == total_variation(q, p)
    assert total_variation(p, r) <= total_variation(p, q) + total_variation(q, r) + 1e-12


@given(weights, weights, weights, points)
@settings(deadline=None, max_examples=10)
def test_earth_mover_is_a_metric_where_the_cost_is_one(p: Tensor, q: Tensor, r: Tensor, x: Tensor) -> None:
    cost = torch.cdist(x, x)
    assert earth_mover(p, p, cost).abs() < 1e-9
    assert (earth_mover(p, q, cost) > 1e-9) == (not torch.allclose(p, q))
    torch.testing.assert_close(earth_mover(p, q, cost), earth_mover(q, p, cost))
    assert earth_mover(p, r, cost) <= earth_mover(p, q, cost) + earth_mover(q, r, cost) + 1e-9


@given(weights, weights)
@settings(deadline=None, max_examples=30)
def test_earth_mover_is_total_variation_where_every_move_costs_one(p: Tensor, q: Tensor) -> None:
    cost = 1 - torch.eye(PLACES, dtype=torch.float64)
    torch.testing.assert_close(earth_mover(p, q, cost), total_variation(p, q), atol=1e-9, rtol=1e-9)


@given(lines, lines)
def test_samples_on_a_line_agree_with_scipy(x: Tensor, y: Tensor) -> None:
    found = earth_mover_on_a_line(x, y).item()
    assert found == pytest.approx(wasserstein_distance(x, y), abs=1e-12)
    assert earth_mover_of_samples(x[:, None], y[:, None]) == found


@given(points, weights, weights)
@settings(deadline=None, max_examples=30)
def test_closed_form_and_program_agree_on_a_line(x: Tensor, p: Tensor, q: Tensor) -> None:
    here, there = x[:, 0], x[:, 1]
    found = earth_mover_on_a_line(here, there, p, q).item()
    assert found == pytest.approx(wasserstein_distance(here, there, p, q), abs=1e-12)
    assert earth_mover(p, q, (here[:, None] - there).abs()).item() == pytest.approx(found, abs=1e-9)


def test_program_on_any_cost_finds_the_best_of_all_permutations() -> None:
    cost = draw(5, 5)  # some of it negative
    each = torch.full((5,), 0.2, dtype=torch.float64)
    best = min(sum(float(cost[i, j]) for i, j in enumerate(places)) / 5 for places in permutations(range(5)))
    assert earth_mover(each, each, cost).item() == pytest.approx(best)


@pytest.mark.parametrize("sizes", [(6, 6), (4, 6), (1, 3)])
def test_samples_in_space_agree_with_scipy(sizes: tuple[int, int]) -> None:
    x, y = draw(sizes[0], 3), 1 + 2 * draw(sizes[1], 3)
    expected = wasserstein_distance_nd(x.numpy(), y.numpy())
    assert earth_mover_of_samples(x, y).item() == pytest.approx(expected)


def test_a_shift_costs_its_length() -> None:
    x, shift = draw(30, 2), torch.tensor([3.0, 4.0], dtype=torch.float64)
    assert earth_mover_of_samples(x, x.flip(0) + shift).item() == pytest.approx(5)
    assert earth_mover_of_samples(x[:, :1], x[:, :1].flip(0) + 3).item() == pytest.approx(3)


def test_float32_weights_that_do_not_quite_sum_to_one() -> None:
    p, q = torch.rand(30).softmax(0), torch.rand(40).softmax(0)
    x, y = torch.rand(30), torch.rand(40)
    found = earth_mover(p, q, (x[:, None] - y).abs())
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(wasserstein_distance(x, y, p, q), rel=1e-4)


def test_gradients_agree_with_finite_differences() -> None:
    p, q = draw(2, 4).requires_grad_()
    x, y, z = draw(5, 2).requires_grad_(), (1 + 2 * draw(4, 2)).requires_grad_(), (2 - draw(5, 2)).requires_grad_()
    cost = draw(4, 4).abs().requires_grad_()
    assert gradcheck(lambda a, b: total_variation(a.softmax(0), b.softmax(0)), (p, q))
    assert gradcheck(lambda a, b, c: earth_mover(a.softmax(0), b.softmax(0), c), (p, q, cost))
    assert gradcheck(lambda a, b: earth_mover_on_a_line(a[:, 0], b[:, 1]), (x, y))
    assert gradcheck(lambda a, b: earth_mover_on_a_line(y[:, 0], y[:, 1], a.softmax(0), b.softmax(0)), (p, q))
    assert gradcheck(earth_mover_of_samples, (x, y))
    assert gradcheck(earth_mover_of_samples, (x, z))


def test_only_the_earth_mover_says_where_to_go() -> None:
    """The slope of the earth mover's distance between two parallel lines is 1 wherever theta is."""
    z = torch.linspace(0, 1, 10, dtype=torch.float64)
    theta = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    lines = torch.stack([0 * z, z], 1), torch.stack([theta.expand(10), z], 1)
    (slope,) = torch.autograd.grad(earth_mover_of_samples(*lines), theta)
    assert slope.item() == pytest.approx(1)


def test_values_that_both_have_are_one_value() -> None:
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [1.0], [2.0]])
    p, q = on_one_support(x, torch.tensor([0.25, 0.75]), y, torch.tensor([0.5, 0.25, 0.25]))
    np.testing.assert_allclose(p, [0.25, 0.75, 0])
    np.testing.assert_allclose(q, [0, 0.75, 0.25])
