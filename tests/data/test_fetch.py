"""Downloads against a server on this machine: whole, broken off and resumed, wrong, hostile."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from etude.data import fetch as module
from etude.data.fetch import ORIGINALS, Original, fetch
from etude.errors import InputError

DATA = np.random.default_rng(0).bytes(100_000)
SHA = hashlib.sha256(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `files`, only the first `limit` bytes of each answer, and notes from which byte each was asked."""

    files: dict[str, bytes]
    limit: int
    ranges: bool
    asked: list[tuple[str, int]]


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.server.asked.append((self.path, start))
        data = self.server.files.get(self.path)
        if data is None or start >= len(data):
            self.send_error(404 if data is None else 416)
            return
        start = start if self.server.ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start : start + self.server.limit])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Answer) as running:
        running.files, running.limit, running.ranges, running.asked = {"/a.gz": DATA}, len(DATA), True, []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def home(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setitem(ORIGINALS, "toy", (Original("a.gz", SHA, (f"{url}/a.gz",)),))
    return url


@pytest.mark.usefixtures("home")
def test_a_whole_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        assert fetch("toy", tmp_path) == [tmp_path / "toy" / "a.gz"]
    assert (tmp_path / "toy" / "a.gz").read_bytes() == DATA
    assert server.asked == [("/a.gz", 0)]
    assert [file.name for file in (tmp_path / "toy").iterdir()] == ["a.gz"]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on(server: Server, tmp_path: Path, ranges: bool) -> None:
    server.limit, server.ranges = 60_000, ranges
    with pytest.raises(InputError, match="broke off after 60000 of 100000 bytes: try again to go on"):
        fetch("toy", tmp_path)
    assert not (tmp_path / "toy" / "a.gz").exists()
    server.limit = len(DATA)
    fetch("toy", tmp_path)
    assert server.asked == [("/a.gz", 0), ("/a.gz", 60_000)]
    assert (tmp_path / "toy" / "a.gz").read_bytes() == DATA


@pytest.mark.usefixtures("home")
def test_a_part_that_was_whole_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "a.gz.part").write_bytes(DATA)
    assert fetch("toy", tmp_path)[0].read_bytes() == DATA


@pytest.mark.usefixtures("home")
def test_a_wrong_file_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    server.files["/a.gz"] = DATA[:-1] + b"x"
    with pytest.raises(InputError, match="not the original"):
        fetch("toy", tmp_path)
    assert list((tmp_path / "toy").iterdir()) == []


@pytest.mark.usefixtures("home")
def test_another_file_of_that_name_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "a.gz").write_bytes(b"mine")
    with pytest.raises(InputError, match="move it away"):
        fetch("toy", tmp_path)
    assert (tmp_path / "toy" / "a.gz").read_bytes() == b"mine"
    assert server.asked == []


def test_the_next_address_is_tried(server: Server, home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["/wrong"] = b"a page that says the file has moved"
    urls = (f"{home}/none", f"{home}/wrong", f"{home}/a.gz")
    monkeypatch.setitem(ORIGINALS, "toy", (Original("a.gz", SHA, urls),))
    assert fetch("toy", tmp_path)[0].read_bytes() == DATA
    assert [path for path, _ in server.asked] == ["/none", "/wrong", "/a.gz"]


def test_no_server_and_no_folder_are_one_line_each(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ORIGINALS, "toy", (Original("a.gz", SHA, (f"{home}/none",)),))
    with pytest.raises(InputError, match="404"):
        fetch("toy", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        fetch("toy", tmp_path / "file")
    with pytest.raises(InputError, match="nothing to fetch for 'digits': give one of mnist, cifar10"):
        fetch("digits", tmp_path)


def test_an_archive_is_unpacked_nowhere_else(
    server: Server, home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, data in (
            ("batches/a.bin", b"first"),
            ("../../evil.bin", b"evil"),
            ("/tmp/etude-evil", b"evil"),
            ("b.bin", b"second"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("c.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    server.files["/t.tar.gz"] = made.getvalue()
    sha = hashlib.sha256(made.getvalue()).hexdigest()

    def offer(*members: str) -> None:
        monkeypatch.setitem(ORIGINALS, "toy", (Original("t.tar.gz", sha, (f"{home}/t.tar.gz",), members),))

    offer("a.bin", "b.bin")
    folder = tmp_path / "deep" / "toy"
    assert [file.read_bytes() for file in fetch("toy", tmp_path / "deep")] == [b"first", b"second"]
    assert sorted(path.name for path in folder.iterdir()) == ["a.bin", "b.bin", "t.tar.gz"]
    assert sorted(path.name for path in tmp_path.rglob("*.bin")) == ["a.bin", "b.bin"]
    offer("a.bin", "c.bin")
    with pytest.raises(InputError, match=r"t\.tar\.gz: not readable as a tar archive"):
        fetch("toy", tmp_path / "deep")


def test_the_table_pins_every_file() -> None:
    for originals in module.ORIGINALS.values():
        for original in originals:
            assert len(bytes.fromhex(original.sha256)) == 32
            assert all(url.endswith(original.name) for url in original.urls)
