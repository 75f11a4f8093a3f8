"""A run's folder: named by the question, read back, held by one writer."""

import json
import os
import random
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from etude.cli import main
from etude.data.kinds import UNKNOWN, Splits
from etude.engine import checkpoint
from etude.engine.files import sha256
from etude.engine.run import Run, folder_of, load
from etude.engine.train import train
from etude.errors import InputError

SOAK = "ETUDE_SOAK" in os.environ
RACES = 50 if SOAK else 5
Fork = Callable[[Callable[[], object]], Any]
QUESTION = {"system": "mlp", "arguments": {"rate": 0.1}, "data": "toy", "digest": "ab", "seed": 0}


@pytest.fixture
def run(toy: Splits, tmp_path: Path) -> Run:
    return train("mlp", toy, runs=tmp_path, quiet=True, hidden=(8,), epochs=2, batch=6)


def test_same_question_names_the_same_folder(tmp_path: Path) -> None:
    again = json.loads(json.dumps(dict(reversed(QUESTION.items()))))
    assert folder_of(QUESTION, tmp_path) == folder_of(again, tmp_path)
    assert folder_of(QUESTION, tmp_path).name.startswith("mlp-toy-")


@pytest.mark.parametrize("change", [{"seed": 1}, {"digest": "cd"}, {"arguments": {"rate": 0.2}}, {"precision": "bf16"}])
def test_other_question_names_another_folder(change: dict[str, Any], tmp_path: Path) -> None:
    assert folder_of(QUESTION | change, tmp_path) != folder_of(QUESTION, tmp_path)


def test_lists_and_tuples_ask_the_same(tmp_path: Path) -> None:
    """Arguments are tuples before and lists after they have been in a file."""
    given = [QUESTION | {"arguments": {"hidden": hidden}} for hidden in ((8,), [8])]
    assert folder_of(given[0], tmp_path) == folder_of(given[1], tmp_path)


def test_trained_again_it_is_found_finished(run: Run, toy: Splits, tmp_path: Path) -> None:
    before = (run.folder / "model.safetensors").stat().st_mtime_ns
    again = train("mlp", toy, runs=tmp_path, quiet=True, hidden=(8,), epochs=2, batch=6)
    assert again.folder == run.folder
    assert (run.folder / "model.safetensors").stat().st_mtime_ns == before


def test_folder_holds_what_it_should(run: Run) -> None:
    names = {path.name for path in run.folder.iterdir()}
    assert {"run.json", "log.jsonl", "events", "checkpoint", "model.safetensors", "scores.json"} <= names
    assert run.finished
    assert run.record["weights"] == sha256(run.folder / "model.safetensors")
    assert run.scores.keys() == run.log[-1]["validation"].keys()


def test_read_back_it_serves_the_same(run: Run, toy: Splits) -> None:
    system = load(run.folder).system
    assert not system.training
    ready: Any = toy.test.to("cpu")
    assert torch.equal(system.classify(ready.x), run.system.classify(ready.x))  # type: ignore[operator]


def test_command_asks_the_same_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etude.report.page.write", lambda run, data: None)
    run = train("mlp", "blobs", runs=tmp_path, quiet=True, hidden=(8, 4), epochs=1, rate=0.05, seed=3)
    words = shlex.split(run.record["command"])
    assert main([*words[1:], "--runs", str(tmp_path), "--epochs", "1"]) == 0
    assert len(list(tmp_path.iterdir())) == 1


def test_second_writer_is_refused(run: Run, toy: Splits, tmp_path: Path) -> None:
    """R12: the lock is free again afterwards."""
    expected = "is being trained by another process: wait for it, or ask with another --seed$"
    run.update(finished=False)
    with run.locked(), pytest.raises(InputError, match=expected):
        train("mlp", toy, runs=tmp_path, quiet=True, hidden=(8,), epochs=2, batch=6)
    train("mlp", toy, runs=tmp_path, quiet=True, hidden=(8,), epochs=2, batch=6)


def test_races_have_one_winner(toy: Splits, fork: Fork, tmp_path: Path) -> None:
    """R12: of processes started together one trains; the others say that it does, or find it done."""

    def go(runs: str) -> Run:
        return train("restless", toy, runs=tmp_path / runs, quiet=True, device="cpu")

    assert fork(lambda: go("alone")).wait()[0] == 0
    expected, refused = next((tmp_path / "alone").iterdir()), 0
    for race in range(RACES):
        children = [fork(lambda race=race: go(str(race))) for _ in range(random.Random(race).randint(2, 4))]  # type: ignore[misc]
        ends = [child.wait() for child in children]
        assert {code for code, _ in ends} <= {0, 2}
        assert 0 in {code for code, _ in ends}
        for code, said in ends:
            assert code == 0 or (said.count("\n"), "is being trained by another process" in said) == (1, True)
        refused += sum(code == 2 for code, _ in ends)
        folder = tmp_path / str(race) / expected.name
        assert sha256(folder / "model.safetensors") == sha256(expected / "model.safetensors")
        assert checkpoint.load(folder / "checkpoint")[1] == []
    assert refused > 0


