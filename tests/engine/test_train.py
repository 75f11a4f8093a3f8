"""Promises of training: killed, stopped, starved or fed nonsense, a run goes on bit for bit or says why it cannot."""

import ctypes
import errno
import math
import mmap
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from etude.data.kinds import Splits, Vectors
from etude.engine import checkpoint
from etude.engine import train as engine
from etude.engine.files import sha256
from etude.engine.run import Run, load
from etude.engine.stopping import Stopped
from etude.engine.train import SORTED, Loop, grouped, order, train
from etude.errors import InputError
from etude.nn.dense import dense
from etude.systems.feedforward.mlp import MLP
from etude.systems.system import Clock, Phase

SOAK = "ETUDE_SOAK" in os.environ
KILLS = 30 if SOAK else 8  # for each system
STOPS = 50 if SOAK else 3
INJECTIONS = 100 if SOAK else 4  # of each sort
FULL_DISKS = 20 if SOAK else 3
STARVED = 20 if SOAK else 2
SYSTEMS = ("restless", "mlp", "vae", "ema", *(("lenet", "autoencoder", "gan") if SOAK else ()))
Small = dict[str, dict[str, Any]]
Fork = Callable[[Callable[[], object]], Any]


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint every few steps."""
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.01)
    monkeypatch.setattr(engine, "CHECKPOINT_SHARE", 0.5)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As in a forked process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def log(run: Run) -> list[dict[str, Any]]:
    """The log but for the seconds that passes took."""
    return [{key: value for key, value in line.items() if key != "seconds"} for line in run.log]


@pytest.mark.parametrize("name", SYSTEMS)
def test_killed_at_any_instant_it_loses_nothing(
    name: str, toy: Splits, small: Small, fork: Fork, tmp_path: Path, often: None, one_thread: None
) -> None:
    """R1: killed at uniformly random instants and started again, until done; then the next run."""
    chance, kills, runs = random.Random(name), 0, 0

    def go() -> Run:
        return train(name, toy, runs=tmp_path / str(runs), quiet=True, device="cpu", **small[name])

    go()  # imports
    runs, began = 1, time.monotonic()
    expected = go()
    seconds = time.monotonic() - began
    while kills < KILLS:
        runs += 1
        while True:
            child = fork(go)
            deadline = time.monotonic() + chance.uniform(0, seconds)
            while time.monotonic() < deadline and not child.ended():
                time.sleep(0.001)
            if not child.ended():
                os.kill(child.pid, signal.SIGKILL)
            code, said = child.wait()
            assert code in (0, -signal.SIGKILL), said
            if code == 0:
                break
            kills += 1
        run = load(tmp_path / str(runs) / expected.folder.name)
        assert sha256(run.folder / "model.safetensors") == sha256(expected.folder / "model.safetensors")
        assert log(run) == log(expected)
        assert run.scores == expected.scores
        assert run.previews().keys() == expected.previews().keys()


def stopping_at(stops: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a signal arrive during the steps that lead to these counts."""
    step = Loop.step

    def interrupted(self: Loop, phase: Phase, index: Tensor, clock: Clock) -> dict[str, Tensor]:
        losses = step(self, phase, index, clock)
        if self.place.total + 1 in stops:
            stops.remove(self.place.total + 1)
            os.kill(os.getpid(), signal.SIGTERM)
        return losses

    monkeypatch.setattr(Loop, "step", interrupted)


