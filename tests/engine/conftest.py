"""Runs small enough to be killed by the hundred, in processes that share the imports already made."""

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tensorboardX  # noqa: F401  these two here, or every process would import them for itself
import torch
import torch._dynamo
from torch import Tensor, nn

from etude.catalogue import Entry, entries
from etude.data.kinds import Splits, Vectors, split
from etude.engine.stopping import Stopped
from etude.errors import InputError
from etude.systems.system import Clock, Losses, Metric, Paper, Phase, System, descend

SHARED: dict[str, dict[str, Any]] = {  # the arguments that make the catalogue's systems small
    "restless": {},
    "mlp": {"hidden": (8,), "epochs": 12, "batch": 6},
    "vae": {"latent": 2, "hidden": (8,), "decoder": "gaussian", "epochs": 12, "batch": 6},
    "lenet": {"kernel": 1, "padding": 2, "epochs": 12, "batch": 6},
    "autoencoder": {"hidden": (8,), "latent": 2, "output": "linear", "epochs": 12, "batch": 6},
    "gan": {
        "latent": 2,
        "hidden": (8,),
        "discriminator_units": 4,
        "pieces": 2,
        "output": "linear",
        "epochs": 12,
        "batch": 6,
    },
    "ema": {"on": "mlp", "on.hidden": (8,), "on.epochs": 12, "on.batch": 6},
}


def error(system: "Restless", split: Vectors) -> float:
    """Mean squared error of a reconstruction."""
    return float((system.network(split.x).detach() - split.x).square().mean())


class Restless(System):
    """All that is hard to resume: batch norm, dropout, noise, fused Adam, counts, phases that start and settle.

    Args:
        features: D.
        epochs: passes of the second phase, in [0, inf) (none).
        batch: examples a step, in [1, inf) (none).
    """

    paper = Paper("nobody", 2026, "Restless", "https://example.org")
    kind = Vectors
    metrics: tuple[Metric, ...] = (error,)

    def __init__(self, features: int, *, epochs: int = 10, batch: int = 6) -> None:
        super().__init__()
        self.epochs, self.batch = epochs, batch
        hidden = (nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3))
        self.network = nn.Sequential(nn.Linear(features, 8), *hidden, nn.Linear(8, features))
        self.optimizer = torch.optim.Adam(self.parameters(), lr=1e-2, fused=True)
        self.seen: Tensor = nn.Buffer(torch.tensor(0))
        self.starts: Tensor = nn.Buffer(torch.tensor(0))

    def phases(self) -> list[Phase]:
        return [
            Phase("settle", self.step, 1000, self.batch, done=lambda splits: bool(self.seen >= 2 * len(splits.train))),
            Phase("train", self.step, self.epochs, 2 * self.batch, start=self.start),
        ]

    def start(self, splits: Splits) -> None:
        self.starts += 1

    def step(self, batch: Vectors, clock: Clock) -> Losses:
        self.seen += len(batch)
        noisy = batch.x + 0.1 * torch.randn_like(batch.x)
        return {"loss": descend(self.optimizer, (self.network(noisy) - batch.x).square().mean())}


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put `Restless` into the catalogue."""
    monkeypatch.setitem(entries(), "restless", Entry("restless", "tests", __name__, None))


@pytest.fixture(autouse=True)
def fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the disk: a killed process loses nothing that the kernel holds, and nobody pulls the plug here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def toy() -> Splits:
    """60 rows of 6 numbers in 3 classes; 42 of them to train on."""
    y = torch.arange(60) % 3
    x = torch.randn(60, 6, generator=torch.Generator().manual_seed(0)) + 3 * nn.functional.one_hot(y, 6)
    return split(Vectors(x, y, ("a", "b", "c")), "toy")


@pytest.fixture
def small() -> dict[str, dict[str, Any]]:
    """Systems by name, each with arguments that make it small."""
    return SHARED


@dataclass(frozen=True)
class Child:
    """Another process.

    Attributes:
        pid: its number.
        output: the file that receives what it prints.
    """

    pid: int
    output: Path

    def wait(self) -> tuple[int, str]:
        """The exit status, negative where a signal ended it, and what was printed."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status), self.output.read_text()

    def ended(self) -> bool:
        """Has it ended? It must be waited for all the same."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


Fork = Callable[[Callable[[], object]], Child]


@pytest.fixture
def fork(tmp_path: Path) -> Fork:
    """Run a function in a process of its own on one thread; its mistakes end as those of the command line do."""
    children: list[Child] = []

    def start(function: Callable[[], object]) -> Child:
        output = tmp_path / f"output-{len(children)}"
        output.touch()
        pid = os.fork()
        if pid == 0:
            _become(function, output)
        children.append(Child(pid, output))
        return children[-1]

    return start


def _become(function: Callable[[], object], output: Path) -> None:
    code = 1
    try:
        with output.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            sys.stdout = sys.stderr = file
            torch.set_num_threads(1)
            try:
                answer = function()
                code = answer if isinstance(answer, int) else 0
            except InputError as mistake:
                print(f"etude: {mistake}")
                code = 2
            except Stopped as stopped:
                print(f"etude: {stopped}")
                code = stopped.code
            except BaseException:
                traceback.print_exc()
    finally:
        os._exit(code)
