"""CycleGAN: Zhu et al., "Unpaired image-to-image translation using cycle-consistent adversarial networks", 2017.

    L_GAN(G, D_Y, X, Y) = E_y [(D_Y(y) - 1)^2] + E_x [D_Y(G(x))^2],  G lowers E_x [(D_Y(G(x)) - 1)^2]    (1), section 4
    L_cyc(G, F) = E_x |F(G(x)) - x|_1 + E_y |G(F(y)) - y|_1                                              (2)
    L(G, F, D_X, D_Y) = L_GAN(G, D_Y, X, Y) + L_GAN(F, D_X, Y, X) + lambda L_cyc(G, F)                   (3)
    G*, F* = arg min_{G, F} max_{D_X, D_Y} L(G, F, D_X, D_Y)                                             (4)

To turn pictures of one domain into pictures of another without a single pair that shows how: G makes pictures of Y from
those of X, F the reverse, and a discriminator for each domain says which pictures are real. That alone would let G
answer every x with any y; asked in addition that F undo what G does and G what F does, they have to keep what tells
one picture from another.

Letters: N examples, C channels of X, K channels of Y, H height, W width.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.data.kinds import ImagePairs
from etude.errors import InputError
from etude.functional.adversarial import least_squares_discriminator_loss, least_squares_generator_loss
from etude.metrics.cycles import cycle_error
from etude.nn.convolutional import initialise
from etude.nn.history import History
from etude.nn.residual import ResidualGenerator
from etude.nn.translation import Field, patch_discriminator
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend

Objective = Literal["full", "cycle", "gan", "gan+forward", "gan+backward"]
FORWARD: set[Objective] = {"full", "cycle", "gan+forward"}
BACKWARD: set[Objective] = {"full", "cycle", "gan+backward"}
SMALL = 128  # the longest side for which six blocks do


class CycleGAN(System):
    """CycleGAN between two domains of pictures.

    Args:
        channels: C.
        target_channels: K.
        height: H.
        width: W.
        objective: `full`; or what is left of it: the cycles alone, the adversarial losses alone, or these with one
            cycle, F(G(x)) = x or G(F(y)) = y (section 5.1.4).
        cycle_weight: lambda, in [0, inf) (section 4).
        identity_weight: of |G(y) - y|_1 + |F(x) - x|_1, which keeps colours, in [0, inf) (section 5.2: off but for
            paintings, 5 there).
        blocks: residual blocks of a generator, in [0, inf); None takes 6 for pictures of up to 128 pixels and 9 for
            larger ones (section 4).
        maps: of the first layer of each network, in [1, inf) (section 7.2).
        field: pixels a side of the patches that a discriminator judges; `full` holds the picture (section 4).
        history: pictures of each domain that are kept for its discriminator, in [1, inf) (section 4).
        rate: Adam's learning rate, which falls to 0 over the second half, in (0, inf) (section 4).
        beta: momentum of all, Adam's first, in [0, 1) (authors' code).
        epochs: passes over the training data, in [0, inf) (section 4).
        batch: examples a step, in [1, inf) (section 4).
    """

    paper = Paper(
        "J.-Y. Zhu et al.",
        2017,
        "Unpaired image-to-image translation using cycle-consistent adversarial networks",
        "https://arxiv.org/abs/1703.10593",
    )
    kind = ImagePairs
    source = "facades-like-unpaired"
    metrics = (cycle_error,)
    tiny = {"blocks": 1, "maps": 8, "field": 16, "history": 10, "rate": 2e-3, "epochs": 10, "batch": 10}
    quick = {"blocks": 2, "maps": 16, "field": 16, "rate": 5e-4, "epochs": 6}

    def __init__(
        self,
        channels: int,
        target_channels: int,
        height: int,
        width: int,
        *,
        objective: Objective = "full",
        cycle_weight: float = 10.0,
        identity_weight: float = 0.0,
        blocks: int | None = None,
        maps: int = 64,
        field: Field = 70,
        history: int = 50,
        rate: float = 2e-4,
        beta: float = 0.5,
        epochs: int = 200,
        batch: int = 1,
    ) -> None:
        super().__init__()
        if identity_weight > 0 and channels != target_channels:
            raise InputError(
                f"--identity-weight {identity_weight:g}: G(y) is no picture where X has {channels} channels and Y "
                f"{target_channels}: leave it at 0"
            )
        self.objective, self.cycle_weight, self.identity_weight = objective, cycle_weight, identity_weight
        self.rate, self.epochs, self.batch = rate, epochs, batch
        blocks = (6 if max(height, width) <= SMALL else 9) if blocks is None else blocks
        self.G = nn.Sequential(ResidualGenerator(channels, target_channels, blocks, maps), nn.Tanh())
        self.F = nn.Sequential(ResidualGenerator(target_channels, channels, blocks, maps), nn.Tanh())
        size = min(height, width)
        self.D_X = patch_discriminator(channels, field, maps, norm="instance", size=size)
        self.D_Y = patch_discriminator(target_channels, field, maps, norm="instance", size=size)
        self.history_x = History(history, (channels, height, width))
        self.history_y = History(history, (target_channels, height, width))
        self.apply(initialise)
        generators, discriminators = nn.ModuleList([self.G, self.F]), nn.ModuleList([self.D_X, self.D_Y])
        self.generator_optimizer, self.discriminator_optimizer = (
            torch.optim.Adam(players.parameters(), lr=rate, betas=(beta, 0.999), fused=True)
            for players in (generators, discriminators)
        )

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch)]

    def step(self, batch: ImagePairs, clock: Clock) -> Losses:
        """The generators learn, then the discriminators, from the same pictures."""
        # deviates: pictures are taken as they are; the authors' code enlarges them, cuts a part out and mirrors some
        x, y = 2 * batch.x - 1, 2 * batch.y - 1
        rate = self.rate * min(1.0, 2 - 2 * clock.progress)
        false_x, false_y = self.F(y), self.G(x)
        losses = {"generators": self.update_generators(x, y, false_x, false_y, rate)}
        if self.objective != "cycle":
            losses["discriminators"] = self.update_discriminators(x, y, false_x.detach(), false_y.detach(), rate)
        return losses

    def update_generators(self, x: Tensor, y: Tensor, false_x: Tensor, false_y: Tensor, rate: float) -> Tensor:
        # deviates: |.|_1 is the mean over the pixels, as in the authors' code; the paper writes their sum
        loss = torch.zeros((), device=x.device)
        if self.objective != "cycle":
            judged = self.D_X(false_x), self.D_Y(false_y)
            loss = 2 * sum(map(least_squares_generator_loss, judged), loss)
        if self.objective in FORWARD:
            loss = loss + self.cycle_weight * F.l1_loss(self.F(false_y), x)
        if self.objective in BACKWARD:
            loss = loss + self.cycle_weight * F.l1_loss(self.G(false_x), y)
        if self.identity_weight > 0:
            loss = loss + self.identity_weight * (F.l1_loss(self.G(y), y) + F.l1_loss(self.F(x), x))
        return descend(self.generator_optimizer, loss, rate=rate)

    def update_discriminators(self, x: Tensor, y: Tensor, false_x: Tensor, false_y: Tensor, rate: float) -> Tensor:
        """Half of (1), so that they learn more slowly, on pictures that may be older than the newest."""
        judged_x = self.D_X(x), self.D_X(self.history_x(false_x))
        judged_y = self.D_Y(y), self.D_Y(self.history_y(false_y))
        loss = least_squares_discriminator_loss(*judged_x) + least_squares_discriminator_loss(*judged_y)
        return descend(self.discriminator_optimizer, loss, rate=rate)

    @torch.no_grad()
    def translate(self, x: Tensor) -> Tensor:
        """G: pictures of Y from those of X, (N, C, H, W) to (N, K, H, W), any size."""
        return (self.G(2 * x - 1) + 1) / 2  # type: ignore[no-any-return]

    @torch.no_grad()
    def back(self, y: Tensor) -> Tensor:
        """F: pictures of X from those of Y, (N, K, H, W) to (N, C, H, W), any size."""
        return (self.F(2 * y - 1) + 1) / 2  # type: ignore[no-any-return]

    def cycle(self, x: Tensor) -> Tensor:
        """F(G(x)), which is to be x: (N, C, H, W) to the same."""
        return self.back(self.translate(x))
