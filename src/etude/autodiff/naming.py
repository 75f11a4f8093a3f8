"""Names for the variables of a program: overlapping lives never share one, and copies vanish where they can."""

import itertools
import keyword
import re
from collections.abc import Iterable

from etude.autodiff.lowering import Append, Assign, Branch, Copies, Create, Inlined, Instruction, Repeat
from etude.autodiff.program import Atom, Op, Program, Variable

TEMPORARY = {"t", "i"}


def temporary(variable: Variable) -> bool:
    """Whether the transformation named the variable, and has nothing to say by it."""
    return not variable.given and variable.name in TEMPORARY


class Lives:
    """Which variables are alive when another is assigned, and which are copied to which.

    Liveness runs backwards over the instructions; a loop is gone through twice, so that what the next pass needs is
    known at the end of a pass.

    Attributes:
        clashes: for each variable assigned, the variables alive then.
        copies: the pairs (target, source) of copies, and of accumulators changed in place.
        used: the variables read anywhere.
    """

    def __init__(self, program: Program, instructions: list[Instruction], inlined: Inlined) -> None:
        self.inlined = inlined
        self.clashes: dict[Variable, set[Variable]] = {}
        self.copies: dict[tuple[Variable, Variable], None] = {}
        self.used: set[Variable] = set()
        alive = self.block(instructions, self.reads(program.results))
        self.assign(program.parameters, alive)

    def reads(self, atoms: Iterable[Atom]) -> set[Variable]:
        found = {leaf for atom in atoms for leaf in self.inlined.leaves(atom)}
        self.used |= found
        return found

    def assign(self, targets: Iterable[Variable], alive: set[Variable], source: Variable | None = None) -> None:
        together = alive.union(targets)
        for target in targets:
            self.clashes.setdefault(target, set()).update(together - {target, source})

    def block(self, instructions: list[Instruction], alive: set[Variable]) -> set[Variable]:
        for instruction in reversed(instructions):
            alive = self.before(instruction, alive)
        return alive

    def before(self, instruction: Instruction, alive: set[Variable]) -> set[Variable]:
        """What is alive before an instruction, from what is after it."""
        match instruction:
            case Assign():
                self.assign(instruction.targets, alive)
                if isinstance(instruction.value, Op) and instruction.value.primitive.name == "add_at":
                    self.copied(instruction.targets[0], instruction.value.inputs[0])
                found = set(self.inlined.operands(instruction.value))
                self.used |= found
                return (alive - set(instruction.targets)) | found
            case Copies():
                return self.parallel(instruction, alive)
            case Create():
                self.assign([instruction.stack], alive)
                return alive - {instruction.stack}
            case Append():
                return alive | self.reads(instruction.values) | {instruction.stack}
            case Branch():
                then = self.block(instruction.then, alive)
                return then | self.block(instruction.otherwise, alive) | self.reads([instruction.test])
            case Repeat():
                return self.repeat(instruction, alive)

    def copied(self, target: Variable, source: Atom) -> None:
        if isinstance(source, Variable) and source not in self.inlined.values:
            self.copies[target, source] = None

    def parallel(self, instruction: Copies, alive: set[Variable]) -> set[Variable]:
        targets = [target for target, _ in instruction.pairs]
        together = alive.union(targets)
        for target, source in instruction.pairs:
            self.copied(target, source)
            self.clashes.setdefault(target, set()).update(together - {target, source})
        return (alive - set(targets)) | self.reads(source for _, source in instruction.pairs)

    def repeat(self, instruction: Repeat, alive: set[Variable]) -> set[Variable]:
        condition = [] if instruction.loop.condition is None else [instruction.loop.condition]
        head = alive
        for _ in range(2):
            inside = self.block(instruction.body, head)
            tested = self.block(instruction.test, inside | alive | self.reads(condition))
            self.assign(instruction.heads, tested | alive)
            head = (tested - set(instruction.heads)) | alive
        return head | self.reads(instruction.sources)


class Sharing:
    """Classes of variables that share one name."""

    def __init__(self, lives: Lives) -> None:
        self.lives = lives
        self.members: dict[Variable, list[Variable]] = {}

    def of(self, variable: Variable) -> list[Variable]:
        return self.members.setdefault(variable, [variable])

    def clash(self, a: list[Variable], b: list[Variable]) -> bool:
        clashes = self.lives.clashes
        none: set[Variable] = set()
        return any(not clashes.get(x, none).isdisjoint(b) for x in a) or any(
            not clashes.get(y, none).isdisjoint(a) for y in b
        )

    def join(self, target: Variable, source: Variable) -> None:
        """Let both share a name, if they wish for the same or one has no wish, and their lives allow it."""
        a, b = self.of(target), self.of(source)
        wishes = {variable.name for variable in a + b if not temporary(variable)}
        if a is b or len(wishes) > 1 or self.clash(a, b):
            return
        a.extend(b)
        for variable in b:
            self.members[variable] = a


def named(program: Program, lives: Lives, reserved: set[str]) -> dict[Variable, str]:
    """A name for every variable that is assigned: the one it wishes for, or that one with a number.

    Parameters come first, then the names that the user gave, then the others in the order of the program. Temporaries
    are always numbered.
    """
    sharing = Sharing(lives)
    for target, source in lives.copies:
        sharing.join(target, source)
    variables = list(dict.fromkeys([*program.parameters, *reversed(lives.clashes)]))
    classes = list({id(sharing.of(variable)): sharing.of(variable) for variable in variables}.values())
    parameters = set(program.parameters)
    classes.sort(key=lambda members: _rank(members, parameters))
    wishes = {variable.name for variable in variables}
    names = Names(sharing, reserved, wishes)
    return {variable: name for members in classes for name in [names.choose(members)] for variable in members}


def _rank(members: list[Variable], parameters: set[Variable]) -> tuple[bool, bool, int]:
    """Parameters first, then the user's names, then the others; of these first those that many variables share."""
    others = 0 if all(map(temporary, members)) else -len(members)
    return parameters.isdisjoint(members), not any(variable.given for variable in members), others


class Names:
    """The names given so far.

    Attributes:
        owners: the classes that have a name.
        count: the last number behind the name of a temporary.
    """

    def __init__(self, sharing: Sharing, reserved: set[str], wishes: set[str]) -> None:
        self.sharing = sharing
        self.reserved = reserved
        self.wishes = wishes
        self.owners: dict[str, list[list[Variable]]] = {}
        self.count: dict[str, int] = {}

    def choose(self, members: list[Variable]) -> str:
        """The wish of a class, or else that with the first number that nobody else uses or wishes for."""
        wish = next((v.name for v in members if v.given), None)
        wish = wish or next((v.name for v in members if not temporary(v)), members[0].name)
        wish = re.sub(r"\W", "_", wish)
        if all(map(temporary, members)):
            name = self.numbered(wish, members, self.count.get(wish, 0) + 1)
            self.count[wish] = int(name[len(wish) :])
        else:
            name = self.numbered(wish, members, 1) if self.taken(wish, members) else wish
        self.owners.setdefault(name, []).append(members)
        return name

    def numbered(self, wish: str, members: list[Variable], start: int) -> str:
        names = (f"{wish}{number}" for number in itertools.count(start))
        return next(name for name in names if name not in self.wishes and not self.taken(name, members))

    def taken(self, name: str, members: list[Variable]) -> bool:
        """Whether the text needs a name, or a variable with an overlapping life has it."""
        if name in self.reserved or keyword.iskeyword(name):
            return True
        return any(self.sharing.clash(members, other) for other in self.owners.get(name, []))
