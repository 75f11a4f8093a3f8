"""The Python door: train on names, paths, arrays and tensors; load what was trained."""

from pathlib import Path

import numpy as np
import pytest
import torch

import etude


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
