"""Regression metrics against scikit-learn."""

import pytest
import torch
from sklearn import metrics as sk
from torch import Tensor, nn

from etude.data.kinds import Vectors
from etude.errors import InputError
from etude.metrics.regression import mean_squared_error, r2


class Told:
    """Predicts its input."""

    device = torch.device("cpu")

    def predict(self, x: Tensor) -> Tensor:
        return x


def test_agree_with_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(2500, 3, generator=generator) * torch.tensor([1.0, 5.0, 0.1])
    split = Vectors(y + torch.randn(2500, 3, generator=generator), y)
    assert mean_squared_error(Told(), split) == pytest.approx(sk.mean_squared_error(y, split.x))
    assert r2(Told(), split) == pytest.approx(sk.r2_score(y, split.x, multioutput="variance_weighted"), rel=1e-5)


def test_classes_are_one_hot_targets() -> None:
    x, y = torch.rand(50, 3), torch.randint(3, (50,))
    theirs = nn.functional.mse_loss(x, nn.functional.one_hot(y, 3).float())
    assert mean_squared_error(Told(), Vectors(x, y)) == pytest.approx(float(theirs), rel=1e-5)


def test_without_targets_is_one_line() -> None:
    with pytest.raises(InputError, match="no targets"):
        r2(Told(), Vectors(torch.ones(3, 2)))
