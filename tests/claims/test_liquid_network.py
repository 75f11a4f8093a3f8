"""The table of liquid networks, with runs whose scores are known."""

from types import SimpleNamespace
from typing import Any

import pytest

from etude.claims import lab
from etude.claims.lab import Claim
from etude.claims.recurrent.liquid_network import BLOCKS, person_activity, power

PUBLISHED = [each for each in lab.claims("liquid-network") if each is not person_activity]
MEASURED = dict(zip(BLOCKS, (0.5, 0.4, 0.3, 0.1, 0.2), strict=True))


class Runs:
    def run(self, system: str, data: str, *, block: str, seed: int, **asked: Any) -> Any:
        score = MEASURED[block] + 0.001 * seed
        return SimpleNamespace(scores={"accuracy": score, "f1": score, "mean_squared_error": score})


@pytest.mark.parametrize("each", PUBLISHED, ids=lambda each: each.name)
def test_the_published_number_stands_behind_each_of_ours_and_the_best_is_the_one_claimed(each: Claim) -> None:
    at: Any = Runs()
    numbers = each.experiment(at).numbers
    for ours, theirs in zip(list(numbers)[:10:2], list(numbers)[1:10:2], strict=True):
        assert theirs == f"{ours}, published"
    published = {
        name: numbers[key]["mean"] for name in BLOCKS.values() for key in numbers if f"{name}, published" in key
    }
    best = min if "error" in next(iter(numbers)) else max
    assert each.statement.split()[1] == best(published, key=lambda name: published[name])


def test_where_the_course_has_no_row_none_is_shown_and_the_note_says_so() -> None:
    at: Any = Runs()
    found = person_activity.experiment(at)
    assert not any("published" in name for name in found.numbers)
    assert "No row is published in the course" in found.note


def test_a_smaller_error_is_better() -> None:
    at: Any = Runs()
    found = power.experiment(at)
    assert found.numbers["CT-GRU better than LSTM by"]["mean"] == pytest.approx(0.4)
    assert found.holds
