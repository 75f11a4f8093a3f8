"""Recurrent blocks in continuous time: CT-RNN, CT-GRU, liquid time-constant network and neural ODE.

CT-RNN, Funahashi and Nakamura, "Approximation of dynamical systems by continuous time recurrent neural networks", 1993,
as Hasani et al. 2021 write it (introduction):

    dx(t)/dt = -x(t)/tau + f(x(t), I(t), t, theta)

Neural ODE, Chen et al., "Neural ordinary differential equations", 2018, with an input:

    dx(t)/dt = f(x(t), I(t), t, theta)

In both f = tanh(W I + R x + b), as in the experiments of Hasani et al.

LTC, Hasani et al., "Liquid time-constant networks", 2021:

    dx(t)/dt = -[1/tau + f(x(t), I(t), t, theta)] x(t) + f(x(t), I(t), t, theta) A                          (1)
    x(t + dt) = (x(t) + dt f(x(t), I(t), t, theta) . A) / (1 + dt (1/tau + f(x(t), I(t), t, theta)))        (3)
    tau_i / (1 + tau_i W_i) <= tau_sys_i <= tau_i                                                           (4)
    min(0, A_i^min) <= x_i(t) <= max(0, A_i^max)                                                            (5)

where f is a sum over synapses, each with its own A; w is its largest conductance, C a unit's capacitance, g its leak:

    f_i = sum_j f_ij,  f_ij = w_ij / C_i sigma(sigma_ij (v_j - mu_ij)),  tau_i = C_i / g_i

CT-GRU, Mozer, Kazakov and Lindsey, "Discrete-event continuous-time recurrent nets", 2017 (section 2.2), with scales
tau~_i = 10^(i/2), i from 0 to M - 1:

    ln tau_k^R = W^R x_k + U^R h_(k-1) + b^R;  r_ki = softmax_i(-(ln tau_k^R - ln tau~_i)^2)        1. retrieval
    q_k = tanh(W^Q x_k + U^Q (sum_i r_ki . h^_(k-1),i) + b^Q)                                       2. event signals
    ln tau_k^S = W^S x_k + U^S h_(k-1) + b^S;  s_ki = softmax_i(-(ln tau_k^S - ln tau~_i)^2)        3. storage
    h^_ki = [(1 - s_ki) . h^_(k-1),i + s_ki . q_k] e^(-dt_k / tau~_i)                               4. update
    h_k = sum_i h^_ki                                                                               5. combination

Between two steps inputs are held, and a step integrates over the time that passed before it. Where a sequence does not
say how much, it is 1. Each sequence has its own time.

Letters: T steps, B sequences side by side, F inputs, N units, M scales.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from etude.errors import InputError
from etude.nn.layered import Recurrent, at_least_one, input_sizes
from etude.nn.synapses import Currents, Membrane

Outputs = Float[Tensor, "T B N"]


def durations(x: Float[Tensor, "T B F"], elapsed: Float[Tensor, "T B"] | None) -> Float[Tensor, "T B 1"]:
    """What passed before each step: 1 where it is not given."""
    return x.new_ones(*x.shape[:2], 1) if elapsed is None else elapsed[:, :, None].to(x.dtype)


def runge_kutta(
    slope: Callable[[Float[Tensor, "B N"]], Float[Tensor, "B N"]], x: Float[Tensor, "B N"], h: Float[Tensor, "B 1"]
) -> Float[Tensor, "B N"]:
    """x after h of dx/dt = slope(x), by one step of the classical method of order four (Kutta 1901)."""
    k1 = slope(x)
    k2 = slope(x + h / 2 * k1)
    k3 = slope(x + h / 2 * k2)
    k4 = slope(x + h * k3)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


class CTRNN(Recurrent):
    """Continuous-time recurrent units, stepped by explicit Euler; the state is x.

    Args:
        input_size: F, numbers in an input, in [1, inf).
        hidden_size: N, units of a layer and direction, in [1, inf).
        num_layers: layers on top of each other, in [1, inf).
        unfolds: solver's steps between two inputs, in [1, inf) (Hasani et al. 2021, experiments).
        batch_first: whether inputs and outputs are (B, T, ...) and not (T, B, ...).
        bidirectional: whether a second set of units reads each sequence backwards.

    Raises:
        InputError: a size is below 1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        unfolds: int = 6,
        batch_first: bool = False,
        bidirectional: bool = False,
    ) -> None:
        at_least_one(unfolds=unfolds)
        inputs = input_sizes(input_size, hidden_size, num_layers, bidirectional)
        layers = [CTRNNLayer(size, hidden_size, unfolds) for size in inputs]
        super().__init__(layers, input_size, hidden_size, 1, batch_first=batch_first, bidirectional=bidirectional)


