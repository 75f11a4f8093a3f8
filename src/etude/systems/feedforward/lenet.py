"""LeNet-5: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998.

    x_i = f(a_i)                                                                            (5)
    f(a) = A tanh(S a)                                                                      (6)
    y_i = sum_j (x_j - w_ij)^2                                                              (7)
    E = y_D + log(e^-j + sum_i e^-y_i)                                                      (9)

A feature worth finding in one place of an image is worth finding in all: the units of a convolutional map share their
weights. Subsampling then lowers the resolution, so that a feature's place matters less and less. Each class has a fixed
code of 84 numbers; the output is the squared distance (7) of the last layer from it, and (9) lowers that of the true
class D while it raises others.

    C1 6 maps, S2 subsampling, C3 16 maps of some of S2's each, S4 subsampling, C5 120 units, F6 84 units, one distance
    a class

Letters: N examples, C channels, H height, W width, K classes.
"""

from math import cos, pi

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.data.kinds import Images
from etude.errors import InputError
from etude.functional.convolution import output_size
from etude.metrics.classification import accuracy, calibration_error, cross_entropy
from etude.systems.system import Classifier, Clock, Losses, Paper, Phase, descend

A, S = 1.7159, 2 / 3
UNITS = 84
RUBBISH = 20.0  # j in (9): classes further away are not pushed further; the paper only asks that it be positive


def connections() -> Tensor:
    """Table I: which maps of S2 (columns) each map of C3 (rows) sees, (16, 6) bool; 60 pairs are connected."""
    three = [(i, i + 1, i + 2) for i in range(6)]
    four = [(i, i + 1, i + 2, i + 3) for i in range(6)]
    apart = [(i, i + 1, i + 3, i + 4) for i in range(3)]
    table = torch.zeros(16, 6, dtype=torch.bool)
    for row, seen in enumerate([*three, *four, *apart, range(6)]):
        table[row, [place % 6 for place in seen]] = True
    return table


def left_over(size: int, kernel: int, stride: int, padding: int) -> int:
    """Places along one dimension that S4 leaves for C5."""
    s2 = output_size(output_size(size, kernel, stride, padding), 2, 2)
    return output_size(output_size(s2, kernel, stride), 2, 2)


class PartialConvolution(nn.Module):
    """A convolution whose output maps each see the input maps that a table (out, in) gives them, and no others."""

    def __init__(self, table: Tensor, kernel: int, stride: int) -> None:
        super().__init__()
        self.shape, self.stride = (*table.shape, kernel, kernel), stride
        self.places = nn.Buffer(table.flatten().nonzero().flatten(), persistent=False)
        inputs = table.sum(1, keepdim=True).expand_as(table)[table] * kernel**2
        self.weight = nn.Parameter((2 * torch.rand(len(inputs), kernel, kernel) - 1) / inputs[:, None, None].sqrt())
        self.bias = nn.Parameter(torch.zeros(len(table)))

    def forward(self, x: Tensor) -> Tensor:
        every = self.weight.new_zeros(self.shape[0] * self.shape[1], *self.shape[2:])
        return F.conv2d(x, every.index_copy(0, self.places, self.weight).view(self.shape), self.bias, self.stride)


class Subsampling(nn.Module):
    """S2 and S4: the sum over 2x2 places times a coefficient, plus a bias, both learned for each map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(maps, 1, 1))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2, divisor_override=1) * self.weight + self.bias


class Squash(nn.Module):
    """(6)"""

    def forward(self, a: Tensor) -> Tensor:
        return A * torch.tanh(S * a)


class LeNet(Classifier):
    """LeNet-5 for images of any size that its layers fit.

    Args:
        channels: C.
        height: H.
        width: W.
        classes: K.
        kernel: side of the kernels of C1 and C3, in [1, inf) (section II.B).
        stride: step of the kernels of C1 and C3, in [1, inf) (section II.B).
        padding: background added to each side, in [0, inf): 28x28 images become 32x32 (section II.B).
        rate: AdamW's learning rate at the start; falls to 0 along a cosine, in (0, inf) (chosen on MNIST's validation).
        weight_decay: each step takes this much times the rate off every weight, in [0, inf) (chosen likewise).
        epochs: passes over the training data, in [0, inf) (section III.B).
        batch: examples a step, in [1, inf) (no paper fixes it).
    """

    paper = Paper(
        "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner",
        1998,
        "Gradient-based learning applied to document recognition",
        "https://doi.org/10.1109/5.726791",
    )
    kind = Images
    metrics = (accuracy, cross_entropy, calibration_error)
    tiny = {"kernel": 3, "padding": 2, "epochs": 4, "batch": 20, "rate": 5e-3}
    quick = {"kernel": 3, "padding": 3, "epochs": 30, "batch": 20}

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        classes: int,
        *,
        kernel: int = 5,
        stride: int = 1,
        padding: int = 2,
        rate: float = 5e-3,
        weight_decay: float = 0.2,
        epochs: int = 20,
        batch: int = 50,
    ) -> None:
        super().__init__()
        self.padding, self.rate, self.epochs, self.batch = padding, rate, epochs, batch
        try:
            places = [left_over(size, kernel, stride, padding) for size in (height, width)]
        except InputError:
            image = f"{height}x{width} images are too small for --kernel {kernel} --stride {stride} --padding {padding}"
            raise InputError(f"{image}: take a smaller kernel or a larger padding") from None
        # deviates: torch's first weights, and 1 to subsample; the paper draws all from +-2.4 / inputs (appendix A)
        c1 = nn.Conv2d(channels, 6, kernel, stride)
        c3 = PartialConvolution(connections(), kernel, stride)
        c5 = nn.Conv2d(16, 120, (places[0], places[1]))
        f6 = nn.Linear(120, UNITS)
        self.network = nn.Sequential(
            *(c1, Squash(), Subsampling(6), Squash()),
            *(c3, Squash(), Subsampling(16), Squash()),
            *(c5, Squash(), nn.Flatten(), f6, Squash()),
        )
        # deviates: random codes; the paper draws a picture of each character, and names these for other classes (II.B)
        self.codes = nn.Buffer(torch.randint(2, (classes, UNITS)) * 2.0 - 1)
        # deviates: AdamW in batches along a cosine; the paper's stochastic Levenberg-Marquardt sees one pattern a step
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=weight_decay, fused=True)

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch)]

    def step(self, batch: Images, clock: Clock) -> Losses:
        assert batch.y is not None
        y = self.distances(batch.x)
        rubbish = torch.full_like(y[:, :1], RUBBISH)
        error = y.gather(1, batch.y[:, None])[:, 0] + torch.logsumexp(-torch.cat([rubbish, y], 1), 1)  # (9)
        rate = self.rate * (1 + cos(pi * clock.progress)) / 2
        return {"loss": descend(self.optimizer, error.mean(), rate=rate)}

    def distances(self, x: Tensor) -> Tensor:
        """y of (7), how far an image is from each class: x (N, C, H, W) in [0, 1] to (N, K)."""
        padded = F.pad(x, [self.padding] * 4)
        scaled = 1.275 * padded - 0.1  # background -0.1, ink 1.175 (section II.B)
        f6: Tensor = self.network(scaled).to(x.dtype)
        return f6.square().sum(1, keepdim=True) - 2 * f6 @ self.codes.T + UNITS

    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """Class probabilities, e^-y_i over their sum: x (N, C, H, W) to (N, K)."""
        return torch.softmax(-self.distances(x), 1)
