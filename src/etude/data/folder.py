"""A folder of images: PNG, JPEG, BMP, GIF (the first picture) or WebP, in a folder for each class or without classes.

Folders `train`, `validation` (or `val`) and `test` at the top are taken as the splits. All images have one size. They
are grey where every file is, otherwise red, green, blue; transparency is dropped.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from etude.data.arrays import PARTS, Array, assemble
from etude.data.files import reading
from etude.data.kinds import Splits
from etude.data.memory import room
from etude.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")


def image_files(folder: Path) -> list[Path]:
    """The images in a folder and the folders in it, in the order of their names; hidden ones are left out.

    Raises:
        InputError: there is none.
    """
    files = (file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    seen = sorted(f for f in files if not any(part.startswith((".", "__")) for part in f.relative_to(folder).parts))
    if not seen:
        raise InputError(f"{folder}: no image file in it: give a folder of {', '.join(SUFFIXES)} files")
    return seen


def load_folder(path: Path, unreadable: list[str] | None = None) -> Splits:
    """Splits of the images in a folder.

    Args:
        unreadable: where given, images that cannot be read are left out and named here.

    Raises:
        InputError: an image cannot be read or has another size than the rest, or the folders are not as described.
    """
    tops = {part: [path / name for name in names if (path / name).is_dir()] for part, names in PARTS.items()}
    found = {part: folders[0] for part, folders in tops.items() if folders} or {"train": path}
    files = {part: image_files(folder) for part, folder in found.items()}
    channels = 3 if any(_is_colour(file) for listed in files.values() for file in listed) else 1
    parts: dict[str, dict[str, Array]] = {}
    for part, listed in files.items():
        x, read = read_images(listed, channels, unreadable)
        labels = [_label(file, found[part]) for file in read]
        if "" in labels and set(labels) != {""}:
            raise InputError(f"{read[labels.index('')]}: lies beside folders of classes: move it into one of them")
        parts[part] = {"x": x, **({"y": np.array(labels)} if any(labels) else {})}
    return assemble(parts, path.resolve().name, str(path))


def _label(file: Path, top: Path) -> str:
    return file.relative_to(top).parts[0] if file.parent != top else ""


def read_images(files: Sequence[Path], channels: int, unreadable: list[str] | None = None) -> tuple[Array, list[Path]]:
    """Decoded images (n, channels, height, width), uint8, and the files that they are from.

    Args:
        channels: 1 for grey, 3 for red, green, blue.
        unreadable: where given, images that cannot be read are left out and named here.

    Raises:
        InputError: one cannot be read, or none, or two differ in size.
    """
    x, read = None, list[Path]()
    for file in files:
        try:
            image = _read_image(file, channels)
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
            raise InputError(f"{file}: {sizes}: resize all to one size")
        x[len(read)] = image
        read.append(file)
    if x is None:
        raise InputError(f"{files[0].parent}: none of {len(files)} images can be read: replace or remove them")
    return x[: len(read)], read


def _read_image(file: Path, channels: int) -> Array:
    from PIL import Image

    with reading(file, "an image"), Image.open(file) as image:
        if image.mode.startswith("I;16"):
            grey = np.asarray(image)[None] // 257
            return np.broadcast_to(grey.astype(np.uint8), (channels, *grey.shape[1:]))
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
        return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _is_colour(file: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(file) as image:
            return not image.mode.startswith(("1", "L", "I"))
    except Exception:  # what is wrong with the file is said when its pixels are read
        return False
