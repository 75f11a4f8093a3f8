"""Systems of linear equations and what goes with them: inverses, determinants, the Cholesky decomposition.

A singular matrix has no derivative here, that of its determinant included: NumPy raises LinAlgError. The Cholesky
decomposition reads the lower triangle alone, and so nothing depends on what stands above the diagonal.
"""

from typing import Any

import numpy as np

from etude.autodiff.kinds import UNKNOWN, Array, Kind, Tuple
from etude.autodiff.primitives import PRIMITIVES, Primitive
from etude.autodiff.rules.adjoint import known_ranks, rank_at, ranked
from etude.autodiff.rules.containers import item, unbroadcast, zeros_like
from etude.autodiff.rules.linear import PAIR, matmul, outer, turned
from etude.autodiff.rules.registry import define
from etude.autodiff.rules.selection import trace
from etude.autodiff.rules.shapes import expand_dims, squeeze, tril


def _solved(a: Any, b: Any, vectors: bool) -> Any:
    """Solutions of linear systems, whose right sides are `vectors` or the columns of matrices."""
    if not vectors or rank_at(a) == 2:
        return solve(a, b)
    return squeeze(solve(a, expand_dims(b, axis=-1)), axis=-1)


def _solve_forward(d: Any, x: Any, a: Any, b: Any) -> Any:
    vectors = known_ranks("solve", a, b)[1] == 1
    if not vectors or rank_at(a) == 2:
        return -solve(a, matmul(d, x))
    return -squeeze(solve(a, matmul(d, expand_dims(x, axis=-1))), axis=-1)


def _solve_reverse_matrix(d: Any, x: Any, a: Any, b: Any) -> Any:
    left, right = known_ranks("solve", a, b)
    u = _solved(turned(a), d, right == 1)
    if right == 1:
        return -outer(u, x) if left == 2 else -(expand_dims(u, axis=-1) * expand_dims(x, axis=-2))
    change = -matmul(u, turned(x))
    return change if left == right == 2 else unbroadcast(change, a)


def _solve_reverse_right_side(d: Any, x: Any, a: Any, b: Any) -> Any:
    left, right = known_ranks("solve", a, b)
    u = _solved(turned(a), d, right == 1)
    return u if left == 2 else unbroadcast(u, b)


def _solve_kind(a: Kind, b: Kind) -> Kind:
    if not isinstance(a, Array) or not isinstance(b, Array) or a.rank is None or b.rank is None:
        return UNKNOWN
    return Array(a.rank - 1 if b.rank == 1 else max(a.rank, b.rank))


solve: Primitive = define(
    "solve",
    np.linalg.solve,
    kind=_solve_kind,
    template="np.linalg.solve({*})",
    functions=(np.linalg.solve,),
    names=PAIR,
    inputs=2,
    forward=(_solve_forward, lambda d, x, a, b: solve(a, d)),
    reverse=(_solve_reverse_matrix, _solve_reverse_right_side),
)
inv: Primitive = define(
    "inv",
    np.linalg.inv,
    kind=lambda kind: ranked(kind, lambda rank: rank),
    template="np.linalg.inv({0})",
    functions=(np.linalg.inv,),
    names=("a",),
    inputs=1,
    forward=(lambda d, y, a: -matmul(matmul(y, d), y),),
    reverse=(lambda d, y, a: -matmul(matmul(turned(y), d), turned(y)),),
)


def _trace_of_solution(a: Any, d: Any) -> Any:
    """The trace of a^-1 d, for each matrix of a stack: the change of log |det a|."""
    return trace(solve(a, d), axis1=-2, axis2=-1)


def _along_inverse(d: Any, a: Any) -> Any:
    """The adjoint of a for the change d of log |det a|."""
    return (d if rank_at(a) == 2 else expand_dims(d, axis=(-2, -1))) * turned(inv(a))


det: Primitive = define(
    "det",
    np.linalg.det,
    kind=lambda kind: ranked(kind, lambda rank: rank - 2),
    template="np.linalg.det({0})",
    functions=(np.linalg.det,),
    names=("a",),
    inputs=1,
    forward=(lambda d, y, a: y * _trace_of_solution(a, d),),
    reverse=(lambda d, y, a: _along_inverse(d * y, a),),
)


def _slogdet_kind(kind: Kind) -> Kind:
    part = ranked(kind, lambda rank: rank - 2)
    return UNKNOWN if part == UNKNOWN else Tuple((part, part))


def _slogdet_forward(d: Any, y: Any, a: Any) -> Any:
    return PRIMITIVES["tuple"](zeros_like(item(y, index=0)), _trace_of_solution(a, d))


slogdet: Primitive = define(
    "slogdet",
    lambda a: tuple(np.linalg.slogdet(a)),
    kind=_slogdet_kind,
    template="tuple(np.linalg.slogdet({0}))",
    functions=(np.linalg.slogdet,),
    names=("a",),
    inputs=1,
    forward=(_slogdet_forward,),
    reverse=(lambda d, y, a: _along_inverse(item(d, index=1), a),),
)


def _half(a: Any) -> Any:
    """The lower triangles of matrices, with half of the diagonals."""
    return 0.5 * (tril(a) + tril(a, k=-1))


def _cholesky_forward(d: Any, y: Any, a: Any) -> Any:
    change = tril(d) + turned(tril(d, k=-1))
    return matmul(y, _half(turned(solve(y, turned(solve(y, change))))))


def _cholesky_reverse(d: Any, y: Any, a: Any) -> Any:
    upper = turned(y)
    change = turned(solve(upper, turned(solve(upper, _half(matmul(upper, d))))))
    return tril(change) + tril(turned(change), k=-1)


cholesky: Primitive = define(
    "cholesky",
    np.linalg.cholesky,
    kind=lambda kind: ranked(kind, lambda rank: rank),
    template="np.linalg.cholesky({0})",
    functions=(np.linalg.cholesky,),
    names=("a",),
    inputs=1,
    forward=(_cholesky_forward,),
    reverse=(_cholesky_reverse,),
)
