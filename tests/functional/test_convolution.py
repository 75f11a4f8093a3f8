"""Sizes of convolutions against torch's own layers and the numbers of course 003, question 1."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from etude.errors import InputError
from etude.functional.convolution import output_size, parameter_count


@given(st.integers(1, 20), st.integers(1, 7), st.integers(1, 4), st.integers(0, 3))
def test_output_size_is_that_of_torch(size: int, kernel: int, stride: int, padding: int) -> None:
    assume(kernel <= size + 2 * padding)
    layer = nn.Conv2d(1, 1, kernel, stride, padding)
    assert layer(torch.zeros(1, 1, size, size)).shape[-1] == output_size(size, kernel, stride, padding)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
def test_parameter_count_is_that_of_torch(inputs: int, outputs: int, kernel: int) -> None:
    layer = nn.Conv2d(inputs, outputs, kernel)
    assert sum(p.numel() for p in layer.parameters()) == parameter_count(inputs, outputs, kernel)


def test_course_003_first_layer_of_lenet() -> None:
    assert output_size(32, kernel=5) == 28
    assert parameter_count(1, 6, kernel=5) == 156


def test_course_003_smaller_first_layer() -> None:
    assert output_size(32, kernel=4, stride=2) == 15
    assert parameter_count(1, 5, kernel=4) == 85


def test_course_003_convolution_by_hand() -> None:
    layer = nn.Conv2d(1, 1, kernel_size=2, stride=2, padding=1, bias=False)
    layer.weight.data = torch.tensor([[[[4.0, 2.0], [5.0, 1.0]]]])
    expected = torch.tensor([[1.0, 13.0, 20.0], [19.0, 99.0, 92.0], [26.0, 86.0, 64.0]])
    assert torch.equal(layer(torch.arange(1.0, 17.0).view(1, 1, 4, 4))[0, 0], expected)
    assert output_size(4, kernel=2, stride=2, padding=1) == 3


def test_a_kernel_larger_than_the_input_is_refused() -> None:
    with pytest.raises(InputError, match="a kernel of 5 does not fit 2 padded by 1 on each side: take one of up to 4"):
        output_size(2, kernel=5, padding=1)
