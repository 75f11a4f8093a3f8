"""Sizes of convolutional layers (course 003, question 1)."""

from etude.errors import InputError


def output_size(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Places at which a kernel is applied along one dimension: floor((size + 2 padding - kernel) / stride) + 1.

    Raises:
        InputError: the kernel is larger than the padded input.
    """
    padded = size + 2 * padding
    if kernel > padded:
        raise InputError(
            f"a kernel of {kernel} does not fit {size} padded by {padding} on each side: take one of up to {padded}"
        )
    return (padded - kernel) // stride + 1


def parameter_count(in_channels: int, out_channels: int, kernel: int) -> int:
    """Weights and biases of a convolution with square kernels over all input channels."""
    return out_channels * (in_channels * kernel**2 + 1)
