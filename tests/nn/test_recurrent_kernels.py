"""The kernels of the LSTM against the eager operations, which are tested in test_recurrent.py."""

import numpy as np
import pytest
import torch
from tests.nn.test_recurrent import every_variant, given, learnable, there
from torch import Tensor

from etude.nn import recurrent, recurrent_kernels
from etude.nn.recurrent import Recurrence


@every_variant
def test_the_kernels_compute_what_the_eager_operations_do(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = learnable(value if value is None else value.float() for value in given(variant))
    assert recurrent.arithmetic(torch.zeros(1)) is recurrent_kernels

    def values_and_gradients() -> list[Tensor]:
        found = Recurrence.apply(*inputs, variant)  # type: ignore[no-untyped-call]
        return [*found, *torch.autograd.grad(sum(value.square().sum() for value in found), there(inputs))]

    fused = values_and_gradients()
    monkeypatch.setattr(recurrent, "arithmetic", lambda x: recurrent.Eager)
    torch.testing.assert_close(fused, values_and_gradients(), rtol=1e-5, atol=1e-5)


def test_the_activations_of_the_kernels_are_exact_to_two_units_in_the_last_place() -> None:
    numbers = np.concatenate([np.linspace(-80, 80, 20_001), np.geomspace(1e-30, 1, 5_000)]).astype(np.float32)
    x = torch.from_numpy(numbers).double()
    for ours, exact in ((recurrent_kernels.sigmoid, x.sigmoid()), (recurrent_kernels.tanh, x.tanh())):
        found = torch.tensor([ours(number) for number in numbers], dtype=torch.float64)
        torch.testing.assert_close(found, exact, rtol=2 * 2.0**-23, atol=0)
        assert np.isnan(ours(np.float32("nan")))
        assert ours(np.float32("inf")) == 1
