"""Products of matrices and vectors."""

from typing import Any

import numpy as np

from etude.autodiff.kinds import UNKNOWN, Array, Kind, broadcast
from etude.autodiff.primitives import Primitive
from etude.autodiff.rules.adjoint import array_of, rank_at
from etude.autodiff.rules.containers import sum_over, unbroadcast
from etude.autodiff.rules.registry import define
from etude.autodiff.rules.shapes import T, matrix_transpose, ravel, reshape_like

PAIR = ("a", "b")


def product_kind(a: Kind, b: Kind) -> Kind:
    """The kind of a matrix product, whose last axis of `a` and last but one of `b` vanish."""
    if not isinstance(a, Array) or not isinstance(b, Array) or a.rank is None or b.rank is None:
        return UNKNOWN
    lead = broadcast((Array().sized(*a.axes[:-2]), Array().sized(*b.axes[:-2])))
    axes = (*lead.axes, *a.axes[-2:-1], *(b.axes[-1:] if b.rank > 1 else ()))  # type: ignore[attr-defined]
    return Array(real=a.real or b.real).sized(*axes) if axes else array_of(0, a.real or b.real)


def outer_kind(a: Kind, b: Kind) -> Kind:
    """The kind of `np.outer`, which flattens its arguments."""
    sizes = [kind.axes[0] if isinstance(kind, Array) and kind.rank == 1 else None for kind in (a, b)]
    return Array(real=a.differentiable or b.differentiable).sized(*sizes)


def _left(d: Any, x: Any, y: Any) -> Any:
    """The adjoint of x in x @ y."""
    rows = np.expand_dims(d, -1) if np.ndim(y) == 1 else d
    rows = np.expand_dims(rows, -2) if np.ndim(x) == 1 else rows
    columns = np.expand_dims(y, -1) if np.ndim(y) == 1 else y
    matrix = np.expand_dims(x, -2) if np.ndim(x) == 1 else x
    return np.reshape(sum_over(np.matmul(rows, np.swapaxes(columns, -1, -2)), matrix), np.shape(x))


def _right(d: Any, x: Any, y: Any) -> Any:
    """The adjoint of y in x @ y."""
    rows = np.expand_dims(d, -1) if np.ndim(y) == 1 else d
    rows = np.expand_dims(rows, -2) if np.ndim(x) == 1 else rows
    columns = np.expand_dims(x, -2) if np.ndim(x) == 1 else x
    matrix = np.expand_dims(y, -1) if np.ndim(y) == 1 else y
    return np.reshape(sum_over(np.matmul(np.swapaxes(columns, -1, -2), rows), matrix), np.shape(y))


matmul_left: Primitive = define(
    "matmul_left",
    _left,
    kind=lambda d, x, y: x,
    forward=(lambda t, z, d, x, y: matmul_left(t, x, y), None, lambda t, z, d, x, y: matmul_left(d, x, t)),
    reverse=(lambda t, z, d, x, y: matmul(t, y), None, lambda t, z, d, x, y: matmul_right(d, t, y)),
)
matmul_right: Primitive = define(
    "matmul_right",
    _right,
    kind=lambda d, x, y: y,
    forward=(lambda t, z, d, x, y: matmul_right(t, x, y), lambda t, z, d, x, y: matmul_right(d, t, y), None),
    reverse=(lambda t, z, d, x, y: matmul(x, t), lambda t, z, d, x, y: matmul_left(d, x, t), None),
)


def turned(x: Any) -> Any:
    """A matrix transposed, or each of a stack of matrices."""
    return T(x) if rank_at(x) == 2 else matrix_transpose(x)


def matmul_reverse_left(d: Any, z: Any, x: Any, y: Any) -> Any:
    match rank_at(x), rank_at(y):
        case (1, 1):
            return d * y
        case (2, 1):
            return outer(d, y)
        case (1 | 2, 2):
            return matmul(d, T(y))
        case (int(left), int(right)) if left > 1 and right > 1:
            return unbroadcast(matmul(d, turned(y)), x)
        case _:
            return matmul_left(d, x, y)


def matmul_reverse_right(d: Any, z: Any, x: Any, y: Any) -> Any:
    match rank_at(x), rank_at(y):
        case (1, 1):
            return d * x
        case (1, 2):
            return outer(x, d)
        case (2, 1 | 2):
            return matmul(T(x), d)
        case (int(left), int(right)) if left > 1 and right > 1:
            return unbroadcast(matmul(turned(x), d), y)
        case _:
            return matmul_right(d, x, y)


matmul: Primitive = define(
    "matmul",
    np.matmul,
    kind=product_kind,
    template="{0} @ {1}",
    precedence=6,
    functions=(np.matmul, np.linalg.matmul),
    names=PAIR,
    inputs=2,
    forward=(lambda d, z, x, y: matmul(d, y), lambda d, z, x, y: matmul(x, d)),
    reverse=(matmul_reverse_left, matmul_reverse_right),
)
outer: Primitive = define(
    "outer",
    np.outer,
    kind=outer_kind,
    template="np.outer({*})",
    functions=(np.outer, np.linalg.outer),
    names=PAIR,
    inputs=2,
    forward=(lambda d, z, x, y: outer(d, y), lambda d, z, x, y: outer(x, d)),
    reverse=(
        lambda d, z, x, y: reshape_like(matmul(d, ravel(y)), x),
        lambda d, z, x, y: reshape_like(matmul(ravel(x), d), y),
    ),
)
vdot: Primitive = define(
    "vdot",
    np.vdot,
    kind=lambda a, b: array_of(0, a.differentiable or b.differentiable),
    template="np.vdot({*})",
    functions=(np.vdot,),
    names=PAIR,
    inputs=2,
    forward=(lambda d, z, x, y: vdot(d, y), lambda d, z, x, y: vdot(x, d)),
    reverse=(lambda d, z, x, y: d * reshape_like(y, x), lambda d, z, x, y: d * reshape_like(x, y)),
)
cross: Primitive = define(
    "cross",
    np.cross,
    kind=lambda a, b: broadcast((a, b)),
    template="np.cross({*})",
    functions=(np.cross,),
    names=PAIR,
    inputs=2,
    forward=(lambda d, z, x, y: cross(d, y), lambda d, z, x, y: cross(x, d)),
    reverse=(
        lambda d, z, x, y: unbroadcast(cross(y, d), x),
        lambda d, z, x, y: unbroadcast(cross(d, x), y),
    ),
)
