"""Download of original files: each has a pinned hash, a broken download goes on where it stopped."""

import hashlib
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from etude.data.files import reading
from etude.errors import InputError

CHUNK = 2**20  # bytes
PATIENCE = 30  # seconds without a byte before a server is given up


@dataclass(frozen=True)
class Original:
    """A file as its authors published it.

    Attributes:
        name: what it is called on disk.
        sha256: of its bytes, in hexadecimal digits.
        urls: where it lies, tried in turn.
        members: the files to take out of it, where it is an archive.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]
    members: tuple[str, ...] = ()


def _mnist(name: str, sha256: str) -> Original:
    homes = ("http://yann.lecun.com/exdb/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
    return Original(name, sha256, tuple(home + name for home in homes))


ORIGINALS = {
    "mnist": (
        _mnist("train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        _mnist("train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        _mnist("t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        _mnist("t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
    "cifar10": (
        Original(
            "cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
            (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"),
        ),
    ),
    "omniglot": (
        Original(
            "images_background_small1.zip",
            "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
            ("https://raw.githubusercontent.com/brendenlake/omniglot/master/python/images_background_small1.zip",),
        ),
    ),
}


def fetch(name: str, data_dir: str | Path) -> list[Path]:
    """The original files of a data set, in its folder of `data_dir`; what is there and whole is not fetched again.

    Raises:
        InputError: nothing is known to fetch under this name, a download broke off, or a file is not the original.
    """
    if name not in ORIGINALS:
        raise InputError(f"nothing to fetch for {name!r}: give one of {', '.join(ORIGINALS)}")
    folder = Path(data_dir) / name
    files: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for original in ORIGINALS[name]:
            file = _whole(original, folder)
            files += _unpack(file, original.members) if original.members else [file]
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}): give another --data-dir") from error
    return files


def _whole(original: Original, folder: Path) -> Path:
    file, part = folder / original.name, folder / f"{original.name}.part"
    if file.exists():
        if _sha256(file) != original.sha256:
            raise InputError(f"{file}: is not the original (its SHA-256 differs): move it away to fetch the original")
        return file
    for url in original.urls:
        problem = _download(url, part)
        if problem is None and _sha256(part) == original.sha256:
            part.replace(file)
            return file
        if problem is None:
            part.unlink()
            problem = f"{url}: what came is not the original (its SHA-256 differs), it is removed: try again later"
    raise InputError(str(problem))


def _download(url: str, part: Path) -> str | None:
    """Bring `part` to its full length, going on where it stops; what went wrong, if anything."""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
        with answer, part.open("ab" if answer.status == 206 else "wb") as out:
            length = out.tell() + int(answer.headers.get("Content-Length", 0))
            while chunk := answer.read(CHUNK):
                out.write(chunk)
    except (OSError, HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError) and error.code == 416:  # nothing is left to ask for
            return None
        return f"{url}: {' '.join(str(error).split())}: try again to go on"
    came = part.stat().st_size
    return None if came >= length else f"{url}: broke off after {came} of {length} bytes: try again to go on"


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _unpack(archive: Path, members: tuple[str, ...]) -> list[Path]:
    """The named files of an archive, taken out into its folder wherever they lie in it; nothing else is written."""
    files = [archive.parent / member for member in members]
    if all(file.exists() for file in files):
        return files
    with reading(archive, "a tar archive"), tarfile.open(archive) as opened:
        inside = {Path(member.name).name: member for member in opened if member.isfile()}
        for file in files:
            source = opened.extractfile(inside[file.name])
            assert source is not None
            part = file.with_name(f"{file.name}.part")
            part.write_bytes(source.read())
            part.replace(file)
    return files