@pytest.mark.parametrize("name", SYSTEMS)
def test_stopped_anywhere_it_goes_on_bit_for_bit(
    name: str, toy: Splits, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R2: weights, optimizers, random state, place and losses of the interrupted pass."""
    whole = train(name, toy, runs=tmp_path / "whole", quiet=True, **small[name])
    last = log(whole)[-1]["step"]
    within = [*random.Random(name).sample(range(1, last), min(STOPS, last // 2)), log(whole)[0]["step"]]
    stops = sorted({*within, last})
    stopping_at(stops, monkeypatch)
    for stop in list(stops):
        with pytest.raises(Stopped, match=f"^stopped at step {stop} and saved: the same command goes on$"):
            train(name, toy, runs=tmp_path / "parts", quiet=True, **small[name])
    parts = train(name, toy, runs=tmp_path / "parts", quiet=True, **small[name])
    assert stops == []
    assert log(parts) == log(whole)
    ends = [checkpoint.load(run.folder / "checkpoint")[0] for run in (whole, parts)]
    for what in ("model", "optimizers", "random"):
        first, second = (getattr(end, what) for end in ends)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first), what


def test_phases_start_once_and_settle(toy: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first settles after two passes of 42 examples, the second starts, stopped or not, once."""
    stopping_at([14, 15], monkeypatch)
    for _ in range(2):
        with pytest.raises(Stopped):
            train("restless", toy, runs=tmp_path, quiet=True)
    run = train("restless", toy, runs=tmp_path, quiet=True)
    assert [line["phase"] for line in run.log] == ["settle"] * 2 + ["train"] * 10
    assert [line["pass"] for line in run.log] == list(range(1, 13))
    assert [line["step"] for line in run.log] == [7, 14, *range(17, 45, 3)]
    assert run.weights()["starts"] == 1


def test_checkpoint_between_last_step_and_log_repeats_no_line(
    toy: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass whose last step was saved and that was logged, but not saved again, is logged once."""
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(engine, "CHECKPOINT_SHARE", 1e-9)

    class Power(Exception): ...

    def cut(self: Loop, line: dict[str, Any]) -> None:
        if line["pass"] == 3:
            raise Power

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "events", cut)
        with pytest.raises(Power):
            train("restless", toy, runs=tmp_path, quiet=True)
    run = train("restless", toy, runs=tmp_path, quiet=True)
    assert [line["pass"] for line in run.log] == list(range(1, 13))


def test_line_cut_short_is_written_again(toy: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = train("restless", toy, runs=tmp_path / "whole", quiet=True)
    stopping_at([16], monkeypatch)
    with pytest.raises(Stopped):
        train("restless", toy, runs=tmp_path / "parts", quiet=True)
    with (next((tmp_path / "parts").iterdir()) / "log.jsonl").open("a") as file:
        file.write('{"phase": "tra')
    assert log(train("restless", toy, runs=tmp_path / "parts", quiet=True)) == log(expected)


def test_damaged_checkpoint_is_told_and_the_one_before_used(
    toy: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """R3, as a user meets it."""
    expected = train("restless", toy, runs=tmp_path / "whole", quiet=True)
    stopping_at([10, 20], monkeypatch)
    for _ in range(2):
        with pytest.raises(Stopped):
            train("restless", toy, runs=tmp_path / "parts", quiet=True)
    folder = tmp_path / "parts" / expected.folder.name / "checkpoint"
    (folder / "step-20" / "model.safetensors").write_bytes(b"")
    run = train("restless", toy, runs=tmp_path / "parts")
    assert re.search(r"step-20: damaged, not used \(.*\); going on from the one before\n", capsys.readouterr().err)
    assert sha256(run.folder / "model.safetensors") == sha256(expected.folder / "model.safetensors")


def test_checkpoint_of_other_code_is_refused(toy: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system whose file has changed since has other parameters; the run is left as it was."""
    stopping_at([10], monkeypatch)
    with pytest.raises(Stopped):
        train("mlp", toy, runs=tmp_path, hidden=(8,), quiet=True)
    monkeypatch.setattr("etude.systems.feedforward.mlp.dense", lambda sizes, activation: dense([6, 9, 3], activation))
    expected = r"^.*/mlp-toy-\w+/checkpoint is of another MLP \(.*\): delete the folder and train again$"
    with pytest.raises(InputError, match=expected):
        train("mlp", toy, runs=tmp_path, hidden=(8,), quiet=True)


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The system of the latest step, and its weights before that step."""
    seen: dict[str, Any] = {}
    attempt = Loop.attempt

    def watched(self: Loop, phase: Phase, index: Tensor, clock: Clock) -> dict[str, Tensor]:
        seen["system"] = self.system
        seen["weights"] = {name: tensor.clone() for name, tensor in self.system.state_dict().items()}
        return attempt(self, phase, index, clock)

    monkeypatch.setattr(Loop, "attempt", watched)
    return seen


def spoil_loss(system: MLP, loss: Tensor, output: Tensor, bad: float) -> Tensor:
    return loss * bad


def spoil_gradient(system: MLP, loss: Tensor, output: Tensor, bad: float) -> Tensor:
    return loss + torch.sqrt((output * 0).sum())  # its slope at 0 is infinite


def spoil_module(system: MLP, loss: Tensor, output: Tensor, bad: float) -> Tensor:
    spoilt: Tensor = system.network[2](torch.full((6, 8), bad))
    return loss + spoilt.mean()


def spoil_weights(system: MLP, loss: Tensor, output: Tensor, bad: float) -> Tensor:
    system.get_parameter("network.2.weight").data[0, 0] = bad
    return loss * bad


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_loss, "the loss|every module's output is finite, the rule's own arithmetic made it"),
        (spoil_gradient, "the gradient|every module's output is finite, the gradient of network.2.bias is not"),
        (spoil_module, "the loss|the first module with an output that is not finite is network.2 (Linear)"),
        (spoil_weights, "the loss|the weights network.2.weight were not finite before the step"),
    ],
)
def test_stops_before_a_spoilt_update(
    spoil: Callable[[MLP, Tensor, Tensor, float], Tensor],
    said: str,
    toy: Splits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: dict[str, Any],
) -> None:
    """R6: NaN or infinity out of the loss, the gradient, a module or the weights, from a random step on."""
    chance, error = random.Random(said), MLP.error
    for trial in range(INJECTIONS):
        at, bad = chance.randrange(7 * 12), chance.choice((math.nan, math.inf))
        calls = iter(range(1000))

        def spoilt(
            self: MLP, output: Tensor, y: Tensor, at: int = at, bad: float = bad, calls: Iterator[int] = calls
        ) -> Tensor:
            loss = error(self, output, y)
            return loss if next(calls) < at else spoil(self, loss, output, bad)

        monkeypatch.setattr(MLP, "error", spoilt)
        with pytest.raises(InputError) as caught:
            train("mlp", toy, runs=tmp_path / str(trial), quiet=True, hidden=(8,), epochs=12, batch=6)
        what, why = said.split("|")
        where = f"train, epoch {at // 7 + 1}, batch {at % 7 + 1}"
        assert str(caught.value).startswith(f"{what} is not finite in {where}: {why}")
        assert "stopped before the update" in str(caught.value)
        assert "\n" not in str(caught.value)
        if spoil is not spoil_weights:
            assert all(torch.equal(t, before["weights"][n]) for n, t in before["system"].state_dict().items())


def test_stops_at_data_that_are_not_finite(
    toy: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: dict[str, Any]
) -> None:
    """R6: the example is named by its number in the data, which the split has kept."""
    chance = random.Random(6)
    for trial in range(INJECTIONS):
        assert isinstance(toy.train, Vectors)
        x, place = toy.train.x.clone(), chance.randrange(42)
        x[place, chance.randrange(6)] = chance.choice((math.nan, math.inf, -math.inf))
        batch = order(0, 0, 0, 42).tolist().index(place) // 6
        example = int(toy.train.index[place])
        said = (
            f"is not finite in train, epoch 1, batch {batch + 1}: x of example {example} in the data holds a value "
            "that is not finite: mend or remove it; stopped before the update, nothing had been saved yet"
        )
        spoilt = replace(toy, train=replace(toy.train, x=x))
        with pytest.raises(InputError) as caught:
            train("mlp", spoilt, runs=tmp_path / str(trial), quiet=True, hidden=(8,), batch=6)
        assert said in str(caught.value)
        assert all(torch.equal(t, before["weights"][n]) for n, t in before["system"].state_dict().items())


def test_checkpoint_before_the_spoilt_step_is_kept(
    toy: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, often: None
) -> None:
    """R6: once the reason is gone, the run goes on from there."""
    expected = train("mlp", toy, runs=tmp_path / "whole", quiet=True, hidden=(8,))
    error = MLP.error
    with monkeypatch.context() as patch:
        calls = iter(range(1000))
        patch.setattr(MLP, "error", lambda *a: error(*a) * (math.nan if next(calls) >= 20 else 1))
        patch.setattr(engine, "CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(InputError, match=r"the last checkpoint in .* is kept$"):
            train("mlp", toy, runs=tmp_path / "parts", quiet=True, hidden=(8,))
    run = train("mlp", toy, runs=tmp_path / "parts", quiet=True, hidden=(8,))
    assert sha256(run.folder / "model.safetensors") == sha256(expected.folder / "model.safetensors")
    assert log(run) == log(expected)


@pytest.mark.parametrize("number", range(FULL_DISKS))
def test_full_disk_is_told_and_training_goes_on(
    number: int, toy: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R7: from a random flush on, the disk takes no more; then somebody frees some space."""
    expected = train("restless", toy, runs=tmp_path / "whole", quiet=True)
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.0)
    fail_from, calls = random.Random(number).randrange(10, 200), iter(range(10_000))

    def full(descriptor: int) -> None:
        if next(calls) >= fail_from:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputError) as caught:
            train("restless", toy, runs=tmp_path / "parts", quiet=True)
    assert re.fullmatch(
        r".*/parts/.*: the disk is full \([\d,]+ bytes needed, [\d,]+ free\); what was saved is kept: free some space",
        str(caught.value),
    )
    folder = tmp_path / "parts" / expected.folder.name / "checkpoint"
    assert checkpoint.load(folder)[1] == []
    run = train("restless", toy, runs=tmp_path / "parts", quiet=True)
    assert sha256(run.folder / "model.safetensors") == sha256(expected.folder / "model.safetensors")
    assert log(run) == log(expected)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 kB of its own, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("number", range(FULL_DISKS))
