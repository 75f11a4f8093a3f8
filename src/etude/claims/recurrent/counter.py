"""Claims about counting: how far beyond its training each block counts."""

from statistics import fmean

from etude.claims.lab import Finding, Lab, claim, clear, gain, spread
from etude.engine.run import Run

SEEDS = range(5)
ARMS = {
    "LSTM": {"block": "lstm"},
    "GRU, reset before the product": {"block": "gru", "reset": "before"},
    "GRU, reset after the product": {"block": "gru", "reset": "after"},
}
FAR = 2  # times the largest n of training


@claim(
    "an LSTM counts a^n b^n far beyond its training, a GRU does not",
    source="Weiss, Goldberg and Yahav 2018, section 5: trained to n = 100, the LSTM holds to 256, the GRU fails at 39",
    minutes=25,
)
def counts_two(lab: Lab) -> Finding:
    return compare(lab, "counting")


@claim(
    "an LSTM counts a^n b^n c^n far beyond its training, a GRU does not",
    source="Weiss, Goldberg and Yahav 2018, section 5: trained to n = 50, the LSTM holds to 100, the GRU fails at 9",
    minutes=25,
)
def counts_three(lab: Lab) -> Finding:
    return compare(lab, "counting-abc")


def compare(lab: Lab, data: str) -> Finding:
    """The largest n up to which every string is solved, by block and seed, at one budget."""
    runs = {arm: [lab.run("counter", data, seed=seed, **asked) for seed in SEEDS] for arm, asked in ARMS.items()}
    lstm, before, after = reached = [spread(run.scores["generalises_to"] for run in each) for each in runs.values()]
    most = trained_to(runs["LSTM"][0])
    ahead = [gain(lstm, gru) for gru in (before, after)]
    numbers = {f"largest n solved, {arm}": found for arm, found in zip(ARMS, reached, strict=True)}
    numbers |= {
        f"share of the test strings solved, {arm}": spread(run.scores["share_solved"] for run in each)
        for arm, each in runs.items()
    }
    return Finding(
        holds=lstm["mean"] >= FAR * most and max(before["mean"], after["mean"]) < FAR * most and all(map(clear, ahead)),
        numbers=numbers | {"largest n of training": most},
        note=f"Default arguments and one budget for all, {len(SEEDS)} seeds; a string is solved when every symbol that "
        "is determined is the likeliest, the end included, and all n up to the number given are, of 1,000 at most; "
        f"test strings have n from {most + 1} to {2 * most}. Mean seconds a run: "
        + ", ".join(f"{fmean(run.record['seconds'] for run in each):.0f} ({arm})" for arm, each in runs.items())
        + f". Holds if the LSTM reaches {FAR} times the largest n of training on average, no GRU does, and the LSTM's "
        "lead over each is above its standard error.",
    )


def trained_to(run: Run) -> int:
    """The largest n of the training strings."""
    train = run.data().train.tensors()
    letters: int = run.record["dimensions"]["symbols"] - 3
    return (int(train["lengths"].max()) - 2) // letters
