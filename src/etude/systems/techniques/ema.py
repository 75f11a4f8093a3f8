"""Averaging of the weights: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992.

    x_t = x_{t-1} - gamma_t g_t           the iterate: whatever step the averaged system takes
    a_t = d_t a_{t-1} + (1 - d_t) x_t     the average

The last iterate of a stochastic rule never settles: it keeps jumping about the optimum by the noise of its latest
steps. The average of the iterates does settle, so the average is what is served, while training goes on from the
iterate itself.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from etude.data.kinds import Splits
from etude.systems.system import Clock, Losses, Paper, Phase, System


class EMA(System):
    """Averages the weights of a system while that system trains by its own rule, and serves the average.

    Args:
        on: the system to train.
        decay: d, the weight of the past in the average, in [0, 1) (Tarvainen and Valpola 2017, section 3.2).
    """

    paper = Paper(
        "B. T. Polyak and A. B. Juditsky",
        1992,
        "Acceleration of stochastic approximation by averaging",
        "https://doi.org/10.1137/0330046",
    )
    tiny = {"decay": 0.9}

    def __init__(self, on: System, *, decay: float = 0.999) -> None:
        super().__init__()
        self.kind, self.metrics, self.final_metrics = on.kind, on.metrics, on.final_metrics
        self.decay = decay
        self.on = on
        self.average = copy.deepcopy(on)
        self.updates = nn.Buffer(torch.tensor(0))

    def phases(self) -> list[Phase]:
        return [
            replace(phase, step=self.averaged(phase.step), start=self.restarted(phase)) for phase in self.on.phases()
        ]

    def averaged(self, step: Callable[[Any, Clock], Losses]) -> Callable[[Any, Clock], Losses]:
        """The same step, followed by an update of the average."""

        def step_and_average(batch: Any, clock: Clock) -> Losses:
            losses = step(batch, clock)
            self.update()
            return losses

        return step_and_average

    def restarted(self, phase: Phase) -> Callable[[Splits], None]:
        """The same start; what it sets the average takes over as it is."""

        def start_and_copy(splits: Splits) -> None:
            if phase.start is not None:
                phase.start(splits)
            self.average.load_state_dict(self.on.state_dict())

        return start_and_copy

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the weights of this moment, and copy what is counted rather than learned."""
        # deviates: an exponential average, which forgets the early iterates; the paper's is the plain mean
        # deviates: d_t = min(d, (1 + t) / (10 + t)), as in TensorFlow's ExponentialMovingAverage
        keep = ((1 + self.updates) / (10 + self.updates)).clamp(max=self.decay)
        for average, iterate in zip(self.average.parameters(), self.on.parameters(), strict=True):
            average.lerp_(iterate, (1 - keep).to(average.dtype))
        for kept, counted in zip(self.average.buffers(), self.on.buffers(), strict=True):
            kept.copy_(counted)
        self.updates.add_(1)

    @property
    def served(self) -> System:
        return self.average.served
