"""Deep clustering by parts: Aljalbout et al., "Clustering with deep learning: taxonomy and new methods", 2018.

    L = alpha L_c + (1 - alpha) L_n
    L_c: hardening  KL(P || Q)                    k-means  |z_i - mu_k|^2, k the nearest
    L_n: reconstruction  |x_i - g(z_i)|^2         locality  sum_j s(x_i, x_j) |z_i - z_j|^2
         augmentation  -s(f(x_i), f(T(x_i)))      balance  KL(G || U), g_k = mean_i q_ik

A method of deep clustering is a choice of parts: a network, a loss that makes clusters, losses that keep the codes
honest or the clusters of the wanted sizes, a way to mix the two over time, a way to update the clusters, and perhaps
k-means once more at the end. Here each part is an argument. DEC is `hardening` with the schedule `pretrain`, IDEC adds
`reconstruction` with the schedule `joint`, DCN takes `kmeans` with updates by the running mean.

Letters: N examples, K clusters; x are examples, z codes, mu centroids, f the encoder, g the decoder.
"""

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.data.kinds import Splits, Vectors
from etude.errors import InputError
from etude.functional.clustering import (
    Schedule,
    augmentation_loss,
    balance_loss,
    hardening_loss,
    kmeans_loss,
    locality_loss,
    mixing_weight,
    nearest_neighbours,
    shares,
    zipf,
)
from etude.systems.clusterer import Clusterer
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend

WEIGHTS = {
    "hardening": 0.1,
    "kmeans": 0.01,
    "reconstruction": 1.0,
    "locality": 0.01,
    "augmentation": 0.1,
    "balance": 0.1,
}  # of the terms, where none are asked for: a clustering term that outweighs the reconstruction empties the codes
TURN, SHIFT = 10.0, 0.1  # degrees, and share of the width, that a picture is turned and moved by at most


def augmented(x: Tensor, shape: tuple[int, ...], noise: float) -> Tensor:
    """T(x): pictures turned and moved a little, other rows with normal noise added; (N, ...) to (N, ...)."""
    if len(shape) != 3 or shape[1] == 1:
        return x + noise * x.std() * torch.randn_like(x)
    angle = (2 * torch.rand(len(x), device=x.device) - 1) * math.radians(TURN)
    shift = (2 * torch.rand(len(x), 2, device=x.device) - 1) * 2 * SHIFT
    aspect = shape[1] / shape[2]
    turn = torch.stack([angle.cos(), -angle.sin() * aspect, angle.sin() / aspect, angle.cos()], 1).view(-1, 2, 2)
    with torch.autocast(x.device.type, enabled=False):
        grid = F.affine_grid(torch.cat([turn, shift[:, :, None]], 2), [len(x), *shape], align_corners=False)
    return F.grid_sample(x.view(-1, *shape), grid, align_corners=False).view_as(x)


