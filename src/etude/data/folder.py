"""A folder of images: PNG, JPEG, BMP, GIF (the first picture) or WebP, in a folder for each class or without classes.

Folders `train`, `validation` (or `val`) and `test` at the top are taken as the splits. All images have one size, or
are made squares of one (see `squared`). They are grey where every file is, otherwise red, green, blue; transparency is
dropped.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from etude.data.arrays import PARTS, Array, assemble
from etude.data.files import reading, visible_files
from etude.data.kinds import Splits
from etude.data.memory import room
from etude.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    Change = Callable[[Image.Image], Image.Image]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
FEW = 32  # colours of a map, at most
ONE_SIZE = "resize all to one size"
OR_SIZE = f"{ONE_SIZE}, or give --size"


def image_files(folder: Path) -> list[Path]:
    """The images in a folder and the folders in it, in the order of their names; hidden ones are left out.

    Raises:
        InputError: there is none.
    """
    seen = sorted(visible_files(folder, SUFFIXES))
    if not seen:
        kinds = f"{', '.join(SUFFIXES)} files, or of .txt documents"
        raise InputError(f"{folder}: no image file in it: give a folder of {kinds}")
    return seen


def load_folder(path: Path, unreadable: list[str] | None = None, size: int | None = None) -> Splits:
    """Splits of the images in a folder.

    Args:
        unreadable: where given, images that cannot be read are left out and named here.
        size: where given, the side of the squares that images become.

    Raises:
        InputError: an image cannot be read or has another size than the rest, or the folders are not as described.
    """
    found = part_folders(path)
    files = {part: image_files(folder) for part, folder in found.items()}
    channels = 3 if any(is_colour(file) for listed in files.values() for file in listed) else 1
    parts: dict[str, dict[str, Array]] = {}
    for part, listed in files.items():
        x, read = read_images(listed, channels, unreadable, change=to_squares(size), advice=OR_SIZE)
        labels = class_folders(read, found[part])
        parts[part] = {"x": x, **({"y": np.array(labels)} if labels else {})}
    return assemble(parts, path.resolve().name, str(path))


def part_folders(path: Path) -> dict[str, Path]:
    """The folders `train`, `validation` and `test` that there are at the top; the path itself as train for none."""
    tops = {part: [path / name for name in names if (path / name).is_dir()] for part, names in PARTS.items()}
    return {part: folders[0] for part, folders in tops.items() if folders} or {"train": path}


def class_folders(files: Sequence[Path], top: Path) -> list[str]:
    """The folder at the top that each file lies in, which is its class; nothing where all lie at the top.

    Raises:
        InputError: a file lies beside the folders.
    """
    labels = [file.relative_to(top).parts[0] if file.parent != top else "" for file in files]
    if "" in labels and any(labels):
        raise InputError(f"{files[labels.index('')]}: lies beside folders of classes: move it into one of them")
    return labels if any(labels) else []


def read_images(
    files: Sequence[Path],
    channels: int,
    unreadable: list[str] | None = None,
    *,
    change: "Change | None" = None,
    advice: str = ONE_SIZE,
) -> tuple[Array, list[Path]]:
    """Decoded images (n, channels, height, width), uint8, and the files that they are from.

    Args:
        channels: 1 for grey, 3 for red, green, blue.
        unreadable: where given, images that cannot be read are left out and named here.
        change: what is done to each image.
        advice: what to do where sizes differ.

    Raises:
        InputError: one cannot be read, or none, or two differ in size.
    """
    x, read = None, list[Path]()
    for file in files:
        try:
            image = _read_image(file, channels, change)
        except InputError:
            if unreadable is None:
                raise
            unreadable.append(str(file))
            continue
        if x is None:
            x = room((len(files), *image.shape), torch.uint8).numpy()
        if image.shape != x.shape[1:]:
            got, first = image.shape[:0:-1], x.shape[:1:-1]
            sizes = f"{got[0]}x{got[1]} pixels where {read[0].name} has {first[0]}x{first[1]}"
            raise InputError(f"{file}: {sizes}: {advice}")
        x[len(read)] = image
        read.append(file)
    if x is None:
        raise InputError(f"{files[0].parent}: none of {len(files)} images can be read: replace or remove them")
    return x[: len(read)], read


def _read_image(file: Path, channels: int, change: "Change | None") -> Array:
    from PIL import Image

    with reading(file, "an image"), Image.open(file) as opened:
        deep = opened.mode.startswith("I;16")
        image = Image.fromarray((np.asarray(opened) // 257).astype(np.uint8)) if deep else opened
        image = image.convert("L" if channels == 1 else "RGB")
        pixels = np.asarray(change(image) if change else image)
        return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def to_squares(size: int | None, *, maps: bool = False) -> "Change | None":
    """What makes each image a square of this side (see `squared`); nothing where none is given."""
    return None if size is None else partial(squared, size=size, maps=maps)


def squared(image: "Image.Image", size: int, *, maps: bool = False) -> "Image.Image":
    """The central square of an image, upright as its camera held it (EXIF), resized to a side of `size` pixels.

    By Lanczos' filter, which averages where it makes smaller. A square of that side already stays as it is.

    Args:
        maps: whether an image whose square has at most 32 colours is taken for a map, of which the nearest pixels are
            taken, so that no colours are mixed.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    few = maps and square.getcolors(FEW) is not None
    return square.resize((size, size), Image.Resampling.NEAREST if few else Image.Resampling.LANCZOS)


def is_colour(file: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(file) as image:
            return not image.mode.startswith(("1", "L", "I"))
    except Exception:  # what is wrong with the file is said when its pixels are read
        return False
