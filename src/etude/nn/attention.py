"""Attention of a decoder to the steps of a source.

Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate", 2015, section 3.1 and
appendix A.1.2:

    c_i = sum_j alpha_ij h_j                                  (5)
    alpha_ij = exp(e_ij) / sum_k exp(e_ik)                    (6)
    e_ij = v_a' tanh(W_a s_(i-1) + U_a h_j)

Luong, Pham and Manning, "Effective approaches to attention-based neural machine translation", 2015, section 3.1:

    a_t(s) = exp(score(h_t, h_s)) / sum_s' exp(score(h_t, h_s'))          (7)
    score(h_t, h_s) = h_t' h_s  (dot) | h_t' W_a h_s  (general) | v_a' tanh(W_a [h_t; h_s])  (concat)     (8)

Letters: B sequences side by side, S steps of the source, N numbers in a query, M numbers in a key, U units.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from etude.errors import InputError
from etude.functional.padding import within

Score = Literal["dot", "general", "concat"]


def attend(
    scores: Float[Tensor, "B S"], keys: Float[Tensor, "B S M"], lengths: Int[Tensor, " B"] | None = None
) -> tuple[Float[Tensor, "B M"], Float[Tensor, "B S"]]:
    """The keys' mean under the softmax of their scores, (5) and (6), and the weights, exactly 0 where there is padding.

    Args:
        scores: any numbers.
        keys: what is averaged.
        lengths: true number of steps of each source, in [1, S], where they are padded.
    """
    if lengths is not None:
        scores = scores.masked_fill(~within(lengths, scores.shape[1]), -torch.inf)
    weights = torch.softmax(scores, 1)
    return (weights[:, None] @ keys).squeeze(1), weights


class BahdanauAttention(nn.Module):
    """Additive attention: Bahdanau et al. 2015.

    Args:
        query_size: N, numbers in a query s_(i-1).
        key_size: M, numbers in a key h_j.
        units: U, the alignment model's.
    """

    def __init__(self, query_size: int, key_size: int, units: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, units, bias=False)  # W_a
        self.key = nn.Linear(key_size, units, bias=False)  # U_a
        self.score = nn.Linear(units, 1, bias=False)  # v_a

    def forward(
        self,
        query: Float[Tensor, "B N"],
        keys: Float[Tensor, "B S M"],
        lengths: Int[Tensor, " B"] | None = None,
        projected: Float[Tensor, "B S U"] | None = None,
    ) -> tuple[Float[Tensor, "B M"], Float[Tensor, "B S"]]:
        """Context and weights.

        Args:
            query: what looks for something.
            keys: where it looks.
            lengths: true number of steps of each source, in [1, S], where they are padded.
            projected: `self.key(keys)`, which does not depend on the query, where it has been computed before
                (appendix A.1.2).
        """
        u = self.key(keys) if projected is None else projected
        return attend(self.score(torch.tanh(self.query(query)[:, None] + u)).squeeze(2), keys, lengths)


class LuongAttention(nn.Module):
    """Multiplicative attention, or additive by `concat`: Luong et al. 2015.

    Args:
        query_size: N, numbers in a query h_t.
        key_size: M, numbers in a key h_s; as many as in a query for `dot`.
        score: dot, general or concat; `concat` has as many units as a query has numbers.

    Raises:
        InputError: sizes that `dot` cannot compare.
    """

    def __init__(self, query_size: int, key_size: int, score: Score = "general") -> None:
        super().__init__()
        if score == "dot" and query_size != key_size:
            raise InputError(
                f"a query of {query_size} numbers and keys of {key_size} have no dot product: take general or concat"
            )
        self.additive = BahdanauAttention(query_size, key_size, query_size) if score == "concat" else None
        self.weight = nn.Linear(query_size, key_size, bias=False) if score == "general" else None  # W_a'

    def forward(
        self,
        query: Float[Tensor, "B N"],
        keys: Float[Tensor, "B S M"],
        lengths: Int[Tensor, " B"] | None = None,
    ) -> tuple[Float[Tensor, "B M"], Float[Tensor, "B S"]]:
        """Context and weights; `lengths` as in `BahdanauAttention`."""
        if self.additive is not None:  # W_a [h_t; h_s] is a sum of two products
            found: tuple[Tensor, Tensor] = self.additive(query, keys, lengths)
            return found
        across = query if self.weight is None else self.weight(query)
        return attend((keys @ across[:, :, None]).squeeze(2), keys, lengths)
