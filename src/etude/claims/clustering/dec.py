"""Claims about deep embedded clustering."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from etude.claims.lab import Finding, Lab, claim, clear, gain, spread
from etude.data import source
from etude.data.kinds import Splits, Vectors
from etude.engine.run import Run
from etude.functional.clustering import hardened, hardening_loss
from etude.metrics.baselines import kmeans
from etude.metrics.clustering import matched_accuracy
from etude.nn.clusters import Clusters

SEEDS = range(5)
STEPS = {"layer": 50_000, "all layers": 100_000}  # of the paper's pretraining, each layer and all together
Passes = Mapping[str, float]
MNIST = {"rate": 1.0, "layer_epochs": 6, "epochs": 18, "batch": 256}
SMALL = {"rate": 1.0, "layer_epochs": 20, "epochs": 60, "batch": 128}
NEWS = {"rate": 1.0, "layer_epochs": 6, "epochs": 18, "batch": 128}
SMALLER = {"rate": 0.3, "layer_epochs": 10, "epochs": 30, "batch": 32}
HARDER = {"rate": 0.3, "layer_epochs": 8, "epochs": 20, "batch": 64}
PASSES = 15  # of clustering at most
ARMS = ("DEC", "DEC without backprop", "k-means on x")


def described(passes: Passes) -> str:
    """A shortened pretraining in words."""
    return (
        f"Autoencoders of {passes['layer_epochs']} passes a layer and {passes['epochs']} for all layers, in batches of "
        f"{passes['batch']} at {passes['rate'] / 0.1:.0f} times the paper's rate, for there are far fewer steps."
    )


def pretrained(lab: Lab, data: Any, seed: int, passes: Passes) -> Run:
    """The stacked autoencoder that all arms of a comparison start from."""
    return lab.run("stacked-autoencoder", data, precision="bf16", seed=seed, **passes)


def refined(lab: Lab, autoencoder: Run, data: Any, seed: int, system: str = "dec", **asked: Any) -> Run:
    """A clustering of the codes of a trained autoencoder, in batches as large as that was trained in."""
    batch = autoencoder.question["arguments"]["batch"]
    return lab.run(system, data, on=str(autoencoder.folder), precision="bf16", seed=seed, batch=batch, **asked)


def labelled(data: Splits) -> tuple[Tensor, Tensor]:
    """The rows of all examples, ready for a system, and their classes."""
    train: Any = data.as_kind(Vectors).train.to("cpu")
    return train.x, train.y


def on_pixels(data: Splits, seed: int) -> float:
    """ACC of k-means, the best of 5 restarts, on the examples as they are."""
    x, y = labelled(data)
    return matched_accuracy(y, kmeans(x, len(y.unique()), seed, restarts=5))


def on_codes(autoencoder: Run, data: Splits, seed: int) -> float:
    """ACC of k-means, the best of 20 restarts, on the codes of an autoencoder."""
    x, y = labelled(data)
    return matched_accuracy(y, kmeans(coded(autoencoder, x), len(y.unique()), seed))


def coded(autoencoder: Run, x: Tensor) -> Tensor:
    """The codes of rows."""
    coder: Any = autoencoder.system
    return torch.cat([coder.encode(rows) for rows in x.split(5000)])


def whole(lab: Lab, name: str) -> Splits:
    return source.load(name, data_dir=lab.data_dir).whole()


def table_two(lab: Lab, data: Splits, passes: Passes) -> dict[str, Any]:
    """The rows of the paper's table 2 on some data: ACC of every seed, NMI, passes and minutes."""
    arms: dict[str, list[float]] = {"DEC": [], "DEC without backprop": [], "k-means on codes": [], "k-means on x": []}
    information, done, minutes = [], [], {}
    for seed in SEEDS:
        autoencoder = pretrained(lab, data, seed, passes)
        run, frozen = (
            refined(lab, autoencoder, data, seed, epochs=PASSES, backprop=backprop) for backprop in (True, False)
        )
        for arm, accuracy in zip(
            arms,
            (
                run.scores["clustering_accuracy"],
                frozen.scores["clustering_accuracy"],
                on_codes(autoencoder, data, seed),
                on_pixels(data, seed),
            ),
            strict=True,
        ):
            arms[arm].append(accuracy)
        information.append(run.scores["normalised_mutual_information"])
        done.append(len(run.log))
        minutes[seed] = time_per_phase([autoencoder, run])
    numbers: dict[str, Any] = {f"ACC, {arm}": spread(values) for arm, values in arms.items()}
    numbers["NMI, DEC"] = spread(information)
    numbers["passes of refinement"] = spread(done)
    for better, worse in pairwise(ARMS):
        numbers[f"{better} minus {worse}, seed by seed"] = gain(numbers[f"ACC, {better}"], numbers[f"ACC, {worse}"])
    for phase in minutes[0]:
        numbers[f"minutes, {phase}"] = spread([taken[phase] for taken in minutes.values()])
    return numbers


