"""Claims about semantic hashing."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from etude.claims.lab import Finding, Lab, claim, spread
from etude.data import source
from etude.data.kinds import Images, Splits, walk
from etude.engine.run import Run
from etude.functional.duplicates import near_duplicates
from etude.systems.autoencoders.semantic_hash import SemanticHash

SEEDS = range(3)
DISTANCES = (0, 3)  # bits: the same code, and what `etude data dedup` takes


@claim(
    "pictures of the same code are near-duplicates, with fewer than 1 false positive in 100",
    source="Radford et al. 2016, section 4.1.1",
    minutes=4,
)
def planted(lab: Lab) -> Finding:
    train = source.load("cifar10", data_dir=lab.data_dir).train
    assert isinstance(train, Images)
    each = len(train) // (2 * len(COPIES))
    own = [copy(train.x[place * each : (place + 1) * each]) for place, copy in enumerate(COPIES.values())]
    x = torch.cat([train.x, *own])
    data = Splits(Images(x), Images(x[:1]), Images(x[:1]), "cifar10-planted")
    found: dict[str, list[float]] = {}
    for seed in SEEDS:
        run = lab.run("semantic-hash", data, seed=seed)
        for distance in DISTANCES:
            for name, value in scores(bits_of(run, data), len(train), each, distance).items():
                found.setdefault(f"{name}, {distance} bits", []).append(value)
    return Finding(
        holds=all(min(found[f"precision, {distance} bits"]) >= 0.99 for distance in DISTANCES),
        numbers={name: spread(values) for name, values in found.items()},
        note=f"{len(train):,} photographs of CIFAR-10, 32x32, and {each} copies of each kind; default settings, 3 "
        "seeds. A pair counts as found where both are in one group of codes that differ in no bit, or are linked by "
        "differences of up to 3 bits of 128. Precision is the share of planted pairs among the pairs found, recall "
        "of a kind the share of its pairs that is found. Holds if precision is at least 0.99 in every seed at both. "
        "CIFAR-10's own repetitions, if there are any among these, count as mistakes. The paper looked at collisions "
        "by eye, and says of recall only that 275,000 were found among 3 million.",
    )


def recompressed(x: Tensor) -> Tensor:
    """As JPEG of quality 90 leaves them: (n, 3, h, w) uint8."""
    from PIL import Image

    def through(picture: Any) -> Any:
        stored = io.BytesIO()
        Image.fromarray(picture).save(stored, "JPEG", quality=90)
        return np.asarray(Image.open(stored))

    pixels = np.stack([through(picture) for picture in x.permute(0, 2, 3, 1).contiguous().numpy()])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def moved(x: Tensor) -> Tensor:
    """A tenth of a pixel to the right, as a photograph of 320 pixels moved by one: (n, 3, h, w) uint8."""
    beside = F.pad(x.float(), (1, 0, 0, 0), mode="replicate")[..., :-1]
    return torch.lerp(x.float(), beside, 0.1).round().to(torch.uint8)


def brighter(x: Tensor) -> Tensor:
    """By 3 %: (n, 3, h, w) uint8."""
    return (1.03 * x.float()).round().clamp(max=255).to(torch.uint8)


COPIES: dict[str, Callable[[Tensor], Tensor]] = {
    "exact": torch.clone,
    "recompressed": recompressed,
    "moved": moved,
    "brighter": brighter,
}


def bits_of(run: Run, data: Splits) -> Tensor:
    """The codes of all pictures: (n, bits) bool."""
    system = run.system
    assert isinstance(system, SemanticHash)
    return torch.cat([system.hash(batch.tensors()["x"]).cpu() for batch in walk(data.train, system.device)])


def scores(bits: Tensor, originals: int, each: int, distance: int) -> dict[str, float]:
    """Precision, and recall of each kind of copy.

    Args:
        bits: codes of the originals, then of `each` copies of every kind in turn: those of the first `each` originals,
            of the next, and so on.
        originals: how many there are.
        each: copies of a kind.
        distance: bits in which linked codes may differ.
    """
    groups = near_duplicates(bits, distance)
    group_of = {row: number for number, group in enumerate(groups) for row in group}
    pairs = sum(len(group) * (len(group) - 1) // 2 for group in groups)
    hits = [
        place in group_of and group_of[place] == group_of.get(originals + place) for place in range(len(COPIES) * each)
    ]
    found: dict[str, float] = {"precision": sum(hits) / pairs if pairs else 0.0}
    for place, kind in enumerate(COPIES):
        found[f"recall, {kind}"] = sum(hits[place * each : (place + 1) * each]) / each
    return found
