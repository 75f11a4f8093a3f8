"""Going through ranges, arrays, lists, tuples and dictionaries, alone or under `zip`, `enumerate` and `reversed`."""

from collections.abc import Callable
from functools import reduce

from etude.autodiff.kinds import Array, Dict, Integer, List, Number, Other, Tuple
from etude.autodiff.preparation.flow import Counted, branch, choice, loop
from etude.autodiff.preparation.frame import Frame
from etude.autodiff.preparation.sources import Known
from etude.autodiff.preparation.values import Items, Sequence, Value, literal
from etude.autodiff.primitives import FUNCTIONS
from etude.autodiff.program import Atom, Constant, Variable

ZERO, ONE = Constant(0), Constant(1)


def sequence(frame: Frame, value: Value) -> Sequence:
    """What a `for` loop over a value goes through."""
    if isinstance(value, Sequence):
        return value
    if isinstance(value, Known) and isinstance(value.value, list | tuple) and any(map(callable, value.value)):
        return each_of(tuple(value.item(position) for position in range(len(value.value))))
    atom = frame.atom(value)
    parts = value.values if isinstance(value, Items) else frame.parts.get(atom)
    kind = atom.kind
    if isinstance(kind, Dict):
        return each_of(tuple(Constant(key) for key, _ in kind.items))
    if isinstance(kind, Tuple) and parts is None:
        parts = tuple(frame.item(atom, Constant(position)) for position in range(len(kind.items)))
    if isinstance(kind, Number | Integer | Other) or (isinstance(kind, Array) and kind.rank == 0):
        frame.refuse("a number cannot be gone through: use range")
    if isinstance(kind, Array):
        frame.ownership.alias(atom)
    if parts is not None and (not parts or differ(frame, parts)):
        return each_of(parts)
    count = None if parts is None else len(parts)
    return Sequence(lambda: frame.emit("len", atom), lambda position: frame.item(atom, position), count)


def lent(frame: Frame, value: Value) -> Sequence:
    """What is gone through while the statement is carried out, during which a list or dictionary must not change."""
    items = sequence(frame, value)
    if isinstance(value, Variable) and isinstance(value.kind, List | Dict):
        frame.ownership.lend(value)
    return items


def each_of(values: tuple[Value, ...]) -> Sequence:
    """A sequence whose items are treated one by one."""
    return Sequence(lambda: Constant(len(values)), lambda position: values[integer(position)], len(values), values)


def length_of(items: Sequence) -> Atom:
    """How many items there are."""
    return items.length() if items.count is None else Constant(items.count)


def known_items(frame: Frame, value: Value) -> tuple[Value, ...]:
    """The items of a value of which there are a known number.

    Raises:
        TransformError: if the number is not known before the program runs.
    """
    if isinstance(value, Items):
        return value.values
    items = sequence(frame, value)
    if items.count is None:
        frame.refuse("how many items there are is not known before the program runs: go through them with for")
    return tuple(items.item(Constant(position)) for position in range(items.count))


def integer(position: Atom) -> int:
    assert isinstance(position, Constant)
    return int(position.value)


def differ(frame: Frame, parts: tuple[Value, ...]) -> bool:
    """Whether the items of a sequence cannot all be treated by one piece of program."""
    if not all(isinstance(part, Variable | Constant) for part in parts):
        return True
    return len({frame.atom(part).kind for part in parts}) > 1


def range_of(frame: Frame, bounds: tuple[Atom, ...]) -> Sequence:
    """`range(...)`"""
    start, stop, step = {
        1: (ZERO, bounds[0], ONE),
        2: (*bounds, ONE),
        3: bounds,
    }[len(bounds)]

    def length() -> Atom:
        if is_one(step):
            return stop if is_zero(start) else frame.emit("sub", stop, start)
        span = frame.emit("floordiv", frame.emit("sub", start, stop), step)
        return frame.emit("negate", span)

    def item(position: Atom) -> Atom:
        if is_zero(position):
            return start
        moved = position if is_one(step) else frame.emit("mul", position, step)
        return moved if is_zero(start) else frame.emit("add", start, moved)

    known = [bound.value for bound in bounds if isinstance(bound, Constant) and literal(bound)]
    count = len(range(*known)) if len(known) == len(bounds) else None
    return Sequence(length, item, count, bounds=(start, stop, step))


def is_zero(atom: Atom) -> bool:
    return isinstance(atom, Constant) and literal(atom) and atom.value == 0


def is_one(atom: Atom) -> bool:
    return isinstance(atom, Constant) and literal(atom) and atom.value == 1


