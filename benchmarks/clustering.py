"""DEC (784-500-500-2000-10, batch 256) on 10,000 of MNIST's digits: Étude and ClustPy 0.0.3, in one run.

Contestants take turns, each in a process of its own, so that a noisy machine is noisy for all and each has its own peak
of memory. Both pretrain every weight for the same number of passes, then cluster for the same number of passes; ClustPy
pretrains all layers at once, Étude one layer after another in the first half of the passes, as the paper does, but at
ten times the paper's rate, as there are a hundred times fewer steps. ClustPy runs as it comes: Adam, targets of a
minibatch. Étude's seconds leave out its scores after each pass: ClustPy has none.

Beside them stands the arithmetic of the paper's full protocol: operations of a step, counted by torch as the step runs;
the time that this machine's matrix-product peak, measured in the same run, would need for them; and the steps measured.
Needs MNIST under $ETUDE_DATA and a quiet machine; writes benchmarks/clustering.json.

python benchmarks/clustering.py [--rounds 2] [--pretraining 30] [--clustering 20]
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import torch
from machine import peak
from torch.utils.flop_counter import FlopCounterMode

import etude.engine.train as engine
from etude.data import source
from etude.data.kinds import Images, Splits, Vectors
from etude.metrics.clustering import clustering_accuracy, matched_accuracy
from etude.systems.autoencoders.stacked_autoencoder import StackedAutoencoder
from etude.systems.clustering.dec import DEC
from etude.systems.system import Clock

Precision = Literal["float32", "bf16"]
Figures = dict[str, Any]
PRECISIONS: tuple[Precision, ...] = ("float32", "bf16")
CONTESTANTS = ("ClustPy", *(f"Étude {precision}" for precision in PRECISIONS))
DIGITS, BATCH, RATE = 10_000, 256, 1.0
PROMISED = {"Étude float32": 1.8, "Étude bf16": 2.5}  # times as fast as ClustPy
FULL = {"layer": 50_000, "all layers": 100_000}  # steps of each phase (Xie et al. 2016, section 4.3), on all digits
FULL_DIGITS = 70_000


def digits() -> Vectors:
    """10,000 images that MNIST has to train on, as rows of pixels."""
    images = source.load("mnist").train
    assert isinstance(images, Images)
    return images[:DIGITS].as_vectors()


class Timed:
    """Stands in for ClustPy's progress bar, and notes the seconds of each pass."""

    passes: dict[str, list[float]] = {}

    def __init__(self, count: int, desc: str) -> None:
        self.count, self.seconds = count, self.passes.setdefault(desc, [])

    def __iter__(self) -> Iterator[int]:
        for number in range(self.count):
            began = time.perf_counter()
            yield number
            self.seconds.append(time.perf_counter() - began)

    def set_postfix(self, losses: Figures) -> None:
        pass


def clustpy(seed: int, pretraining: int, clustering: int) -> Figures:
    """ClustPy's DEC with its own settings."""
    try:
        import_module("torchvision")
    except RuntimeError:  # the wheel is built for CUDA: beside a torch without, its operators are missing, and not used
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")
    dec, data = import_module("clustpy.deep").DEC, digits()
    x = data.to("cpu").x.numpy()
    with mock.patch("tqdm.trange", Timed):
        began = time.perf_counter()
        found = dec(10, pretrain_epochs=pretraining, clustering_epochs=clustering, random_state=seed).fit(x)
        seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "passes": {"all layers": Timed.passes["AE training"], "refine": Timed.passes["DEC training"]},
        # its final labels are those of a fresh k-means; those of DEC itself are kept beside them
        "accuracy": max(accuracy(data, labels) for labels in (found.labels_, found.dec_labels_)),
    }


def accuracy(data: Vectors, labels: Any) -> float:
    assert data.y is not None
    return matched_accuracy(data.y, torch.from_numpy(labels).long())


class Watch:
    """Times a training without its scores, and keeps when which accuracy was reached."""

    def __init__(self) -> None:
        self.began, self.aside = time.perf_counter(), 0.0
        self.reached: list[tuple[float, float]] = []

    def seconds(self) -> float:
        return time.perf_counter() - self.began - self.aside

    def look(self, system: Any, split: Any) -> dict[str, float]:
        at, began = self.seconds(), time.perf_counter()
        found = {m.__name__: m(system.served, split) for m in system.metrics if m is clustering_accuracy}
        self.reached += [(at, value) for value in found.values()]
        self.aside += time.perf_counter() - began
        return found


