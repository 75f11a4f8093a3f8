"""CIFAR-10: colour photographs 32x32 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).

Read from the original binary files: a record is the class, one byte, then the red, green and blue planes.
"""

import lzma
from pathlib import Path

import numpy as np
import torch

from etude.data.files import locate, reading
from etude.data.kinds import Images, Splits, hold_out
from etude.errors import InputError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORD = 1 + 3 * 32 * 32


def cifar10(data_dir: Path | None = None) -> Splits:
    """Images (n, 3, 32, 32), uint8: a tenth of the training files held out to validate, the test file to test.

    Raises:
        InputError: `data_batch_*.bin` and `test_batch.bin` (or `.xz`) are not in `data_dir` or `data_dir`/cifar10.
    """
    train, test = locate(data_dir, "cifar10", "data_batch_*.bin*", "test_batch*.bin*")
    whole = _images(sorted(train.parent.glob("data_batch_*.bin*")))
    kept, held = hold_out(whole, 0.1, seed=0)
    return Splits(whole[kept], whole[held], _images([test]), "cifar10")


def _images(files: list[Path]) -> Images:
    rows = torch.cat([torch.from_numpy(_records(file)) for file in files])
    return Images(rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].long(), CLASSES)


def _records(path: Path) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    with reading(path, "CIFAR-10's binary format"):
        data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    if not data or len(data) % RECORD:
        raise InputError(f"{path}: {len(data)} bytes, not a whole number of records of {RECORD}: replace the file")
    records = np.frombuffer(data, np.uint8).reshape(-1, RECORD).copy()
    wrong = np.flatnonzero(records[:, 0] > 9)
    if len(wrong):
        raise InputError(f"{path}: record {wrong[0]} is of class {records[wrong[0], 0]}, not 0 to 9: replace the file")
    return records
