"""Orders of multiplying Jacobians: counts by hand, the best against all bracketings, products against NumPy's."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from etude.autodiff.ordering import (
    Bracketing,
    Tree,
    chain_jacobian,
    chain_product,
    choose,
    forward_cost,
    forward_tree,
    operations,
    optimal_bracketing,
    reverse_cost,
    reverse_tree,
)

SIZES = st.lists(st.integers(1, 20), min_size=2, max_size=7)


def bracketings(last: int, first: int) -> Iterator[Tree]:
    """Every way to multiply J_last ... J_first."""
    if last == first:
        yield last
    for split in range(first, last):
        for left in bracketings(last, split + 1):
            for right in bracketings(split, first):
                yield left, right


def chain(sizes: list[int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(rows, columns)) for columns, rows in pairwise(sizes)]


def test_a_single_function_needs_no_product() -> None:
    assert optimal_bracketing([3, 5]) == Bracketing(0, 1)
    assert str(optimal_bracketing([3, 5])) == "J1"


def test_costs_of_three_functions_by_hand() -> None:
    sizes = [2, 3, 5, 7]
    assert forward_cost(sizes) == 5 * 3 * 2 + 7 * 5 * 2
    assert reverse_cost(sizes) == 7 * 5 * 3 + 7 * 3 * 2
    assert operations(sizes, (3, (2, 1))) == forward_cost(sizes)
    assert operations(sizes, ((3, 2), 1)) == reverse_cost(sizes)


def test_the_textbook_chain() -> None:
    """The matrix chain of Cormen et al., Introduction to Algorithms, section 15.2: 15,125 multiplications."""
    best = optimal_bracketing([25, 20, 10, 5, 15, 35, 30])
    assert best.cost == 15_125
    assert str(best) == "((J6 (J5 J4)) ((J3 J2) J1))"


def test_a_chain_where_neither_mode_is_best() -> None:
    sizes = [10, 1, 10, 1, 10]
    best = optimal_bracketing(sizes)
    assert best.cost == 10 + 10 + 100
    assert best.cost < min(forward_cost(sizes), reverse_cost(sizes))
    assert str(Bracketing(0, ((4, 3), (2, 1)))) == "((J4 J3) (J2 J1))"


@given(SIZES)
def test_the_best_of_all_bracketings(sizes: list[int]) -> None:
    best = optimal_bracketing(sizes)
    costs = [operations(sizes, tree) for tree in bracketings(len(sizes) - 1, 1)]
    assert best.cost == min(costs) == operations(sizes, best.tree)
    assert forward_cost(sizes) in costs
    assert reverse_cost(sizes) in costs


@given(SIZES)
def test_reverse_mode_is_forward_mode_of_the_transposed_chain(sizes: list[int]) -> None:
    assert reverse_cost(sizes) == forward_cost(sizes[::-1])


@given(st.integers(1, 50), st.integers(1, 50), st.lists(st.just(30), min_size=2, max_size=4))
def test_choose_takes_the_cheaper_mode(inputs: int, outputs: int, between: list[int]) -> None:
    sizes = [inputs, *between, outputs]
    cost = {"forward": forward_cost(sizes), "reverse": reverse_cost(sizes)}
    assert cost[choose(inputs, outputs)] == min(cost.values())
    assert choose(inputs, inputs) == "forward"


@given(SIZES, st.sampled_from(["optimal", "forward", "reverse"]))
def test_products_are_equal_and_counted(sizes: list[int], order: Any) -> None:
    jacobians = chain(sizes)
    product, count = chain_product(jacobians, order)
    expected = np.linalg.multi_dot(jacobians[::-1]) if len(jacobians) > 1 else jacobians[0]
    np.testing.assert_allclose(product, expected, rtol=1e-9, atol=1e-9)
    length = len(jacobians)
    trees = {
        "optimal": optimal_bracketing(sizes).tree,
        "forward": forward_tree(length),
        "reverse": reverse_tree(length),
    }
    assert count == operations(sizes, trees[order])


@pytest.mark.parametrize("tree", list(bracketings(4, 1)))
def test_a_given_tree_is_followed(tree: Tree) -> None:
    sizes = [2, 7, 3, 5, 4]
    product, count = chain_product(chain(sizes), tree)
    np.testing.assert_allclose(product, np.linalg.multi_dot(chain(sizes)[::-1]), rtol=1e-12)
    assert count == operations(sizes, tree)


WIDE, NARROW = np.random.default_rng(1).normal(size=(6, 3)), np.random.default_rng(2).normal(size=(2, 6))


def widen(x: Any) -> Any:
    return np.tanh(WIDE @ x)


def square(x: Any) -> Any:
    return x * x + np.sin(x)


def narrow(x: Any) -> Any:
    return NARROW @ x


@pytest.mark.parametrize("order", ["optimal", "forward", "reverse", ((3, 2), 1)])
def test_the_jacobian_of_a_chain_equals_that_of_torch(order: Any) -> None:
    x = np.array([0.3, -1.2, 0.8])
    jacobian, count = chain_jacobian([widen, square, narrow], x, order)

    def composed(x: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(torch.tensor(WIDE) @ x)
        return torch.tensor(NARROW) @ (hidden * hidden + torch.sin(hidden))

    expected = torch.func.jacrev(composed)(torch.tensor(x)).numpy()
    np.testing.assert_allclose(jacobian, expected, rtol=1e-12)
    assert count == (6 * 6 * 3 + 2 * 6 * 3 if order == "forward" else 2 * 6 * 6 + 2 * 6 * 3)


def test_what_is_no_chain_or_order_is_refused() -> None:
    x = np.ones(3)
    with pytest.raises(ValueError, match="order is 'foo': expected optimal, forward, reverse or a tree"):
        chain_jacobian([square], x, "foo")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one function or more"):
        chain_jacobian([], x)
    with pytest.raises(ValueError, match="two sizes or more, not 1"):
        optimal_bracketing((5,))
