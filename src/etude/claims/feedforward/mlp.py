"""Claims about the multilayer perceptron."""

from etude.claims.lab import Finding, Lab, claim, spread

SEEDS = range(10)


@claim(
    "XOR is learned by two layers and not by one",
    source="Rumelhart, Hinton and Williams 1986; Minsky and Papert 1969",
    minutes=1,
)
def xor_needs_two_layers(lab: Lab) -> Finding:
    right = {hidden: [points_right(lab, hidden, seed) for seed in SEEDS] for hidden in ((), (2,), (100,))}
    solved = {hidden: sum(points == 4 for points in each) / len(each) for hidden, each in right.items()}
    return Finding(
        holds=solved[100,] == 1 and solved[()] == 0,
        numbers={
            "points right of 4, one layer": spread(right[()]),
            "points right of 4, 2 hidden units": spread(right[2,]),
            "points right of 4, 100 hidden units": spread(right[100,]),
            "seeds that solve it, one layer": solved[()],
            "seeds that solve it, 2 hidden units": solved[2,],
            "seeds that solve it, 100 hidden units": solved[100,],
        },
        note=f"{len(SEEDS)} seeds, sigmoid units, 1,000 epochs; the verdict is on the default 100 hidden units in "
        "every seed. Two hidden units are enough to represent XOR, but some starts end in a local minimum. No "
        "line gets more than 3 points right, and the cross-entropy of one layer is lowest where every "
        "probability is 1/2.",
    )


def points_right(lab: Lab, hidden: tuple[int, ...], seed: int) -> int:
    """Of the four points of XOR."""
    return round(4 * lab.run("mlp", "xor", hidden=hidden, epochs=1000, seed=seed).scores["accuracy"])
