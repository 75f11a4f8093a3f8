"""FCN-score of a run that turns label maps into pictures: does a judge of real pictures find the maps again?"""

from typing import Any

import torch
from torch import Tensor

from etude.data.kinds import ImagePairs, walk
from etude.engine.files import write_json
from etude.engine.progress import Progress
from etude.engine.run import Run
from etude.errors import InputError
from etude.metrics.segmentation import fcn_score, labels, segmenter

FILE = "fcn_score.json"
LOOKED_AT = 100  # pictures, to tell maps from others
COLOURS = 12
LEVELS = 8  # of each channel that are one colour, blurred by JPEG; grey pictures have too few to join any
SHARE = 0.25  # of the pixels of maps have these colours at least; CMP facades: 0.51 of the maps, 0.14 of photos
PART = 50  # pictures at a time
INSTEAD = "give --features a classifier's run or a TorchScript file"


def score_translations(run: Run, data: Any = None, count: int = 10_000) -> dict[str, Any]:
    """FCN-score of a run's translations beside that of the real pictures; on its own test split, filed with the run.

    The judge is trained on the real pairs that the run was trained on.

    Args:
        run: a finished one whose system translates label maps.
        data: other pairs; those of the test split where not given.
        count: pairs to look at, at most.

    Returns:
        "extractor", what judges; "real" and "generated" pictures; and "scores" by name: three of the translations, the
        same of the real pictures, and the share of pixels of the most frequent class.

    Raises:
        InputError: x are no label maps, or nothing tells which picture belongs to which map.
    """
    splits = run.data()
    train, truth = splits.train, (splits.test if data is None else run.other(data))[:count]
    assert isinstance(train, ImagePairs)
    assert isinstance(truth, ImagePairs)
    if not are_maps(train.x):
        raise InputError(f"what {run.folder} translates are no label maps that a judge could find again: {INSTEAD}")
    if not (train.aligned and truth.aligned):
        raise InputError(f"a judge learns from pairs, and the data of {run.folder} are torn apart: {INSTEAD}")
    system: Any = run.system
    judge = f"a segmenter trained on {len(train):,} real pairs"
    Progress(quiet=False).note(f"training {judge}; on pictures of 64x64 that takes minutes")
    by = segmenter(train)
    with torch.random.fork_rng():
        torch.manual_seed(run.question["seed"])
        scores = fcn_score(by, truth, system)
    usual = sum(
        labels(some.x, by.colours).flatten().bincount(minlength=len(by.colours)) for some in walk(truth, size=PART)
    )
    assert isinstance(usual, Tensor)
    scores |= {f"real pictures, {name}": score for name, score in fcn_score(by, truth).items()}
    scores["share of the most frequent class"] = float(usual.max() / usual.sum())
    told = {"extractor": judge, "real": len(truth), "generated": len(truth), "scores": scores}
    if data is None:
        write_json(run.folder / FILE, told)
    return told


def are_maps(x: Tensor) -> bool:
    """Whether twelve colours have much of the pixels, as in maps of flat colours; a photograph has thousands.

    Args:
        x: (n, channels, height, width) uint8.
    """
    planes = (x[:LOOKED_AT] // (1 if x.shape[1] == 1 else LEVELS)).long().unbind(1)
    numbers = torch.stack([plane << 8 * place for place, plane in enumerate(planes)]).sum(0)
    counts = numbers.unique(return_counts=True)[1].sort(descending=True).values
    return float(counts[:COLOURS].sum() / counts.sum()) >= SHARE
