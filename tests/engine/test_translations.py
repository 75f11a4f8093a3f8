"""FCN-score of translated pictures: what a judge says of good and bad ones, and when there can be none."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from etude.data.house_fronts import PARTS, Random, plan, render
from etude.data.kinds import ImagePairs
from etude.engine import translations
from etude.engine.extractors import score_generator
from etude.engine.run import Run, load
from etude.engine.train import train
from etude.engine.translations import FILE, are_maps, score_translations
from etude.errors import InputError
from etude.metrics.segmentation import Segmenter, labels, segmenter

COLOURS = np.array([[0, 0, 170], [0, 80, 255], [255, 80, 0], [255, 255, 255]], np.uint8)
SMALL: dict[str, Any] = {"maps": 4, "batch": 10, "epochs": 1, "field": 16, "quiet": True}


def write(folder: Path, name: str, pixels: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(folder / name)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps in four colours, one of them on half of the pixels, and pictures: a shade for each, under coloured noise."""
    folder, random = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    for place in range(60):
        classes = random.permutation([0, 0, 0, 1, 1, 2, 3, 0]).reshape(2, 4).repeat(8, 0).repeat(4, 1)
        write(folder / "A", f"{place}.png", COLOURS[classes])
        write(folder / "B", f"{place}.png", 30 + 60 * classes[..., None] + random.integers(-15, 16, (16, 16, 3)))
    return folder


@pytest.fixture(scope="module")
def pix2pix(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train("pix2pix", str(pairs), runs=tmp_path_factory.mktemp("runs"), jitter=1.0, **SMALL).folder


@pytest.fixture(scope="module")
def judge(pix2pix: Path) -> Segmenter:
    pairs = load(pix2pix).data().train
    assert isinstance(pairs, ImagePairs)
    return segmenter(pairs, epochs=6, rate=1e-2)


@pytest.fixture(autouse=True)
def _one_judge(judge: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is trained once for all tests, and shorter."""
    monkeypatch.setattr(translations, "segmenter", lambda pairs: judge)


class Answers:
    """In the place of a trained system, one whose answer is known."""

    device = torch.device("cpu")

    def __init__(self, answer: Any) -> None:
        self.translate = answer


def answering(folder: Path, answer: Any) -> Run:
    run = load(folder)
    run.__dict__["system"] = Answers(answer)
    return run


def truth(x: Tensor) -> Tensor:
    return ((30 + 60 * labels(x, torch.from_numpy(COLOURS) / 255)) / 255)[:, None].repeat(1, 3, 1, 1)


def test_a_judge_finds_the_maps_in_good_translations_only(pix2pix: Path) -> None:
    names = ("per-pixel accuracy", "per-class accuracy", "class IoU")
    grey = score_translations(answering(pix2pix, lambda x: torch.full_like(x, 0.5)))
    good = score_translations(answering(pix2pix, truth))
    assert good == json.loads((pix2pix / FILE).read_text())
    assert (good["extractor"], good["real"], good["generated"]) == ("a segmenter trained on 42 real pairs", 9, 9)
    for name in names:
        assert good["scores"][name] > 2 * grey["scores"][name]
        assert good["scores"][name] == pytest.approx(good["scores"][f"real pictures, {name}"], abs=0.1)
    assert good["scores"]["share of the most frequent class"] == pytest.approx(0.5)
    assert all(grey["scores"][name] == good["scores"][name] for name in grey["scores"] if name.startswith("real"))


def test_auto_is_the_fcn_score_where_maps_are_translated(pix2pix: Path, pairs: Path) -> None:
    told = score_generator(load(pix2pix))
    assert told == score_translations(load(pix2pix))
    assert "class IoU" in told["scores"]
    before = (pix2pix / FILE).read_text()
    others = score_generator(load(pix2pix), data=str(pairs))
    assert others["generated"] == 60
    assert score_generator(load(pix2pix), count=7, data=str(pairs))["generated"] == 7
    assert (pix2pix / FILE).read_text() == before


def test_noise_of_the_generator_is_drawn_from_the_seed_of_the_run(pix2pix: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = score_translations(answering(pix2pix, torch.rand_like))
    assert torch.equal(torch.rand(2), expected)
    assert score_translations(answering(pix2pix, torch.rand_like)) == first


def test_maps_are_told_from_pictures() -> None:
    random = Random(0)
    fronts = [plan(random) for _ in range(10)]
    maps = [np.array([*PARTS.values()], np.uint8).take(front, axis=0) for front in fronts]
    assert are_maps(stacked(maps))
    assert are_maps(stacked([compressed(each) for each in maps]))
    assert not are_maps(stacked([render(front, random) for front in fronts]))
    assert not are_maps(torch.randint(256, (30, 1, 16, 16)).to(torch.uint8))
    red, green, blue = torch.zeros(3, 1, 3, 8, 8, dtype=torch.uint8)
    red[:, 0] = green[:, 1] = blue[:, 2] = 4 * torch.arange(64).reshape(8, 8).to(torch.uint8)  # 32 colours each
    assert not are_maps(torch.cat([red, green, blue]))
    assert are_maps(red)


def stacked(pictures: list[Any]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def compressed(pixels: Any) -> Any:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg")
    return np.asarray(Image.open(file))


def test_without_maps_or_pairs_there_is_one_line(pairs: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    for domain in "AB":
        for file in (pairs / domain).iterdir():
            write(torn / domain, f"{domain}{file.name}", np.asarray(Image.open(file)))
    small = {"blocks": 0, **SMALL}
    for data, target, expected in (
        (pairs, "A", "are no label maps that a judge could find again: give --features a classifier's run or"),
        (torn, "B", "a judge learns from pairs, and the data of .* are torn apart: give --features a classifier's run"),
    ):
        run = train("cyclegan", str(data), target=target, runs=tmp_path, **small)
        with pytest.raises(InputError, match=expected) as caught:
            score_generator(run)
        assert "\n" not in str(caught.value)
        assert not (run.folder / FILE).exists()