class CTRNNLayer(nn.Module):
    """One layer in one direction; every unit learns its tau, which is 1 at the start."""

    def __init__(self, input_size: int, hidden_size: int, unfolds: int) -> None:
        super().__init__()
        self.input = nn.Linear(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)
        self.log_tau = nn.Parameter(torch.zeros(hidden_size))
        self.unfolds = unfolds

    def forward(
        self, x: Float[Tensor, "T B F"], state: tuple[Float[Tensor, "B N"]], elapsed: Float[Tensor, "T B"] | None
    ) -> tuple[Outputs, tuple[Outputs]]:
        h, tau = state[0], torch.exp(self.log_tau)
        # deviates: a step of explicit Euler longer than tau overshoots and, longer than 2 tau, diverges; it ends where
        # x was heading, at tau f, so that |x| never exceeds tau
        shares = (durations(x, elapsed) / (self.unfolds * tau)).clamp(max=1)
        after = []
        for drive, share in zip(self.input(x).unbind(), shares.unbind(), strict=True):
            for _ in range(self.unfolds):
                h = h + share * (tau * torch.tanh(drive + self.recurrent(h)) - h)
            after.append(h)
        y = torch.stack(after)
        return y, (y,)


class NeuralODECell(Recurrent):
    """Units whose change is a layer of a network; the state is x.

    |f| < 1, so that no unit changes by more than the time that passed: no step, however long, diverges.

    Args:
        input_size: F, numbers in an input, in [1, inf).
        hidden_size: N, units of a layer and direction, in [1, inf).
        num_layers: layers on top of each other, in [1, inf).
        solver: `rk4`, a fixed number of classical Runge-Kutta steps; `dopri5`, steps adapted to the whole batch by
            Dormand and Prince's method, differentiated through the solver; `adjoint`, the same with gradients by the
            adjoint method (Chen et al. 2018, section 2), whose memory does not grow with the steps it takes. The last
            two need torchdiffeq (the extra `etude[ode]`).
        unfolds: `rk4`'s steps between two inputs, in [1, inf) (Hasani et al. 2021, experiments).
        tolerance: relative and absolute error of a step of the adaptive solvers, in (0, inf).
        batch_first: whether inputs and outputs are (B, T, ...) and not (T, B, ...).
        bidirectional: whether a second set of units reads each sequence backwards.

    Raises:
        InputError: there is no such solver, or a size is below 1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        solver: str = "rk4",
        unfolds: int = 6,
        tolerance: float = 1e-5,
        batch_first: bool = False,
        bidirectional: bool = False,
    ) -> None:
        if solver not in ("rk4", "dopri5", "adjoint"):
            raise InputError(f"solver is {solver!r}, expected rk4, dopri5 or adjoint: choose one of them")
        at_least_one(unfolds=unfolds)
        inputs = input_sizes(input_size, hidden_size, num_layers, bidirectional)
        layers = [NeuralODELayer(size, hidden_size, solver, unfolds, tolerance) for size in inputs]
        super().__init__(layers, input_size, hidden_size, 1, batch_first=batch_first, bidirectional=bidirectional)


class NeuralODELayer(nn.Module):
    """One layer in one direction."""

    def __init__(self, input_size: int, hidden_size: int, solver: str, unfolds: int, tolerance: float) -> None:
        super().__init__()
        self.input = nn.Linear(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)
        self.solver, self.unfolds, self.tolerance = solver, unfolds, tolerance

    def forward(
        self, x: Float[Tensor, "T B F"], state: tuple[Float[Tensor, "B N"]], elapsed: Float[Tensor, "T B"] | None
    ) -> tuple[Outputs, tuple[Outputs]]:
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.input.weight.dtype)
            solve = self.fixed if self.solver == "rk4" else self.adaptive
            h, after = state[0], []
            for drive, time in zip(self.input(x).unbind(), durations(x, elapsed).unbind(), strict=True):
                h = solve(h, drive, time)
                after.append(h)
        y = torch.stack(after)
        return y, (y,)

    def fixed(
        self, h: Float[Tensor, "B N"], drive: Float[Tensor, "B N"], time: Float[Tensor, "B 1"]
    ) -> Float[Tensor, "B N"]:
        for _ in range(self.unfolds):
            h = runge_kutta(lambda x: torch.tanh(drive + self.recurrent(x)), h, time / self.unfolds)
        return h

    def adaptive(
        self, h: Float[Tensor, "B N"], drive: Float[Tensor, "B N"], time: Float[Tensor, "B 1"]
    ) -> Float[Tensor, "B N"]:
        """Every sequence in its own time: all run from 0 to 1, at the speed of the time that passed."""
        from torchdiffeq import odeint, odeint_adjoint

        def slope(_: Tensor, x: Tensor) -> Tensor:
            return time * torch.tanh(drive + self.recurrent(x))

        asked = {"rtol": self.tolerance, "atol": self.tolerance, "method": "dopri5"}
        ends = torch.tensor([0.0, 1.0], dtype=h.dtype, device=h.device)
        if self.solver == "dopri5":
            found: Tensor = odeint(slope, h, ends, **asked)[-1]
        else:
            found = odeint_adjoint(slope, h, ends, **asked, adjoint_params=(drive, time, self.recurrent.weight))[-1]
        return found


class LTC(Recurrent):
    """Liquid time-constant units, stepped by the paper's fused solver (algorithm 1); the state is x.

    Weights begin in the ranges of the authors' code; `clip` brings them back to where they mean something, and belongs
    after every update. It computes in the precision of its weights, under autocast too, and can be differentiated once.
    With Numba (the extra `etude[fast]`) it is faster on a CPU.

    Args:
        input_size: F, numbers in an input, in [1, inf).
        hidden_size: N, units of a layer and direction, in [1, inf).
        num_layers: layers on top of each other, in [1, inf).
        unfolds: L, solver's steps between two inputs, in [1, inf) (algorithm 1; 6 in the experiments).
        batch_first: whether inputs and outputs are (B, T, ...) and not (T, B, ...).
        bidirectional: whether a second set of units reads each sequence backwards.

    Raises:
        InputError: a size is below 1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        unfolds: int = 6,
        batch_first: bool = False,
        bidirectional: bool = False,
    ) -> None:
        at_least_one(unfolds=unfolds)
        inputs = input_sizes(input_size, hidden_size, num_layers, bidirectional)
        layers = [LTCLayer(size, hidden_size, unfolds) for size in inputs]
        super().__init__(layers, input_size, hidden_size, 1, batch_first=batch_first, bidirectional=bidirectional)

    def clip(self) -> None:
        """Puts conductances, leaks and capacitances back into their ranges."""
        for module in self.modules():
            if isinstance(module, LTCLayer):
                module.clip()


