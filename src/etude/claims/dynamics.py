"""Claims about recurrent networks as dynamical systems: how long a path their states take, and what becomes of
gradients on the way back."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from etude.claims.lab import Finding, Lab, Plot, claim, clear, gain, spread
from etude.functional.trajectories import principal_plane, trajectory_length
from etude.nn.continuous import runge_kutta

SEEDS = range(5)
POINTS = 200
WIDTHS, WIDTH = (25, 50, 100, 200), 100
VARIANCES, VARIANCE = (1.0, 2.0, 4.0, 8.0), 2.0
STEPS, UNITS = 500, 100
Slope = Callable[[Tensor, Tensor, Tensor], Tensor]
FLOWS: dict[str, Slope] = {
    "neural ODE": lambda x, f, A: f,
    "CT-RNN": lambda x, f, A: -x + f,
    "LTC": lambda x, f, A: -(1 + f) * x + f * A,
}
"""dx/dt of a state x, with f = tanh(W x + U I + b) and time constant 1."""


def circle() -> Tensor:
    """The input I(t) = (sin t, cos t), once around."""
    t = torch.linspace(0, 2 * math.pi, POINTS, dtype=torch.float64)
    return torch.stack([t.sin(), t.cos()], 1)


def drawn(units: int, inputs: int, variance: float) -> tuple[Tensor, Tensor]:
    """Weights from N(0, variance / inputs) and biases from N(0, 1)."""
    weights = torch.randn(units, inputs, dtype=torch.float64) * (variance / inputs) ** 0.5
    return weights, torch.randn(units, dtype=torch.float64)


def states_of_layers(width: int, variance: float) -> Tensor:
    """The third layer of a perceptron at every input."""
    h = circle()
    for inputs in (2, width, width):
        weights, bias = drawn(width, inputs, variance)
        h = torch.tanh(h @ weights.T + bias)
    return h


def states_of_flow(slope: Slope, width: int, variance: float) -> Tensor:
    """The state of a network in continuous time while the input goes around once in 2 pi, from 0 at the start."""
    (U, b), (W, _), A = drawn(width, 2, variance), drawn(width, width, variance), drawn(width, 1, 1.0)[1]
    x, step, states = torch.zeros(1, width, dtype=torch.float64), 2 * math.pi / POINTS, []
    h = torch.full((1, 1), step / 2, dtype=torch.float64)

    def change(x: Tensor, drive: Tensor) -> Tensor:
        return slope(x, torch.tanh(x @ W.T + drive), A)

    for drive in (circle() @ U.T + b).split(1):
        for _ in range(2):
            x = runge_kutta(lambda x, drive=drive: change(x, drive), x, h)  # type: ignore[misc]
        states.append(x[0])
    return torch.stack(states)


def lengths(width: int, variance: float) -> dict[str, dict[str, Any]]:
    """The length of every network's path, seed by seed."""
    found: dict[str, list[float]] = {"MLP": [], **{name: [] for name in FLOWS}}
    for name, values in found.items():
        for seed in SEEDS:
            torch.manual_seed(seed)
            states = (
                states_of_layers(width, variance) if name == "MLP" else states_of_flow(FLOWS[name], width, variance)
            )
            values.append(float(trajectory_length(principal_plane(states))))
    return {name: spread(values) for name, values in found.items()}


