"""Liquid time-constant networks: Étude's LTC, with and without Numba, and ncps's, forward and backward, in one run.

The sizes are batch 32, 50 steps, 8 inputs, 32 units, 6 unfoldings; the loss is the sum of the squared outputs. Étude's
also runs at 100 steps, which should take twice as long. Contestants take turns, so that a noisy machine is noisy for
all; the time of a pass is the median. ncps computes in its own parametrisation of the same synapses: as many of them,
at as many unfoldings. Writes benchmarks/ltc.json.

python benchmarks/ltc.py [--rounds 30]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import ncps.torch
import torch
from torch import Tensor, nn

from etude.nn import LTC, synapses

BATCH, STEPS, INPUTS, UNITS, UNFOLDS = 32, 50, 8, 32, 6
EVALUATIONS = BATCH * STEPS * (UNFOLDS * UNITS * UNITS + INPUTS * UNITS)  # synapses, once forward
PROMISED = 8  # times as fast as ncps
LONGER = "etude, twice the steps"


def passes() -> dict[str, Callable[[], None]]:
    """A forward and a backward pass of every contestant."""
    torch.manual_seed(0)
    x, longer = torch.randn(BATCH, STEPS, INPUTS), torch.randn(BATCH, 2 * STEPS, INPUTS)
    ours = LTC(INPUTS, UNITS, unfolds=UNFOLDS, batch_first=True)
    theirs = ncps.torch.LTC(INPUTS, UNITS, ode_unfolds=UNFOLDS, batch_first=True)

    def eager() -> None:
        with mock.patch.object(synapses, "can_fuse", return_value=False):
            learn(ours, x)

    return {
        "ncps": lambda: learn(theirs, x),
        "etude without Numba": eager,
        "etude": lambda: learn(ours, x),
        LONGER: lambda: learn(ours, longer),
    }


def learn(block: nn.Module, x: Tensor) -> None:
    block.zero_grad()
    block(x)[0].square().sum().backward()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    contestants = passes()
    took: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 2):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            if turn >= 2:
                took[name].append(time.perf_counter() - began)
    seconds = {name: statistics.median(values) for name, values in took.items()}
    found: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "rounds": rounds,
        "rows": {},
    }
    longer = seconds.pop(LONGER)
    for name, value in seconds.items():
        found["rows"][name] = {
            "milliseconds": round(1e3 * value, 2),
            "fastest": round(1e3 * min(took[name]), 2),
            "nanoseconds a synapse": round(1e9 * value / EVALUATIONS, 2),
            "times as fast as ncps": round(seconds["ncps"] / value, 2),
        }
    found["rows"]["etude"]["promised"] = PROMISED
    found["rows"]["etude"]["twice the steps, times as long"] = round(longer / seconds["etude"], 2)
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
