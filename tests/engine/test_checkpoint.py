"""A checkpoint is there whole or not at all, and what is not as it was written is not used."""

import errno
import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from etude.catalogue import find
from etude.data.kinds import Splits
from etude.engine.checkpoint import Place, load, save
from etude.engine.files import sha256
from etude.errors import InputError
from etude.systems.system import Clock, System, optimizers

SOAK = "ETUDE_SOAK" in os.environ
FLIPS = 1000 if SOAK else 40
CUTS = 200 if SOAK else 40
FILES = ("MANIFEST.json", "model.safetensors", "optimizers.safetensors", "random.safetensors", "state.json")
LOSSES = {"loss": torch.tensor([1.5, 0.1])}


def stepped(toy: Splits, steps: int) -> System:
    """A system with batch norm and Adam after some steps."""
    torch.manual_seed(0)
    system = find("restless")(6)
    for step in range(steps):
        system.phases()[0].step(toy.train, Clock(step, 0, 0.0))
    return system


def saved(folder: Path, system: System, total: int) -> None:
    save(folder, system, Place(1, 2, 3, total, 5), LOSSES, {"0/cpu": torch.get_rng_state()}, {"threads": 1})


@pytest.fixture
def folder(tmp_path: Path, toy: Splits) -> Path:
    """Two checkpoints, at steps 10 and 20."""
    for total in (10, 20):
        saved(tmp_path / "checkpoint", stepped(toy, 3), total)
    return tmp_path / "checkpoint"


def test_comes_back_bit_for_bit(folder: Path, toy: Splits) -> None:
    system, other = stepped(toy, 3), stepped(toy, 0)
    found, passed_over = load(folder)
    assert found is not None
    assert passed_over == []
    assert found.place == Place(1, 2, 3, 20, 5)
    assert torch.equal(found.losses["loss"], LOSSES["loss"])
    found.restore(other)
    for _ in range(2):
        torch.manual_seed(1)
        system.phases()[0].step(toy.train, Clock(3, 0, 0.0))
        torch.manual_seed(1)
        other.phases()[0].step(toy.train, Clock(3, 0, 0.0))
    for name, tensor in system.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_optimizer_keeps_its_settings(folder: Path, toy: Splits) -> None:
    """Betas are a tuple again, as they were before JSON."""
    found, other = load(folder)[0], stepped(toy, 0)
    assert found is not None
    before = optimizers(other)["optimizer"].state_dict()["param_groups"]
    found.restore(other)
    assert optimizers(other)["optimizer"].state_dict()["param_groups"] == before


def test_last_two_are_kept(folder: Path, toy: Splits) -> None:
    for total in (30, 40):
        saved(folder, stepped(toy, 1), total)
    assert sorted(path.name for path in folder.iterdir()) == ["step-30", "step-40"]


