"""IDEC: Guo et al., "Improved deep embedded clustering with local structure preservation", 2017.

    L   = L_r + gamma L_c                                      (6)
    L_r = sum_i |x_i - g(z_i)|^2                               (8)
    L_c = KL(P || Q), with q and p as in DEC, equations 1 and 3

DEC throws the decoder away once the autoencoder is trained, and then nothing keeps its codes from forgetting what tells
examples of one cluster apart. IDEC keeps the decoder: codes must go on telling what they stand for while a weaker force
draws them towards their clusters.

Letters: N examples, K clusters; x are examples, z codes, g the decoder.
"""

from typing import Any

import torch

from etude.functional.clustering import hardening_loss
from etude.systems.clusterer import Clusterer
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


class IDEC(Clusterer):
    """Clusters the codes of an autoencoder that goes on decoding them.

    Args:
        on: the autoencoder.
        classes: how many classes the data have, if they have any.
        clusters: K, in [1, inf); as many as there are classes where not given (section 5.3).
        gamma: weight of the clustering loss, in [0, inf) (section 5.3).
        nu: degrees of freedom of Student's t distribution, in (0, inf) (equation 1).
        restarts: runs of k-means, of which the best places the centroids, in [1, inf) (Xie et al. 2016, section 4.3).
        tolerance: stop when less than this share of the examples changes cluster in a pass, in [0, 1] (section 5.3).
        rate: Adam's learning rate, in (0, inf) (section 5.3).
        epochs: the most passes, in [0, inf) (no paper fixes it: `tolerance` ends the training).
        batch: examples a step, in [1, inf) (section 5.3).
    """

    paper = Paper(
        "X. Guo, L. Gao, X. Liu and J. Yin",
        2017,
        "Improved deep embedded clustering with local structure preservation",
        "https://www.ijcai.org/proceedings/2017/243",
    )
    tiny = {"restarts": 3, "epochs": 5, "batch": 20}
    quick = {"epochs": 50, "batch": 32}

    def __init__(
        self,
        on: System,
        classes: int | None,
        *,
        clusters: int | None = None,
        gamma: float = 0.1,
        nu: float = 1.0,
        restarts: int = 20,
        tolerance: float = 0.001,
        rate: float = 1e-3,
        epochs: int = 200,
        batch: int = 256,
    ) -> None:
        super().__init__(on, classes, clusters, nu, restarts)
        self.gamma, self.tolerance, self.epochs, self.batch = gamma, tolerance, epochs, batch
        self.optimizer = torch.optim.Adam([self.among.centroids, *self.on.parameters()], lr=rate, fused=True)

    def phases(self) -> list[Phase]:
        # deviates: the targets are refreshed after every pass, as DEC's are; the paper refreshes them every 140 steps
        cluster = Phase("cluster", self.step, self.epochs, self.batch, start=self.place, done=self.settled)
        return [*self.pretraining(), cluster]

    def step(self, batch: Any, clock: Clock) -> Losses:
        z = self.on.code(batch.x)
        # deviates: means over examples and features, as the authors' code has them; the equations print sums
        reconstruction = self.on.misfit(batch.x, z).mean()
        clustering = hardening_loss(self.among(z), self.among.target(batch.index))
        loss = descend(self.optimizer, reconstruction + self.gamma * clustering)
        return {"loss": loss, "reconstruction": reconstruction.detach(), "clustering": clustering.detach()}