def etude(precision: Precision, seed: int, pretraining: int, clustering: int) -> Figures:
    """Étude's DEC by its own engine: half of the pretraining layer by layer, half of it all layers together."""
    data, layers = digits(), pretraining // 2
    asked: dict[str, Any] = {"on.layer_epochs": layers, "on.epochs": pretraining - layers, "on.rate": RATE}
    watch = Watch()
    with tempfile.TemporaryDirectory() as runs, mock.patch.object(engine, "scores", watch.look):
        run = engine.train(
            "dec",
            Splits(data, data, data, "mnist-10000"),
            precision=precision,
            seed=seed,
            runs=runs,
            quiet=True,
            epochs=clustering,
            tolerance=0.0,
            **asked,
        )
        seconds = watch.seconds()
        took: dict[str, list[float]] = {}
        for line in run.log:
            took.setdefault(line["phase"], []).append(line["seconds"])
    return {
        "seconds": seconds,
        "passes": took,
        "accuracy": watch.reached[-1][1],
        "reached": watch.reached,
    }


def operations() -> dict[str, float]:
    """Operations of the matrix products in a step of each phase, and in a refresh of the targets for one example.

    A layer of w weights takes 2w operations an example forward, 2w for the gradient of the weights and 2w for that of
    its input, where that is needed.
    """
    some = Vectors(torch.rand(BATCH, 784), torch.arange(BATCH) % 10)
    system = DEC(StackedAutoencoder(784), 10, restarts=1)
    found: dict[str, float] = {}
    for phase in system.phases():
        if phase.start:
            phase.start(Splits(some, some, some))
        if phase.epochs:
            found[phase.name] = counted(partial(phase.step, some, Clock()))
    return found | {"refresh": counted(partial(system.refresh, Splits(some, some, some))) / BATCH}


def counted(work: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def alone(contestant: str, *numbers: int) -> Figures:
    """What a contestant measures of itself in a process of its own."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
        words = [contestant, file.name, *(str(number) for number in numbers)]
        subprocess.run([sys.executable, __file__, "--alone", *words], check=True, stdout=subprocess.DEVNULL)
        found: Figures = json.load(file)
    return found


def contend(contestant: str, file: str, *numbers: str) -> None:
    """Be a contestant: train, and write the figures."""
    precision: Any = contestant.removeprefix("Étude ")
    work = clustpy if contestant == "ClustPy" else partial(etude, precision)
    found = work(*(int(number) for number in numbers))
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Path(file).write_text(json.dumps(found | {"megabytes": megabytes}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pretraining", type=int, default=30, help="passes")
    parser.add_argument("--clustering", type=int, default=20, help="passes")
    parser.add_argument("--alone", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        contend(*asked.alone)
        return
    took: dict[str, list[Figures]] = {name: [] for name in CONTESTANTS}
    peaks: dict[Precision, list[float]] = {precision: [] for precision in PRECISIONS}
    for seed in range(asked.rounds):
        for name, rounds in took.items():
            rounds.append(alone(name, seed, asked.pretraining, asked.clustering))
            print(f"round {seed + 1}, {name}: {rounds[-1]['seconds']:.1f} s, ACC {rounds[-1]['accuracy']:.4f}")
        for precision, values in peaks.items():
            values.append(peak(precision))
    found = report(took, {precision: max(values) for precision, values in peaks.items()})
    found = {"protocol": {"pretraining": asked.pretraining, "clustering": asked.clustering}} | found
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(found, indent=1, ensure_ascii=False))


def report(took: dict[str, list[Figures]], top: dict[Precision, float]) -> Figures:
    step = operations()
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "clustpy": version("clustpy"),
        "peak, GFLOP/s": {precision: round(value / 1e9) for precision, value in top.items()},
        "rows": {name: whole(name, took) for name in CONTESTANTS},
        "passes": dict(passes(took, top, step)),
        "steps": {precision: steps(took[f"Étude {precision}"], step, top[precision]) for precision in PRECISIONS},
        "full protocol": full(took, step, top),
    }


def whole(name: str, took: dict[str, list[Figures]]) -> Figures:
    """Pretraining, k-means and clustering together; ClustPy's ACC counts as reached when every round has reached it."""
    rounds, theirs = took[name], took["ClustPy"]
    seconds, slower = (statistics.fmean(r["seconds"] for r in arm) for arm in (rounds, theirs))
    told: Figures = {"seconds": round(seconds, 1), "times as fast as ClustPy": round(slower / seconds, 2)}
    if name in PROMISED:
        goal = statistics.fmean(r["accuracy"] for r in theirs)
        when = [next((at for at, accuracy in r["reached"] if accuracy >= goal), math.inf) for r in rounds]
        last = round(max(when), 1) if max(when) < math.inf else "not reached"
        told |= {"promised": PROMISED[name], "seconds to ClustPy's ACC": last}
    return told | {
        "ACC": spread([r["accuracy"] for r in rounds]),
        "peak of memory, MB": round(max(r["megabytes"] for r in rounds)),
    }


def passes(
    took: dict[str, list[Figures]], top: dict[Precision, float], step: dict[str, float]
) -> Iterator[tuple[str, Figures]]:
    """A pass over the digits of the same work: how fast it is, and how fast the peak would let it be."""
    for phase, word in (("all layers", "pretraining"), ("refine", "clustering")):
        theirs = typical(took["ClustPy"], phase)
        for name, rounds in took.items():
            most = top["bf16" if "bf16" in name else "float32"]
            refresh = DIGITS * step["refresh"] if name in PROMISED and phase == "refine" else 0.0
            needed = (DIGITS / BATCH * step[phase] + refresh) / most
            mine = typical(rounds, phase)
            yield (
                f"{word}: {name}",
                {
                    "seconds": round(mine, 3),
                    "times as fast as ClustPy": round(theirs / mine, 2),
                    "times as fast at the peak": round(theirs / needed, 2),
                    "share of the peak": round(needed / mine, 3),
                },
            )


def typical(rounds: list[Figures], phase: str) -> float:
    """Seconds of a pass: the median, without the first of each round."""
    return float(statistics.median(seconds for r in rounds for seconds in r["passes"][phase][1:]))


def spread(values: list[float]) -> Figures:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "deviation": deviation, "values": values}


