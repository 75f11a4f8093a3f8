"""What the terminal shows of systems, scores and findings."""

import io
from typing import Any

import pytest
from rich.console import Console

from etude.catalogue import entries
from etude.claims import lab
from etude.report.sheet import deviations, fidelity_sheet, finding_lines, number, score_table
from etude.signature import arguments


def printed(*parts: Any) -> str:
    console = Console(file=io.StringIO(), width=200)
    for part in parts:
        console.print(part)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_sheet_names_every_hyperparameter_and_deviation() -> None:
    from etude.systems.autoencoders.vae import VAE

    text = printed(*fidelity_sheet("vae"))
    assert VAE.paper.title in text
    assert all(name in text for name in arguments(VAE))
    assert len(deviations("vae")) >= 2
    assert all(line in text for line in deviations("vae"))


@pytest.mark.parametrize("name", sorted(entries()))
def test_every_system_has_a_sheet(name: str) -> None:
    assert f"etude train {name}" in printed(*fidelity_sheet(name))


def test_verdicts_are_shown_and_stale_ones_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    def experiment(lab: lab.Lab) -> lab.Finding:
        raise NotImplementedError

    claim = lab.Claim("it works", "section 1", 1.0, experiment)
    monkeypatch.setattr(lab, "claims", lambda name: [claim])
    for stale, words in ((False, "it works (section 1): holds\n"), (True, "holds (stale: the code has changed since)")):
        found = {("vae", "experiment"): {"verdict": "holds", "stale": stale}}
        monkeypatch.setattr(lab, "findings", lambda found=found: found)
        assert words in "\n".join(line.rstrip() for line in printed(*fidelity_sheet("vae")).splitlines()) + "\n"
    monkeypatch.setattr(lab, "findings", dict)
    assert "not run here" in printed(*fidelity_sheet("vae"))


def test_numbers_of_several_seeds_show_their_spread() -> None:
    assert number(lab.spread([1.0, 2.0, 3.0])) == "2 ± 1"
    assert number(0.123456) == "0.1235"
    assert number(7) == "7"


def test_a_failed_finding_is_printed_as_one() -> None:
    entry = {"verdict": "fails", "statement": "s", "source": "p", "minutes": 1, "numbers": {"a": 1.5}, "note": "n"}
    text = printed(*finding_lines(entry))
    assert text.startswith("FAILS: s (p)")
    assert "a: 1.5" in text


def test_scores_are_readable() -> None:
    assert "reconstruction error" in printed(score_table({"reconstruction_error": 1.25}))
