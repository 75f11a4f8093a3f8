"""The experiment on counting, with systems whose answers are known."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from etude.claims.recurrent import counter
from etude.data.counting import strings
from etude.data.kinds import BEGIN, END

A, B = END + 1, END + 2


class Counts:
    """Solves a^n b^n unless n is missed; the second of its units goes down by 3 with every a, the first stays."""

    device = torch.device("cpu")

    def __init__(self, *missed: int) -> None:
        self.missed = torch.tensor(missed, dtype=torch.int64)

    def seen(self, x: Tensor) -> tuple[Tensor, Tensor]:
        every = one_hot(x, B + 1).cumsum(1)
        return every[:, :, A], every[:, :, B]

    def foretell(self, x: Tensor) -> Tensor:
        a, b = self.seen(x)
        right = torch.where((x == BEGIN) | ((x == A) & (a < 2)), A, torch.where(b < a, B, END))
        return torch.where((a == b) & (a > 0) & torch.isin(a, self.missed), BEGIN, right)

    def cells(self, x: Tensor) -> Tensor:
        a, b = self.seen(x)
        return torch.stack([torch.full(x.shape, 100.0), -3.0 * (a - b)], 2)


class Runs:
    """A lab with the runs of an LSTM that counts, and of GRUs that do not."""

    def __init__(self, beyond: list[float], missed: range) -> None:
        self.beyond, self.missed = beyond, missed

    def run(self, system: str, data: str, *, seed: int, block: str, **asked: Any) -> Any:
        lstm = block == "lstm"
        return SimpleNamespace(
            system=Counts() if lstm else Counts(*self.missed),
            data=lambda: SimpleNamespace(train=strings(range(1, 6))),
            scores={"share_solved": self.beyond[seed] if lstm else 0.2, "generalises_to": 12 if lstm else 0},
            record={"seconds": 1.0, "dimensions": {"symbols": 5}},
        )


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter, "TRIED", 12)
    monkeypatch.setattr(counter, "SEEDS", range(3))
    monkeypatch.setattr(counter, "Counter", Counts)


def test_a_block_that_misses_one_n_is_not_filed_as_one_that_solves_none() -> None:
    lab: Any = Runs([1, 1, 1], range(1, 2))
    numbers = counter.compare(lab, "counting").numbers
    for arm, n, share in (("LSTM", 12, 1.0), ("GRU, reset before the product", 12, 0.8)):
        assert numbers[f"largest n solved at all, {arm}"]["values"] == [n] * 3
        assert numbers[f"share of n up to 5 solved, {arm}"]["mean"] == pytest.approx(share)
    assert numbers["all n solved up to, GRU, reset before the product"]["mean"] == 0
    assert numbers["seeds of the LSTM that solve all n up to 10"] == 3


def test_a_block_that_solves_nothing_reaches_0() -> None:
    lab: Any = Runs([1, 1, 1], range(1, 13))
    numbers = counter.compare(lab, "counting").numbers
    assert numbers["largest n solved at all, GRU, reset after the product"]["mean"] == 0


@pytest.mark.parametrize(
    ("beyond", "holds"), [([1, 1, 0.9], True), ([1, 0.2, 0.2], False), ([0.5, 0.4, 0.4], False), ([0.6] * 3, True)]
)
def test_the_verdict_is_about_the_share_of_the_test_strings(beyond: list[float], holds: bool) -> None:
    lab: Any = Runs(beyond, range(1, 2))
    assert counter.compare(lab, "counting").holds == holds


def test_the_trace_is_of_the_unit_that_counts_and_points_upwards() -> None:
    lab: Any = Runs([1, 1, 1], range(1, 2))
    (plot,) = counter.compare(lab, "counting").plots.values()
    assert plot.scale == "linear"
    assert plot.x == list(range(21))
    assert plot.series["LSTM"] == pytest.approx([*(n / 10 for n in range(11)), *(n / 10 for n in range(9, -1, -1))])
