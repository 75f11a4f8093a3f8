"""The printer of statements: one function of a printed module."""

from collections.abc import Iterator

from etude.autodiff.expressions import PRECEDENCE, Expressions, Style
from etude.autodiff.inlining import inlining
from etude.autodiff.kinds import Array, Dict, Integer, Kind, List, Number, Other, Slice, Tuple
from etude.autodiff.lowering import Append, Assign, Branch, Copies, Create, Inlined, Instruction, Repeat, every, lowered
from etude.autodiff.missing import readable
from etude.autodiff.naming import Lives, named
from etude.autodiff.outside import Outside
from etude.autodiff.program import MISSING, Atom, Call, Constant, Op, Program, Variable, defined, uses

ADJOINT = "# adjoint"
"""The line between a program and its adjoint."""

Line = tuple[int, str, int]
"""Depth of indentation, text, the user's line."""


class Body:
    """The printer of one program."""

    def __init__(self, program: Program, style: Style, outside: Outside) -> None:
        self.program = program
        self.style = style
        self.name = outside.programs[program]
        self.inlined = inlining(program, style)
        self.name_all(outside)
        late = {leaf: self.inlined.late[leaf] for leaf in late_copies(self.instructions, self.names, self.inlined)}
        if late:
            self.inlined.values.update(late)
            self.name_all(outside)
        self.expressions = Expressions(self.names, self.inlined, style, outside)
        self.atom = self.expressions.atom
        self.bare = bare(program)
        self.readable = readable(self.instructions, program.results, self.names, self.inlined)

    def name_all(self, outside: Outside) -> None:
        """Make the instructions, and name their variables."""
        self.instructions = lowered(self.program, self.inlined)
        lives = Lives(self.program, self.instructions, self.inlined)
        self.used = lives.used
        self.names = named(self.program, lives, outside.reserved)

    def lines(self) -> list[Line]:
        parameters = ", ".join(self.names[parameter] for parameter in self.program.parameters)
        results = ", ".join(map(self.atom, self._returned())) or "()"
        body: list[Line] = []
        for line in self.block(self.instructions, 1):
            if line[1] != ADJOINT or (body and body[-1][1] != ADJOINT):
                body.append(line)
        values = [self.inlined.values.get(atom) for atom in self._returned() if isinstance(atom, Variable)]
        last = max((value.line for value in values if value is not None), default=0)
        return [(0, f"def {self.name}({parameters}):", 0), *body, (1, f"return {results}", last)]

    def _returned(self) -> tuple[Atom, ...]:
        """What stands behind `return`: a tuple of several needs no brackets."""
        results = self.program.results
        value = self.inlined.values.get(results[0]) if len(results) == 1 and isinstance(results[0], Variable) else None
        if isinstance(value, Op) and value.primitive.name == "tuple" and len(value.inputs) > 1:
            return value.inputs
        return results

    def block(self, instructions: list[Instruction], depth: int) -> list[Line]:
        return [line for instruction in instructions for line in self.instruction(instruction, depth)]

    def instruction(self, instruction: Instruction, depth: int) -> list[Line]:
        match instruction:
            case Assign(value=Op(primitive=primitive)) if primitive.name == "adjoint":
                return [(depth, ADJOINT, 0)]
            case Assign():
                return [(depth, self.assignment(instruction), instruction.line)]
            case Copies():
                return [(depth, text, instruction.line) for text in self.copies(instruction)]
            case Create():
                return [(depth, f"{self.names[instruction.stack]} = []", instruction.line)]
            case Append():
                return [(depth, self.append(instruction), instruction.line)]
            case Branch():
                return self.branch(instruction, depth)
            case Repeat():
                return self.repeat(instruction, depth)

    def target(self, variable: Variable) -> str:
        """The name of a variable that is unpacked, `_` if nobody reads it."""
        return self.names[variable] if variable in self.used else "_"

    def assignment(self, instruction: Assign) -> str:
        value = instruction.value
        text, _ = self.expressions.value(value)
        targets = instruction.targets
        if not targets or (isinstance(value, Op) and value.primitive.effect and self.used.isdisjoint(targets)):
            return text
        if len(targets) > 1:
            left = ", ".join(map(self.target, targets))
            return f"({left}) = {text}" if self.style == "textbook" else f"{left} = {text}"
        if self.style == "optimised" and isinstance(value, Op) and value.primitive.name == "add_at":
            return self.accumulation(targets[0], value, text)
        return f"{self.names[targets[0]]} = {text}"

    def accumulation(self, target: Variable, op: Op, text: str) -> str:
        """`d_dx[i] += d` where that is the same as `d_dx = add_at(d_dx, i, d)`."""
        total, value = op.inputs
        index = op.keywords["index"]
        name = self.names[target]
        if self.atom(total) == name and simple(total.kind, index.kind):
            whole = isinstance(index, Constant) and index.value is Ellipsis
            place = name if whole else f"{name}[{self.expressions.index(index)}]"
            minus = self.inlined.values.get(value) if isinstance(value, Variable) else None
            if isinstance(minus, Op) and minus.primitive.name == "negate":
                return f"{place} -= {self.atom(minus.inputs[0])}"
            return f"{place} += {self.atom(value)}"
        return f"{name} = {text}"

    def append(self, instruction: Append) -> str:
        values = ", ".join(map(self.atom, instruction.values))
        if instruction.stack not in self.bare:
            values = f"({values},)" if len(instruction.values) == 1 else f"({values})"
        return f"{self.names[instruction.stack]}.append({values})"

    def copies(self, instruction: Copies) -> list[str]:
        """Assignments that do the same as all copies at once: one after the other where the order allows it."""
        pending = {}
        for target, value in instruction.pairs:
            text = self.atom(value)
            if target in self.used and text != self.names[target] and (value is not MISSING or target in self.readable):
                reads = {self.names[leaf] for leaf in self.inlined.leaves(value)}
                pending[self.names[target]] = (text, reads)
        result: list[str] = []
        while pending:
            free = [
                name
                for name in pending
                if not any(name in reads for other, (_, reads) in pending.items() if other != name)
            ]
            if not free:
                return [*result, f"{', '.join(pending)} = {', '.join(text for text, _ in pending.values())}"]
            result.append(f"{free[0]} = {pending.pop(free[0])[0]}")
        return result

    def branch(self, instruction: Branch, depth: int) -> list[Line]:
        then = self.block(instruction.then, depth + 1)
        otherwise = self.block(instruction.otherwise, depth + 1)
        line = instruction.line
        if not then and not otherwise:
            return []
        if not then:
            test = self.atom(instruction.test, PRECEDENCE["not"])
            return [(depth, f"if not {test}:", line), *otherwise]
        head = [(depth, f"if {self.atom(instruction.test)}:", line), *then]
        if not otherwise:
            return head
        nested = [each for each in otherwise if each[0] == depth + 1]
        if nested[0][1].startswith("if ") and all(text.startswith(("elif ", "else:")) for _, text, _ in nested[1:]):
            first, *rest = [(level - 1, text, each) for level, text, each in otherwise]
            return [*head, (depth, f"el{first[1]}", first[2]), *rest]
        return [*head, (depth, "else:", line), *otherwise]

    def repeat(self, instruction: Repeat, depth: int) -> list[Line]:
        loop, line = instruction.loop, instruction.line
        test = self.block(instruction.test, depth + 1)
        body = self.block(instruction.body, depth + 1)
        ranged = loop.bounds is not None or bool(loop.reads)
        if loop.condition is None:
            head = self.head(instruction)
        elif test or ranged:
            head = self.head(instruction) if ranged else "while True:"
            stop = f"if not {self.atom(loop.condition, PRECEDENCE['not'])}:"
            body = [*test, (depth + 1, stop, line), (depth + 2, "break", line), *body]
        else:
            head = f"while {self.atom(loop.condition)}:"
        return [(depth, head, line), *(body or [(depth + 1, "pass", line)])]

    def head(self, instruction: Repeat) -> str:
        """The head of a `for` loop."""
        loop = instruction.loop
        pairs = []
        if loop.bounds is not None:
            values = self.range(loop.bounds)
            index = "_" if loop.index is None else self.target(loop.index)
            pairs.append((index, f"reversed({values})" if loop.backwards else values))
        for read in loop.reads:
            pairs.append((self.unpacked(read.variables, read.stack), f"reversed({self.atom(read.stack)})"))
        if len(pairs) == 1:
            ((targets, values),) = pairs
            return f"for {_unbracketed(targets)} in {values}:"
        targets = ", ".join(targets for targets, _ in pairs)
        return f"for {targets} in zip({', '.join(values for _, values in pairs)}):"

    def unpacked(self, variables: tuple[Variable, ...], stack: Atom) -> str:
        """What the item of a stack is unpacked into."""
        if self.used.isdisjoint(variables):
            return "_"
        if stack in self.bare:
            return self.target(variables[0])
        inside = ", ".join(map(self.target, variables))
        return f"({inside},)" if len(variables) == 1 else f"({inside})"

    def range(self, bounds: tuple[Atom, Atom, Atom]) -> str:
        start, stop, step = map(self.atom, bounds)
        if step != "1":
            return f"range({start}, {stop}, {step})"
        return f"range({stop})" if start == "0" else f"range({start}, {stop})"


