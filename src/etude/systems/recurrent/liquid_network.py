"""Liquid time-constant network: Hasani, Lechner, Amini, Rus and Grosu, "Liquid time-constant networks", 2021.

    dx(t)/dt = - [1/tau + f(x(t), I(t), t, theta)] x(t) + f(x(t), I(t), t, theta) A

The state x of a recurrent network follows a differential equation that the input I drives. Here the input acts on both
how strongly and how fast: f raises what draws the state towards A and shortens the time it takes, so that every unit
has a time constant of its own that flows with the input. The same protocol trains the networks that it is compared
with.

Letters: n sequences, T steps, F features, N units, O outputs.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.data.kinds import Sequences, Splits
from etude.errors import InputError
from etude.functional.padding import within
from etude.metrics.sequences import accuracy, f1, mean_squared_error
from etude.nn.continuous import LTC
from etude.nn.named import Block
from etude.nn.named import block as named
from etude.systems.best import Best
from etude.systems.recurrent.lstm_classifier import Reader
from etude.systems.system import Classifier, Clock, Losses, Metric, Paper, Phase, descend


class LiquidNetwork(Classifier):
    """Tells classes apart or predicts numbers, whichever the targets are, at every step or of whole sequences.

    Args:
        features: F.
        outputs: O, classes to tell apart or numbers to predict.
        classes: how many of them are classes, none where numbers are predicted.
        block: what reads the sequences: `ltc`, or one of those that it is compared with (the paper).
        hidden: N, in [1, inf) (the authors' code).
        unfolds: steps of the fused solver for each step of an LTC's sequence, in [1, inf) (the authors' code).
        class_weights: of each class in the loss, in [0, inf); all alike where not given (the authors' code, which has
            0.1 1.6 for ozone).
        rate: Adam's learning rate, in (0, inf); where not given, 0.01 for an LTC and 0.001 for others (the authors'
            code).
        epochs: passes over the training data, in [0, inf) (the authors' code).
        batch: sequences a step, in [1, inf) (the authors' code).
    """

    paper = Paper(
        "R. Hasani, M. Lechner, A. Amini, D. Rus and R. Grosu",
        2021,
        "Liquid time-constant networks",
        "https://arxiv.org/abs/2006.04439",
    )
    kind = Sequences
    metrics: tuple[Metric, ...] = (accuracy,)
    tiny = {"hidden": 8, "unfolds": 3, "epochs": 20, "batch": 20, "rate": 3e-2}
    quick = {"hidden": 16, "epochs": 30}

    def __init__(
        self,
        features: int,
        outputs: int,
        classes: int | None,
        *,
        block: Block = "ltc",
        hidden: int = 32,
        unfolds: int = 6,
        class_weights: tuple[float, ...] = (),
        rate: float | None = None,
        epochs: int = 200,
        batch: int = 16,
    ) -> None:
        super().__init__()
        if class_weights and len(class_weights) != (classes or 0):
            given = " ".join(map(str, class_weights))
            raise InputError(f"--class-weights {given}: the data have {classes or 0} classes, give a weight for each")
        if classes is None:
            self.metrics = (mean_squared_error,)
        elif classes == 2:
            self.metrics = (accuracy, f1)
        self.class_weights = nn.Buffer(torch.tensor(class_weights), persistent=False) if class_weights else None
        self.epochs, self.batch = epochs, batch
        # the LSTM of the authors' code has no peepholes
        options: dict[str, Any] = (
            {"unfolds": unfolds} if block == "ltc" else {"variant": "NP"} if block == "lstm" else {}
        )
        self.reader = Reader(named(block, features, hidden, **options), outputs)
        self.best = Best(self)
        if rate is None:
            rate = 0.01 if block == "ltc" else 0.001
        self.optimizer = torch.optim.Adam(self.parameters(), lr=rate, fused=True)

    def phases(self) -> list[Phase]:
        train = Phase("train", self.step, self.epochs, self.batch, done=self.watch)
        return [train, Phase("choose", self.step, 0, self.batch, start=self.choose)]

    def step(self, batch: Sequences, clock: Clock) -> Losses:
        assert batch.y is not None
        self.reader.each_step = batch.y.ndim == 2 + batch.y.is_floating_point()
        output, _ = self.reader(batch.x, batch.lengths, batch.elapsed)
        losses = {"loss": descend(self.optimizer, self.error(output, batch))}
        if isinstance(self.reader.block, LTC):
            self.reader.block.clip()
        return losses

    def error(self, output: Tensor, batch: Sequences) -> Tensor:
        """Cross-entropy of classes, or mean squared error of numbers, over what is no padding."""
        assert batch.y is not None
        if not batch.y.is_floating_point():
            return F.cross_entropy(output.flatten(0, -2), batch.y.flatten(), self.class_weights, ignore_index=-1)
        errors = (output - batch.y).square().mean(-1)
        if errors.ndim == 1:
            return errors.mean()
        return (errors * within(batch.lengths, errors.shape[1])).sum() / batch.lengths.sum()

    def watch(self, splits: Splits) -> bool:
        """Keep the weights that do best on the validation split, as the authors' code does; train to the end."""
        # deviates: of two classes F1 chooses, as for ozone in the authors' code; their occupancy is chosen by accuracy
        self.eval()
        value = self.metrics[-1](self, splits.validation)
        self.best.compare(self, -value if self.metrics[-1] in (accuracy, f1) else value)
        self.train()
        return False

    def choose(self, splits: Splits) -> None:
        """Take the weights that did best on the validation split."""
        self.best.put_back(self)

    @torch.no_grad()
    def classify(self, x: Tensor, lengths: Tensor | None = None, elapsed: Tensor | None = None) -> Tensor:
        """Class probabilities, (n, O) of sequences or (n, T, O) of steps; for data with classes.

        Args:
            x: (n, T, F).
            lengths: (n,) true steps, where they are padded.
            elapsed: (n, T) time that passed before each step.
        """
        return torch.softmax(self.predict(x, lengths, elapsed), -1)

    @torch.no_grad()
    def predict(self, x: Tensor, lengths: Tensor | None = None, elapsed: Tensor | None = None) -> Tensor:
        """The numbers that the network puts out, (n, O) of sequences or (n, T, O) of steps; arguments as above."""
        output: Tensor = self.reader(x, lengths, elapsed)[0]
        return output
