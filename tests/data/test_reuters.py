"""Reuters R8 from files written here in its format."""

import gzip
import random
from pathlib import Path

import pytest
import torch

from etude.data.kinds import Vectors
from etude.data.reuters import reuters_r8, reuters_r8_whole
from etude.data.source import read
from etude.errors import InputError

TOPICS = {
    "acq": "company shares stake merger",
    "earn": "net profit quarter dividend",
    "ship": "port vessel strike gulf",
}


def write(folder: Path, part: str, count: int, *, header: str = "Class\tExample", packed: bool = True) -> list[str]:
    draw = random.Random(part)
    rows = []
    for place in range(count):
        topic = list(TOPICS)[place % 3]
        rows.append(f"{topic}\t{' '.join(draw.choices(TOPICS[topic].split(), k=6))} said {'ab'[place % 2]} {part} ")
    folder.mkdir(parents=True, exist_ok=True)
    data = "\n".join([header, *rows, ""]).encode()
    (folder / f"r8-{part}-all-terms.txt{'.gz' if packed else ''}").write_bytes(gzip.compress(data) if packed else data)
    return rows


@pytest.mark.parametrize("packed", [True, False])
def test_the_test_file_is_the_test_and_chooses_no_stem(tmp_path: Path, packed: bool) -> None:
    write(tmp_path / "reuters_r8", "train", 60, packed=packed)
    rows = write(tmp_path / "reuters_r8", "test", 30, packed=packed)
    splits = reuters_r8(tmp_path)
    assert splits.name == "reuters-r8"
    assert [len(part) for part in splits.parts().values()] == [51, 9, 30]
    assert isinstance(splits.test, Vectors)
    assert splits.test.classes == ("acq", "earn", "ship")
    assert splits.test.tensors()["y"].tolist() == [list(TOPICS).index(row.split("\t")[0]) for row in rows]
    stems = list(splits.preparation["text"]["stems"])
    assert "train" in stems
    assert "test" not in stems
    own = splits.test.x[:, stems.index("dividend")] > 0
    assert own.tolist() == ["dividend" in row for row in rows]
    torch.testing.assert_close(splits.test.x.norm(dim=1), torch.ones(30))


def test_the_whole_is_trained_and_scored_on(tmp_path: Path) -> None:
    write(tmp_path, "train", 60)
    write(tmp_path, "test", 30)
    splits = reuters_r8_whole(tmp_path)
    assert splits.name == "reuters-r8-whole"
    assert [len(part) for part in splits.parts().values()] == [90, 90, 90]
    assert {"train", "test"} <= set(splits.preparation["text"]["stems"])
    train = splits.train.tensors()
    assert torch.equal(train["x"], splits.test.tensors()["x"])
    assert torch.bincount(train["y"]).tolist() == [30, 30, 30]
    dividend = train["x"][:, list(splits.preparation["text"]["stems"]).index("dividend")]
    assert not bool(dividend[train["y"] != 1].any())


def test_a_file_of_it_is_new_input(tmp_path: Path) -> None:
    from etude.data.source import load

    write(tmp_path, "train", 60)
    write(tmp_path, "test", 30, packed=False)
    splits = load("reuters-r8", data_dir=tmp_path)
    (tmp_path / "r8-test-all-terms.txt").rename(tmp_path / "new.tsv")
    found = read(tmp_path / "new.tsv", Vectors, splits.preparation)
    assert torch.equal(found.tensors()["x"], splits.test.tensors()["x"])
    assert torch.equal(found.tensors()["y"], splits.test.tensors()["y"])


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reuters_r8 is not in .*: correct .*r8-train-all-terms\.txt"):
        reuters_r8(tmp_path)
    write(tmp_path, "train", 60)
    write(tmp_path, "test", 30, header="topic\ttext")
    with pytest.raises(InputError, match=r"r8-test-all-terms\.txt\.gz: has topic, text where R8 has Class, Example"):
        reuters_r8(tmp_path)
