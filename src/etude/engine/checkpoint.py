"""Checkpoints: enough to go on bit for bit, whole or not at all, and never a pickle.

.tmp-STEP/ is written (weights, optimizers and random states as safetensors, the place as JSON, a manifest of SHA-256
hashes), flushed, renamed to step-STEP; the last two are kept; on loading, the newest whose hashes match is used.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from etude.engine.files import disk_full, flush, sha256, write_json, write_tensors
from etude.errors import InputError
from etude.systems.system import System, optimizers

KEPT = 2


@dataclass(frozen=True)
class Place:
    """Where training is: `step` updates done in pass `epoch` of a phase; `total` and `passes` count all of them."""

    phase: int = 0
    epoch: int = 0
    step: int = 0
    total: int = 0
    passes: int = 0


def save(
    folder: Path,
    system: System,
    place: Place,
    losses: dict[str, Tensor],
    random: dict[str, Tensor],
    facts: dict[str, Any],
) -> None:
    """Write a checkpoint.

    Args:
        folder: the run's `checkpoint` folder.
        losses: what this pass has logged so far, (steps,) each.
        random: the state of every random generator, on every process.
        facts: what a resumed run should compare (threads, device).

    Raises:
        InputError: the disk is full; earlier checkpoints are untouched.
    """
    temporary, final = folder / f".tmp-{place.total}", folder / f"step-{place.total}"
    old = folder / f".old-{place.total}"
    for left in (temporary, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        with disk_full(folder.parent):
            temporary.mkdir(parents=True)
            tensors, groups = _optimizer_state(system)
            write_tensors(temporary / "model.safetensors", _weights(system))
            write_tensors(temporary / "optimizers.safetensors", tensors)
            write_tensors(
                temporary / "random.safetensors", random | {f"losses/{name}": t for name, t in losses.items()}
            )
            write_json(temporary / "state.json", {"place": asdict(place), "groups": groups, "facts": facts})
            names = sorted(path.name for path in temporary.iterdir())
            write_json(temporary / "MANIFEST.json", {name: sha256(temporary / name) for name in names})
            flush(temporary)
            if final.exists():
                final.rename(old)
            temporary.rename(final)
            flush(folder)
    except InputError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    # what claims to be later than this was damaged, or training would have gone on from there
    kept = sorted((path for path in folder.glob("step-*") if _number(path) <= place.total), key=_number)[-KEPT:]
    for path in folder.iterdir():
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True)
class Checkpoint:
    """What was read back."""

    place: Place
    model: dict[str, Tensor]
    optimizers: dict[str, Tensor]
    groups: dict[str, Any]
    random: dict[str, Tensor]
    losses: dict[str, Tensor]
    facts: dict[str, Any]

    def restore(self, system: System) -> None:
        """Put weights and optimizers back, in place."""
        system.load_state_dict(self.model)
        for path, optimizer in optimizers(system).items():
            state = optimizer.state_dict()
            state["param_groups"] = [
                _like(now, then) for now, then in zip(state["param_groups"], self.groups[path], strict=True)
            ]
            state["state"] = {}
            for key, tensor in self.optimizers.items():
                owner, place, name = key.rsplit("/", 2)
                if owner == path:
                    state["state"].setdefault(int(place), {})[name] = tensor
            optimizer.load_state_dict(state)


def load(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint whose hashes match, None where there is none, and a line about each one passed over."""
    passed_over: list[str] = []
    for path in sorted(folder.glob("step-*"), key=_number, reverse=True):
        try:
            return _read(path), passed_over
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            passed_over.append(f"{path}: damaged, not used ({reason}); going on from the one before")
    return None, passed_over


def _read(path: Path) -> Checkpoint:
    manifest = json.loads((path / "MANIFEST.json").read_text())
    for name in ("model.safetensors", "optimizers.safetensors", "random.safetensors", "state.json"):
        if sha256(path / name) != manifest[name]:
            raise ValueError(f"{name} is not what was written")
    state = json.loads((path / "state.json").read_text())
    rest = load_file(path / "random.safetensors")
    return Checkpoint(
        place=Place(**state["place"]),
        model=load_file(path / "model.safetensors"),
        optimizers=load_file(path / "optimizers.safetensors"),
        groups=state["groups"],
        random={k: v for k, v in rest.items() if not k.startswith("losses/")},
        losses={k.removeprefix("losses/"): v for k, v in rest.items() if k.startswith("losses/")},
        facts=state["facts"],
    )


def _number(path: Path) -> int:
    digits = path.name.removeprefix("step-")
    return int(digits) if digits.isdigit() else -1


def _weights(system: System) -> dict[str, Tensor]:
    return {name: value for name, value in system.state_dict().items() if isinstance(value, Tensor)}


def _optimizer_state(system: System) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, groups = {}, {}
    for path, optimizer in optimizers(system).items():
        state = optimizer.state_dict()
        groups[path] = state["param_groups"]
        for place, values in state["state"].items():
            for name, value in values.items():
                if value is not None:
                    tensors[f"{path}/{place}/{name}"] = torch.as_tensor(value)
    return tensors, groups


def _like(now: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    """A parameter group read from JSON, its lists turned back into the tuples that the optimizer holds."""
    return {k: tuple(v) if isinstance(now.get(k), tuple) else v for k, v in then.items()}
