"""What the verbs write."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

import etude
from etude.engine.run import Run
from etude.errors import InputError
from etude.report.files import image_shape, write_examples, write_predictions


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    table = folder / "table.csv"
    kinds = [("blue", "even"), ("red", "odd")]
    rows = [f"{i % 7},{colour},{target}" for i in range(60) for colour, target in kinds[i % 2 : i % 2 + 1]]
    table.write_text("\n".join(["width,colour,target", *rows]))
    tiny = {"runs": folder, "quiet": True, "epochs": 5}
    return {
        "pictures": etude.train("vae", "digits", latent=2, hidden=(8,), **tiny),
        "points": etude.train("gan", "ring8", output="linear", runs=folder, quiet=True, epochs=1),
        "table": etude.train("mlp", str(table), batch=10, **tiny),
    }


def sampled(run: Run, count: int) -> Tensor:
    system: Any = run.system
    samples: Tensor = system.sample(count)
    return samples


def test_pictures_become_a_sheet(runs: dict[str, Run], tmp_path: Path) -> None:
    run = runs["pictures"]
    assert image_shape(run) == (1, 8, 8)
    path = write_examples(run, sampled(run, 4), tmp_path / "x.png", "samples")
    with Image.open(path) as picture:
        assert picture.size[0] == picture.size[1] > 16
    assert write_examples(run, sampled(run, 4), None, "samples").name == "samples.png"


def test_points_become_rows(runs: dict[str, Run], tmp_path: Path) -> None:
    run = runs["points"]
    points = sampled(run, 7)
    path = write_examples(run, points, tmp_path / "x.csv", "samples")
    read = np.loadtxt(path, delimiter=",")
    np.testing.assert_allclose(read, points.numpy(), rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="rows of numbers, not pictures"):
        write_examples(run, points, tmp_path / "x.png", "samples")


def test_new_rows_of_a_table_are_prepared_alike(runs: dict[str, Run], tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("width,colour\n3,red\n4,blue\n5,red\n")
    assert "3 predictions" in write_predictions(runs["table"], tmp_path / "new.csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open() as file:
        assert [row["class"] for row in csv.DictReader(file)] == ["odd", "even", "odd"]


def test_codes_where_there_is_nothing_to_classify(
    runs: dict[str, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (8, 8), 90).save(tmp_path / "a.png")
    assert write_predictions(runs["pictures"], tmp_path / "a.png", None) == ""
    assert capsys.readouterr().out.startswith("example,encode_0,encode_1")


def test_a_generator_predicts_nothing(runs: dict[str, Run], tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="predicts nothing from input"):
        write_predictions(runs["points"], tmp_path / "p.csv", None)
