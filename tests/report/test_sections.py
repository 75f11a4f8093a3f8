"""Sections of every page."""

from types import SimpleNamespace
from typing import Any

import pytest

from etude.metrics.translation import token_accuracy
from etude.report.sections import idea, scores, shown


def test_values_are_shown_as_the_command_line_takes_them() -> None:
    assert shown((500, 250)) == "500 250"
    assert shown(0.5) == "0.5"


@pytest.mark.parametrize(
    ("system", "begins"),
    [
        ("vae", "An encoder turns x into a normal distribution"),
        ("seq2seq", "One recurrent network reads a sentence"),
        ("saps", "A bidirectional LSTM reads a text"),
    ],
)
def test_the_idea_is_no_paragraph_that_leads_to_an_equation(system: str, begins: str) -> None:
    view: Any = SimpleNamespace(chain=[{"system": system}])
    (section,) = idea(view)
    (told,) = section.text
    assert told.startswith(begins)
    assert section.code.count("=") > 1


def test_what_a_score_says_is_told_to_its_end() -> None:
    system = SimpleNamespace(metrics=(token_accuracy,), final_metrics=())
    view: Any = SimpleNamespace(system=system, run=SimpleNamespace(scores={"token_accuracy": 0.5}))
    (section,) = scores(view)
    assert section.rows[0][2].endswith("that are written in their place, in [0, 1].")