def time_per_phase(runs: Sequence[Run]) -> dict[str, float]:
    """Minutes by kind of phase; the layers together."""
    taken: dict[str, float] = {}
    for line in (line for run in runs for line in run.log):
        phase = "layers" if line["phase"].startswith("layer ") else line["phase"]
        taken[phase] = taken.get(phase, 0.0) + line["seconds"] / 60
    return taken


def ordered(numbers: dict[str, Any]) -> bool:
    """Is each row of table 2 better than the next, by a mean difference above its standard error?"""
    return all(clear(numbers[f"{better} minus {worse}, seed by seed"]) for better, worse in pairwise(ARMS))


@claim(
    "DEC clusters MNIST better than the same encoder held fixed, and that better than k-means on pixels",
    source="Xie et al. 2016, table 2: 84.30 %, 79.82 %, 53.49 %",
    minutes=30,
)
def mnist(lab: Lab) -> Finding:
    data = whole(lab, "mnist")
    numbers = table_two(lab, data, MNIST)
    steps = len(data.train) // 256
    layer, together = MNIST["layer_epochs"] * steps / STEPS["layer"], MNIST["epochs"] * steps / STEPS["all layers"]
    numbers |= {"share of the paper's steps, each layer": layer, "share of the paper's steps, all layers": together}
    note = (
        f"{len(data.train):,} images, for 2,000 of the test file are not at hand; bf16, one thread. Refinement stops "
        f"when fewer than 0.1 % of the images change cluster, after {PASSES} passes at the latest. The claim "
        f"holds if the mean of each difference is above its standard error. {described(MNIST)} "
        "The full protocol: etude train dec --data mnist-whole --precision bf16 (and --no-backprop); it goes on where "
        "it was stopped, and takes --device cuda."
    )
    return Finding(ordered(numbers), numbers, note)


@claim(
    "DEC clusters newswire better than the same encoder held fixed, and that better than k-means on TF-IDF",
    source="Xie et al. 2016, table 2, on Reuters-10k: 72.17 %, 70.05 %, 52.42 %",
    minutes=20,
)
def reuters(lab: Lab) -> Finding:
    data = whole(lab, "reuters-r8")
    numbers = table_two(lab, data, NEWS)
    note = (
        f"Reuters R8, {len(data.train):,} stories of 8 topics, half of them of one; the paper's Reuters-10k has 4 "
        "topics and is not to be had. TF-IDF of the 2,000 most frequent stems of the training documents. "
        "It holds if the mean of each difference is above its standard error. "
        f"{described(NEWS)}"
    )
    return Finding(ordered(numbers), numbers, note)


@claim(
    "good results are much harder on demanding problems with less compact clusters",
    source="course 004, module 5, lecturer's remark on DEC",
    minutes=20,
)
def demanding(lab: Lab) -> Finding:
    numbers: dict[str, Any] = {}
    hard, counts = [], {}
    for name, passes in (("digits", SMALLER), ("cifar10", HARDER), ("omniglot", HARDER)):
        data = whole(lab, name)
        found = table_two(lab, data, passes)
        numbers[f"{name}: classes"] = data.train.dimensions["classes"]
        numbers |= {f"{name}: {key}": found[key] for key in found if key.startswith("ACC")}
        hard.append(found["ACC, DEC"]["mean"])
        counts[name] = len(data.train)
    note = (
        "The remark holds if the ACC on CIFAR-10's pixels and on Omniglot's letters is below half of that on the "
        f"embedded digits. CIFAR-10: the {counts['cifar10']:,} images at hand; Omniglot: {counts['omniglot']:,} "
        f"drawings of {numbers['omniglot: classes']} letters. At most {PASSES} passes of refinement. "
        f"Digits: {described(SMALLER)} The others: {described(HARDER)}"
    )
    return Finding(max(hard[1:]) < hard[0] / 2, numbers, note)


@claim(
    "examples close to a centroid contribute more to the gradient than those far from all",
    source="Xie et al. 2016, section 5.1 and figure 4",
    minutes=1,
)
def confidence_weighs(lab: Lab) -> Finding:
    from scipy.stats import spearmanr

    data = whole(lab, "digits")
    x, _ = labelled(data)
    correlations = []
    for seed in SEEDS:
        autoencoder = pretrained(lab, data, seed, SMALLER)
        z = coded(autoencoder, x).requires_grad_()
        among = Clusters(10, z.shape[1])
        torch.manual_seed(seed)
        among.place(z.detach(), restarts=20)
        q = among(z)
        (pull,) = torch.autograd.grad(hardening_loss(q, hardened(q.detach())), z)
        correlations.append(float(spearmanr(q.detach().max(1).values, pull.norm(dim=1)).statistic))
    numbers = {"rank correlation of the largest q and |dL/dz|": spread(correlations)}
    note = f"All embedded digits, at the beginning of the refinement. {described(SMALLER)}"
    return Finding(min(correlations) > 0, numbers, note)
