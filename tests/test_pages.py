"""The pages of the documentation that are written by a program."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from etude.claims import lab

SCRIPT = Path(__file__).parents[1] / "docs" / "pages.py"


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, writing elsewhere, about a part and the libraries alone."""
    spec = importlib.util.spec_from_file_location("pages", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "PARTS", {"autodiff": "Automatic differentiation"})
    monkeypatch.setattr(module, "entries", dict)
    return module


def finding(**plot: Any) -> dict[str, Any]:
    curves = {"axes": ["steps back", "norm"], "x": [1.0, 2.0, 3.0], "series": {"kept": [1.0, 1.0, 1.0]}} | plot
    return {"verdict": "holds", "stale": False, "numbers": {}, "note": "Measured.", "plots": {"Gradients": curves}}


def test_a_library_of_one_file_has_a_page_with_its_plots_and_the_index_leads_there(
    pages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {
        ("dynamics", "orthogonal_keeps_norm"): finding(scale="semilog"),
        ("autodiff", "modes_and_sizes"): finding(),
    }
    monkeypatch.setattr(lab, "findings", lambda: found)
    pages.main()
    for name in lab.LIBRARIES:
        page = (tmp_path / "api" / f"{name}.md").read_text()
        assert all(pages.prose(claim.statement) in page for claim in lab.claims(name))
        assert f"etude reproduce {name}" in page
        assert page.count("<svg") == sum(about == name for about, _ in found)
        assert name in (tmp_path / "api" / "index.md").read_text().splitlines()
