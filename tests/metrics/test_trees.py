"""Trees are right as a whole or wrong; nodes count where they stand."""

import pytest
import torch
from torch import Tensor

from etude.data.kinds import END, Trees
from etude.data.trees import FILES, numbered, parse
from etude.metrics.trees import exact_match, token_accuracy

TREES = ["(+ a b)", "(len a)", "(+ (len a) b)", "a"]


def trees() -> Trees:
    problems = [([f"w{place}"] * 2, parse(text)) for place, text in enumerate(TREES)]
    train = numbered(dict.fromkeys(FILES, problems), "given").train
    assert isinstance(train, Trees)
    return train


class Writer:
    """Says what it was given to say for the text of each first word."""

    device = torch.device("cpu")

    def __init__(self, x: Tensor, said: Tensor) -> None:
        self.said = dict(zip(x[:, 0].tolist(), said, strict=True))

    def translate(self, x: Tensor) -> Tensor:
        assert (x[:, 2] == END).all()
        return torch.stack([self.said[word] for word in x[:, 0].tolist()])


@pytest.mark.parametrize("longest", [4, 3, 9])
def test_what_is_right_counts_whatever_the_padding(longest: int) -> None:
    batch = trees()
    said = torch.zeros(4, 9, dtype=torch.int64)
    said[:, :4] = batch.nodes
    fit = batch.sizes <= longest
    assert exact_match(Writer(batch.x, said[:, :longest]), batch) == fit.double().mean()
    right = batch.sizes.clamp(max=longest).sum() / batch.sizes.sum()
    assert token_accuracy(Writer(batch.x, said[:, :longest]), batch) == pytest.approx(float(right))


def test_a_wrong_node_or_one_too_many_spoils_a_tree() -> None:
    batch = trees()
    assert batch.sizes.tolist() == [3, 2, 4, 1]
    said = torch.zeros(4, 6, dtype=torch.int64)
    said[:, :4] = batch.nodes
    said[0, 1] += 1
    said[3, 1] = 5
    assert exact_match(Writer(batch.x, said), batch) == 0.5
    assert token_accuracy(Writer(batch.x, said), batch) == pytest.approx(9 / 10)
