"""Wasserstein GAN: Arjovsky, Chintala and Bottou, "Wasserstein generative adversarial networks", 2017.

    W(P_r, P_g) = sup_f E_(x ~ P_r) [f(x)] - E_(x ~ P_g) [f(x)],  f of slope at most 1      (2)
    max_w E_x [f_w(x)] - E_z [f_w(g(z))]                                                    (3)
    w <- clip(w, -c, c)                                                        (algorithm 1)

The earth mover's distance between data and samples tells a generator where to go even where the two do not overlap,
where the Jensen-Shannon divergence of the first GAN is flat. Its dual form (2) asks for the best function of bounded
slope. A critic f takes that place: a network without a sigmoid whose weights are clipped to a small box after each of
its updates, so that its slope is bounded, and that is trained closer to its best than a discriminator could afford.
Minus its loss is an estimate of the distance, up to a factor, and follows the quality of the samples.

Letters: N examples, C channels, H height, W width, L numbers of noise.
"""

import torch
from torch import Tensor

from etude.data.kinds import Images, Splits, span
from etude.functional.adversarial import critic_generator_loss, critic_loss
from etude.metrics.generation import parzen_log_likelihood
from etude.nn.players import Network, Output, Players
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


class WGAN(System):
    """Wasserstein GAN over pictures, or over rows of numbers as images one pixel high.

    Args:
        channels: C.
        height: H.
        width: W.
        network: DCGAN's `convolutional` networks for square pictures, or `dense` ones for anything (section 4.2).
        output: `tanh` makes data in [0, 1], `linear` any numbers (section 4.2: DCGAN).
        latent: L, numbers of noise, in [1, inf) (authors' code, main.py).
        hidden: units of the hidden layers of dense networks, in [1, inf) (section 4.3: 4 layers of 512).
        maps: feature maps of G's last hidden layer and of the critic's first, in [1, inf) (authors' code, main.py).
        clipping: c, the largest size of a weight of the critic, in (0, inf) (algorithm 1).
        critic_steps: updates of the critic for each one of the generator, in [1, inf) (algorithm 1).
        rate: RMSprop's learning rate of both, in (0, inf) (algorithm 1).
        epochs: passes over the training data, in [0, inf) (no paper fixes it).
        batch: m, examples a step, in [1, inf) (algorithm 1).
    """

    paper = Paper(
        "M. Arjovsky, S. Chintala and L. Bottou",
        2017,
        "Wasserstein generative adversarial networks",
        "https://arxiv.org/abs/1701.07875",
    )
    kind = Images
    source = "shapes"
    final_metrics = (parzen_log_likelihood,)
    tiny = {
        "network": "dense",
        "latent": 4,
        "hidden": (32, 32),
        "critic_steps": 2,
        "rate": 1e-3,
        "epochs": 30,
        "batch": 20,
    }
    quick = {"latent": 32, "maps": 16, "rate": 2e-4, "epochs": 60}

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        network: Network = "convolutional",
        output: Output = "tanh",
        latent: int = 100,
        hidden: tuple[int, ...] = (512, 512, 512),
        maps: int = 64,
        clipping: float = 0.01,
        critic_steps: int = 5,
        rate: float = 5e-5,
        epochs: int = 100,
        batch: int = 64,
    ) -> None:
        super().__init__()
        self.clipping, self.critic_steps, self.epochs, self.batch = clipping, critic_steps, epochs, batch
        self.players = Players(
            (channels, height, width), latent, network=network, output=output, hidden=hidden, maps=(maps, maps)
        )
        self.generator_optimizer = torch.optim.RMSprop(self.players.generator.parameters(), lr=rate)
        self.critic_optimizer = torch.optim.RMSprop(self.players.discriminator.parameters(), lr=rate)

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch, start=self.check)]

    def check(self, splits: Splits) -> None:
        """Can the generator reach these data?"""
        self.players.check(*span(splits.train.tensors()["x"]))

    def step(self, batch: Images, clock: Clock) -> Losses:
        """Algorithm 1: the critic learns from every batch, the generator after every `critic_steps`-th."""
        losses = {"critic": self.update_critic(self.players.inside(batch.x))}
        # deviates: as algorithm 1; the authors' code takes 100 critic steps for each of the first 25 of the generator
        if (clock.step + 1) % self.critic_steps == 0:
            losses["generator"] = self.update_generator(len(batch))
        return losses

    def update_critic(self, x: Tensor) -> Tensor:
        """Minus (3), and the clipping."""
        loss = critic_loss(self.players.judge(x), self.players.judge(self.players.fake(len(x))))
        logged = descend(self.critic_optimizer, loss)
        with torch.no_grad():
            for weight in self.players.discriminator.parameters():
                weight.clamp_(-self.clipping, self.clipping)
        return logged

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
