"""Structural similarity against torchmetrics."""

import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure as reference

from etude.errors import InputError
from etude.functional.similarity import ssim


@pytest.mark.parametrize(("channels", "span"), [(1, 1.0), (3, 1.0), (3, 255.0)])
def test_agrees_with_torchmetrics(channels: int, span: float) -> None:
    x = span * torch.rand(4, channels, 28, 24)
    y = (x + 0.2 * span * torch.randn_like(x)).clamp(0, span)
    _, everywhere = reference(y, x, data_range=span, return_full_image=True)
    within = everywhere[..., 5:-5, 5:-5].mean((1, 2, 3))
    torch.testing.assert_close(ssim(x, y, span), within, atol=1e-5, rtol=1e-4)


def test_equal_images_are_1_and_inverted_ones_less_than_0() -> None:
    x = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(ssim(x, x), torch.ones(2))
    assert (ssim(x, 1 - x) < 0).all()


def test_it_can_be_descended() -> None:
    x, y = torch.rand(2, 1, 1, 11, 12, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: ssim(x, y), (x.clone().requires_grad_(),), fast_mode=True)


def test_images_smaller_than_the_window_are_refused() -> None:
    with pytest.raises(InputError, match="needs 11 x 11 pixels or more, got 8 x 8"):
        ssim(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8))
