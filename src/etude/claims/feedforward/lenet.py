"""Claims about LeNet-5."""

from etude.claims.lab import Finding, Lab, claim, spread


@claim(
    "LeNet-5 recognises at least 99 % of MNIST's test digits",
    source="LeCun et al. 1998, section III.C: an error of 0.95 %, without distortions of the training set",
    minutes=6,
)
def mnist_accuracy(lab: Lab) -> Finding:
    runs = [lab.run("lenet", "mnist", seed=seed) for seed in lab.seeds]
    accuracy = [100 * run.scores["accuracy"] for run in runs]
    return Finding(
        holds=min(accuracy) >= 99,
        numbers={
            "test accuracy in %": spread(accuracy),
            "distance from the published 99.05 %": sum(accuracy) / len(accuracy) - 99.05,
            "test cross-entropy in nats": spread(run.scores["cross_entropy"] for run in runs),
        },
        note=f"Default arguments, the last of 20 epochs, {runs[0].record['counts']['train']:,} training examples (the "
        f"paper has 60,000) and the first {runs[0].record['counts']['test']:,} test images. Holds if every seed "
        "reaches 99 %.",
    )
