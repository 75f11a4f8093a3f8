"""Asked to stop, a run saves itself within a step, says so in its exit status and goes on from there."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from etude.cli import main
from etude.engine import checkpoint
from etude.engine.files import sha256
from etude.engine.run import load
from etude.engine.stopping import listening, requeue
from etude.engine.train import Loop, train
from etude.systems.system import Clock, Phase

SOAK = "ETUDE_SOAK" in os.environ
SIGNALS = 30 if SOAK else 3  # of each kind
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGUSR1: 138}
COMMAND = ["train", "mlp", "--data", "blobs", "--hidden", "8", "--epochs", "6", "--device", "cpu"]
LAST = 6 * (420 // 50)
Fork = Callable[[Callable[[], object]], Any]


@pytest.fixture
def asked(tmp_path: Path, fork: Fork) -> Callable[..., tuple[int, str]]:
    """Run the command in a process of its own that sends itself signals during a step."""

    def run(runs: str, at: int, *numbers: int) -> tuple[int, str]:
        step = Loop.step

        def signalled(self: Loop, phase: Phase, index: Tensor, clock: Clock) -> dict[str, Tensor]:
            if self.place.total + 1 == at:
                for number in numbers:
                    os.kill(os.getpid(), number)
            return step(self, phase, index, clock)

        def go() -> int:
            Loop.step = signalled  # type: ignore[method-assign]
            return main([*COMMAND, "--runs", str(tmp_path / runs)])

        answer: tuple[int, str] = fork(go).wait()
        return answer

    return run


def only(folder: Path) -> Path:
    """The one run in a folder of runs."""
    return next(path for path in folder.iterdir() if path.is_dir())


@pytest.mark.parametrize("number", CODES)
def test_signal_saves_within_the_step(
    number: signal.Signals, asked: Callable[..., tuple[int, str]], fork: Fork, tmp_path: Path
) -> None:
    """R9: saved after the very step, with the usual exit status; then bit for bit."""
    chance = random.Random(number)

    def go(runs: str) -> None:
        train("mlp", "blobs", runs=tmp_path / runs, hidden=(8,), epochs=6, device="cpu", quiet=True)

    assert fork(lambda: go("whole")).wait()[0] == 0
    expected = sha256(only(tmp_path / "whole") / "model.safetensors")
    for trial in range(SIGNALS):
        runs, at = f"{number}-{trial}", chance.randint(1, LAST)
        code, said = asked(runs, at, number)
        assert code == CODES[number]
        assert said.endswith(f"etude: stopped at step {at} and saved: the same command goes on\n")
        found, passed_over = checkpoint.load(only(tmp_path / runs) / "checkpoint")
        assert found is not None
        assert (found.place.total, passed_over) == (at, [])
        assert fork(lambda runs=runs: go(runs)).wait()[0] == 0  # type: ignore[misc]
        assert sha256(only(tmp_path / runs) / "model.safetensors") == expected


def test_signal_from_outside(fork: Fork, tmp_path: Path) -> None:
    """R9: at any instant of a training that has begun."""
    chance = random.Random(9)
    for trial in range(SIGNALS):
        number = chance.choice(list(CODES))
        command = [*COMMAND, "--epochs", "100000", "--runs", str(tmp_path / str(trial))]
        child = fork(lambda command=command: main(command))  # type: ignore[misc]
        while not list(tmp_path.glob(f"{trial}/*/checkpoint/step-*")):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.1))
        os.kill(child.pid, number)
        asked_at = time.monotonic()
        code, said = child.wait()
        assert time.monotonic() - asked_at < 5
        assert code == CODES[number], said
        run = load(only(tmp_path / str(trial)))
        found = checkpoint.load(run.folder / "checkpoint")[0]
        assert found is not None
        assert f"stopped at step {found.place.total} and saved" in said


@pytest.mark.parametrize("number", CODES)
def test_second_signal_ends_at_once(
    number: signal.Signals, asked: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """R9: without saving; the exit status is the same for a shell, which adds 128 by itself."""
    assert asked("runs", 20, number, number)[0] == -number
    found = checkpoint.load(only(tmp_path / "runs") / "checkpoint")[0]
    assert found is None or found.place.total < 20


@pytest.mark.parametrize("number", CODES)
def test_slurm_is_asked_once_for_another_turn(
    number: signal.Signals,
    asked: Callable[..., tuple[int, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R9: after SIGUSR1, when all is saved, and after no other signal."""
    program = tmp_path / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nls -d {tmp_path}/runs/*/checkpoint/step-9 >> {tmp_path}/asked\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert asked("runs", 9, number)[0] == CODES[number]
    if number == signal.SIGUSR1:
        first, second = (tmp_path / "asked").read_text().splitlines()
        assert first == "requeue 17"
        assert second.endswith("step-9")
    else:
        assert not (tmp_path / "asked").exists()


def test_no_slurm_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("PATH", "")
    requeue()


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in CODES]
    with listening() as request:
        assert signal.getsignal(signal.SIGINT) not in before
        os.kill(os.getpid(), signal.SIGUSR1)
        assert request.number == signal.SIGUSR1
        assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    assert [signal.getsignal(number) for number in CODES] == before


def test_other_threads_do_not_listen() -> None:
    """Python lets the main thread alone set handlers."""
    numbers: list[int] = []

    def listen() -> None:
        with listening() as request:
            numbers.append(request.number)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert numbers == [0]
    assert torch.get_num_threads() >= 1
