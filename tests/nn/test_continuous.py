"""Blocks in continuous time against closed forms, SciPy's solver, orders of convergence, and their papers' theorems."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor, nn
from torch.autograd import gradcheck

from etude.errors import InputError
from etude.nn import synapses
from etude.nn.continuous import CTGRU, CTRNN, LTC, LTCLayer, NeuralODECell, runge_kutta
from etude.nn.layered import Recurrent

T, B, F, N = 5, 3, 4, 6
BLOCKS: dict[str, tuple[type[Recurrent], dict[str, Any]]] = {
    "ctrnn": (CTRNN, {}),
    "ctgru": (CTGRU, {"scales": 3}),
    "ltc": (LTC, {}),
    "rk4": (NeuralODECell, {}),
    "dopri5": (NeuralODECell, {"solver": "dopri5", "tolerance": 1e-8}),
    "adjoint": (NeuralODECell, {"solver": "adjoint", "tolerance": 1e-8}),
}
ROUGH = {"rtol": 1e-6, "atol": 1e-6}
CLOSE: dict[str, Any] = {name: ROUGH if "tolerance" in own else {} for name, (_, own) in BLOCKS.items()}


def made(name: str, inputs: int = F, units: int = N, **options: Any) -> Any:
    torch.manual_seed(0)
    kind, own = BLOCKS[name]
    return kind(inputs, units, **own | options).double()  # type: ignore[arg-type]


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def unconnected(block: nn.Module) -> None:
    """No unit sees an input or another unit."""
    for parameter in block.parameters():
        parameter.data.zero_()


def held(x: Tensor, steps: int) -> Tensor:
    """The same input at every step."""
    return x.expand(steps, *x.shape)


def tensors(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("name", ["dopri5", "adjoint"])  # for fixed steps see test_layered.py
@pytest.mark.parametrize("bidirectional", [False, True])
def test_with_steps_adapted_each_sequence_is_as_if_it_came_alone(name: str, bidirectional: bool) -> None:
    block = made(name, num_layers=2, bidirectional=bidirectional)
    x, elapsed, lengths = draw(T, B, F), 2 * torch.rand(T, B, dtype=torch.float64), torch.tensor([3, 5, 1])
    y, end = block(x, lengths=lengths, elapsed=elapsed)
    for b, length in enumerate(lengths.tolist()):
        alone, alone_end = block(x[:length, b : b + 1], elapsed=elapsed[:length, b : b + 1])
        torch.testing.assert_close(y[:length, b], alone[:, 0], **CLOSE[name])
        for ours, theirs in zip(tensors(end), tensors(alone_end), strict=True):
            torch.testing.assert_close(ours[:, b], theirs[:, 0], **CLOSE[name])


@pytest.mark.parametrize("name", BLOCKS)
def test_where_no_time_is_given_it_is_one(name: str) -> None:
    block, x = made(name), draw(T, B, F)
    torch.testing.assert_close(block(x), block(x, elapsed=torch.ones(T, B, dtype=torch.float64)))
    assert not torch.allclose(block(x)[0], block(x, elapsed=torch.full((T, B), 0.5, dtype=torch.float64))[0], atol=1e-3)


@pytest.mark.parametrize("name", ["ctrnn", "ltc", "rk4", "dopri5"])
def test_twice_the_time_in_twice_the_steps_is_two_steps_with_the_input_held(name: str) -> None:
    once = made(name)
    once.layers[0].unfolds = 12  # explicit steps of half the length: short enough for no guard to act
    twice = made(name)
    twice.layers[0].unfolds = 24
    x, h = draw(B, F), 0.1 * draw(1, B, N)
    elapsed = torch.rand(2, B, dtype=torch.float64)
    elapsed[1] = elapsed[0]
    _, end = once(held(x, 2), h, elapsed=elapsed)
    _, same = twice(x[None], h, elapsed=elapsed[:1] + elapsed[1:])
    torch.testing.assert_close(end, same, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["ctrnn", "ltc", "rk4", "dopri5", "adjoint"])
def test_when_no_time_passes_nothing_changes(name: str) -> None:
    h = draw(1, B, N)
    _, end = made(name)(draw(T, B, F), h, elapsed=torch.zeros(T, B, dtype=torch.float64))
    torch.testing.assert_close(end, h)


@pytest.mark.parametrize("name", ["ctrnn", "ctgru", "ltc", "rk4", "dopri5"])
def test_gradients_agree_with_finite_differences(name: str) -> None:
    block = made(name, 2, 3)
    states = block.states
    names = [key for key, _ in block.named_parameters()]

    def run(x: Tensor, elapsed: Tensor, *others: Tensor) -> Tensor:
        given = others[:states] if states > 1 else others[0]
        weights = dict(zip(names, others[states:], strict=True))
        y: Tensor = torch.func.functional_call(block, weights, (x, given), {"elapsed": elapsed})[0]
        return y

    inputs = [draw(3, 2, 2), 0.5 + torch.rand(3, 2, dtype=torch.float64), *[0.1 * draw(1, 2, 3) for _ in range(states)]]
    inputs += [parameter.data.clone() for parameter in block.parameters()]
    assert gradcheck(run, [x.requires_grad_() for x in inputs], fast_mode=True)


@pytest.mark.parametrize("name", BLOCKS)
def test_outputs_are_finite_and_bounded_after_any_time_with_any_weights(name: str) -> None:
    block = made(name)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.mul_(5)
    if isinstance(block, LTC):
        block.clip()
    elapsed = torch.tensor([[1e-9, 1.0, 10.0]], dtype=torch.float64).expand(2, B)
    y, _ = block(3 * draw(2, B, F), elapsed=elapsed)
    assert y.abs().max() <= (1 + elapsed.cumsum(0)).max()
    y.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in block.parameters())


# CT-RNN


def test_a_ctrnn_unit_alone_decays_exponentially_as_unfolds_grow() -> None:
    errors = []
    for unfolds in (50, 100, 200):
        block = made("ctrnn", unfolds=unfolds)
        unconnected(block)
        block.layers[0].log_tau.data.fill_(math.log(0.7))
        elapsed = torch.tensor([[0.5, 1.0, 2.0]], dtype=torch.float64)
        _, end = block(draw(1, B, F), torch.ones(1, B, N, dtype=torch.float64), elapsed=elapsed)
        errors.append((end[0, :, 0] - torch.exp(-elapsed[0] / 0.7)).abs().max().item())
    orders = -np.diff(np.log2(errors))
    np.testing.assert_allclose(orders, 1, atol=0.05)


def test_a_ctrnn_is_what_scipy_makes_of_its_equation() -> None:
    block = made("ctrnn", unfolds=1000)
    block.layers[0].log_tau.data = 0.3 * draw(N)
    agrees_with_scipy(block, ctrnn_slope(block), rtol=2e-3)


def ctrnn_slope(block: Any) -> Any:
    layer = block.layers[0]

    def slope(h: Tensor, x: Tensor) -> Any:
        return -h / layer.log_tau.exp() + torch.tanh(layer.input(x) + layer.recurrent(h))

    return slope


def agrees_with_scipy(block: Any, slope: Any, rtol: float) -> None:
    """Three steps of different lengths from a state, each with its input held."""
    x, h, elapsed = draw(3, 1, F), 0.5 * draw(1, 1, N), torch.tensor([[0.3], [1.2], [0.6]], dtype=torch.float64)
    y, _ = block(x, h, elapsed=elapsed)
    now = h[0, 0].numpy()
    for t in range(3):

        def rate(_: float, state: Any, t: int = t) -> Any:
            with torch.no_grad():
                return slope(torch.from_numpy(state), x[t, 0]).numpy()

        now = solve_ivp(rate, (0, elapsed[t, 0].item()), now, rtol=1e-10, atol=1e-12).y[:, -1]
        np.testing.assert_allclose(y[t, 0].detach().numpy(), now, rtol=rtol, atol=rtol)


def test_a_ctrnn_step_longer_than_tau_ends_where_it_was_heading() -> None:
    block = made("ctrnn")
    x = draw(1, B, F)
    y, _ = block(x, elapsed=torch.full((1, B), 1e6, dtype=torch.float64))
    assert y.abs().max() <= 1
    layer = block.layers[0]
    layer.recurrent.weight.data.zero_()
    y, _ = block(x, elapsed=torch.full((1, B), 1e6, dtype=torch.float64))
    torch.testing.assert_close(y, torch.tanh(layer.input(x)))


# Neural ODE


def test_runge_kutta_is_of_order_four() -> None:
    """On logistic growth, whose solution is known."""
    exact = 1 / (1 + 4 * math.exp(-2))
    errors = []
    for steps in (8, 16, 32):
        x, h = torch.full((1, 1), 0.2, dtype=torch.float64), torch.full((1, 1), 2 / steps, dtype=torch.float64)
        for _ in range(steps):
            x = runge_kutta(lambda x: x * (1 - x), x, h)
        errors.append(abs(x.item() - exact))
    np.testing.assert_allclose(-np.diff(np.log2(errors)), 4, atol=0.2)


@pytest.mark.parametrize(("name", "rtol"), [("rk4", 1e-5), ("dopri5", 1e-6), ("adjoint", 1e-6)])
def test_a_neural_ode_is_what_scipy_makes_of_its_equation(name: str, rtol: float) -> None:
    block = made(name)
    layer = block.layers[0]
    agrees_with_scipy(block, lambda h, x: torch.tanh(layer.input(x) + layer.recurrent(h)), rtol=rtol)


def test_the_adjoint_method_has_the_gradients_of_backpropagation_through_the_solver() -> None:
    blocks = [made(name, num_layers=2, tolerance=1e-10) for name in ("dopri5", "adjoint")]
    x, h, elapsed = draw(2, B, F).requires_grad_(), draw(2, B, N).requires_grad_(), torch.rand(2, B).double()
    gradients = []
    for block in blocks:
        y, _ = block(x, h, elapsed=elapsed)
        gradients.append(torch.autograd.grad(y.square().sum(), [x, h, *block.parameters()]))
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-7)


def test_an_unknown_solver_is_refused() -> None:
    with pytest.raises(InputError, match="'euler', expected rk4, dopri5 or adjoint"):
        NeuralODECell(F, N, solver="euler")


# LTC


def ltc_slope(block: Any) -> Any:
    """Equation 1, from the sum over synapses."""
    layer = block.layers[0]

    def slope(v: Tensor, x: Tensor) -> Any:
        f, f_A = torch.zeros(N, dtype=torch.float64), layer.leak * layer.rest / layer.capacitance
        for synapse, before in ((layer.sensory, layer.scale * x + layer.offset), (layer.recurrent, v)):
            each = synapse.w * torch.sigmoid(synapse.sigma * (before - synapse.mu)) / layer.capacitance[:, None]
            f, f_A = f + each.sum(1), f_A + (each * synapse.A).sum(1)
        tau = layer.capacitance / layer.leak
        return -(1 / tau + f) * v + f_A

    return slope


def random_ltc(unfolds: int) -> LTC:
    block: LTC = made("ltc", unfolds=unfolds)
    for parameter in block.parameters():
        parameter.data *= 1 + 0.2 * draw(*parameter.shape)
    layer = block.layers[0]
    assert isinstance(layer, LTCLayer)
    layer.capacitance.data *= 10  # slow enough to be away from the equilibrium
    return block


def test_an_ltc_is_what_scipy_makes_of_equation_1() -> None:
    block = random_ltc(1000)
    agrees_with_scipy(block, ltc_slope(block), rtol=2e-3)


def test_the_fused_solver_is_of_order_one() -> None:
    x, h = draw(1, 1, F), 0.5 * draw(1, 1, N)
    blocks = [random_ltc(unfolds) for unfolds in (50, 100, 200)]
    slope = ltc_slope(blocks[0])

    def rate(_: float, state: Any) -> Any:
        with torch.no_grad():
            return slope(torch.from_numpy(state), x[0, 0]).numpy()

    exact = solve_ivp(rate, (0, 1), h[0, 0].numpy(), rtol=1e-10, atol=1e-12).y[:, -1]
    errors = [np.abs(block(x, h)[0][0, 0].detach().numpy() - exact).max() for block in blocks]
    np.testing.assert_allclose(-np.diff(np.log2(errors)), 1, atol=0.1)


def test_an_ltc_unit_alone_decays_with_its_time_constant() -> None:
    block = made("ltc", unfolds=2000)
    unconnected(block)
    layer = block.layers[0]
    layer.capacitance.data.fill_(0.7)
    layer.leak.data.fill_(2.0)
    elapsed = torch.tensor([[0.1, 0.3, 1.0]], dtype=torch.float64)
    _, end = block(draw(1, B, F), torch.ones(1, B, N, dtype=torch.float64), elapsed=elapsed)
    torch.testing.assert_close(end[0, :, 0], torch.exp(-elapsed[0] * 2 / 0.7), rtol=5e-3, atol=1e-4)


@pytest.mark.parametrize("rest", [0.0, None])
def test_theorem_2_states_stay_between_the_potentials(rest: float | None) -> None:
    block = random_ltc(3)
    layer: Any = block.layers[0]
    if rest is not None:
        layer.rest.data.fill_(rest)
    block.clip()
    A = torch.cat([layer.sensory.A, layer.recurrent.A], 1)
    lowest, highest = torch.minimum(layer.rest, A.amin(1)), torch.maximum(layer.rest, A.amax(1))
    y, _ = block(20 * draw(200, 8, F), elapsed=10 * torch.rand(200, 8, dtype=torch.float64))
    assert (y >= lowest - 1e-12).all()
    assert (y <= highest + 1e-12).all()
    assert y.std() > 0.1


def test_theorem_1_the_time_constant_stays_between_its_bounds() -> None:
    """A unit far above its potentials falls at least as fast as its leak alone, and at most with all channels open."""
    block = random_ltc(1)
    layer: Any = block.layers[0]
    for part in (layer.sensory.A, layer.recurrent.A, layer.rest):
        part.data.zero_()
    h, short = torch.ones(1, B, N, dtype=torch.float64), 1e-7
    y, _ = block(draw(1, B, F), h, elapsed=torch.full((1, B), short, dtype=torch.float64))
    speed = (1 - y[0]) / short
    tau = layer.capacitance / layer.leak
    W = (layer.sensory.w.sum(1) + layer.recurrent.w.sum(1)) / layer.capacitance
    assert (speed >= 1 / tau - 1e-4).all()
    assert (speed <= (1 + tau * W) / tau + 1e-4).all()


def test_clip_puts_weights_back_into_their_ranges_and_leaves_the_others() -> None:
    block = made("ltc", num_layers=2)
    inside = {name: value.clone() for name, value in block.state_dict().items()}
    block.clip()
    torch.testing.assert_close(block.state_dict(), inside)
    for parameter in block.parameters():
        parameter.data.fill_(-3.0)
    block.clip()
    lowest = {"w": 1e-5, "leak": 1e-5, "capacitance": 1e-6}
    for name, value in block.state_dict().items():
        assert value.eq(lowest.get(name.rpartition(".")[2], -3.0)).all(), name


def test_an_ltc_starts_from_the_ranges_of_the_authors_code() -> None:
    layer: Any = made("ltc", 50, 60).layers[0]
    for synapse in (layer.sensory, layer.recurrent):
        for value, low, high in ((synapse.w, 0.01, 1), (synapse.mu, 0.3, 0.8), (synapse.sigma, 3, 8)):
            assert low <= value.min() < low + 0.1 * (high - low)
            assert high - 0.1 * (high - low) < value.max() <= high
        assert synapse.A.abs().eq(1).all()
        assert abs(synapse.A.mean()) < 0.1
    assert layer.rest.abs().max() <= 0.2
    torch.testing.assert_close(layer.capacitance * 6, torch.full((60,), 0.5).double(), rtol=1e-6, atol=0)
    assert layer.leak.eq(1).all()


def test_an_ltc_computes_the_same_with_and_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    block = made("ltc", num_layers=2, bidirectional=True).float()
    x, elapsed = torch.randn(T, B, F), 2 * torch.rand(T, B)
    found = []
    for there in (True, False):
        if not there:
            monkeypatch.setattr(synapses, "can_fuse", lambda v: False)
        y, _ = block(x, elapsed=elapsed)
        found.append((y, torch.autograd.grad(y.square().sum(), list(block.parameters()))))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


def test_an_ltc_under_autocast_computes_in_the_precision_of_its_weights() -> None:
    block, x = made("ltc").float(), torch.randn(T, B, F).bfloat16()
    expected = block(x.float())[0]
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = block(x)
    torch.testing.assert_close(y, expected)


# CT-GRU


def test_ctgru_traces_decay_exponentially_each_at_its_own_scale() -> None:
    """With no storage, what was there has decayed by exp(-dt / tau) and nothing else."""
    block = made("ctgru", scales=8)
    unconnected(block)
    layer = block.layers[0]
    assert layer.ln_tau.exp().tolist() == pytest.approx([10 ** (k / 2) for k in range(8)])
    layer.input.bias.data[N : 2 * N] = -1e3  # a storage scale far below all: the shortest takes everything
    state = tuple(torch.ones(1, B, N, dtype=torch.float64) for _ in range(8))
    elapsed = torch.tensor([[0.5, 1.0, 20.0]], dtype=torch.float64)
    y, end = block(draw(1, B, F), state, elapsed=elapsed)
    for k, trace in list(enumerate(end))[1:]:
        torch.testing.assert_close(trace[0, :, 0], torch.exp(-elapsed[0] / 10 ** (k / 2)))
    assert end[0].abs().max() < 1e-12
    torch.testing.assert_close(y[0], torch.stack(end).sum(0)[0])


def test_a_ctgru_is_its_equations_with_the_decay_before_the_step() -> None:
    block = made("ctgru", scales=4)
    layer = block.layers[0]
    W_R, W_S, W_Q = layer.input.weight.split(N)
    b_R, b_S, b_Q = layer.input.bias.split(N)
    U_R, U_S = layer.scale.weight.split(N)
    x, elapsed = draw(T, 1, F), torch.rand(T, 1, dtype=torch.float64)
    y, end = block(x, elapsed=elapsed)
    traces = [torch.zeros(N, dtype=torch.float64) for _ in range(4)]
    tau = [10 ** (i / 2) for i in range(4)]
    for t in range(T):
        traces = [trace * math.exp(-elapsed[t, 0].item() / scale) for trace, scale in zip(traces, tau, strict=True)]
        h = sum(traces)
        scales = {"R": W_R @ x[t, 0] + U_R @ h + b_R, "S": W_S @ x[t, 0] + U_S @ h + b_S}
        near = {k: torch.stack([torch.exp(-((v - math.log(i)) ** 2)) for i in tau]) for k, v in scales.items()}
        r, s = near["R"] / near["R"].sum(0), near["S"] / near["S"].sum(0)
        recalled = sum(r[i] * traces[i] for i in range(4))
        q = torch.tanh(W_Q @ x[t, 0] + layer.signal.weight @ recalled + b_Q)
        traces = [(1 - s[i]) * traces[i] + s[i] * q for i in range(4)]
        torch.testing.assert_close(y[t, 0], sum(traces))
    torch.testing.assert_close([each[0, 0] for each in end], traces)
