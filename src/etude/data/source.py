"""Sources: from what a user names (a data set, a path, arrays) to `Splits`.

A third party's package adds a source by an entry point in the group `etude.data`: its name, and a function that takes
`data_dir: Path | None` and returns `Splits`.
"""

import difflib
import math
import os
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.errors import InputError

if TYPE_CHECKING:  # torch takes seconds to import, and the list of names is wanted at once
    from etude.data.kinds import Batch, Images, Sequences, Splits, Vectors

SOURCES = {
    "digits": ("etude.data.digits:digits", "1,797 handwritten digits 8x8, always at hand"),
    "mnist": ("etude.data.mnist:mnist", "70,000 handwritten digits 28x28"),
    "mnist-whole": ("etude.data.mnist:mnist_whole", "MNIST with nothing held out, as papers on clustering have it"),
    "mnist-binary": ("etude.data.mnist:mnist_binary", "MNIST with each pixel black or white, drawn once"),
    "cifar10": ("etude.data.cifar10:cifar10", "60,000 colour photographs 32x32 of 10 classes"),
    "omniglot": ("etude.data.omniglot:omniglot", "2,720 handwritten characters 28x28 of 136 classes, five alphabets"),
    "reuters-r8": ("etude.data.reuters:reuters_r8", "7,674 news stories of 8 topics, as TF-IDF of 2,000 word stems"),
    "reuters-r8-whole": ("etude.data.reuters:reuters_r8_whole", "Reuters R8 with nothing held out"),
    "blobs": ("etude.data.toy:blobs", "toy: three round clouds in the plane, 3 classes"),
    "moons": ("etude.data.toy:moons", "toy: two half circles in the plane, 2 classes"),
    "circles": ("etude.data.toy:circles", "toy: a circle in a circle, 2 classes"),
    "spirals": ("etude.data.toy:spirals", "toy: two spirals, 2 classes"),
    "xor": ("etude.data.toy:xor", "toy: exclusive or, its four points"),
    "facades-like": (
        "etude.data.house_fronts:facades_like",
        "toy: 400 maps of house fronts and pictures of them",
    ),
    "facades-like-unpaired": (
        "etude.data.house_fronts:facades_like_unpaired",
        "toy: the same maps and pictures, and which go together is not told",
    ),
    "facades": ("etude.data.facades:facades", "606 photographs of house fronts and maps of their parts, 128x128"),
    "facades64": ("etude.data.facades:facades64", "the same at 64x64"),
    "facades-unpaired": (
        "etude.data.facades:facades_unpaired",
        "the same, and which go together is not told",
    ),
    "gaussians25": ("etude.data.toy:gaussians25", "toy: 25 normal distributions on a grid"),
    "ring8": ("etude.data.toy:ring8", "toy: 8 normal distributions on a circle"),
    "counting": ("etude.data.counting:counting", "toy: strings a^n b^n, n up to 100 to train, up to 200 to test"),
    "counting-abc": ("etude.data.counting:counting_abc", "toy: strings a^n b^n c^n, n up to 50, up to 100 to test"),
    "addition": ("etude.data.addition:addition", "toy: 60,000 sums of numbers of up to three digits, as text"),
    "prose": ("etude.data.prose:prose", "100,000 characters of Shakespeare's Coriolanus, always at hand"),
    "tinyshakespeare": ("etude.data.strings:tinyshakespeare", "a million characters of Shakespeare's plays"),
    "multi30k": ("etude.data.multi30k:multi30k", "31,014 captions of photographs, German to English"),
    "multi30k-words": ("etude.data.multi30k:multi30k_words", "the same as words in place of byte pairs"),
    "algolisp-like": ("etude.data.trees:algolisp_like", "toy: 12,000 problems in words and their programs"),
    "algolisp": ("etude.data.trees:algolisp", "AlgoLisp: 99,506 problems in words and their programs (metaset3)"),
    "shapes": ("etude.data.shapes:shapes", "toy: 6,000 pictures 32x32 of coloured shapes, 24 classes"),
    "waves": ("etude.data.toy:waves", "toy: 600 noisy waves seen at irregular times, 3 classes"),
    "jsb-chorales": (
        "etude.data.jsb:jsb_chorales",
        "382 chorales by Bach as piano rolls, 88 keys, a step a quarter note",
    ),
    "half-cheetah": ("etude.data.half_cheetah:half_cheetah", "a simulated runner: 17 observations, predict the next"),
    "occupancy": ("etude.data.uci:occupancy", "is a room occupied? 5 sensors, a step a minute"),
    "gesture": ("etude.data.uci:gesture", "phases of hand gestures, 5 classes, 32 features of motion"),
    "traffic": ("etude.data.uci:traffic", "cars on a motorway by the hour, from weather and time of day"),
    "power": ("etude.data.uci:power", "electric power of a household by the day"),
    "ozone": ("etude.data.uci:ozone", "days of much ozone, from 72 measurements of the weather"),
    "person-activity": (
        "etude.data.uci:person_activity",
        "what a person does, 7 classes, from tags seen at irregular times",
    ),
}


