"""Claims about distances between distributions: which of them say how far apart two are, and what few examples do."""

import math
from typing import Any

import torch
from torch import Tensor

from etude.claims.lab import Finding, Lab, Plot, claim, clear, gain, spread
from etude.data import source
from etude.data.kinds import Images, walk
from etude.engine.extractors import of_run
from etude.functional.distances import earth_mover, on_one_support, total_variation
from etude.functional.divergences import js_divergence, kl_divergence
from etude.metrics.features import fid, fid_at_infinity

SEEDS = range(3)
POINTS = 30
THETAS = tuple(10 ** (place / 4) for place in range(-8, 1))
SIZES = (500, 1000, 2000)
DRAWS = 50
NOISE = 0.05


def of_lines(theta: float, z: Tensor) -> dict[str, float]:
    """Every distance of (0, Z) from (theta, Z), Z being each of some heights (n,) equally often."""
    x, y = torch.stack([0 * z, z], 1), torch.stack([0 * z + theta, z], 1)
    each = torch.full_like(z, 1 / len(z))
    p, q = on_one_support(x, each, y, each)
    return {
        "earth mover's": float(earth_mover(each, each, torch.cdist(x, y))),
        "Jensen-Shannon": float(js_divergence(p, q)),
        "total variation": float(total_variation(p, q)),
        "Kullback-Leibler": float(kl_divergence(p, q)),
    }


@claim(
    "only the earth mover's distance between two parallel lines tells how far apart they are",
    source="Arjovsky et al. 2017, example 1 and figure 1; course 004, module 2",
    minutes=1,
)
def parallel_lines(lab: Lab) -> Finding:
    apart: dict[float, dict[str, float]] = {}
    errors: dict[str, list[float]] = {name: [] for name in ("earth mover's", "Jensen-Shannon", "total variation")}
    infinite, together = [], []
    for seed in SEEDS:
        z = torch.rand(POINTS, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        together += [abs(value) for value in of_lines(0.0, z).values()]
        apart = {theta: of_lines(theta, z) for theta in THETAS}
        for theta, found in apart.items():
            expected = {"earth mover's": theta, "Jensen-Shannon": math.log(2), "total variation": 1.0}
            infinite.append(found["Kullback-Leibler"] == math.inf)
            for name, value in expected.items():
                errors[name].append(abs(found[name] - value))
    numbers: dict[str, Any] = {
        "largest |earth mover's - theta|": max(errors["earth mover's"]),
        "largest |Jensen-Shannon - log 2|": max(errors["Jensen-Shannon"]),
        "largest |total variation - 1|": max(errors["total variation"]),
        "share of theta > 0 where Kullback-Leibler is infinite": sum(infinite) / len(infinite),
        "largest of the four at theta = 0": max(together),
    }
    note = (
        f"Lines of {POINTS} points, the same heights drawn from [0, 1] on both, {len(SEEDS)} draws; theta from "
        f"{THETAS[0]:g} to {THETAS[-1]:g}; the earth mover's distance by linear programming. It holds if for all "
        "theta > 0 it is theta, total variation 1, Jensen-Shannon log 2, each within a millionth, and Kullback-Leibler "
        "infinite, so that it cannot be drawn; and if all four are 0 at theta = 0."
    )
    holds = all(infinite) and max(together + [error for each in errors.values() for error in each]) < 1e-6
    curves = {name: [found[name] for found in apart.values()] for name in errors}
    plot = Plot(["theta", "distance"], list(THETAS), curves)
    return Finding(holds, numbers, note, {"Distances between two parallel lines that are theta apart": plot})


@claim(
    "FID of few examples is too large, and its extrapolation to infinitely many is closer to the FID of all",
    source="Chong and Forsyth 2020, sections 3 and 4",
    minutes=25,
)
def fid_of_few_examples(lab: Lab) -> Finding:
    train = source.load("mnist", data_dir=lab.data_dir).train
    assert isinstance(train, Images)
    half = len(train) // 2
    hows = ("raw", "extrapolated")
    found: dict[str, dict[int, list[float]]] = {how: {n: [] for n in SIZES} for how in hows}
    scatter: dict[str, dict[int, list[float]]] = {how: {n: [] for n in SIZES} for how in hows}
    truths = []
    for seed in SEEDS:
        extract = of_run(lab.run("lenet", "mnist", seed=seed))
        torch.manual_seed(seed)
        with torch.no_grad():
            real = torch.cat([extract(batch.x)[0] for batch in walk(train[:half])])
            noisy = ((batch.x + NOISE * torch.randn_like(batch.x)).clamp(0, 1) for batch in walk(train[half:]))
            others = torch.cat([extract(x)[0] for x in noisy])
        truths.append(fid(real, others))
        for n in SIZES:
            draws = [others.index_select(0, torch.randint(len(others), (n,))) for _ in range(DRAWS)]
            for how, score in (("raw", fid), ("extrapolated", fid_at_infinity)):
                error = spread(score(real, drawn) - truths[-1] for drawn in draws)
                found[how][n].append(error["mean"])
                scatter[how][n].append(error["deviation"])
    numbers: dict[str, Any] = {"FID of all": spread(truths)}
    numbers |= {f"{how}, {n} examples: minus FID of all": spread(e) for how, es in found.items() for n, e in es.items()}
    numbers |= {f"{how}, {n}: scatter of draws": spread(e) for how, es in scatter.items() for n, e in es.items()}
    away = {how: {n: spread(map(abs, errors)) for n, errors in sizes.items()} for how, sizes in found.items()}
    closer = [clear(gain(away["raw"][n], away["extrapolated"][n])) for n in SIZES]
    large = [clear(spread(found["raw"][n])) for n in SIZES]
    plot = Plot(
        ["examples", "distance of the mean estimate from the FID of all"],
        [float(n) for n in SIZES],
        {how: [each["mean"] for each in sizes.values()] for how, sizes in away.items()},
    )
    note = (
        f"FID between half of MNIST's training pictures and the other half with noise of deviation {NOISE:g}, in the "
        f"84 units of LeNet-5, one for each of {len(SEEDS)} seeds. The noisy half is what there is to draw from, with "
        f"replacement, and its FID is the truth; mean over {DRAWS} draws, since a single one scatters by "
        "as much as the bias. Noise and draws were chosen by a trial on one LeNet: with noise 0.2 and 10 draws the "
        "scatter hid the bias. "
        "It holds if at every size the raw value is above the truth, and further away than the extrapolated one, each "
        "by a mean difference above its standard error."
    )
    return Finding(all(closer + large), numbers, note, {"How far off FID is": plot})
