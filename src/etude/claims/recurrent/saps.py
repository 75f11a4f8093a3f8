"""Claims about SAPS, on problems made in the manner of AlgoLisp."""

from typing import Any

from etude.claims.lab import Finding, Lab, claim, clear, gain, spread
from etude.engine.run import Run

SEEDS = range(3)
DATA = "algolisp-like"
BUDGET: dict[str, Any] = {
    "embedding": 64,
    "hidden": 96,
    "layers": 1,
    "rate": 5e-3,
    "clip": 1.0,
    "epochs": 16,
    "batch": 50,
}
SEQUENCE: dict[str, Any] = {"attention": "luong", "bidirectional": True, "reverse": False, "beam": 1, "longest": 100}


def trained(lab: Lab, states: str, *, attention: bool) -> list[Run]:
    """A run a seed of SAPS."""
    return [lab.run("saps", DATA, states=states, attention=attention, seed=seed, **BUDGET) for seed in SEEDS]


def exact(runs: list[Run]) -> dict[str, Any]:
    return spread(100 * run.scores["exact_match"] for run in runs)


def described(run: Run) -> str:
    counts = run.record["counts"]
    return (
        f"{counts['train']:,} generated problems to train and {counts['test']:,} to test, no tree in both; "
        f"{BUDGET['hidden']} units, {BUDGET['epochs']} passes. A program counts if it is the one asked for, written "
        "without help. The published figures are for AlgoLisp itself, eight times as many problems and larger networks."
    )


@claim(
    "a decoder of trees writes more programs without a mistake than one of sequences",
    source="Bednarek et al. 2018 (course 004): VH Att 92.36 % of AlgoLisp's test, attentional seq2seq 54.1 %",
    minutes=30,
)
def tree_beats_sequence(lab: Lab) -> Finding:
    trees = trained(lab, "both", attention=True)
    sequences = [lab.run("seq2seq", DATA, seed=seed, **BUDGET, **SEQUENCE) for seed in SEEDS]
    numbers = {
        "exact match in %, trees (VH Att)": exact(trees),
        "exact match in %, sequences (seq2seq)": exact(sequences),
    }
    better, worse = numbers.values()
    numbers["difference, seed by seed"] = difference = gain(better, worse)
    note = (
        "The sequence is the tree's s-expression, parentheses included. Both have a bidirectional encoder, attention "
        "of the same form and the same budget; both write greedily. It holds if the mean difference is above its "
        f"standard error. {described(trees[0])}"
    )
    return Finding(clear(difference), numbers, note)


@claim(
    "the vertical state alone writes no programs, since it cannot tell siblings apart",
    source="Bednarek et al. 2018 (course 004): V and V Att 0 % of AlgoLisp's test",
    minutes=15,
)
def vertical_alone_fails(lab: Lab) -> Finding:
    plain, attending = (trained(lab, "vertical", attention=attention) for attention in (False, True))
    numbers = {"exact match in %, V": exact(plain), "exact match in %, V Att": exact(attending)}
    highest = max(value for each in numbers.values() for value in each["values"])
    note = f"It holds if no run gets beyond 1 %. {described(plain[0])}"
    return Finding(highest <= 1, numbers, note)


@claim(
    "both states write more programs without a mistake than the horizontal one, and attention helps either",
    source="Bednarek et al. 2018 (course 004): H 78.92, H Att 86.20, VH 89.10, VH Att 92.36 % of AlgoLisp's test",
    minutes=30,
)
def both_states_and_attention(lab: Lab) -> Finding:
    arms = {
        f"{name}{' Att' if attention else ''}": trained(lab, states, attention=attention)
        for name, states in (("H", "horizontal"), ("VH", "both"))
        for attention in (False, True)
    }
    found = {name: exact(runs) for name, runs in arms.items()}
    differences = {
        f"{better} - {worse}": gain(found[better], found[worse])
        for better, worse in (("VH", "H"), ("VH Att", "H Att"), ("H Att", "H"), ("VH Att", "VH"))
    }
    note = (
        "It holds if each of the four mean differences is above its standard error. With one state the decoder has "
        f"fewer weights, as in the paper. {described(arms['VH Att'][0])}"
    )
    numbers = {f"exact match in %, {name}": value for name, value in found.items()} | differences
    return Finding(all(clear(each) for each in differences.values()), numbers, note)
