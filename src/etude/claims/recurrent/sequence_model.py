"""Claims about next-step prediction: the search space of the LSTM on Bach's chorales."""

from typing import Any

from etude.claims.lab import Finding, Lab, claim, gain, spread

SEEDS = range(3)
VARIANTS = ("vanilla", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR")
PASSES = 60
LEVEL = 0.05


def significant(difference: dict[str, Any]) -> bool:
    """Is the mean of paired differences above zero, by a two-sided t-test at the paper's level?"""
    from scipy.stats import ttest_1samp

    values = difference["values"]
    return len(values) > 1 and difference["mean"] > 0 and bool(ttest_1samp(values, 0).pvalue < LEVEL)


@claim(
    "no variant of the LSTM predicts Bach's chorales significantly better than the vanilla one, and leaving out the "
    "forget gate or the output activation makes it worse",
    source="Greff et al. 2017, results on JSB Chorales; the best vanilla network has 8.38 nats a step",
    minutes=15,
)
def search_space(lab: Lab) -> Finding:
    nats = {}
    for variant in VARIANTS:
        runs = [lab.run("sequence-model", "jsb-chorales", seed=s, variant=variant, epochs=PASSES) for s in SEEDS]
        nats[variant] = spread(run.scores["negative_log_likelihood"] for run in runs)
    worse = {variant: gain(nats[variant], nats["vanilla"]) for variant in VARIANTS[1:]}
    better = {variant: gain(nats["vanilla"], nats[variant]) for variant in VARIANTS[1:]}
    numbers = {f"nats a step, {variant}": value for variant, value in nats.items()}
    numbers |= {f"{variant} worse than vanilla by": value for variant, value in worse.items()}
    ahead = [variant for variant, difference in better.items() if significant(difference)]
    behind = [variant for variant, difference in worse.items() if significant(difference)]
    note = (
        f"Significantly better than vanilla: {', '.join(ahead) or 'none'}; significantly worse: "
        f"{', '.join(behind) or 'none'} (paired t-test over {len(SEEDS)} seeds, two-sided, {LEVEL:.0%}, not corrected "
        f"for eight comparisons). 100 units, one learning rate for all, at most {PASSES} passes, of which validation "
        "chooses one; the paper draws 200 settings for each variant and compares the best tenth. The first step of a "
        "piece is predicted from nothing and counts. It holds if no variant is significantly better and both NFG and "
        "NOAF are significantly worse."
    )
    return Finding(not ahead and {"NFG", "NOAF"} <= set(behind), numbers, note)