def names() -> dict[str, str]:
    """Every named source with one line on it; those of other packages after ours."""
    ours = {name: line for name, (_, line) in SOURCES.items()}
    return ours | {name: f"from {entry.value.split(':')[0].split('.')[0]}" for name, entry in _third_party().items()}


def _third_party() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="etude.data")}


def _named(name: str) -> "Callable[[Path | None], Splits]":
    if name in SOURCES:
        module, function = SOURCES[name][0].split(":")
        found: Callable[[Path | None], Splits] = getattr(import_module(module), function)
        return found
    loaded: Callable[[Path | None], Splits] = _third_party()[name].load()
    return loaded


def load(
    data: Any,
    *,
    data_dir: str | Path | None = None,
    target: str | None = None,
    size: int | None = None,
    vocabulary: str | None = None,
    kind: "type[Batch] | None" = None,
) -> "Splits":
    """The data that `data` names, split into train, validation and test.

    Args:
        data: a name of `names()`, a path to files of your own, arrays or tensors `x` or `(x, y)`, or `Splits`.
        data_dir: the folder in which named sources look for their files; `$ETUDE_DATA` where not given.
        target: the column to predict, for a table; what to translate into, for pairs: a language, or the half or the
            domain of pictures.
        size: the side of the squares that pictures in a folder become, in [1, 4096] (see `etude.data.folder.squared`);
            they stay as they are where not given.
        vocabulary: what pairs of texts in files become: words, byte-pairs or characters; chosen by the lines where not
            given.
        kind: what the system learns from, for a path that can be read as one kind or another: see
            `etude.data.own.load_path`.

    Raises:
        InputError: there is no such source or file, or it cannot be read, or it holds no picture files to resize, or no
            pairs of texts in files to choose the vocabulary of.
    """
    from etude.data.kinds import Splits

    if isinstance(data, Splits):
        splits = data
    elif isinstance(data, str | Path):
        splits = _load(str(data), data_dir, target, size, vocabulary, kind)
    else:
        from etude.data.arrays import from_arrays

        splits = from_arrays(data)
    if size is not None and splits.preparation.get("size") != size:
        raise InputError(
            f"--size {size}: {splits.name} is no folder of pictures, which alone are resized: leave it out"
        )
    if vocabulary is not None and splits.preparation.get("vocabulary") != vocabulary:
        raise InputError(
            f"--vocabulary {vocabulary}: {splits.name} is no file or folder of pairs of texts, whose vocabulary alone "
            "can be chosen: leave it out"
        )
    return replace(splits, preparation={**_seen(splits.train), **splits.preparation})


def pictures(data: Any) -> bool:
    """Whether the data are a folder of pictures, which `size` makes squares."""
    from etude.data.own import form

    if not isinstance(data, str | Path) or str(data) in names():
        return False
    path, _ = _path(str(data))
    return path.exists() and form(path) == "folder"


