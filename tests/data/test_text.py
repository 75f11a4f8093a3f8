"""Documents as TF-IDF, against the formula written out and scikit-learn's own vectoriser."""

import json
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

from etude.data import text as module
from etude.data.kinds import Splits, Vectors
from etude.data.text import load_texts, prepare, stems, text_files, weigh
from etude.errors import InputError

WORDS = ("ships", "grain", "oil", "prices", "trade", "bank", "rate", "market", "company", "wheat", "crude", "gold")


def write(folder: Path, count: int = 60, *, parts: tuple[str, ...] = ("",), classes: tuple[str, ...] = ("",)) -> Path:
    draw = random.Random(0)
    for part in parts:
        for place in range(count):
            file = folder / part / classes[place % len(classes)] / f"{place:03}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(" ".join(draw.choices(WORDS, k=draw.randrange(3, 12))))
    return folder


def seen(splits: Splits) -> dict[str, object]:
    train = splits.train
    assert isinstance(train, Vectors)
    kept = {"kind": "Vectors", "dimensions": train.dimensions, "classes": list(train.classes)}
    remembered: dict[str, object] = json.loads(json.dumps(kept | splits.preparation))
    return remembered


def texts_of(folder: Path, index: torch.Tensor) -> list[str]:
    files = text_files(folder)
    return [files[place].read_text() for place in index.tolist()]


def test_stems_of_a_sentence() -> None:
    """Of the sample that Porter's page on the English stemmer shows; stop words, digits and single letters go."""
    assert stems("The CONSIGNMENT was consigned; 3x Knackeries_knacks!") == ["consign", "consign", "knackeri", "knack"]
    assert stems("a b 42 the and I'm") == []
    assert stems("Größe naïve Москва") == ["größe", "naïv", "москва"]


def test_every_stop_word_goes_and_what_is_left_is_lower_case() -> None:
    assert stems(" ".join(ENGLISH_STOP_WORDS).upper()) == []
    assert stems("GOLD Gold ΧΡΥΣΌ") == ["gold", "gold", "χρυσό"]


def test_rows_are_those_of_scikit_learn_fitted_on_the_training_documents(tmp_path: Path) -> None:
    splits = load_texts(write(tmp_path))
    train = texts_of(tmp_path, splits.train.index)
    theirs = TfidfVectorizer(sublinear_tf=True, analyzer=stems).fit(train)
    assert list(splits.preparation["text"]["stems"]) == theirs.get_feature_names_out().tolist()
    for part in splits.parts().values():
        x = part.tensors()["x"]
        assert x.dtype == torch.float32
        np.testing.assert_allclose(x.numpy(), theirs.transform(texts_of(tmp_path, part.index)).toarray(), atol=1e-6)
        torch.testing.assert_close(x.norm(dim=1), torch.ones(len(x)))


def test_weights_follow_the_formula(tmp_path: Path) -> None:
    splits = load_texts(write(tmp_path))
    train = [stems(text) for text in texts_of(tmp_path, splits.train.index)]
    weights = splits.preparation["text"]["stems"]
    for stem, weight in weights.items():
        assert weight == pytest.approx(1 + math.log((1 + len(train)) / (1 + sum(stem in words for words in train))))
    times = Counter(train[0])
    row = np.array([(1 + math.log(times[stem])) * weights[stem] if stem in times else 0 for stem in weights])
    np.testing.assert_allclose(splits.train.tensors()["x"][0].numpy(), row / np.linalg.norm(row), atol=1e-6)


