"""Training a DCGAN on colour pictures of 32x32 (64 maps, batch 128): Étude and a plain PyTorch loop, in one run.

Contestants take turns, so that a noisy machine is noisy for all; pictures a second are the median over passes of 20
steps, without checkpoints or reports. The plain loop is what a tutorial has, with the same networks, losses and
optimizers. Beside each stands the share of this machine's matrix-product peak, measured in the same run; the operations
of a step are counted by torch as the step runs. Needs CIFAR-10 under $ETUDE_DATA; writes benchmarks/dcgan.json.

python benchmarks/dcgan.py [--rounds 3]
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from machine import peak
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from etude.data import source
from etude.data.kinds import Images, Splits
from etude.engine.train import train
from etude.systems.gans.dcgan import DCGAN
from etude.systems.system import Clock

Precision = Literal["float32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bf16")
MAPS, LATENT, BATCH, STEPS, RATE = 64, 100, 128, 20, 2e-4
PASSES = 3  # of each contestant in a round


def plain_generator() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(LATENT, 4 * MAPS * 16, bias=False), nn.BatchNorm1d(4 * MAPS * 16), nn.ReLU()]
    layers.append(nn.Unflatten(1, (4 * MAPS, 4, 4)))
    for maps in (2 * MAPS, MAPS):
        layers += [nn.ConvTranspose2d(2 * maps, maps, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(maps), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(MAPS, 3, 5, 2, 2, 1), nn.Tanh())


def plain_discriminator() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, MAPS, 5, 2, 2), nn.LeakyReLU(0.2)]
    for maps in (MAPS, 2 * MAPS):
        layers += [nn.Conv2d(maps, 2 * maps, 5, 2, 2, bias=False), nn.BatchNorm2d(2 * maps), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * MAPS * 16, 1))


def plain(x: Tensor) -> Iterator[float]:
    """The loop that a tutorial has, from pictures in [0, 1]; yields the seconds of each pass."""
    generator, discriminator = plain_generator(), plain_discriminator()
    of_generator, of_discriminator = (
        torch.optim.Adam(player.parameters(), lr=RATE, betas=(0.5, 0.999), weight_decay=1e-5)
        for player in (generator, discriminator)
    )
    loader = DataLoader(TensorDataset(x), batch_size=BATCH, shuffle=True)
    while True:
        began, total = time.perf_counter(), 0.0
        for (batch,) in loader:
            true, false = torch.ones(len(batch), 1), torch.zeros(len(batch), 1)
            with torch.no_grad():
                fake = generator(2 * torch.rand(len(batch), LATENT) - 1)
            real_loss = F.binary_cross_entropy_with_logits(discriminator(2 * batch - 1), true)
            loss = real_loss + F.binary_cross_entropy_with_logits(discriminator(fake), false)
            of_discriminator.zero_grad()
            loss.backward()
            of_discriminator.step()
            total += loss.item()
            fake = generator(2 * torch.rand(len(batch), LATENT) - 1)
            loss = F.binary_cross_entropy_with_logits(discriminator(fake), true)
            of_generator.zero_grad()
            loss.backward()
            of_generator.step()
            total += loss.item()
        yield time.perf_counter() - began


def etude(splits: Splits, precision: Precision, seed: int) -> list[float]:
    """Étude's engine: the seconds of each pass but the first."""
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            "dcgan",
            splits,
            maps=MAPS,
            latent=LATENT,
            batch=BATCH,
            rate=RATE,
            epochs=PASSES + 1,
            precision=precision,
            seed=seed,
            runs=folder,
            quiet=True,
        )
        return [line["seconds"] for line in run.log][1:]


def operations(batch: Images) -> int:
    """Of a step, as torch counts them."""
    gan = DCGAN(3, 32, 32, maps=MAPS, latent=LATENT)
    with FlopCounterMode(display=False) as counter:
        gan.step(batch, Clock())
    return int(counter.get_total_flops())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    whole = source.load("cifar10")
    assert isinstance(whole.train, Images)
    splits = Splits(whole.train[: STEPS * BATCH], whole.validation[:BATCH], whole.test[:BATCH], "cifar10-part")
    loop = plain(splits.train.to("cpu").tensors()["x"])
    next(loop)
    took: dict[str, list[float]] = {name: [] for name in ("plain loop", *(f"etude {each}" for each in PRECISIONS))}
    peaks: dict[Precision, list[float]] = {precision: [] for precision in PRECISIONS}
    for seed in range(rounds):
        took["plain loop"] += [next(loop) for _ in range(PASSES)]
        for precision in PRECISIONS:
            took[f"etude {precision}"] += etude(splits, precision, seed)
            peaks[precision].append(peak(precision))
    report(
        took, {precision: max(values) for precision, values in peaks.items()}, operations(whole.train[:BATCH].to("cpu"))
    )


def report(took: dict[str, list[float]], peaks: dict[Precision, float], operations: int) -> None:
    step = {name: statistics.median(seconds) / STEPS for name, seconds in took.items()}
    found: dict[str, Any] = {"threads": torch.get_num_threads(), "torch": torch.__version__, "rows": {}}
    for name, seconds in step.items():
        found["rows"][name] = {
            "pictures a second": round(BATCH / seconds),
            "times as fast as the plain loop": round(step["plain loop"] / seconds, 2),
            "share of the peak": round(operations / seconds / peaks["bf16" if "bf16" in name else "float32"], 3),
        }
    found["operations a step"] = operations
    found["peak, GFLOP/s"] = {precision: round(value / 1e9) for precision, value in peaks.items()}
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
