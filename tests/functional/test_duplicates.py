"""Near-duplicates against SciPy's connected components of all distances."""

import pytest
import torch
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform

from etude.functional.duplicates import near_duplicates


def codes(count: int, length: int) -> torch.Tensor:
    """Random codes, a third of them copies with up to three bits turned."""
    torch.manual_seed(0)
    bits = torch.rand(count, length) < 0.5
    copied = bits[: count // 3].clone()
    for row, places in zip(copied, torch.randint(length, (len(copied), 3)), strict=True):
        row[places[: int(torch.randint(4, ()))]] ^= True
    return torch.cat([bits, copied])


@pytest.mark.parametrize("length", [12, 33, 128])
@pytest.mark.parametrize("distance", [0, 1, 3, 7])
def test_groups_are_the_connected_components(length: int, distance: int) -> None:
    bits = codes(90, length)
    near = squareform(pdist(bits.numpy(), "hamming") * length).round() <= distance
    count, component = connected_components(near, directed=False)
    wanted = [[row for row in range(len(bits)) if component[row] == each] for each in range(count)]
    assert sorted(near_duplicates(bits, distance)) == sorted(group for group in wanted if len(group) > 1)


def test_nothing_alike_is_no_group() -> None:
    assert near_duplicates(torch.eye(10, dtype=torch.bool), 1) == []
    assert near_duplicates(torch.eye(10, dtype=torch.bool), 2) == [[*range(10)]]


def test_all_alike_is_one_group() -> None:
    assert near_duplicates(torch.ones(7, 20, dtype=torch.bool)) == [[*range(7)]]
