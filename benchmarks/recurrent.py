"""The LSTM with peepholes against torch's LSTM, which has none: batch 32, 100 steps, 64 inputs, forward and backward.

Contestants take turns, so that a noisy machine is noisy for all; a time is the least of many. In the same run: cost at
twice the steps, the matrix products alone, and the machine's matrix-product peak. Writes benchmarks/recurrent.json.

python benchmarks/recurrent.py [--rounds 30]
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from etude.engine.products import products
from etude.nn import recurrent
from etude.nn.recurrent import PeepholeLSTM

BATCH, STEPS, INPUTS = 32, 100, 64
PROMISED = {64: 1.5, 128: 1.5, 512: 1.1}  # times as long as torch's
VARIANTS = ("vanilla", "CIFG", "NP", "FGR")


def training(block: nn.Module, x: Tensor, *, fused: bool = True) -> Callable[[], None]:
    """Forward and backward through a block."""
    upstream = torch.randn(*x.shape[:2], block.hidden_size)
    chosen = recurrent.arithmetic

    def run() -> None:
        recurrent.arithmetic = chosen if fused else lambda x: recurrent.Eager
        block(x)[0].backward(upstream)
        recurrent.arithmetic = chosen

    return run


def products_alone(units: int) -> Callable[[], None]:
    """The matrix products of `PeepholeLSTM` and nothing else."""
    W, R = torch.randn(4 * units, INPUTS), torch.randn(4 * units, units)
    x, y = torch.randn(STEPS * BATCH, INPUTS), torch.randn(STEPS, BATCH, units)
    bars, turned, out = torch.randn(STEPS, BATCH, 4 * units), R.T.contiguous(), torch.empty(BATCH, units)

    def run() -> None:
        sums = (x @ W.T).view_as(bars)
        for t in range(STEPS):
            sums[t].addmm_(y[t], turned)
        for t in range(STEPS):
            torch.mm(bars[t], R, out=out)
        flat = bars.flatten(0, 1)
        flat.T @ x, flat.T @ y.flatten(0, 1), flat @ W

    return run


def peak() -> Callable[[], None]:
    a = torch.randn(1024, 1024)

    def run() -> None:
        a @ a

    return run


def least(contestants: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Milliseconds of each, in turns."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            times[name].append(1e3 * (time.perf_counter() - began))
    return {name: min(each[1:]) for name, each in times.items()}


def size(units: int, rounds: int) -> dict[str, Any]:
    x = torch.randn(STEPS, BATCH, INPUTS, requires_grad=True)
    longer = torch.randn(2 * STEPS, BATCH, INPUTS, requires_grad=True)
    vanilla = PeepholeLSTM(INPUTS, units)
    contestants = {"torch": training(nn.LSTM(INPUTS, units), x), "eager": training(vanilla, x, fused=False)}
    contestants |= {name: training(PeepholeLSTM(INPUTS, units, variant=name), x) for name in VARIANTS}  # type: ignore[arg-type]
    contestants |= {"twice the steps": training(vanilla, longer), "products": products_alone(units), "peak": peak()}
    took = least(contestants, rounds)
    top = 2 * 1024**3 / took.pop("peak") / 1e6
    operations = 2 * STEPS * BATCH * 4 * units * 3 * (INPUTS + units)
    return {
        "milliseconds": {name: round(value, 2) for name, value in took.items()},
        "times as long as torch's": {name: round(took[name] / took["torch"], 2) for name in ("eager", *VARIANTS)},
        "promised": PROMISED[units],
        "twice the steps, times as long": round(took["twice the steps"] / took["vanilla"], 2),
        "share of the products in the time": round(took["products"] / took["vanilla"], 2),
        "peak, GFLOP/s": round(top),
        "share of the peak": round(operations / took["vanilla"] / 1e6 / top, 3),
        "share of the peak, torch": round(operations / took["torch"] / 1e6 / top, 3),
        "kept for the backward pass, bytes a step": 4 * BATCH * (INPUTS + 6 * units),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    with products(torch.device("cpu")) as route:
        rows = {str(units): size(units, rounds) for units in PROMISED}
    found = {"threads": torch.get_num_threads(), "torch": torch.__version__, "matrix products": route, "hidden": rows}
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
