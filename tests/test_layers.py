"""Imports point one way (DESIGN, section 1)."""

import ast
import subprocess
import sys
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
    "autodiff": set[str](),
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


@pytest.mark.parametrize("path", sorted((ROOT / "autodiff").rglob("*.py")), ids=lambda path: path.name)
def test_autodiff_needs_numpy_and_the_standard_library_alone(path: Path) -> None:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(node.module or "")
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    ours = {name for name in names if name.split(".")[0] == "etude"}
    assert all(f"{name}.".startswith("etude.autodiff.") for name in ours)
    assert {name.split(".")[0] for name in names - ours} <= sys.stdlib_module_names | {"numpy"}


def test_autodiff_is_imported_without_the_rest() -> None:
    program = "import sys; before = set(sys.modules); import etude.autodiff; print(*set(sys.modules) - before)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    roots = {
        ".".join(name.split(".")[:2]) if name.startswith("etude.") else name.split(".")[0]
        for name in run.stdout.split()
    }
    assert {name for name in roots if name.startswith("etude")} == {"etude", "etude.autodiff"}
    assert roots - {"etude", "etude.autodiff"} <= sys.stdlib_module_names | {"numpy"}


def test_every_file_has_a_test() -> None:
    tests = Path(__file__).parent
    layers = ("functional", "nn", "data", "metrics", "systems", "engine", "report", "claims", "autodiff")
    for path in (p for layer in layers for p in (ROOT / layer).rglob("*.py")):
        inside = path.relative_to(ROOT)
        if path.name != "__init__.py" and not (inside.parts[0] == "claims" and len(inside.parts) > 2):
            assert (tests / inside.parent / f"test_{path.name}").exists(), (
                f"tests/{inside.parent}/test_{path.name} is missing"
            )
