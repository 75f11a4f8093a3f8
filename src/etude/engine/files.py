"""Files that are there whole or not at all."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from etude.errors import InputError


def flush(path: Path) -> None:
    """Force a file or a folder's list of names to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole: under a temporary name, flushed, renamed."""
    with disk_full(path.parent, len(text.encode())):
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(text)
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=1) + "\n")


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file, readable by whom the user's umask allows (safetensors alone writes mode 0600)."""
    from safetensors.torch import save_file

    copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    with disk_full(path.parent, sum(t.nbytes for t in copies.values())):
        temporary = path.with_name(f".{path.name}.tmp")
        save_file(copies, temporary)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        flush(temporary)
        temporary.replace(path)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def disk_full(folder: Path, needed: int = 0) -> Iterator[None]:
    """Turn a full disk into one line, before writing where the need is known.

    Raises:
        InputError: says how many bytes are needed and how many are free.
    """
    if shutil.disk_usage(folder).free < needed:
        raise _full(folder, needed)
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _full(folder, needed) from error
        raise
    except Exception as error:
        if "No space left on device" in str(error) or "os error 28" in str(error):
            raise _full(folder, needed) from error
        raise


def _full(folder: Path, needed: int) -> InputError:
    free = shutil.disk_usage(folder).free
    return InputError(
        f"{folder}: the disk is full ({needed:,} bytes needed, {free:,} free); what was saved is kept: free some space"
    )
