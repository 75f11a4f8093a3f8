"""What the page of a run shows of a translation."""

from typing import Any

import pytest
import torch

from etude.data.kinds import END, PAD, Splits
from etude.data.pairs import numbered
from etude.engine.run import Run
from etude.engine.train import train
from etude.errors import InputError
from etude.report import translation
from etude.report.view import Section, View

LINES = (["ab", "ba", "a b"] * 20, ["ba", "ab", "b a"] * 20)


def texts() -> Splits:
    return numbered(dict.fromkeys(("train", "validation", "test"), LINES), "turned", "characters")


@pytest.fixture(scope="module", params=["none", "luong"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    sizes: dict[str, Any] = {
        "embedding": 8,
        "hidden": 16,
        "layers": 1,
        "longest": 6,
        "rate": 0.02,
        "epochs": 40,
        "batch": 10,
    }
    folder = tmp_path_factory.mktemp("runs")
    return train("seq2seq", texts(), runs=folder, quiet=True, device="cpu", attention=request.param, **sizes)


def sections(run: Run) -> list[Section]:
    return list(translation.written(View(run, run.system, texts())))


def test_source_output_and_target_stand_in_rows(trained: Run) -> None:
    first = sections(trained)[0]
    assert first.head == ("source", "output", "target")
    assert [row[0] for row in first.rows] == (["ab", "ba", "a b"] * 4)[:10]
    assert [row[2] for row in first.rows] == (["ba", "ab", "b a"] * 4)[:10]
    right = sum(output == target for _, output, target in first.rows)
    assert f"; {right} of them" in first.text[0]
    assert right == 10


def test_attention_is_drawn_where_there_is_any(trained: Run) -> None:
    maps = sections(trained)[1:]
    if trained.question["arguments"]["attention"] == "none":
        assert maps == []
        return
    assert [figure.caption for figure in maps[0].figures] == ["test pair 1", "test pair 2"]
    assert all(">end<" in figure.html.replace("\n", "") for figure in maps[0].figures)


def test_without_its_data_nothing_is_shown(trained: Run) -> None:
    assert list(translation.written(View(trained, trained.system, None))) == []


def test_units_are_shown_by_name() -> None:
    words = ("<pad>", "<begin>", "<end>", "<unknown>", "a", " b", " ")
    assert translation.named(torch.tensor([4, 5, 6, END, PAD, PAD]), words) == ["a", "b", "␣", "end"]
    assert translation.named(torch.tensor([4, 5, 4]), words) == ["a", "b", "a"]


def test_a_run_turns_one_text_into_another(trained: Run) -> None:
    assert trained.translate("ab") == "ba"
    assert trained.translate("a b", beam=1) == trained.translate("a b", beam=3) == "b a"
    with pytest.raises(InputError, match="expected a text, and --beam a whole number"):
        trained.translate("ab", beam=0)
