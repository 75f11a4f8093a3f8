"""MNIST: LeCun, Cortes and Burges' handwritten digits, 28x28, from the original IDX files."""

from dataclasses import replace
from pathlib import Path

import torch

from etude.data.files import locate
from etude.data.idx import read_idx
from etude.data.kinds import Batch, Images, Splits, hold_out
from etude.errors import InputError

FILES = ("train-images*idx3*", "train-labels*idx1*", "t10k-images*idx3*", "t10k-labels*idx1*")


def mnist(data_dir: Path | None = None) -> Splits:
    """Images (n, 1, 28, 28), uint8: 50,000 to train, 10,000 held out of the training file to validate, the test file.

    Raises:
        InputError: the four files are not in `data_dir` nor in its folder `mnist`.
    """
    files = locate(data_dir, "mnist", *FILES)
    whole, test = _images(files[0], files[1]), _images(files[2], files[3])
    train, validation = hold_out(whole, 1 / 6, seed=0)
    return Splits(whole[train], whole[validation], test, "mnist")


def mnist_whole(data_dir: Path | None = None) -> Splits:
    """All images of the four files to train and to test, as `Splits.whole` has it.

    Raises:
        InputError: as `mnist`.
    """
    return mnist(data_dir).whole()


def mnist_binary(data_dir: Path | None = None) -> Splits:
    """MNIST with each pixel drawn once, white with its grey level as probability: for likelihoods in nats.

    Static binarisation (Salakhutdinov and Murray, 2008) by a fixed seed; a pixel is 0 or 255.

    Raises:
        InputError: as `mnist`.
    """
    splits = mnist(data_dir)
    random = torch.Generator().manual_seed(0)
    train, validation, test = (_binarised(images, random) for images in splits.parts().values())
    return Splits(train, validation, test, "mnist-binary")


def _binarised(images: Batch, random: torch.Generator) -> Batch:
    assert isinstance(images, Images)
    level = torch.randint(0, 255, images.x.shape, dtype=torch.uint8, generator=random)
    return replace(images, x=(level < images.x).to(torch.uint8) * 255)


def _images(images: Path, labels: Path) -> Images:
    x, y = torch.from_numpy(read_idx(images)), torch.from_numpy(read_idx(labels))
    if x.shape[1:] != (28, 28) or x.dtype != torch.uint8:
        raise InputError(f"{images}: {tuple(x.shape[1:])} {x.dtype} where MNIST has 28x28 bytes: replace the file")
    if y.shape != x.shape[:1] or y.dtype != torch.uint8 or y.max() > 9:
        raise InputError(f"{labels}: not {len(x)} labels of 0 to 9, as {images.name} needs: replace the file")
    return Images(x[:, None], y.long(), tuple("0123456789"))
