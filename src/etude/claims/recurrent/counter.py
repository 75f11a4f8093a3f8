"""Claims about counting: how far beyond its training each block counts."""

from statistics import fmean
from typing import Any

import torch

from etude.claims.lab import Finding, Lab, Plot, claim, clear, gain, spread
from etude.data.counting import strings
from etude.data.kinds import Symbols
from etude.engine.run import Run
from etude.metrics.symbols import letters, solved_lengths
from etude.systems.recurrent.counter import Counter

SEEDS = range(5)
ARMS = {
    "LSTM": {"block": "lstm"},
    "GRU, reset before the product": {"block": "gru", "reset": "before"},
    "GRU, reset after the product": {"block": "gru", "reset": "after"},
}
FAR = 2  # times the largest n of training, as the test strings have at most
TRIED = 1000  # the largest n that is tried


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
    """Which n each block solves, within and beyond those of training, by seed at one budget."""
    runs = {arm: [lab.run("counter", data, seed=seed, **asked) for seed in SEEDS] for arm, asked in ARMS.items()}
    most = trained_to(runs["LSTM"][0])
    numbers: dict[str, Any] = {"largest n of training": most}
    beyond = {}
    for arm, each in runs.items():
        ns = [solved_lengths(counter(run), training(run), TRIED) for run in each]
        beyond[arm] = spread(run.scores["share_solved"] for run in each)
        numbers |= {
            f"share of the test strings solved, {arm}": beyond[arm],
            f"share of n up to {most} solved, {arm}": spread(float(right[:most].double().mean()) for right in ns),
            f"all n solved up to, {arm}": spread(run.scores["generalises_to"] for run in each),
            f"largest n solved at all, {arm}": spread(int((right * torch.arange(1, TRIED + 1)).max()) for right in ns),
        }
    lstm, *grus = beyond.values()
    ahead = [gain(lstm, gru) for gru in grus]
    far = sum(run.scores["generalises_to"] >= FAR * most for run in runs["LSTM"])
    numbers[f"seeds of the LSTM that solve all n up to {FAR * most}"] = far
    return Finding(
        holds=lstm["mean"] > 0.5 > max(gru["mean"] for gru in grus) and all(map(clear, ahead)),
        numbers=numbers,
        note=f"Default arguments and one budget for all, {len(SEEDS)} seeds; a string is solved when every symbol that "
        f"is determined is the likeliest, the end included. Test strings have n from {most + 1} to {FAR * most}; n up "
        f"to {TRIED:,} are tried. The verdict is about the share of test strings, which one n missed or one hit by "
        "chance does not turn: it holds if the LSTM solves more than half of them on average, each GRU less, and the "
        "LSTM's lead over each is above its standard error. `All n solved up to` ends at the first n missed, be it 1; "
        f"`largest n solved at all` passes over what is missed. Where the share of n up to {most} is below 1, not even "
        "training was learned at this budget, and the failure is not one of reach alone. Mean seconds a run: "
        + ", ".join(f"{fmean(run.record['seconds'] for run in each):.0f} ({arm})" for arm, each in runs.items())
        + ".",
        plots={
            f"What the unit that counts holds over the string with n = {FAR * most}, first seed": Plot(
                ["symbols read", "share of the largest value"],
                [float(place) for place in range(1 + FAR * most * len(letters(training(runs["LSTM"][0]))))],
                {arm: trace(each[0], FAR * most) for arm, each in runs.items()},
                "linear",
            )
        },
    )


def trace(run: Run, n: int) -> list[float]:
    """What one unit holds after every symbol but the end of the string with this n, as a share of its largest value.

    It is the unit that goes back most between the last a and the last b; where that is downwards it is turned round.
    """
    system = counter(run)
    cells = system.cells(strings([n], letters(training(run))).to(system.device).x)[0, :-1].cpu()
    best = cells[:, (cells[n].abs() - cells[2 * n].abs()).argmax()]
    return [round(float(value), 4) for value in best / best[best.abs().argmax()]]


def counter(run: Run) -> Counter:
    assert isinstance(run.system, Counter)
    return run.system


def training(run: Run) -> Symbols:
    train = run.data().train
    assert isinstance(train, Symbols)
    return train


def trained_to(run: Run) -> int:
    """The largest n of the training strings."""
    train = run.data().train.tensors()
    letters: int = run.record["dimensions"]["symbols"] - 3
    return (int(train["lengths"].max()) - 2) // letters
