"""What this machine can do, beside which the benchmarks put what they measure."""

import time

import torch

from etude.engine.products import products


def peak(precision: str) -> float:
    """Operations a second of a large matrix product on the route that Étude takes, in float32 or bf16; best of many."""
    a = torch.randn(2048, 2048, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    times = []
    with products(a.device):
        for _ in range(20):
            began = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - began)
    return float(2 * 2048**3 / min(times))
