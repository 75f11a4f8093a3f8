"""The LSTM with peepholes against finite differences, torch's LSTM, ONNX Runtime's, and its equations by autograd."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from etude.nn.recurrent import PeepholeLSTM, Recurrence, Weights, backward_pass, forward_pass

T, B, F, N = 6, 3, 4, 5
Numbers = npt.NDArray[np.float32]


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def given() -> tuple[Tensor, ...]:
    """x, y0, c0 and weights large enough that the gates move."""
    torch.manual_seed(0)
    return draw(T, B, F), draw(B, N), draw(B, N), draw(4, N, F) / 2, draw(4, N, N) / 2, draw(3, N), draw(4, N)


def layer_with(weights: Weights, **asked: bool) -> PeepholeLSTM:
    layer = PeepholeLSTM(F, N, **asked).to(weights.W.dtype)
    layer.load_state_dict(weights._asdict())
    return layer


def step_by_step(x: Tensor, y: Tensor, c: Tensor, W: Tensor, R: Tensor, p: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The equations of section II-A, one quantity after another: all outputs and the last cells."""
    outputs = []
    for now in x:
        z = torch.tanh(now @ W[0].T + y @ R[0].T + b[0])
        i = torch.sigmoid(now @ W[1].T + y @ R[1].T + p[0] * c + b[1])
        f = torch.sigmoid(now @ W[2].T + y @ R[2].T + p[1] * c + b[2])
        c = z * i + c * f
        o = torch.sigmoid(now @ W[3].T + y @ R[3].T + p[2] * c + b[3])
        y = torch.tanh(c) * o
        outputs.append(y)
    return torch.stack(outputs), c


def test_values_and_gradients_are_those_of_the_equations_by_autograd() -> None:
    inputs = [x.requires_grad_() for x in given()]
    upstream = draw(T, B, N), draw(B, N)
    expected = step_by_step(*inputs)
    found = Recurrence.apply(*inputs)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, upstream), torch.autograd.grad(expected, inputs, upstream)
    )


def test_gradients_agree_with_finite_differences() -> None:
    assert gradcheck(Recurrence.apply, [x.requires_grad_() for x in given()])


def test_a_single_step_of_one_sequence() -> None:
    _, y0, c0, *weights = given()
    assert gradcheck(Recurrence.apply, [x.requires_grad_() for x in (draw(1, 1, F), y0[:1], c0[:1], *weights)])


def test_both_passes_can_be_called_by_themselves() -> None:
    x, y0, c0, *parts = given()
    weights = Weights(*parts)
    states = forward_pass(x, y0, c0, weights)
    assert states.gates.shape == (T, B, 4, N)
    dx, dy0, dc0, gradients = backward_pass(draw(T, B, N), draw(B, N), x, y0, c0, weights, states)
    for value, gradient in zip((x, y0, c0, *weights), (dx, dy0, dc0, *gradients), strict=True):
        assert gradient.shape == value.shape


def test_without_peepholes_it_is_the_lstm_of_torch() -> None:
    x, y0, c0, *_ = given()
    reference = nn.LSTM(F, N, dtype=torch.float64)

    def ours(values: Sequence[Tensor]) -> list[Tensor]:
        """Values of (4N, ...) in torch's order i, f, g, o as (4, N, ...) in ours."""
        return [value.detach().unflatten(0, (4, N))[[2, 0, 1, 3]] for value in values]

    theirs = list(reference.parameters())
    W, R, b, another = ours(theirs)
    layer = layer_with(Weights(W, R, torch.zeros(3, N), b + another))
    torch.testing.assert_close(layer(x), reference(x))
    found, expected = layer(x, (y0[None], c0[None])), reference(x, (y0[None], c0[None]))
    torch.testing.assert_close(found, expected)
    gradients = torch.autograd.grad(found[0].square().sum(), [layer.W, layer.R, layer.b])
    torch.testing.assert_close(list(gradients), ours(torch.autograd.grad(expected[0].square().sum(), theirs))[:3])


