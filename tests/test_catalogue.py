"""Systems are found by name, ours and those of other packages, and listed without importing torch."""

import subprocess
import sys
from importlib.metadata import Distribution, entry_points
from pathlib import Path

import pytest

from etude import catalogue
from etude.catalogue import entries, find, name_of
from etude.errors import InputError
from etude.systems.system import Phase, System

HELP = "import etude.cli\ntry: etude.cli.main(['--help'])\nexcept SystemExit: pass"
THIRD_PARTY = '''"""Adaline: Widrow and Hoff, "Adaptive switching circuits", 1960."""

from etude.systems.system import Paper, Phase, System


class Adaline(System):
    paper = Paper("B. Widrow and M. E. Hoff", 1960, "Adaptive switching circuits", "https://example.org")

    def phases(self) -> list[Phase]:
        return []
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody else's, as pip would leave it."""
    (tmp_path / "theirs.py").write_text(THIRD_PARTY)
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[etude.systems]\nadaline = theirs:Adaline\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    catalogue.entries.cache_clear()
    assert Distribution.from_name("theirs")
    assert "adaline" in entry_points(group="etude.systems").names


def test_every_entry_has_a_family_and_a_summary() -> None:
    for entry in entries().values():
        assert entry.summary.endswith(".")
        assert entry.family
        assert name_of(find(entry.name)) == entry.name


@pytest.mark.usefixtures("installed")
def test_another_package_adds_a_system() -> None:
    try:
        assert entries()["adaline"].family == "theirs"
        assert entries()["adaline"].summary.startswith("Adaline")
        assert issubclass(find("adaline"), System)
    finally:
        catalogue.entries.cache_clear()
        sys.modules.pop("theirs", None)


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="no system is called 'lenot': did you mean 'lenet'"):
        find("lenot")


def test_class_outside_the_catalogue_is_refused() -> None:
    class Stray(System):
        def phases(self) -> list[Phase]:
            return []

    with pytest.raises(InputError, match="Stray is not in the catalogue"):
        name_of(Stray)


@pytest.mark.parametrize("words", ["import etude", "import etude.cli; etude.cli.main(['list'])", HELP])
def test_torch_is_not_imported(words: str) -> None:
    code = f"{words}\nimport sys\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
