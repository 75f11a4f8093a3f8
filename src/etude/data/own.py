"""The user's own data: which reader a path goes to."""

from pathlib import Path
from typing import Any

from etude.data.arrays import examples, load_arrays, read_arrays
from etude.data.files import visible_files
from etude.data.folder import SUFFIXES, image_files, load_folder, read_images
from etude.data.idx import load_idx, read_idx
from etude.data.kinds import Images, Splits, Vectors
from etude.data.table import load_table, prepare, prepare_documents
from etude.errors import InputError

TABLES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz")
ARRAYS = (".npy", ".npz")
KNOWN = f"{', '.join((*TABLES, *ARRAYS))}, an IDX file, or a folder of images, of .txt, of .npy or of IDX files"


def form(path: Path) -> str:
    """How a path is to be read: "table", "arrays", "idx", "image", "folder" (of images), "text" or "texts" (a folder).

    Raises:
        InputError: it is none of them.
    """
    inside = [file.name.lower() for file in path.iterdir()] if path.is_dir() else [path.name.lower()]
    if any(("idx" in name and "ubyte" in name) or name.endswith((".idx", ".idx.gz")) for name in inside):
        return "idx"
    if any(name.endswith(ARRAYS) for name in inside):
        return "arrays"
    if path.is_dir():
        documents = any(visible_files(path, (".txt",))) and not any(visible_files(path, SUFFIXES))
        return "texts" if documents else "folder"
    if path.name.lower().endswith(TABLES):
        return "table"
    if path.suffix.lower() == ".txt":
        return "text"
    if path.suffix.lower() in SUFFIXES:
        return "image"
    raise InputError(f"{path}: data of an unknown form: give {KNOWN}")


def load_path(path: Path, target: str | None = None, unreadable: list[str] | None = None) -> Splits:
    """Splits of the data at a path.

    Args:
        target: the column to predict, for a table.
        unreadable: where given, images and documents that cannot be read are left out and named here.

    Raises:
        InputError: the path cannot be read, or what it holds does not make a data set.
    """
    match form(path):
        case "table":
            return load_table(path, target)
        case "arrays":
            return load_arrays(path)
        case "idx":
            return load_idx(path)
        case "folder":
            return load_folder(path, unreadable)
        case "texts":
            from etude.data.text import load_texts  # scikit-learn takes 0.6 s to import

            return load_texts(path, unreadable)
        case single:
            raise InputError(f"{path}: one {single} is no data set: give the folder that it is in")


def read_path(path: Path, preparation: dict[str, Any]) -> Vectors | Images:
    """New examples at a path, read as the data of `preparation` were; tables and documents may have labels.

    Raises:
        InputError: the path cannot be read, or holds more than one array of examples.
    """
    channels = 3 if preparation["dimensions"].get("channels") == 3 else 1
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
            return examples(read_images([path], channels)[0], str(path))
        case _:
            return examples(read_images(image_files(path), channels)[0], str(path))
