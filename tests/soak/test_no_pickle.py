"""R4: nothing that is loaded can run code of its own: no pickle, neither in the source nor while everything is read."""

import ast
import csv
import os
import pickle
import random
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

import etude
from etude.data import source
from etude.engine import checkpoint
from etude.engine.run import load
from etude.engine.train import evaluate, train
from etude.errors import InputError

SOURCE = Path(etude.__file__).parent
TRAPS = 50 if "ETUDE_SOAK" in os.environ else 2  # of each sort
MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "imp"}
CALLS = {"eval", "exec", "compile", "__import__"}
MAKES_CODE = SOURCE / "autodiff" / "source.py"
"""Compiles the derivatives that it has itself written, from functions of the calling program; it reads no file."""
FOUND: list[str] = []
LISTENING = [False]


def audit(event: str, details: Any) -> None:
    if LISTENING[0] and event == "pickle.find_class":
        FOUND.append(str(details))


sys.addaudithook(audit)


@contextmanager
def unpickled() -> Iterator[list[str]]:
    """What pickle looks up meanwhile."""
    FOUND.clear()
    LISTENING[0] = True
    try:
        yield FOUND
    finally:
        LISTENING[0] = False


class Trap:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_source_has_none(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import(names=names):
                assert not {name.name.partition(".")[0] for name in names} & MODULES
            case ast.ImportFrom(module=str(module)):
                assert module.partition(".")[0] not in MODULES
            case ast.Call(func=ast.Name(id=name)):
                assert name not in CALLS or (file == MAKES_CODE and name in {"compile", "exec"})
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="load"), keywords=keywords):
                assert owner != "torch"
                refused = {k.arg: k.value for k in keywords}.get("allow_pickle")
                assert owner != "np" or (isinstance(refused, ast.Constant) and refused.value is False)
            case ast.Attribute(attr=attribute):
                assert attribute not in {"read_pickle", "to_pickle", "import_module_from_string"}
            case ast.keyword(arg="allow_pickle", value=value):
                assert isinstance(value, ast.Constant)
                assert value.value is False


def test_hook_hears_pickle(tmp_path: Path) -> None:
    with unpickled() as found:
        pickle.loads(pickle.dumps(Trap(tmp_path / "executed")))
    assert found
    assert (tmp_path / "executed").exists()


def test_runs_and_checkpoints_are_read_without(tmp_path: Path) -> None:
    def ask() -> Any:
        return train("vae", "blobs", runs=tmp_path, quiet=True, latent=2, hidden=(8,), decoder="gaussian", epochs=1)

    folder = ask().folder
    with unpickled() as found:
        run = load(folder)
        assert checkpoint.load(folder / "checkpoint")[0] is not None
        assert run.system.training is False
        assert run.previews()
        evaluate(run)
        run.update(finished=False)  # so that it goes on from the checkpoint
        assert ask().finished
    assert found == []


def write_npy(folder: Path, x: Any, y: Any) -> Path:
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    return folder


def write_npz(folder: Path, x: Any, y: Any) -> Path:
    np.savez(folder / "a.npz", x=x, y=y)
    return folder / "a.npz"


def write_csv(folder: Path, x: Any, y: Any) -> Path:
    with (folder / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["a", "b", "label"], *([*row, f"c{label}"] for row, label in zip(x, y, strict=True))]
        )
    return folder / "a.csv"


def write_parquet(folder: Path, x: Any, y: Any) -> Path:
    table = pyarrow.table({"a": x[:, 0], "b": x[:, 1], "label": [f"c{label}" for label in y]})
    pyarrow.parquet.write_table(table, folder / "a.parquet")
    return folder / "a.parquet"


def write_images(folder: Path, x: Any, y: Any) -> Path:
    for place, label in enumerate(y):
        (folder / f"c{label}").mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), place, np.uint8)).save(folder / f"c{label}" / f"{place}.png")
    return folder


def write_idx(folder: Path, x: Any, y: Any) -> Path:
    for name, array in (("train-images-idx3-ubyte", np.zeros((60, 8, 8), np.uint8)), ("train-labels-idx1-ubyte", y)):
        sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
        (folder / name).write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes())
    return folder


@pytest.mark.parametrize("write", [write_npy, write_npz, write_csv, write_parquet, write_images, write_idx])
def test_data_of_every_form_are_read_without(tmp_path: Path, write: Callable[[Path, Any, Any], Path]) -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32), np.arange(60) % 3
    path = write(tmp_path, x, y)
    with unpickled() as found:
        splits = source.load(path, target="label" if path.suffix in (".csv", ".parquet") else None)
    assert len(splits.train) == 42
    assert found == []


def trap_npy(path: Path, trap: Trap) -> Path:
    np.save(path.with_suffix(".npy"), np.array([trap] * 60, dtype=object), allow_pickle=True)
    return path.with_suffix(".npy")


def trap_npz(path: Path, trap: Trap) -> Path:
    np.savez(path.with_suffix(".npz"), x=np.array([[trap]] * 60, dtype=object))
    return path.with_suffix(".npz")


def trap_torch(path: Path, trap: Trap) -> Path:
    torch.save({"x": trap}, path.with_suffix(".npz"))
    return path.with_suffix(".npz")


def trap_torch_by_its_own_name(path: Path, trap: Trap) -> Path:
    torch.save({"x": trap}, path.with_suffix(".pt"))
    return path.with_suffix(".pt")


def trap_raw(path: Path, trap: Trap) -> Path:
    path.with_suffix(".npy").write_bytes(pickle.dumps(trap, random.Random(path.name).randint(0, 5)))
    return path.with_suffix(".npy")


def trap_member(path: Path, trap: Trap) -> Path:
    with zipfile.ZipFile(path.with_suffix(".npz"), "w") as archive:
        archive.writestr("x.npy", pickle.dumps(trap))
        archive.writestr("x.pkl", pickle.dumps(trap))
    return path.with_suffix(".npz")


@pytest.mark.parametrize("write", [trap_npy, trap_npz, trap_torch, trap_torch_by_its_own_name, trap_raw, trap_member])
def test_crafted_data_are_refused(tmp_path: Path, write: Callable[[Path, Trap], Path]) -> None:
    for number in range(TRAPS):
        path = write(tmp_path / f"a{number}", Trap(tmp_path / "executed"))
        with unpickled() as found, pytest.raises(InputError, match=f"^{path}.*: ") as caught:
            source.load(path)
        assert found == []
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "run.json", "scores.json"])
def test_crafted_runs_are_refused(tmp_path: Path, name: str) -> None:
    run = train("mlp", "blobs", runs=tmp_path, quiet=True, hidden=(8,), epochs=1)
    torch.save({"x": Trap(tmp_path / "executed")}, run.folder / name)

    def read() -> None:
        opened = load(run.folder)
        _ = opened.system, opened.scores

    with unpickled() as found, pytest.raises(InputError) as caught:
        read()
    assert found == []
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()
