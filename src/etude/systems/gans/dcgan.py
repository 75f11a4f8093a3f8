"""Deep convolutional GAN: Radford, Metz and Chintala, "Unsupervised representation learning with DCGANs", 2016.

    min_G max_D E_x [log D(x)] + E_z [log(1 - D(G(z)))]         Goodfellow et al. 2014, equation 1

A generative adversarial network of convolutions that trains stably, by five guidelines (section 3): convolutions with
strides in the place of pooling; batch normalisation everywhere but at G's output and D's input; no dense hidden layers;
ReLU in G and tanh at its output; leaky ReLU in D. What it learned is looked at in three ways: straight lines between
codes give pictures that change gradually, arithmetic on codes changes what a picture shows, and the features of D serve
a linear classifier.

Letters: N examples, C channels, S height and width, L numbers of noise, M features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.data.kinds import Images, Splits, span
from etude.errors import InputError
from etude.functional.adversarial import discriminator_loss, nonsaturating_generator_loss
from etude.metrics.generation import parzen_log_likelihood
from etude.nn.convolutional import discriminator, generator, initialise, square
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


class DCGAN(System):
    """Deep convolutional generative adversarial network over square pictures of 8 to 128 pixels a side.

    Args:
        channels: C.
        height: S.
        width: S.
        latent: L, numbers of noise, in [1, inf) (figure 1).
        maps: of the convolutional layers next to the picture, doubled in each further one, in [1, inf) (figure 1).
        batch_norm: whether layers are normalised (section 3).
        hidden: units of dense layers in G before its maps, and in D after its own in reverse; in [1, inf) (section 3).
        rate: learning rate of both, in (0, inf) (section 4).
        momentum: beta1 of both, in [0, 1) (section 4).
        weight_decay: half the factor of the squared weights in both losses, in [0, inf) (authors' code).
        epochs: passes over the training data, in [0, inf) (no paper fixes it).
        batch: examples a step, in [2, inf) (section 4).
    """

    paper = Paper(
        "A. Radford, L. Metz and S. Chintala",
        2016,
        "Unsupervised representation learning with deep convolutional generative adversarial networks",
        "https://arxiv.org/abs/1511.06434",
    )
    kind = Images
    source = "shapes"
    final_metrics = (parzen_log_likelihood,)
    tiny = {"latent": 4, "maps": 16, "rate": 2e-3, "epochs": 20, "batch": 20}
    quick = {"latent": 32, "maps": 16, "rate": 5e-4, "epochs": 30, "batch": 50}

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        latent: int = 100,
        maps: int = 128,
        batch_norm: bool = True,
        hidden: tuple[int, ...] = (),
        rate: float = 2e-4,
        momentum: float = 0.5,
        weight_decay: float = 1e-5,
        epochs: int = 25,
        batch: int = 128,
    ) -> None:
        super().__init__()
        self.latent, self.epochs, self.batch = latent, epochs, batch
        size = square(height, width)
        self.generator = generator(latent, channels, size, maps, norm=batch_norm, hidden=hidden)
        self.discriminator = discriminator(
            channels, size, maps, norm="batch" if batch_norm else "none", hidden=hidden[::-1]
        )
        initialise(self)
        self.generator_optimizer, self.discriminator_optimizer = (
            torch.optim.Adam(
                player.parameters(), lr=rate, betas=(momentum, 0.999), weight_decay=weight_decay, fused=True
            )
            for player in (self.generator, self.discriminator)
        )

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch, start=self.check)]

    def check(self, splits: Splits) -> None:
        """A tanh generates pictures of one range and no others."""
        low, high = span(splits.train.tensors()["x"])
        if low < 0 or high > 1:
            raise InputError(
                f"pictures are generated in [0, 1] and these reach from {low:.3g} to {high:.3g}: scale them"
            )

    def step(self, batch: Images, clock: Clock) -> Losses:
        """Both players learn from every batch, each from noise of its own."""
        # deviates: the authors' code has the players take turns at batches
        return {
            "discriminator": self.update_discriminator(batch.x),
            "generator": self.update_generator(len(batch)),
        }

    def update_discriminator(self, x: Tensor) -> Tensor:
        # real and false pictures are normalised apart, as in the authors' code
        return descend(self.discriminator_optimizer, discriminator_loss(self.logit(x), self.logit(self.sample(len(x)))))

    def update_generator(self, count: int) -> Tensor:
        return descend(
            self.generator_optimizer, nonsaturating_generator_loss(self.logit(self.generate(self.noise(count))))
        )

    def noise(self, count: int) -> Tensor:
        """z (count, L), each number uniform in [-1, 1)."""
        return 2 * torch.rand(count, self.latent, device=self.device) - 1

    def generate(self, z: Tensor) -> Tensor:
        """G: z (N, L) to (N, C, S, S) in [0, 1]."""
        return (torch.tanh(self.generator(z)) + 1) / 2

    def logit(self, x: Tensor) -> Tensor:
        """Logits of D: x (N, C, S, S) in [0, 1] to (N, 1)."""
        out: Tensor = self.discriminator(2 * x - 1)
        return out

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """New examples (count, C, S, S)."""
        return self.generate(self.noise(count))

    def features(self, x: Tensor) -> list[Tensor]:
        """What the convolutional layers of D make of pictures: x (N, C, S, S) to maps (N, maps, height, width) each."""
        found, maps = [], 2 * x - 1
        for layer in self.discriminator:
            maps = layer(maps)
            if isinstance(layer, nn.LeakyReLU):
                found.append(maps)
            if isinstance(layer, nn.Flatten):
                break
        return found

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Features for a linear classifier, every layer's maps reduced to 4x4 by their maxima: (N, M) (section 5.1)."""
        # deviates: normalised by running statistics; the authors' code takes them over the training data again
        return torch.cat([F.adaptive_max_pool2d(maps, 4).flatten(1) for maps in self.features(x)], 1)
