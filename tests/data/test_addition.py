"""Sums as text."""

import pytest

from etude.data.addition import addition, question, questions
from etude.data.kinds import BEGIN, END, TextPairs
from etude.data.pairs import decode, encode


@pytest.mark.parametrize(("digits", "counts"), [(1, [23, 2, 2]), (2, [2105, 210, 210])])
def test_every_answer_is_right_and_no_question_comes_twice(digits: int, counts: list[int]) -> None:
    splits = addition(digits=digits)
    assert [len(split) for split in splits.parts().values()] == counts
    asked = set()
    for split in splits.parts().values():
        assert isinstance(split, TextPairs)
        assert split.x.shape[1] == 2 * digits + 2
        assert set(split.lengths.tolist()) == {2 * digits + 2}
        assert set(split.target[:, 0].tolist()) == {BEGIN}
        ends = split.target.gather(1, split.target_lengths[:, None] - 1)
        assert set(ends.flatten().tolist()) == {END}
        for x, y in zip(split.x.tolist(), split.target.tolist(), strict=True):
            a, b = map(int, decode(x, splits.preparation, "source").split("+"))
            assert int(decode(y, splits.preparation)) == a + b
            assert max(a, b) < 10**digits
            asked.add((min(a, b), max(a, b)))
    assert len(asked) == sum(counts)


def test_three_digits_are_the_default() -> None:
    sums = questions()
    assert len({tuple(sorted(pair)) for pair in sums}) == len(sums) == 60_000
    for part in (sums[:5000], sums[-5000:]):  # short sums run out, in no part more than in another
        lengths = [len(str(number)) for pair in part for number in pair]
        assert [round(lengths.count(digits) / len(lengths), 1) for digits in (1, 2, 3)] == [0.1, 0.3, 0.6]
    assert question(123, 45) == "123+45 "


def test_a_question_of_ones_own_is_encoded_alike() -> None:
    splits = addition(digits=2)
    first = splits.test.tensors()["x"][0].tolist()
    typed = decode(first, splits.preparation, "source")
    assert encode(typed, splits.preparation) == encode(typed.ljust(5), splits.preparation) == first
    assert len(encode("7+8", splits.preparation)) == len(encode("77+88", splits.preparation)) == 6
    assert len(encode("77+888", splits.preparation)) == 7
    assert encode("7x", splits.preparation)[1] == 3
