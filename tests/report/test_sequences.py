"""What a page shows of sequences: classes of sequences and of steps, numbers, and keys that sound or not."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from etude.data.kinds import Sequences, Splits
from etude.engine.train import train
from etude.report import page, sequences
from etude.report.files import answers
from etude.report.view import Section, View

LENGTHS = torch.tensor([6, 4, 5] * 8)


def data(target: str) -> Splits:
    generator = torch.Generator().manual_seed(0)
    inside = torch.arange(6) < LENGTHS[:, None]
    x = (
        torch.rand(24, 6, 4, generator=generator).round()
        * inside[:, :, None]
        * (0.5 if target == "numbers ahead" else 1)
    )
    y = {
        "class": torch.arange(24) % 2,
        "classes": (torch.arange(144).view(24, 6) % 2).where(inside, -1),
        "numbers": torch.randn(24, 6, 2, generator=generator),
        "keys ahead": None,
        "numbers ahead": None,
    }[target]
    part = Sequences(x, LENGTHS, y, classes=("calm", "wild") if target.startswith("class") else ())
    return Splits(part, part, part, target)


def shown(folder: Path, system: str, target: str, **arguments: Any) -> tuple[list[Section], str]:
    splits = data(target)
    run = train(system, splits, runs=folder, quiet=True, device="cpu", hidden=4, epochs=2, batch=8, **arguments)
    view = View(run, run.system, splits)
    return [*sequences.tags(view), *sequences.values(view)], page.write(run, splits).read_text()


def test_classes_of_sequences(tmp_path: Path) -> None:
    (section,), html = shown(tmp_path, "lstm-classifier", "class")
    assert len(section.figures) == sequences.SHOWN
    assert section.figures[0].caption.startswith("calm, taken for ")
    assert section.figures[-1].caption.startswith("wild, taken for ")
    assert "Could not be drawn" not in html


def test_classes_of_steps(tmp_path: Path) -> None:
    (section,), html = shown(tmp_path, "lstm-classifier", "classes")
    assert all(figure.caption.endswith("% right") for figure in section.figures)
    assert all("calm" in figure.html for figure in section.figures)
    assert "Could not be drawn" not in html


@pytest.mark.parametrize(("target", "what", "count"), [("class", "test sequences", 24), ("classes", "steps", 120)])
def test_classes_are_counted(tmp_path: Path, target: str, what: str, count: int) -> None:
    splits = data(target)
    run = train("lstm-classifier", splits, runs=tmp_path, quiet=True, device="cpu", hidden=4, epochs=2, batch=8)
    (section,) = sequences.confusion(View(run, run.system, splits))
    right, of = map(int, re.findall(r"\d+", section.text[0]))
    assert of == count
    assert right / of == pytest.approx(run.scores["accuracy"])
    assert what in section.text[0]
    cells = [int(text) for text in re.findall(r">(\d+)</text>", section.figures[0].html)]
    assert sum(cells) == count
    assert not list(sequences.confusion(View(run, run.system, data("numbers"))))


def test_numbers(tmp_path: Path) -> None:
    (section,), html = shown(tmp_path, "liquid-network", "numbers", block="ctrnn")
    assert len(section.figures) == sequences.SHOWN
    assert section.text[0] == "What the system says of each step: lines are true, dashes are foretold."
    assert "Could not be drawn" not in html


@pytest.mark.parametrize("target", ["keys ahead", "numbers ahead"])
def test_next_steps(tmp_path: Path, target: str) -> None:
    (section,), html = shown(tmp_path, "sequence-model", target)
    assert len(section.figures) == sequences.SHOWN
    assert ("<img" in section.figures[0].html) == (target == "keys ahead")
    if target == "keys ahead":
        assert [figure.caption for figure in section.figures[:2]] == ["6 steps", "5 steps"]
    assert "Could not be drawn" not in html


def test_predictions_are_of_each_true_step_or_of_whole_sequences() -> None:
    batch = data("keys ahead").test[:3]
    steps = list(answers(lambda x, lengths, elapsed: 2 * x, batch, torch.device("cpu")))
    assert [(place, step) for place, step, _ in steps] == [
        (n, t) for n, length in enumerate((6, 4, 5)) for t in range(length)
    ]
    assert all(row == (2 * batch.tensors()["x"][place, step]).tolist() for place, step, row in steps)
    whole = list(answers(lambda x, lengths, elapsed: x.sum(1), batch, torch.device("cpu")))
    assert [(place, step) for place, step, _ in whole] == [(0, None), (1, None), (2, None)]