def steps(rounds: list[Figures], step: dict[str, float], most: float) -> dict[str, Figures]:
    """A step of each phase of Étude's, beside the time that its products would need at the peak."""
    told = {}
    for phase in rounds[0]["passes"]:
        seconds = typical(rounds, phase) / (DIGITS // BATCH)
        share = DIGITS / (DIGITS // BATCH) * step["refresh"] if phase == "refine" else 0.0  # of a refresh a pass
        needed = (step[phase] + share) / most
        told[phase] = {
            "GFLOP": round((step[phase] + share) / 1e9, 3),
            "milliseconds": round(1e3 * seconds, 2),
            "milliseconds at the peak": round(1e3 * needed, 2),
            "share of the peak": round(needed / seconds, 3),
        }
    return told


def full(took: dict[str, list[Figures]], step: dict[str, float], top: dict[Precision, float]) -> Figures:
    """The paper's full protocol: pretraining, and one pass of refinement over all digits with its refresh."""
    parts = {phase: FULL.get(phase, FULL["layer"]) for phase in step if phase not in ("refine", "refresh")}
    pretraining = sum(count * step[phase] for phase, count in parts.items())
    passes = FULL_DIGITS // BATCH
    refinement = passes * step["refine"] + FULL_DIGITS * step["refresh"]
    told: Figures = {
        "steps": parts,
        "operations of the pretraining": float(pretraining),
        "operations of a pass of refinement": float(refinement),
    }
    for precision, most in top.items():
        arm = took[f"Étude {precision}"]
        measured = sum(count * typical(arm, phase) / (DIGITS // BATCH) for phase, count in parts.items())
        told[precision] = {
            "minutes of the pretraining at the peak": round(pretraining / most / 60, 1),
            "minutes of the pretraining at the steps measured": round(measured / 60, 1),
            "seconds of a pass of refinement at the peak": round(refinement / most, 2),
            "seconds of a pass of refinement as measured": round(typical(arm, "refine") * FULL_DIGITS / DIGITS, 2),
        }
    return told


if __name__ == "__main__":
    main()
