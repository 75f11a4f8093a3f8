"""Walks and arithmetic among the codes of a generator: Radford et al. 2016, sections 6.1 and 6.3.2.

Letters: L numbers of a code.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def between(start: Float[Tensor, " l"], end: Float[Tensor, " l"], steps: int) -> Float[Tensor, "steps l"]:
    """Codes at equal distances on the straight line from one to another, both ends included (figure 4)."""
    return torch.lerp(start, end, torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)[:, None])


def arithmetic(
    plus: Float[Tensor, "a l"], minus: Float[Tensor, "b l"], add: Float[Tensor, "c l"]
) -> Float[Tensor, " l"]:
    """mean(plus) - mean(minus) + mean(add): a man with glasses, less a man, plus a woman (figure 7).

    Results on single codes are unstable; the paper averages three.
    """
    return plus.mean(0) - minus.mean(0) + add.mean(0)


def neighbours(z: Float[Tensor, " l"], noise: float = 0.25) -> Float[Tensor, "9 l"]:
    """A code in the middle of eight others: at the fifth place, each other with uniform noise added (figure 7).

    Args:
        noise: the most that a number of a neighbour differs from the code's, in [0, inf).
    """
    added = noise * (2 * torch.rand(9, len(z), dtype=z.dtype, device=z.device) - 1)
    return z + added.index_fill(0, torch.tensor(4, device=z.device), 0)
