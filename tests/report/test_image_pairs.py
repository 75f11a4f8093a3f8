"""Translated pictures on the page of a run and in files."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from etude.cli import main
from etude.data.kinds import ImagePairs, Splits, split
from etude.engine.run import Run
from etude.engine.train import train
from etude.report import image_pairs
from etude.report.figures import sheet
from etude.report.view import Section, View


def negatives() -> Splits:
    x = torch.randint(256, (40, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return split(ImagePairs(x, (255 - x).expand(-1, 3, -1, -1).contiguous()), "negatives")


class Negative:
    device = torch.device("cpu")

    def translate(self, x: Tensor) -> Tensor:
        return 1 - x.expand(-1, 3, -1, -1)


class Both(Negative):
    def back(self, y: Tensor) -> Tensor:
        return 1 - y[:, :1]

    def cycle(self, x: Tensor) -> Tensor:
        return self.back(self.translate(x))


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The pictures of each contact sheet."""
    seen: list[Tensor] = []

    def drawn(pictures: Tensor, columns: int) -> Image.Image:
        seen.append(pictures)
        return sheet(pictures, columns)

    monkeypatch.setattr(image_pairs, "sheet", drawn)
    return seen


def drawn(system: Any, splits: Splits | None) -> list[Section]:
    run: Any = SimpleNamespace()
    return list(image_pairs.translated(View(run, system, splits)))


def test_input_output_and_truth_stand_in_columns(sheets: list[Tensor]) -> None:
    splits = negatives()
    (section,) = drawn(Negative(), splits)
    assert [figure.caption for figure in section.figures] == ["from above: input; output; true picture"]
    test = splits.test.to("cpu").tensors()
    count = len(test["x"])
    assert torch.equal(sheets[0][:count], test["x"].expand(-1, 3, -1, -1))
    torch.testing.assert_close(sheets[0][count : 2 * count], test["y"])
    assert torch.equal(sheets[0][2 * count :], test["y"])


def test_the_way_back_is_shown_and_no_truth_where_there_is_none() -> None:
    splits = negatives()
    assert isinstance(splits.test, ImagePairs)
    (section,) = drawn(Both(), replace(splits, test=replace(splits.test, aligned=False)))
    assert [figure.caption for figure in section.figures] == [
        "from above: input; output; input, back from the output",
        "from above: the other way: input; output",
    ]


def test_nothing_is_shown_without_data_or_verb() -> None:
    assert drawn(Negative(), None) == []
    assert drawn(SimpleNamespace(), negatives()) == []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    arguments: dict[str, Any] = {"maps": 2, "field": 16, "epochs": 1}
    return train("pix2pix", negatives(), runs=tmp_path_factory.mktemp("runs"), quiet=True, device="cpu", **arguments)


def picture(path: Path, *shape: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, 100, np.uint8)).save(path)
    return path


def told(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(list(map(str, words))) == 2
    return capsys.readouterr().err


def test_a_picture_is_translated_into_a_file(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = picture(tmp_path / "a.png", 16, 24)
    for out, written in (
        ([], run.folder / "translated" / "a.png"),
        (["--out", tmp_path / "b.png"], tmp_path / "b.png"),
        (["--out", tmp_path / "c"], tmp_path / "c" / "a.png"),
    ):
        assert main(["translate", str(run.folder), str(given), *map(str, out)]) == 0
        assert capsys.readouterr().out.replace("\n", "") == str(written)
        with Image.open(written) as image:
            assert (image.size, image.mode) == ((24, 16), "RGB")


def test_the_seed_decides_the_noise(run: Run, tmp_path: Path) -> None:
    given = picture(tmp_path / "a.png", 8, 8)
    for name, seed in (("1.png", 0), ("2.png", 0), ("3.png", 1)):
        assert main(["translate", str(run.folder), str(given), "--seed", str(seed), "--out", str(tmp_path / name)]) == 0
    made = [(tmp_path / f"{n}.png").read_bytes() for n in (1, 2, 3)]
    assert made[0] == made[1] != made[2]


def test_a_folder_is_translated_picture_by_picture(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png", 8, 8)
    picture(tmp_path / "in" / "deep" / "b.jpg", 16, 8)
    assert main(["translate", str(run.folder), str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    sizes = {str(file.relative_to(tmp_path / "out")): Image.open(file).size for file in tmp_path.glob("out/**/*.png")}
    assert sizes == {"a.png": (8, 8), "deep/b.png": (8, 16)}


def test_what_cannot_be_translated_is_one_line(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = picture(tmp_path / "small.png", 8, 12)
    assert "small.png: a picture of 12x8 pixels: sides must be multiples of 8" in told(
        capsys, "translate", run.folder, small
    )
    assert "no such file" in told(capsys, "translate", run.folder, tmp_path / "nowhere.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "t.csv").write_text("a\n1\n")
    assert "give ImagePairs" in told(capsys, "translate", run.folder, tmp_path / "t.csv")
    assert "no image file in it" in told(capsys, "translate", run.folder, tmp_path / "empty")
