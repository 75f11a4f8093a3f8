"""Which variables may be read while they hold `MISSING`, so that their name must hold None."""

from etude.autodiff.lowering import Append, Assign, Branch, Copies, Inlined, Instruction, Repeat
from etude.autodiff.program import Atom, Op, Variable


def readable(
    instructions: list[Instruction], results: tuple[Atom, ...], names: dict[Variable, str], inlined: Inlined
) -> set[Variable]:
    """The variables that something may read while they hold `MISSING`.

    Arithmetic cannot: it would fail. Copies of a variable to its own name print nothing, and pass the question on.
    """
    found: set[Variable] = {leaf for atom in results for leaf in inlined.leaves(atom)}
    passed: list[tuple[Variable, Variable]] = []

    def value(atom: Atom) -> None:
        if isinstance(atom, Variable) and atom in inlined.values:
            operation = inlined.values[atom]
            if not (isinstance(operation, Op) and _arithmetic(operation)):
                found.update(inlined.operands(operation))
        elif isinstance(atom, Variable):
            found.add(atom)

    def visit(block: list[Instruction]) -> None:
        for instruction in block:
            match instruction:
                case Assign(value=Op() as op) if _arithmetic(op):
                    found.update(leaf for atom in op.inputs if atom in inlined.values for leaf in inlined.leaves(atom))
                case Assign():
                    found.update(inlined.operands(instruction.value))
                case Copies():
                    for target, atom in instruction.pairs:
                        if isinstance(atom, Variable) and names.get(atom) == names[target]:
                            passed.append((target, atom))
                        else:
                            value(atom)
                case Append():
                    for atom in instruction.values:
                        value(atom)
                case Branch():
                    value(instruction.test)
                    visit(instruction.then)
                    visit(instruction.otherwise)
                case Repeat():
                    found.update(leaf for atom in instruction.sources for leaf in inlined.leaves(atom))
                    if instruction.loop.condition is not None:
                        value(instruction.loop.condition)
                    visit(instruction.test)
                    visit(instruction.body)

    visit(instructions)
    size = -1
    while size != len(found):
        size = len(found)
        found.update(atom for target, atom in passed if target in found)
    return found


def _arithmetic(op: Op) -> bool:
    """Whether an operation fails on None."""
    return op.primitive.elementwise and any(rule is not None for rule in op.primitive.forward)
