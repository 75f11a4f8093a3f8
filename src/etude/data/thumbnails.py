"""Pictures of any size as small squares of one size, which is all that is needed to see whether two show the same."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from etude.data.files import reading
from etude.data.memory import room

SIDE = 32


def thumbnails(files: Sequence[Path], side: int = SIDE) -> Tensor:
    """The middle square of each picture, made smaller by averaging: (n, 3, side, side) uint8.

    Raises:
        InputError: a file cannot be read.
    """
    from PIL import Image, ImageOps

    small = room((len(files), 3, side, side), torch.uint8)
    for place, file in enumerate(files):
        with reading(file, "an image"), Image.open(file) as image:
            square = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BOX)
        small[place] = torch.from_numpy(np.array(square)).permute(2, 0, 1)
    return small
