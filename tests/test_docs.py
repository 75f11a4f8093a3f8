"""The pages say what is true: their Python runs, their commands work, and so does what CONTRIBUTING.md adds."""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from glob import glob
from pathlib import Path
from typing import Any

import pytest

from etude.cli import main

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_works(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands under the blocks of a page.

    `python` blocks share their names, each line of a `sh` block is a command of ours, an `output` block is what the
    block before it prints, a block with a file name is that file, `console` blocks only show.
    """
    names: dict[str, Any] = {}
    monkeypatch.syspath_prepend(tmp_path)
    with contextlib.chdir(tmp_path):
        for number, (language, name, text) in enumerate(FENCE.findall(page.read_text())):
            if language == "output":
                assert capsys.readouterr().out == text
                continue
            capsys.readouterr()
            if name:
                Path(name).write_text(text)
            elif language == "python":
                block = Path(f"block{number}.py").absolute()
                block.write_text(text)
                exec(compile(text, str(block), "exec"), names)
            elif language == "sh":
                for line in text.splitlines():
                    program, *words = shlex.split(line, comments=True)
                    assert program == "etude", line
                    words = [name for word in words for name in glob(word) or [word]]
                    assert main(words) == 0, f"{line}: {capsys.readouterr().err}"


def test_the_system_that_contributing_adds(tmp_path: Path) -> None:
    left_out = shutil.ignore_patterns("__pycache__", "findings.jsonl")
    for folder in ("src", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=left_out)
    files = {name: text for _, name, text in FENCE.findall((ROOT / "CONTRIBUTING.md").read_text()) if name}
    assert len(files) == 3
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for words in (
        ["pytest", "-k", "adaline", "tests/systems/feedforward/test_adaline.py", "tests/systems/test_every_system.py"],
        ["etude", "reproduce", "adaline"],
    ):
        ended = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "HOLDS" in ended.stdout
