"""Imports point one way (DESIGN, section 1)."""

import ast
from pathlib import Path

import pytest

import etude

ROOT = Path(etude.__file__).parent
BELOW = {
    "functional": set[str](),
    "nn": {"functional"},
    "data": set[str](),
    "metrics": {"data", "functional"},
    "systems": {"functional", "nn", "data", "metrics"},
    "engine": {"functional", "nn", "data", "metrics", "systems"},
}
ANYWHERE = {"errors", "catalogue", "signature"}
FILES = sorted(path for layer in BELOW for path in (ROOT / layer).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The parts of etude that a file imports, at the top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "etude":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("etude.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    assert imported(path) <= BELOW[layer] | {layer} | ANYWHERE


def test_every_file_has_a_test() -> None:
    tests = Path(__file__).parent
    layers = ("functional", "nn", "data", "metrics", "systems", "engine", "report", "claims")
    for path in (p for layer in layers for p in (ROOT / layer).rglob("*.py")):
        inside = path.relative_to(ROOT)
        if path.name != "__init__.py" and not (inside.parts[0] == "claims" and len(inside.parts) > 2):
            assert (tests / inside.parent / f"test_{path.name}").exists(), (
                f"tests/{inside.parent}/test_{path.name} is missing"
            )
