"""Near-duplicates in a folder of pictures: semantic hashing as Radford et al. 2016 (section 4.1.1) clean their data."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from etude.data.folder import image_files
from etude.data.kinds import Images, Splits, walk
from etude.data.thumbnails import thumbnails
from etude.engine.files import disk_full
from etude.engine.run import Run
from etude.engine.train import train
from etude.errors import InputError
from etude.functional.duplicates import near_duplicates
from etude.systems.autoencoders.semantic_hash import SemanticHash

BATCH = 100
STEPS = 1000  # under a minute on one core
DISTANCE = 3  # bits of 128


@dataclass(frozen=True)
class Duplicates:
    """What was found in a folder.

    Attributes:
        files: the pictures.
        unreadable: files that are called pictures and cannot be read.
        groups: pictures that are near-duplicates of one another, two or more each; the largest file, which is to be
            kept, comes first.
        run: the autoencoder that hashed them.
    """

    files: list[Path]
    unreadable: list[Path]
    groups: list[list[Path]]
    run: Run

    @property
    def kept(self) -> list[Path]:
        """All pictures without those that a larger file stands for."""
        spare = {file for group in self.groups for file in group[1:]}
        return [file for file in self.files if file not in spare]

    def lines(self) -> list[str]:
        """Each group and each unreadable file on a line, then how many pictures there are and how many too many."""
        spare = len(self.files) - len(self.kept)
        told = f"groups of near-duplicates: {len(self.groups)} in {len(self.files)} pictures, {spare} too many"
        left_out = [f"{file}: not readable as an image, left out" for file in self.unreadable]
        return ["  ".join(map(str, group)) for group in self.groups] + left_out + [told]


def find_duplicates(
    folder: Path,
    *,
    distance: int = DISTANCE,
    seed: int = 0,
    runs: Path = Path("runs"),
    steps: int = STEPS,
    out: Path | None = None,
) -> Duplicates:
    """Near-duplicates in a folder and the folders in it; the autoencoder is trained on these pictures.

    Args:
        distance: bits of 128 in which near-duplicates may differ; 0 demands the same code.
        seed: of the training.
        runs: the folder of runs.
        steps: of the training.
        out: where the pictures to keep are copied to, in the same subfolders.

    Raises:
        InputError: the folder has no pictures, or none can be read; the distance is out of range; `out` has files.
    """
    if not 0 <= distance < 128:
        raise InputError(f"--distance {distance}: expected a whole number in [0, 128)")
    if out and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out}: is there and not empty: give a folder that is empty or not there yet")
    unreadable: list[Path] = []
    x, files = thumbnails(image_files(folder), unreadable=unreadable)
    small, batch = Images(x), min(BATCH, len(files))
    epochs = -(-steps // (len(files) // batch))
    splits = Splits(small, small[:1], small[:1], f"{folder.resolve().name}-thumbnails")
    run = train("semantic-hash", splits, seed=seed, runs=runs, quiet=True, epochs=epochs, batch=batch)
    system = run.system
    assert isinstance(system, SemanticHash)
    bits = torch.cat([system.hash(some.tensors()["x"]) for some in walk(small, system.device)])
    sizes = {file: file.stat().st_size for file in files}
    near = [[files[place] for place in group] for group in near_duplicates(bits, distance)]
    groups = [sorted(group, key=lambda file: -sizes[file]) for group in near]
    found = Duplicates(files, unreadable, groups, run)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        with disk_full(out, sum(sizes[file] for file in found.kept)):
            for file in found.kept:
                copy = out / file.relative_to(folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, copy)
    return found