def _unbracketed(targets: str) -> str:
    """`(a, b)` as it stands alone behind `for`; `(a,)` keeps its brackets."""
    return targets[1:-1] if targets.startswith("(") and not targets.endswith(",)") else targets


def late_copies(instructions: list[Instruction], names: dict[Variable, str], inlined: Inlined) -> Iterator[Variable]:
    """What is copied, at the end of a pass, to a variable of the same wish that could not share its name."""
    for instruction in instructions:
        match instruction:
            case Branch():
                yield from late_copies(instruction.then + instruction.otherwise, names, inlined)
            case Repeat():
                yield from late_copies(instruction.body, names, inlined)
                own = set(defined(instruction.loop.body))
                for carry in instruction.loop.carried:
                    source, target = carry.following, carry.variable
                    if not isinstance(source, Variable) or source not in inlined.late or source not in own:
                        continue
                    if source.name == target.name and names[source] != names[target]:
                        yield source


def bare(program: Program) -> set[Atom]:
    """The stacks of single values that never leave the program: their items need no tuple."""
    loops = [statement for statement in every(program.body) if not isinstance(statement, Op | Call)]
    written = {write.stack for loop in loops for write in getattr(loop, "writes", []) if len(write.values) == 1}
    reads = [read.stack for loop in loops for read in getattr(loop, "reads", [])]
    elsewhere = [*program.results]
    for statement in program.body:
        elsewhere += uses(statement)
    return {stack for stack in written if elsewhere.count(stack) == reads.count(stack)}


def simple(total: Kind, index: Kind) -> bool:
    """Whether `total[index] += value` adds value to total[index] and nothing else."""
    match total:
        case Array():
            parts = index.items if isinstance(index, Tuple) else (index,)
            return all(isinstance(part, Integer | Slice | Other) for part in parts)
        case List():
            return isinstance(total.item, Number) and isinstance(index, Integer)
        case Dict():
            return all(isinstance(item, Number) for _, item in total.items)
        case _:
            return False
