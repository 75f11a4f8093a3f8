"""Sections on strings, of runs that learned nothing yet: what they show does not depend on it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from etude.data.counting import strings
from etude.data.kinds import Splits
from etude.data.strings import by_position, cut
from etude.engine.train import train
from etude.report import figures
from etude.report.strings import ADDED, BEGUN, completions, counting
from etude.report.view import View

TEXT = cut(by_position("to be or not to be, that is the question. " * 100), "be", "be")
ABC = Splits(strings([1, 2, 3], "abc"), strings([2], "abc"), strings([4], "abc"), "few")


def view_of(system: str, splits: Splits, folder: Path) -> View:
    arguments: dict[str, Any] = {"units": 4, "epochs": 0}
    run = train(system, splits, runs=folder, quiet=True, device="cpu", **arguments)
    return View(run, run.system, splits)


def test_a_text_is_gone_on_with_at_each_temperature(tmp_path: Path) -> None:
    view = view_of("char-rnn", TEXT, tmp_path)
    sections = list(completions(view))
    assert [section.title for section in sections] == [f"Written at temperature {t}" for t in ("0.5", "0.8", "1")]
    given = "".join(TEXT.test.to("cpu").vocabulary[place] for place in TEXT.test.tensors()["x"][0, :BEGUN].tolist())  # type: ignore[attr-defined]
    assert all(section.code.startswith(given) for section in sections)
    assert {len(section.code) for section in sections} == {BEGUN + ADDED}
    assert len({section.code for section in sections}) == 3
    assert list(counting(view)) == []


def test_cells_are_drawn_over_a_string_twice_as_long_as_in_training(tmp_path: Path) -> None:
    view = view_of("counter", ABC, tmp_path)
    (section,) = counting(view)
    assert "n = 6" in section.text[0]
    assert section.figures[0].html.startswith("<svg")
    cells = view.system.cells(strings([6], "abc").x)[0]
    assert f"unit {int((cells[6].abs() - cells[12].abs()).argmax())} does so most" in section.text[0]
    assert list(completions(view)) == []


@pytest.mark.parametrize(("units", "named"), [(3, True), (30, False)])
def test_traces_name_few_units_and_every_part(units: int, named: bool) -> None:
    torch.manual_seed(0)
    drawn = figures.traces(torch.randn(9, units), [(1.0, "first"), (5.0, "second")])
    assert "first" in drawn
    assert "second" in drawn
    assert (">unit<" in drawn) == named
