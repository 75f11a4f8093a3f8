"""The signature is the configuration: what a system's `__init__` and its `Args:` lines say about every argument.

A line reads `name: meaning, in [low, high) (source of the default).` Flags, help texts, the saved run, the fidelity
sheet and the check of values are all read off it.
"""

import inspect
import math
import re
import types
import typing
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

import docstring_parser

from etude.catalogue import nearest
from etude.errors import InputError

if TYPE_CHECKING:
    from etude.systems.system import System

INTERVAL = re.compile(r",?\s*in ([\[(])\s*([^\s,\])]+)\s*,\s*([^\s,\])]+)\s*([\])])")
SOURCE = re.compile(r"\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)\.?$")


@dataclass(frozen=True)
class Argument:
    """A hyperparameter.

    Attributes:
        name: as in the signature.
        type: its annotation.
        default: the paper's value.
        meaning: what it is, as its `Args:` line says.
        source: where the default comes from.
        interval: the range as written, such as `[0, 1)`; empty where any value of the type will do.
    """

    name: str
    type: Any
    default: Any
    meaning: str
    source: str
    interval: str

    @property
    def expects(self) -> str:
        """Type and range, for messages and help."""
        return words(self.type) + (f" in {self.interval}" if self.interval else "")

    def check(self, value: Any) -> Any:
        """The value in its own type.

        Raises:
            InputError: wrong type, or outside the range.
        """
        coerced = _coerce(self.type, value)
        if coerced is _WRONG or not all(
            self._inside(v) for v in (coerced if isinstance(coerced, tuple) else (coerced,))
        ):
            raise InputError(f"--{self.name.replace('_', '-')} {_shown(value)}: expected {self.expects}")
        return coerced

    def _inside(self, value: Any) -> bool:
        if not self.interval or isinstance(value, str | bool | None):
            return True
        low, high = (float(end) for end in self.interval[1:-1].split(","))
        above = value >= low if self.interval[0] == "[" else value > low
        below = value <= high if self.interval[-1] == "]" else value < high
        return bool(above and below) and not math.isnan(value)


_WRONG = object()


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def words(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(map(str, inner))
    if origin is tuple:
        return f"numbers, each {words(inner[0])}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(words(part) for part in inner)
    plain = {int: "a whole number", float: "a number", bool: "True or False", str: "a word", types.NoneType: "None"}
    return plain.get(annotation, str(annotation))


def _coerce(annotation: Any, value: Any) -> Any:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return value if value in inner else _WRONG
    if origin in (typing.Union, types.UnionType):
        tried = (_coerce(part, value) for part in inner)
        return next((v for v in tried if v is not _WRONG), _WRONG)
    if origin is tuple:
        parts = [_coerce(inner[0], v) for v in value] if isinstance(value, list | tuple) else [_WRONG]
        return _WRONG if _WRONG in parts else tuple(parts)
    if annotation in (int, float):
        fits = isinstance(value, Integral if annotation is int else Real) and not isinstance(value, bool)
        return annotation(value) if fits else _WRONG
    return value if isinstance(value, annotation) else _WRONG


def arguments(system: "type[System]") -> dict[str, Argument]:
    """The hyperparameters: keyword-only arguments with a default, in order."""
    lines = {p.arg_name: p.description or "" for p in docstring_parser.parse(system.__doc__ or "").params}
    hints = typing.get_type_hints(system.__init__)
    found = {}
    for name, parameter in inspect.signature(system.__init__).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            line = " ".join(lines.get(name, "").split())
            source = SOURCE.search(line)
            meaning = line[: source.start()] if source else line.rstrip(".")
            interval = INTERVAL.search(meaning) if "number" in words(hints[name]) else None
            written = "".join((interval[1], interval[2], ", ", interval[3], interval[4])) if interval else ""
            meaning = meaning.replace(interval[0], "") if interval else meaning
            found[name] = Argument(name, hints[name], parameter.default, meaning, source[1] if source else "", written)
    return found


def dimensions(system: "type[System]") -> tuple[str, ...]:
    """The sizes that come from the data: positional arguments without a default, but for `on`."""
    every = inspect.signature(system.__init__).parameters.values()
    positional = [
        p.name for p in every if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and p.name not in ("self", "on")
    ]
    return tuple(positional)


def acts_on_another(system: "type[System]") -> bool:
    """Does it take another system `on` which it acts?"""
    return "on" in inspect.signature(system.__init__).parameters


def resolve(system: "type[System]", given: dict[str, Any]) -> dict[str, Any]:
    """Every argument with its value: what was given, checked, and the defaults.

    Raises:
        InputError: an unknown name (with the nearest known one), a wrong type, a value out of range.
    """
    known = arguments(system)
    for name in given:
        if name not in known:
            raise nearest(name, known, f"option of {system.__name__}")
    return {name: known[name].check(given[name]) if name in given else known[name].default for name in known}


def fit(system: "type[System]", sizes: dict[str, int]) -> dict[str, int | None]:
    """The dimensions of the data that a system takes; None for one that it can do without (`int | None`).

    Raises:
        InputError: the data lack one, such as classes where there are no labels.
    """
    chosen: dict[str, int | None] = {}
    hints = typing.get_type_hints(system.__init__)
    for name in dimensions(system):
        if not sizes.get(name):
            if types.NoneType in typing.get_args(hints[name]):
                chosen[name] = None
                continue
            have = ", ".join(f"{k} {v}" for k, v in sizes.items())
            missing = "labels" if name in ("classes", "outputs") else name
            column = ", or name the column of a table by --target" if missing == "labels" else ""
            raise InputError(
                f"{system.__name__} needs {missing} and the data have none ({have}): give data with {missing}{column}"
            )
        chosen[name] = sizes[name]
    return chosen
