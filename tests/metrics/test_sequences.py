"""Metrics of sequences, against scikit-learn and loops over true steps."""

import math

import pytest
import torch
from sklearn import metrics as reference
from torch import Tensor

from etude.data.kinds import Sequences
from etude.errors import InputError
from etude.functional.padding import within
from etude.metrics import sequences
from etude.metrics.sequences import (
    accuracy,
    cross_entropy,
    f1,
    mean_squared_error,
    negative_log_likelihood,
    next_step_error,
)

LENGTHS = torch.tensor([5, 2, 4, 1])


class Fixed:
    """Answers that depend on x alone, step by step."""

    device = torch.device("cpu")

    def classify(self, x: Tensor, lengths: Tensor, elapsed: Tensor | None) -> Tensor:
        return torch.softmax(x[:, :, :2], -1)

    def predict(self, x: Tensor, lengths: Tensor, elapsed: Tensor | None) -> Tensor:
        return x.roll(1, 1)

    def score(self, x: Tensor, lengths: Tensor, elapsed: Tensor | None) -> Tensor:
        return (x.sum(2) * within(lengths, x.shape[1])).sum(1)


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "SIZE", 3)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))


def true_steps() -> list[tuple[int, int]]:
    return [(n, t) for n, length in enumerate(LENGTHS.tolist()) for t in range(length)]


def test_labels_of_steps_are_counted_where_there_are_any(x: Tensor) -> None:
    y = torch.randint(0, 2, (4, 5), generator=torch.Generator().manual_seed(1))
    y = torch.where(within(LENGTHS, 5), y, -1)
    y[0, 3] = -1
    split = Sequences(x, LENGTHS, y, classes=("no", "yes"))
    true = [int(y[n, t]) for n, t in true_steps() if y[n, t] >= 0]
    p = [x[n, t, :2].softmax(0).tolist() for n, t in true_steps() if y[n, t] >= 0]
    said = [int(b > a) for a, b in p]
    assert accuracy(Fixed(), split) == pytest.approx(reference.accuracy_score(true, said))
    assert cross_entropy(Fixed(), split) == pytest.approx(reference.log_loss(true, p), rel=1e-5)
    assert f1(Fixed(), split) == pytest.approx(reference.f1_score(true, said))


def test_f1_of_a_class_never_found_is_zero(x: Tensor) -> None:
    split = Sequences(x, LENGTHS, torch.zeros(4, 5, dtype=torch.int64), classes=("no", "yes"))
    assert f1(Fixed(), split) == 0


def test_errors_are_means_over_true_steps(x: Tensor) -> None:
    y = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(2))
    split = Sequences(x, LENGTHS, y)
    errors = [(float(y[n, t, k]) - float(x[n, t - 1, k])) ** 2 for n, t in true_steps() if t > 0 for k in range(3)]
    # at the first step `Fixed` says what the last one of the batch, cut to its longest sequence, holds
    first = [(float(y[n, 0, k]) - float(x[n, 4 if n < 3 else 0, k])) ** 2 for n in range(4) for k in range(3)]
    assert mean_squared_error(Fixed(), split) == pytest.approx(sum(errors + first) / 36, rel=1e-5)
    steps = [(float(x[n, t, k]) - float(x[n, t - 1, k])) ** 2 for n, t in true_steps() if t > 0 for k in range(3)]
    assert next_step_error(Fixed(), split) == pytest.approx(sum(steps) / len(steps), rel=1e-5)


def test_likelihood_is_a_mean_over_steps_and_not_over_sequences(x: Tensor) -> None:
    total = sum(float(x[n, t].sum()) for n, t in true_steps())
    assert negative_log_likelihood(Fixed(), Sequences(x, LENGTHS)) == pytest.approx(-total / 12, rel=1e-5)


def test_what_is_missing_is_told_in_one_line(x: Tensor) -> None:
    with pytest.raises(InputError, match="no classes"):
        accuracy(Fixed(), Sequences(x, LENGTHS))
    with pytest.raises(InputError, match="no numbers"):
        mean_squared_error(Fixed(), Sequences(x, LENGTHS))
    assert math.isfinite(negative_log_likelihood(Fixed(), Sequences(x, LENGTHS)))
