"""DCN, deep clustering network: Yang et al., "Towards k-means-friendly spaces", 2017.

    min  sum_i |g(f(x_i)) - x_i|^2 + lambda / 2 |f(x_i) - M s_i|^2,    s_i one-hot           (4)
    network:      a gradient step on the terms of the batch, s and M fixed                  (5)
    assignment:   s_ki = 1 for the centroid closest to f(x_i)                               (6)
    centroids:    m_k <- m_k - (1 / c_k) (m_k - f(x_i)) s_ki                                (8)

An autoencoder is trained so that k-means does well on its codes: each code is also drawn to the centroid of its
cluster. Assignments are hard, so they and the centroids are not learned by gradients but take turns with the network:
after its step each example goes to the closest centroid and the centroid follows it, by the share that keeps it the
mean of all codes it was ever given.

Letters: N examples, K clusters; x are examples, f the encoder, g the decoder, M the centroids, c_k codes given to m_k.
"""

from typing import Any

import torch
from torch import nn

from etude.data.kinds import Splits
from etude.functional.clustering import kmeans_loss
from etude.systems.clusterer import Clusterer
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


class DCN(Clusterer):
    """Trains an autoencoder and k-means on its codes in turns.

    Args:
        on: the autoencoder.
        classes: how many classes the data have, if they have any.
        clusters: K, in [1, inf); as many as there are classes where not given (section 5).
        pull: lambda, the weight of the distance from the centroids, in [0, inf) (section 5.2.5).
        restarts: runs of k-means, of which the best places the centroids, in [1, inf) (Xie et al. 2016, section 4.3).
        rate: Adam's learning rate, in (0, inf) (Kingma and Ba 2015).
        epochs: passes over the data, in [0, inf) (section 5.2.5).
        batch: examples a step, in [1, inf) (Xie et al. 2016, section 4.3).
    """

    paper = Paper(
        "B. Yang, X. Fu, N. D. Sidiropoulos and M. Hong",
        2017,
        "Towards k-means-friendly spaces: simultaneous deep learning and clustering",
        "https://arxiv.org/abs/1610.04794",
    )
    tiny = {"restarts": 3, "epochs": 5, "batch": 20}
    quick = {"epochs": 50, "batch": 32}

    def __init__(
        self,
        on: System,
        classes: int | None,
        *,
        clusters: int | None = None,
        pull: float = 0.05,
        restarts: int = 20,
        rate: float = 1e-3,
        epochs: int = 50,
        batch: int = 256,
    ) -> None:
        super().__init__(on, classes, clusters, 1.0, restarts)
        self.pull, self.epochs, self.batch = pull, epochs, batch
        self.counts = nn.Buffer(torch.zeros(self.clusters))
        # deviates: Adam; the paper's is plain gradient descent with rates chosen for each data set
        self.optimizer = torch.optim.Adam(self.on.parameters(), lr=rate, fused=True)

    def phases(self) -> list[Phase]:
        cluster = Phase("cluster", self.step, self.epochs, self.batch, start=self.begin)
        return [*self.pretraining(), cluster]

    def begin(self, splits: Splits) -> None:
        """Centroids by k-means."""
        self.place(splits)
        # deviates: counts start from the sizes of k-means' clusters; the paper counts from when the turns begin
        self.counts.copy_(torch.bincount(self.among.of(splits.train.index), minlength=self.clusters))

    def step(self, batch: Any, clock: Clock) -> Losses:
        x, assigned = batch.x, self.among.of(batch.index)
        z = self.on.code(x)
        reconstruction = self.on.misfit(x, z).mean() * x[0].numel()
        distance = kmeans_loss(z, self.among.centroids.detach(), assigned)
        loss = descend(self.optimizer, reconstruction + self.pull / 2 * distance)
        self.among.follow(self.encode(x), batch.index, self.counts)
        return {"loss": loss, "reconstruction": reconstruction.detach(), "distance": distance.detach()}