def test_killed_writer_holds_no_lock(run: Run, fork: Fork) -> None:
    def hold() -> None:
        with run.locked():
            os.kill(os.getpid(), 9)

    assert fork(hold).wait()[0] == -9
    with run.locked():
        pass


def test_damaged_weights_are_refused(run: Run) -> None:
    path = run.folder / "model.safetensors"
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"model.safetensors is damaged or missing: delete .* and train again$"):
            _ = load(run.folder).system


@pytest.mark.parametrize("content", ["", "{", "\x00\x01", '{"question": '])
def test_damaged_record_is_refused(run: Run, toy: Splits, tmp_path: Path, content: str) -> None:
    (run.folder / "run.json").write_text(content)
    expected = r"run.json cannot be read \(.*\): delete its folder and train again$"
    with pytest.raises(InputError, match=expected):
        load(run.folder)
    with pytest.raises(InputError, match=expected):
        train("mlp", toy, runs=tmp_path, quiet=True, hidden=(8,), epochs=2, batch=6)


@pytest.mark.parametrize("content", ["{}", "[]"])
def test_record_of_others_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=r"run.json was not written by etude: give the folder of a run$"):
        load(tmp_path)


def test_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not the folder of a run \(no run.json\): `etude train` makes one"):
        load(tmp_path)


def test_run_not_finished_serves_nothing(run: Run) -> None:
    run.update(finished=False)
    with pytest.raises(InputError, match=r"is not trained to the end: run `etude train mlp .*` to go on$"):
        _ = load(run.folder).system


def test_data_from_memory_are_asked_for_again(run: Run, toy: Splits) -> None:
    with pytest.raises(InputError, match=r"was trained on arrays in memory: give the data again$"):
        run.data()
    assert run.data(toy).digest() == toy.digest()


