import numpy as np
import pytest
import torch
from torch.nn import functional as F

from etude.autodiff import jacobian
from etude.claims import autodiff
from etude.claims.autodiff import Counted, by_columns, by_rows, counted, cross_entropy, drawn, network


@pytest.mark.parametrize(
    ("program", "count"),
    [
        (lambda A, x: A @ x, 6),
        (lambda A, x: A @ np.ones((3, 5)), 30),
        (lambda A, x: np.ones((4, 2)) @ A, 24),
        (lambda A, x: np.tanh(A), 6),
        (lambda A, x: 2.0 * A + x, 12),
        (lambda A, x: np.sum(A, axis=0), 6),
        (lambda A, x: A.T[1:].reshape(-1), 0),
    ],
)
def test_operations_are_counted(program: object, count: int) -> None:
    assert callable(program)
    given = (np.ones((2, 3)).view(Counted), np.ones(3).view(Counted))
    Counted.operations = 0
    program(*given)
    assert Counted.operations == count


def test_what_is_counted_is_right_and_goes_on_counting() -> None:
    A, x = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0, 2.0])
    counted = np.tanh(A.view(Counted) @ x.view(Counted))
    assert isinstance(counted, Counted)
    assert isinstance(np.sum(counted), Counted)
    np.testing.assert_array_equal(np.asarray(counted), np.tanh(A @ x))
    counted += 1
    np.testing.assert_array_equal(np.asarray(counted), np.tanh(A @ x) + 1)


def test_both_ways_to_the_jacobian_lead_there() -> None:
    random = np.random.default_rng(0)
    x, A, B = (random.normal(size=shape) for shape in (3, (4, 3), (5, 4)))
    expected = (1 - np.tanh(B @ np.tanh(A @ x)) ** 2)[:, None] * B @ ((1 - np.tanh(A @ x) ** 2)[:, None] * A)
    for way in (by_columns, by_rows, lambda function, x: jacobian(function)(x)):
        np.testing.assert_allclose(way(network(A, B), x), expected, rtol=1e-12)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 5), (8, 7)])
def test_either_mode_runs_the_network_once(n: int, m: int) -> None:
    run, slopes = autodiff.HIDDEN * (n + m) + autodiff.HIDDEN + m, 2 * (autodiff.HIDDEN + m)
    assert counted(by_columns, n, m) == run + slopes + n * run
    assert counted(by_rows, n, m) == run + slopes + m * run


def test_the_loss_is_that_of_torch() -> None:
    A, a, B, b = drawn(0)
    random = np.random.default_rng(1)
    x, y = random.normal(size=(7, 64)), random.integers(10, size=7)
    scores = torch.tensor(np.tanh(x @ A + a) @ B + b)
    expected = F.cross_entropy(scores, torch.tensor(y)).item()
    assert cross_entropy((A, a, B, b), x, np.eye(10)[y]) == pytest.approx(expected, rel=1e-14)


def test_peak_memory_is_what_is_held_at_once() -> None:
    def hold(count: int) -> None:
        held = [np.zeros(1000) for _ in range(count)]
        held.clear()

    def pass_by(count: int) -> None:
        for _ in range(count):
            np.zeros(1000)

    assert autodiff.peak(hold, 50) == pytest.approx(400_000, rel=0.1)
    assert autodiff.peak(pass_by, 50) < 20_000
