"""Generative adversarial network: Goodfellow et al., "Generative adversarial nets", 2014.

    min_G max_D V(D, G) = E_x [log D(x)] + E_z [log(1 - D(G(z)))]                           (1)
    D*(x) = p_data(x) / (p_data(x) + p_g(x))                                                (2)

A generator turns noise into examples and a discriminator says how probable it is that an example is real. The
discriminator raises V and the generator lowers it (algorithm 1). Where each does its best, the generated examples
follow the data, the discriminator can only answer 1/2, and V = -log 4. Early on D is sure that samples are false and
log(1 - D(G(z))) is flat; there the generator does better to raise log D(G(z)) instead (section 3), which is another
loss with the same fixed point.

Letters: N examples, D features, L numbers of noise.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from etude.data.kinds import Splits, Vectors
from etude.errors import InputError
from etude.functional.adversarial import discriminator_loss, minimax_generator_loss, nonsaturating_generator_loss
from etude.metrics.generation import parzen_log_likelihood
from etude.nn.activations import Maxout
from etude.nn.dense import dense
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


def discriminator(features: int, units: int, pieces: int, input_dropout: float, dropout: float) -> nn.Sequential:
    """Logits of D(x): two hidden layers of maxout units, numbers left out before each layer: (N, D) to (N, 1)."""
    return nn.Sequential(
        *(nn.Dropout(input_dropout), Maxout(features, units, pieces)),
        *(nn.Dropout(dropout), Maxout(units, units, pieces)),
        *(nn.Dropout(dropout), nn.Linear(units, 1)),
    )


class GAN(System):
    """Generative adversarial network over rows of numbers; images are taken as the rows of their pixels.

    Args:
        features: D, numbers in an example.
        latent: L, numbers of noise, in [1, inf) (authors' code, mnist.yaml).
        hidden: units of the generator's hidden layers, in [1, inf) (authors' code, mnist.yaml).
        discriminator_units: units of the discriminator's two hidden layers, in [1, inf) (authors' code, mnist.yaml).
        pieces: linear functions for each of these units, in [1, inf) (authors' code, mnist.yaml).
        input_dropout: share of its input that the discriminator does not see, in [0, 1) (authors' code, mnist.yaml).
        dropout: share of its hidden units that are left out, in [0, 1) (authors' code, mnist.yaml).
        output: `sigmoid` generates data in [0, 1], `linear` any numbers (authors' code, mnist.yaml).
        loss: what the generator lowers: log(1 - D(G(z))), or -log D(G(z)) (section 3).
        discriminator_steps: k, updates of D for each one of G, in [1, inf) (algorithm 1).
        rate: learning rate of both, in (0, inf) (authors' code, mnist.yaml).
        momentum: of both, in [0, 1) (authors' code, mnist.yaml).
        epochs: passes over the training data, in [0, inf) (no paper fixes it).
        batch: m, examples a step, in [1, inf) (authors' code, mnist.yaml).
    """

    paper = Paper("I. J. Goodfellow et al.", 2014, "Generative adversarial nets", "https://arxiv.org/abs/1406.2661")
    kind = Vectors
    metrics = (parzen_log_likelihood,)
    tiny = {
        "latent": 4,
        "hidden": (32, 32),
        "discriminator_units": 16,
        "pieces": 2,
        "output": "linear",
        "epochs": 20,
        "batch": 20,
    }
    quick = {"latent": 32, "hidden": (256, 256), "discriminator_units": 64, "epochs": 400, "batch": 50}

    def __init__(
        self,
        features: int,
        *,
        latent: int = 100,
        hidden: tuple[int, ...] = (1200, 1200),
        discriminator_units: int = 240,
        pieces: int = 5,
        input_dropout: float = 0.2,
        dropout: float = 0.5,
        output: Literal["sigmoid", "linear"] = "sigmoid",
        loss: Literal["minimax", "nonsaturating"] = "nonsaturating",
        discriminator_steps: int = 1,
        rate: float = 0.1,
        momentum: float = 0.5,
        epochs: int = 200,
        batch: int = 100,
    ) -> None:
        super().__init__()
        self.latent, self.output, self.discriminator_steps = latent, output, discriminator_steps
        self.epochs, self.batch = epochs, batch
        self.generator_loss = minimax_generator_loss if loss == "minimax" else nonsaturating_generator_loss
        self.generator = dense([latent, *hidden, features], "relu")
        self.discriminator = discriminator(features, discriminator_units, pieces, input_dropout, dropout)
        # deviates: rate and momentum stay; the authors' code schedules both
        # deviates: torch's first weights; the authors' code draws them from +-0.05 and +-0.005
        self.generator_optimizer = torch.optim.SGD(self.generator.parameters(), lr=rate, momentum=momentum, fused=True)
        self.discriminator_optimizer = torch.optim.SGD(
            self.discriminator.parameters(), lr=rate, momentum=momentum, fused=True
        )

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch, start=self.check)]

    def check(self, splits: Splits) -> None:
        """A sigmoid generates numbers in [0, 1] and no others."""
        train = splits.train
        if self.output == "linear" or not isinstance(train, Vectors) or not train.x.is_floating_point():
            return
        low, high = (float(v) for v in torch.aminmax(train.x))
        if low < 0 or high > 1:
            raise InputError(
                f"a sigmoid generates data in [0, 1] and these reach from {low:.3g} to {high:.3g}: use --output linear"
            )

    def step(self, batch: Vectors, clock: Clock) -> Losses:
        """Algorithm 1: the discriminator learns from every batch, the generator after every k-th."""
        losses = {"discriminator": self.update_discriminator(batch.x)}
        if (clock.step + 1) % self.discriminator_steps == 0:
            losses["generator"] = self.update_generator(len(batch))
        return losses

    def update_discriminator(self, x: Tensor) -> Tensor:
        # deviates: the two terms of (1) are summed; the authors' code takes their mean, half as long a step
        fake = self.sample(len(x))
        return descend(
            self.discriminator_optimizer, discriminator_loss(self.discriminator(x), self.discriminator(fake))
        )

    def update_generator(self, count: int) -> Tensor:
        return descend(
            self.generator_optimizer, self.generator_loss(self.discriminator(self.generate(self.noise(count))))
        )

    def noise(self, count: int) -> Tensor:
        """z (count, L), each number uniform in [-1, 1)."""
        # deviates: uniform within 1; the authors' code draws within the square root of 3 (mnist.yaml)
        return 2 * torch.rand(count, self.latent, device=self.device) - 1

    def generate(self, z: Tensor) -> Tensor:
        """G: z (N, L) to (N, D)."""
        out: Tensor = self.generator(z)
        return torch.sigmoid(out) if self.output == "sigmoid" else out

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """New examples (count, D)."""
        return self.generate(self.noise(count))