def read(data: Any, kind: "type[Batch]", preparation: "dict[str, Any]") -> "Batch":
    """New examples for a trained system, which may lack labels.

    Args:
        data: a path (an image, a text, a folder of either, an array file, an IDX file, a table, for a system of
            `TextPairs` a text with a source in each line) or an array or tensor.
        kind: what the system learns from.
        preparation: `Splits.preparation` of the data that it was trained on.

    Raises:
        InputError: the data cannot be read, or differ from the training data in kind or size.
    """
    from etude.data.arrays import as_array, examples
    from etude.data.kinds import Images, Vectors, offer
    from etude.data.own import read_path, read_series, read_strings
    from etude.data.series import from_arrays

    if isinstance(data, str | Path):
        if not Path(data).exists():
            raise InputError(f"{data}: no such file or folder: correct the path")
        if preparation.keys() & {"symbols", "pairs", "trees"}:
            return offer(read_strings(Path(data), preparation), kind)
        if preparation["kind"] == "Sequences":
            return _of_features(read_series(Path(data), preparation), str(data), preparation)
        found, where = read_path(Path(data), preparation), str(data)
    elif preparation["kind"] == "Sequences":
        return _of_features(from_arrays({"x": as_array(data)}, Path("input")), "input", preparation)
    else:
        found, where = examples(as_array(data), "input"), "input"
    sizes = preparation["dimensions"]
    if preparation["kind"] == "ImagePairs":
        return _of_channels(found, where, sizes["channels"])
    images = preparation["kind"] == "Images"
    names = ("channels", "height", "width") if images else ("features",)
    expected, got = tuple(sizes[name] for name in names), tuple(found.x.shape[1:])
    if got != expected and (math.prod(got) != math.prod(expected) or len(got) == len(expected)):
        raise InputError(f"{where}: expected {_sizes(expected)}, got {_sizes(got)}: give examples of that size")
    if images and isinstance(found, Vectors):
        found = replace(found, shape=expected).as_images()
    elif not images and isinstance(found, Images):
        found = found.as_vectors()
    return offer(replace(found, classes=tuple(preparation["classes"])), kind)


def _of_channels(found: "Vectors | Images", where: str, channels: int) -> "Batch":
    """Pictures to be translated, of any size."""
    got = found.dimensions.get("channels")
    if got != channels:
        what = "no pictures" if got is None else f"{got} channels"
        raise InputError(f"{where}: expected pictures of {channels} channels, got {what}: give such pictures")
    return found


def _of_features(found: "Sequences", where: str, preparation: "dict[str, Any]") -> "Sequences":
    expected, got = preparation["dimensions"]["features"], found.dimensions["features"]
    if got != expected:
        raise InputError(f"{where}: expected steps of {expected} numbers, got {got}: give series of that size")
    return replace(found, classes=tuple(preparation["classes"]))


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) if len(shape) > 1 else f"rows of {shape[0]} numbers"


def _load(
    data: str,
    data_dir: str | Path | None,
    target: str | None,
    size: int | None,
    vocabulary: str | None,
    kind: "type[Batch] | None",
) -> "Splits":
    if data in names():
        folder = data_dir or os.environ.get("ETUDE_DATA")
        return _named(data)(Path(folder) if folder else None)
    from etude.data.own import load_path

    path, column = _path(data)
    if not path.exists():
        raise InputError(f"no data set and no file is called {data!r}: {_suggestion(data)}")
    return load_path(path, target or column, kind=kind, size=size, vocabulary=vocabulary)


def _path(data: str) -> tuple[Path, str | None]:
    """The path, and the column that stands behind a colon."""
    path, _, column = data.rpartition(":")
    if path and not Path(data).exists() and Path(path).exists():
        return Path(path), column
    return Path(data), None


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name, names(), 1)
    return f"did you mean {near[0]}?" if near else f"give a path or one of {', '.join(names())}"


def _seen(train: "Batch") -> dict[str, Any]:
    """What new input is held against: the kind of the data, their sizes and the names of their classes."""
    classes = list(getattr(train, "classes", ()))
    return {"kind": type(train).__name__, "dimensions": train.dimensions, "classes": classes}
