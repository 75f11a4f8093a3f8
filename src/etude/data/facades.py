"""CMP facades: photographs of house fronts and maps of their parts (Tylecek and Sara 2013; Isola et al. 2017).

Read in pix2pix's packing: pictures in folders `train` and `test` (and `val`, where there is one), photograph on the
left, map on the right. The maps have twelve colours, somewhat blurred by JPEG.
"""

from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from etude.data.files import locate
from etude.data.image_pairs import load_image_pairs
from etude.data.kinds import Batch, ImagePairs, Splits
from etude.errors import InputError

GET = "the pix2pix packing, a folder with train and test, is facades.tar.gz at efrosgans.eecs.berkeley.edu/pix2pix"


def facades(data_dir: Path | None = None) -> Splits:
    """Pairs (n, 3, 128, 128), uint8: maps to photographs. 15 % of `train` validate where there is no `val`.

    Raises:
        InputError: the pictures are not in `data_dir` nor in its folder `cmp_facades`, or are not those described.
    """
    return _facades(data_dir, 128, "facades")


def facades64(data_dir: Path | None = None) -> Splits:
    """The same at 64x64, for a machine without an accelerator."""
    return _facades(data_dir, 64, "facades64")


def facades_unpaired(data_dir: Path | None = None) -> Splits:
    """The same as `facades`, but nothing to train on tells which map goes with which photograph."""
    return unpaired(facades(data_dir), "facades-unpaired")


def unpaired(splits: Splits, name: str) -> Splits:
    """Splits whose training pairs are torn apart; those of validation and test stay, to measure with."""
    train = splits.train
    assert isinstance(train, ImagePairs)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    return replace(splits, train=replace(train, y=train.y.index_select(0, order), aligned=False), name=name)


def _facades(data_dir: Path | None, side: int, name: str) -> Splits:
    file, _ = locate(data_dir, "cmp_facades", "train/*.jpg", "test/*.jpg", get=GET)
    whole = load_image_pairs(file.parents[1], "left")
    height = whole.train.dimensions["height"]
    if height % side:
        raise InputError(f"{file.parents[1]}: pictures {height} pixels high: give a multiple of {side}, as published")
    train, validation, test = (_reduced(batch, height // side) for batch in whole.parts().values())
    return Splits(train, validation, test, name)


def _reduced(pairs: Batch, factor: int) -> ImagePairs:
    """Photographs averaged over squares of pixels; of maps, whose colours must not mix, one pixel of each square."""
    assert isinstance(pairs, ImagePairs)
    return replace(pairs, x=pairs.x[..., ::factor, ::factor].contiguous(), y=_averaged(pairs.y, factor))


def _averaged(pictures: Tensor, factor: int) -> Tensor:
    return F.avg_pool2d(pictures.float(), factor).round().to(torch.uint8)
