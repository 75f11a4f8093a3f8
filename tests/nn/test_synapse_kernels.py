"""The kernels of synapses against the eager passes in double precision."""

from collections.abc import Iterator

import pytest
import torch
from tests.nn.test_synapses import currents, given, membrane, summed, unfolded

from etude.nn import synapse_kernels
from etude.nn.fused import can_fuse


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("spread", [1, 40])
def test_the_kernels_compute_what_eager_does_in_double_precision(threads: int, spread: int) -> None:
    exact = given()
    exact[0] = spread * (2 * exact[0] - 1)  # at 40, openings are saturated
    for x in ([each.float() for each in exact], [exact[1].flatten(0, 1).float(), *[w.float() for w in exact[4:]]]):
        assert can_fuse(x[0])
        run, reference = (membrane, unfolded) if len(x) == 8 else (currents, lambda *x: torch.stack(summed(*x)))
        x = [each.requires_grad_() for each in x]
        double = [each.detach().double().requires_grad_() for each in x]
        found, expected = run(*x), reference(*double)
        arriving = torch.randn(expected.shape, dtype=torch.float64)
        ours = torch.autograd.grad(found, x, arriving.float())
        theirs = torch.autograd.grad(expected, double, arriving)
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
        for gradient, exactly in zip(ours, theirs, strict=True):
            scale = exactly.abs().max()
            torch.testing.assert_close(gradient / scale, (exactly / scale).float(), rtol=0, atol=2e-6)


def test_a_kernels_opening_is_the_logistic_function() -> None:
    z = torch.cat([torch.linspace(-30, 30, 4001), torch.tensor([-1e4, -100.0, 100, 1e4])])
    found = torch.tensor([synapse_kernels.opening(each) for each in z.numpy()], dtype=torch.float64)
    exact = z.double().sigmoid()
    assert (found - exact).abs().max() < 2**-23
    torch.testing.assert_close(found, exact, rtol=2e-6, atol=1e-37)


def test_what_is_not_a_number_stays_so_in_the_kernels() -> None:
    for place in (0, 4, 6):
        broken = [x.float() for x in given()]
        broken[place][0, 0] = torch.nan
        assert membrane(*broken)[-1].isnan().any()
