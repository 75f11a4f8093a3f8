"""Stacked denoising autoencoder: Vincent et al., "Stacked denoising autoencoders", 2010, as in deep clustering (DEC).

    x~ = Dropout(x)            (6)        one layer and its reversal, trained to lower |x - y|^2
    h  = g1(W1 x~ + b1)        (7)
    h~ = Dropout(h)            (8)
    y  = g2(W2 h~ + b2)        (9)        (numbered as in Xie et al. 2016, section 3.2)

A deep autoencoder is built from the outside in. Each layer learns, together with the layer that undoes it, to restore
what the layers below it make of an example, although a part of its input and of its output is struck out. Then all
layers are put on top of each other and learn together, with nothing struck out, to restore the example itself.

Letters: N examples, D features, L latent dimensions.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.data.kinds import Splits, Vectors, walk
from etude.metrics.reconstruction import reconstruction_error
from etude.systems.clusterer import Coder
from etude.systems.system import Clock, Losses, Paper, Phase, descend

DEVIATION = 0.01  # of the initial weights (Xie et al. 2016, section 4.3)


def struck(x: Tensor, share: float) -> Tensor:
    """Dropout: a random share of x is set to zero and the rest scaled up to keep its mean; (n, d) to (n, d).

    The same as `torch.nn.functional.dropout`, with the share rounded to a 65,536th: it draws four numbers of 16 bits at
    a time, which takes a third to a half of the time.
    """
    words = torch.randint(-(2**63), 2**63 - 1, (-(-x.numel() // 4),), device=x.device)
    lanes = words.view(torch.int16)[: x.numel()].view_as(x)
    return x * (lanes >= round(share * 2**16) - 2**15) / (1 - share)


class StackedAutoencoder(Coder):
    """Autoencoder pretrained layer by layer to undo noise, then fine-tuned as a whole.

    Args:
        features: D.
        hidden: units of the encoder's layers, in [1, inf); the decoder has them in reverse (Xie et al. 2016, section
            4.3).
        latent: L, numbers in a code, in [1, inf) (Xie et al. 2016, section 4.3).
        dropout: share of the numbers struck out while a layer is pretrained, in [0, 1) (Xie et al. 2016, section 4.3).
        rate: learning rate of gradient descent with momentum 0.9, in (0, inf) (Xie et al. 2016, section 4.3).
        decay_steps: steps of a phase after which the rate falls tenfold, and again, in [1, inf) (Xie et al. 2016,
            section 4.3).
        layer_epochs: passes over the data for each layer, in [0, inf) (50,000 steps on MNIST's 70,000 images, Xie et
            al. 2016, section 4.3).
        epochs: passes over the data for all layers together, in [0, inf) (100,000 steps, Xie et al. 2016, section 4.3).
        batch: examples a step, in [1, inf) (Xie et al. 2016, section 4.3).
    """

    paper = Paper(
        "P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol",
        2010,
        "Stacked denoising autoencoders: learning useful representations in a deep network with a local denoising "
        "criterion",
        "https://jmlr.org/papers/v11/vincent10a.html",
    )
    kind = Vectors
    metrics = (reconstruction_error,)
    tiny = {"hidden": (32,), "latent": 2, "layer_epochs": 10, "epochs": 30, "batch": 20, "rate": 0.3}
    quick = {"hidden": (200, 200, 500), "layer_epochs": 60, "epochs": 150, "batch": 32}

    def __init__(
        self,
        features: int,
        *,
        hidden: tuple[int, ...] = (500, 500, 2000),
        latent: int = 10,
        dropout: float = 0.2,
        rate: float = 0.1,
        decay_steps: int = 20_000,
        layer_epochs: int = 183,
        epochs: int = 366,
        batch: int = 256,
    ) -> None:
        super().__init__()
        self.latent, self.dropout, self.rate = latent, dropout, rate
        self.decay_steps = decay_steps
        self.layer_epochs, self.epochs, self.batch = layer_epochs, epochs, batch
        sizes = list(pairwise((features, *hidden, latent)))
        self.down = nn.ModuleList(nn.Linear(wide, narrow) for wide, narrow in sizes)
        self.up = nn.ModuleList(nn.Linear(narrow, wide) for wide, narrow in sizes)
        for layer in (*self.down, *self.up):
            nn.init.normal_(layer.weight, std=DEVIATION)
            nn.init.zeros_(layer.bias)
        self.scale = nn.Buffer(torch.tensor(1.0))
        self.layer_optimizers = [
            self.sgd([*down.parameters(), *up.parameters()]) for down, up in zip(self.down, self.up, strict=True)
        ]
        self.optimizer = self.sgd(list(self.parameters()))

    def sgd(self, parameters: Sequence[nn.Parameter]) -> torch.optim.SGD:
        return torch.optim.SGD(parameters, lr=self.rate, momentum=0.9, fused=True)

    def phases(self) -> list[Phase]:
        # deviates: passes over the data are counted; the paper takes the same number of steps on every data set
        layers = [
            Phase(f"layer {place + 1}", partial(self.restore_layer, place), self.layer_epochs, self.batch)
            for place in range(len(self.down))
        ]
        return [
            Phase("scale", self.tune, 0, self.batch, start=self.fit_scale),
            *layers,
            Phase("all layers", self.tune, self.epochs, self.batch),
        ]

    def fit_scale(self, splits: Splits) -> None:
        """The factor that makes |x|^2 / D one on average over the training data (Xie et al. 2016, section 4.3)."""
        assert isinstance(splits.train, Vectors)
        squares = [batch.x.double().square().mean(1).sum() for batch in walk(splits.train, self.device)]
        power = torch.stack(squares).sum() / len(splits.train)
        self.scale.copy_(power.rsqrt() if power > 0 else power.new_ones(()))

    def restore_layer(self, place: int, batch: Vectors, clock: Clock) -> Losses:
        """One step of layer `place` and its reversal; the layers below stay as they are."""
        with torch.no_grad():
            x = self.through(self.down[:place], batch.x * self.scale)
        code = self.down[place](struck(x, self.dropout))
        h = code if place == len(self.down) - 1 else code.relu()
        out = self.up[place](struck(h, self.dropout))
        y = out if place == 0 else out.relu()
        return {"loss": descend(self.layer_optimizers[place], self.error(x, y), rate=self.falling(clock))}

    def tune(self, batch: Vectors, clock: Clock) -> Losses:
        """One step of all layers together."""
        x = batch.x * self.scale
        loss = self.error(x, self.restored(self.code(batch.x)))
        return {"loss": descend(self.optimizer, loss, rate=self.falling(clock))}

    def falling(self, clock: Clock) -> float:
        return self.rate * 0.1 ** (clock.step // self.decay_steps)

    def error(self, x: Tensor, y: Tensor) -> Tensor:
        # deviates: half the mean over examples and features, as the authors' code has it; the paper prints |x - y|^2
        return F.mse_loss(y.float(), x.float()) / 2

    def through(self, layers: nn.ModuleList, h: Tensor) -> Tensor:
        """Each layer and its rectifier: the layers below the code."""
        for layer in layers:
            h = layer(h).relu()
        return h

    def code(self, x: Tensor) -> Tensor:
        """z of x: (N, D) to (N, L)."""
        z: Tensor = self.down[-1](self.through(self.down[:-1], x * self.scale))
        return z

    def restored(self, z: Tensor) -> Tensor:
        """The example that a code stands for, in the units of the scaled data: (N, L) to (N, D)."""
        for layer in reversed(self.up[1:]):
            z = layer(z).relu()
        y: Tensor = self.up[0](z)
        return y

    def misfit(self, x: Tensor, z: Tensor) -> Tensor:
        """Mean squared error over the features, relative to the mean square of the data: (N,)."""
        return (self.restored(z).float() - x * self.scale).square().mean(1)

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Examples from codes: z (N, L) to (N, D)."""
        return self.restored(z) / self.scale
