"""Semantic hashing of pictures: Radford et al., "Unsupervised representation learning with DCGAN", 2016.

    z = relu(W (x + noise - m) + b),  x' = sigmoid(V dropout(z) + c),  E = sum_i (x_i - x'_i)^2,  bit j = [z_j > 0]

A denoising autoencoder with one hidden layer, 3072-128-3072 for colour pictures of 32x32 pixels (section 4.1.1). Which
of its units are on is a code of 128 bits that noise hardly changes: pictures of the same or nearly the same code are
near-duplicates, and a table of codes finds them without comparing all with all (Salakhutdinov and Hinton 2009).

Letters: N examples, C channels, H height, W width, B bits.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.data.kinds import Images, Splits, walk
from etude.metrics.reconstruction import reconstruction_error
from etude.systems.clusterer import Coder
from etude.systems.system import Clock, Losses, Paper, Phase, descend


class SemanticHash(Coder):
    """Semantic hashing of pictures.

    Args:
        channels: C.
        height: H.
        width: W.
        bits: B, units of the hidden layer, in [1, inf) (section 4.1.1).
        noise: standard deviation of what is added to each number of a picture, in [0, inf) (no paper fixes it).
        dropout: share of the units left out, in [0, 1) (no paper fixes it).
        rate: Adam's learning rate, in (0, inf) (Kingma and Ba 2015).
        epochs: passes over the training data, in [0, inf) (no paper fixes it).
        batch: examples a step, in [1, inf) (no paper fixes it).
    """

    paper = Paper(
        "A. Radford, L. Metz and S. Chintala",
        2016,
        "Unsupervised representation learning with deep convolutional generative adversarial networks",
        "https://arxiv.org/abs/1511.06434",
    )
    kind = Images
    metrics = (reconstruction_error,)
    tiny = {"bits": 32, "dropout": 0.0, "noise": 0.1, "epochs": 20, "batch": 20, "rate": 5e-3}
    quick = {"epochs": 20}

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        bits: int = 128,
        noise: float = 0.3,
        dropout: float = 0.2,
        rate: float = 1e-3,
        epochs: int = 50,
        batch: int = 100,
    ) -> None:
        super().__init__()
        self.latent, self.noise, self.epochs, self.batch = bits, noise, epochs, batch
        self.shape = channels, height, width
        self.mean = nn.Buffer(torch.zeros(self.shape))
        features = channels * height * width
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(features, bits))
        self.decoder = nn.Sequential(nn.Dropout(dropout), nn.Linear(bits, features), nn.Unflatten(1, self.shape))
        self.optimizer = torch.optim.Adam(self.parameters(), lr=rate, fused=True)

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch, start=self.centre)]

    @torch.no_grad()
    def centre(self, splits: Splits) -> None:
        """m: the mean of the training pictures, without which the units that are on are the same for all pictures."""
        total = torch.stack([batch.tensors()["x"].double().sum(0) for batch in walk(splits.train, self.device)]).sum(0)
        self.mean.copy_(total / len(splits.train))

    def step(self, batch: Images, clock: Clock) -> Losses:
        z = self.code(batch.x + self.noise * torch.randn_like(batch.x))
        return {"loss": descend(self.optimizer, self.misfit(batch.x, z).mean())}

    def units(self, x: Tensor) -> Tensor:
        """What enters the ReLU: (N, C, H, W) to (N, B)."""
        entered: Tensor = self.encoder(x - self.mean)
        return entered

    def code(self, x: Tensor) -> Tensor:
        """z of x: (N, C, H, W) to (N, B)."""
        return F.relu(self.units(x))

    def misfit(self, x: Tensor, z: Tensor) -> Tensor:
        """Squared error, summed over the pixels: (N,)."""
        return (torch.sigmoid(self.decoder(z)) - x).square().flatten(1).sum(1)

    @torch.no_grad()
    def hash(self, x: Tensor) -> Tensor:
        """The bits of x: (N, C, H, W) to (N, B) bool."""
        return self.units(x) > 0

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Pictures from codes: z (N, B) to (N, C, H, W)."""
        return torch.sigmoid(self.decoder(z))
