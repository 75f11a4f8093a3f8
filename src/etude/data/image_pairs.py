"""Pictures of two domains: input and target side by side in one picture, or in two folders.

Side by side, as pix2pix packs them: a folder of pictures whose left half is the input. Folders `train`, `val` and
`test` at the top are taken as the splits.

Two folders: `trainA` and `trainB`, `valA` and `valB`, `testA` and `testB`, or `A` and `B`, of which A is the input.
Pictures of the same name are pairs. Where the names do not agree, the domains are not aligned: each is split by itself,
and the smaller one is repeated.

All have one size, or are made squares of one, halves after they are cut; maps, that is pictures of few colours, keep
their colours then (see `etude.data.folder.squared`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from etude.data.arrays import PARTS, Array, complete
from etude.data.folder import OR_SIZE, image_files, is_colour, part_folders, read_images, squared, to_squares
from etude.data.kinds import Batch, ImagePairs, Images, Splits
from etude.data.memory import select
from etude.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

Domains = tuple[Tensor, Tensor]  # (n, channels, height, width) and (m, target channels, height, width)


@dataclass(frozen=True)
class _Found:
    """What was read at a path: the two domains in each part, and whether the pictures of a part are pairs."""

    parts: dict[str, Domains]
    aligned: bool


def load_image_pairs(
    path: Path, target: str | None = None, unreadable: list[str] | None = None, size: int | None = None
) -> Splits:
    """Splits of the pairs in a folder.

    Args:
        target: what the input is to become: "left" or "right" half, or domain "A" or "B".
        unreadable: where given, pictures that cannot be read are left out, with their counterparts, and named here.
        size: where given, the side of the squares that pictures become.

    Raises:
        InputError: a picture cannot be read or has another size than the rest, or the folder is not as described.
    """
    folders = domain_folders(path)
    sides = ("A", "B") if folders else ("left", "right")
    if target not in (None, *sides):
        raise InputError(f"--target {target}: {path} has {sides[0]} and {sides[1]}: give one of them")
    found = _in_folders(folders, unreadable, size) if folders else _side_by_side(path, unreadable, size)
    parts = {part: both[::-1] if target == sides[0] else both for part, both in found.parts.items()}
    sizes = {f"{each.shape[3]}x{each.shape[2]}" for both in parts.values() for each in both}
    if len(sizes) > 1:
        raise InputError(f"{path}: pictures of {' and of '.join(sorted(sizes))} pixels: {OR_SIZE}")
    name, where = path.resolve().name, str(path)
    if found.aligned:
        return complete({part: ImagePairs(*both) for part, both in parts.items()}, name, where)
    x, y = (complete({part: Images(both[side]) for part, both in parts.items()}, name, where) for side in range(2))
    train, validation, test = (
        unaligned(_pictures(a), _pictures(b)) for a, b in zip(x.parts().values(), y.parts().values(), strict=True)
    )
    return Splits(train, validation, test, name)


def domain_folders(path: Path) -> dict[str, tuple[Path, Path]]:
    """The folders of the two domains, by part (`trainA` and `trainB`; `A` and `B` are train); empty for none."""
    found: dict[str, tuple[Path, Path]] = {}
    for part, names in PARTS.items():
        for name in [*names, ""] if part == "train" else names:
            both = path / f"{name}A", path / f"{name}B"
            if part not in found and all(folder.is_dir() for folder in both):
                found[part] = both
    return found


def packed(path: Path) -> bool:
    """Whether every picture in a folder is twice as wide as high, as input and target side by side mostly are."""
    return all(width == 2 * height for width, height in filter(None, map(_pixels, image_files(path))))


def _pixels(file: Path) -> tuple[int, int] | None:
    """Width and height of a picture; None where it cannot be read."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            return image.size
    except Exception:  # what is wrong with the file is said when its pixels are read
        return None


def unaligned(x: Tensor, y: Tensor) -> ImagePairs:
    """Two domains of pictures, (n, ...) and (m, ...), as max(n, m) pairs that are none; the smaller one is repeated."""
    count = torch.arange(max(len(x), len(y)))
    return ImagePairs(select(x, count % len(x)), select(y, count % len(y)), aligned=False)


def _side_by_side(path: Path, unreadable: list[str] | None, size: int | None) -> _Found:
    files = {part: image_files(folder) for part, folder in part_folders(path).items()}
    channels = _channels([file for listed in files.values() for file in listed])
    parts: dict[str, Domains] = {}
    for part, listed in files.items():
        change = None if size is None else partial(_squared_halves, size=size)
        pixels, read = read_images(listed, channels, unreadable, change=change, advice=OR_SIZE)
        height, width = pixels.shape[2:]
        if width % 2:
            raise InputError(
                f"{read[0]}: {width}x{height} pixels are no two halves: give pictures of even width, input and target "
                "side by side, or folders trainA and trainB, or give --size"
            )
        whole = torch.from_numpy(pixels)
        parts[part] = whole[..., : width // 2], whole[..., width // 2 :]
    return _Found(parts, aligned=True)


def _squared_halves(image: "Image.Image", size: int) -> "Image.Image":
    """Each half a square of this side; of an odd width the column in the middle is left out."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    half, both = image.width // 2, Image.new(image.mode, (2 * size, size))
    for place, left in enumerate((0, image.width - half)):
        both.paste(squared(image.crop((left, 0, left + half, image.height)), size, maps=True), (place * size, 0))
    return both


def _in_folders(folders: dict[str, tuple[Path, Path]], unreadable: list[str] | None, size: int | None) -> _Found:
    files = {part: (image_files(a), image_files(b)) for part, (a, b) in folders.items()}
    channels = [_channels([file for both in files.values() for file in both[side]]) for side in range(2)]
    aligned = all(_names(a, folders[part][0]) == _names(b, folders[part][1]) for part, (a, b) in files.items())
    change = to_squares(size, maps=True)
    parts: dict[str, Domains] = {}
    for part, both in files.items():
        (x, read_x), (y, read_y) = (
            read_images(both[side], channels[side], unreadable, change=change, advice=OR_SIZE) for side in range(2)
        )
        if aligned:
            a, b = _names(read_x, folders[part][0]), _names(read_y, folders[part][1])
            x, y = _kept(x, a, b), _kept(y, b, a)
        parts[part] = torch.from_numpy(x), torch.from_numpy(y)
    return _Found(parts, aligned)


def _names(files: Sequence[Path], folder: Path) -> list[str]:
    return [str(file.relative_to(folder).with_suffix("")) for file in files]


def _kept(pixels: Array, names: list[str], others: list[str]) -> Array:
    """The pictures whose counterparts could be read too."""
    kept: Array = pixels if set(names) <= set(others) else pixels[[name in others for name in names]]
    return kept


def _channels(files: Sequence[Path]) -> int:
    return 3 if any(is_colour(file) for file in files) else 1


def _pictures(batch: Batch) -> Tensor:
    return batch.tensors()["x"]
