"""The command line as a user meets it: what it prints, what it writes, one line for every mistake."""

import csv
import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from etude.cli import main
from etude.data.trees import expression, parse
from etude.engine import translations
from etude.engine.run import load
from etude.metrics.segmentation import segmenter

SHADES = {"b": (0, 0, 0), "r": (200, 0, 0), "w": (255, 255, 255), "y": (90, 90, 0), "p": (90, 0, 90), "g": (0, 90, 0)}
TINY = ["--latent", "2", "--hidden", "16", "--epochs", "2", "--batch", "50", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def vae(folder: Path) -> Path:
    assert main(["train", "vae", "--runs", str(folder), *TINY]) == 0
    return next(folder.glob("vae-digits-*"))


@pytest.fixture(scope="module")
def mlp(folder: Path) -> Path:
    assert main(["train", "mlp", "--runs", str(folder), "--epochs", "5", "--quiet"]) == 0
    return next(folder.glob("mlp-digits-*"))


@pytest.fixture(scope="module")
def char_rnn(folder: Path) -> Path:
    (folder / "be.txt").write_text("to be or not to be, that is the question. " * 100)
    words = ["--units", "8", "--layers", "1", "--epochs", "1", "--batch", "5", "--quiet"]
    assert main(["train", "char-rnn", "--data", str(folder / "be.txt"), "--runs", str(folder), *words]) == 0
    return next(folder.glob("char-rnn-*"))


def told(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one line that a mistake prints."""
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("etude: ")
    assert err.count("\n") == 1
    return err


def test_training_leaves_what_the_design_says(vae: Path) -> None:
    names = {path.name for path in vae.iterdir()}
    assert {"run.json", "log.jsonl", "checkpoint", "model.safetensors", "scores.json", "report.html", "events"} <= names
    record = json.loads((vae / "run.json").read_text())
    assert record["finished"]
    assert record["command"] == "etude train vae --data digits --latent 2 --hidden 16 --epochs 2 --batch 50"


def test_same_question_finds_the_same_run(vae: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (vae / "model.safetensors").stat().st_mtime_ns
    assert main(["train", "vae", "--runs", str(folder), *TINY[:-1]]) == 0
    assert str(vae) in capsys.readouterr().out
    assert (vae / "model.safetensors").stat().st_mtime_ns == before


def test_evaluate_repeats_the_scores(vae: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = json.loads((vae / "scores.json").read_text())
    assert main(["evaluate", str(vae)]) == 0
    assert "elbo" in capsys.readouterr().out
    assert json.loads((vae / "scores.json").read_text()) == scores


def test_evaluate_scores_samples_in_features(vae: Path, mlp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(vae), "--features", str(mlp), "--count", "250"]) == 0
    out = capsys.readouterr().out
    assert "fid at infinity" in out
    assert f"250 generated and 270 real pictures, as seen by {mlp}" in out
    assert "--features x: expected auto" in told(capsys, "evaluate", vae, "--features", "x")


def test_evaluate_scores_translations_of_maps(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translations, "segmenter", partial(segmenter, epochs=1))
    for place in range(60):
        for domain, colours in (("A", "brwb"), ("B", "ypgy")):
            (folder / "maps" / domain).mkdir(parents=True, exist_ok=True)
            picture = Image.new("RGB", (16, 16), SHADES[colours[place % 4]])
            picture.paste(SHADES[colours[place // 4 % 4]], (0, 0, 8, 16))
            picture.save(folder / "maps" / domain / f"{place}.png")
    words = ["--maps", "2", "--field", "16", "--epochs", "1", "--batch", "10", "--quiet"]
    assert main(["train", "pix2pix", "--data", str(folder / "maps"), "--runs", str(folder), *words]) == 0
    run = next(folder.glob("pix2pix-*"))
    capsys.readouterr()
    assert main(["evaluate", str(run), "--features", "auto"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"\n│ class IoU +│ [01]", out)
    assert re.search(r"real pictures, class IoU +│ [01]", out)
    assert "9 generated and 9 real pictures, as seen by a segmenter trained on 42 real pairs" in out


def test_sample_writes_a_picture(vae: Path, tmp_path: Path) -> None:
    assert main(["sample", str(vae), "--count", "9", "--out", str(tmp_path / "nine.png")]) == 0
    with Image.open(tmp_path / "nine.png") as picture:
        assert min(picture.size) >= 3 * 8


def test_codes_are_walked_between_and_added(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--latent", "4", "--maps", "2", "--epochs", "1", "--quiet"]
    assert main(["train", "dcgan", "--data", "digits", "--runs", str(folder), *words]) == 0
    run = next(folder.glob("dcgan-digits-*"))
    assert main(["interpolate", str(run), "--places", "1", "5", "--steps", "4", "--out", str(tmp_path / "a.png")]) == 0
    groups = ["--plus", "1", "2", "3", "--minus", "4", "5", "6", "--add", "7", "8", "9"]
    assert main(["arithmetic", str(run), *groups]) == 0
    assert str(run / "arithmetic.png") in capsys.readouterr().out
    with Image.open(tmp_path / "a.png") as walk, Image.open(run / "arithmetic.png") as sums:
        assert walk.width + 2 == 4 * (walk.height + 2)
        assert (sums.width + 2) * 4 == (sums.height + 2) * 7
    assert "--places 1 20" in told(capsys, "interpolate", run, "--places", "1", "20")


def test_predict_classes_of_new_pictures(mlp: Path, tmp_path: Path) -> None:
    Image.new("L", (8, 8), 200).save(tmp_path / "one.png")
    assert main(["predict", str(mlp), str(tmp_path / "one.png"), "--out", str(tmp_path / "out.csv")]) == 0
    header, row = list(csv.reader((tmp_path / "out.csv").open()))
    assert header == ["example", "class", *"0123456789"]
    assert sum(map(float, row[2:])) == pytest.approx(1, abs=1e-4)
    assert float(row[2 + int(row[1])]) == max(map(float, row[2:]))


@pytest.fixture(scope="module")
def dec(folder: Path) -> Path:
    words = ["--on.hidden", "16", "--on.latent", "3", "--on.layer-epochs", "8", "--on.epochs", "12", "--epochs", "2"]
    words += ["--on.rate", "0.3", "--on.batch", "32"]
    assert main(["train", "dec", "--runs", str(folder), "--restarts", "2", "--quiet", *words]) == 0
    return next(folder.glob("dec-*"))


def test_cluster_sorts_the_runs_own_examples(dec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", str(dec), "--out", str(tmp_path / "out.csv")]) == 0
    told = capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    sizes = [int(size) for size in told.rpartition("clusters of ")[2].split(", ")]
    assert len(rows) == sum(sizes) == 1797
    assert sizes == [sum(row["cluster"] == str(place) for row in rows) for place in range(10)]
    assert {row["part"] for row in rows} == {"train", "validation", "test"}


def test_cluster_sorts_new_examples_as_predict_does(
    dec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (8, 8), 200).save(tmp_path / "one.png")
    assert main(["cluster", str(dec), str(tmp_path / "one.png")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("example,cluster,confidence,cluster_0,cluster_1,")
    assert out.splitlines()[1].startswith("one.png,")
    assert main(["predict", str(dec), str(tmp_path / "one.png")]) == 0
    assert capsys.readouterr().out == out


def test_complete_goes_on_with_a_text(char_rnn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def printed(*words: str) -> str:
        assert main(["complete", str(char_rnn), "to be", "--length", "30", *words]) == 0
        return capsys.readouterr().out.removesuffix("\n")

    assert printed().startswith("to be")
    assert len(printed()) == len("to be") + 30
    assert printed("--seed", "1") == printed("--seed", "1") != printed("--seed", "2")
    assert printed("--temperature", "0") == printed("--temperature", "0", "--seed", "1")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["TO BE"], "'T' is not among what"),
        ([""], "expected a text"),
        (["to", "--temperature", "-1"], "--temperature in [0, inf)"),
        (["to", "--length", "0"], "--length a whole number in [1, inf)"),
    ],
)
def test_a_mistake_in_complete_is_one_line(
    words: list[str], line: str, char_rnn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert line in told(capsys, "complete", char_rnn, *words)


def test_translate_turns_text_into_text(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "turned.tsv").write_text("".join(f"{a}{b}\t{b}{a}\n" for a in "abc" for b in "abc") * 10)
    words = ["--embedding", "8", "--hidden", "16", "--layers", "1", "--longest", "4", "--rate", "0.02", "--batch", "9"]
    data = ["--data", str(tmp_path / "turned.tsv"), "--runs", str(folder), "--epochs", "30", "--quiet"]
    assert main(["train", "seq2seq", *data, *words]) == 0
    run = next(folder.glob("seq2seq-*"))
    assert main(["translate", str(run), "ab"]) == main(["translate", str(run), "cb", "--beam", "1"]) == 0
    assert capsys.readouterr().out == "ba\nbc\n"
    assert "--beam a whole number in [1, inf)" in told(capsys, "translate", run, "ab", "--beam", "0")


def test_translate_turns_text_into_a_program(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--embedding", "4", "--hidden", "4", "--batch", "500", "--longest", "9", "--epochs", "1", "--quiet"]
    assert main(["train", "saps", "--runs", str(folder), *sizes]) == 0
    run = next(folder.glob("saps-*"))
    assert main(["translate", str(run), "given an array of numbers a, what is the sum of a"]) == 0
    written = capsys.readouterr().out.strip()
    assert expression(parse(written)) == written


def test_translate_needs_a_system_that_can(vae: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "VAE, which has no verb `translate`" in told(capsys, "translate", vae, "ab")


def test_data_clusters_counts_them_among_examples_and_among_codes(
    dec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for data in ("blobs", str(dec)):
        assert main(["data", "clusters", data, "--most", "4"]) == 0
        assert re.search(r"^\d clusters?\b.*of the votes", capsys.readouterr().out.splitlines()[-1])


def test_output_that_nobody_reads_to_the_end_is_no_mistake(dec: Path) -> None:
    words = [sys.executable, "-m", "etude", "cluster", str(dec)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"part,example,cluster")
        process.stdout.close()
        assert process.stderr.read() == b""


def test_compare_puts_runs_side_by_side(vae: Path, mlp: Path, tmp_path: Path) -> None:
    assert main(["compare", str(vae), str(mlp), "--out", str(tmp_path / "both.html")]) == 0
    page = (tmp_path / "both.html").read_text()
    assert vae.name in page
    assert mlp.name in page


def test_report_is_written_again(vae: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (vae / "report.html").unlink()
    assert main(["report", str(vae)]) == 0
    assert (vae / "report.html").exists()


def test_technique_reaches_into_the_system_it_acts_on(folder: Path) -> None:
    words = ["train", "ema", "--on", "vae", "--on.latent", "3", "--on.epochs", "1", "--quiet", "--runs", str(folder)]
    assert main(words) == 0
    record = json.loads((next(folder.glob("ema-vae-digits-*")) / "run.json").read_text())
    assert record["question"]["on"]["arguments"]["latent"] == 3
    assert record["served"]["system"] == "vae"
    assert record["command"].endswith("--on vae --on.latent 3 --on.epochs 1")


def test_technique_acts_on_a_technique(vae: Path, folder: Path) -> None:
    words = ["train", "ema", "--on", "ema", "--on.decay", "0.9", "--on.on", "vae", "--on.on.epochs", "1"]
    assert main([*words, "--on.on.hidden", "8", "--quiet", "--runs", str(folder)]) == 0
    run = load(next(folder.glob("ema-ema-vae-digits-*")))
    assert run.question["on"]["on"]["arguments"]["epochs"] == 1
    assert run.record["served"]["system"] == "vae"
    assert run.record["command"].endswith("--on ema --on.decay 0.9 --on.on vae --on.on.hidden 8 --on.on.epochs 1")
    assert main(["train", "ema", "--on", "ema", "--on.on", str(vae), "--quiet", "--runs", str(folder / "again")]) == 0


def test_technique_starts_from_a_trained_run(vae: Path, folder: Path) -> None:
    assert main(["train", "ema", "--on", str(vae), "--quiet", "--runs", str(folder / "from")]) == 0


def test_show_is_the_fidelity_sheet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "vae"]) == 0
    out = capsys.readouterr().out
    for part in (
        "Auto-Encoding Variational Bayes",
        "latent",
        "course 001",
        "deviations",
        "Adagrad",
        "etude train vae --quick",
    ):
        assert part in out


def test_data_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    assert "mnist" in capsys.readouterr().out
    assert main(["data", "check", "digits"]) == 0
    assert "Images" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--help"], ["train", "vae", "--help"], ["data", "--help"], ["sample", "--help"]])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code in (0, None)
    assert "usage" in capsys.readouterr().out


MISTAKES = [
    (["lst"], "no verb is called 'lst': did you mean 'list'?"),
    ([], "what is to be done? one of list, show, train"),
    (["data", "chek"], "did you mean 'check'?"),
    (["train"], "which system?"),
    (["train", "vea"], "no system is called 'vea': did you mean 'vae'?"),
    (["train", "vae", "--latnt", "3"], "--latnt is not known to `etude train vae`: did you mean --latent?"),
    (["train", "vae", "--latent", "0"], "--latent 0: expected a whole number in [1, inf)"),
    (["train", "vae", "--latent", "abc"], "--latent abc: expected a whole number in [1, inf)"),
    (["train", "vae", "--hidden", "3", "x"], "--hidden 3 x: expected numbers, each a whole number in [1, inf)"),
    (["train", "vae", "--decoder", "poisson"], "--decoder poisson: expected one of bernoulli, gaussian"),
    (["train", "vae", "--precision", "fp16"], "--precision fp16: expected one of float32, bf16"),
    (["train", "vae", "--device", "tpu"], "--device tpu: not to be had here"),
    (["train", "vae", "--data", "digitz"], "did you mean digits?"),
    (["train", "vae", "--size", "7.5"], "--size 7.5: expected a whole number of pixels in [1, 4096]"),
    (["train", "vae", "--size", "8"], "--size 8: digits is no folder of pictures, which alone are resized: leave it"),
    (["data", "check", "digits", "--size", "7.5"], "--size 7.5: expected INT"),
    (["train", "seq2seq", "--vocabulary", "word"], "--vocabulary word: expected one of words, byte-pairs, characters"),
    (
        ["train", "seq2seq", "--vocabulary", "words"],
        "addition is no file or folder of pairs of texts, whose vocabulary",
    ),
    (["data", "check", "x", "--vocabulary", "7"], "--vocabulary 7: expected one of words, byte-pairs, characters"),
    (["train", "vae", "--on", "gan"], "--on is not known to `etude train vae`"),
    (["train", "ema"], "ema acts on another system"),
    (["train", "ema", "--on", "gna"], "did you mean 'gan'?"),
    (["sample"], "RUN is missing"),
    (["arithmetic", "run"], "PLUS, MINUS, ADD is missing"),
    (["sample", "one", "two"], "two is one too many for `etude sample`"),
    (["sample", "nowhere"], "nowhere is not the folder of a run"),
    (["compare", "one"], "at least two runs"),
    (["show", "vea"], "did you mean 'vae'?"),
    (["reproduce", "vea"], "did you mean 'vae'?"),
    (["data", "clusters", "digits", "--most", "1"], "--most 1: expected a whole number in [2, inf)"),
    (["data", "clusters", "digitz"], "did you mean digits?"),
    (["data", "dedup", "pictures", "--distance", "128"], "--distance 128: expected a whole number in [0, 128)"),
    (["data", "dedup", "pictures", "--out", "/"], "--out /: is there and not empty: give a folder that is empty"),
    (["data", "fetch", "mnits", "--data-dir", "x"], "nothing to fetch for 'mnits': give one of mnist, cifar10"),
]


@pytest.mark.parametrize(("words", "line"), MISTAKES, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_a_mistake_is_one_line(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert line in told(capsys, *words)


MINE = """
from __future__ import annotations

import math
from dataclasses import dataclass

from beside_mine import square


@dataclass
class Rates:
    first: float = 0.5


def energy(x, y):
    return square(x) * y + Rates.first


def refused(x):
    with open("file"):
        return x


def counted(n: int):
    return n + 1
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file that imports another one beside it."""
    (tmp_path / "beside_mine.py").write_text("def square(x):\n    return x * x\n")
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    return file


def test_derive_prints_a_program_beside_its_derivative(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", f"{mine}:energy", "--mode", "forward"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "(i1, di1) = square_forward(x, dx) |",
        "i2 = mul(i1, y)                   | di2 = add(mul(di1, y), mul(i1, dy))",
        "result = add(i2, Rates_first)     |",
        "",
    ]
    assert "def square_forward(x, dx):" in lines
    assert main(["derive", f"{mine}:energy"]) == 0
    assert "(d_di1, d_dy) = mul(d_dresult, (y, i1))" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("style", ["textbook", "optimised"])
def test_derive_prints_programs_that_run(mode: str, style: str, mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", f"{mine}:energy", "--mode", mode, "--style", style]) == 0
    names: dict[str, Any] = {}
    exec(capsys.readouterr().out, names)
    if mode == "forward":
        assert names["energy_forward"](3.0, 2.0, 1.0, 0.0) == (18.5, 12.0)
    elif style == "textbook":
        assert names["energy_gradient"](3.0, 2.0, 1.0) == (18.5, 12.0, 9.0)
    else:
        assert names["energy_gradient"](3.0, 2.0) == (12.0, 9.0)


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("{}:energi", "no function is called 'energi': did you mean 'energy'?"),
        ("{}:Rates", "no function is called 'Rates'"),
        ("{}", "say which function, as {}:FUNCTION"),
        ("{}x:energy", "there is no file {}x"),
        ("energy", "energy: expected FILE:FUNCTION"),
        ("{}:refused", "{}:20: in refused: with is not supported"),
        ("{}:counted", "counted has no argument that a derivative could be taken by"),
    ],
)
def test_derive_tells_a_mistake_in_one_line(
    place: str, line: str, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert line.replace("{}", str(mine)) in told(capsys, "derive", place.replace("{}", str(mine)))


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("broken.py", "x = (\n", "SyntaxError"),
        ("lost.py", "import nowhere_to_be\n", "nowhere_to_be"),
        ("a.txt", "", "no Python"),
    ],
)
def test_derive_tells_what_is_wrong_with_a_file(
    name: str, text: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    assert line in told(capsys, "derive", f"{tmp_path / name}:f")


def test_help_imports_neither_torch_nor_numpy() -> None:
    program = "import sys; from etude.cli import main\ntry: main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"torch", "numpy", "etude.autodiff"}.isdisjoint(run.stdout.split())


def test_wrong_verbs_for_a_run_are_told(mlp: Path, vae: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "has no verb `sample`" in told(capsys, "sample", mlp)
    assert "has no verb `cluster`" in told(capsys, "cluster", mlp)
    assert "has no verb `generate`" in told(capsys, "interpolate", mlp)
    assert "has no verb `complete`" in told(capsys, "complete", mlp, "to be")
    assert "has no verb `encode`" in told(capsys, "data", "clusters", mlp)
    assert "--count 0" in told(capsys, "sample", vae, "--count", "0")
    assert "/nope" in told(capsys, "predict", mlp, "/nope")


def test_places_that_cannot_be_written_are_told(
    vae: Path, mlp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert "nowhere" in told(capsys, "sample", vae, "--out", tmp_path / "nowhere" / "a.png")
    assert "nowhere" in told(capsys, "compare", vae, mlp, "--out", tmp_path / "nowhere" / "a.html")
    assert "file" in told(capsys, "train", "mlp", "--runs", tmp_path / "file")


def test_input_of_another_size_is_told(mlp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (9, 8)).save(tmp_path / "other.png")
    assert re.search("8.*8", told(capsys, "predict", mlp, tmp_path / "other.png"))


@pytest.mark.parametrize(
    ("trouble", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError("cannot allocate"), 2, "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), 2, "out of memory"),
    ],
)
def test_trouble_outside_a_step_is_one_line_too(
    trouble: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*given: object, **named: object) -> None:
        raise trouble

    monkeypatch.setattr("etude.cli.train", fail)
    assert main(["train", "vae"]) == code
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("etude.cli.train", fail)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        main(["train", "vae"])
