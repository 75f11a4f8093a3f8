"""The embedded digits are scikit-learn's."""

import torch
from sklearn.datasets import load_digits

from etude.data.digits import digits
from etude.data.kinds import Images


def test_digits_are_those_of_scikit_learn() -> None:
    splits, original = digits(), load_digits()
    for part in splits.parts().values():
        assert isinstance(part, Images)
        assert part.y is not None
        assert torch.equal(
            (part.x[:, 0].float() / 255 * 16).round(), torch.from_numpy(original.images).float()[part.index]
        )
        assert torch.equal(part.y, torch.from_numpy(original.target)[part.index])
    assert isinstance(splits.train, Images)
    assert splits.train.x.dtype == torch.uint8
    assert splits.train.x.max() == 255
    assert sum(len(part) for part in splits.parts().values()) == 1797
    assert all(part.tensors()["y"].bincount(minlength=10).min() >= 25 for part in splits.parts().values())
