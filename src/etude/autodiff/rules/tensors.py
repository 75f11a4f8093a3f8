"""Products of arrays of any number of axes: tensor products, Einstein sums, and what NumPy calls dot and inner."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etude.autodiff.kinds import UNKNOWN, Array, Kind
from etude.autodiff.primitives import FUNCTIONS, PRIMITIVES, Binding, Primitive, Symbol
from etude.autodiff.program import Atom
from etude.autodiff.rules.adjoint import array_of, known_ranks
from etude.autodiff.rules.containers import broadcast_like, unbroadcast
from etude.autodiff.rules.linear import PAIR, matmul_reverse_left, matmul_reverse_right
from etude.autodiff.rules.registry import define
from etude.autodiff.rules.shapes import expand_dims, transpose


def contracted(axes: Any, left: int, right: int) -> tuple[list[int], list[int]]:
    """The axes of both factors that a tensor product of arrays of `left` and `right` axes sums over, pair by pair.

    Raises:
        TypeError: if `axes` is not a literal, or has a list in it, whose items are not known.
    """
    if isinstance(axes, Symbol | Kind):
        raise TypeError("tensordot takes its axes as a number or a pair of tuples, written out")
    if isinstance(axes, int):
        return list(range(left - axes, left)), list(range(axes))
    mine, theirs = ([each] if isinstance(each, int) else list(each) for each in axes)
    return [axis % left for axis in mine], [axis % right for axis in theirs]


def placed_axes(x: Any, axes: list[int]) -> Any:
    """x transposed such that what is its axis k now becomes axis axes[k]."""
    order = tuple(axes.index(axis) for axis in range(len(axes)))
    return x if order == tuple(range(len(axes))) else transpose(x, axes=order)


def _tensordot_reverse_left(d: Any, z: Any, x: Any, y: Any, axes: Any = 2) -> Any:
    left, right = known_ranks("tensordot", x, y)
    mine, theirs = contracted(axes, left, right)
    kept = [axis for axis in range(left) if axis not in mine]
    free = [axis for axis in range(right) if axis not in theirs]
    product = tensordot(d, y, axes=(tuple(range(len(kept), len(kept) + len(free))), tuple(free)))
    return placed_axes(product, kept + [mine[theirs.index(axis)] for axis in sorted(theirs)])


def _tensordot_reverse_right(d: Any, z: Any, x: Any, y: Any, axes: Any = 2) -> Any:
    left, right = known_ranks("tensordot", x, y)
    mine, theirs = contracted(axes, left, right)
    kept = [axis for axis in range(right) if axis not in theirs]
    free = [axis for axis in range(left) if axis not in mine]
    product = tensordot(x, d, axes=(tuple(free), tuple(range(len(free)))))
    return placed_axes(product, [theirs[mine.index(axis)] for axis in sorted(mine)] + kept)


def _tensordot_kind(a: Kind, b: Kind, *, axes: Any = 2) -> Kind:
    left, right = (kind.rank if isinstance(kind, Array) else 0 for kind in (a, b))
    if left is None or right is None or UNKNOWN in (a, b):
        return UNKNOWN
    mine, theirs = contracted(axes, left, right)
    return array_of(left + right - len(mine) - len(theirs), a.differentiable or b.differentiable)


tensordot: Primitive = define(
    "tensordot",
    lambda a, b, *, axes=2: np.tensordot(a, b, axes)[()],
    kind=_tensordot_kind,
    described=True,
    template="np.tensordot({*})",
    functions=(np.tensordot, np.linalg.tensordot),
    names=("a", "b", "axes"),
    inputs=2,
    forward=(
        lambda d, z, x, y, axes=2: tensordot(d, y, axes=axes),
        lambda d, z, x, y, axes=2: tensordot(x, d, axes=axes),
    ),
    reverse=(_tensordot_reverse_left, _tensordot_reverse_right),
)


def _dot_reverse(left: bool) -> Any:
    """A rule of np.dot: a multiple for numbers, a matrix product up to two axes, a tensor product above."""

    def rule(d: Any, z: Any, x: Any, y: Any) -> Any:
        ranks = known_ranks("dot", x, y)
        if 0 in ranks:
            return unbroadcast(d * y, x) if left else unbroadcast(d * x, y)
        if max(ranks) <= 2:
            return matmul_reverse_left(d, z, x, y) if left else matmul_reverse_right(d, z, x, y)
        axes = (-1, max(ranks[1] - 2, 0))
        return _tensordot_reverse_left(d, z, x, y, axes) if left else _tensordot_reverse_right(d, z, x, y, axes)

    return rule


def _inner_reverse(left: bool) -> Any:
    """A rule of np.inner, which sums over the last axes."""

    def rule(d: Any, z: Any, x: Any, y: Any) -> Any:
        if 0 in known_ranks("inner", x, y):
            return unbroadcast(d * y, x) if left else unbroadcast(d * x, y)
        reverse = _tensordot_reverse_left if left else _tensordot_reverse_right
        return reverse(d, z, x, y, (-1, -1))

    return rule


def _dot_kind(a: Kind, b: Kind) -> Kind:
    ranks = [kind.rank if isinstance(kind, Array) else 0 for kind in (a, b)]
    if None in ranks or UNKNOWN in (a, b):
        return UNKNOWN
    total = sum(rank for rank in ranks if rank)
    return array_of(total if 0 in ranks else total - 2, a.differentiable or b.differentiable)


dot, inner = (
    define(
        name,
        evaluate,
        kind=_dot_kind,
        template=f"np.{name}({{*}})",
        functions=(evaluate,),
        names=PAIR,
        inputs=2,
        forward=(
            lambda d, z, x, y, name=name: PRIMITIVES[name](d, y),
            lambda d, z, x, y, name=name: PRIMITIVES[name](x, d),
        ),
        reverse=(reverse(True), reverse(False)),
    )
    for name, evaluate, reverse in (("dot", np.dot, _dot_reverse), ("inner", np.inner, _inner_reverse))
)


@dataclass(frozen=True, eq=False)
class Subscripted(Binding):
    """A call of np.einsum, whose first argument is the primitive's keyword `subscripts`."""

    def arguments(self, given: Sequence[Atom], named: dict[str, Atom]) -> tuple[tuple[Atom, ...], dict[str, Atom]]:
        operands, keywords = super().arguments(given[1:], named)
        return operands, keywords | {"subscripts": given[0]}


