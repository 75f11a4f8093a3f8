import json
from pathlib import Path
from typing import Any

import pytest

from etude.catalogue import Entry, find
from etude.claims import lab
from etude.claims.lab import Claim, Finding, Lab, claim, spread
from etude.report import results


@claim("the first holds", source="Author 2014, figure 1", minutes=1)
def first(lab: Lab) -> Finding:
    raise NotImplementedError


@claim("the second fails", source="Author 2014, figure 2", minutes=1)
def second(lab: Lab) -> Finding:
    raise NotImplementedError


@claim("nobody looked at the third", source="Author 2014, figure 3", minutes=1)
def third(lab: Lab) -> Finding:
    raise NotImplementedError


def entry(about: Claim, **different: Any) -> dict[str, Any]:
    return {
        "system": "gan",
        "claim": about.name,
        "statement": about.statement,
        "source": about.source,
        "verdict": "holds",
        "numbers": {"gradient |g|": spread([1.0, 2.0, 3.0])},
        "note": "",
        "minutes": 1.25,
        "machine": "abacus, 2 threads",
        "commit": "abc123",
        "code": "now",
        "date": "2026-11-20",
        "command": f"etude reproduce gan --only {about.name}",
    } | different


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a README, three claims about `gan`, none measured."""
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(lab, "FINDINGS", tmp_path / "findings.jsonl")
    monkeypatch.setattr(lab, "code", lambda *words: "now")
    monkeypatch.setattr(lab, "claims", lambda name: [first, second, third] if name == "gan" else [])
    (tmp_path / "README.md").write_text("# Before\n<!-- systems -->\nold\n<!-- /systems -->\nAfter\n")
    return tmp_path


def file(place: Path, *entries: dict[str, Any]) -> None:
    (place / "findings.jsonl").write_text("".join(json.dumps(e) + "\n" for e in entries))


def test_a_finding_is_printed_with_all_that_a_reader_needs_to_doubt_it(place: Path) -> None:
    file(place, entry(first, note="On 3 epochs."))
    text = results.results(lab.findings())
    assert "### The first holds\n\n**holds.** Source: Author 2014, figure 1." in text
    assert r"| gradient \|g\| | 2 ± 1 | 3 | 1, 2, 3 |" in text
    for word in (
        "On 3 epochs.",
        "1.25 minutes",
        "abacus, 2 threads",
        "2026-11-20",
        "abc123",
        "`etude reproduce gan --only first`",
    ):
        assert word in text


def test_what_fails_what_is_stale_and_what_was_not_measured_is_said(place: Path) -> None:
    file(place, entry(first, code="before"), entry(second, verdict="fails"))
    text, table = results.results(lab.findings()), results.systems(lab.findings())
    assert "### The first holds\n\n**holds, STALE.**" in text
    assert "### The second fails\n\n**fails.**" in text
    assert "### Nobody looked at the third\n\n**not measured.**" in text
    assert "[fails 1, holds, STALE 1, not measured 1](RESULTS.md#gan)" in table


def test_the_newest_finding_counts(place: Path) -> None:
    file(place, entry(first, verdict="fails"), entry(first))
    assert "fails" not in results.results(lab.findings()).split("## gan")[1].split("### The second")[0]


def test_what_is_plotted_is_a_table_of_points(place: Path) -> None:
    plot = {"axes": ["passes", "bytes"], "x": [10, 1000], "series": {"forward": [8.0, 8.0], "reverse": [80.0, 8e6]}}
    file(place, entry(first, plots={"Peak memory": plot}))
    text = results.results(lab.findings())
    assert "Peak memory (bytes):\n\n| passes | forward | reverse |" in text
    assert "| 1000 | 8 | 8e+06 |" in text


def test_a_long_curve_is_told_by_a_few_spaced_points(place: Path) -> None:
    x = [float(t) for t in range(1, 501)]
    plot = {"axes": ["steps", "norm"], "x": x, "series": {"kept": [1 / t for t in x]}, "scale": "semilog"}
    file(place, entry(first, plots={"Gradients": plot}))
    text = results.results(lab.findings())
    table = text.split("Gradients (norm; 12 of 500 points):\n\n")[1].split("\n\n")[0].splitlines()
    assert table[0] == "| steps | kept |"
    assert len(table) == 2 + 12
    assert (table[2], table[-1]) == ("| 1 | 1 |", "| 500 | 0.002 |")


def test_a_library_stands_beside_the_systems(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init = place / "__init__.py"
    init.write_text('"""Sums: adds numbers.\n\nMore."""\n')
    monkeypatch.setattr(lab, "LIBRARIES", {"gan": Entry("gan", "library", "etude.gan", init)})
    file(place, entry(first))
    text, table = results.results(lab.findings()), results.systems(lab.findings())
    assert "## gan\n\nSums: adds numbers.\n\n### The first holds" in text
    assert "| `gan` | library | Sums: adds numbers. | [holds 1, not measured 2](RESULTS.md#gan) |" in table


def test_a_claim_that_is_gone_is_not_reported(place: Path) -> None:
    file(place, entry(first) | {"claim": "withdrawn", "machine": "gone"})
    assert "gone" not in results.results(lab.findings())


def test_every_system_and_its_paper_stands_in_the_readme(place: Path) -> None:
    table = results.systems({})
    for name in ("vae", "gan", "mlp", "lenet", "ema", "autoencoder"):
        assert f"| `{name}` |" in table
        assert find(name).paper.link in table


def test_speed_is_told_of_every_benchmark_that_was_run(place: Path) -> None:
    assert list(results.speed()) == []
    (place / "benchmarks").mkdir()
    rows = {"loop": {"function, ms": 0.01, "etude, times the function": 3.2}, "ODE": {"function, ms": 20.0}}
    told = {"threads": 2, "versions": {"numpy": "2.4", "jax": "0.10"}, "rows": rows}
    (place / "benchmarks" / "autodiff.json").write_text(json.dumps(told))
    heading, text, table = results.speed()
    assert heading == "## Speed"
    assert "2 threads, numpy 2.4, jax 0.10" in text
    assert table.splitlines()[0] == "| program | function, ms | etude, times the function |"
    assert table.splitlines()[2:] == ["| loop | 0.01 | 3.2 |", "| ODE | 20 |  |"]


def test_speed_of_recurrent_blocks_is_a_row_for_each_size(place: Path) -> None:
    (place / "benchmarks").mkdir()
    row = {
        "milliseconds": {"torch": 6.4, "eager": 17.0},
        "times as long as torch's": {"eager": 2.67, "CIFG": 1.01},
        "promised": 1.5,
    }
    lstm = {"threads": 2, "torch": "2.13.0", "matrix products": "highest", "hidden": {"64": row}}
    ltc = {"threads": 2, "torch": "2.13.0", "rounds": 3, "rows": {"ncps": {"milliseconds": 158.0}}}
    for name, told in {"recurrent": lstm, "ltc": ltc}.items():
        (place / "benchmarks" / f"{name}.json").write_text(json.dumps(told))
    text = "\n".join(results.speed())
    assert "| units | torch, milliseconds | eager | CIFG | promised |" in text
    assert "| 64 | 6.4 | 2.67 | 1.01 | 1.5 |" in text
    assert "| ncps | 158 |" in text


def test_speed_of_adversarial_systems_is_a_row_for_each_contestant_and_size(place: Path) -> None:
    (place / "benchmarks").mkdir()
    machine = {"threads": 2, "torch": "2.13.0"}
    dcgan = {**machine, "peak, GFLOP/s": {"bf16": 400}, "rows": {"plain loop": {"pictures a second": 250}}}
    coulomb = {**machine, "features": 3072, "sizes": {"4096": {"megabytes, plain": 282.0}}}
    for name, told in {"dcgan": dcgan, "coulomb": coulomb}.items():
        (place / "benchmarks" / f"{name}.json").write_text(json.dumps(told))
    text = "\n".join(results.speed())
    assert "400 GFLOP/s in bf16 (2 threads, torch 2.13.0)" in text
    assert "| plain loop | 250 |" in text
    assert "| n | megabytes, plain |" in text
    assert "| 4096 | 282 |" in text


def test_speed_of_clustering_stands_beside_the_peak(place: Path) -> None:
    (place / "benchmarks").mkdir()
    told = {
        "threads": 2,
        "torch": "2.13.0",
        "clustpy": "0.0.3",
        "peak, GFLOP/s": {"float32": 300},
        "rows": {"ClustPy": {"seconds": 9.0}},
        "passes": {"pretraining: ClustPy": {"seconds": 0.5}},
        "steps": {"float32": {"layer 1": {"GFLOP": 1.0}}},
        "full protocol": {
            "operations of the pretraining": 7.7e14,
            "operations of a pass of refinement": 8.8e11,
            "float32": {"minutes of the pretraining at the peak": 43.0},
        },
    }
    (place / "benchmarks" / "clustering.json").write_text(json.dumps(told))
    text = "\n".join(results.speed())
    assert "2 threads, torch 2.13.0, ClustPy 0.0.3" in text
    assert "300 GFLOP/s in float32" in text
    assert "7.7e+14 operations" in text
    assert "| float32 | 43 |" in text


def test_checking_says_what_is_old_and_writing_mends_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file(place, entry(first))
    assert results.main(["--check"]) == 1
    assert not (place / "RESULTS.md").exists()
    assert capsys.readouterr().err.splitlines() == [
        "RESULTS.md is not up to date: run `make results`",
        "README.md is not up to date: run `make results`",
    ]
    assert results.main([]) == 0
    assert results.main(["--check"]) == 0
    readme = (place / "README.md").read_text()
    assert readme.startswith("# Before\n<!-- systems -->\n| system |")
    assert readme.endswith("\n<!-- /systems -->\nAfter\n")
    file(place, entry(first), entry(second, verdict="fails"))
    assert results.main(["--check"]) == 1


def test_a_readme_without_the_markers_is_left_as_it_is(place: Path) -> None:
    (place / "README.md").write_text("# No table\n")
    with pytest.raises(ValueError, match="substring not found"):
        results.main([])
    assert (place / "README.md").read_text() == "# No table\n"
