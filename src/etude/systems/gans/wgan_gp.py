"""WGAN with gradient penalty: Gulrajani et al., "Improved training of Wasserstein GANs", 2017.

    L = E_(x~ ~ P_g) [D(x~)] - E_(x ~ P_r) [D(x)] + lambda E_x^ [(|grad_x^ D(x^)| - 1)^2]   (3)
    x^ = alpha x + (1 - alpha) x~,  alpha ~ U[0, 1]                            (algorithm 1)

The best critic of the earth mover's distance has a gradient of norm 1 almost everywhere between data and samples
(proposition 1). Clipped weights enforce a bound on it in a way that pushes them to the bound and leaves the critic too
simple a function; a penalty on the gradient's distance from norm 1, at a random point between each real and each false
example, asks for the property itself. As the penalty is about single examples, the critic may not normalise over a
batch; it normalises over layers.

Letters: N examples, C channels, H height, W width, L numbers of noise.
"""

import torch
from torch import Tensor

from etude.data.kinds import Images, Splits, span
from etude.functional.adversarial import critic_generator_loss, critic_loss, gradient_penalty
from etude.metrics.generation import parzen_log_likelihood
from etude.nn.players import Network, Output, Players
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


class WGANGP(System):
    """Wasserstein GAN with gradient penalty over pictures, or over rows of numbers as images one pixel high.

    Args:
        channels: C.
        height: H.
        width: W.
        network: DCGAN's `convolutional` networks for square pictures, or `dense` ones for anything (section 5.1).
        output: `tanh` makes data in [0, 1], `linear` any numbers (section 5.1: DCGAN).
        latent: L, numbers of noise, in [1, inf) (authors' code, gan_64x64.py).
        hidden: units of the hidden layers of dense networks, in [1, inf) (authors' code, gan_toy.py).
        maps: feature maps of G's last hidden layer and of the critic's first, in [1, inf) (authors' code,
            gan_64x64.py).
        penalty: lambda, the weight of the penalty, in [0, inf) (algorithm 1).
        critic_steps: updates of the critic for each one of the generator, in [1, inf) (algorithm 1).
        rate: Adam's learning rate of both, in (0, inf) (algorithm 1).
        momentum: Adam's beta_1, in [0, 1) (algorithm 1).
        averaging: Adam's beta_2, in [0, 1) (algorithm 1).
        epochs: passes over the training data, in [0, inf) (no paper fixes it).
        batch: m, examples a step, in [1, inf) (authors' code, gan_64x64.py).
    """

    paper = Paper(
        "I. Gulrajani et al.", 2017, "Improved training of Wasserstein GANs", "https://arxiv.org/abs/1704.00028"
    )
    kind = Images
    source = "shapes"
    final_metrics = (parzen_log_likelihood,)
    tiny = {
        "network": "dense",
        "latent": 4,
        "hidden": (32, 32),
        "critic_steps": 2,
        "rate": 2e-3,
        "epochs": 60,
        "batch": 20,
    }
    quick = {"latent": 32, "maps": 16, "rate": 5e-4, "epochs": 40}

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        network: Network = "convolutional",
        output: Output = "tanh",
        latent: int = 128,
        hidden: tuple[int, ...] = (512, 512, 512),
        maps: int = 64,
        penalty: float = 10.0,
        critic_steps: int = 5,
        rate: float = 1e-4,
        momentum: float = 0.0,
        averaging: float = 0.9,
        epochs: int = 100,
        batch: int = 64,
    ) -> None:
        super().__init__()
        self.penalty, self.critic_steps, self.epochs, self.batch = penalty, critic_steps, epochs, batch
        self.players = Players(
            (channels, height, width),
            latent,
            network=network,
            output=output,
            hidden=hidden,
            maps=(maps, maps),
            norm="layer",
        )
        self.generator_optimizer, self.critic_optimizer = (
            torch.optim.Adam(player.parameters(), lr=rate, betas=(momentum, averaging), fused=True)
            for player in (self.players.generator, self.players.discriminator)
        )

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch, start=self.check)]

    def check(self, splits: Splits) -> None:
        """Can the generator reach these data?"""
        self.players.check(*span(splits.train.tensors()["x"]))

    def step(self, batch: Images, clock: Clock) -> Losses:
        """Algorithm 1: the critic learns from every batch, the generator after every `critic_steps`-th."""
        losses = self.update_critic(self.players.inside(batch.x))
        if (clock.step + 1) % self.critic_steps == 0:
            losses["generator"] = self.update_generator(len(batch))
        return losses

    def update_critic(self, x: Tensor) -> Losses:
        """(3): its two parts are logged apart, so that the first is minus the estimate of the distance."""
        fake = self.players.fake(len(x))
        loss = critic_loss(self.players.judge(x), self.players.judge(fake))
        penalty = gradient_penalty(self.players.judge, x, fake)
        descend(self.critic_optimizer, loss + self.penalty * penalty)
        return {"critic": loss.detach(), "penalty": penalty.detach()}

    def update_generator(self, count: int) -> Tensor:
        fake = self.players.generate(self.players.noise(count))
        return descend(self.generator_optimizer, critic_generator_loss(self.players.judge(fake)))

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
