"""Training a VAE (784-500-250-20, batch 100) on MNIST: Étude, a plain PyTorch loop and pythae's trainer, in one run.

Contestants take turns, so that a noisy machine is noisy for all; the time of a step is the median over passes of 500
steps, without validation, checkpoints or reports. Beside each stands the share of this machine's matrix-product peak,
measured in the same run. Needs MNIST under $ETUDE_DATA; writes benchmarks/vae.json.

python benchmarks/vae.py [--rounds 3]
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from machine import peak
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from etude.data import source
from etude.engine.products import products
from etude.engine.train import train

Precision = Literal["float32", "bf16"]
LATENT, BATCH, RATE, PASSES = 20, 100, 5e-4, 3
PROMISED = {"etude float32": 2.2, "etude bf16": 2.6}  # times as fast as either rival
PRODUCTS = 784 * 500 + 500 * 250 + 250 * 2 * LATENT + LATENT * 250 + 250 * 500 + 500 * 784
OPERATIONS = 2 * BATCH * (3 * PRODUCTS - 784 * 500)  # forward, weights' gradients, inputs' but for the first layer's


def trunk() -> nn.Sequential:
    return nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 250), nn.ReLU())


def mirror() -> nn.Sequential:
    return nn.Sequential(nn.Linear(LATENT, 250), nn.ReLU(), nn.Linear(250, 500), nn.ReLU(), nn.Linear(500, 784))


def plain(x: Tensor) -> Iterator[float]:
    """The loop that a tutorial has; yields the seconds of each pass."""
    encoder, decoder = nn.Sequential(trunk(), nn.Linear(250, 2 * LATENT)), mirror()
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=RATE)
    loader = DataLoader(TensorDataset(x), batch_size=BATCH, shuffle=True)
    while True:
        began, total = time.perf_counter(), 0.0
        for (batch,) in loader:
            mean, logvar = encoder(batch).chunk(2, dim=1)
            z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
            reconstruction = F.binary_cross_entropy_with_logits(decoder(z), batch, reduction="sum")
            divergence = -0.5 * torch.sum(1 + logvar - mean**2 - logvar.exp())
            loss = (reconstruction + divergence) / len(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        yield time.perf_counter() - began


class Encoder(BaseEncoder):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.mean, self.logvar = trunk(), nn.Linear(250, LATENT), nn.Linear(250, LATENT)

    def forward(self, x: Tensor) -> Any:
        hidden = self.trunk(x.reshape(len(x), -1))
        return ModelOutput(embedding=self.mean(hidden), log_covariance=self.logvar(hidden))


class Decoder(BaseDecoder):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.layers = mirror()

    def forward(self, z: Tensor) -> Any:
        return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)).reshape(len(z), 784))


def pythae(x: Tensor) -> Iterator[float]:
    """pythae's own trainer on the same network; yields the seconds of each pass."""
    model = VAE(VAEConfig(input_dim=(784,), latent_dim=LATENT, reconstruction_loss="bce"), Encoder(), Decoder())
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder, per_device_train_batch_size=BATCH, learning_rate=RATE, num_epochs=100, no_cuda=True
        )
        trainer = BaseTrainer(model, BaseDataset(x, torch.zeros(len(x))), training_config=config)
        trainer.prepare_training()
        for epoch in range(1, 100):
            began = time.perf_counter()
            trainer.train_step(epoch)
            yield time.perf_counter() - began


def etude(precision: Precision, seed: int, epochs: int) -> tuple[list[float], float]:
    """Étude's engine: the seconds of each pass, and the bound on the test split."""
    with tempfile.TemporaryDirectory() as folder:
        run = train("vae", "mnist", epochs=epochs, precision=precision, seed=seed, runs=folder, quiet=True)
        return [line["seconds"] for line in run.log], run.scores["elbo"]


def limit(precision: Precision) -> dict[str, float]:
    """Milliseconds that a step's matrix products need by themselves, and the optimizer by itself."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    sizes = [(784, 500), (500, 250), (250, 2 * LATENT), (LATENT, 250), (250, 500), (500, 784)]
    layers = [(torch.randn(BATCH, i, dtype=dtype), torch.randn(o, i, dtype=dtype)) for i, o in sizes]
    errors = [torch.randn(BATCH, o, dtype=dtype) for _, o in sizes]
    weights = [torch.randn(o, i, requires_grad=True) for i, o in sizes]
    optimizer = torch.optim.Adam(weights, fused=True)
    for weight in weights:
        weight.grad = torch.randn_like(weight)

    def multiply() -> None:
        for (x, weight), error in zip(layers, errors, strict=True):
            x @ weight.T, error.T @ x
        for (_, weight), error in zip(layers[1:], errors[1:], strict=True):
            error @ weight

    with products(torch.device("cpu")):
        return {"products alone, ms": median_ms(multiply), "fused Adam alone, ms": median_ms(optimizer.step)}


def median_ms(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(200):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return round(1e3 * statistics.median(times), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    x = source.load("mnist").train.to("cpu").tensors()["x"].flatten(1)
    steps = len(x) // BATCH
    loops: dict[str, Iterator[float]] = {"plain loop": plain(x), "pythae": pythae(x)}
    for loop in loops.values():
        next(loop)
    took: dict[str, list[float]] = {name: [] for name in ("plain loop", "pythae", "etude float32", "etude bf16")}
    bounds: dict[Precision, list[float]] = {"float32": [], "bf16": []}
    peaks: dict[Precision, list[float]] = {"float32": [], "bf16": []}
    for seed in range(rounds):
        for name, loop in loops.items():
            took[name] += [next(loop) for _ in range(PASSES)]
        for precision in bounds:
            seconds, bound = etude(precision, seed, PASSES + 1)
            took[f"etude {precision}"] += seconds[1:]
            bounds[precision].append(bound)
            peaks[precision].append(peak(precision))
    report(took, bounds, peaks, steps)


def report(
    took: dict[str, list[float]], bounds: dict[Precision, list[float]], peaks: dict[Precision, list[float]], steps: int
) -> None:
    step = {name: statistics.median(seconds) / steps for name, seconds in took.items()}
    top = {precision: max(values) for precision, values in peaks.items()}
    found: dict[str, Any] = {"threads": torch.get_num_threads(), "torch": torch.__version__, "rows": {}}
    for name, seconds in step.items():
        found["rows"][name] = {
            "milliseconds a step": round(1e3 * seconds, 3),
            "times as fast as the plain loop": round(step["plain loop"] / seconds, 2),
            "times as fast as pythae": round(step["pythae"] / seconds, 2),
            "share of the peak": round(OPERATIONS / seconds / top["bf16" if "bf16" in name else "float32"], 3),
        }
    for precision, values in bounds.items():
        found["rows"][f"etude {precision}"] |= {
            "promised": PROMISED[f"etude {precision}"],
            "test bound, nats": {
                "mean": statistics.fmean(values),
                "deviation": statistics.stdev(values),
                "values": values,
            },
            **limit(precision),
        }
    found["peak, GFLOP/s"] = {precision: round(value / 1e9) for precision, value in top.items()}
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
