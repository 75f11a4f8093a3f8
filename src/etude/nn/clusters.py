"""Clusters among codes: centroids, soft assignments, and targets for every example that stay fixed until refreshed."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, distributed, nn

from etude.functional.clustering import hardened, soft_assignment, squared_distances


class Clusters(nn.Module):
    """K centroids, and what is known of the examples of a data set: their cluster and their target distribution P.

    Args:
        clusters: K.
        latent: L, numbers in a code.
        nu: degrees of freedom of Student's t distribution (Xie et al. 2016, equation 1).

    Attributes:
        centroids: (K, L), learned; zeros until they are placed.
        placed: () bool, whether k-means has placed the centroids.
        assigned: (N,) int64, the cluster of each example at the last refresh, -1 for one that was not seen.
        targets: (N, K), P of each example, from Q over all of them at the last refresh.
    """

    placed: Bool[Tensor, ""]
    assigned: Int[Tensor, " n"]
    targets: Float[Tensor, "n k"]

    def __init__(self, clusters: int, latent: int, nu: float = 1.0) -> None:
        super().__init__()
        self.nu = nu
        self.centroids = nn.Parameter(torch.zeros(clusters, latent))
        self.placed = nn.Buffer(torch.tensor(False))
        self.assigned = nn.Buffer(torch.empty(0, dtype=torch.int64))
        self.targets = nn.Buffer(torch.empty(0, clusters))

    def forward(self, z: Float[Tensor, "n l"]) -> Float[Tensor, "n k"]:
        """Q: how much each code belongs to each cluster (equation 1)."""
        return soft_assignment(z, self.centroids, self.nu)

    def nearest(self, z: Float[Tensor, "n l"]) -> Int[Tensor, " n"]:
        """The cluster whose centroid is closest to each code."""
        return squared_distances(z, self.centroids).argmin(1)

    @torch.no_grad()
    def place(self, codes: Float[Tensor, "n l"], restarts: int) -> None:
        """Put the centroids where the best of `restarts` runs of k-means on the codes puts them."""
        from sklearn.cluster import KMeans

        seed = int(torch.randint(2**31 - 1, ()))
        means = KMeans(len(self.centroids), n_init=restarts, random_state=seed).fit(codes.double().cpu().numpy())
        self.centroids.copy_(torch.from_numpy(means.cluster_centers_))
        if distributed.is_initialized():
            distributed.broadcast(self.centroids, 0)
        self.placed.fill_(True)

    @torch.no_grad()
    def refresh(self, codes: Float[Tensor, "n l"], index: Int[Tensor, " n"]) -> float:
        """Compute P from Q over all examples, and which cluster each is in (equation 3).

        Args:
            codes: of all examples.
            index: which examples they are.

        Returns:
            The share of examples that are in another cluster than at the refresh before, in [0, 1].
        """
        q = self(codes)
        now = q.argmax(1)
        size = max(int(index.max()) + 1, len(self.assigned))
        before, self.assigned = self.assigned, self.assigned.new_full((size,), -1)
        self.assigned[: len(before)] = before
        moved = self.assigned.index_select(0, index) != now
        self.assigned.index_copy_(0, index, now)
        self.targets = self.targets.new_zeros(size, q.shape[1]).index_copy_(0, index, hardened(q))
        return float(moved.double().mean())

    def of(self, index: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """The cluster of these examples, as it was last set."""
        return self.assigned.index_select(0, index)

    @torch.no_grad()
    def follow(self, codes: Float[Tensor, "n l"], index: Int[Tensor, " n"], counts: Float[Tensor, " k"]) -> None:
        """Put examples into the nearest clusters and keep each centroid the mean of all codes it was given, as if
        they had then come one by one (Yang et al. 2017, equations 6 and 8).

        Args:
            codes: of a batch.
            index: which examples they are.
            counts: c_k, how many codes each centroid is the mean of; raised in place.
        """
        codes = codes.to(self.centroids.dtype)
        if distributed.is_initialized():
            codes, index = _of_all(codes), _of_all(index)
        nearest = self.nearest(codes)
        self.assigned.index_copy_(0, index, nearest)
        chosen = F.one_hot(nearest, len(counts)).to(codes.dtype)
        came = chosen.sum(0)
        counts += came
        with torch.autocast(codes.device.type, enabled=False):
            sums = chosen.mT @ codes
        self.centroids.add_((sums - came[:, None] * self.centroids) / counts.clamp(min=1)[:, None])

    def target(self, index: Int[Tensor, " n"]) -> Float[Tensor, "n k"]:
        """P of these examples, as the last refresh left it."""
        return self.targets.index_select(0, index)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Make room for as many examples as were saved."""
        for name in ("assigned", "targets"):
            if (saved := state.get(prefix + name)) is not None:
                buffer: Tensor = getattr(self, name)
                setattr(self, name, buffer.new_empty(saved.shape))
        super()._load_from_state_dict(state, prefix, *rest)


def _of_all(own: Tensor) -> Tensor:
    """The rows of every process, which has as many as any other."""
    parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, own.contiguous())
    return torch.cat(parts)