def test_other_pairs_of_pictures_are_read_in_the_direction_of_training(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        for place in range(20):
            pixels = np.hstack([np.full((8, 8), place, np.uint8), np.full((8, 8), 200 + place, np.uint8)])
            Image.fromarray(pixels).save(tmp_path / folder / f"{place}.png")
    asked: dict[str, Any] = {"maps": 2, "field": 16, "epochs": 1, "target": "left", "runs": tmp_path, "quiet": True}
    run = train("pix2pix", tmp_path / "first", **asked)
    other: Any = run.other(tmp_path / "second")
    assert len(other) == 20
    assert other.x.min() >= 200
    assert other.y.max() < 20
    assert run.data().train.tensors()["x"].min() >= 200


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Pictures of two classes and of any sizes: the left or the right half is bright."""
    draw = np.random.default_rng(0)
    for place in range(40):
        height, width = draw.integers(20, 60, 2)
        pixels = draw.integers(0, 100, (height, width, 3)).astype(np.uint8)
        half = slice(width // 2, None) if place % 2 else slice(0, width // 2)
        pixels[:, half] += 100
        file = tmp_path / "photographs" / ("left", "right")[place % 2] / f"{place:02}.{('png', 'jpg')[place % 3 == 0]}"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    return tmp_path / "photographs"


def test_pictures_made_squares_are_the_same_ones_whenever_they_are_read(photographs: Path, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"hidden": (8,), "epochs": 2, "batch": 7, "runs": tmp_path / "runs", "quiet": True}
    run = train("mlp", photographs, size=8, **asked)
    assert run.record["data"]["size"] == run.question["size"] == run.record["preparation"]["size"] == 8
    assert run.data().train.dimensions["features"] == 3 * 8 * 8
    assert train("mlp", photographs, size=8, **asked).folder == run.folder
    assert train("mlp", photographs, size=9, **asked).folder != run.folder
    assert main([*shlex.split(run.record["command"])[1:], "--runs", str(tmp_path / "runs"), "--quiet"]) == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2
    with pytest.raises(InputError, match=r"or give --size$"):
        train("mlp", photographs, **asked)


def test_the_size_is_asked_even_where_it_changes_nothing(tmp_path: Path) -> None:
    """New pictures are made squares by the one run and refused by the other."""
    for place in range(20):
        (tmp_path / "pictures" / "ab"[place % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 10 * place).save(tmp_path / "pictures" / "ab"[place % 2] / f"{place}.png")
    Image.new("L", (20, 30)).save(tmp_path / "new.png")
    asked: dict[str, Any] = {"hidden": (4,), "epochs": 1, "runs": tmp_path / "runs", "quiet": True}
    plain, sized = (train("mlp", tmp_path / "pictures", size=size, **asked) for size in (None, 8))
    assert plain.question["digest"] == sized.question["digest"]
    assert plain.folder != sized.folder
    assert "size" not in plain.question
    assert main(["predict", str(sized.folder), str(tmp_path / "new.png")]) == 0
    assert main(["predict", str(plain.folder), str(tmp_path / "new.png")]) == 2


def test_new_pictures_of_other_sizes_are_made_squares_as_well(photographs: Path, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"hidden": (8,), "epochs": 2, "batch": 7, "runs": tmp_path / "runs", "quiet": True}
    run = train("mlp", photographs, size=8, **asked)
    other: Any = run.other(photographs)
    assert len(other) == 40
    assert other.y.tolist().count(0) == 20
    run.system.eval()
    x = other.to("cpu").x
    probabilities = run.system.classify(x)  # type: ignore[operator]
    out = tmp_path / "predictions.csv"
    assert main(["predict", str(run.folder), str(photographs), "--out", str(out)]) == 0
    said = {line.split(",")[0]: float(line.split(",")[2]) for line in out.read_text().splitlines()[1:]}
    assert sorted(said.values()) == pytest.approx(sorted(probabilities[:, 0].tolist()), abs=1e-4)
    np.savez(tmp_path / "mine.npz", x=np.zeros((20, 3, 8, 8), np.uint8), y=np.array(["left", "right"] * 10))
    assert len(run.other(tmp_path / "mine.npz")) == 20


def test_a_run_from_before_sizes_were_asked_for_is_read(photographs: Path, tmp_path: Path) -> None:
    for file in photographs.rglob("*.*"):
        Image.open(file).resize((8, 8)).save(file)
    run = train("mlp", photographs, hidden=(4,), epochs=1, runs=tmp_path / "runs", quiet=True)
    run.update(data={name: told for name, told in run.record["data"].items() if name != "size"})
    assert run.data().digest() == run.question["digest"]


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    """Pairs of sentences in capitals and small letters."""
    things = {"Hund": "dog", "Mann": "man", "Ball": "ball", "Haus": "house"}
    lines = [f"Ein {a} und {n} {b}\tA {things[a]} and {n} {things[b]}" for a in things for b in things for n in "12"]
    (tmp_path / "mine.tsv").write_text("".join(f"{line}\n" for line in lines))
    return tmp_path / "mine.tsv"


def test_a_chosen_vocabulary_is_the_same_one_whenever_it_is_read(sentences: Path, tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"embedding": 4, "hidden": 4, "layers": 1, "epochs": 1, "batch": 10, "longest": 8}
    asked: dict[str, Any] = {**sizes, "runs": tmp_path / "runs", "quiet": True}
    run = train("seq2seq", sentences, vocabulary="words", **asked)
    kept = (run.record["data"], run.question, run.record["preparation"])
    assert [told["vocabulary"] for told in kept] == ["words"] * 3
    assert run.data().digest() == run.question["digest"]
    assert run.data().train.dimensions["words"] == 12
    assert train("seq2seq", sentences, vocabulary="words", **asked).folder == run.folder
    assert main([*shlex.split(run.record["command"])[1:], "--runs", str(tmp_path / "runs"), "--quiet"]) == 0
    assert len(list((tmp_path / "runs").iterdir())) == 1
    other: Any = run.other(sentences)
    assert other.dimensions == run.record["dimensions"]
    (tmp_path / "new.txt").write_text("EIN HUND UND 2 Katzen\n")
    assert run.other(tmp_path / "new.txt").tensors()["x"].tolist()[0][-2] == UNKNOWN
    chosen, left = (train("seq2seq", sentences, vocabulary=name, **asked) for name in ("byte-pairs", None))
    assert "vocabulary" not in left.question
    assert chosen.question["digest"] == left.question["digest"] != run.question["digest"]
    assert len({run.folder, chosen.folder, left.folder}) == 3
    left.update(data={name: told for name, told in left.record["data"].items() if name != "vocabulary"})
    assert left.data().digest() == left.question["digest"]
