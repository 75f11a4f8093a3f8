"""The catalogue: a system is found by the name of its file, or by the entry point of a third party's package.

`systems/gans/wgan_gp.py` holds the one final system `WGANGP` and is called `wgan-gp` on the command line. Listing
imports no system.
"""

import ast
import difflib
import hashlib
import importlib
import importlib.util
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from etude.errors import InputError

if TYPE_CHECKING:
    from etude.systems.system import System

SYSTEMS = Path(__file__).parent / "systems"


@dataclass(frozen=True)
class Entry:
    """A system that can be had by name.

    Attributes:
        name: as the command line spells it.
        family: the folder of the file, or the package that brought it.
        module: where it is defined.
        file: the source, None where it cannot be read.
    """

    name: str
    family: str
    module: str
    file: Path | None

    @property
    def summary(self) -> str:
        """The first line of the file's docstring."""
        if self.file is None:
            return ""
        return (ast.get_docstring(ast.parse(self.file.read_text())) or "").partition("\n")[0]


def without_prose(file: Path) -> ast.Module:
    """The code of a file without its comments and docstrings: what decides the numbers."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        match getattr(node, "body", None):
            case [ast.Expr(value=ast.Constant()), *_] as body:
                body.pop(0)
    return tree


def code(name: str) -> str:
    """A hash of a system's code, empty where its source cannot be read."""
    file = entries()[name].file
    return hashlib.sha256(ast.dump(without_prose(file)).encode()).hexdigest()[:12] if file else ""


@cache
def entries() -> dict[str, Entry]:
    """Every system by name, ours by family, then those of installed packages (group `etude.systems`)."""
    found = {}
    for file in sorted(SYSTEMS.glob("*/*.py")):
        if file.stem != "__init__":
            name, family = file.stem.replace("_", "-"), file.parent.name
            found[name] = Entry(name, family, f"etude.systems.{family}.{file.stem}", file)
    for point in entry_points(group="etude.systems"):
        found[point.name] = Entry(point.name, _package(point), point.module, _source(point.module))
    return found


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module.partition(".")[0]


def _source(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    return Path(spec.origin) if spec and spec.origin else None


def nearest(name: str, names: Iterable[str], what: str) -> InputError:
    """The error for an unknown name: it suggests the nearest one."""
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    return InputError(f"no {what} is called {name!r}: {hint}")


def find(name: str) -> "type[System]":
    """The class of a system, by its name or the name of its class.

    Raises:
        InputError: no system is called so.
    """
    from etude.systems.system import System

    known = entries()
    if name not in known:
        raise nearest(name, known, "system")
    module = importlib.import_module(known[name].module)
    for _, value in inspect.getmembers(module, inspect.isclass):
        if issubclass(value, System) and value.__module__ == module.__name__:
            return value
    raise InputError(f"{known[name].module} defines no system: it needs one subclass of etude.System")


def name_of(system: "type[System]") -> str:
    """The name under which a class is in the catalogue.

    Raises:
        InputError: it is not there.
    """
    for entry in entries().values():
        if entry.module == system.__module__:
            return entry.name
    raise InputError(
        f"{system.__name__} is not in the catalogue: put its file under systems/ or give it an entry point"
    )