def test_the_most_frequent_stems_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By occurrences and not by documents; of those that tie the first in the alphabet."""
    monkeypatch.setattr(module, "MOST_STEMS", 3)
    for place in range(40):
        (tmp_path / f"{place}.txt").write_text("gold gold gold " + ("zinc copper" if place % 2 else "silver iron lead"))
    splits = load_texts(tmp_path)
    text, train = splits.preparation["text"], texts_of(tmp_path, splits.train.index)
    occurrences = Counter(stem for words in map(stems, train) for stem in words)
    assert list(text["stems"]) == sorted(sorted(occurrences, key=lambda stem: (-occurrences[stem], stem))[:3])
    assert "gold" in text["stems"]
    assert text["words"] == occurrences.total()
    assert text["distinct"] == 6


def test_class_folders_and_splits_of_a_folder(tmp_path: Path) -> None:
    write(tmp_path, 12, parts=("train", "val", "test"), classes=("ham", "spam"))
    splits = load_texts(tmp_path)
    assert [len(part) for part in splits.parts().values()] == [12, 12, 12]
    for part in splits.parts().values():
        assert isinstance(part, Vectors)
        assert part.classes == ("ham", "spam")
        assert part.tensors()["y"].tolist() == [0] * 6 + [1] * 6
    flat = load_texts(write(tmp_path / "flat"))
    assert "y" not in flat.train.tensors()
    assert sorted(torch.cat([part.index for part in flat.parts().values()]).tolist()) == list(range(60))


def test_new_documents_are_prepared_alike(tmp_path: Path) -> None:
    splits = load_texts(write(tmp_path / "mine", classes=("ham", "spam")))
    again = prepare(tmp_path / "mine", seen(splits))
    for part in splits.parts().values():
        assert torch.equal(again[part.index].x, part.tensors()["x"])
        assert torch.equal(again[part.index].tensors()["y"], part.tensors()["y"])
    file = text_files(tmp_path / "mine")[7]
    one = prepare(file, seen(splits))
    assert torch.equal(one.x, again.x[7:8])
    assert one.y is None
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.txt").write_text("Gold prices!")
    (tmp_path / "new" / "b.txt").write_text("xylophones")
    new = prepare(tmp_path / "new", seen(splits))
    assert new.y is None
    assert new.x.norm(dim=1).tolist() == pytest.approx([1, 0])


def test_documents_without_a_kept_stem_are_zero_and_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "007.txt").write_text("")
    (tmp_path / "009.txt").write_text("1984 ... the")
    splits = load_texts(tmp_path)
    assert splits.preparation["text"]["empty"] == [str(tmp_path / "007.txt"), str(tmp_path / "009.txt")]
    for part in splits.parts().values():
        empty = (part.index == 7) | (part.index == 9)
        assert torch.equal(part.tensors()["x"].norm(dim=1) == 0, empty)


def test_unreadable_documents_are_refused_or_listed(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "005.txt").write_bytes("Größe".encode("latin-1"))
    with pytest.raises(InputError, match=r"005\.txt: not readable as text in UTF-8"):
        load_texts(tmp_path)
    unreadable: list[str] = []
    splits = load_texts(tmp_path, unreadable)
    assert unreadable == [str(tmp_path / "005.txt")]
    assert sum(len(part) for part in splits.parts().values()) == 59


def test_a_byte_order_mark_is_no_letter(tmp_path: Path) -> None:
    splits = load_texts(write(tmp_path / "mine"))
    (tmp_path / "a.txt").write_text("gold", encoding="utf-8-sig")
    (tmp_path / "b.txt").write_text("gold")
    assert torch.equal(prepare(tmp_path / "a.txt", seen(splits)).x, prepare(tmp_path / "b.txt", seen(splits)).x)


def test_folders_that_cannot_be_learned_from(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.txt file in it"):
        load_texts(tmp_path)
    for place in range(40):
        (tmp_path / f"{place}.txt").write_text("1 2 3")
    with pytest.raises(InputError, match="no word in any of 28 documents"):
        load_texts(tmp_path)
    write(tmp_path, classes=("a", "b"))
    with pytest.raises(InputError, match=r"0\.txt: lies beside folders of classes"):
        load_texts(tmp_path)
    (tmp_path / "bad" / "train").mkdir(parents=True)
    (tmp_path / "bad" / "train" / "a.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"none of its \.txt files can be read"):
        load_texts(tmp_path / "bad", [])
    with pytest.raises(InputError, match="too few examples"):
        load_texts(write(tmp_path / "few", 2))


def test_documents_that_share_no_word_with_those_learned_are_refused(tmp_path: Path) -> None:
    splits = load_texts(write(tmp_path / "mine"))
    with pytest.raises(InputError, match=r"input: no word that the system learned from \(such as bank, compani,"):
        weigh(["xylophones"], splits.preparation["text"], "input")