def test_real_full_disk_is_told_and_training_goes_on(
    number: int, toy: Splits, tmp_path: Path, small_disk: Path, fork: Fork, monkeypatch: pytest.MonkeyPatch, often: None
) -> None:
    """R7: something else fills the disk at a random step (without a disk of its own, the need is simply too large)."""
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.0)
    at, step = random.Random(number).randrange(5, 40), Loop.step

    def filling(self: Loop, phase: Phase, index: Tensor, clock: Clock) -> dict[str, Tensor]:
        if self.place.total == at:
            usage = shutil.disk_usage(small_disk)
            if usage.total < 10**6:
                (small_disk / "other").write_bytes(bytes(usage.free - random.Random(number).randrange(4096)))
            else:
                monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))
        return step(self, phase, index, clock)

    def go(runs: Path, spoilt: bool) -> Run:
        if spoilt:
            monkeypatch.setattr(Loop, "step", filling)
        return train("restless", toy, runs=runs, quiet=True, device="cpu")

    assert fork(lambda: go(tmp_path / "whole", False)).wait() == (0, "")
    expected = next((tmp_path / "whole").iterdir())
    code, said = fork(lambda: go(small_disk, True)).wait()
    assert (code, said.count("\n")) == (2, 1), said
    assert re.search(r"the disk is full \([\d,]+ bytes needed, [\d,]+ free\); what was saved is kept: free some", said)
    folder = small_disk / expected.name
    found, passed_over = checkpoint.load(folder / "checkpoint")
    assert found is not None
    assert found.place.total in (at, at + 1)
    assert passed_over == []
    (small_disk / "other").unlink(missing_ok=True)
    assert fork(lambda: go(small_disk, False)).wait() == (0, "")
    assert sha256(folder / "model.safetensors") == sha256(expected / "model.safetensors")
    assert log(load(folder)) == log(load(expected))


