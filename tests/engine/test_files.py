"""Files are there whole or not at all."""

import errno
import hashlib
import os
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from etude.engine.files import disk_full, sha256, write_json, write_tensors, write_text
from etude.errors import InputError


def test_writes_what_is_read(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6).reshape(2, 3), "b": torch.zeros(0), "half": torch.ones(2, dtype=torch.bfloat16)}
    write_tensors(tmp_path / "a.safetensors", tensors)
    back = load_file(tmp_path / "a.safetensors")
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())
    write_json(tmp_path / "a.json", {"x": [1, 2]})
    assert (tmp_path / "a.json").read_text() == '{\n "x": [\n  1,\n  2\n ]\n}\n'
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.safetensors"]


def test_views_of_one_tensor_are_written(tmp_path: Path) -> None:
    """Tied weights, a transposed matrix."""
    matrix = torch.arange(6.0).reshape(2, 3)
    write_tensors(tmp_path / "a.safetensors", {"a": matrix, "b": matrix.T, "c": matrix[:, 1]})
    back = load_file(tmp_path / "a.safetensors")
    assert torch.equal(back["b"], matrix.T)
    assert torch.equal(back["c"], matrix[:, 1])


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_umask_decides_who_may_read(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_tensors(tmp_path / "a.safetensors", {"a": torch.ones(1)})
    finally:
        assert os.umask(before) == umask
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("reason", [OSError(errno.EIO, "input/output error"), KeyboardInterrupt()])
def test_failure_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: BaseException
) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "before")

    def fail(descriptor: int) -> None:
        raise reason

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(reason)):
        write_text(path, "after")
    assert path.read_text() == "before"


def test_full_device_is_told_in_one_line(tmp_path: Path) -> None:
    """R7, with the kernel's own error."""
    with pytest.raises(InputError) as caught, disk_full(tmp_path, 5), open("/dev/full", "w") as file:
        file.write("12345")
    assert re.fullmatch(
        rf"{tmp_path}: the disk is full \(5 bytes needed, [\d,]+ free\); what was saved is kept: free some space",
        str(caught.value),
    )


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), disk_full(tmp_path):
        (tmp_path / "nowhere").read_text()
    with pytest.raises(KeyError), disk_full(tmp_path):
        raise KeyError("a")


def test_need_beyond_what_is_free_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\(1,000,000,000,000,000,000 bytes needed"), disk_full(tmp_path, 10**18):
        raise AssertionError


def test_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    content = os.urandom(300_000)
    (tmp_path / "a").write_bytes(content)
    assert sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()
