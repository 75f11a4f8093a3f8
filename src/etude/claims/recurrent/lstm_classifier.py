"""Claims about the LSTM classifier."""

from etude.claims.lab import Finding, Lab, claim, clear, gain, spread

SEEDS = range(3)
PASSES = 60


@claim(
    "an LSTM that also reads from the end tags steps better than one that reads forwards alone",
    source="Graves and Schmidhuber 2005, on the frames of TIMIT (abstract: bidirectional networks outperform "
    "unidirectional ones)",
    minutes=6,
)
def both_directions(lab: Lab) -> Finding:
    numbers = {}
    for name, bidirectional in (("both directions", True), ("forwards", False)):
        asked = {"bidirectional": bidirectional, "hidden": 32, "epochs": PASSES}
        runs = [lab.run("lstm-classifier", "gesture", seed=seed, **asked) for seed in SEEDS]
        numbers[f"accuracy of steps in %, {name}"] = spread(100 * run.scores["accuracy"] for run in runs)
        numbers[f"cross-entropy in nats, {name}"] = spread(run.scores["cross_entropy"] for run in runs)
    both, forwards = (numbers[f"accuracy of steps in %, {name}"] for name in ("both directions", "forwards"))
    numbers["difference, seed by seed"] = difference = gain(both, forwards)
    note = (
        "Phases of gestures, sequences of 32 steps of which no two splits share one; TIMIT is not free. 32 units a "
        f"direction, so that the first arm has twice the weights; at most {PASSES} passes, of which validation chooses "
        "one. It holds if the mean difference is above its standard error."
    )
    return Finding(clear(difference), numbers, note)