def enumerated(frame: Frame, inner: Sequence, start: Atom) -> Sequence:
    """`enumerate(...)`"""

    def item(position: Atom) -> Value:
        count = position if is_zero(start) else frame.emit("add", start, position)
        return Items((count, inner.item(position)))

    items = None if inner.items is None else tuple(item(Constant(position)) for position in range(len(inner.items)))
    return Sequence(inner.length, item, inner.count, items)


def zipped(frame: Frame, inner: tuple[Sequence, ...]) -> Sequence:
    """`zip(...)`"""

    def shorter(a: Atom, b: Atom) -> Atom:
        if isinstance(a, Constant) and isinstance(b, Constant) and literal(a) and literal(b):
            return a if a.value < b.value else b
        return a if a is b else frame.emit(FUNCTIONS[min].primitive, a, b)

    def length() -> Atom:
        return reduce(shorter, (length_of(each) for each in inner))

    def item(position: Atom) -> Value:
        return Items(tuple(each.item(position) for each in inner))

    counts = [each.count for each in inner if each.count is not None]
    count = min(counts) if len(counts) == len(inner) else None
    if all(each.items is None for each in inner):
        return Sequence(length, item, count)
    if count is None:
        frame.refuse("zip of items of several kinds with a sequence whose length is not known before the program runs")
    return each_of(tuple(item(Constant(position)) for position in range(count)))


def reverse(frame: Frame, inner: Sequence) -> Sequence:
    """`reversed(...)`"""

    def item(position: Atom) -> Value:
        last = frame.emit("sub", length_of(inner), ONE)
        return inner.item(frame.emit("sub", last, position))

    items = None if inner.items is None else inner.items[::-1]
    if inner.bounds is None and items is None:
        return Sequence(inner.length, item, inner.count, None, (ZERO, length_of(inner), ONE), inner.item, True)
    return Sequence(inner.length, item, inner.count, items, inner.bounds, inner.at, not inner.backwards)


def go_through(
    frame: Frame,
    items: Sequence,
    names: list[str],
    body: Callable[[Value], None],
    *,
    live: frozenset[str] | None = None,
    flag: str | None = None,
) -> None:
    """Write `for item in items: body(item)`.

    Args:
        frame: the function being transformed.
        items: what is gone through.
        names: the names that the loop may have to carry.
        body: writes a pass.
        live: the names needed after a pass; None: all.
        flag: the name of the flag that stops the loop.
    """
    if items.items is not None:
        for value in items.items:
            one_pass(frame, lambda value=value: body(value), live, flag)  # type: ignore[misc]
    elif flag is not None:
        stopped(frame, items, names, body, flag)
    elif items.bounds is not None:
        variable, at = Variable("k", Integer()), items.at
        counted = Counted(variable, items.bounds, items.backwards, items.checkpointed)
        loop(frame, names, lambda: body(at(variable)), counted=counted)
    else:
        variable = Variable("k", Integer())
        counted = Counted(variable, (ZERO, length_of(items), ONE))
        loop(frame, names, lambda: body(items.item(variable)), counted=counted)


def one_pass(frame: Frame, body: Callable[[], None], live: frozenset[str] | None, flag: str | None) -> None:
    """Write a pass of a loop that is unrolled, to be left out once its flag is up."""
    if flag is None:
        body()
    else:
        branch(frame, frame.atom(frame.names[flag]), lambda: None, body, live)


def stopped(frame: Frame, items: Sequence, names: list[str], body: Callable[[Value], None], flag: str) -> None:
    """Write a loop that a flag may stop: a `while` that counts."""
    if items.checkpointed:
        frame.refuse("a loop with checkpoints cannot stop early: put the rest of the pass under an if")
    counter = f"$k {len(frame.names)}"
    frame.names[counter] = ZERO
    length = length_of(items)

    def goes_on() -> Atom:
        count, stop = frame.atom(frame.names[counter]), frame.atom(frame.names[flag])
        return both(frame, frame.emit("not_", stop), lambda: frame.emit("lt", count, length))

    def counted() -> None:
        count = frame.atom(frame.names[counter])
        body(items.item(count))
        frame.bind(counter, frame.emit("add", count, ONE))

    loop(frame, [*names, counter], counted, test=goes_on)
    del frame.names[counter]


def both(frame: Frame, first: Atom, second: Callable[[], Value]) -> Atom:
    """Write `first and second`."""
    return frame.atom(choice(frame, first, second, lambda: first))
