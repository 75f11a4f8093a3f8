"""The LSTM and its variants against finite differences, equations by autograd, torch's LSTM and ONNX Runtime's."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from etude.errors import InputError
from etude.nn.recurrent import VARIANTS, PeepholeLSTM, Recurrence, Weights, backward_pass, forward_pass

T, B, F, N = 6, 3, 4, 5
LENGTHS = torch.tensor([4, 6, 1])
Numbers = npt.NDArray[np.float32]
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def given(variant: str = "vanilla") -> tuple[Tensor | None, ...]:
    """x, y0, c0, weights large enough that the gates move, and gates0, as `Recurrence` takes them."""
    torch.manual_seed(0)
    G = {"NIG": 3, "NFG": 3, "NOG": 3, "CIFG": 3}.get(variant, 4)
    start = draw(T, B, F), draw(B, N), draw(B, N)
    p = None if variant == "NP" else draw(G - 1, N)
    seen = (draw(3, N, 3, N) / 2, torch.rand(B, 3, N, dtype=torch.float64)) if variant == "FGR" else (None, None)
    return *start, draw(G, N, F) / 2, draw(G, N, N) / 2, p, draw(G, N), *seen


def learnable(values: Iterable[Tensor | None]) -> list[Tensor | None]:
    return [None if value is None else value.requires_grad_() for value in values]


def there(values: Iterable[Tensor | None]) -> list[Tensor]:
    return [value for value in values if value is not None]


def layer_with(weights: Weights, variant: str = "vanilla", **asked: bool) -> PeepholeLSTM:
    layer = PeepholeLSTM(F, N, variant=variant, **asked).to(weights.W.dtype)
    layer.layers[0].load_state_dict({name: value for name, value in weights._asdict().items() if value is not None})
    return layer


def vanilla() -> tuple[Tensor, PeepholeLSTM]:
    x, _, _, *weights, _ = given()
    assert x is not None
    return x, layer_with(Weights(*weights))  # type: ignore[arg-type]


def step_by_step(
    variant: str,
    x: Tensor,
    y: Tensor,
    c: Tensor,
    W: Tensor,
    R: Tensor,
    p: Tensor | None,
    b: Tensor,
    Q: Tensor | None,
    before: Tensor | None,
) -> tuple[Tensor, ...]:
    """The equations of sections II-A and II-C, one quantity after another."""
    names = {"NIG": "zfo", "NFG": "zio", "NOG": "zif", "CIFG": "zio"}.get(variant, "zifo")
    w, r, bias = (dict(zip(names, value, strict=True)) for value in (W, R, b))
    peephole = dict.fromkeys("ifo", torch.zeros(())) if p is None else dict(zip(names[1:], p, strict=True))
    ys, cs, gates = [], [], []
    for now in x:
        bars = {name: now @ w[name].T + y @ r[name].T + bias[name] for name in names}
        if Q is not None and before is not None:
            for k, name in enumerate("ifo"):
                bars[name] = bars[name] + sum(before[:, j] @ Q[k, :, j].T for j in range(3))
        z = bars["z"] if variant == "NIAF" else torch.tanh(bars["z"])
        i = torch.ones_like(c) if variant == "NIG" else torch.sigmoid(bars["i"] + peephole["i"] * c)
        if variant == "CIFG":
            f = 1 - i
        else:
            f = torch.ones_like(c) if variant == "NFG" else torch.sigmoid(bars["f"] + peephole["f"] * c)
        c = z * i + c * f
        o = torch.ones_like(c) if variant == "NOG" else torch.sigmoid(bars["o"] + peephole["o"] * c)
        y = (c if variant == "NOAF" else torch.tanh(c)) * o
        before = torch.stack([i, f, o], 1)
        ys.append(y)
        cs.append(c)
        gates.append(before)
    found = torch.stack(ys), torch.stack(cs)
    return (*found, torch.stack(gates)) if variant == "FGR" else found


@every_variant
def test_values_and_gradients_are_those_of_the_equations_by_autograd(variant: str) -> None:
    inputs = learnable(given(variant))
    expected = step_by_step(variant, *inputs)  # type: ignore[arg-type]
    found = Recurrence.apply(*inputs, variant)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, expected)
    upstream = [draw(*value.shape) for value in expected]
    torch.testing.assert_close(
        torch.autograd.grad(found, there(inputs), upstream), torch.autograd.grad(expected, there(inputs), upstream)
    )


@every_variant
def test_gradients_agree_with_finite_differences(variant: str) -> None:
    assert gradcheck(Recurrence.apply, [*learnable(given(variant)), variant], fast_mode=True)  # type: ignore[list-item]


@every_variant
def test_a_single_step_of_one_sequence(variant: str) -> None:
    _, y0, c0, *weights, gates0 = given(variant)
    start = [None if value is None else value[:1] for value in (y0, c0, gates0)]
    inputs = learnable([draw(1, 1, F), *start[:2], *weights, start[2]])
    assert gradcheck(Recurrence.apply, [*inputs, variant], fast_mode=True)  # type: ignore[list-item]


def test_what_is_not_a_number_stays_so() -> None:
    x = torch.randn(T, B, F)
    x[2, 1, 0] = float("nan")
    y, _ = PeepholeLSTM(F, N)(x)
    assert y[2:, 1].isnan().all()
    assert y[:, 0].isfinite().all()


def test_both_passes_can_be_called_by_themselves() -> None:
    x, y0, c0, *parts, _ = [*there(given()), torch.zeros(())]
    weights = Weights(*parts)
    states = forward_pass(x, y0, c0, weights)
    assert states.gates.shape == (T, B, 4, N)
    dx, dy0, dc0, gradients, _ = backward_pass(draw(T, B, N), draw(T, B, N), x, weights, states)
    for value, gradient in zip((x, y0, c0, *parts), (dx, dy0, dc0, *there(gradients)), strict=True):
        assert gradient.shape == value.shape


@pytest.mark.parametrize(
    ("variant", "count"),
    [
        ("vanilla", 4 * (N * F + N * N + N) + 3 * N),
        ("NIG", 3 * (N * F + N * N + N) + 2 * N),
        ("NFG", 3 * (N * F + N * N + N) + 2 * N),
        ("NOG", 3 * (N * F + N * N + N) + 2 * N),
        ("NIAF", 4 * (N * F + N * N + N) + 3 * N),
        ("NOAF", 4 * (N * F + N * N + N) + 3 * N),
        ("CIFG", 3 * (N * F + N * N + N) + 2 * N),
        ("NP", 4 * (N * F + N * N + N)),
        ("FGR", 4 * (N * F + N * N + N) + 3 * N + 9 * N * N),
    ],
)
def test_what_a_variant_does_not_have_has_no_parameters(variant: str, count: int) -> None:
    assert sum(parameter.numel() for parameter in PeepholeLSTM(F, N, variant=variant).parameters()) == count


def transplanted(layers: int, bidirectional: bool) -> tuple[PeepholeLSTM, nn.LSTM]:
    """torch's LSTM, whose gates are i, f, g, o, and ours without peepholes with the same weights."""
    torch.manual_seed(0)
    reference = nn.LSTM(F, N, layers, bidirectional=bidirectional, dtype=torch.float64)
    ours = PeepholeLSTM(F, N, layers, variant="NP", bidirectional=bidirectional).double()
    theirs = list(reference.parameters())
    for number, layer in enumerate(ours.layers):
        W, R, b, another = (in_our_order(value) for value in theirs[4 * number : 4 * number + 4])
        layer.load_state_dict({"W": W, "R": R, "b": b + another})
    return ours, reference


