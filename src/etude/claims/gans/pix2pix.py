"""Claims about pix2pix."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from etude.claims.lab import Finding, Lab, claim, clear, gain, spread
from etude.data import source
from etude.data.kinds import ImagePairs, Splits
from etude.engine.run import Run
from etude.metrics.pictures import absolute_error
from etude.metrics.segmentation import Segmenter, fcn_score, labels, segmenter
from etude.systems.gans.pix2pix import Pix2Pix

SEEDS = range(3)
ORDER = ("l1+cgan", "l1+gan", "cgan", "l1", "gan")  # of table 1, by per-pixel accuracy
SMALL: dict[str, Any] = {"maps": 16, "rate": 1e-3, "epochs": 16}
FRONTS: dict[str, Any] = {"maps": 16, "rate": 1e-3, "epochs": 10}


@claim(
    "the FCN-score of labels to photos falls from L1 + cGAN to L1 + GAN, cGAN, L1 and GAN",
    source="Isola et al. 2017, table 1",
    minutes=25,
)
def ablation(lab: Lab) -> Finding:
    whole = lab.device.startswith("cuda")
    found = table_1(lab, "facades", {}) if whole else table_1(lab, "facades64", SMALL)
    size = (
        "the paper's arguments at 128x128"
        if whole
        else "64x64, so that patches of 70 are the whole picture, 16 maps, 16 passes where the paper has 200, at five "
        "times its rate"
    )
    note = (
        f"CMP facades, {size}. {found.note} The paper's networks and passes at 128x128, for a GPU, with $ETUDE_DATA: "
        "`etude reproduce pix2pix --only ablation --device cuda`."
    )
    return replace(found, note=note)


@claim(
    "the FCN-score of drawn labels to pictures falls from L1 + cGAN to L1 + GAN, cGAN, L1 and GAN",
    source="Isola et al. 2017, table 1",
    minutes=25,
)
def ablation_of_drawings(lab: Lab) -> Finding:
    found = table_1(lab, "facades-like", FRONTS)
    return replace(
        found,
        note=f"House fronts drawn at random, 64x64, 16 maps, 10 passes at five times the paper's rate. {found.note}",
    )


@claim(
    "L1 alone blurs what the labels do not say; with a conditional discriminator pictures are as sharp as real ones",
    source="Isola et al. 2017, section 4.1 and figure 4",
    minutes=12,
)
def sharpness(lab: Lab) -> Finding:
    splits, test = loaded(lab, "facades-like")
    by, truth = judge(splits), detail(test.to("cpu").y)
    numbers: dict[str, Any] = {}
    for objective in ("l1", "l1+cgan"):
        runs = [lab.run("pix2pix", "facades-like", seed=s, objective=objective, **FRONTS) for s in SEEDS]
        x = test.to("cpu").x
        numbers |= {
            f"{objective}, detail": spread(detail(trained(run).translate(x)) / truth for run in runs),
            f"{objective}, mean absolute error": spread(absolute_error(trained(run), test) for run in runs),
            f"{objective}, per-pixel accuracy": spread(scored(by, test, run)["per-pixel accuracy"] for run in runs),
        }
    blurred, sharp = numbers["l1, detail"]["values"], numbers["l1+cgan, detail"]["values"]
    return Finding(
        holds=all(a < 0.9 and abs(b - 1) < abs(a - 1) / 2 for a, b in zip(blurred, sharp, strict=True)),
        numbers=numbers | {"real pictures, per-pixel accuracy": fcn_score(by, test)["per-pixel accuracy"]},
        note="House fronts drawn at random, 280 to train on, 16 maps, 10 passes at five times the paper's rate, 3 "
        "seeds. Detail is the mean difference of neighbouring pixels, as a share of that of the true pictures. Holds "
        "if in every seed L1 alone has below 0.9 and the discriminator at least halves the distance from 1. The error "
        "of single pixels is the lower the more a picture is blurred.",
    )


def table_1(lab: Lab, name: str, arguments: dict[str, Any]) -> Finding:
    """FCN-scores of the five objectives on a data set."""
    splits, test = loaded(lab, name)
    by = judge(splits)
    table = {
        objective: [scored(by, test, lab.run("pix2pix", name, seed=s, objective=objective, **arguments)) for s in SEEDS]
        for objective in ORDER
    }
    real, usual = fcn_score(by, test), labels(test.to("cpu").x, by.colours).flatten().bincount()
    arms = {objective: spread(row["per-pixel accuracy"] for row in rows) for objective, rows in table.items()}
    steps = {f"{a} over {b}": gain(arms[a], arms[b]) for a, b in pairwise(ORDER)}
    return Finding(
        holds=all(map(clear, steps.values())),
        numbers={f"{arm}, {score}": spread(r[score] for r in rows) for arm, rows in table.items() for score in real}
        | {f"real pictures, {score}": number for score, number in real.items()}
        | {"the most frequent class everywhere, per-pixel accuracy": float(usual.max() / usual.sum())}
        | {f"per-pixel accuracy, {step}": difference for step, difference in steps.items()},
        note=f"{len(splits.train)} pairs to train on, {len(test)} to test, {len(SEEDS)} seeds. The judge, trained on "
        "the real training pairs, is the same for all. Holds if each row's per-pixel accuracy is above the next one's "
        "by more than a standard error of the differences, seed by seed. The published rows are Cityscapes: .66, .64, "
        ".57, .42, .22, real photos .80.",
    )


def loaded(lab: Lab, name: str) -> tuple[Splits, ImagePairs]:
    """A data set of pairs and its test split."""
    splits = source.load(name, data_dir=lab.data_dir)
    assert isinstance(splits.test, ImagePairs)
    return splits, splits.test


def judge(splits: Splits) -> Segmenter:
    assert isinstance(splits.train, ImagePairs)
    return segmenter(splits.train)


def trained(run: Run) -> Pix2Pix:
    torch.manual_seed(0)  # of the noise in what it translates
    assert isinstance(run.system, Pix2Pix)
    return run.system


def scored(by: Segmenter, test: ImagePairs, run: Run) -> dict[str, float]:
    return fcn_score(by, test, trained(run))


def detail(pictures: Tensor) -> float:
    """Mean difference of neighbouring pixels, down and across, of pictures (n, C, h, w)."""
    return float((pictures.diff(dim=2).abs().mean() + pictures.diff(dim=3).abs().mean()) / 2)