@pytest.mark.parametrize("number", range(STARVED))
def test_out_of_memory_names_a_batch_that_fits(number: int, fork: Fork, tmp_path: Path) -> None:
    """R8: from a random step on, 500 MB are left, less than a step takes; the batch named does fit there."""
    x = torch.randint(0, 256, (60_000, 1000), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    at, step, eaten = random.Random(number).randrange(2, 5), Loop.step, list[bytearray]()

    def starving(self: Loop, phase: Phase, index: Tensor, clock: Clock) -> dict[str, Tensor]:
        if self.place.total == at:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 505 * 10**6, -1))
            room = mmap.mmap(-1, 500 * 10**6)
            with suppress(MemoryError):
                while True:
                    eaten.append(bytearray(10**6))
            room.close()
        return step(self, phase, index, clock)

    def go(batch: int) -> Run:
        mmap_threshold = -3
        ctypes.CDLL(None).mallopt(mmap_threshold, 2**20)  # what is freed is free: no holes in a heap
        Loop.step = starving  # type: ignore[method-assign]
        engine.CHECKPOINT_SECONDS = 0.0
        return train("vae", x, runs=tmp_path / str(batch), quiet=True, device="cpu", hidden=(8,), epochs=5, batch=batch)

    code, said = fork(lambda: go(40_000)).wait()
    assert (code, said.count("\n")) == (2, 1), said
    told = re.fullmatch(
        r"etude: out of memory at batch 40000 \(.*tried to allocate \d+ bytes.*\): a batch of (\d+) fits; "
        r"the last checkpoint in .* is kept\n",
        said,
    )
    assert told, said
    found, passed_over = checkpoint.load(next((tmp_path / "40000").iterdir()) / "checkpoint")
    assert found is not None
    assert (found.place.total, passed_over) == (at, [])
    assert fork(lambda: go(int(told[1]))).wait() == (0, "")


