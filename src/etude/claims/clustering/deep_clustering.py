"""Claims about the parts of deep clustering."""

from typing import Any

import torch

from etude.claims.clustering.dec import (
    MNIST,
    SEEDS,
    SMALL,
    SMALLER,
    Passes,
    described,
    on_codes,
    pretrained,
    refined,
    whole,
)
from etude.claims.lab import Finding, Lab, claim, clear, gain, spread
from etude.data.kinds import Splits
from etude.functional.clustering import zipf

ALONE = {"schedule": "pretrain", "others": ()}
OTHERS = ("reconstruction", "locality", "augmentation", "balance")
ARMS: dict[str, dict[str, Any]] = {
    "hardening": {"clustering": ("hardening",), **ALONE},
    "k-means": {"clustering": ("kmeans",), **ALONE},
    **{name: {"clustering": (), "others": (name,), "alpha": 0.0, "again": True} for name in OTHERS},
    **{f"hardening + {name}": {"clustering": ("hardening",), "others": (name,)} for name in OTHERS},
    "k-means + reconstruction": {"clustering": ("kmeans",), "others": ("reconstruction",)},
    "k-means by turns + reconstruction": {
        "clustering": ("kmeans",),
        "others": ("reconstruction",),
        "updates": "mean",
    },
    "all, ramp": {"clustering": ("hardening", "kmeans"), "others": OTHERS, "schedule": "ramp"},
}


def five_thousand(data: Splits) -> Splits:
    """The first 5,000 examples, nothing held out."""
    some = data.train[:5000]
    return Splits(some, some[:1000], some, f"{data.name}-5k")


def unbalanced(lab: Lab) -> Splits:
    """Images of MNIST whose classes follow Zipf's law: 1,024 zeros, half as many ones, ..."""
    every: Any = whole(lab, "mnist").train
    sizes = (3000 * zipf(10)).long().tolist()
    places = torch.cat([(every.y == c).nonzero().squeeze(1)[:size] for c, size in enumerate(sizes)])
    some = every[places[torch.randperm(len(places), generator=torch.Generator().manual_seed(0))]]
    return Splits(some, some[:1000], some, "mnist-zipf")


def table(
    lab: Lab, learned: Splits, data: Splits, passes: Passes, arms: dict[str, dict[str, Any]], epochs: int
) -> dict[str, Any]:
    """ACC and NMI of each arm on some data, from one autoencoder a seed, which learned from the same or others."""
    accuracy: dict[str, list[float]] = {"k-means on the codes": [], **{arm: [] for arm in arms}}
    information: dict[str, list[float]] = {arm: [] for arm in arms}
    for seed in SEEDS:
        autoencoder = pretrained(lab, learned, seed, passes)
        accuracy["k-means on the codes"].append(on_codes(autoencoder, data, seed))
        for arm, asked in arms.items():
            run = refined(lab, autoencoder, data, seed, "deep-clustering", epochs=epochs, **asked)
            accuracy[arm].append(run.scores["clustering_accuracy"])
            information[arm].append(run.scores["normalised_mutual_information"])
    numbers = {f"ACC, {arm}": spread(values) for arm, values in accuracy.items()}
    return numbers | {f"NMI, {arm}": spread(values) for arm, values in information.items()}


@claim(
    "keeping the reconstruction loss beside a clustering loss clusters better than the clustering loss alone",
    source="Aljalbout et al. 2018, sections 3 and 4; course 004, module 5",
    minutes=30,
)
def terms(lab: Lab) -> Finding:
    numbers: dict[str, Any] = {}
    gains = []
    digits, images = whole(lab, "digits"), whole(lab, "mnist")
    for learned, data, passes, epochs in (
        (digits, digits, SMALLER, 10),
        (images, five_thousand(images), MNIST, 15),
    ):
        found = table(lab, learned, data, passes, ARMS, epochs)
        numbers |= {f"{data.name}: {key}": value for key, value in found.items()}
        for loss in ("hardening", "k-means"):
            gains.append(gain(found[f"ACC, {loss} + reconstruction"], found[f"ACC, {loss}"]))
            numbers[f"{data.name}: gain of ACC by keeping the decoder, {loss}"] = gains[-1]
    note = (
        "Each term alone and combined, from one autoencoder a seed, default weights; terms that "
        f"make no clusters are followed by k-means. The {len(digits.train):,} embedded digits, at most 10 passes, and "
        "5,000 images of MNIST, at most 15, with autoencoders that learned from all of them. It holds if the "
        "reconstruction loss helps both clustering losses on both data sets, by a mean difference above its standard "
        f"error. Digits: {described(SMALLER)} MNIST: {described(MNIST)}"
    )
    return Finding(all(clear(each) for each in gains), numbers, note)


@claim(
    "on unbalanced data a target of the right cluster sizes clusters better than one of equal sizes",
    source="course 004, module 5: Zipf's law in place of the uniform distribution",
    minutes=10,
)
def matching_sizes(lab: Lab) -> Finding:
    balanced = {"others": ("reconstruction", "balance"), "weights": (0.1, 1.0, 1.0)}
    arms: dict[str, dict[str, Any]] = {
        "no target": {},
        "equal sizes": balanced,
        "Zipf's sizes": {**balanced, "exponent": 1.0},
    }
    data = unbalanced(lab)
    numbers = table(lab, data, data, SMALL, arms, epochs=30)
    numbers["difference of ACC, seed by seed"] = difference = gain(
        numbers["ACC, Zipf's sizes"], numbers["ACC, equal sizes"]
    )
    note = (
        f"{len(data.train):,} images of MNIST, half as many ones as zeros, a third as many twos and so on; hardening "
        "and reconstruction, with and without a target for the sizes of clusters, of weight 1. It "
        "holds if the mean difference between the matching and the wrong target is above its standard error. "
        f"{described(SMALL)}"
    )
    return Finding(clear(difference), numbers, note)
