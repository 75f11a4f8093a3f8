"""The Python door: train on names, paths, arrays and tensors; load what was trained."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import etude
from etude.claims.lab import Lab
from etude.engine.train import evaluate


def test_train_and_load(tmp_path: Path) -> None:
    run = etude.train("mlp", data="blobs", epochs=3, runs=tmp_path, quiet=True)
    assert run.scores["accuracy"] > 0.9
    assert (run.folder / "report.html").exists()
    again = etude.load(run.folder)
    assert again.scores == run.scores
    x = torch.zeros(2, 2)
    assert isinstance(again.system, etude.Classifier)
    assert isinstance(run.system, etude.Classifier)
    assert torch.equal(again.system.classify(x), run.system.classify(x))


def test_a_class_serves_as_a_name(tmp_path: Path) -> None:
    from etude.systems.feedforward.mlp import MLP

    run = etude.train(MLP, data="moons", epochs=1, runs=tmp_path, quiet=True)
    assert run.folder.name.startswith("mlp-moons-")


@pytest.mark.parametrize("as_tensor", [False, True])
def test_arrays_and_tensors(as_tensor: bool, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(120, 5)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    data = (torch.from_numpy(x), torch.from_numpy(y)) if as_tensor else (x, y)
    run = etude.train("mlp", data=data, epochs=5, runs=tmp_path, quiet=True)
    assert run.record["dimensions"]["features"] == 5
    assert "accuracy" in run.scores
    with pytest.raises(etude.InputError, match="arrays in memory"):
        run.data()


def test_public_names_are_there() -> None:
    assert all(hasattr(etude, name) for name in etude.__all__)
    assert dir(etude) == etude.__all__
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = etude.nonsense


def table(path: Path, columns: str, shift: float = 0.0) -> Path:
    """Rows whose class depends on the first number alone, in columns of the order asked for."""
    x = np.random.default_rng(1).normal(size=(90, 2))
    rows = [{"a": a + shift, "b": 50 * b, "target": "yes" if a > 0 else "no"} for a, b in x]
    path.write_text("\n".join([columns, *(",".join(str(r[c]) for c in columns.split(",")) for r in rows)]))
    return path


def test_other_tables_are_prepared_as_the_training_data_were(tmp_path: Path) -> None:
    run = etude.train(
        "mlp", str(table(tmp_path / "a.csv", "a,b,target")), epochs=60, batch=10, runs=tmp_path, quiet=True
    )
    assert evaluate(run)["accuracy"] >= 0.9
    assert evaluate(run, str(table(tmp_path / "swapped.csv", "b,a,target")))["accuracy"] >= 0.95
    far = evaluate(run, str(table(tmp_path / "far.csv", "a,b,target", shift=100.0)))["accuracy"]
    assert far < 0.7, "its own mean was taken off, not the training data's"


def test_data_unlike_its_own_are_refused(tmp_path: Path) -> None:
    run = etude.train("mlp", "blobs", epochs=1, runs=tmp_path, quiet=True)
    with pytest.raises(etude.InputError, match="give data like those of"):
        evaluate(run, "digits")
    with pytest.raises(etude.InputError, match=r"is not what .* was trained on"):
        run.data("moons")


def test_a_run_of_other_code_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = etude.train("mlp", "xor", epochs=1, batch=4, runs=tmp_path, quiet=True)
    run.update(code={"mlp": "another"})
    etude.train("mlp", "xor", epochs=1, batch=4, runs=tmp_path)
    assert "trained by code that has changed since" in capsys.readouterr().err
    run.update(finished=False)
    with pytest.raises(etude.InputError, match="begun by code that has changed since"):
        etude.train("mlp", "xor", epochs=1, batch=4, runs=tmp_path, quiet=True)
    run.update(finished=True)
    with pytest.raises(etude.InputError, match="trained by code that has changed since"):
        Lab(runs=tmp_path).run("mlp", "xor", epochs=1, batch=4)


def test_bf16_learns_as_float32_does(tmp_path: Path) -> None:
    scores = [
        etude.train("vae", "digits", quick=True, epochs=15, precision=precision, runs=tmp_path, quiet=True).scores
        for precision in ("float32", "bf16")
    ]
    assert scores[1]["elbo"] == pytest.approx(scores[0]["elbo"], rel=0.02)
    assert scores[1] != scores[0]


def test_training_waits_for_neither_scipy_nor_scikit_learn() -> None:
    program = "import sys, etude.api; print(*{name.partition('.')[0] for name in sys.modules} & {'scipy', 'sklearn'})"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"
