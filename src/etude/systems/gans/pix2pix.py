"""pix2pix: Isola et al., "Image-to-image translation with conditional adversarial networks", 2017.

    L_cGAN(G, D) = E_xy [log D(x, y)] + E_xz [log(1 - D(x, G(x, z)))]                       (1)
    L_GAN(G, D) = E_y [log D(y)] + E_xz [log(1 - D(G(x, z)))]                               (2)
    L_L1(G) = E_xyz [||y - G(x, z)||_1]                                                     (3)
    G* = arg min_G max_D L_cGAN(G, D) + lambda L_L1(G)                                      (4)

A generator turns one picture into another of the same size: labels into a photograph, a day into a night. The L1
distance to the true picture settles what the picture shows, but where many pictures are right it asks for their median,
which is blurred. A discriminator adds what L1 does not know: whether each patch of the picture looks real, and looks
like what the input shows there. The generator is a U-Net, so that edges of the input pass to the output beside the
bottleneck. Its noise z is dropout, at test time as well.

Letters: N examples, C channels of the input, K of the target, H height, W width.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from etude.data.kinds import ImagePairs, Splits
from etude.errors import InputError
from etude.functional.adversarial import discriminator_loss, nonsaturating_generator_loss
from etude.metrics.pictures import absolute_error
from etude.nn.translation import Field, UNet, depth, patch_discriminator
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


def jittered(x: Tensor, y: Tensor, scale: float, mirror: bool) -> tuple[Tensor, Tensor]:
    """Pairs enlarged, cut at random to the size that they had, mirrored one time in two; x and y alike (section 6.2).

    Args:
        x: (N, C, H, W).
        y: (N, K, H, W).
        scale: in [1, inf); 1 leaves the place as it is.
        mirror: left and right change places in half of the pairs.
    """
    height, width = x.shape[2:]
    both = torch.cat([x, y], 1)
    if scale > 1:
        both = F.interpolate(both, size=(round(height * scale), round(width * scale)), mode="bilinear")
    drawn = []
    for pair in both:
        top, left = (int(torch.randint(room + 1, ())) for room in (pair.shape[1] - height, pair.shape[2] - width))
        pair = pair[:, top : top + height, left : left + width]
        drawn.append(pair.flip(2) if mirror and torch.rand(()) < 0.5 else pair)
    a, b = torch.stack(drawn).split([x.shape[1], y.shape[1]], 1)
    return a, b


class Pix2Pix(System):
    """Translation of pictures, learned from pairs.

    Args:
        channels: C.
        target_channels: K.
        height: H.
        width: W.
        objective: `l1` has no discriminator; that of `gan` does not see the input, that of `cgan` does (section 4.1).
        field: pixels a side of the patches that the discriminator judges (section 3.2.2).
        maps: maps of the first layer of both networks, in [1, inf) (section 6.1).
        dropout: share left out in the decoder's first three blocks, in [0, 1) (section 6.1.1).
        l1_weight: lambda, in [0, inf) (section 6.2).
        jitter: enlargement before pairs are cut at random to their own size, in [1, 2] (section 6.2: 286 of 256).
        mirror: whether pairs are mirrored at random (section 6.2, facades).
        rate: learning rate of both, in (0, inf) (section 3.3).
        beta: momentum of both, Adam's first, in [0, 1) (section 3.3).
        epochs: passes over the training data, in [0, inf) (section 6.2, facades).
        batch: examples a step, in [1, inf) (section 6.2, facades).
    """

    paper = Paper(
        "P. Isola, J.-Y. Zhu, T. Zhou and A. A. Efros",
        2017,
        "Image-to-image translation with conditional adversarial networks",
        "https://arxiv.org/abs/1611.07004",
    )
    kind = ImagePairs
    metrics = (absolute_error,)
    tiny = {
        "field": 16,
        "maps": 8,
        "dropout": 0.0,
        "jitter": 1.0,
        "mirror": False,
        "rate": 2e-3,
        "epochs": 6,
        "batch": 10,
    }
    quick = {"maps": 24, "rate": 1e-3, "epochs": 12}

    def __init__(
        self,
        channels: int,
        target_channels: int,
        height: int,
        width: int,
        *,
        objective: Literal["l1", "gan", "cgan", "l1+gan", "l1+cgan"] = "l1+cgan",
        field: Field = 70,
        maps: int = 64,
        dropout: float = 0.5,
        l1_weight: float = 100.0,
        jitter: float = 286 / 256,
        mirror: bool = True,
        rate: float = 2e-4,
        beta: float = 0.5,
        epochs: int = 200,
        batch: int = 1,
    ) -> None:
        super().__init__()
        self.jitter, self.mirror, self.epochs, self.batch = jitter, mirror, epochs, batch
        self.conditional = objective.endswith("cgan")
        self.l1_weight = l1_weight if "l1" in objective else 0.0
        self.generator = UNet(channels, target_channels, depth(height, width), maps, dropout=dropout)
        self.generator_optimizer = torch.optim.Adam(
            self.generator.parameters(), lr=rate, betas=(beta, 0.999), fused=True
        )
        self.discriminator = None
        if objective != "l1":
            seen = target_channels + (channels if self.conditional else 0)
            self.discriminator = patch_discriminator(seen, field, maps, size=min(height, width))
            self.discriminator_optimizer = torch.optim.Adam(
                self.discriminator.parameters(), lr=rate, betas=(beta, 0.999), fused=True
            )

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch, start=self.check)]

    def check(self, splits: Splits) -> None:
        """Pairs are what it learns from."""
        if isinstance(splits.train, ImagePairs) and not splits.train.aligned:
            raise InputError(f"{splits.name} is not aligned, and pix2pix learns from pairs: train cyclegan instead")

    def step(self, batch: ImagePairs, clock: Clock) -> Losses:
        """Section 3.3: one update of the discriminator, then one of the generator, on the same pictures."""
        x, y = jittered(2 * batch.x - 1, 2 * batch.y - 1, self.jitter, self.mirror)
        fake = self.generate(x)
        losses = {} if self.discriminator is None else {"discriminator": self.update_discriminator(x, y, fake)}
        return losses | self.update_generator(x, y, fake)

    def update_discriminator(self, x: Tensor, y: Tensor, fake: Tensor) -> Tensor:
        """Equation 1 or 2, halved to slow D down beside G (section 3.3)."""
        loss = discriminator_loss(self.judge(x, y), self.judge(x, fake.detach())) / 2
        return descend(self.discriminator_optimizer, loss)

    def update_generator(self, x: Tensor, y: Tensor, fake: Tensor) -> Losses:
        """Equation 4, with -log D in the place of log(1 - D) (section 3.3)."""
        terms = {"l1": F.l1_loss(fake, y)}
        loss = self.l1_weight * terms["l1"]
        if self.discriminator is not None:
            terms["adversarial"] = nonsaturating_generator_loss(self.judge(x, fake))
            loss = loss + terms["adversarial"]
        descend(self.generator_optimizer, loss)
        return {name: term.detach() for name, term in terms.items()}

    def generate(self, x: Tensor) -> Tensor:
        """G: x (N, C, H, W) to (N, K, H, W), both in [-1, 1]."""
        return torch.tanh(self.generator(x))

    def judge(self, x: Tensor, y: Tensor) -> Tensor:
        """Logits of D for each patch, (N, 1, h, w): of y beside x, or of y alone."""
        assert self.discriminator is not None
        logits: Tensor = self.discriminator(torch.cat([x, y], 1) if self.conditional else y)
        return logits

    @torch.no_grad()
    def translate(self, x: Tensor) -> Tensor:
        """Pictures x (N, C, H, W) as pictures (N, K, H, W), both in [0, 1]; H and W are any multiples of 2^depth.

        As many go through the network together as in training, because normalisation takes their statistics.

        Raises:
            InputError: H or W is no such multiple.
        """
        return torch.cat([(self.generate(2 * some - 1) + 1) / 2 for some in x.split(self.batch)])
