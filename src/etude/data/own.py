"""The user's own data: which reader a path goes to."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from etude.data.arrays import examples, load_arrays, read_arrays
from etude.data.files import visible_files
from etude.data.folder import SUFFIXES, image_files, load_folder, read_images, to_squares
from etude.data.idx import load_idx, read_idx
from etude.data.image_pairs import domain_folders, load_image_pairs
from etude.data.kinds import Batch, ImagePairs, Images, Sequences, Splits, Symbols, TextPairs, Trees, Vectors
from etude.data.pairs import TABLES as PAIRS
from etude.data.pairs import aligned, are_pairs, load_pairs
from etude.data.pairs import prepare as prepare_pairs
from etude.data.series import from_arrays, prepare_long
from etude.data.strings import load_strings
from etude.data.strings import prepare as prepare_strings
from etude.data.table import load_table, prepare, prepare_documents
from etude.data.trees import are_trees, load_trees
from etude.data.trees import prepare as prepare_trees
from etude.errors import InputError

TABLES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz")
ARRAYS = (".npy", ".npz")
LARGEST = 4096  # side of a picture that others are made
KNOWN = (
    f"{', '.join((*TABLES, *ARRAYS))}, .jsonl, .txt, an IDX file, or a folder of images, of .txt, of .npy, of IDX "
    "files or of pairs such as train.de and train.en"
)


def form(path: Path) -> str:
    """How a path is to be read: "table", "arrays", "idx", "image", "folder" (of images), "text", "texts" (a folder),
    "pairs" (of texts) or "trees".

    Raises:
        InputError: it is none of them.
    """
    inside = [file.name.lower() for file in path.iterdir()] if path.is_dir() else [path.name.lower()]
    if any(("idx" in name and "ubyte" in name) or name.endswith((".idx", ".idx.gz")) for name in inside):
        return "idx"
    if any(name.endswith(ARRAYS) for name in inside):
        return "arrays"
    if path.is_dir():
        if any(visible_files(path, SUFFIXES)):
            return "folder"
        if are_trees(path):
            return "trees"
        if aligned(path) or any(name.endswith(PAIRS) for name in inside):
            return "pairs"
        return "texts" if any(visible_files(path, (".txt",))) else "folder"
    if are_trees(path):
        return "trees"
    if path.name.lower().endswith(PAIRS) and (".jsonl" in path.name.lower() or are_pairs(path)):
        return "pairs"
    if path.name.lower().endswith(TABLES):
        return "table"
    if path.suffix.lower() == ".txt":
        return "text"
    if path.suffix.lower() in SUFFIXES:
        return "image"
    raise InputError(f"{path}: data of an unknown form: give {KNOWN}")


def load_path(
    path: Path,
    target: str | None = None,
    unreadable: list[str] | None = None,
    kind: type[Batch] | None = None,
    size: int | None = None,
    vocabulary: str | None = None,
) -> Splits:
    """Splits of the data at a path.

    Args:
        target: the column to predict, for a table; the language to translate into, for pairs of texts; the half or the
            domain that is the output, for pairs of pictures.
        unreadable: where given, images and documents that cannot be read are left out and named here.
        kind: what the system learns from, which decides where a path can be read as one kind or another: a folder of
            texts is TF-IDF, and strings for one that learns from `Symbols`; a TSV is a table, or pairs for one that
            learns from `TextPairs`; a folder of pictures is pairs for one that learns from `ImagePairs`.
        size: the side of the squares that pictures in a folder become, in [1, 4096], which `preparation["size"]` keeps;
            other data stay as they are.
        vocabulary: what pairs of texts become, words, byte-pairs or characters, which `preparation["vocabulary"]`
            keeps; other data stay as they are.

    Raises:
        InputError: the path cannot be read, or what it holds does not make a data set, or the size is out of range,
            or there is no such vocabulary.
    """
    if size is not None and (not isinstance(size, int) or not 1 <= size <= LARGEST):
        raise InputError(f"--size {size}: expected a whole number of pixels in [1, {LARGEST}]")
    match form(path):
        case "table" if kind is TextPairs and ".tsv" in path.name.lower():
            return load_pairs(path, target, vocabulary)
        case "table":
            return load_table(path, target)
        case "pairs":
            return load_pairs(path, target, vocabulary)
        case "trees":
            return load_trees(path)
        case "text":
            return load_strings(path, unreadable)
        case "texts" if kind is Symbols:
            return load_strings(path, unreadable)
        case "arrays":
            return load_arrays(path)
        case "idx":
            return load_idx(path)
        case "folder":
            pairs = kind is ImagePairs or (kind is None and torn(path))
            read = load_image_pairs(path, target, unreadable, size) if pairs else load_folder(path, unreadable, size)
            return read if size is None else replace(read, preparation={"size": size})
        case "texts":
            from etude.data.text import load_texts  # scikit-learn takes 0.6 s to import

            return load_texts(path, unreadable)
        case single:
            raise InputError(f"{path}: one {single} is no data set: give the folder that it is in")


def torn(path: Path) -> bool:
    """Can the folders in it be nothing but two domains: `trainA` and `trainB`, not merely `A` and `B`?"""
    return any(folder.name != "A" for folder, _ in domain_folders(path).values())


def read_strings(path: Path, preparation: dict[str, Any]) -> Symbols | TextPairs | Trees:
    """New text at a path for a system that learned from `Symbols`, `TextPairs` or `Trees`.

    Raises:
        InputError: the path cannot be read, or a text is too short or lacks lines.
    """
    if "trees" in preparation:
        if form(path) != "trees":
            raise InputError(f"{path}: expected JSON lines with text and short_tree: give such a file")
        return prepare_trees(path, preparation)
    return prepare_pairs(path, preparation) if "pairs" in preparation else prepare_strings(path, preparation)


def read_series(path: Path, preparation: dict[str, Any]) -> Sequences:
    """New series at a path for a system that learned from `Sequences`.

    Raises:
        InputError: the path cannot be read, or the system learned from a table and this is none, or the reverse.
    """
    found, learned = form(path), "table" if "series" in preparation else "arrays"
    if found != learned:
        wanted = "a table with the columns that it learned from" if learned == "table" else "x and lengths in an npz"
        raise InputError(f"{path}: {found}, and the system learned from {learned}: give {wanted}")
    if found == "table":
        return prepare_long(path, preparation)
    return from_arrays(read_arrays(path), path, tuple(preparation["classes"]))


def read_path(path: Path, preparation: dict[str, Any]) -> Vectors | Images:
    """New examples at a path, read as the data of `preparation` were; tables and documents may have labels.

    Pictures are made the squares that those of the training were made.

    Raises:
        InputError: the path cannot be read, or holds more than one array of examples.
    """
    channels = 3 if preparation["dimensions"].get("channels") == 3 else 1
    change = to_squares(preparation.get("size"), maps=preparation.get("kind") == "ImagePairs")
    match form(path):
        case "table" if "text" in preparation:
            return prepare_documents(path, preparation)
        case "table":
            if "table" not in preparation:
                raise InputError(f"{path}: a table, and the system did not learn from one: give {preparation['kind']}")
            return prepare(path, preparation["table"])
        case "text" | "texts":
            if "text" not in preparation:
                raise InputError(f"{path}: text, and the system did not learn from any: give {preparation['kind']}")
            from etude.data.text import prepare as prepare_texts

            return prepare_texts(path, preparation)
        case "arrays":
            arrays = read_arrays(path)
            if len(arrays) > 1 and "x" not in arrays:
                raise InputError(f"{path}: found {', '.join(arrays)}: call the examples x")
            return examples(arrays.get("x", next(iter(arrays.values()))), str(path))
        case "idx" if path.is_file():
            return examples(read_idx(path), str(path))
        case "image":
            return examples(read_images([path], channels, change=change)[0], str(path))
        case _:
            return examples(read_images(image_files(path), channels, change=change)[0], str(path))