def test_all_is_flushed_before_it_gets_its_name(tmp_path: Path, toy: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut could leave a name without its bytes."""
    events: list[str] = []
    rename = Path.rename

    def fsync(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    def renamed(self: Path, target: Path) -> Path:
        events.append(f"rename to {target.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", renamed)
    saved(tmp_path / "checkpoint", stepped(toy, 1), 10)
    assert {f".{name}.tmp" for name in FILES} <= set(events[:-3])
    assert events[-3:] == [".tmp-10", "rename to step-10", "checkpoint"]


def test_no_checkpoint_is_no_mistake(tmp_path: Path) -> None:
    assert load(tmp_path / "checkpoint") == (None, [])


@pytest.mark.parametrize("name", FILES)
def test_every_flip_is_noticed(folder: Path, name: str) -> None:
    """R3: one bit at a random place."""
    chance, path = random.Random(name), folder / "step-20" / name
    whole = path.read_bytes()
    for _ in range(FLIPS):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        passed_over(folder)


@pytest.mark.parametrize("name", FILES)
def test_every_cut_is_noticed(folder: Path, name: str) -> None:
    """R3: a file that ends too early."""
    chance, path = random.Random(name), folder / "step-20" / name
    whole = path.read_bytes()
    end = len(whole.rstrip())
    for length in [0, *(chance.randrange(end) for _ in range(CUTS))]:
        path.write_bytes(whole[:length])
        passed_over(folder)
    path.unlink()
    passed_over(folder)


def passed_over(folder: Path) -> None:
    """The checkpoint of step 20 is not used, that of step 10 is, and one line says so."""
    found, notes = load(folder)
    assert found is not None
    assert found.place.total == 10
    assert len(notes) == 1
    assert "\n" not in notes[0]
    assert f"{folder / 'step-20'}: damaged, not used" in notes[0]


class Trap:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def as_torch(path: Path, trap: Trap) -> None:
    torch.save({"weight": trap}, path)


def as_pickle(path: Path, trap: Trap) -> None:
    path.write_bytes(pickle.dumps(trap))


def as_other_tensors(path: Path, trap: Trap) -> None:
    path.write_bytes(b"\xff" * 100)


@pytest.mark.parametrize("write", [as_torch, as_pickle, as_other_tensors])
@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("safetensors")])
def test_foreign_file_is_not_opened(
    folder: Path, tmp_path: Path, name: str, write: Callable[[Path, Trap], None]
) -> None:
    """R4: not even where the manifest has been made to fit."""
    step = folder / "step-20"
    write(step / name, Trap(tmp_path / "executed"))
    manifest = json.loads((step / "MANIFEST.json").read_text())
    (step / "MANIFEST.json").write_text(json.dumps(manifest | {name: sha256(step / name)}))
    passed_over(folder)
    assert not (tmp_path / "executed").exists()


def test_what_is_later_than_the_newest_good_one_goes(folder: Path, toy: Splits) -> None:
    """Training goes on from an earlier step, so its next checkpoints are not the ones to throw away."""
    for step in ("step-10", "step-20"):
        (folder / step / "state.json").write_text("{}")
    saved(folder, stepped(toy, 1), 5)
    found, notes = load(folder)
    assert found is not None
    assert (found.place.total, notes) == (5, [])


def test_same_step_is_saved_again(folder: Path, toy: Splits) -> None:
    """Also where a crash came between the last rename and the clearing up."""
    shutil.copytree(folder / "step-20", folder / ".old-20")
    shutil.copytree(folder / "step-10", folder / ".tmp-20")
    saved(folder, stepped(toy, 7), 20)
    found = load(folder)[0]
    assert found is not None
    assert torch.equal(found.model["seen"], stepped(toy, 7).state_dict()["seen"])
    assert sorted(path.name for path in folder.iterdir()) == ["step-10", "step-20"]


@pytest.mark.parametrize("call", range(9))
def test_full_disk_leaves_what_was_there(folder: Path, toy: Splits, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """R7: the disk is full at one of the nine moments at which something is flushed."""
    calls = iter(range(9))

    def full(descriptor: int) -> None:
        if next(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"the disk is full \([\d,]+ bytes needed, [\d,]+ free\)") as caught:
        saved(folder, stepped(toy, 4), 30)
    assert "\n" not in str(caught.value)
    found, notes = load(folder)
    assert found is not None
    assert found.place.total in (20, 30)
    assert notes == []
    assert not list(folder.glob(".tmp-*"))


def test_need_is_known_before_writing(folder: Path, toy: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    """R7: safetensors is not asked to write what does not fit."""
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))
    with pytest.raises(InputError, match="bytes needed, 100 free"):
        saved(folder, stepped(toy, 4), 30)
    found = load(folder)[0]
    assert found is not None
    assert found.place.total == 20


def test_no_half_written_tensors_are_read(folder: Path) -> None:
    """A complete file under a wrong name in the manifest is damaged, too."""
    save_file({"a": torch.zeros(3)}, folder / "step-20" / "model.safetensors")
    passed_over(folder)
