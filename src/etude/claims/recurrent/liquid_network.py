"""Claims about liquid time-constant networks: the paper's table, a data set at a time."""

from etude.claims.lab import Finding, Lab, claim, clear, gain, spread

SEEDS = range(3)
BLOCKS = {"lstm": "LSTM", "ctrnn": "CT-RNN", "neural-ode": "Neural ODE", "ctgru": "CT-GRU", "ltc": "LTC"}
NAMES = {"accuracy": "accuracy in %", "f1": "F1", "mean_squared_error": "squared error"}
UNLIKE = "The data differ from the paper's: "
APART = f"{UNLIKE}no step is in two splits, where the paper's sequences overlap across them. "


def table(
    lab: Lab, data: str, metric: str, passes: int, best: str, published: str, about: str, **asked: tuple[float, ...]
) -> Finding:
    """A row of the table: every block on the same data, and whether the paper's best is clearly better than each other.

    Args:
        metric: of `etude.metrics.sequences`.
        passes: over the training data; validation chooses among them.
        best: the block that wins in the paper.
        published: the paper's row.
        about: what is unlike the paper.
        asked: further arguments of the system.
    """
    scale, sign = (100, 1) if metric == "accuracy" else (1, -1 if metric == "mean_squared_error" else 1)
    numbers, differences = {}, []
    for block, name in BLOCKS.items():
        runs = [lab.run("liquid-network", data, seed=s, block=block, epochs=passes, **asked) for s in SEEDS]
        numbers[f"{NAMES[metric]}, {name}"] = spread(scale * run.scores[metric] for run in runs)
    won = numbers[f"{NAMES[metric]}, {BLOCKS[best]}"]
    for block, name in BLOCKS.items():
        if block != best:
            other = numbers[f"{NAMES[metric]}, {name}"]
            differences.append(gain(won, other) if sign > 0 else gain(other, won))
            numbers[f"{BLOCKS[best]} better than {name} by"] = differences[-1]
    note = (
        f"Published: {published}. {about}{passes} passes (the authors' code has 200), 32 units, batches of 16, Adam at "
        "0.01 for the LTC and 0.001 for the others, the pass that does best on the validation split. It holds if every "
        "mean difference is above its standard error."
    )
    return Finding(all(clear(difference) for difference in differences), numbers, note)


@claim(
    "an LTC tells phases of gestures apart better than LSTM, CT-RNN, Neural ODE and CT-GRU",
    source="Hasani et al. 2021, table of time series (course 004, module 4)",
    minutes=12,
)
def gesture(lab: Lab) -> Finding:
    published = "LSTM 64.57, CT-RNN 59.01, Neural ODE 46.97, CT-GRU 68.31, LTC 69.55 %"
    return table(lab, "gesture", "accuracy", 60, "ltc", published, APART)


@claim(
    "an LTC tells whether a room is occupied better than LSTM, CT-RNN, Neural ODE and CT-GRU",
    source="Hasani et al. 2021, table of time series (course 004, module 4)",
    minutes=14,
)
def occupancy(lab: Lab) -> Finding:
    published = "LSTM 93.18, CT-RNN 94.54, Neural ODE 90.15, CT-GRU 91.44, LTC 94.63 %"
    return table(lab, "occupancy", "accuracy", 25, "ltc", published, "")


@claim(
    "an LTC predicts the traffic of a motorway with a smaller error than LSTM, CT-RNN, Neural ODE and CT-GRU",
    source="Hasani et al. 2021, table of time series (course 004, module 4)",
    minutes=14,
)
def traffic(lab: Lab) -> Finding:
    published = "LSTM 0.169, CT-RNN 0.224, Neural ODE 1.512, CT-GRU 0.389, LTC 0.099"
    return table(lab, "traffic", "mean_squared_error", 3, "ltc", published, APART)


@claim(
    "a CT-GRU predicts a household's electric power with a smaller error than LSTM, CT-RNN, Neural ODE and LTC",
    source="Hasani et al. 2021, table of time series (course 004, module 4)",
    minutes=12,
)
def power(lab: Lab) -> Finding:
    published = "LSTM 0.628, CT-RNN 0.742, Neural ODE 1.254, CT-GRU 0.586, LTC 0.642"
    about = (
        f"{UNLIKE}daily sums of four years instead of their two million minutes, so that the numbers do not compare. "
    )
    return table(lab, "power", "mean_squared_error", 120, "ctgru", published, about)


@claim(
    "an LTC finds days of much ozone with a higher F1 than LSTM, CT-RNN, Neural ODE and CT-GRU",
    source="Hasani et al. 2021, table of time series (course 004, module 4)",
    minutes=12,
)
def ozone(lab: Lab) -> Finding:
    published = "LSTM 0.284, CT-RNN 0.236, Neural ODE 0.168, CT-GRU 0.260, LTC 0.302"
    about = f"{APART}Classes weigh 0.1 and 1.6 in the loss, as in the authors' code. "
    return table(lab, "ozone", "f1", 80, "ltc", published, about, class_weights=(0.1, 1.6))


@claim(
    "an LTC tells what a person does better than LSTM, CT-RNN, Neural ODE and CT-GRU",
    source="Hasani et al. 2021, experiments on person activity",
    minutes=12,
)
def person_activity(lab: Lab) -> Finding:
    published = (
        "in a table of its own that is not at hand (the course's row on activity recognition, LTC 95.67 %, Neural ODE "
        "97.26 %, is of other data)"
    )
    about = f"{UNLIKE}a tenth of the recordings, of one of five persons; time stamps are honoured where a block can. "
    return table(lab, "person-activity", "accuracy", 35, "ltc", published, about)


@claim(
    "an LTC predicts the next observation of a simulated runner better than LSTM, CT-RNN, Neural ODE and CT-GRU",
    source="Hasani et al. 2021, table of HalfCheetah (course 004, module 4)",
    minutes=14,
)
def half_cheetah(lab: Lab) -> Finding:
    published = "LSTM 2.500, CT-RNN 2.838, Neural ODE 3.805, CT-GRU 3.014, LTC 2.308"
    return table(lab, "half-cheetah", "mean_squared_error", 22, "ltc", published, "")