def in_our_order(value: Tensor) -> Tensor:
    i, f, z, o = value.detach().chunk(4)
    return torch.stack([z, i, f, o])


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_without_peepholes_it_is_the_lstm_of_torch(layers: int, bidirectional: bool) -> None:
    ours, reference = transplanted(layers, bidirectional)
    x, rows = draw(T, B, F), layers * (1 + bidirectional)
    state = draw(rows, B, N), draw(rows, B, N)
    torch.testing.assert_close(ours(x), reference(x))
    torch.testing.assert_close(ours(x, state), reference(x, state))

    def gradients(block: nn.Module) -> Sequence[Tensor]:
        y, (h, c) = block(x, state)
        return torch.autograd.grad(y.square().sum() + h.sum() + c.sin().sum(), list(block.parameters()))

    found, expected = gradients(ours), gradients(reference)
    for layer in range(rows):
        W, R, b, _ = (in_our_order(value) for value in expected[4 * layer : 4 * layer + 4])
        of_ours = dict(zip("WRb", found[3 * layer : 3 * layer + 3], strict=True))
        torch.testing.assert_close(of_ours, {"W": W, "R": R, "b": b})


@pytest.mark.parametrize("bidirectional", [False, True])
def test_sequences_of_different_lengths_are_those_of_torch_packed(bidirectional: bool) -> None:
    ours, reference = transplanted(2, bidirectional)
    x = draw(T, B, F).requires_grad_()
    packed = pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
    expected, state = reference(packed)
    padded = pad_packed_sequence(expected)[0]
    found, after = ours(packed)
    torch.testing.assert_close((pad_packed_sequence(found)[0], after), (padded, state))
    y, after = ours(x, lengths=LENGTHS)
    torch.testing.assert_close((y, after), (padded, state))
    of_ours = torch.autograd.grad(y.square().sum() + after[1].sum(), x)
    torch.testing.assert_close(of_ours, torch.autograd.grad(padded.square().sum() + state[1].sum(), x))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_with_peepholes_it_is_the_lstm_of_onnx(bidirectional: bool) -> None:
    torch.manual_seed(0)
    block = PeepholeLSTM(F, N, bidirectional=bidirectional)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.mul_(5)
    rows, order = 1 + bidirectional, [1, 3, 2, 0]  # ONNX has i, o, f, c, and peepholes i, o, f
    x, state = torch.randn(T, B, F), (torch.randn(rows, B, N), torch.randn(rows, B, N))

    def stacked(name: str, order: list[int]) -> Tensor:
        return torch.stack([getattr(layer, name).detach()[order].flatten(0, 1) for layer in block.layers])

    fed = {
        "X": x,
        "W": stacked("W", order),
        "R": stacked("R", order),
        "B": torch.cat([stacked("b", order), torch.zeros(rows, 4 * N)], 1),
        "sequence_lens": LENGTHS.int(),
        "initial_h": state[0],
        "initial_c": state[1],
        "P": stacked("p", [0, 2, 1]),
    }
    expected = onnx_lstm({name: value.numpy() for name, value in fed.items()}, rows)
    y, (h, c) = block(x, state, lengths=LENGTHS)
    by_direction = expected[0].transpose(0, 2, 1, 3).reshape(T, B, rows * N)
    for ours, theirs in zip((y, h, c), (by_direction, *expected[1:]), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=2e-6)