@pytest.mark.parametrize("name", ["vae", "lenet"])
@pytest.mark.parametrize("threads", [1, 2])
def test_same_seed_same_bits(
    name: str, threads: int, toy: Splits, small: Small, tmp_path: Path, one_thread: None
) -> None:
    """R11, and another seed gives others."""
    torch.set_num_threads(threads)
    first, second, other = (
        train(name, toy, runs=tmp_path / runs, quiet=True, seed=seed, **small[name] | {"epochs": 2})
        for runs, seed in (("first", 0), ("second", 0), ("other", 1))
    )
    assert first.record["weights"] == second.record["weights"] != other.record["weights"]


def test_other_number_of_threads_is_told(
    toy: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], one_thread: None
) -> None:
    stopping_at([10], monkeypatch)
    with pytest.raises(Stopped):
        train("restless", toy, runs=tmp_path)
    torch.set_num_threads(2)
    train("restless", toy, runs=tmp_path)
    said = "saved with threads 1, going on with threads 2: not the same bit for bit\n"
    assert capsys.readouterr().err.startswith(f"{said}going on from step 10 of {tmp_path}")


def test_order_is_a_function_of_its_arguments() -> None:
    """Every pass sees every example once, and in an order of its own."""
    orders = [order(*place, 50) for place in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0))]
    for each in orders:
        assert sorted(each.tolist()) == list(range(50))
    assert torch.equal(orders[0], orders[4])
    assert len({tuple(each.tolist()) for each in orders}) == 4


@given(st.lists(st.integers(1, 9), max_size=700), st.integers(1, 8), st.integers(0, 3))
def test_batches_are_of_like_length(lengths: list[int], batch: int, seed: int) -> None:
    """Whole batches of the same examples as without; within so many of them, sorted; leftovers where they were."""
    places, known = order(seed, 0, 0, len(lengths)), torch.tensor(lengths, dtype=torch.int64)
    found = grouped(places, known, batch)
    whole = len(lengths) // batch * batch
    assert torch.equal(found[whole:], places[whole:])
    for start in range(0, whole, SORTED * batch):
        stop = min(start + SORTED * batch, whole)
        assert sorted(found[start:stop].tolist()) == sorted(places[start:stop].tolist())
        batches = sorted(known[found[start:stop]].reshape(-1, batch).tolist())
        assert [length for each in batches for length in each] == sorted(known[places[start:stop]].tolist())


