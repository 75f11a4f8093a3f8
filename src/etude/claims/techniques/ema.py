"""Claims about the averaging of weights."""

from statistics import fmean

from etude.claims.lab import Finding, Lab, claim, spread
from etude.engine.run import Run

SEEDS = range(5)
EPOCHS = (5, 20, 60)


@claim(
    "averaged weights predict at least as well as the last iterate",
    source="Polyak and Juditsky 1992; Tarvainen and Valpola 2017, section 2",
    minutes=2,
)
def average_against_last(lab: Lab) -> Finding:
    gains, accuracies, numbers = [], [], {}
    for epochs in EPOCHS:
        last = [lab.run("mlp", "digits", hidden=(128,), activation="relu", epochs=epochs, seed=seed) for seed in SEEDS]
        averaged = [averaged_run(lab, epochs, seed) for seed in SEEDS]
        scores = [(a.scores, b.scores) for a, b in zip(last, averaged, strict=True)]
        gains.append([a["cross_entropy"] - b["cross_entropy"] for a, b in scores])
        accuracies.append([b["accuracy"] - a["accuracy"] for a, b in scores])
        numbers[f"test cross-entropy of the last iterate, {epochs} epochs"] = spread(
            a["cross_entropy"] for a, _ in scores
        )
        numbers[f"that less the average's, {epochs} epochs"] = spread(gains[-1])
        numbers[f"test accuracy of the average less the last iterate's, {epochs} epochs"] = spread(accuracies[-1])
    return Finding(
        holds=fmean(map(fmean, gains)) >= 0,
        numbers=numbers,
        note="Digits; a dense net of 128 ReLU units at the constant default rate and momentum, decay 0.999, 5 seeds, "
        "in nats. Paired: the average follows the very iterates of the other arm. Holds if the test "
        f"cross-entropy is no higher, averaged over seeds and all of {EPOCHS} epochs.",
    )


def averaged_run(lab: Lab, epochs: int, seed: int) -> Run:
    inner = {"on.hidden": (128,), "on.activation": "relu", "on.epochs": epochs}
    return lab.run("ema", "digits", on="mlp", seed=seed, **inner)
