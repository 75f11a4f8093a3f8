"""Pictures of any size as small squares of one size, which is all that is needed to see whether two show the same."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from etude.data.files import reading
from etude.data.memory import room
from etude.errors import InputError

SIDE = 32


def thumbnails(
    files: Sequence[Path], side: int = SIDE, unreadable: list[Path] | None = None
) -> tuple[Tensor, list[Path]]:
    """The middle square of each picture, made smaller by averaging, (n, 3, side, side) uint8, and the files read.

    Args:
        unreadable: where given, files that cannot be read are left out and named here.

    Raises:
        InputError: a file cannot be read, or none.
    """
    from PIL import Image, ImageOps

    small, read = room((len(files), 3, side, side), torch.uint8), list[Path]()
    for file in files:
        try:
            with reading(file, "an image"), Image.open(file) as image:
                square = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BOX)
        except InputError:
            if unreadable is None:
                raise
            unreadable.append(file)
            continue
        small[len(read)] = torch.from_numpy(np.array(square)).permute(2, 0, 1)
        read.append(file)
    if not read:
        raise InputError(f"{files[0].parent}: none of {len(files)} images can be read: replace or remove them")
    return small[: len(read)], read