def test_with_peepholes_it_is_the_lstm_of_onnx() -> None:
    inputs = [value.float() for value in given()]
    x, y0, c0, W, R, p, b = inputs
    order = [1, 3, 2, 0]  # ONNX has i, o, f, c, and peepholes i, o, f
    zeros = torch.zeros(1, 4 * N)
    fed = {
        "X": x,
        "W": W[order].flatten(0, 1)[None],
        "R": R[order].flatten(0, 1)[None],
        "B": torch.cat([b[order].flatten()[None], zeros], 1),
        "initial_h": y0[None],
        "initial_c": c0[None],
        "P": p[[0, 2, 1]].flatten()[None],
    }
    expected = onnx_lstm({name: value.numpy() for name, value in fed.items()})
    y, (h, c) = layer_with(Weights(W, R, p, b))(x, (y0[None], c0[None]))
    for ours, theirs in zip((y, h, c), (expected[0][:, 0], *expected[1:]), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=2e-6)


def onnx_lstm(fed: dict[str, Numbers]) -> list[Numbers]:
    """Y, Y_h and Y_c of the operator LSTM."""
    names = ["X", "W", "R", "B", "", "initial_h", "initial_c", "P"]
    node = onnx.helper.make_node("LSTM", names, ["Y", "Y_h", "Y_c"], hidden_size=N)
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node],
        "lstm",
        [onnx.helper.make_tensor_value_info(name, kind, value.shape) for name, value in fed.items()],
        [onnx.helper.make_tensor_value_info(name, kind, None) for name in ("Y", "Y_h", "Y_c")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs: list[Numbers] = session.run(None, fed)
    return outputs


def test_a_sequence_in_two_halves_goes_on_where_the_first_ended() -> None:
    x, *_, W, R, p, b = given()
    layer = layer_with(Weights(W, R, p, b))
    whole, last = layer(x)
    first, state = layer(x[:2])
    second, end = layer(x[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(end, last)
    gradients = torch.autograd.grad(whole.square().sum(), list(layer.parameters()))
    in_halves = torch.autograd.grad(torch.cat([first, second]).square().sum(), list(layer.parameters()))
    torch.testing.assert_close(in_halves, gradients)


def test_batch_first_swaps_two_dimensions_of_inputs_and_outputs_alone() -> None:
    x, *_, W, R, p, b = given()
    y, state = layer_with(Weights(W, R, p, b))(x)
    swapped, same = layer_with(Weights(W, R, p, b), batch_first=True)(x.transpose(0, 1))
    torch.testing.assert_close(swapped, y.transpose(0, 1))
    torch.testing.assert_close(same, state)


def test_an_output_depends_on_no_later_input_and_no_other_sequence() -> None:
    x, *_, W, R, p, b = given()
    x.requires_grad_()
    y, _ = layer_with(Weights(W, R, p, b))(x)
    (gradient,) = torch.autograd.grad(y[2, 1].sum(), x)
    reached = gradient.abs().sum(2) > 0
    expected = torch.zeros(T, B, dtype=torch.bool)
    expected[:3, 1] = True
    assert torch.equal(reached, expected)


def test_under_autocast_it_computes_in_the_precision_of_its_weights() -> None:
    layer, x = PeepholeLSTM(F, N), torch.randn(T, B, F).bfloat16()
    expected = layer(x.float())[0]
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = layer(x)
    torch.testing.assert_close(y, expected)
    y.sum().backward()


def test_a_second_derivative_is_refused() -> None:
    x = draw(T, B, F).requires_grad_()
    y, _ = PeepholeLSTM(F, N).double()(x)
    with pytest.raises(RuntimeError, match="can be differentiated once"):
        torch.autograd.grad(y.sum(), x, create_graph=True)


def test_weights_start_from_the_distribution_of_the_paper() -> None:
    torch.manual_seed(0)
    for parameter in PeepholeLSTM(400, 400).parameters():
        assert parameter.std().item() == pytest.approx(0.1, rel=0.1)
        assert abs(parameter.mean().item()) < 0.01