def onnx_lstm(fed: dict[str, Numbers], directions: int) -> list[Numbers]:
    """Y, Y_h and Y_c of the operator LSTM."""
    direction = "bidirectional" if directions == 2 else "forward"
    node = onnx.helper.make_node("LSTM", list(fed), ["Y", "Y_h", "Y_c"], hidden_size=N, direction=direction)
    kind = onnx.TensorProto.FLOAT
    kinds = {name: onnx.TensorProto.INT32 if value.dtype == np.int32 else kind for name, value in fed.items()}
    graph = onnx.helper.make_graph(
        [node],
        "lstm",
        [onnx.helper.make_tensor_value_info(name, kinds[name], value.shape) for name, value in fed.items()],
        [onnx.helper.make_tensor_value_info(name, kind, None) for name in ("Y", "Y_h", "Y_c")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs: list[Numbers] = session.run(None, fed)
    return outputs


@every_variant
def test_a_sequence_in_two_halves_goes_on_where_the_first_ended(variant: str) -> None:
    torch.manual_seed(0)
    block, x = PeepholeLSTM(F, N, 2, variant=variant).double(), draw(T, B, F)
    whole, last = block(x)
    first, state = block(x[:2])
    second, end = block(x[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(end, last)
    gradients = torch.autograd.grad(whole.square().sum(), list(block.parameters()))
    in_halves = torch.autograd.grad(torch.cat([first, second]).square().sum(), list(block.parameters()))
    torch.testing.assert_close(in_halves, gradients)


def test_batch_first_swaps_two_dimensions_of_inputs_and_outputs_alone() -> None:
    x, block = vanilla()
    y, state = block(x)
    block.batch_first = True
    swapped, same = block(x.transpose(0, 1))
    torch.testing.assert_close(swapped, y.transpose(0, 1))
    torch.testing.assert_close(same, state)


def test_an_output_depends_on_no_later_input_and_no_other_sequence() -> None:
    x, block = vanilla()
    x.requires_grad_()
    y, _ = block(x)
    (gradient,) = torch.autograd.grad(y[2, 1].sum(), x)
    reached = gradient.abs().sum(2) > 0
    expected = torch.zeros(T, B, dtype=torch.bool)
    expected[:3, 1] = True
    assert torch.equal(reached, expected)


def test_under_autocast_it_computes_in_the_precision_of_its_weights() -> None:
    block, x = PeepholeLSTM(F, N, 2), torch.randn(T, B, F).bfloat16()
    expected = block(x.float())[0]
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = block(x)
    torch.testing.assert_close(y, expected)
    y.sum().backward()


@every_variant
def test_a_second_derivative_is_refused(variant: str) -> None:
    x = draw(T, B, F).requires_grad_()
    y, _ = PeepholeLSTM(F, N, variant=variant).double()(x)
    with pytest.raises(RuntimeError, match="can be differentiated once"):
        torch.autograd.grad(y.sum(), x, create_graph=True)


def test_weights_start_from_the_distribution_of_the_paper() -> None:
    torch.manual_seed(0)
    for parameter in PeepholeLSTM(400, 400, variant="FGR").parameters():
        assert parameter.std().item() == pytest.approx(0.1, rel=0.1)
        assert abs(parameter.mean().item()) < 0.01


def test_a_variant_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InputError, match="'NPG' is no variant of the LSTM; choose one of: vanilla, NIG"):
        PeepholeLSTM(F, N, variant="NPG")
