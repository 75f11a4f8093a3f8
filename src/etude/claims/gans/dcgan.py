"""Claims about deep convolutional GANs."""

from collections.abc import Iterable
from itertools import permutations, product
from typing import Any

import torch
from torch import Tensor

from etude.claims.lab import Finding, Lab, claim, clear, gain, spread
from etude.data.kinds import Batch, Images, walk
from etude.data.shapes import CLASSES, COLOURS, FORMS
from etude.engine.extractors import score_generator
from etude.engine.run import Run
from etude.functional.latent import arithmetic
from etude.systems.gans.dcgan import DCGAN
from etude.systems.system import Classifier

SEEDS = range(3)
MNIST: dict[str, Any] = {"latent": 32, "maps": 16, "rate": 5e-4, "epochs": 4}
SHAPES: dict[str, Any] = {"quick": True, "epochs": 20}
ARMS: dict[str, dict[str, Any]] = {
    "all guidelines": {},
    "without batch normalisation": {"batch_norm": False},
    "with dense hidden layers": {"hidden": (256,)},
}
GENERATED = 5000  # pictures to score
LABELLED = 100  # examples of each class
CHOSEN_ON = 2000  # validation examples
COSTS = tuple(10.0**power for power in range(-5, 3))
DRAWN, TRIALS = 4000, 20  # codes to choose from, and sums of each kind


@claim(
    "convolutions make digits that are closer to real ones than those of a dense GAN after the same time",
    source="Radford et al. 2016, section 3",
    minutes=25,
)
def against_dense(lab: Lab) -> Finding:
    runs: dict[str, list[Run]] = {"dcgan": [], "gan": []}
    for seed in SEEDS:
        convolutional = lab.run("dcgan", "mnist", seed=seed, **MNIST)
        one = lab.run("gan", "mnist", seed=seed, epochs=1)
        passes = max(1, round(convolutional.record["seconds"] / one.record["seconds"]))
        runs["dcgan"].append(convolutional)
        runs["gan"].append(lab.run("gan", "mnist", seed=seed, epochs=passes))
    distance = {arm: spread(fid(run) for run in each) for arm, each in runs.items()}
    less = gain(distance["gan"], distance["dcgan"])
    return Finding(
        holds=clear(less) and min(less["values"]) > 0,
        numbers={f"FID in LeNet's features, {arm}": found for arm, found in distance.items()}
        | {"gan less dcgan": less}
        | {f"seconds of training, {arm}": spread(run.record["seconds"] for run in each) for arm, each in runs.items()},
        note=f"MNIST, {MNIST['epochs']} passes of a DCGAN with {MNIST['maps']} maps next to the picture at rate "
        f"{MNIST['rate']:g}; the dense GAN has its default arguments and as many passes as take the same time, by its "
        f"first. {GENERATED:,} samples against the test images, in the 84 features of a LeNet-5 trained here: not "
        "comparable with published FIDs. Holds if the distance is clearly smaller, and smaller in every seed.",
    )


@claim(
    "with 1,000 labels a linear classifier does better on the discriminator's features than on pixels",
    source="Radford et al. 2016, section 5.2: 22.48 % error on SVHN with 1,000 labels",
    minutes=15,
)
def features_for_few_labels(lab: Lab) -> Finding:
    errors: dict[str, list[float]] = {"pixels": [], "discriminator as drawn": [], "discriminator": []}
    for seed in SEEDS:
        trained = lab.run("dcgan", "mnist", seed=seed, **MNIST)
        drawn = lab.run("dcgan", "mnist", seed=seed, **MNIST | {"epochs": 0})
        data = trained.data()
        few = balanced(data.train, seed)
        for arm, run in (("pixels", None), ("discriminator as drawn", drawn), ("discriminator", trained)):
            parts = [rows(run, part) for part in (few, data.validation[:CHOSEN_ON], data.test)]
            errors[arm].append(100 * error_on_test(parts))
    found = {arm: spread(each) for arm, each in errors.items()}
    less = gain(found["pixels"], found["discriminator"])
    return Finding(
        holds=clear(less) and min(less["values"]) > 0,
        numbers={f"test error in %, {arm}": each for arm, each in found.items()}
        | {"pixels less discriminator": less, "drawn less trained": gain(*[found[arm] for arm in list(found)[1:]])},
        note=f"MNIST, {LABELLED} labels a class drawn anew in each seed, the DCGANs of `against_dense`, which saw no "
        "labels. Every layer's features are pooled to 4x4 by their maxima; pixels and features are divided by their "
        f"root mean square. The cost of a linear L2-SVM is chosen on {CHOSEN_ON:,} validation images. The "
        "discriminator as drawn tells what its form alone is worth. Holds if the error on features is clearly smaller "
        "than that on pixels, and smaller in every seed.",
    )


