"""Coulomb GAN: Unterthiner et al., "Coulomb GANs: provably optimal Nash equilibria via potential fields", 2018.

    k(a, b) = 1 / sqrt(|a - b|^2 + eps^2)^d
    Phi(a) = 1/N_y sum_i k(a, y_i) - 1/N_x sum_i k(a, x_i)
    L_D = 1/2 E_a [(D(a) - Phi(a))^2],  a among the real y and the false x
    L_G = -1/2 E_x [D(x)]

Real examples attract generated ones and generated ones repel each other, as charges of opposite and of equal sign do.
The potential Phi of these charges is high where samples are missing and low where there are too many. The discriminator
learns it, by regression on a batch of both, and the generator moves its samples up along its slope. They come to rest
only where the densities are equal: the game has one Nash equilibrium and it is the right one, whereas the discriminator
of the first GAN tells a sample nothing of modes far away.

Letters: N_y real examples y, N_x false examples x, C channels, H height, W width, L numbers of noise.
"""

import torch
from torch import Tensor

from etude.data.kinds import Images, Splits, span
from etude.functional.adversarial import potential
from etude.metrics.generation import parzen_log_likelihood
from etude.nn.players import Network, Output, Players
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


class CoulombGAN(System):
    """Coulomb GAN over pictures, or over rows of numbers as images one pixel high.

    Args:
        channels: C.
        height: H.
        width: W.
        network: DCGAN's `convolutional` networks for square pictures, or `dense` ones for anything (section 4).
        output: `tanh` makes data in [0, 1], `linear` any numbers (section 4).
        latent: L, numbers of noise, in [1, inf) (section 4, for faces and bedrooms).
        hidden: units of the hidden layers of dense networks, in [1, inf) (section 4, for a mixture of 25 Gaussians).
        maps: feature maps of G's last hidden layer, half of those of D's first, in [1, inf) (Radford et al. 2015).
        exponent: d of the kernel, in (0, inf) (authors' code: their dimension 3, less 2).
        softening: eps of the kernel, in (0, inf) (section 4).
        generator_rate: Adam's learning rate of G, in (0, inf) (section 4).
        discriminator_rate: Adam's learning rate of D, in (0, inf) (section 4).
        decay: weight of the squared weights of D, in [0, inf) (section 4).
        epochs: passes over the training data, in [0, inf) (no paper fixes it).
        batch: N_x and N_y, examples a step, in [1, inf) (section 4).
    """

    paper = Paper(
        "T. Unterthiner et al.",
        2018,
        "Coulomb GANs: provably optimal Nash equilibria via potential fields",
        "https://arxiv.org/abs/1708.08819",
    )
    kind = Images
    source = "shapes"
    final_metrics = (parzen_log_likelihood,)
    tiny = {
        "network": "dense",
        "latent": 4,
        "hidden": (32, 32),
        "generator_rate": 1e-3,
        "discriminator_rate": 5e-3,
        "epochs": 90,
        "batch": 20,
    }
    quick = {
        "latent": 32,
        "maps": 16,
        "generator_rate": 5e-4,
        "discriminator_rate": 1e-3,
        "epochs": 30,
        "batch": 64,
    }

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        network: Network = "convolutional",
        output: Output = "tanh",
        latent: int = 32,
        hidden: tuple[int, ...] = (128, 128),
        maps: int = 64,
        exponent: float = 1.0,
        softening: float = 1.0,
        generator_rate: float = 1e-4,
        discriminator_rate: float = 5e-5,
        decay: float = 1e-7,
        epochs: int = 100,
        batch: int = 128,
    ) -> None:
        super().__init__()
        self.exponent, self.softening, self.epochs, self.batch = exponent, softening, epochs, batch
        self.players = Players(
            (channels, height, width), latent, network=network, output=output, hidden=hidden, maps=(maps, 2 * maps)
        )
        self.generator_optimizer = torch.optim.Adam(self.players.generator.parameters(), lr=generator_rate, fused=True)
        self.discriminator_optimizer = torch.optim.Adam(
            self.players.discriminator.parameters(), lr=discriminator_rate, weight_decay=decay, fused=True
        )

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch, start=self.check)]

    def check(self, splits: Splits) -> None:
        """Can the generator reach these data?"""
        self.players.check(*span(splits.train.tensors()["x"]))

    def step(self, batch: Images, clock: Clock) -> Losses:
        """Algorithm 1: both gradients are of the same samples, and of the players as they were before the step."""
        fake = self.players.generate(self.players.noise(len(batch)))
        generator = descend(self.generator_optimizer, -self.players.judge(fake).mean() / 2)
        return {
            "discriminator": self.update_discriminator(self.players.inside(batch.x), fake.detach()),
            "generator": generator,
        }

    def update_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """A step of D towards the potential of the real and the false examples, at these examples."""
        both = torch.cat([real, fake])
        phi = potential(both.flatten(1), real.flatten(1), fake.flatten(1), self.exponent, self.softening)
        # deviates: the mean of L_D; algorithm 1 prints the sum, and Adam makes them alike
        return descend(self.discriminator_optimizer, (self.players.judge(both) - phi).square().mean() / 2)

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
