"""IDX files, the format of MNIST: a type, the sizes as big-endian integers, then the numbers; gzipped or not."""

import gzip
import math
from pathlib import Path

import numpy as np

from etude.data.arrays import Array, assemble, part_of
from etude.data.files import reading
from etude.data.kinds import Splits
from etude.errors import InputError

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> Array:
    """The array in an IDX file, of whatever sizes and type its header states.

    Raises:
        InputError: not an IDX file, or shorter or longer than its header says.
    """
    with reading(path, "an IDX file"):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES or not 1 <= data[3] <= 8:
        raise InputError(f"{path}: not an IDX file, it begins with {data[:4].hex(' ') or 'nothing'}: replace the file")
    kind, header = np.dtype(TYPES[data[2]]), 4 + 4 * data[3]
    sizes = tuple(int.from_bytes(data[at : at + 4]) for at in range(4, header, 4))
    expected = header + math.prod(sizes) * kind.itemsize
    if len(data) != expected:
        shape = " x ".join(map(str, sizes))
        raise InputError(f"{path}: {len(data)} bytes where the header ({shape}) needs {expected}: replace the file")
    return np.frombuffer(data, kind, offset=header).reshape(sizes).astype(kind.newbyteorder("="))


def load_idx(path: Path) -> Splits:
    """Splits of an IDX file of images with its file of labels, if there is one, or of a folder of such pairs.

    The files are named as MNIST's are: `train-images-idx3-ubyte.gz`, `train-labels-idx1-ubyte.gz`, `t10k-images...`.

    Raises:
        InputError: a file cannot be read, or images and labels do not fit together.
    """
    parts: dict[str, dict[str, Array]] = {}
    for images in [path] if path.is_file() else sorted(path.glob("*images*idx*")):
        part = part_of(images.name) if path.is_dir() else "train"
        parts[part] = {"x": read_idx(images)}
        before, _, after = images.name.partition("images")
        labels = sorted(images.parent.glob(f"{before}labels*idx1*")) if after else []
        if labels:
            parts[part]["y"] = read_idx(labels[0])
    if not parts:
        raise InputError(f"{path}: no file called *images*idx* in it: name the files as MNIST's are")
    return assemble(parts, path.resolve().name.split(".")[0], str(path))
