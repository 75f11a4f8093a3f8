"""What a person sees."""

import time

import pytest
import torch

from etude.engine.progress import Progress

LINE = {"phase": "train", "epoch": 3, "losses": {"loss": 0.123456}, "validation": {"accuracy": 0.5}, "seconds": 1.234}


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = Progress(quiet=True)
    with quiet.shown(10, 0):
        quiet.step("train", 0, {"loss": [torch.tensor(1.0)]})
        quiet.end_of_pass(LINE)
        quiet.note("a note")
    assert capsys.readouterr() == ("", "")


def test_line_about_a_pass(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal, and not again within five seconds."""
    times = iter([100.0, 100.0, 104.0, 105.5, 105.5])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    loud = Progress(quiet=False)
    with loud.shown(10, 0):
        for _ in range(3):
            loud.end_of_pass(LINE)
    assert capsys.readouterr().out.splitlines() == ["train 3  loss 0.1235  accuracy 0.5  (1.23 s)"] * 2


def test_note_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Progress(quiet=False).note("a note")
    assert capsys.readouterr() == ("", "a note\n")


def test_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts on from what was done, shows the latest loss, and says no lines besides."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    loud = Progress(quiet=False)
    with loud.shown(10, 4):
        loud.step("train", 1, {"loss": [torch.tensor(9.0), torch.tensor(0.25)]})
        loud.end_of_pass(LINE)
        assert loud.bar.tasks[0].completed == 5
        assert loud.bar.tasks[0].description == "train 2  loss 0.25"
    assert loud.bar.tasks[0].completed == 10
    assert "accuracy" not in capsys.readouterr().out


def test_device_is_asked_ten_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    now = iter(step * 0.004 for step in range(250, 10_000))
    loud, asked = Progress(quiet=False), []

    class Loss(torch.Tensor):
        def item(self) -> float:
            asked.append(1)
            return 0.0

    with loud.shown(250, 0):
        monkeypatch.setattr(time, "monotonic", lambda: next(now))
        for _ in range(250):
            loud.step("train", 0, {"loss": [torch.ones(()).as_subclass(Loss)]})
        monkeypatch.undo()
    assert 4 <= len(asked) <= 11