@claim(
    "a large shape, less a small one, plus a small one of another colour is a large one of that colour",
    source="Radford et al. 2016, section 6.3.2 and figure 7",
    minutes=15,
)
def latent_arithmetic(lab: Lab) -> Finding:
    judge = lab.run("lenet", "shapes")
    found = [sums(dcgan(lab.run("dcgan", "shapes", seed=seed, **SHAPES)), classifier(judge)) for seed in SEEDS]
    right = {arm: spread(each[arm] for each in found) for arm in found[0]}
    more = gain(right["means of three codes"], right["chance"])
    steady = gain(right["means of three codes"], right["single codes"])
    return Finding(
        holds=clear(more) and min(right["means of three codes"]["values"]) > 0.5,
        numbers={f"share right, {arm}": each for arm, each in right.items()}
        | {"three codes less chance": more, "three codes less single ones": steady}
        | {"accuracy of the judge on test pictures": judge.scores["accuracy"]},
        note=f"`shapes`, quick settings and {SHAPES['epochs']} passes. A LeNet-5 trained on the labels judges "
        f"{DRAWN:,} samples and so finds codes of each class, then the sums: large A less small A plus small B of the "
        f"same form, for every form and pair of colours whose classes have three samples, {TRIALS} draws each. Chance "
        "is how often samples as such are of the wanted class. Holds if sums of means are clearly more often right "
        "than that, and in every seed more often than not. Of means of three codes each attribute is told by itself "
        "too.",
    )


@claim(
    "each guideline is worth something: with one left out, samples are further from the data",
    source="Radford et al. 2016, section 3",
    minutes=25,
)
def guidelines(lab: Lab) -> Finding:
    distance = {
        arm: spread(fid(lab.run("dcgan", "mnist", seed=seed, **MNIST | changed)) for seed in SEEDS)
        for arm, changed in ARMS.items()
    }
    whole, *without = distance
    worth = {arm: gain(distance[arm], distance[whole]) for arm in without}
    return Finding(
        holds=all(clear(each) for each in worth.values()),
        numbers={f"FID in LeNet's features, {arm}": found for arm, found in distance.items()}
        | {f"{arm}, less {whole}": each for arm, each in worth.items()},
        note=f"MNIST, the DCGANs of `against_dense`; one argument differs in each arm. {GENERATED:,} samples against "
        "the test images, in the features of a LeNet-5 trained here. Holds if the distance is clearly larger without "
        "each.",
    )


def dcgan(run: Run) -> DCGAN:
    assert isinstance(run.system, DCGAN)
    return run.system


def classifier(run: Run) -> Classifier:
    assert isinstance(run.system, Classifier)
    return run.system


def fid(run: Run) -> float:
    distance: float = score_generator(run, count=GENERATED)["scores"]["fid"]
    return distance


def balanced(split: Batch, seed: int) -> Batch:
    """As many examples of each class, drawn at random."""
    y = split.tensors()["y"]
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    own = [order[y.index_select(0, order) == c][:LABELLED] for c in torch.unique(y).tolist()]
    return split[torch.cat(own)]


def rows(run: Run | None, split: Batch) -> tuple[Tensor, Tensor]:
    """Pixels, or what a discriminator makes of them, as rows (n, d), and the classes (n,)."""
    assert isinstance(split, Images)
    verb = torch.Tensor.clone if run is None else dcgan(run).encode
    return torch.cat([verb(batch.x).flatten(1) for batch in walk(split)]), split.tensors()["y"]


def error_on_test(parts: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Share of the last part that a linear L2-SVM gets wrong, trained on the first, its cost chosen on the second."""
    from sklearn.svm import LinearSVC

    (x, y), validation, test = parts
    scale = x.square().mean().sqrt()

    def trained(cost: float) -> Any:
        return LinearSVC(C=cost, random_state=0).fit((x / scale).numpy(), y.numpy())

    def right(machine: Any, held_out: tuple[Tensor, Tensor]) -> float:
        return float(machine.score((held_out[0] / scale).numpy(), held_out[1].numpy()))

    best = max((trained(cost) for cost in COSTS), key=lambda machine: right(machine, validation))
    return 1 - right(best, test)


@torch.no_grad()
def sums(system: DCGAN, judge: Classifier) -> dict[str, float]:
    """How often sums of codes generate the wanted class, by arm, and how often samples as such are of it.

    Of means of three codes also how often size, colour and form are right, each by itself.
    """
    torch.manual_seed(0)
    codes = system.noise(DRAWN)
    said = torch.cat([judge.classify(system.generate(z)).argmax(1) for z in codes.split(500)])
    counts = said.bincount(minlength=len(CLASSES))
    wanted, summed = [], {"means of three codes": list[Tensor](), "single codes": list[Tensor]()}
    for form, (old, new) in product(FORMS, permutations(COLOURS, 2)):
        groups = [CLASSES.index(f"{words} {form}") for words in (f"large {old}", f"small {old}", f"small {new}")]
        if min(int(counts[c]) for c in groups) < 3:
            continue
        wanted += [CLASSES.index(f"large {new} {form}")] * TRIALS
        for _ in range(TRIALS):
            three = [drawn(codes[said == c], 3) for c in groups]
            summed["means of three codes"].append(arithmetic(*three))
            summed["single codes"].append(arithmetic(*(group[:1] for group in three)))
    if not wanted:
        return dict.fromkeys([*summed, "chance", "size alone", "colour alone", "form alone"], 0.0)
    aim = torch.tensor(wanted)
    made = {arm: judge.classify(system.generate(torch.stack(each))).argmax(1) for arm, each in summed.items()}
    said = made["means of three codes"]
    right = {arm: share(classes == aim) for arm, classes in made.items()}
    return right | {
        "chance": float(counts.index_select(0, aim).double().mean() / DRAWN),
        "size alone": share(said // 12 == aim // 12),
        "colour alone": share(said // 3 % 4 == aim // 3 % 4),
        "form alone": share(said % 3 == aim % 3),
    }


def share(right: Tensor) -> float:
    return float(right.double().mean())


def drawn(codes: Tensor, count: int) -> Tensor:
    return codes.index_select(0, torch.randperm(len(codes))[:count])
