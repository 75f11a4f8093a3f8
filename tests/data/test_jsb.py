"""The chorales from a file written here in its format."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from etude.data.jsb import jsb_chorales
from etude.data.kinds import Sequences
from etude.errors import InputError

CHORALES: dict[str, Any] = {
    "train": [[[60, 64, 67], [60], []], [[21, 108]]],
    "valid": [[[64]]],
    "test": [[[72], [74]]],
}


def write(folder: Path, chorales: Any) -> None:
    (folder / "jsb_chorales").mkdir(exist_ok=True)
    (folder / "jsb_chorales" / "jsb-chorales-quarter.json").write_text(json.dumps(chorales))


def test_a_key_that_sounds_is_one(tmp_path: Path) -> None:
    write(tmp_path, CHORALES)
    splits = jsb_chorales(tmp_path)
    for part, name in ((splits.train, "train"), (splits.validation, "valid"), (splits.test, "test")):
        assert isinstance(part, Sequences)
        assert part.y is None
        assert part.lengths.tolist() == [len(chorale) for chorale in CHORALES[name]]
        for place, chorale in enumerate(CHORALES[name]):
            for step, pitches in enumerate(chorale):
                assert (part.x[place, step].nonzero()[:, 0] + 21).tolist() == pitches
        assert float(part.x.sum()) == sum(len(step) for chorale in CHORALES[name] for step in chorale)
        assert set(part.x.unique().tolist()) <= {0.0, 1.0}
    assert splits.train.dimensions == {"features": 88, "classes": 0, "outputs": 0}
    assert torch.equal(splits.together().tensors()["lengths"], torch.tensor([3, 1, 1, 2]))


@pytest.mark.parametrize(
    ("chorales", "message"),
    [
        (
            CHORALES | {"valid": [[[60], [20]]]},
            r"valid, chorale 0, step 1: pitch 20 is no key of a piano \(21 to 108\)",
        ),
        (CHORALES | {"test": [[[60]], []]}, "test, chorale 1: has no step: remove it"),
        (CHORALES | {"test": []}, "not readable as the chorales"),
        ({"train": [[[60]]]}, "not readable as the chorales"),
        ([1], "not readable as the chorales"),
        (CHORALES | {"train": [[["C"]]]}, "not readable as the chorales"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, chorales: Any, message: str) -> None:
    write(tmp_path, chorales)
    with pytest.raises(InputError, match=rf"jsb-chorales-quarter\.json: {message}"):
        jsb_chorales(tmp_path)


def test_a_missing_file_is_told_where_to_get(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"jsb-chorales-quarter\.json of github\.com/czhuang"):
        jsb_chorales(tmp_path)
