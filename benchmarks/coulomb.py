"""Potentials of a Coulomb GAN: in parts, as Étude computes them, and with all kernels at once, in one run.

n real and n false examples of 3,072 numbers (a colour picture of 32x32), and the potential at all 2n. Each measurement
has a process of its own, so that it has its own peak of memory; contestants take turns, so that a noisy machine is
noisy for all; seconds are the smallest of several, megabytes those beyond what the process held before, in another
process, which gives large tensors back to the system at once (MALLOC_MMAP_THRESHOLD_) and so holds what is in use and
not what has been. Plain memory grows with the square of n, that of the parts in proportion to n. Writes
benchmarks/coulomb.json.

python benchmarks/coulomb.py [--rounds 3] [--sizes 1024 2048 4096]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from etude.functional.adversarial import plummer, potential

FEATURES = 3072
CONTESTANTS = ("plain", "etude")


def plain(points: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """The sums as they are printed."""
    return plummer(points, real).mean(1) - plummer(points, fake).mean(1)


def megabytes() -> float:
    """The largest memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def alone(contestant: str, size: int, rounds: int) -> None:
    """Be a contestant, and print the figures."""
    torch.manual_seed(0)
    work = plain if contestant == "plain" else potential
    real, fake = torch.rand(size, FEATURES), torch.rand(size, FEATURES)
    points = torch.cat([real, fake])
    work(points[:10], real[:10], fake[:10])
    before, took = megabytes(), []
    for _ in range(rounds):
        began = time.perf_counter()
        phi = work(points, real, fake)
        took.append(time.perf_counter() - began)
    print(json.dumps({"seconds": min(took), "megabytes": megabytes() - before, "sum": float(phi.abs().sum())}))


def measured(contestant: str, size: int, rounds: int) -> dict[str, float]:
    words = [sys.executable, __file__, "--alone", contestant, "--sizes", str(size), "--rounds", str(rounds)]
    timed, weighed = (
        json.loads(subprocess.run(words, check=True, capture_output=True, text=True, env=os.environ | more).stdout)
        for more in ({}, {"MALLOC_MMAP_THRESHOLD_": str(2**20)})
    )
    return {**timed, "megabytes": weighed["megabytes"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--alone", choices=CONTESTANTS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        alone(asked.alone, asked.sizes[0], asked.rounds)
        return
    rows = {}
    for size in asked.sizes:
        found = {name: measured(name, size, asked.rounds) for name in CONTESTANTS}
        rows[size] = row(**found)
        print(size, rows[size])
    report = {"threads": torch.get_num_threads(), "torch": torch.__version__, "features": FEATURES, "sizes": rows}
    Path(__file__).with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")


def row(plain: dict[str, float], etude: dict[str, float]) -> dict[str, Any]:
    return {
        "seconds, plain": round(plain["seconds"], 4),
        "seconds, etude": round(etude["seconds"], 4),
        "times as fast": round(plain["seconds"] / etude["seconds"], 2),
        "megabytes, plain": round(plain["megabytes"], 1),
        "megabytes, etude": round(etude["megabytes"], 1),
        "difference of the sums": abs(plain["sum"] - etude["sum"]) / plain["sum"],
    }


if __name__ == "__main__":
    main()
