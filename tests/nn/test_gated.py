"""The GRU in both conventions against torch's, ONNX Runtime's, and its equations."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from etude.errors import InputError
from etude.nn.gated import GRU

T, B, F, N = 6, 3, 4, 5


def transplanted(reset: str, layers: int = 1, **asked: bool) -> tuple[GRU, nn.GRU]:
    """Ours and torch's, with torch's weights in both."""
    torch.manual_seed(0)
    theirs = nn.GRU(F, N, layers, dtype=torch.float64, **asked)
    ours = GRU(F, N, layers, reset=reset, **asked).double()
    for mine, yours in zip(ours.parameters(), theirs.parameters(), strict=True):
        mine.data = yours.data.clone()
    return ours, theirs


@pytest.mark.parametrize("bidirectional", [False, True])
def test_reset_after_the_product_it_is_torchs(bidirectional: bool) -> None:
    ours, theirs = transplanted("after", 2, bidirectional=bidirectional)
    x = torch.randn(T, B, F, dtype=torch.float64)
    state = torch.randn(2 * (1 + bidirectional), B, N, dtype=torch.float64)
    torch.testing.assert_close(ours(x, state), theirs(x, state))
    gradients = [torch.autograd.grad(unit(x)[0].square().sum(), list(unit.parameters())) for unit in (ours, theirs)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(("reset", "linear_before_reset"), [("before", 0), ("after", 1)])
def test_it_is_onnxs(reset: str, linear_before_reset: int) -> None:
    ours, theirs = transplanted(reset)
    x, state = torch.randn(T, B, F), torch.randn(1, B, N)
    zrh = [1, 0, 2]  # the order of ONNX, of torch's r, z, n
    W, R, b, c = (
        parameter.detach().float().unflatten(0, (3, N))[zrh].flatten(0, 1) for parameter in theirs.parameters()
    )
    fed = {"X": x, "W": W[None], "R": R[None], "B": torch.cat([b, c])[None], "initial_h": state}
    kind = onnx.TensorProto.FLOAT
    node = onnx.helper.make_node(
        "GRU",
        ["X", "W", "R", "B", "", "initial_h"],
        ["Y", "Y_h"],
        hidden_size=N,
        linear_before_reset=linear_before_reset,
    )
    graph = onnx.helper.make_graph(
        [node],
        "gru",
        [onnx.helper.make_tensor_value_info(name, kind, value.shape) for name, value in fed.items()],
        [onnx.helper.make_tensor_value_info(name, kind, None) for name in ("Y", "Y_h")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y, end = session.run(None, {name: value.numpy() for name, value in fed.items()})
    found = ours.float()(x, state)
    np.testing.assert_allclose(found[0].detach().numpy(), y[:, 0], atol=2e-6)
    np.testing.assert_allclose(found[1].detach().numpy(), end, atol=2e-6)


def test_the_conventions_differ() -> None:
    x = torch.randn(T, B, F, dtype=torch.float64)
    assert not torch.allclose(transplanted("before")[0](x)[0], transplanted("after")[0](x)[0], atol=1e-3)


def test_reset_before_the_product_its_gradients_agree_with_finite_differences() -> None:
    unit, _ = transplanted("before")
    x, h = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in [(3, 2, F), (1, 2, N)])

    def run(x: Tensor, h: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        names = [name for name, _ in unit.named_parameters()]
        found: tuple[Tensor, Tensor] = torch.func.functional_call(unit, dict(zip(names, weights, strict=True)), (x, h))
        return found

    assert gradcheck(run, (x, h, *unit.parameters()), fast_mode=True)


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(InputError, match="'between', expected before or after"):
        GRU(F, N, reset="between")
