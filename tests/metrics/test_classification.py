"""Classification metrics against scikit-learn and torchmetrics."""

import pytest
import torch
from sklearn import metrics as sk
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from etude.data.kinds import Vectors
from etude.errors import InputError
from etude.metrics.classification import accuracy, calibration_error, confusion_matrix, cross_entropy


class Told:
    """Answers with its input: the features of an example are its class probabilities."""

    device = torch.device("cpu")

    def classify(self, x: Tensor) -> Tensor:
        return x


@pytest.fixture
def split() -> Vectors:
    generator = torch.Generator().manual_seed(0)
    p = torch.randn(2500, 4, dtype=torch.float64, generator=generator).mul(2).softmax(1)
    return Vectors(p, torch.randint(4, (2500,), generator=generator))


def test_agree_with_scikit_learn(split: Vectors) -> None:
    prediction = split.x.argmax(1)
    assert accuracy(Told(), split) == pytest.approx(sk.accuracy_score(split.y, prediction))
    assert cross_entropy(Told(), split) == pytest.approx(sk.log_loss(split.y, split.x.double()), rel=1e-5)
    assert confusion_matrix(Told(), split).tolist() == sk.confusion_matrix(split.y, prediction).tolist()


def test_calibration_error_agrees_with_torchmetrics(split: Vectors) -> None:
    assert split.y is not None
    theirs = multiclass_calibration_error(split.x, split.y, num_classes=4, n_bins=15)
    assert calibration_error(Told(), split) == pytest.approx(float(theirs), rel=1e-5)


def test_calibration_error_of_known_answers() -> None:
    sure = torch.tensor([[1.0, 0.0]]).repeat(10, 1)
    y = torch.tensor([0] * 7 + [1] * 3)
    assert calibration_error(Told(), Vectors(sure, y)) == pytest.approx(0.3)
    honest = torch.tensor([[0.7, 0.3]]).repeat(10, 1)
    assert calibration_error(Told(), Vectors(honest, y)) == pytest.approx(0, abs=1e-7)


def test_cross_entropy_of_an_impossible_class_is_finite() -> None:
    split = Vectors(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    assert cross_entropy(Told(), split) == pytest.approx(87.3365, abs=1e-3)


@pytest.mark.parametrize("y", [None, torch.zeros(3, 1)])
def test_without_classes_is_one_line(y: Tensor | None) -> None:
    with pytest.raises(InputError, match="no classes"):
        accuracy(Told(), Vectors(torch.ones(3, 2), y))