class DeepClustering(Clusterer):
    """Any encoder, any sum of clustering and non-clustering losses, any schedule between them.

    Args:
        on: the autoencoder.
        classes: how many classes the data have, if they have any.
        clusters: K, in [1, inf); as many as there are classes where not given (Xie et al. 2016, section 4.3).
        clustering: the terms of L_c (section 2.3).
        others: the terms of L_n (section 2.4).
        weights: of all terms, those of L_c first, each in [0, inf); where not given, 1 for `reconstruction`, 0.1 for
            `hardening`, `augmentation` and `balance`, 0.01 for `kmeans` and `locality` (Guo et al. 2017, section 5.3,
            for hardening; no paper fixes the others).
        schedule: of alpha; `pretrain` is 1 once the network is trained, `joint` the same all along, `ramp` rises from 0
            (section 2.5).
        alpha: the weight of L_c, at its end for a ramp, in [0, 1] (course 004, module 5).
        updates: of the centroids: by the same `gradient`, or each the running `mean` of its codes (section 2.6).
        again: whether k-means places the centroids again once the network is trained (section 2.7).
        exponent: of Zipf's law, which the sizes of clusters are to follow, in [0, inf); 0 for equal ones (course 004,
            module 5).
        sizes: any other sizes for them, each in (0, inf) (course 004, module 5).
        neighbours: of an example, within its batch, that its code is to stay close to, in [1, inf) (course 004,
            module 5).
        noise: added to rows of numbers to augment them, in standard deviations, in [0, inf); pictures are turned and
            moved instead (no paper fixes it).
        nu: degrees of freedom of Student's t distribution, in (0, inf) (Xie et al. 2016, section 3.1.1).
        restarts: runs of k-means, of which the best places the centroids, in [1, inf) (Xie et al. 2016, section 4.3).
        tolerance: stop when less than this share of the examples changes cluster in a pass, in [0, 1] (Xie et al. 2016,
            section 4.3).
        rate: Adam's learning rate, in (0, inf) (Guo et al. 2017, section 5.3).
        epochs: the most passes, in [0, inf) (no paper fixes it: `tolerance` ends the training).
        batch: examples a step, in [1, inf) (Xie et al. 2016, section 4.3).
    """

    paper = Paper(
        "E. Aljalbout, V. Golkov, Y. Siddiqui, M. Strobel and D. Cremers",
        2018,
        "Clustering with deep learning: taxonomy and new methods",
        "https://arxiv.org/abs/1801.07648",
    )
    tiny = {"restarts": 3, "epochs": 5, "batch": 20, "others": ("reconstruction", "balance")}
    quick = {"epochs": 50, "batch": 32}

    def __init__(
        self,
        on: System,
        classes: int | None,
        *,
        clusters: int | None = None,
        clustering: tuple[Literal["hardening", "kmeans"], ...] = ("hardening",),
        others: tuple[Literal["reconstruction", "locality", "augmentation", "balance"], ...] = ("reconstruction",),
        weights: tuple[float, ...] = (),
        schedule: Schedule = "joint",
        alpha: float = 0.5,
        updates: Literal["gradient", "mean"] = "gradient",
        again: bool = False,
        exponent: float = 0.0,
        sizes: tuple[float, ...] = (),
        neighbours: int = 5,
        noise: float = 0.1,
        nu: float = 1.0,
        restarts: int = 20,
        tolerance: float = 0.001,
        rate: float = 1e-3,
        epochs: int = 200,
        batch: int = 256,
    ) -> None:
        super().__init__(on, classes, clusters, nu, restarts)
        terms = (*clustering, *others)
        if not terms or len({*terms}) < len(terms):
            given = " ".join(terms) or "no term"
            raise InputError(f"--clustering and --others name {given}: expected one term or more, each once")
        if weights and len(weights) != len(terms):
            raise InputError(f"--weights has {len(weights)} numbers for {len(terms)} terms ({', '.join(terms)})")
        if sizes and len(sizes) != self.clusters:
            raise InputError(f"--sizes has {len(sizes)} numbers for {self.clusters} clusters: give one for each")
        self.clustering, self.others = clustering, others
        self.weights = dict(zip(terms, weights or [WEIGHTS[term] for term in terms], strict=True))
        self.schedule, self.alpha, self.updates, self.again = schedule, alpha, updates, again
        self.neighbours, self.noise = neighbours, noise
        self.tolerance, self.epochs, self.batch = tolerance, epochs, batch
        self.wanted = nn.Buffer(shares(sizes) if sizes else zipf(self.clusters, exponent), persistent=False)
        self.counts = nn.Buffer(torch.zeros(self.clusters))
        self.spread = nn.Buffer(torch.tensor(1.0))
        learning = [self.among.centroids] if updates == "gradient" else []
        self.optimizer = torch.optim.Adam([*learning, *self.on.parameters()], lr=rate, fused=True)

    def phases(self) -> list[Phase]:
        cluster = Phase("cluster", self.step, self.epochs, self.batch, start=self.begin, done=self.ended)
        last = [Phase("k-means again", self.step, 0, self.batch, start=self.place)] if self.again else []
        return [*self.pretraining(), cluster, *last]

    def begin(self, splits: Splits) -> None:
        """Centroids by k-means, how many codes each is the mean of, and how far codes lie from their common mean."""
        self.place(splits)
        self.counts.copy_(torch.bincount(self.among.of(splits.train.index), minlength=self.clusters))
        self.spread.copy_(self.codes(splits.train).var(0, correction=0).sum())

    def ended(self, splits: Splits) -> bool:
        """Has it settled? A ramp always runs to its end."""
        return self.settled(splits) and self.schedule != "ramp"

    def step(self, batch: Any, clock: Clock) -> Losses:
        z = self.on.code(batch.x)
        found = {name: self.term(name, batch, z) for name in self.weights}
        weighed = {name: self.weights[name] * loss for name, loss in found.items()}
        alpha = mixing_weight(self.schedule, clock.progress, self.alpha)
        clustering = sum((weighed[name] for name in self.clustering), z.new_zeros(()))
        others = sum((weighed[name] for name in self.others), z.new_zeros(()))
        loss = descend(self.optimizer, alpha * clustering + (1 - alpha) * others)
        if self.updates == "mean":
            self.among.follow(self.encode(batch.x), batch.index, self.counts)
        return {"loss": loss, **{name: value.detach() for name, value in found.items()}}

    def term(self, name: str, batch: Any, z: Tensor) -> Tensor:
        """One of the losses, (): a mean over the examples of the batch.

        Squared distances among codes are taken relative to `spread`, so that weights do not depend on the codes' scale.
        """
        x = batch.x
        match name:
            case "hardening":
                return hardening_loss(self.among(z), self.among.target(batch.index))
            case "kmeans":
                return kmeans_loss(z, self.among.centroids) / self.spread
            case "reconstruction":
                return self.on.misfit(x, z).mean()
            case "locality":
                # deviates: neighbours are found within the batch; the survey looks for them in the whole data set
                found = nearest_neighbours(x.flatten(1), self.neighbours)
                return locality_loss(z, *found) / (self.neighbours * self.spread)
            case "augmentation":
                shape = batch.shape if isinstance(batch, Vectors) else tuple(x.shape[1:])
                return augmentation_loss(z, self.on.code(augmented(x, shape, self.noise)))
            case _:
                # deviates: how a batch divides among the clusters; the survey takes the whole data set
                return balance_loss(self.among(z), self.wanted)
