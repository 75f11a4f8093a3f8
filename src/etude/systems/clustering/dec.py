"""DEC, deep embedded clustering: Xie et al., "Unsupervised deep embedding for clustering analysis", 2016.

    q_ij = (1 + |z_i - mu_j|^2 / nu)^(-(nu + 1) / 2) / sum_j' (1 + |z_i - mu_j'|^2 / nu)^(-(nu + 1) / 2)       (1)
    L    = KL(P || Q) = sum_i sum_j p_ij log(p_ij / q_ij)                                                     (2)
    p_ij = (q_ij^2 / f_j) / sum_j' (q_ij'^2 / f_j'),    f_j = sum_i q_ij                                      (3)

An autoencoder gives codes, k-means gives centroids among them. Then encoder and centroids learn together from their own
most confident assignments: the soft assignments Q of all examples are sharpened into targets P, in which large clusters
count for less, and Q is drawn towards P. P is computed from Q over the whole data set and held fixed until the next
refresh, after each pass; with targets from a minibatch the frequencies f_j would be noise.

Letters: N examples, K clusters; z are codes, mu centroids.
"""

from typing import Any

import torch

from etude.functional.clustering import hardening_loss
from etude.systems.clusterer import Clusterer
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


class DEC(Clusterer):
    """Clusters the codes of an autoencoder and adapts the encoder to the clusters.

    Args:
        on: the autoencoder.
        classes: how many classes the data have, if they have any.
        clusters: K, in [1, inf); as many as there are classes where not given (section 4.3).
        backprop: whether the encoder learns too; without, only the centroids do (section 4.4, table 2).
        nu: degrees of freedom of Student's t distribution, in (0, inf) (section 3.1.1).
        restarts: runs of k-means, of which the best places the centroids, in [1, inf) (section 4.3).
        tolerance: stop when less than this share of the examples changes cluster in a pass, in [0, 1] (section 4.3).
        rate: learning rate of gradient descent with momentum 0.9, in (0, inf) (section 4.3).
        epochs: the most passes of refinement, in [0, inf) (no paper fixes it: `tolerance` ends the refinement).
        batch: examples a step, in [1, inf) (section 4.3).
    """

    paper = Paper(
        "J. Xie, R. Girshick and A. Farhadi",
        2016,
        "Unsupervised deep embedding for clustering analysis",
        "https://arxiv.org/abs/1511.06335",
    )
    tiny = {"restarts": 3, "epochs": 5, "batch": 20}
    quick = {"epochs": 50, "batch": 32}

    def __init__(
        self,
        on: System,
        classes: int | None,
        *,
        clusters: int | None = None,
        backprop: bool = True,
        nu: float = 1.0,
        restarts: int = 20,
        tolerance: float = 0.001,
        rate: float = 0.01,
        epochs: int = 200,
        batch: int = 256,
    ) -> None:
        super().__init__(on, classes, clusters, nu, restarts)
        self.backprop, self.tolerance, self.epochs, self.batch = backprop, tolerance, epochs, batch
        learning = [self.among.centroids, *(self.on.parameters() if backprop else ())]
        self.optimizer = torch.optim.SGD(learning, lr=rate, momentum=0.9, fused=True)

    def phases(self) -> list[Phase]:
        refine = Phase("refine", self.step, self.epochs, self.batch, start=self.place, done=self.settled)
        return [*self.pretraining(), refine]

    def step(self, batch: Any, clock: Clock) -> Losses:
        with torch.set_grad_enabled(self.backprop):
            z = self.on.code(batch.x)
        # deviates: the mean over the examples of a batch, as the authors' code has it; equation 2 prints the sum
        return {"loss": descend(self.optimizer, hardening_loss(self.among(z), self.among.target(batch.index)))}
