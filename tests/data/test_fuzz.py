"""Mutated, cut and foreign files of every format end in data or in one line that names the file; nothing is unpickled.

`ETUDE_FUZZ=10000` tries that many files of each format.
"""

import csv
import gzip
import io
import lzma
import os
import pickle
import random
import struct
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etude.data.cifar10 import cifar10
from etude.data.kinds import Sequences, TextPairs, Trees
from etude.data.omniglot import omniglot
from etude.data.own import load_path, read_path
from etude.data.reuters import reuters_r8
from etude.data.strings import read_text
from etude.errors import InputError

N = int(os.environ.get("ETUDE_FUZZ", "200"))
PIXELS = np.random.default_rng(0).integers(0, 256, (30, 6, 6)).astype(np.uint8)
SEEN = {"kind": "Images", "dimensions": {"channels": 3, "height": 6, "width": 6}, "classes": []}
unpickled: list[str] = []
sys.addaudithook(lambda event, args: unpickled.append(event) if event == "pickle.find_class" else None)


def written(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


IDX = struct.pack(">IIII", 2051, *PIXELS.shape) + PIXELS.tobytes()
STORIES = ("Class\tExample\n" + "".join(f"{'earn' if n % 2 else 'acq'}\tgold {'x' * n} \n" for n in range(30))).encode()
PICTURE = Image.fromarray(np.stack([PIXELS[0]] * 3, 2))


def drawings(file: io.BytesIO) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for person in range(1, 21):
            archive.writestr(f"small1/Greek/character01/0394_{person:02}.png", DRAWING)


DRAWING = written(lambda file: Image.fromarray(np.eye(105, dtype=bool)).save(file, "png"))
DRAWINGS = written(drawings)
GOOD = {
    "a.csv": ("a,b,y\n" + "".join(f"{n / 7},{'red' if n % 3 else ''},{n % 2}\n" for n in range(30))).encode(),
    "a.npy": written(lambda file: np.save(file, PIXELS)),
    "a.npz": written(lambda file: np.savez_compressed(file, x=PIXELS, y=np.arange(30) % 2)),
    "a.idx": IDX,
    "a.idx.gz": gzip.compress(IDX),
    "a.png": written(lambda file: PICTURE.save(file, "png")),
    "a.jpg": written(lambda file: PICTURE.save(file, "jpeg")),
    "a.gif": written(lambda file: PICTURE.save(file, "gif")),
    "a.bmp": written(lambda file: PICTURE.save(file, "bmp")),
    "a.webp": written(lambda file: PICTURE.save(file, "webp")),
    "documents.csv": (
        "text,label\n" + "".join(f'"gold, {"zinc" if n % 3 else "lead"} {"x" * n}",{n % 2}\n' for n in range(30))
    ).encode(),
    "texts/a.txt": "Gold, zinc – and léad.\n".encode() * 20,
    "series.csv": (
        "id,time,heat,on,label\n"
        + "".join(f"{'abcdefgh'[n % 8]},{n * 0.7},{n / 7},{n % 2},{'warm' if n % 3 else 'cold'}\n" for n in range(40))
    ).encode(),
    "series.npz": written(
        lambda file: np.savez(
            file,
            x=PIXELS / 255,
            lengths=np.arange(30) % 6 + 1,
            y=np.arange(30) % 2,
            times=np.arange(180.0).reshape(30, 6),
        )
    ),
    "poem.txt": "Fröhlich – the cat sat on the mat\n".encode() * 30,
    "lines/mine.en": "".join(f"I see {n} cats\n" for n in range(30)).encode(),
    "pairs.tsv": "".join(f"ich sehe {n} Bäume\tI see {n} trees\n" for n in range(30)).encode(),
    "pairs.jsonl": "".join(f'{{"de": "ich sehe {n} B\\u00e4ume", "en": "I see {n}"}}\n' for n in range(30)).encode(),
    "metaset3.train.jsonl": "".join(
        f'{{"text": ["add", "{n}", "to", "a"], "short_tree": ["+", ["len", "a"], {n}]}}\n' for n in range(30)
    ).encode(),
    "r8-train-all-terms.txt.gz": gzip.compress(STORIES),
    "images_background_small1.zip": DRAWINGS,
    "data_batch_1.bin.xz": lzma.compress(b"\1" * 3073 * 20),
}


def mutated(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """The file cut, with bytes changed, removed, repeated, or followed or replaced by those of another."""
    a, b = sorted(draw.choices(range(len(data) + 1), k=2))
    match draw.randrange(6):
        case 0:
            return data[:a]
        case 1:
            return data[:a] + data[b:]
        case 2:
            return data[:b] + data[a:]
        case 3:
            return data[:a] + other[: b - a] + data[b:]
        case 4:
            return draw.choice([other, data + other, draw.randbytes(b), b""])
        case _:
            changed = bytearray(data)
            for _ in range(draw.choice([1, 1, 3, 20])):
                # headers lie in front, and that is where a change does most
                changed[draw.randrange(min(len(data), draw.choice([16, 128, len(data)])))] = draw.choice(
                    [0, 1, 127, 255, draw.randrange(256)]
                )
            return bytes(changed)


def read(path: Path) -> None:
    if path.suffix == ".xz":
        cifar10(path.parent)
    elif path.suffix == ".zip":
        omniglot(path.parent)
    elif path.name.startswith("r8"):
        reuters_r8(path.parent)
    elif path.parent.name in ("texts", "lines"):
        load_path(path.parent)
    elif path.suffix in (".tsv", ".jsonl"):
        splits = load_path(path, kind=Trees if "metaset3" in path.name else TextPairs)
        lines = read_text(path).removesuffix("\n").split("\n")
        assert len(splits.together()) in (len(lines), len(lines) - 1)  # which is without a header
    elif path.name == "series.csv":
        splits = load_path(path)
        if isinstance(splits.train, Sequences):
            rows = [row for row in csv.reader(io.StringIO(read_text(path))) if row]
            assert sum(int(part.tensors()["lengths"].sum()) for part in splits.parts().values()) == len(rows) - 1
    elif path.suffix in (".png", ".jpg", ".gif", ".bmp", ".webp"):
        read_path(path, SEEN)
    else:
        load_path(path)


def refusal(path: Path) -> str | None:
    try:
        read(path)
    except InputError as error:
        return str(error)
    return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", GOOD)
def test_broken_files_are_one_line(tmp_path: Path, name: str) -> None:
    path, draw, others = tmp_path / name, random.Random(name), list(GOOD.values())
    (tmp_path / "test_batch.bin").write_bytes(b"\2" * 3073)
    (tmp_path / "r8-test-all-terms.txt").write_bytes(STORIES)
    (tmp_path / "texts").mkdir()
    for place in range(20):
        (tmp_path / "texts" / f"{place}.txt").write_text("gold and zinc")
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines" / "mine.de").write_text("".join(f"ich sehe {n} Katzen\n" for n in range(30)))
    path.write_bytes(GOOD[name])
    read(path)
    refused = 0
    unpickled.clear()
    for _ in range(N):
        path.write_bytes(mutated(GOOD[name], draw.choice(others), draw))
        start = time.perf_counter()
        line = refusal(path)
        assert time.perf_counter() - start < 5
        if line is not None:
            refused += 1
            assert str(path) in line
            assert "\n" not in line
            assert len(line) < 600
    assert refused > N / 10
    assert unpickled == []


class Attack:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/etude-attacked",)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.idx", "a.csv", "a.png"])
def test_a_pickle_is_never_run(tmp_path: Path, name: str) -> None:
    unpickled.clear()
    array = np.empty(1, dtype=object)
    array[0] = Attack()
    attacks = [
        pickle.dumps(Attack()),
        written(lambda file: np.save(file, array)),
        written(lambda file: np.savez(file, x=array)),
    ]
    for attack in attacks:
        (tmp_path / name).write_bytes(attack)
        with pytest.raises(InputError, match=name):
            read(tmp_path / name)
    assert unpickled == []
    assert not Path("/tmp/etude-attacked").exists()