class Synapses(nn.Module):
    """Synapses from J units to I.

    Attributes:
        w: (I, J) largest conductances, in [1e-5, 1000].
        mu: (I, J) voltages at which half of the channels are open.
        sigma: (I, J) steepness of their opening.
        A: (I, J) reversal potentials, 1 or -1 at the start.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(after, before).uniform_(0.01, 1))
        self.mu = nn.Parameter(torch.empty(after, before).uniform_(0.3, 0.8))
        self.sigma = nn.Parameter(torch.empty(after, before).uniform_(3, 8))
        self.A = nn.Parameter(2.0 * torch.randint(2, (after, before)) - 1)

    def weights(self) -> tuple[Tensor, ...]:
        """As `etude.nn.synapses.Weights` has them."""
        return self.w, self.w * self.A, self.sigma, self.sigma * self.mu


class LTCLayer(nn.Module):
    """One layer in one direction.

    Attributes:
        scale, offset: (F,) of the inputs, before the sensory synapses.
        sensory, recurrent: synapses from the inputs and from the units.
        leak: (N,) g, in [1e-5, 1000].
        rest: (N,) potential that a unit leaks to.
        capacitance: (N,) C, in [1e-6, 1000].
    """

    def __init__(self, input_size: int, hidden_size: int, unfolds: int) -> None:
        super().__init__()
        self.scale, self.offset = nn.Parameter(torch.ones(input_size)), nn.Parameter(torch.zeros(input_size))
        self.sensory, self.recurrent = Synapses(input_size, hidden_size), Synapses(hidden_size, hidden_size)
        self.leak = nn.Parameter(torch.ones(hidden_size))
        # deviates: units leak to a potential of their own, as in the authors' code; the paper's leak to 0
        self.rest = nn.Parameter(torch.empty(hidden_size).uniform_(-0.2, 0.2))
        # deviates: the authors' code learns C/dt, which is 0.5 at the start, so that time means nothing; this is C, and
        # C/dt is 0.5 where 1 passes in 6 unfoldings
        self.capacitance = nn.Parameter(torch.full((hidden_size,), 0.5 / 6))
        self.unfolds = unfolds

    def forward(
        self, x: Float[Tensor, "T B F"], state: tuple[Float[Tensor, "B N"]], elapsed: Float[Tensor, "T B"] | None
    ) -> tuple[Outputs, tuple[Outputs]]:
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.scale.dtype) * self.scale + self.offset
            sensed = Currents.apply(x.flatten(0, 1), *self.sensory.weights())  # type: ignore[no-untyped-call]
            G, E = sensed.unflatten(1, x.shape[:2])
            r = durations(x, elapsed) / (self.unfolds * self.capacitance)
            given = state[0], E + self.leak * self.rest, G + self.leak, r, *self.recurrent.weights()
            y = Membrane.apply(self.unfolds, *given)  # type: ignore[no-untyped-call]
        return y, (y,)

    @torch.no_grad()
    def clip(self) -> None:
        for conductance in (self.leak, self.sensory.w, self.recurrent.w):
            conductance.clamp_(1e-5, 1000)
        self.capacitance.clamp_(1e-6, 1000)


class CTGRU(Recurrent):
    """Gated units whose gates choose among time scales; the state is h^, a tensor for each of the M scales.

    Args:
        input_size: F, numbers in an input, in [1, inf).
        hidden_size: N, units of a layer and direction, in [1, inf).
        num_layers: layers on top of each other, in [1, inf).
        scales: M, in [1, inf): time constants 1, 10^(1/2), 10, ... 10^((M - 1)/2) (Hasani et al. 2021, experiments).
        batch_first: whether inputs and outputs are (B, T, ...) and not (T, B, ...).
        bidirectional: whether a second set of units reads each sequence backwards.

    Raises:
        InputError: a size is below 1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        scales: int = 8,
        batch_first: bool = False,
        bidirectional: bool = False,
    ) -> None:
        at_least_one(scales=scales)
        inputs = input_sizes(input_size, hidden_size, num_layers, bidirectional)
        layers = [CTGRULayer(size, hidden_size, scales) for size in inputs]
        super().__init__(layers, input_size, hidden_size, scales, batch_first=batch_first, bidirectional=bidirectional)


