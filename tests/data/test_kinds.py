"""Batches keep their tensors together; splits are disjoint, complete and balanced."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from etude.data.kinds import (
    Batch,
    ImagePairs,
    Images,
    Sequences,
    Splits,
    Symbols,
    TextPairs,
    Vectors,
    hold_out,
    offer,
    side_by_side,
    span,
    split,
    walk,
)
from etude.errors import InputError


def some(count: int = 40) -> Images:
    x = torch.randint(0, 256, (count, 1, 4, 3), dtype=torch.uint8)
    return Images(x, torch.arange(count) % 4, ("a", "b", "c", "d"))


def series(lengths: list[int], *, y: torch.Tensor | None = None) -> Sequences:
    """Series of two features that are never 0; the time of a step is twice its number."""
    rows = [torch.rand(n, 2) + 1 for n in lengths]
    times = side_by_side((2.0 * torch.arange(n) for n in lengths), None)
    return Sequences(side_by_side(rows), torch.tensor(lengths), y, times, ("a", "b") if y is not None else ())


def symbols(lengths: list[int]) -> Symbols:
    return Symbols(side_by_side(torch.arange(1, n + 1) for n in lengths), torch.tensor(lengths), tuple("-abcdefgh"))


def pairs(lengths: list[int], targets: list[int]) -> TextPairs:
    source, target = symbols(lengths), symbols(targets)
    return TextPairs(source.x, source.lengths, target.x, target.lengths, source.vocabulary, target.vocabulary)


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


@pytest.mark.parametrize("fill", [0.0, -1.0, None])
def test_rows_side_by_side_are_padded_alike(fill: float | None) -> None:
    together = side_by_side([torch.tensor([[1, 2], [3, 4]]), torch.tensor([[5, 6]])], fill)
    padding = [5, 6] if fill is None else [fill, fill]
    assert together.tolist() == [[[1, 2], [3, 4]], [[5, 6], padding]]


def test_a_batch_has_the_padding_that_its_longest_needs() -> None:
    y = torch.tensor([[0, 1, -1, -1], [1, 1, 0, 0], [0, -1, -1, -1]])
    batch = series([2, 4, 1], y=y)[torch.tensor([0, 2])]
    ready = batch.to("cpu")
    assert ready.y is not None
    assert ready.times is not None
    assert (ready.x.shape, ready.x.is_contiguous()) == ((2, 2, 2), True)
    assert torch.equal(ready.x, batch.x[:, :2])
    assert ready.y.tolist() == [[0, 1], [0, -1]]
    assert ready.times.tolist() == [[0, 2], [0, 0]]
    assert batch.place("cpu").tensors()["x"].shape == (2, 4, 2)
    assert symbols([2, 4, 1])[:1].to("cpu").x.tolist() == [[1, 2]]
    both = pairs([2, 4, 1], [5, 1, 3])[1:].to("cpu")
    assert (both.x.shape, both.target.shape) == ((2, 4), (2, 3))


@pytest.mark.parametrize("y", [torch.zeros(3, 4), torch.zeros(3, dtype=torch.int64)])
def test_what_has_no_steps_is_not_cut(y: torch.Tensor) -> None:
    """Four numbers to predict of each series of at most four steps, or one class."""
    ready = series([2, 4, 1], y=y)[:1].to("cpu")
    assert ready.x.shape[1] == 2
    assert ready.y is not None
    assert ready.y.shape == y[:1].shape


def test_no_example_is_ready_too() -> None:
    assert series([2, 4])[:0].to("cpu").x.shape == (0, 4, 2)


def test_time_passes_before_each_step_and_not_in_padding() -> None:
    elapsed = series([3, 2]).elapsed
    assert elapsed is not None
    assert elapsed.tolist() == [[1, 2, 2], [1, 2, 0]]
    assert symbols([1]).dimensions == {"symbols": 9}
    assert pairs([1], [1]).dimensions == {"words": 9, "target_words": 9}


@pytest.mark.parametrize(
    ("y", "outputs"),
    [
        (None, 0),
        (torch.tensor([0, 1]), 2),
        (torch.tensor([[0, 1, 1], [1, 0, -1]]), 2),
        (torch.zeros(2, 5), 5),
        (torch.zeros(2, 3, 4), 4),
    ],
)
def test_outputs_are_classes_or_numbers(y: torch.Tensor | None, outputs: int) -> None:
    dimensions = series([3, 2], y=y).dimensions
    assert dimensions == {"features": 2, "classes": 0 if y is None else 2, "outputs": outputs}


def test_an_image_is_the_sequence_of_its_rows() -> None:
    images = Images(torch.randint(0, 256, (5, 3, 4, 2), dtype=torch.uint8), torch.arange(5) % 2, ("a", "b"))
    rows = offer(images[torch.tensor([3, 1])], Sequences)
    assert isinstance(rows, Sequences)
    assert rows.dimensions == {"features": 6, "classes": 2, "outputs": 2}
    assert rows.lengths.tolist() == [4, 4]
    assert rows.index.tolist() == [3, 1]
    for channel in range(3):
        assert torch.equal(rows.x[0, :, 2 * channel : 2 * channel + 2], images.x[3, channel])
    assert float(rows.to("cpu").x.max()) <= 1


def unlike() -> list[Splits]:
    """Splits whose parts are padded to different lengths."""
    y = torch.tensor([[0, 1, 1], [1, 0, -1]])
    stepwise = [series([3, 2], y=y), series([1, 2], y=y[:, :2]), series([5, 1], y=torch.zeros(2, 5).long())]
    numbers = [series([n, 2], y=torch.ones(2, n, 3)) for n in (3, 2, 5)]
    strings = [symbols([n, 1]) for n in (3, 2, 5)]
    sentences = [pairs([n, 1], [1, 8 - n]) for n in (3, 2, 5)]
    return [Splits(*parts) for parts in (stepwise, numbers, strings, sentences)]


@pytest.mark.parametrize("splits", unlike())
def test_splits_of_unlike_length_are_together(splits: Splits) -> None:
    whole = splits.together()
    parts = list(splits.parts().values())
    for number, (part, place) in enumerate((part, place) for part in parts for place in (0, 1)):
        one: Batch = whole[number : number + 1].to("cpu")
        other = part[place : place + 1].to("cpu")
        assert one.tensors().keys() == other.tensors().keys()
        assert all(torch.equal(one.tensors()[name], tensor) for name, tensor in other.tensors().items())
    if isinstance(whole, Sequences):
        assert whole.elapsed is not None
        assert float(whole.elapsed.min()) >= 0
    assert len(splits.whole().validation) == 6
    assert splits.digest() == splits.digest() != splits.whole().digest()


def test_classes_of_steps_are_no_strata() -> None:
    splits = split(series([3] * 20, y=torch.zeros(20, 3).long()), "any")
    assert [len(part) for part in splits.parts().values()] == [14, 3, 3]


def test_pictures_of_two_domains_keep_their_counterparts_only_where_they_are_aligned() -> None:
    x = torch.arange(50, dtype=torch.uint8).view(50, 1, 1, 1).expand(50, 3, 4, 4).contiguous()
    pairs, places = ImagePairs(x, x[:, :1]), torch.arange(50)
    assert pairs.dimensions == {"channels": 3, "target_channels": 1, "height": 4, "width": 4}
    torch.testing.assert_close(pairs.drawn(places).y[:, 0, 0, 0], pairs.drawn(places).x[:, 0, 0, 0])
    torch.manual_seed(0)
    apart = replace(pairs, aligned=False)
    first, second = apart.drawn(places), apart.drawn(places)
    torch.testing.assert_close(first.x, x)
    assert not torch.equal(first.y, second.y)
    drawn = torch.cat([apart.drawn(places).y[:, 0, 0, 0] for _ in range(40)]).bincount(minlength=50)
    assert int(drawn.min()) > 15
    assert int(drawn.max()) < 75
