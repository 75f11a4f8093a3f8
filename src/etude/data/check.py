"""What was understood of a data set, before anything is trained on it."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from etude.data.image_pairs import domain_folders, load_image_pairs, packed
from etude.data.kinds import UNKNOWN, Batch, ImagePairs, Images, Sequences, Splits, Symbols, TextPairs, Trees
from etude.data.own import form, load_path
from etude.data.source import load, names
from etude.data.strings import load_strings
from etude.errors import InputError

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
        text: of documents, words to train on and their stems; of strings, pairs and trees, symbols to train on, the
            longest, and how many of validation and test training never saw; empty where the data are no text.
        empty: documents, by name, that hold none of the stems that were kept.
        duplicates: examples that repeat one of their split ("train") or are in an earlier one too ("test in train").
        also: what the same path is for systems that learn from another kind.
        series: how long series are, whether their times are known and what has labels; empty for other data.
        pairs: whether pictures of two domains are aligned; empty for other data.
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
    also: str = ""
    series: dict[str, str] = field(default_factory=dict)
    pairs: str = ""

    def lines(self) -> list[str]:
        """Everything, a line for each heading."""
        told = [
            ("data", self.name),
            ("kind", self.kind),
            ("dimensions", _listed(self.dimensions)),
            ("examples", _listed(self.counts)),
            ("values", f"{self.reach[0]:.6g} to {self.reach[1]:.6g}"),
        ]
        told[2:2] = [("or", self.also)] if self.also else []
        told[2:2] = [("pairs", self.pairs)] if self.pairs else []
        told += [(f"class {name}", _listed(counts)) for name, counts in self.classes.items()]
        told += [
            ("missing values", _listed(self.missing) or "none"),
            ("unreadable files", ", ".join(self.unreadable) or "none"),
            ("duplicates", _listed(self.duplicates) or "none"),
        ]
        if self.text:
            told.append(("text", _listed(self.text)))
        if "stems" in self.text:
            told.append(("no stem kept in", _named(self.empty) or "none"))
        told += self.series.items()
        wide = max(len(heading) for heading, _ in told)
        return [f"{heading:<{wide}}  {text}" for heading, text in told]


def check(
    data: Any,
    *,
    data_dir: str | Path | None = None,
    target: str | None = None,
    size: int | None = None,
    vocabulary: str | None = None,
) -> Report:
    """What `etude.data.source.load` makes of the data; files in a folder that cannot be read are listed, not refused.

    Raises:
        InputError: as `load`, for everything but unreadable images and documents.
    """
    unreadable: list[str] = []
    folder = isinstance(data, str | Path) and str(data) not in names() and Path(data).is_dir()
    read = load_path(Path(data), target, unreadable, size=size, vocabulary=vocabulary) if folder else data
    splits = load(read, data_dir=data_dir, target=target, size=size, vocabulary=vocabulary)
    columns = splits.preparation.get("table", splits.preparation.get("series", {})).get("columns", [])
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
        also=_also(Path(data), splits, target, size) if folder else "",
        series=_series(splits),
        pairs=_pairs(splits.train),
    )


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in numbers.items())


def _named(documents: tuple[str, ...]) -> str:
    more = f" and {len(documents) - SHOWN:,} more" if len(documents) > SHOWN else ""
    return ", ".join(documents[:SHOWN]) + more


def _words(splits: Splits) -> dict[str, int]:
    if isinstance(splits.train, Symbols):
        return _symbols(splits, "x", "lengths", 0)
    if isinstance(splits.train, TextPairs):
        source = _symbols(splits, "x", "lengths", UNKNOWN)
        target = _symbols(splits, "target", "target_lengths", UNKNOWN)
        return {f"source {what}": count for what, count in source.items()} | {
            f"target {what}": count for what, count in target.items()
        }
    if isinstance(splits.train, Trees):
        words, nodes = _symbols(splits, "x", "lengths", UNKNOWN), _symbols(splits, "nodes", "sizes", UNKNOWN)
        return {f"text {what}": count for what, count in words.items()} | {
            f"tree {what}": count for what, count in nodes.items()
        }
    text = splits.preparation.get("text")
    return {"words": text["words"], "stems": text["distinct"], "kept": len(text["stems"])} if text else {}


def _symbols(splits: Splits, field: str, lengths: str, unseen: int) -> dict[str, int]:
    """Symbols to train on, the longest string of them, and how often validation and test hold the symbol `unseen`."""
    train, *held = (batch.tensors() for batch in splits.parts().values())
    unknown = [_true(part[field], part[lengths]) & (part[field] == unseen) for part in held]
    return {
        "symbols": int(train[lengths].sum()),
        "longest": int(train[lengths].max()),
        "unseen": sum(int(places.sum()) for places in unknown),
    }


def _series(splits: Splits) -> dict[str, str]:
    train = splits.train
    if not isinstance(train, Sequences):
        return {}
    lengths = torch.cat([batch.tensors()["lengths"] for batch in splits.parts().values()])
    unit = splits.preparation.get("series", {}).get("unit")
    known = f"known, in units of {unit:.6g}" if unit else "known"
    labels = "one for each step" if "y" in train.padded else "one for each series"
    return {
        "steps": f"{int(lengths.min()):,} to {int(lengths.max()):,}, {float(lengths.double().mean()):.1f} on average",
        "times": known if train.times is not None else "not known",
        "labels": labels if train.y is not None else "none",
    }


def _true(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Where x (n, steps) is no padding."""
    return torch.arange(x.shape[1]) < lengths[:, None]


