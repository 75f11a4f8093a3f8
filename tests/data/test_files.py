"""A broken file is one line that names it; a missing data set says where it was looked for."""

from pathlib import Path

import pytest

from etude.data.files import locate, reading, visible_files
from etude.errors import InputError


@pytest.mark.parametrize(
    "error", [ValueError("bad\nthing"), KeyError("x"), MemoryError(), EOFError(), RecursionError("deep")]
)
def test_any_exception_becomes_one_line(error: Exception) -> None:
    with (
        pytest.raises(InputError, match=r"^some\.npy: not readable as an npy file") as caught,
        reading(Path("some.npy"), "an npy file"),
    ):
        raise error
    assert "\n" not in str(caught.value)


def test_input_errors_pass() -> None:
    with pytest.raises(InputError, match=r"^mine$"), reading(Path("x"), "a table"):
        raise InputError("mine")


def test_hidden_files_are_not_seen(tmp_path: Path) -> None:
    for name in ("a.TXT", "b/c.txt", ".d.txt", ".e/f.txt", "__MACOSX/g.txt", "h.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert set(visible_files(tmp_path, (".txt",))) == {tmp_path / "a.TXT", tmp_path / "b" / "c.txt"}


def test_locate_looks_in_both_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ETUDE_DATA.*etude data fetch mnist"):
        locate(None, "mnist", "a*")
    with pytest.raises(InputError, match=rf"mnist is not in {tmp_path} nor {tmp_path}/mnist"):
        locate(tmp_path, "mnist", "a*")
    with pytest.raises(InputError, match=r"correct --data-dir or \$ETUDE_DATA; ask its author$"):
        locate(tmp_path, "mnist", "a*", get="ask its author")
    (tmp_path / "a1").touch()
    assert locate(tmp_path, "mnist", "a*") == [tmp_path / "a1"]
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "a2").touch()
    assert locate(tmp_path, "mnist", "a*") == [tmp_path / "mnist" / "a2"]
