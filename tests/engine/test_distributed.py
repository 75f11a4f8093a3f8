"""Two processes take the steps that one would take with the whole batch."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, distributed

from etude.data.kinds import Splits
from etude.engine import train as engine
from etude.engine.distributed import gather, largest, mean, processes, rank, share, world
from etude.engine.files import sha256
from etude.engine.run import Run, load
from etude.engine.train import Loop, train
from etude.errors import InputError
from etude.systems.system import Clock, Phase

TWO = """
import torch
from etude.engine.train import train
torch.set_default_dtype(torch.{dtype})
train("mlp", "blobs", runs={runs!r}, quiet=True, device="cpu", hidden=(16,), epochs=10, batch=80)
"""
Fork = Callable[[Callable[[], object]], Any]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.fixture
def in_float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def together(fork: Fork, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], list[tuple[int, str]]]:
    """Run a function in two processes that find each other as those of torchrun do."""

    def start(function: Callable[[], object]) -> list[tuple[int, str]]:
        place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        children = []
        for number in range(2):
            for name, value in (place | {"RANK": str(number)}).items():
                monkeypatch.setenv(name, value)
            children.append(fork(function))
        return [child.wait() for child in children]

    return start


def test_two_are_as_one_in_float64(tmp_path: Path, in_float64: None) -> None:
    """R14: 50 steps under torchrun, batches of 80 shared by two; weights and losses agree to 1e-10."""
    one = train("mlp", "blobs", runs=tmp_path / "one", quiet=True, device="cpu", hidden=(16,), epochs=10, batch=80)
    script = tmp_path / "two.py"
    script.write_text(TWO.format(dtype="float64", runs=str(tmp_path / "two")))
    launch = f"-m torch.distributed.run --nproc_per_node 2 --master_addr 127.0.0.1 --master_port {free_port()} {script}"
    done = subprocess.run(
        [sys.executable, *launch.split()],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    two = load(tmp_path / "two" / one.folder.name)
    assert (one.record["processes"], two.record["processes"]) == (1, 2)
    assert one.log[-1]["step"] == two.log[-1]["step"] == 50
    ours, theirs = one.weights(), load_file(two.folder / "model.safetensors")
    for name, tensor in ours.items():
        assert tensor.dtype == torch.float64
        torch.testing.assert_close(theirs[name], tensor, rtol=0, atol=1e-10)
    for first, second in zip(one.log, two.log, strict=True):
        assert abs(first["losses"]["loss"] - second["losses"]["loss"]) < 1e-10


def test_two_are_as_one_in_float32(
    toy: Splits, tmp_path: Path, together: Callable[[Callable[[], object]], list[tuple[int, str]]]
) -> None:
    """R14: to float tolerance."""

    def go(runs: str) -> Run:
        return train("mlp", toy, runs=tmp_path / runs, quiet=True, device="cpu", hidden=(8,), epochs=8, batch=6)

    one = go("one")
    assert together(lambda: go("two")) == [(0, ""), (0, "")]
    two = load(tmp_path / "two" / one.folder.name)
    assert two.record["processes"] == 2
    for name, tensor in one.weights().items():
        torch.testing.assert_close(two.weights()[name], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["restless", "mlp"])
def test_two_go_on_bit_for_bit(
    name: str,
    toy: Splits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    together: Callable[[Callable[[], object]], list[tuple[int, str]]],
) -> None:
    """R14: a signal that reaches the second process stops both; noise and dropout differ between them and come back."""
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.005)  # each process has a clock of its own
    step = Loop.step

    def go(runs: str, stop: int) -> Run:
        def signalled(self: Loop, phase: Phase, index: Tensor, clock: Clock) -> dict[str, Tensor]:
            if self.place.total + 1 == stop and rank() == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return step(self, phase, index, clock)

        Loop.step = signalled  # type: ignore[method-assign]
        return train(name, toy, runs=tmp_path / runs, quiet=True, device="cpu")

    assert together(lambda: go("whole", -1)) == [(0, ""), (0, "")]
    said = "etude: stopped at step 11 and saved: the same command goes on\n"
    assert together(lambda: go("parts", 11)) == [(143, said), (143, said)]
    assert together(lambda: go("parts", -1)) == [(0, ""), (0, "")]
    whole, parts = (load(next((tmp_path / runs).iterdir())) for runs in ("whole", "parts"))
    assert sha256(whole.folder / "model.safetensors") == sha256(parts.folder / "model.safetensors")
    assert [line["losses"] for line in whole.log] == [line["losses"] for line in parts.log]


def test_other_number_of_processes_goes_on_and_says_so(
    toy: Splits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fork: Fork,
    together: Callable[[Callable[[], object]], list[tuple[int, str]]],
) -> None:
    def go(stop: int) -> Run:
        step = Loop.step

        def signalled(self: Loop, phase: Phase, index: Tensor, clock: Clock) -> dict[str, Tensor]:
            if self.place.total + 1 == stop:
                os.kill(os.getpid(), signal.SIGTERM)
            return step(self, phase, index, clock)

        Loop.step = signalled  # type: ignore[method-assign]
        return train("restless", toy, runs=tmp_path / "runs", device="cpu")

    assert fork(lambda: go(5)).wait()[0] == 143
    first, second = together(lambda: go(-1))
    assert (first[0], second[0]) == (0, 0)
    assert "saved with processes 1, going on with processes 2: not the same bit for bit\n" in first[1]


def test_primitives(together: Callable[[Callable[[], object]], list[tuple[int, str]]]) -> None:
    def go() -> None:
        with processes(torch.device("cpu")):
            own = torch.tensor([float(rank()), 4.0])
            told = {
                "world": world(),
                "share": share(torch.arange(6)).tolist(),
                "largest": largest(10 + rank()),
                "mean": mean(own).tolist(),
                "own": own.tolist(),
                "gather": {name: part.tolist() for name, part in gather({"a": torch.tensor([rank()])}).items()},
            }
            try:
                share(torch.arange(5))
            except InputError as error:
                told["uneven"] = str(error)
        print(json.dumps(told), world(), distributed.is_initialized())

    for number, (code, said) in enumerate(together(go)):
        assert code == 0, said
        told, _, after = said.partition("} 1")
        assert after == " False\n"
        assert json.loads(told + "}") == {
            "world": 2,
            "share": [[0, 2, 4], [1, 3, 5]][number],
            "largest": 11,
            "mean": [0.5, 4.0],
            "own": [float(number), 4.0],
            "gather": {"0/a": [0], "1/a": [1]},
            "uneven": "a batch of 5 cannot be shared by 2 processes: choose --batch divisible by 2",
        }


def test_alone_nothing_happens() -> None:
    with processes(torch.device("cpu")):
        assert not distributed.is_initialized()
        assert (rank(), world(), largest(7)) == (0, 1, 7)
        assert torch.equal(share(torch.arange(5)), torch.arange(5))
        assert torch.equal(mean(torch.ones(2)), torch.ones(2))
        assert gather({"a": torch.ones(1)}).keys() == {"0/a"}
