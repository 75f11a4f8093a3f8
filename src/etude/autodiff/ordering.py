"""In which order to multiply the Jacobian matrices of a chain of functions: forward, reverse or the best.

The Jacobian of y = f_k(... f_2(f_1(x))) is the product J_k ... J_2 J_1, where J_i, of shape (n_i, n_(i-1)), is the
Jacobian of f_i. Matrix products are associative, so the order is free, but each order costs another number of
operations. Forward mode multiplies from the input, J_3 (J_2 J_1), which costs least where y is larger than x; reverse
mode multiplies from the output, (J_3 J_2) J_1, which costs least where y is smaller (course/004, "Why forward and
reverse mode?"). Neither need be the best. For dense matrices dynamic programming finds the best order (Griewank and
Naumann 2003, "Accumulating Jacobians as chained sparse matrix products", Mathematical Programming 95; for the problem
of the matrix chain, Godbole 1973, "On efficient computation of matrix chain products").

A chain is given by its sizes (n_0, n_1, ..., n_k), a bracketing by its tree: the number i stands for J_i, a pair
(a, b) for the product of a and b. One operation is one multiplication with its addition: the product of a (p, q) matrix
and a (q, r) matrix takes p q r.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Tree = int | tuple["Tree", "Tree"]
Matrix = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Bracketing:
    """An order of multiplying a chain of Jacobians; its text is `((J4 J3) (J2 J1))`.

    Attributes:
        cost: the number of multiply-adds.
        tree: the order.
    """

    cost: int
    tree: Tree

    def __str__(self) -> str:
        return _text(self.tree)


def _text(tree: Tree) -> str:
    return f"J{tree}" if isinstance(tree, int) else f"({_text(tree[0])} {_text(tree[1])})"


def choose(inputs: int, outputs: int) -> Literal["forward", "reverse"]:
    """The mode that gets the Jacobian of a function of `inputs` numbers to `outputs` numbers with fewer operations.

    Forward mode takes a pass for each input, reverse mode one for each output. Where they are as many it is forward
    mode: its passes are cheaper and store nothing.
    """
    return "forward" if inputs <= outputs else "reverse"


def forward_tree(length: int) -> Tree:
    """The order of forward mode for a chain of `length` functions: J_3 (J_2 J_1)."""
    tree: Tree = 1
    for i in range(2, length + 1):
        tree = (i, tree)
    return tree


def reverse_tree(length: int) -> Tree:
    """The order of reverse mode for a chain of `length` functions: (J_3 J_2) J_1."""
    tree: Tree = length
    for i in range(length - 1, 0, -1):
        tree = (tree, i)
    return tree


def operations(sizes: Sequence[int], tree: Tree) -> int:
    """The number of multiply-adds of a bracketing.

    Args:
        sizes: n_0, ..., n_k, the sizes of the input, of what the functions pass on, and of the output.
        tree: the bracketing, of J_k, ..., J_1 from left to right.
    """
    return _count(sizes, tree)[0]


def _count(sizes: Sequence[int], tree: Tree) -> tuple[int, int, int]:
    """The operations of a tree, and the rows and columns of its product."""
    if isinstance(tree, int):
        return 0, sizes[tree], sizes[tree - 1]
    left, rows, inner = _count(sizes, tree[0])
    right, _, columns = _count(sizes, tree[1])
    return left + right + rows * inner * columns, rows, columns


def forward_cost(sizes: Sequence[int]) -> int:
    """The number of multiply-adds of forward mode for a chain of sizes n_0, ..., n_k."""
    return operations(sizes, forward_tree(len(sizes) - 1))


def reverse_cost(sizes: Sequence[int]) -> int:
    """The number of multiply-adds of reverse mode for a chain of sizes n_0, ..., n_k."""
    return operations(sizes, reverse_tree(len(sizes) - 1))


def optimal_bracketing(sizes: Sequence[int]) -> Bracketing:
    """The bracketing of fewest multiply-adds for a chain of sizes n_0, ..., n_k, of one function or more.

    The best order for J_j ... J_i ends with a product of the best for J_j ... J_(s+1) and the best for J_s ... J_i, for
    some s between; all are tried, shorter chains first, in O(k^3) steps.

    Raises:
        ValueError: for fewer than two sizes.
    """
    if len(sizes) < 2:
        raise ValueError(f"a chain of functions has two sizes or more, not {len(sizes)}")
    length = len(sizes) - 1
    best = {(i, i): Bracketing(0, i) for i in range(1, length + 1)}
    for span in range(1, length):
        for i in range(1, length - span + 1):
            j = i + span
            best[i, j] = min(
                (_product(sizes[j], sizes[s], sizes[i - 1], best[s + 1, j], best[i, s]) for s in range(i, j)),
                key=lambda bracketing: bracketing.cost,
            )
    return best[1, length]


def _product(rows: int, inner: int, columns: int, left: Bracketing, right: Bracketing) -> Bracketing:
    return Bracketing(left.cost + right.cost + rows * inner * columns, (left.tree, right.tree))


def chain_product(
    jacobians: Sequence[Matrix], order: Literal["optimal", "forward", "reverse"] | Tree
) -> tuple[Matrix, int]:
    """The product J_k ... J_1, and the number of multiply-adds that it took.

    Args:
        jacobians: J_1, ..., J_k, of shapes (n_1, n_0), ..., (n_k, n_(k-1)).
        order: that of forward mode, of reverse mode, the best for these shapes, or a tree.

    Raises:
        ValueError: for no Jacobian, and for another order.
    """
    length = len(jacobians)
    if not length:
        raise ValueError("a chain needs one function or more")
    if order == "optimal":
        tree = optimal_bracketing([jacobians[0].shape[1], *(jacobian.shape[0] for jacobian in jacobians)]).tree
    elif order == "forward":
        tree = forward_tree(length)
    elif order == "reverse":
        tree = reverse_tree(length)
    elif isinstance(order, str):
        raise ValueError(f"order is {order!r}: expected optimal, forward, reverse or a tree")
    else:
        tree = order
    return _multiplied(jacobians, tree)


def _multiplied(jacobians: Sequence[Matrix], tree: Tree) -> tuple[Matrix, int]:
    if isinstance(tree, int):
        return jacobians[tree - 1], 0
    left, before = _multiplied(jacobians, tree[0])
    right, after = _multiplied(jacobians, tree[1])
    return left @ right, before + after + left.size * right.shape[1]


def chain_jacobian(
    functions: Sequence[Callable[[Any], Any]],
    x: Matrix,
    order: Literal["optimal", "forward", "reverse"] | Tree = "optimal",
) -> tuple[Matrix, int]:
    """The Jacobian at x of a chain of functions, and the number of multiply-adds that its matrix products took.

    Each function's own Jacobian is taken in the mode that suits its sizes; the order decides how these are multiplied,
    so that different stretches of the chain may be accumulated in different modes.

    Args:
        functions: f_1, ..., f_k in the order of their application; f_i takes an array of shape (n_(i-1),) and returns
            one of shape (n_i,).
        x: where, of shape (n_0,).
        order: as in `chain_product`.
    """
    from etude.autodiff.derivative import jacobian

    jacobians = []
    for function in functions:
        jacobians.append(jacobian(function, mode="auto")(x))
        x = function(x)
    return chain_product(jacobians, order)
