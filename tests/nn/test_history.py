"""The history of pictures against the rule as it is written, and its statistics against SciPy's."""

import torch
from scipy.stats import binomtest, chisquare, geom, kstest

from etude.nn.history import History

SHAPE = (1, 2, 3)


def numbered(first: int, count: int) -> torch.Tensor:
    """Pictures that hold their own number: (count, 1, 2, 3)."""
    return torch.arange(first, first + count).float().reshape(-1, 1, 1, 1).expand(-1, *SHAPE)


def numbers(pictures: torch.Tensor) -> list[int]:
    assert (pictures == pictures[:, :1, :1, :1]).all()
    return [int(number) for number in pictures[:, 0, 0, 0]]


def test_the_first_fifty_pass_and_are_stored() -> None:
    history = History(50, SHAPE)
    for at in range(0, 50, 5):
        assert numbers(history(numbered(at, 5))) == [*range(at, at + 5)]
    assert numbers(history.pictures) == [*range(50)]


def test_then_half_pass_and_half_are_swapped_for_any_of_the_stored() -> None:
    torch.manual_seed(0)
    history = History(50, SHAPE)
    history(numbered(0, 50))
    swapped, places, ages = 0, [0] * 50, []
    for at in range(50, 8050):
        before = numbers(history.pictures)
        (given,) = numbers(history(numbered(at, 1)))
        after = numbers(history.pictures)
        changed = [place for place in range(50) if before[place] != after[place]]
        if given == at:
            assert changed == []
            continue
        assert len(changed) == 1
        assert (before[changed[0]], after[changed[0]]) == (given, at)
        swapped += 1
        places[changed[0]] += 1
        if at > 2000:  # those stored at the start have left
            ages.append(at - given)
    assert binomtest(swapped, 8000).pvalue > 0.01
    assert chisquare(places).pvalue > 0.01
    # a stored picture leaves with probability 1/2 * 1/50 a step
    assert kstest(ages, geom(1 / 100).cdf).pvalue > 0.01


def test_a_batch_is_a_picture_after_the_other() -> None:
    whole, parts = History(3, SHAPE), History(3, SHAPE)
    torch.manual_seed(0)
    together = numbers(whole(numbered(0, 40)))
    torch.manual_seed(0)
    assert together == [number for at in range(40) for number in numbers(parts(numbered(at, 1)))]
    assert any(earlier < at for at, earlier in enumerate(together))


def test_what_is_given_back_does_not_change_later_and_has_no_gradient() -> None:
    torch.manual_seed(0)
    history = History(1, SHAPE)
    x = torch.rand(1, *SHAPE, requires_grad=True)
    given = [history(x * at) for at in range(1, 20)]
    copies = [picture.clone() for picture in given]
    history(torch.zeros(20, *SHAPE))
    assert not any(picture.requires_grad for picture in given)
    assert all(torch.equal(a, b) for a, b in zip(given, copies, strict=True))


def test_goes_on_bit_for_bit_from_its_state() -> None:
    torch.manual_seed(0)
    whole, later = History(5, SHAPE), History(5, SHAPE)
    whole(numbered(0, 23))
    later.load_state_dict(whole.state_dict())
    random = torch.get_rng_state()
    on = numbers(whole(numbered(23, 20)))
    torch.set_rng_state(random)
    assert numbers(later(numbered(23, 20))) == on
    assert torch.equal(whole.pictures, later.pictures)
