"""Claims about CycleGAN."""

from dataclasses import replace
from typing import Any, get_args

import torch
import torch.nn.functional as F

from etude.claims.lab import Finding, Lab, claim, clear, gain, spread
from etude.data import source
from etude.data.facades import unpaired
from etude.data.kinds import Batch, ImagePairs, Splits, walk
from etude.engine.run import Run
from etude.metrics.cycles import cycle_error
from etude.metrics.segmentation import agreement, confusion, fcn_score, labels, palette, segmenter
from etude.systems.gans.cyclegan import CycleGAN, Objective

SEEDS = range(3)
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
NARROW: dict[str, Any] = {"blocks": 2, "maps": 16, "field": 16, "rate": 5e-4}
SETTINGS = "32x32 pixels, 2 blocks, 16 maps, 16-pixel patches, rate 5e-4, batch 1, 3 seeds"
WHOLE = "the paper's arguments at 128x128, 3 seeds"


@claim(
    "both the adversarial losses and the cycles are needed: without either, translations are worse",
    source="Zhu et al. 2017, section 5.1.4, tables 4 and 5",
    minutes=28,
)
def ablation(lab: Lab) -> Finding:
    whole = lab.device.startswith("cuda")
    pairs = source.load("facades" if whole else "facades64", data_dir=lab.data_dir)
    pairs, arguments = (pairs, {}) if whole else (halved(pairs), {"epochs": 12, **NARROW})
    data, train, test = unpaired(pairs, "facades-torn"), as_pairs(pairs.train), as_pairs(pairs.test)
    judge = segmenter(train)
    found: dict[str, dict[str, Any]] = {}
    for objective in OBJECTIVES:
        runs = [lab.run("cyclegan", data, seed=seed, objective=objective, **arguments) for seed in SEEDS]
        photos = [fcn_score(judge, test, cyclegan(run)) for run in runs]
        maps = [map_score(cyclegan(run), test, judge.colours) for run in runs]
        found[objective] = {f"photographs, {name}": spread(score[name] for score in photos) for name in photos[0]}
        found[objective] |= {f"maps, {name}": spread(score[name] for score in maps) for name in maps[0]}
    real = fcn_score(judge, test)
    numbers: dict[str, Any] = {
        f"{name}, {objective}": score for objective, scores in found.items() for name, score in scores.items()
    }
    numbers |= {f"photographs, {name}, real ones": score for name, score in real.items()}
    return Finding(
        holds=all(
            clear(gain(found["full"][name], found[without][name]))
            for name in ("photographs, class IoU", "maps, class IoU")
            for without in ("cycle", "gan")
        ),
        numbers=numbers,
        note=f"CMP facades, pairs torn apart, {WHOLE if whole else f'{SETTINGS}, 12 passes'}. "
        "X are maps, Y photographs, so the forward cycle "
        "is map, photograph, map. Photographs made from the maps of the test split are judged by a segmenter trained "
        "on real pairs (FCN-score); maps made from its photographs by the nearest colour. Holds if the class IoU of "
        "the full objective is above that of the cycles alone and of the adversarial losses alone, in both "
        "directions, by more than the standard error. In the paper (Cityscapes, 200 passes at 256x256) photographs "
        "score .52/.17/.11 in per-pixel accuracy, per-class accuracy and class IoU; its other rows, from memory: "
        "cycles alone .22/.07/.02, GAN alone .51/.11/.08, with the forward cycle .55/.18/.12, with the backward one "
        ".39/.14/.06. The paper's networks and passes at 128x128, for a GPU, with $ETUDE_DATA: `etude reproduce "
        "cyclegan --only ablation --device cuda`.",
    )


@claim(
    "without a single pair to learn from it finds which map belongs to a picture, and its two halves undo each other",
    source="Zhu et al. 2017, section 3.2 and equation 2",
    minutes=8,
)
def without_pairs(lab: Lab) -> Finding:
    data = halved(source.load("facades-like-unpaired"))
    test = as_pairs(data.test)
    colours = palette(test.x)
    true = labels(test.to("cpu").x, colours)
    constant = float(torch.bincount(true.flatten()).max() / true.numel())
    accuracy, error = {}, {}
    for objective in ("full", "gan"):
        runs = [lab.run("cyclegan", data, seed=seed, objective=objective, epochs=5, **NARROW) for seed in SEEDS]
        accuracy[objective] = spread(map_score(cyclegan(run), test, colours)["per-pixel accuracy"] for run in runs)
        error[objective] = spread(cycle_error(cyclegan(run), test) for run in runs)
    return Finding(
        holds=min(accuracy["full"]["values"]) > constant and clear(gain(error["gan"], error["full"])),
        numbers={
            "pixels of a map right, full": accuracy["full"],
            "pixels of a map right, adversarial losses alone": accuracy["gan"],
            "pixels of a map right, always the most frequent part": constant,
            "|F(G(x)) - x|, full": error["full"],
            "|F(G(x)) - x|, adversarial losses alone": error["gan"],
        },
        note=f"Drawn house fronts and their maps, pairs torn apart, {SETTINGS}, 5 passes over 280 pictures. Maps made "
        "from the test split's pictures are held against the true ones by the nearest colour. Holds if in every seed "
        "more pixels are right than the most frequent part has, and the error of the whole cycle is below that of "
        "the adversarial losses alone by more than the standard error.",
    )


def halved(splits: Splits) -> Splits:
    """Half as high and wide: pictures y averaged over squares, of maps x, whose colours must not mix, one pixel."""
    train, validation, test = (_half(as_pairs(part)) for part in splits.parts().values())
    return Splits(train, validation, test, f"{splits.name}, halved")


def _half(pairs: ImagePairs) -> ImagePairs:
    y = F.avg_pool2d(pairs.y.float(), 2).round().to(torch.uint8)
    return replace(pairs, x=pairs.x[..., 1::2, 1::2].contiguous(), y=y)


def as_pairs(batch: Batch) -> ImagePairs:
    assert isinstance(batch, ImagePairs)
    return batch


def cyclegan(run: Run) -> CycleGAN:
    assert isinstance(run.system, CycleGAN)
    return run.system


def map_score(system: CycleGAN, pairs: ImagePairs, colours: torch.Tensor) -> dict[str, float]:
    """How well maps made from the pictures y agree with the true x, each pixel read as the nearest of `colours`."""
    count = len(colours)
    table = torch.zeros(count, count, dtype=torch.int64)
    for some in walk(pairs, system.device):
        table += confusion(labels(some.x, colours), labels(system.back(some.y), colours), count)
    return agreement(table)
