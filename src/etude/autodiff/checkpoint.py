"""Checkpointing: reverse mode that recomputes instead of storing, so that its memory does not grow with run time.

Source: Griewank, Achieving Logarithmic Growth of Temporal and Spatial Complexity in Reverse Automatic Differentiation,
Optimization Methods and Software 1 (1992), sections 3 and 4.
"""

from collections.abc import Callable, Iterable
from math import comb
from typing import Any, TypeVar, overload

from etude.autodiff.kinds import Kind
from etude.autodiff.primitives import PRIMITIVES, Primitive
from etude.autodiff.program import Function

State = tuple[Any, ...]
Passes = TypeVar("Passes", bound=Iterable[int])


class Checkpointed:
    """A function of which reverse mode stores the arguments alone, and which it runs again for its adjoint."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.captures: int = getattr(function, "captures", 0)
        self.__name__, self.__doc__ = function.__name__, function.__doc__

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.function(*arguments, **named)

    def __program__(self, kinds: tuple[Kind, ...], names: tuple[str, ...] = ()) -> Function:
        from etude.autodiff.preparation import prepare

        made = prepare(self.function, kinds, names)

        def make() -> Function:
            return Function(made.name, lambda: made.program, checkpointed=True, valid=made.valid)

        return made.once("checkpointed", make)


@overload
def checkpoint(what: range) -> range: ...
@overload
def checkpoint(what: Callable[..., Any]) -> Checkpointed: ...
def checkpoint(what: Any) -> Any:
    """Let reverse mode recompute instead of store.

    Args:
        what: a function, whose calls are then run once more for their adjoint; or in `for i in checkpoint(range(n))`
            the range of a loop, of whose n passes about log(n) states are stored, and of which each pass is run about
            log(n) times.

    Raises:
        TypeError: for anything else.
    """
    if not isinstance(what, range) and not callable(what):
        raise TypeError(f"checkpoint takes a function or a range, not {what!r}")
    return what if isinstance(what, range) else Checkpointed(what)


def treeverse(
    start: int,
    stop: int,
    stride: int,
    state: State,
    outer: State,
    changes: State,
    totals: State,
    *,
    step: Callable[..., State],
    back: Callable[..., State],
) -> State:
    """The adjoint of a loop from few of its states, by Griewank's schedule.

    With s snapshots and each pass run at most t times, (s + t)! / (s! t!) passes can be reversed; s = t is chosen as
    small as the number of passes allows, so both grow with its logarithm.

    Args:
        start: of the range of the loop, as are `stop` and `stride`.
        stop: see `start`.
        stride: see `start`.
        state: the carried variables before the first pass.
        outer: the variables from outside that a pass reads.
        changes: the adjoints of the carried variables after the last pass.
        totals: the adjoints so far of variables from outside.
        step: one pass, from (index, *state, *outer) to the next state.
        back: its adjoint, from (index, *state, *outer, *changes, *totals) to the earlier changes and totals.

    Returns:
        The adjoints of the carried variables before the first pass, then the totals.
    """
    passes = range(start, stop, stride)
    count = len(changes)
    depth = 1
    while comb(2 * depth, depth) < len(passes):
        depth += 1
    found = (*changes, *totals)

    def reverse(first: int, last: int, state: State, snapshots: int, sweeps: int) -> None:
        nonlocal found
        while last - first > 1:
            middle = max(first + 1, last - comb(snapshots - 1 + sweeps, sweeps))
            ahead = state
            for index in passes[first:middle]:
                ahead = step(index, *ahead, *outer)
            reverse(middle, last, ahead, snapshots - 1, sweeps)
            last, sweeps = middle, sweeps - 1
        found = back(passes[first], *state, *outer, *found[:count], *found[count:])

    if passes:
        reverse(0, len(passes), state, depth, depth)
    return found


TREEVERSE = PRIMITIVES["treeverse"] = Primitive("treeverse", treeverse, keeps=True)
