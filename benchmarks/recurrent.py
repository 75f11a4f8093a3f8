"""The LSTM with peepholes against torch's LSTM, which has none: batch 32, 100 steps, 64 inputs, forward and backward.

Contestants take turns, so that a noisy machine is noisy for all; a time is the least of many. In the same run: cost at
twice the steps, the matrix products alone, and the machine's matrix-product peak. Writes benchmarks/recurrent.json.

Where CUDA is there, LSTMs on the GPU too, against cuDNN's, all in full float32. Writes benchmarks/recurrent_gpu.json.
Without installing Étude, where PyTorch, Triton, Numba and jaxtyping are:

PYTHONPATH=src python benchmarks/recurrent.py [--rounds 30]
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
PROMISED_ON_GPU = 1.5
VARIANTS = ("vanilla", "CIFG", "NP", "FGR")


def training(block: nn.Module, x: Tensor, *, fused: bool = True) -> Callable[[], None]:
    """Forward and backward through a block."""
    block.to(x.device)
    upstream = torch.randn(*x.shape[:2], block.hidden_size, device=x.device)
    chosen = recurrent.arithmetic

    def run() -> None:
        recurrent.arithmetic = chosen if fused else lambda x: recurrent.Eager
        block(x)[0].backward(upstream)
        recurrent.arithmetic = chosen
        if x.is_cuda:
            torch.cuda.synchronize()

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


def blocks(units: int, x: Tensor) -> dict[str, Callable[[], None]]:
    """torch's LSTM, ours without kernels, and variants with them."""
    eager = training(PeepholeLSTM(INPUTS, units), x, fused=False)
    ours = {name: training(PeepholeLSTM(INPUTS, units, variant=name), x) for name in VARIANTS}  # type: ignore[arg-type]
    return {"torch": training(nn.LSTM(INPUTS, units), x), "eager": eager, **ours}


def ratios(took: dict[str, float]) -> dict[str, dict[str, float]]:
    return {
        "milliseconds": {name: round(value, 2) for name, value in took.items()},
        "times as long as torch's": {name: round(took[name] / took["torch"], 2) for name in ("eager", *VARIANTS)},
    }


def size_on_gpu(units: int, rounds: int) -> dict[str, Any]:
    x = torch.randn(STEPS, BATCH, INPUTS, device="cuda", requires_grad=True)
    return {**ratios(least(blocks(units, x), rounds)), "promised": PROMISED_ON_GPU}


def size(units: int, rounds: int) -> dict[str, Any]:
    x = torch.randn(STEPS, BATCH, INPUTS, requires_grad=True)
    longer = torch.randn(2 * STEPS, BATCH, INPUTS, requires_grad=True)
    contestants = {**blocks(units, x), "twice the steps": training(PeepholeLSTM(INPUTS, units), longer)}
    contestants |= {"products": products_alone(units), "peak": peak()}
    took = least(contestants, rounds)
    top = 2 * 1024**3 / took.pop("peak") / 1e6
    operations = 2 * STEPS * BATCH * 4 * units * 3 * (INPUTS + units)
    return {
        **ratios(took),
        "promised": PROMISED[units],
        "twice the steps, times as long": round(took["twice the steps"] / took["vanilla"], 2),
        "share of the products in the time": round(took["products"] / took["vanilla"], 2),
        "peak, GFLOP/s": round(top),
        "share of the peak": round(operations / took["vanilla"] / 1e6 / top, 3),
        "share of the peak, torch": round(operations / took["torch"] / 1e6 / top, 3),
        "kept for the backward pass, bytes a step": 4 * BATCH * (INPUTS + 6 * units),
    }


def file(found: dict[str, Any], name: str) -> None:
    Path(__file__).with_name(name).write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    with products(torch.device("cpu")) as route:
        rows = {str(units): size(units, rounds) for units in PROMISED}
    found = {"threads": torch.get_num_threads(), "torch": torch.__version__, "matrix products": route, "hidden": rows}
    file(found, "recurrent.json")
    if torch.cuda.is_available():
        torch.backends.cudnn.allow_tf32 = False
        rows = {str(units): size_on_gpu(units, rounds) for units in PROMISED}
        found = {"GPU": torch.cuda.get_device_name(), "torch": torch.__version__, "hidden": rows}
        file(found, "recurrent_gpu.json")


if __name__ == "__main__":
    main()
