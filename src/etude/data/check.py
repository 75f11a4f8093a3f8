"""What was understood of a data set, before anything is trained on it."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from etude.data.kinds import Batch, Splits
from etude.data.own import load_path
from etude.data.source import load, names

SHOWN = 10  # documents named in one line


@dataclass(frozen=True)
class Report:
    """What a data set holds.

    Attributes:
        name: of the data set.
        kind: `Vectors`, `Images`, ...
        dimensions: sizes by name.
        counts: examples in each split.
        classes: examples of each class in each split; empty where the labels are no classes.
        reach: the lowest and the highest number in x.
        missing: empty cells of each column of a table that has some.
        unreadable: files that were left out.
        text: words of the training documents and how many stems they have; empty where the data are no documents.
        empty: documents, by name, that hold none of the stems that were kept.
        duplicates: examples that repeat one of their split ("train") or are in an earlier one too ("test in train").
    """

    name: str
    kind: str
    dimensions: dict[str, int]
    counts: dict[str, int]
    classes: dict[str, dict[str, int]]
    reach: tuple[float, float]
    missing: dict[str, int]
    unreadable: tuple[str, ...]
    text: dict[str, int]
    empty: tuple[str, ...]
    duplicates: dict[str, int]

    def lines(self) -> list[str]:
        """Everything, a line for each heading."""
        told = [
            ("data", self.name),
            ("kind", self.kind),
            ("dimensions", _listed(self.dimensions)),
            ("examples", _listed(self.counts)),
            ("values", f"{self.reach[0]:.6g} to {self.reach[1]:.6g}"),
        ]
        told += [(f"class {name}", _listed(counts)) for name, counts in self.classes.items()]
        told += [
            ("missing values", _listed(self.missing) or "none"),
            ("unreadable files", ", ".join(self.unreadable) or "none"),
            ("duplicates", _listed(self.duplicates) or "none"),
        ]
        if self.text:
            told += [("text", _listed(self.text)), ("no stem kept in", _named(self.empty) or "none")]
        wide = max(len(heading) for heading, _ in told)
        return [f"{heading:<{wide}}  {text}" for heading, text in told]


def check(data: Any, *, data_dir: str | Path | None = None, target: str | None = None) -> Report:
    """What `etude.data.source.load` makes of the data; files in a folder that cannot be read are listed, not refused.

    Raises:
        InputError: as `load`, for everything but unreadable images and documents.
    """
    unreadable: list[str] = []
    folder = isinstance(data, str | Path) and str(data) not in names() and Path(data).is_dir()
    splits = load(load_path(Path(data), target, unreadable) if folder else data, data_dir=data_dir, target=target)
    columns = splits.preparation.get("table", {}).get("columns", [])
    return Report(
        name=splits.name,
        kind=type(splits.train).__name__,
        dimensions=splits.train.dimensions,
        counts={part: len(batch) for part, batch in splits.parts().items()},
        classes=_classes(splits),
        reach=_reach(splits),
        missing={column["name"]: column["missing"] for column in columns if column["missing"]},
        unreadable=tuple(unreadable),
        text=_words(splits),
        empty=tuple(splits.preparation.get("text", {}).get("empty", ())),
        duplicates=_duplicates(splits),
    )


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in numbers.items())


def _named(documents: tuple[str, ...]) -> str:
    more = f" and {len(documents) - SHOWN:,} more" if len(documents) > SHOWN else ""
    return ", ".join(documents[:SHOWN]) + more


def _words(splits: Splits) -> dict[str, int]:
    text = splits.preparation.get("text")
    return {"words": text["words"], "stems": text["distinct"], "kept": len(text["stems"])} if text else {}


def _examples(batch: Batch) -> torch.Tensor:
    return next(tensor for name, tensor in batch.tensors().items() if name != "index")


def _reach(splits: Splits) -> tuple[float, float]:
    ends = [torch.aminmax(_examples(batch)) for batch in splits.parts().values()]
    return min(low.item() for low, _ in ends), max(high.item() for _, high in ends)


def _classes(splits: Splits) -> dict[str, dict[str, int]]:
    named: tuple[str, ...] = getattr(splits.train, "classes", ())
    parts = splits.parts() if named else {}
    counts = {part: Counter(batch.tensors()["y"].tolist()) for part, batch in parts.items()}
    return {name: {part: count[place] for part, count in counts.items()} for place, name in enumerate(named)}


def _duplicates(splits: Splits) -> dict[str, int]:
    found: dict[str, int] = {}
    seen: dict[str, set[bytes]] = {}
    for part, batch in splits.parts().items():
        rows = [hashlib.blake2b(row.numpy().tobytes(), digest_size=16).digest() for row in _examples(batch)]
        found[part] = len(rows) - len(set(rows))
        for earlier, known in seen.items():
            found[f"{part} in {earlier}"] = sum(row in known for row in rows)
        seen[part] = set(rows)
    return {where: count for where, count in found.items() if count}