def explicit(subscripts: Any) -> tuple[list[str], str]:
    """The indices of each operand of an Einstein sum and of its result.

    Raises:
        TypeError: for what is not a literal, for an ellipsis, and for an index that one operand has twice.
    """
    if not isinstance(subscripts, str):
        raise TypeError("einsum needs its subscripts written out")
    terms, arrow, result = subscripts.replace(" ", "").partition("->")
    if "." in terms:
        raise TypeError("einsum has no derivative here with an ellipsis: write the indices out")
    operands = terms.split(",")
    if any(len(set(operand)) < len(operand) for operand in operands):
        raise TypeError("einsum has no derivative here for an index that one operand has twice: use np.diagonal")
    if not arrow:
        result = "".join(sorted(index for index in set(terms) - {","} if terms.count(index) == 1))
    return operands, result


def _einsum_kind(*kinds: Kind, subscripts: Any, **keywords: Any) -> Kind:
    return array_of(len(explicit(subscripts)[1]), any(kind.differentiable for kind in kinds))


def _einsum_forward(d: Any, z: Any, *operands: Any, position: int, **keywords: Any) -> Any:
    return einsum(*operands[:position], d, *operands[position + 1 :], **keywords)


def _einsum_reverse(d: Any, z: Any, *operands: Any, position: int, subscripts: Any, **keywords: Any) -> Any:
    """The sum of d times the other operands; over indices that only this operand has, it is spread."""
    terms, result = explicit(subscripts)
    mine, others = terms[position], terms[:position] + terms[position + 1 :]
    kept = [index in result or any(index in other for other in others) for index in mine]
    target = "".join(index for index, keeps in zip(mine, kept, strict=True) if keeps)
    factors = operands[:position] + operands[position + 1 :]
    change = einsum(d, *factors, subscripts=f"{','.join([result, *others])}->{target}", **keywords)
    if all(kept):
        return change
    gone = tuple(axis for axis, keeps in enumerate(kept) if not keeps)
    return broadcast_like(expand_dims(change, axis=gone), operands[position])


einsum: Primitive = define(
    "einsum",
    lambda *operands, subscripts, **keywords: np.einsum(subscripts, *operands, **keywords)[()],
    kind=_einsum_kind,
    described=True,
    template="np.einsum({subscripts}, {*})",
    variadic=True,
    forward=(_einsum_forward,),
    reverse=(_einsum_reverse,),
)
FUNCTIONS[np.einsum] = Subscripted(einsum, ("optimize",), None)