@given(st.integers(0, 100), st.integers(1, 8))
def test_where_all_are_of_one_length_their_order_stays(count: int, batch: int) -> None:
    places = order(0, 0, 0, count)
    assert torch.equal(grouped(places, torch.full((count,), 7), batch), places)


def test_little_is_padding_and_long_ones_come_neither_first_nor_last() -> None:
    lengths = torch.randint(1, 101, (3200,), generator=torch.Generator().manual_seed(0))
    places = order(0, 0, 0, 3200)

    def padding(places: Tensor) -> float:
        batches = lengths[places].reshape(-1, 32)
        return 1 - float(batches.sum() / (batches.max(1).values * 32).sum())

    assert padding(places) > 0.4
    assert padding(grouped(places, lengths, 32)) < 0.05
    longest = lengths[grouped(places, lengths, 32)].reshape(-1, 32).max(1).values.double()
    assert abs(float(torch.corrcoef(torch.stack([longest, torch.arange(100.0).double()]))[0, 1])) < 0.3


def test_looking_changes_nothing(toy: Splits, tmp_path: Path, small: Small) -> None:
    """Previews and validation draw noise of their own."""
    few = train("vae", toy, runs=tmp_path / "few", quiet=True, previews=(12,), **small["vae"])
    many = train("vae", toy, runs=tmp_path / "many", quiet=True, previews=tuple(range(13)), **small["vae"])
    assert sha256(few.folder / "model.safetensors") == sha256(many.folder / "model.safetensors")
    assert list(few.previews()) == [12]
    assert list(many.previews()) == list(range(13))
    assert torch.equal(few.previews()[12], many.previews()[12])


def test_previews_are_of_the_same_codes_after_five_passes(toy: Splits, tmp_path: Path) -> None:
    """A generator that does not move draws the same each time."""
    still = train("gan", toy, runs=tmp_path, quiet=True, output="linear", hidden=(4,), rate=1e-30, epochs=16)
    assert list(still.previews()) == [0, 2, 4, 8, 16]
    assert len(still.previews()[0].unique(dim=0)) > 1
    assert all(torch.equal(drawn, still.previews()[0]) for drawn in still.previews().values())


CLUSTERING: dict[str, Any] = {
    "clusters": 3,
    "restarts": 2,
    "tolerance": 0.0,
    "epochs": 4,
    "batch": 6,
    "on.hidden": (32,),
    "on.latent": 2,
    "on.rate": 0.3,
    "on.layer_epochs": 10,
    "on.epochs": 30,
    "on.batch": 6,
}


def test_a_clustering_is_filmed_from_the_beginning_of_its_last_phase(toy: Splits, tmp_path: Path) -> None:
    """A frame before it, once k-means has placed the centroids, and one after each of its passes."""
    run = train("dec", toy, runs=tmp_path, quiet=True, **CLUSTERING)
    before = sum(line["phase"] != "refine" for line in run.log)
    film = run.film()
    assert before > 0
    assert list(film) == list(range(before, before + 5))
    assert run.previews() == {}
    for frame in film.values():
        assert {name: (tensor.shape, tensor.dtype) for name, tensor in frame.items()} == {
            "codes": ((len(toy.test), 2), torch.float32),
            "soft": ((len(toy.test), 3), torch.float32),
            "centroids": ((3, 2), torch.float32),
        }
        assert torch.allclose(frame["soft"].sum(1), torch.ones(len(toy.test)))
    system: Any = run.system
    last = film[before + 4]
    assert torch.equal(last["soft"], system.cluster(toy.test[:].to("cpu").tensors()["x"]))
    assert torch.equal(last["centroids"], system.centroids)
    assert not torch.equal(film[before]["centroids"], last["centroids"])