def _also(path: Path, splits: Splits, target: str | None, size: int | None) -> str:
    """What a folder is for systems that learn from another kind."""
    if form(path) == "texts":
        return _as_strings(path)
    return _as_image_pairs(path, target, size) if isinstance(splits.train, Images) else ""


def _as_image_pairs(path: Path, target: str | None, size: int | None) -> str:
    """What a folder of pictures is as pairs; empty where it seems to hold none."""
    if not domain_folders(path) and not packed(path):
        return ""
    try:
        train = load_image_pairs(path, target, [], size).train
    except InputError:
        return ""
    return f"ImagePairs, {_pairs(train)}, {_listed(train.dimensions)}, for a system that translates pictures"


def _pairs(train: Batch) -> str:
    if not isinstance(train, ImagePairs):
        return ""
    return "aligned" if train.aligned else "not aligned"


def _as_strings(path: Path) -> str:
    """What a folder of documents is as one long text; empty where it is too short."""
    try:
        train = load_strings(path, []).train
    except InputError:
        return ""
    return f"Symbols, {train.dimensions['symbols']} of them, for a system that learns from strings"


def _examples(batch: Batch) -> torch.Tensor:
    return next(tensor for name, tensor in batch.tensors().items() if name != "index")


def _unpadded(batch: Batch) -> list[torch.Tensor]:
    """The examples one by one, without their padding."""
    examples, lengths = _examples(batch), batch.tensors().get("lengths")
    if lengths is None:
        return list(examples)
    return [row[:length] for row, length in zip(examples, lengths.tolist(), strict=True)]


def _reach(splits: Splits) -> tuple[float, float]:
    ends = [torch.aminmax(_examples(batch)) for batch in splits.parts().values()]
    return min(low.item() for low, _ in ends), max(high.item() for _, high in ends)


def _classes(splits: Splits) -> dict[str, dict[str, int]]:
    named: tuple[str, ...] = getattr(splits.train, "classes", ())
    parts = splits.parts() if named else {}
    counts = {part: Counter(batch.tensors()["y"].flatten().tolist()) for part, batch in parts.items()}
    return {name: {part: count[place] for part, count in counts.items()} for place, name in enumerate(named)}


def _duplicates(splits: Splits) -> dict[str, int]:
    found: dict[str, int] = {}
    seen: dict[str, set[bytes]] = {}
    for part, batch in splits.parts().items():
        rows = [hashlib.blake2b(row.numpy().tobytes(), digest_size=16).digest() for row in _unpadded(batch)]
        found[part] = len(rows) - len(set(rows))
        for earlier, known in seen.items():
            found[f"{part} in {earlier}"] = sum(row in known for row in rows)
        seen[part] = set(rows)
    return {where: count for where, count in found.items() if count}
