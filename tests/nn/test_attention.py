"""Attention: closed forms, torch's own, gradients, padding, order of the source."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.errors import InputError
from etude.nn.attention import BahdanauAttention, LuongAttention, attend

B, S, N, M, U = 3, 5, 4, 6, 7
LENGTHS = torch.tensor([5, 2, 1])
KINDS: dict[str, Callable[[], nn.Module]] = {
    "bahdanau": lambda: BahdanauAttention(N, M, U),
    "dot": lambda: LuongAttention(M, M, "dot"),
    "general": lambda: LuongAttention(N, M, "general"),
    "concat": lambda: LuongAttention(N, M, "concat"),
}


def given(kind: str) -> tuple[Any, Tensor, Tensor]:
    """A block in float64, a query and keys."""
    torch.manual_seed(0)
    block = KINDS[kind]().double()
    query = torch.randn(B, M if kind == "dot" else N, dtype=torch.float64)
    return block, query, torch.randn(B, S, M, dtype=torch.float64)


def softly(scores: list[float]) -> Tensor:
    weights = torch.tensor(scores, dtype=torch.float64).exp()
    return weights / weights.sum()


def test_additive_scores_are_those_of_appendix_a() -> None:
    block, query, keys = given("bahdanau")
    W, V, v = block.query.weight, block.key.weight, block.score.weight[0]
    context, weights = block(query, keys)
    for b in range(B):
        alpha = softly([(v @ torch.tanh(W @ query[b] + V @ keys[b, j])).item() for j in range(S)])
        torch.testing.assert_close(weights[b], alpha)
        torch.testing.assert_close(context[b], sum((alpha[j] * keys[b, j] for j in range(S)), torch.zeros(M).double()))


def test_general_is_the_bilinear_form_and_concat_one_layer_on_both() -> None:
    block, query, keys = given("general")
    W = block.weight.weight.T  # h_t' W_a h_s
    expected = torch.stack([softly([(query[b] @ W @ keys[b, s]).item() for s in range(S)]) for b in range(B)])
    torch.testing.assert_close(block(query, keys)[1], expected)
    block, query, keys = given("concat")
    W, v = torch.cat([block.additive.query.weight, block.additive.key.weight], 1), block.additive.score.weight[0]
    expected = torch.stack(
        [softly([(v @ torch.tanh(W @ torch.cat([query[b], keys[b, s]]))).item() for s in range(S)]) for b in range(B)]
    )
    torch.testing.assert_close(block(query, keys)[1], expected)


def test_dot_is_torchs_scaled_product_of_a_query_scaled_back() -> None:
    block, query, keys = given("dot")
    mask = torch.arange(S) < LENGTHS[:, None]
    expected = F.scaled_dot_product_attention(query[:, None] * M**0.5, keys, keys, attn_mask=mask[:, None])
    torch.testing.assert_close(block(query, keys, LENGTHS)[0], expected[:, 0])


def test_equal_scores_give_the_mean() -> None:
    keys = torch.randn(B, S, M)
    context, weights = attend(torch.full((B, S), 3.0), keys, LENGTHS)
    torch.testing.assert_close(weights[1], torch.tensor([0.5, 0.5, 0, 0, 0]))
    torch.testing.assert_close(context[1], keys[1, :2].mean(0))


@pytest.mark.parametrize("kind", KINDS)
def test_padding_has_no_weight_and_no_influence(kind: str) -> None:
    block, query, keys = given(kind)
    context, weights = block(query, keys, LENGTHS)
    assert (weights[torch.arange(S) >= LENGTHS[:, None]] == 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(B).double())
    for b, length in enumerate(LENGTHS.tolist()):
        alone = block(query[b : b + 1], keys[b : b + 1, :length])
        torch.testing.assert_close(context[b], alone[0][0])
        torch.testing.assert_close(weights[b, :length], alone[1][0])
    keys[1, 2:] = 1e6
    torch.testing.assert_close(block(query, keys, LENGTHS)[0], context, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_follow_their_places(kind: str) -> None:
    block, query, keys = given(kind)
    order = torch.randperm(S)
    context, weights = block(query, keys)
    moved, places = block(query, keys[:, order])
    torch.testing.assert_close(moved, context)
    torch.testing.assert_close(places, weights[:, order])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind: str) -> None:
    block, query, keys = given(kind)
    weights = tuple(block.parameters())
    inputs = (query.requires_grad_(), keys.requires_grad_(), *weights)
    assert torch.autograd.gradcheck(lambda q, k, *_: block(q, k, LENGTHS), inputs)


def test_keys_may_be_projected_once() -> None:
    block, query, keys = given("bahdanau")
    torch.testing.assert_close(block(query, keys, LENGTHS, block.key(keys))[0], block(query, keys, LENGTHS)[0])


def test_a_dot_product_of_other_sizes_is_refused() -> None:
    with pytest.raises(InputError, match="4 numbers and keys of 6 have no dot product"):
        LuongAttention(N, M, "dot")
