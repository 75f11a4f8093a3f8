"""Batches keep their tensors together; splits are disjoint, complete and balanced."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from etude.data.kinds import Images, Splits, Vectors, hold_out, offer, span, split, walk
from etude.errors import InputError


def some(count: int = 40) -> Images:
    x = torch.randint(0, 256, (count, 1, 4, 3), dtype=torch.uint8)
    return Images(x, torch.arange(count) % 4, ("a", "b", "c", "d"))


def test_selection_takes_every_field() -> None:
    batch = some()
    part = batch[torch.tensor([7, 3])]
    assert part.index.tolist() == [7, 3]
    assert torch.equal(part.x, batch.x[[7, 3]])
    assert part.y is not None
    assert part.y.tolist() == [3, 3]
    assert part[1:].index.tolist() == [3]


def test_bytes_become_floats_on_the_way() -> None:
    batch = Images(torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3))
    assert torch.allclose(batch.to("cpu").x.flatten(), torch.tensor([0.0, 0.2, 1.0]))
    assert batch.place("cpu").x.dtype == torch.uint8


def test_images_and_vectors_are_one_another() -> None:
    batch = some()
    there = offer(batch, Vectors)
    assert isinstance(there, Vectors)
    assert there.dimensions == {"features": 12, "classes": 4, "outputs": 4}
    back = offer(there, Images)
    assert isinstance(back, Images)
    assert torch.equal(back.x, batch.x)


def test_fields_of_unlike_length_are_refused() -> None:
    with pytest.raises(InputError, match="y has 2 examples where there are 3"):
        Vectors(torch.zeros(3, 2), torch.zeros(2))


def test_walk_covers_in_order() -> None:
    assert torch.cat([part.index for part in walk(some(), size=7)]).tolist() == list(range(40))


@given(st.integers(10, 300), st.integers(1, 5), st.integers(0, 3))
def test_split_is_a_partition(count: int, classes: int, seed: int) -> None:
    y = torch.randint(0, classes, (count,), generator=torch.Generator().manual_seed(count))
    whole = Vectors(torch.zeros(count, 1), y, tuple("abcde"[:classes]))
    splits = split(whole, "any", seed=seed)
    assert sorted(torch.cat([part.index for part in splits.parts().values()]).tolist()) == list(range(count))
    assert splits.digest() == split(whole, "any", seed=seed).digest()


@given(st.lists(st.integers(0, 3), min_size=20, max_size=200), st.floats(0.1, 0.9))
def test_each_class_is_held_out_in_proportion(labels: list[int], share: float) -> None:
    y = torch.tensor(labels)
    kept, held = hold_out(Vectors(torch.zeros(len(y), 1), y, tuple("abcd")), share, 0)
    assert len(kept) + len(held) == len(y)
    for label in range(4):
        assert abs(int((y[held] == label).sum()) - share * labels.count(label)) <= 1


def test_digest_sees_one_number() -> None:
    batch = some()
    changed = Images(batch.x.clone(), batch.y, batch.classes)
    changed.x[0, 0, 0, 0] += 1
    assert Splits(batch, batch, batch).digest() != Splits(batch, batch, changed).digest()


def test_splits_together_hold_every_example_once() -> None:
    splits = split(Vectors(torch.arange(20.0)[:, None], torch.arange(20) % 2, ("a", "b")), "n")
    whole = splits.together()
    assert isinstance(whole, Vectors)
    assert sorted(whole.x[:, 0].tolist()) == list(range(20))
    assert whole.classes == ("a", "b")
    torch.testing.assert_close(whole.x[:, 0].long() % 2, whole.y)


@pytest.mark.parametrize(("count", "watched"), [(300, 300), (5000, 1000)])
def test_the_whole_holds_nothing_out(count: int, watched: int) -> None:
    splits = split(Vectors(torch.arange(float(count))[:, None], torch.arange(count) % 4, tuple("abcd")), "n").whole()
    assert isinstance(splits.train, Vectors)
    assert splits.name == "n-whole"
    assert sorted(splits.train.x[:, 0].tolist()) == list(range(count))
    assert splits.train.index.tolist() == list(range(count))
    assert torch.equal(splits.test.tensors()["x"], splits.train.x)
    assert len(splits.validation) == watched
    assert torch.equal(splits.validation.tensors()["x"], splits.train[splits.validation.index].x)
    assert torch.bincount(splits.validation.tensors()["y"]).tolist() == [watched // 4] * 4


def test_span_of_bytes_is_that_of_what_they_become() -> None:
    assert span(torch.tensor([3, 200], dtype=torch.uint8)) == (0.0, 1.0)
    assert span(torch.tensor([-1.5, 2.0])) == (-1.5, 2.0)
