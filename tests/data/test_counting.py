"""a^n b^n and a^n b^n c^n."""

import re

import pytest

from etude.data.counting import counting, counting_abc, string, strings, vocabulary
from etude.data.kinds import Splits, Symbols


def written(split: Symbols) -> list[str]:
    return [
        "".join(split.vocabulary[number] for number in row[:length])
        for row, length in zip(split.x.tolist(), split.lengths.tolist(), strict=True)
    ]


def test_a_string_is_what_it_says() -> None:
    split = strings([2, 0, 1], "abc")
    assert written(split) == ["<begin>aabbcc<end>", "<begin><end>", "<begin>abc<end>"]
    assert split.x.tolist() == [[1, 3, 3, 4, 4, 5, 5, 2], [1, 2, 0, 0, 0, 0, 0, 0], [1, 3, 4, 5, 2, 0, 0, 0]]
    assert split.vocabulary == vocabulary("abc") == ("<pad>", "<begin>", "<end>", "a", "b", "c")
    assert len(string(1000)) == 2002


@pytest.mark.parametrize(("splits", "letters", "most"), [(counting(), "ab", 100), (counting_abc(), "abc", 50)])
def test_the_test_counts_further_than_training(splits: Splits, letters: str, most: int) -> None:
    found = {}
    for part, split in splits.parts().items():
        assert isinstance(split, Symbols)
        assert split.dimensions == {"symbols": 3 + len(letters)}
        told = [re.fullmatch(f"<begin>{''.join(f'({c}+)' for c in letters)}<end>", text) for text in written(split)]
        counts = [{len(letter) for letter in match.groups()} for match in told if match]
        assert len(counts) == len(split)
        assert all(len(count) == 1 for count in counts)
        found[part] = [n for count in counts for n in count]
    assert set(found["train"]) <= set(range(1, most + 1))
    assert len(found["train"]) == 1000
    assert abs(sum(found["train"]) / 1000 - (most + 1) / 2) < most / 10
    assert found["validation"] == list(range(1, most + 1))
    assert found["test"] == list(range(most + 1, 2 * most + 1))


def test_it_is_always_the_same() -> None:
    assert counting().digest() == counting().digest() != counting_abc().digest()
