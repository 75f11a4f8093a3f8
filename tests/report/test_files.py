"""What the verbs write."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import etude
from etude.data import source
from etude.engine.run import Run
from etude.engine.train import train
from etude.errors import InputError
from etude.report.files import called, image_shape, write_clusters, write_examples, write_predictions


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


DEC: dict[str, Any] = {"epochs": 2, "batch": 20, "restarts": 2}
ENCODER: dict[str, Any] = {
    "on.hidden": (32,),
    "on.latent": 2,
    "on.rate": 0.3,
    "on.layer_epochs": 10,
    "on.epochs": 30,
    "on.batch": 20,
}


def clustered(folder: Path, data: Any, **more: Any) -> Run:
    return train("dec", data, runs=folder, quiet=True, device="cpu", **(DEC | ENCODER | more))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def pictures(folder: Path, count: int) -> Path:
    draw = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for place in range(count):
        Image.fromarray(draw.integers(0, 256, (4, 4), np.uint8)).save(folder / f"{place:02d}.png")
    return folder


def test_every_example_of_the_runs_own_table_has_a_cluster(runs: dict[str, Run], tmp_path: Path) -> None:
    """Each row of the file once, with its part and its class; the sizes that are told are those in the file."""
    path = Path(runs["table"].record["data"]["asked"])
    run = clustered(tmp_path, path)
    told = write_clusters(run, None, tmp_path / "out.csv")
    found = rows(tmp_path / "out.csv")
    assert list(found[0]) == ["part", "example", "cluster", "confidence", "class", "cluster_0", "cluster_1"]
    assert sorted(int(row["example"]) for row in found) == list(range(60))
    table = rows(path)
    assert all(row["class"] == table[int(row["example"])]["target"] for row in found)
    assert {part: sum(row["part"] == part for row in found) for part in run.record["counts"]} == run.record["counts"]
    for row in found:
        soft = [float(row["cluster_0"]), float(row["cluster_1"])]
        assert sum(soft) == pytest.approx(1, abs=1e-5)
        assert float(row["confidence"]) == soft[int(row["cluster"])] == max(soft)
    sizes = [sum(row["cluster"] == name for row in found) for name in "01"]
    assert told == f"60 examples in {tmp_path / 'out.csv'}, in clusters of {sizes[0]}, {sizes[1]}"


def test_new_examples_are_clustered_as_the_same_ones_were(runs: dict[str, Run], tmp_path: Path) -> None:
    """`predict` and `cluster` say the same; without labels there is no class."""
    path = Path(runs["table"].record["data"]["asked"])
    run = clustered(tmp_path, path)
    (tmp_path / "new.csv").write_text("\n".join(line.rpartition(",")[0] for line in path.read_text().splitlines()))
    write_clusters(run, None, tmp_path / "own.csv")
    write_clusters(run, tmp_path / "new.csv", tmp_path / "new_clusters.csv")
    write_predictions(run, tmp_path / "new.csv", tmp_path / "predicted.csv")
    assert (tmp_path / "predicted.csv").read_text() == (tmp_path / "new_clusters.csv").read_text()
    new = rows(tmp_path / "predicted.csv")
    assert list(new[0]) == ["example", "cluster", "confidence", "cluster_0", "cluster_1"]
    own = {row["example"]: row["cluster"] for row in rows(tmp_path / "own.csv")}
    assert {row["example"]: row["cluster"] for row in new} == own


def documents(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for place in range(count):
        (folder / f"{place}.txt").write_text("ship " + "ocean " * place + "sailor " * (place % 7))
    return folder


@pytest.mark.parametrize(("make", "ending"), [(pictures, "png"), (documents, "txt")])
def test_examples_are_called_by_their_files(make: Callable[[Path, int], Path], ending: str, tmp_path: Path) -> None:
    """In one folder or split, as the data of a run or as new input: a file's name goes with what is in the file."""
    top = make(tmp_path / "top" / "train", 40).parent
    make(top / "test", 10)
    for data in (top / "train", top):
        splits = source.load(data)
        new = source.read(data, type(splits.train), splits.preparation)
        parts = [(batch, called(data, batch, part)) for part, batch in splits.parts().items()]
        own = {name: row for batch, names in parts for name, row in zip(names, batch.tensors()["x"], strict=True)}
        assert own.keys() == {str(file.relative_to(data)) for file in data.rglob(f"*.{ending}")}
        again = dict(zip(called(data, new), new.tensors()["x"], strict=True))
        assert own.keys() == again.keys()
        assert all(torch.allclose(own[name], again[name]) for name in own)
    one = next(top.rglob(f"*.{ending}"))
    assert called(one, source.read(one, type(splits.train), splits.preparation)) == [one.name]


def test_the_pieces_of_a_text_are_counted(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("to be or not to be " * 300)
    splits = source.load(tmp_path / "mine.txt")
    new = source.read(tmp_path / "mine.txt", type(splits.train), splits.preparation)
    assert called(tmp_path / "mine.txt", new) == [f"mine.txt:{place}" for place in range(1, len(new) + 1)]
    assert called(tmp_path, new) == [f"{tmp_path.name}:{place}" for place in range(1, len(new) + 1)]
    assert called(tmp_path / "mine.txt", new[:1]) == ["mine.txt"]


def test_where_nothing_is_held_out_each_example_is_listed_once(
    runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = clustered(tmp_path, runs["table"].record["data"]["asked"])
    whole = run.data().whole()
    monkeypatch.setattr(Run, "data", lambda self: whole)
    write_clusters(run, None, tmp_path / "out.csv")
    found = rows(tmp_path / "out.csv")
    assert [row["part"] for row in found] == ["all"] * 60
