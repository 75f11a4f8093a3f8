"""Synapses and the membrane: derivatives against autograd and finite differences."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from etude.nn import synapses
from etude.nn.synapses import Currents, Membrane

T, L, B, F, N = 4, 3, 5, 6, 7


def draw(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64)


def weights(after: int, before: int) -> list[Tensor]:
    """w, w A, sigma, shift."""
    return [draw(after, before), 2 * draw(after, before) - 1, 3 + 5 * draw(after, before), 4 * draw(after, before)]


def given() -> list[Tensor]:
    """v0, drive, leak, r and weights; no time passes before one of the steps."""
    torch.manual_seed(0)
    r = 3 * draw(T, B, N)
    r[2, 1] = 0
    return [draw(B, N), draw(T, B, N), 1 + draw(T, B, N), r, *weights(N, N)]


def summed(v: Tensor, w: Tensor, pull: Tensor, sigma: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """G and E, as the module states them."""
    s = torch.sigmoid(sigma * v[:, None, :] - shift)
    return (w * s).sum(2), (pull * s).sum(2)


def unfolded(v: Tensor, drive: Tensor, leak: Tensor, r: Tensor, *weights: Tensor) -> Tensor:
    """Voltages after every step, as the module states them."""
    after = []
    for t in range(len(r)):
        for _ in range(L):
            G, E = summed(v, *weights)
            v = (v + r[t] * (drive[t] + E)) / (1 + r[t] * (leak[t] + G))
        after.append(v)
    return torch.stack(after)


def membrane(*given: Tensor) -> Tensor:
    found: Tensor = Membrane.apply(L, *given)  # type: ignore[no-untyped-call]
    return found


def currents(*given: Tensor) -> Tensor:
    found: Tensor = Currents.apply(*given)  # type: ignore[no-untyped-call]
    return found


def same(run: Any, reference: Any, inputs: list[Tensor], **close: Any) -> None:
    """Values and all gradients."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    found, expected = run(*inputs), reference(*inputs)
    arriving = torch.randn(expected.shape, dtype=expected.dtype)
    torch.testing.assert_close(found, expected, **close)
    gradients = [torch.autograd.grad(y, inputs, arriving.to(y.dtype)) for y in (found, expected)]
    torch.testing.assert_close(*gradients, **close)


def test_the_membrane_is_its_equations_by_autograd() -> None:
    same(membrane, unfolded, given())
    assert gradcheck(membrane, [x.requires_grad_() for x in given()], fast_mode=True)


@pytest.mark.parametrize("room", [1, 3 * F * N, 10**6])
def test_currents_are_their_equations_by_autograd_however_many_rows_at_once(
    room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synapses, "ROOM", room)
    torch.manual_seed(0)
    inputs = [2 * draw(10, F) - 1, *weights(N, F)]
    same(currents, lambda *x: torch.stack(summed(*x)), inputs)


def test_without_numba_eager_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    x = [each.float() for each in given()]
    expected = membrane(*x)
    monkeypatch.setattr(synapses, "can_fuse", lambda v: False)
    monkeypatch.setattr(synapses, "kernels", lambda: pytest.fail("a kernel was called"))
    torch.testing.assert_close(membrane(*x), expected)


def test_a_second_derivative_is_refused() -> None:
    inputs = [x.requires_grad_() for x in given()]
    for y in (membrane(*inputs), currents(inputs[0], *inputs[4:])):
        with pytest.raises(RuntimeError, match="can be differentiated once"):
            torch.autograd.grad(y.sum(), inputs[0], create_graph=True)
