"""Multilayer perceptron: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", 1986.

    x_j = sum_i y_i w_ji                                                                    (1)
    y_j = 1 / (1 + exp(-x_j))                                                               (2)
    E = 1/2 sum_c sum_j (y_jc - d_jc)^2                                                     (3)
    Delta w(t) = -epsilon dE/dw(t) + alpha Delta w(t-1)                                     (9)

Units between input and output learn to stand for whatever helps the output: the error's gradient, sent backwards layer
by layer, says how each weight has to change. Without such hidden units the network draws one straight boundary and
cannot tell apart the two classes of XOR.

Letters: N examples, D features, C outputs.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from etude.data.kinds import Splits, Vectors
from etude.errors import InputError
from etude.functional.losses import LOSSES, binary_cross_entropy, cross_entropy
from etude.metrics import classification, regression
from etude.nn.dense import dense
from etude.nn.radial import RadialUnits
from etude.systems.system import Classifier, Clock, Losses, Metric, Paper, Phase, descend

Activation = Literal[
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "swish", "mish", "relu6", "maxout"
]
Loss = Literal[
    "cross_entropy", "binary_cross_entropy", "hinge", "mse", "l1", "huber", "smooth_l1", "charbonnier", "cosine"
]
SMOOTHED = {"cross_entropy": cross_entropy, "binary_cross_entropy": binary_cross_entropy}


class MLP(Classifier):
    """Multilayer perceptron over rows of numbers: tells classes apart, or predicts numbers with a loss made for them.

    Args:
        features: D, numbers in an example.
        outputs: C, classes to tell apart or numbers to predict.
        hidden: units of each hidden layer, in [1, inf); none leaves a single layer (no paper fixes it).
        activation: what a hidden unit does to its excitation x_j (equation 2).
        units: of the first hidden layer: `linear` ones, or `radial` ones that respond to the distance from a centre, in
            place of weighted sum and activation (course 004, module 0.1).
        loss: `cross_entropy` and `hinge` need classes; the others compare numbers, and see classes in one-hot encoding
            (course 004, module 0.1).
        label_smoothing: weight that the cross-entropies move away from the true label, in [0, 1) (off in the paper).
        smoothing: where that weight goes: to all classes alike, or to the others only (course 000, equations 16 and
            17).
        rate: epsilon, in (0, inf) (figure 1).
        momentum: alpha, in [0, 1) (figure 1).
        weight_decay: lambda: weights also shrink by epsilon lambda w, in [0, inf) (course 000, equation 15, its sign
            corrected).
        epochs: passes over the training data, in [0, inf) (no paper fixes it).
        batch: examples a step, in [1, inf) (no paper fixes it).
    """

    paper = Paper(
        "D. E. Rumelhart, G. E. Hinton and R. J. Williams",
        1986,
        "Learning representations by back-propagating errors",
        "https://doi.org/10.1038/323533a0",
    )
    kind = Vectors
    metrics: tuple[Metric, ...] = (
        classification.accuracy,
        classification.cross_entropy,
        classification.calibration_error,
    )
    tiny = {"hidden": (16,), "epochs": 20, "batch": 20}
    quick = {"hidden": (128,), "activation": "relu", "epochs": 60}

    def __init__(
        self,
        features: int,
        outputs: int,
        *,
        hidden: tuple[int, ...] = (100,),
        activation: Activation = "sigmoid",
        units: Literal["linear", "radial"] = "linear",
        loss: Loss = "cross_entropy",  # deviates: cross-entropy of a softmax; the paper squares errors of sigmoids (3)
        label_smoothing: float = 0.0,
        smoothing: Literal["uniform", "off-target"] = "uniform",
        rate: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        epochs: int = 50,
        batch: int = 50,  # deviates: a step for each batch; the paper sums the gradient over all examples first
    ) -> None:
        super().__init__()
        if label_smoothing and loss not in SMOOTHED:
            raise InputError(f"--label-smoothing with --loss {loss}: it acts on {' and '.join(SMOOTHED)}, leave it out")
        if units == "radial" and not hidden:
            raise InputError("--units radial makes the first hidden layer and there is none: give --hidden a size")
        self.loss, self.label_smoothing, self.smoothing = loss, label_smoothing, smoothing
        self.tells_classes = loss in ("cross_entropy", "hinge")
        if not self.tells_classes:
            self.metrics = (regression.mean_squared_error, regression.r2)
        self.epochs, self.batch = epochs, batch
        # deviates: weights drawn as torch draws them; the paper draws them from [-0.3, 0.3]
        if units == "radial":
            self.network = nn.Sequential(RadialUnits(features, hidden[0]), *dense([*hidden, outputs], activation))
        else:
            self.network = dense([features, *hidden, outputs], activation)
        linear = {id(p) for m in self.modules() if isinstance(m, nn.Linear) for p in m.parameters()}
        groups = [
            {"params": [p for p in self.parameters() if id(p) in linear], "weight_decay": weight_decay},
            {"params": [p for p in self.parameters() if id(p) not in linear], "weight_decay": 0.0},  # slopes, centres
        ]
        self.optimizer = torch.optim.SGD(
            [g for g in groups if g["params"]], lr=rate, momentum=momentum, fused=True
        )  # (9)

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch, start=self.check)]

    def check(self, splits: Splits) -> None:
        """Classes are told apart where there are classes."""
        train = splits.train
        if self.tells_classes and isinstance(train, Vectors) and train.y is not None and train.y.is_floating_point():
            raise InputError(
                f"--loss {self.loss} tells classes apart and the targets are numbers: try --loss mse --rate 0.01"
            )

    def step(self, batch: Vectors, clock: Clock) -> Losses:
        assert batch.y is not None
        return {"loss": descend(self.optimizer, self.error(self.network(batch.x).to(batch.x.dtype), batch.y))}

    def error(self, output: Tensor, y: Tensor) -> Tensor:
        """The loss by its name: output (N, C) and y, (N,) classes or (N, C) numbers, to ()."""
        if self.loss in SMOOTHED:
            return SMOOTHED[self.loss](output, y, self.label_smoothing, self.smoothing)
        return LOSSES[self.loss](output, y)

    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """Class probabilities: x (N, D) to (N, C). The losses that compare numbers train their order alone."""
        return torch.softmax(self.network(x), 1)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """The outputs as numbers: x (N, D) to (N, C); probabilities of labels where the loss is
        `binary_cross_entropy`."""
        output: Tensor = self.network(x)
        return torch.sigmoid(output) if self.loss == "binary_cross_entropy" else output