def test_a_film_stopped_anywhere_is_the_same_film(toy: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train("dec", toy, runs=tmp_path / "whole", quiet=True, **CLUSTERING)
    refining = whole.log[-5]["step"]  # done before the last phase
    stops = [refining, refining + 3, refining + 7, refining + 10]
    stopping_at(stops, monkeypatch)
    while stops:
        with pytest.raises(Stopped):
            train("dec", toy, runs=tmp_path / "parts", quiet=True, **CLUSTERING)
    parts = train("dec", toy, runs=tmp_path / "parts", quiet=True, **CLUSTERING)
    first, second = whole.film(), parts.film()
    assert list(first) == list(second)
    assert all(torch.equal(first[number][name], second[number][name]) for number in first for name in first[number])


def test_acts_on_what_a_run_has_learned(toy: Splits, tmp_path: Path) -> None:
    """`--on` a run's folder starts from its weights: with nothing to learn, they are served as they are."""
    before = train("mlp", toy, runs=tmp_path, quiet=True, hidden=(8,), epochs=0)
    after = train("ema", toy, runs=tmp_path, quiet=True, on=str(before.folder))
    assert after.record["served"] == {"system": "mlp", "arguments": before.question["arguments"]}
    assert after.weights().keys() == before.weights().keys()
    assert all(torch.equal(after.weights()[name], tensor) for name, tensor in before.weights().items())


def test_finished_run_is_scored_again(tmp_path: Path) -> None:
    run = train("mlp", "blobs", runs=tmp_path, quiet=True, hidden=(8,), epochs=1)
    assert engine.evaluate(run) == run.scores


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"system": "restles"}, "no system is called 'restles': did you mean 'restless'?"),
        ({"epoch": 3}, "no option of Restless is called 'epoch': did you mean 'epochs'?"),
        ({"epochs": -1}, "--epochs -1: expected a whole number in [0, inf)"),
        ({"on": "mlp"}, "restless acts on no other system: leave out --on"),
        ({"on.rate": 1.0}, "restless acts on no other system: leave out --on"),
        ({"system": "ema"}, "ema acts on another system: name it, as in `etude train ema --on vae`, or give a run's"),
        ({"device": "quantum"}, "--device quantum: not to be had here ("),
        ({"device": "cuda:77"}, "--device cuda:77: not to be had here ("),
    ],
)
def test_mistakes_are_told_in_one_line(asked: dict[str, Any], said: str, toy: Splits, tmp_path: Path) -> None:
    everything: dict[str, Any] = {"system": "restless", "data": toy, "runs": tmp_path, "quiet": True}
    with pytest.raises(InputError) as caught:
        train(**everything | asked)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    wrong: Any = "bfloat16"
    with pytest.raises(InputError, match="expected float32 or bf16"):
        train("vae", precision=wrong, runs=tmp_path)


def test_where_a_size_helps_the_refusal_says_so(tmp_path: Path) -> None:
    for name, sides in (("wide", (48, 32)), ("large", (200, 200))):
        (tmp_path / name).mkdir()
        for place in range(20):
            Image.new("L", sides, place).save(tmp_path / name / f"{place}.png")
    wide: Any = np.zeros((20, 32, 48), np.uint8)
    refused: list[tuple[Any, int | None, str]] = [
        (tmp_path / "wide", None, r"take square ones: crop or pad them, or give --size \(64 fits\)$"),
        (tmp_path / "large", None, r"200x200, expected 8 to 128 a side: resize them, or give --size \(64 fits\)$"),
        (tmp_path / "large", 150, r"150x150, expected 8 to 128 a side: resize them, or give --size \(64 fits\)$"),
        (wide, None, "take square ones: crop or pad them$"),
    ]
    for data, size, said in refused:
        with pytest.raises(InputError, match=said):
            train("dcgan", data, size=size, runs=tmp_path / "runs", quiet=True)
    assert not (tmp_path / "runs").exists()
