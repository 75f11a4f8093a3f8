"""Branches and loops: blocks that see the names around them, and the variables that come out of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from etude.autodiff.kinds import Kind
from etude.autodiff.preparation.frame import Frame, joined, kind_at
from etude.autodiff.preparation.sources import Known
from etude.autodiff.preparation.values import Value, literal
from etude.autodiff.program import MISSING, Atom, Block, Carry, Constant, If, Loop, Merge, Variable, substituted

Step = Callable[[], None]


@dataclass
class Side:
    """One branch after it has been written."""

    block: Block
    names: dict[str, Value]
    unreachable: bool

    def atom(self, frame: Frame, name: str) -> Atom:
        """What the branch leaves under a name, made an atom at the end of its block."""
        outer, frame.builder.block = frame.builder.block, self.block
        try:
            return frame.atom(None if self.unreachable else self.names.get(name))
        finally:
            frame.builder.block = outer


@dataclass(frozen=True)
class Counted:
    """What a loop over a range counts.

    Attributes:
        index: the variable that counts.
        bounds: start, stop and step.
        backwards: whether it runs from its end.
        checkpointed: whether reverse mode recomputes passes.
    """

    index: Variable
    bounds: tuple[Atom, Atom, Atom]
    backwards: bool = False
    checkpointed: bool = False


def label(name: str) -> str:
    """How the printed program calls a variable of the user's or a flag."""
    return name.lstrip("$").split()[0]


def variable(name: str, kind: Kind) -> Variable:
    """A new variable for a name."""
    return Variable(label(name), kind, given=not name.startswith("$"))


def same(a: Value | None, b: Value | None) -> bool:
    """Whether two values need no merging."""
    if isinstance(a, Constant) and isinstance(b, Constant) and literal(a) and literal(b):
        return type(a.value) is type(b.value) and bool(a.value == b.value)
    return a is b or (isinstance(a, Known) and a == b)


def branch(frame: Frame, test: Atom, then: Step, otherwise: Step, live: Iterable[str] | None = None) -> None:
    """Write `if test: then else: otherwise`; a literal test decides at once.

    Args:
        frame: the function being transformed.
        test: the test.
        then: writes the first branch.
        otherwise: writes the other branch.
        live: the names that may be read later; None: all.
    """
    if isinstance(test, Constant) and literal(test):
        (then if test.value else otherwise)()
        return
    line, before, sides = frame.builder.line, frame.names, []
    for write in (then, otherwise):
        frame.names, frame.unreachable = dict(before), False
        with frame.block() as block:
            write()
        sides.append(Side(block, frame.names, frame.unreachable))
    first, second = sides
    frame.names, frame.unreachable = {}, first.unreachable and second.unreachable
    merges: list[Merge] = []
    for name in dict.fromkeys((*first.names, *second.names)):
        if live is None or name in live or same(first.names.get(name), second.names.get(name)):
            _merge(frame, name, first, second, before, merges)
    frame.builder.block.append(If(test, first.block, second.block, merges, line))


def _merge(frame: Frame, name: str, first: Side, second: Side, before: dict[str, Value], merges: list[Merge]) -> None:
    """Let a name stand for what the branch that ran has left."""
    reached = [side.names.get(name) for side in (first, second) if not side.unreachable]
    value = reached[0] if reached else None
    unmoved = value is before.get(name) or not isinstance(value, Variable)
    if not reached or (len(reached) == 1 and unmoved) or (len(reached) == 2 and same(*reached)):
        if value is not None:
            frame.names[name] = value
        return
    sides = first.atom(frame, name), second.atom(frame, name)
    output = variable(name, joined(*map(kind_at, sides)))
    frame.ownership.stands_for(output, sides)
    merges.append(Merge(output, *sides))
    frame.names[name] = output


def choice(frame: Frame, test: Atom, then: Callable[[], Value], otherwise: Callable[[], Value]) -> Value:
    """Write a conditional expression."""
    name = "$i"

    def assign(value: Callable[[], Value]) -> Step:
        def write() -> None:
            frame.names[name] = value()

        return write

    hidden = frame.names.pop(name, None)
    branch(frame, test, assign(then), assign(otherwise))
    result = frame.names.pop(name)
    if hidden is not None:
        frame.names[name] = hidden
    merged = frame.builder.block[-1] if frame.builder.block else None
    for merge in merged.merges if isinstance(merged, If) else ():
        if merge.output is result:
            frame.ownership.alias(merge.output, merge.then, merge.otherwise)
    return result


def loop(
    frame: Frame,
    names: list[str],
    body: Callable[[], None],
    *,
    counted: Counted | None = None,
    test: Callable[[], Atom] | None = None,
) -> None:
    """Write a loop, as often as it takes until the kinds of what it carries are known.

    Args:
        frame: the function being transformed.
        names: the names that the loop may have to carry from pass to pass or to what follows.
        body: writes a pass.
        counted: what a loop over a range counts.
        test: writes the test of a `while` loop.
    """
    line = frame.builder.line
    frame.ownership.forget(*frame.names.values())
    initial = {name: frame.atom(frame.names.get(name)) for name in names}
    kinds = {name: kind_at(value) for name, value in initial.items()}
    own = {name: value is MISSING or frame.ownership.own(value) for name, value in initial.items()}
    before = frame.names
    while True:
        variables = {name: variable(name, kinds[name]) for name in names}
        frame.ownership.fresh.update(variables[name] for name in names if own[name])
        frame.ownership.boxed.update(variables[name] for name in names if initial[name] in frame.ownership.boxed)
        frame.names = before | variables
        with frame.block() as test_block:
            condition = test() if test else None
        with frame.block() as block:
            body()
            following = {name: frame.atom(frame.names.get(name)) for name in names}
            frame.check_captured(*(name for name, value in frame.names.items() if value is not before.get(name)))
        frame.unreachable = False
        frame.ownership.forget(*following.values())
        found = {name: joined(kinds[name], kind_at(following[name])) for name in names}
        moved = [name for name in names if following[name] is not variables[name]]
        owned = own | {name: own[name] and frame.ownership.own(following[name]) for name in moved}
        if (found, owned) == (kinds, own):
            break
        kinds, own = found, owned
    carried = [Carry(variables[name], initial[name], following[name], variable(name, kinds[name])) for name in moved]
    unchanged = {variables[name]: initial[name] for name in names if name not in moved}
    frame.names = before | {name: carry.result for name, carry in zip(moved, carried, strict=True)}
    for name in names:
        if own[name] and isinstance(result := frame.names.get(name), Variable):
            frame.ownership.fresh.add(result)
    frame.ownership.boxed.update(carry.result for carry in carried if carry.variable in frame.ownership.boxed)
    statement = Loop(block, carried, line=line)
    if counted:
        statement.index, statement.bounds = counted.index, counted.bounds
        statement.backwards, statement.checkpointed = counted.backwards, counted.checkpointed
    else:
        statement.test, statement.condition = test_block, condition
    frame.builder.block += substituted([statement], unchanged) if unchanged else [statement]
