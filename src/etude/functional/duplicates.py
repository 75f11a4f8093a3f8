"""Near-duplicates by their codes: those of few differing bits are found without comparing all with all."""

from collections import defaultdict

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor


def near_duplicates(bits: Bool[Tensor, "n b"], distance: int = 0) -> list[list[int]]:
    """Groups of rows linked by steps of at most `distance` differing bits, two rows or more each, in rising order.

    Cut into distance + 1 pieces, two such rows agree in one piece at least (the pigeonhole principle), so that only
    rows that share a piece are compared. With distance 0 the work is linear in n, as in semantic hashing.

    Args:
        bits: a code in each row.
        distance: in [0, b).
    """
    codes, code_of = torch.unique(bits, dim=0, return_inverse=True)
    parent = list(range(len(codes)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for piece in codes.tensor_split(distance + 1, dim=1) if distance else ():
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for place, row in enumerate(np.packbits(piece.cpu().numpy(), axis=1)):
            buckets[row.tobytes()].append(place)
        for bucket in buckets.values():
            inside = codes.index_select(0, torch.tensor(bucket, device=codes.device))
            for first, place in enumerate(bucket[:-1]):
                near = (inside[first + 1 :] ^ inside[first]).sum(1) <= distance
                for after in near.nonzero().flatten().tolist():
                    parent[root(bucket[first + 1 + after])] = root(place)
    groups: dict[int, list[int]] = defaultdict(list)
    for row, code in enumerate(code_of.tolist()):
        groups[root(code)].append(row)
    return [group for group in groups.values() if len(group) > 1]