class CTGRULayer(nn.Module):
    """One layer in one direction. `input` holds W^R, W^S, W^Q and their biases, `scale` U^R and U^S, `signal` U^Q."""

    ln_tau: Tensor

    def __init__(self, input_size: int, hidden_size: int, scales: int) -> None:
        super().__init__()
        self.input = nn.Linear(input_size, 3 * hidden_size)
        self.scale = nn.Linear(hidden_size, 2 * hidden_size, bias=False)
        self.signal = nn.Linear(hidden_size, hidden_size, bias=False)
        self.register_buffer("ln_tau", math.log(10) / 2 * torch.arange(scales), persistent=False)

    def forward(
        self, x: Float[Tensor, "T B F"], state: tuple[Float[Tensor, "B N"], ...], elapsed: Float[Tensor, "T B"] | None
    ) -> tuple[Outputs, tuple[Outputs, ...]]:
        # deviates: what passed before a step decays before it, not after, so that a step's output is of its own time
        decays = torch.exp(-durations(x, elapsed) / self.ln_tau.exp())
        sizes = [self.scale.out_features, self.signal.out_features]
        traces, after = torch.stack(state, 2), []
        for drive, decay in zip(self.input(x).unbind(), decays.unbind(), strict=True):
            of_scales, of_signal = drive.split(sizes, 1)
            traces = traces * decay[:, None]
            ln_tau = (of_scales + self.scale(traces.sum(2))).unflatten(1, (2, -1))
            r, s = torch.softmax(-((ln_tau[..., None] - self.ln_tau) ** 2), 3).unbind(1)
            q = torch.tanh(of_signal + self.signal((r * traces).sum(2)))
            traces = (1 - s) * traces + s * q[:, :, None]
            after.append(traces)
        every = torch.stack(after)
        return every.sum(3), every.unbind(3)
