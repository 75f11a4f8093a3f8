"""The text that is always at hand."""

from etude.data.kinds import Symbols
from etude.data.prose import FILE, prose
from etude.data.strings import decode


def test_the_pieces_side_by_side_are_the_text() -> None:
    splits, told = prose(), ""
    assert splits.name == "prose"
    for split in splits.parts().values():
        assert isinstance(split, Symbols)
        rows = [row[:length] for row, length in zip(split.x.tolist(), split.lengths.tolist(), strict=True)]
        told += decode([*rows[0], *(number for row in rows[1:] for number in row[1:])], splits.preparation)
    assert told == FILE.read_text(encoding="utf-8")
    assert told.startswith("First Citizen:\nBefore we proceed any further, hear me speak.")
    assert len(told) == 99843


def test_it_is_mostly_to_train_and_holds_nothing_unseen_there() -> None:
    splits = prose()
    characters = {part: int((split.tensors()["lengths"] - 1).sum()) + 1 for part, split in splits.parts().items()}
    assert characters == {"train": 89859, "validation": 4992, "test": 4992}
    assert int(splits.train.tensors()["lengths"].min()) > 1
    assert not bool((splits.train.tensors()["x"][:-1] == 0).any())
