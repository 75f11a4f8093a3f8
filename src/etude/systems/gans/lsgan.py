"""Least squares GAN: Mao et al., "Least squares generative adversarial networks", 2017.

    min_D 1/2 E_x [(D(x) - b)^2] + 1/2 E_z [(D(G(z)) - a)^2]
    min_G 1/2 E_z [(D(G(z)) - c)^2]                                                         (2)

The sigmoid cross-entropy of the first GAN is all but flat for samples on the right side of the decision boundary,
however far from the data they are. Squared errors are flat at one point alone: they pull such samples towards the
boundary, and so towards the data, and keep gradients alive. With b - c = 1 and b - a = 2 the generator lowers Pearson's
chi-squared divergence between p_d + p_g and 2 p_g (section 3.2); a = 0 and b = c = 1, the default, do about as well
(equation 9).

Letters: N examples, C channels, H height, W width, L numbers of noise.
"""

import torch
from torch import Tensor

from etude.data.kinds import Images, Splits, span
from etude.functional.adversarial import least_squares_discriminator_loss, least_squares_generator_loss
from etude.metrics.generation import parzen_log_likelihood
from etude.nn.players import Network, Output, Players
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


class LSGAN(System):
    """Least squares GAN over pictures, or over rows of numbers as images one pixel high.

    Args:
        channels: C.
        height: H.
        width: W.
        network: DCGAN's `convolutional` networks for square pictures, or `dense` ones for anything (section 4.1).
        output: `tanh` makes data in [0, 1], `linear` any numbers (section 4.1: DCGAN).
        latent: L, numbers of noise, in [1, inf) (Radford et al. 2015).
        hidden: units of the hidden layers of dense networks, in [1, inf) (no paper fixes it).
        maps: feature maps of G's last hidden layer and of D's first, in [1, inf) (figure 3).
        fake_label: a, what D is to say of false examples, in (-inf, inf) (equation 9).
        real_label: b, what D is to say of real examples, in (-inf, inf) (equation 9).
        wanted_label: c, what G wants D to say of false examples, in (-inf, inf) (equation 9).
        rate: Adam's learning rate of both, in (0, inf) (section 4.1, for handwriting; 0.001 for scenes).
        momentum: Adam's beta_1, in [0, 1) (section 4.1).
        epochs: passes over the training data, in [0, inf) (no paper fixes it).
        batch: examples a step, in [1, inf) (no paper fixes it).
    """

    paper = Paper(
        "X. Mao et al.", 2017, "Least squares generative adversarial networks", "https://arxiv.org/abs/1611.04076"
    )
    kind = Images
    source = "shapes"
    final_metrics = (parzen_log_likelihood,)
    tiny = {"network": "dense", "latent": 4, "hidden": (32, 32), "rate": 2e-3, "epochs": 20, "batch": 20}
    quick = {"latent": 32, "maps": 16, "rate": 1e-3, "epochs": 30}

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        network: Network = "convolutional",
        output: Output = "tanh",
        latent: int = 100,
        hidden: tuple[int, ...] = (128, 128),
        maps: int = 64,
        fake_label: float = 0.0,
        real_label: float = 1.0,
        wanted_label: float = 1.0,
        rate: float = 2e-4,
        momentum: float = 0.5,
        epochs: int = 100,
        batch: int = 64,
    ) -> None:
        super().__init__()
        self.a, self.b, self.c = fake_label, real_label, wanted_label
        self.epochs, self.batch = epochs, batch
        # deviates: the networks are DCGAN's; those of the paper have two more layers of stride 1 (figure 3)
        self.players = Players(
            (channels, height, width), latent, network=network, output=output, hidden=hidden, maps=(maps, maps)
        )
        self.generator_optimizer, self.discriminator_optimizer = (
            torch.optim.Adam(player.parameters(), lr=rate, betas=(momentum, 0.999), fused=True)
            for player in (self.players.generator, self.players.discriminator)
        )

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch, start=self.check)]

    def check(self, splits: Splits) -> None:
        """Can the generator reach these data?"""
        self.players.check(*span(splits.train.tensors()["x"]))

    def step(self, batch: Images, clock: Clock) -> Losses:
        """Each learns once from every batch, the discriminator first."""
        return {
            "discriminator": self.update_discriminator(self.players.inside(batch.x)),
            "generator": self.update_generator(len(batch)),
        }

    def update_discriminator(self, x: Tensor) -> Tensor:
        real, fake = self.players.judge(x), self.players.judge(self.players.fake(len(x)))
        return descend(self.discriminator_optimizer, least_squares_discriminator_loss(real, fake, self.a, self.b))

    def update_generator(self, count: int) -> Tensor:
        fake = self.players.generate(self.players.noise(count))
        return descend(self.generator_optimizer, least_squares_generator_loss(self.players.judge(fake), self.c))

    def noise(self, count: int) -> Tensor:
        """z (count, L), each number from N(0, 1)."""
        return self.players.noise(count)

    def generate(self, z: Tensor) -> Tensor:
        """G: z (N, L) to (N, C, H, W), as the data are."""
        return self.players.outside(self.players.generate(z))

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """New examples (count, C, H, W)."""
        return self.generate(self.noise(count))