@claim(
    "the states of a liquid time-constant network draw a longer path than those of other networks in continuous time",
    source="Hasani et al. 2021, section 5 and figure 3; course 004, module 4",
    minutes=2,
)
def longer_trajectories(lab: Lab) -> Finding:
    numbers: dict[str, Any] = {}
    longer = []
    by_width = {width: lengths(width, VARIANCE) for width in WIDTHS}
    by_variance = {variance: lengths(WIDTH, variance) for variance in VARIANCES}
    for what, table in (("width", by_width), ("variance of weights", by_variance)):
        for value, found in table.items():
            numbers |= {f"{what} {value:g}: {name}": length for name, length in found.items()}
            longer += [clear(gain(found["LTC"], found[other])) for other in ("neural ODE", "CT-RNN")]
    numbers["settings in which LTC's path is longer than the CT-RNN's"] = sum(longer[1::2])
    numbers["settings in which LTC's path is longer than the neural ODE's"] = sum(longer[::2])
    numbers["settings"] = len(longer) // 2
    plots = {
        f"Length of the path of states over {what}": Plot(
            [f"{what}", "length in the plane of the first two principal components"],
            [float(value) for value in table],
            {name: [found[name]["mean"] for found in table.values()] for name in next(iter(table.values()))},
        )
        for what, table in (("width", by_width), ("variance of weights", by_variance))
    }
    note = (
        f"The input goes once around the unit circle, {POINTS} points; weights from N(0, variance / inputs), biases "
        "from N(0, 1), tanh, time constant 1, Runge-Kutta steps; variance "
        f"{VARIANCE:g} where the width changes, width {WIDTH} where the variance does; the MLP's is its third layer. "
        "The claim holds if in every setting LTC's path is longer than both others' by a mean difference above its "
        "standard error. A neural ODE has no leak: its states drift, and a drift is long too."
    )
    return Finding(all(longer), numbers, note, plots)


def gradient_norms(weights: Tensor, squash: Callable[[Tensor], Tensor]) -> list[float]:
    """The norm of the gradient with respect to every earlier state of h_t = squash(W h_(t-1) + noise); 1 at the end."""
    states = [torch.randn(UNITS, dtype=torch.float64).requires_grad_()]
    for _ in range(STEPS):
        states.append(squash(weights @ states[-1] + 0.1 * torch.randn(UNITS, dtype=torch.float64)))
    end = torch.randn(UNITS, dtype=torch.float64)
    gradients = torch.autograd.grad(states[-1], states, end / end.norm())
    return [float(gradient.norm()) for gradient in reversed(gradients)]


@claim(
    "orthogonal recurrent weights keep a gradient's norm over 500 steps, Gaussian weights of the same scale do not",
    source="Saxe et al. 2014, section 3; course 004, module 4",
    minutes=1,
)
def orthogonal_keeps_norm(lab: Lab) -> Finding:
    begins: dict[str, Callable[[Tensor], Tensor]] = {
        "orthogonal": nn.init.orthogonal_,
        "Gaussian": lambda weights: nn.init.normal_(weights, std=UNITS**-0.5),
    }
    squashes: dict[str, Callable[[Tensor], Tensor]] = {"linear": lambda h: h, "tanh": torch.tanh}
    logs: dict[str, list[float]] = {}
    curves: dict[str, list[float]] = {}
    for name, begin in begins.items():
        for how, squash in squashes.items():
            for seed in SEEDS:
                torch.manual_seed(seed)
                norms = gradient_norms(begin(torch.empty(UNITS, UNITS, dtype=torch.float64)), squash)
                logs.setdefault(f"{name}, {how}", []).append(math.log10(norms[-1]))
                curves.setdefault(f"{name}, {how}", norms[1:])
    numbers = {f"log10 of the norm after {STEPS} steps back: {name}": spread(values) for name, values in logs.items()}
    kept = max(map(abs, logs["orthogonal, linear"])) < 1e-3
    lost = min(map(abs, logs["Gaussian, linear"])) > 1
    note = (
        f"{UNITS} units, h_t = W h_(t-1) + noise of deviation 0.1, linear or through tanh; the gradient at the last "
        "step has norm 1. It holds if with linear units every orthogonal seed keeps it within 0.1 % and every Gaussian "
        f"seed, of variance 1 / {UNITS}, changes it more than tenfold. tanh shrinks gradients wherever it bends, more "
        "where states stay large: orthogonal weights do not prevent that."
    )
    plot = Plot(["steps back", "norm of the gradient"], [float(t) for t in range(1, STEPS + 1)], curves, "semilog")
    return Finding(kept and lost, numbers, note, {"Norm of the gradient on its way back, first seed": plot})
