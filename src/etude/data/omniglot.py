"""Omniglot: handwritten characters of many alphabets (Lake, Salakhutdinov and Tenenbaum, Science 2015).

Read from the original archive `images_background_small1.zip`: 136 characters of five alphabets, each drawn once by 20
people, as black ink on white, 105x105.
"""

import io
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from etude.data.files import locate, reading
from etude.data.kinds import Images, Splits
from etude.errors import InputError

DRAWN = 105
SIDE = 28
TRAINED = 14  # drawings of each character to train on
WATCHED = 3  # the next, to validate


def omniglot(data_dir: Path | None = None) -> Splits:
    """Images (n, 1, 28, 28), uint8, ink 255 on 0; classes are the characters, "Greek/character01".

    The first 14 people's drawings of each character train, the next 3 validate and the last 3 test: nobody's hand is
    in two splits of one alphabet. A pixel is the mean over its 3.75x3.75 pixels of the original.

    Raises:
        InputError: the archive is not in `data_dir` nor in its folder `omniglot`, or is not the original.
    """
    (archive,) = locate(data_dir, "omniglot", "images_background_small1.zip")
    with reading(archive, "Omniglot's zip archive"), zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".png"))
        drawings = np.stack([_ink(opened.read(name), f"{archive}: {name}") for name in names])
        people = torch.tensor([int(PurePosixPath(name).stem.split("_")[1]) for name in names])
    characters = ["/".join(PurePosixPath(name).parts[-3:-1]) for name in names]
    classes = tuple(sorted(set(characters)))
    y = torch.tensor([classes.index(character) for character in characters])
    whole = Images(torch.from_numpy(reduced(drawings))[:, None], y, classes)
    parts = torch.bucketize(people, torch.tensor([TRAINED, TRAINED + WATCHED]))
    train, validation, test = (whole[(parts == part).nonzero()[:, 0]] for part in range(3))
    return Splits(train, validation, test, "omniglot")


def reduced(drawings: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Drawings (n, 105, 105) averaged over equal areas to (n, 28, 28), rounded."""
    edges = np.arange(SIDE + 1) * (DRAWN / SIDE)
    pixels = np.arange(DRAWN)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    share = (np.maximum(shared, 0) * (SIDE / DRAWN)).astype(np.float32)
    small: NDArray[np.float32] = share @ drawings.astype(np.float32) @ share.T
    return np.rint(small).astype(np.uint8)


def _ink(data: bytes, where: str) -> NDArray[np.uint8]:
    """A drawing (105, 105), 255 where there is ink."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image.convert("L"))
    if pixels.shape != (DRAWN, DRAWN):
        size = "x".join(map(str, pixels.shape))
        raise InputError(f"{where}: {size} pixels where Omniglot has {DRAWN}x{DRAWN}: replace the archive")
    return np.asarray(255 - pixels, np.uint8)
