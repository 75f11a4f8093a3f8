"""Distances between distributions: total variation and the earth mover's (Wasserstein-1) distance.

The Kullback-Leibler and Jensen-Shannon divergences, which are compared with them, are in `etude.functional.divergences`
(Arjovsky, Chintala and Bottou, "Wasserstein GAN", 2017, section 2).
"""

import torch
from jaxtyping import Float
from torch import Tensor


def total_variation(p: Float[Tensor, "*#batch k"], q: Float[Tensor, "*#batch k"]) -> Float[Tensor, "*#batch"]:
    """Total variation distance of discrete distributions along the last dimension, in [0, 1].

    sup_A |P(A) - Q(A)| over all sets A of values, which is 1/2 sum_i |p_i - q_i|.
    """
    return (p - q).abs().sum(-1) / 2


def earth_mover(p: Float[Tensor, " n"], q: Float[Tensor, " m"], cost: Float[Tensor, "n m"]) -> Float[Tensor, ""]:
    """Earth mover's distance of discrete distributions: the least sum_ij t_ij cost_ij over all plans t that turn p
    into q.

    A plan has t_ij >= 0, sum_j t_ij = p_i and sum_i t_ij = q_j (Arjovsky et al. 2017, section 2). It is found by linear
    programming (HiGHS), in seconds for some hundred values each. Gradients reach the cost, through the plan, and p and
    q, through the prices of the dual program; as p and q sum to 1 they are right up to a constant.

    Args:
        p: weights in [0, 1] that sum to 1.
        q: the same.
        cost: of moving one unit from each value of p to each of q; a metric there makes this one a metric.
    """
    import numpy as np
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    n, m = cost.shape
    leaves = kron(eye_array(n), np.ones((1, m)))
    arrives = kron(np.ones((1, n)), eye_array(m))
    weights = [each.detach().cpu().double() for each in (p, q)]
    sums = torch.cat([each / each.sum() for each in weights]).numpy()
    costs = cost.detach().cpu().double().flatten().numpy()
    found = linprog(costs, A_eq=vstack([leaves, arrives]), b_eq=sums, method="highs")
    plan, prices = (cost.new_tensor(numbers) for numbers in (found.x, found.eqlin.marginals))
    moved = (plan.view(n, m) * cost).sum()
    return moved + prices[:n] @ (p - p.detach()) + prices[n:] @ (q - q.detach())


def earth_mover_on_a_line(
    x: Float[Tensor, " n"],
    y: Float[Tensor, " m"],
    p: Float[Tensor, " n"] | None = None,
    q: Float[Tensor, " m"] | None = None,
) -> Float[Tensor, ""]:
    """Earth mover's distance of distributions of numbers where moving costs the way: the area between their cumulative
    distribution functions, the integral of |F - G|.

    Args:
        x: values of the first, in any order; a sample of it where there are no weights.
        y: of the second.
        p: weights of x, in [0, 1], that sum to 1; all alike where not given.
        q: of y.
    """
    p = torch.full_like(x, 1 / len(x)) if p is None else p
    q = torch.full_like(y, 1 / len(y)) if q is None else q
    values, order = torch.cat([x, y]).sort()
    difference = torch.cat([p, -q]).index_select(0, order).cumsum(0)
    return (difference[:-1].abs() * values.diff()).sum()


def earth_mover_of_samples(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
    """Earth mover's distance of two samples where moving costs the Euclidean distance.

    In closed form in one dimension; else each point of one sample is assigned to one of the other where the samples are
    of one size, and a linear program is solved where they are not. Gradients reach the points.
    """
    from scipy.optimize import linear_sum_assignment

    if x.shape[1] == 1:
        return earth_mover_on_a_line(x[:, 0], y[:, 0])
    cost = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    if len(x) == len(y):
        _, columns = linear_sum_assignment(cost.detach().cpu().numpy())
        return cost.gather(1, torch.as_tensor(columns, device=cost.device)[:, None]).mean()
    return earth_mover(cost.new_full((len(x),), 1 / len(x)), cost.new_full((len(y),), 1 / len(y)), cost)


def on_one_support(
    x: Float[Tensor, "n d"], p: Float[Tensor, " n"], y: Float[Tensor, "m d"], q: Float[Tensor, " m"]
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """Weights p of values x and q of values y as weights of the k values that either has, for what compares values.

    Where x and y share no value, total variation is 1, KL infinite and the Jensen-Shannon divergence log 2.
    """
    values, places = torch.unique(torch.cat([x, y]), dim=0, return_inverse=True)
    nothing = p.new_zeros(len(values))
    return nothing.index_add(0, places[: len(x)], p), nothing.index_add(0, places[len(x) :], q)
