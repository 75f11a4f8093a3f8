"""Laws of arithmetic and of containers that make an operation simpler without changing its value.

Only what holds for infinities and NaN too is used, so 0 x stays; the sign of a zero may change.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from etude.autodiff.kinds import Array, Integer, Kind, Number, Other, Tuple, same_shape
from etude.autodiff.primitives import PRIMITIVES
from etude.autodiff.program import ZERO, Atom, Constant, Op, Variable


class Definitions(dict[Atom, Op]):
    """The operations that make variables, and which arrays have one shape.

    Attributes:
        shapes: for a variable another one, the same for all that have the same shape.
        uniform: for an array all of whose items are one number that number.
    """

    def __init__(self) -> None:
        self.shapes: dict[Atom, Atom] = {}
        self.uniform: dict[Atom, Atom] = {}

    def add(self, op: Op) -> None:
        """Note an operation with one result."""
        output = op.outputs[0]
        self[output] = op
        if op.primitive.elementwise:
            first, *others = [atom for atom in op.inputs if not scalar(atom)] or [output]
            if all(self.alike(first, other) for other in others):
                self.shapes[output] = self.shape(first)
        elif op.primitive.name in ("zeros_like", "broadcast_like", "unbroadcast"):
            self.shapes[output] = self.shape(op.inputs[-1])
        if op.primitive.name == "broadcast_like" and scalar(op.inputs[0]):
            self.uniform[output] = op.inputs[0]
        elif op.primitive.name in ("expand_dims", "reshape_like", "T") and op.inputs[0] in self.uniform:
            self.uniform[output] = self.uniform[op.inputs[0]]

    def shape(self, atom: Atom) -> Atom:
        return self.shapes.get(atom, atom)

    def alike(self, a: Atom, b: Atom) -> bool:
        """Whether two arrays are known to have the same shape."""
        return self.shape(a) is self.shape(b) or same_shape(a.kind, b.kind)

    def spread(self, op: Op) -> Op | None:
        """The operation without broadcasting one of its inputs to the shape of the other before."""
        for position, (atom, other) in enumerate(zip(op.inputs, op.inputs[::-1], strict=True)):
            made = self.get(atom)
            if scalar(other):
                continue
            narrow = self.uniform.get(atom) if same_shape(op.outputs[0].kind, other.kind) else None
            if made is not None and made.primitive.name == "broadcast_like" and self.alike(atom, other):
                narrow = made.inputs[0]
            if narrow is not None:
                inputs = (narrow, other) if position == 0 else (other, narrow)
                return Op(op.outputs, op.primitive, inputs, {}, op.line)
        return None


Law = Callable[[Op, Definitions], "Op | Atom | None"]
"""From an operation and those that made its inputs: a simpler operation, the atom it equals, or None."""


def number(atom: Atom) -> Any:
    """The number that a literal is, None for anything else."""
    if isinstance(atom, Constant) and atom.name is None and isinstance(atom.value, int | float):
        return atom.value
    return None


def neutral(atom: Atom, value: int, other: Atom) -> bool:
    """Whether an atom is the literal 0 or 1 that leaves the other operand as it is, its type included."""
    found = number(atom)
    if found is None or isinstance(found, bool) or found != value:
        return False
    if isinstance(other.kind, Integer):
        return isinstance(found, int)
    return isinstance(other.kind, Number | Array) and other.kind.differentiable


def scalar(*atoms: Atom) -> bool:
    return all(isinstance(atom.kind, Number | Integer) for atom in atoms)


def numbers(*atoms: Atom) -> bool:
    """Whether all are numbers or arrays of them."""
    return all(isinstance(atom.kind, Number | Integer | Array) for atom in atoms)


def _negated(atom: Atom, definitions: Definitions) -> Atom | None:
    """x if the atom is -x."""
    op = definitions.get(atom)
    return op.inputs[0] if op is not None and op.primitive.name == "negate" else None


def _replaced(op: Op, name: str, *inputs: Atom) -> Op:
    return Op(op.outputs, PRIMITIVES[name], inputs, {}, op.line)


def _add(op: Op, definitions: Definitions) -> "Op | Atom | None":
    x, y = op.inputs
    if neutral(y, 0, x):
        return x
    if neutral(x, 0, y):
        return y
    if (minus := _negated(y, definitions)) is not None:
        return _replaced(op, "sub", x, minus)
    if (minus := _negated(x, definitions)) is not None:
        return _replaced(op, "sub", y, minus)
    return definitions.spread(op)


def _sub(op: Op, definitions: Definitions) -> "Op | Atom | None":
    x, y = op.inputs
    if neutral(y, 0, x):
        return x
    if neutral(x, 0, y):
        return _replaced(op, "negate", y)
    if (minus := _negated(y, definitions)) is not None:
        return _replaced(op, "add", x, minus)
    return definitions.spread(op)


def _mul(op: Op, definitions: Definitions) -> "Op | Atom | None":
    x, y = op.inputs
    if neutral(y, 1, x):
        return x
    if neutral(x, 1, y):
        return y
    if neutral(y, -1, x):
        return _replaced(op, "negate", x)
    if neutral(x, -1, y):
        return _replaced(op, "negate", y)
    return definitions.spread(op)


def _div(op: Op, definitions: Definitions) -> "Op | Atom | None":
    x, y = op.inputs
    return x if neutral(y, 1, x) and not isinstance(x.kind, Integer) else definitions.spread(op)


def _pow(op: Op, definitions: Definitions) -> "Op | Atom | None":
    x, n = op.inputs
    return x if neutral(n, 1, x) else None


def _negate(op: Op, definitions: Definitions) -> "Op | Atom | None":
    """-(-x), and -(-x y)."""
    (x,) = op.inputs
    made = definitions.get(x)
    if made is not None and made.primitive.name in ("mul", "div"):
        minus = [_negated(factor, definitions) for factor in made.inputs]
        if minus[0] is not None:
            return _replaced(op, made.primitive.name, minus[0], made.inputs[1])
        if minus[1] is not None:
            return _replaced(op, made.primitive.name, made.inputs[0], minus[1])
    return _negated(x, definitions)


def _broadcast(op: Op, definitions: Definitions) -> "Op | Atom | None":
    """Broadcasting between numbers or arrays of one shape does nothing, and twice is once."""
    value, like = op.inputs
    if scalar(value, like) or definitions.alike(value, like):
        return value
    if op.primitive.name == "unbroadcast" and (total := _total(op)) is not None:
        return total
    first = definitions.shape(like)
    if op.primitive.name == "unbroadcast" and first is not like:
        return _replaced(op, "unbroadcast", value, first)
    made = definitions.get(value)
    if made is None or made.primitive is not op.primitive:
        return None
    return _replaced(op, op.primitive.name, made.inputs[0], like)


def _total(op: Op) -> Op | None:
    """The sum that an `unbroadcast` is, where that is known and needs no change of shape."""
    value, like = (atom.kind for atom in op.inputs)
    if not isinstance(value, Array) or not value.rank:
        return None
    if isinstance(like, Number):
        return _replaced(op, "sum", op.inputs[0])
    if not isinstance(like, Array) or not like.rank or None in like.axes:
        return None
    lead = value.rank - like.rank
    pairs = list(zip(value.axes[lead:], like.axes, strict=True))
    if any(mine is None and other == 1 for mine, other in pairs):
        return None
    stretched = [axis for axis, (mine, other) in enumerate(pairs) if other == 1 != mine]
    if bool(lead) == bool(stretched):
        return None
    axes = tuple(range(lead)) or tuple(stretched)
    keywords: dict[str, Atom] = {"axis": Constant(axes if len(axes) > 1 else axes[0])}
    if stretched:
        keywords["keepdims"] = Constant(True)
    return Op(op.outputs, PRIMITIVES["sum"], op.inputs[:1], keywords, op.line)


def _add_at(op: Op, definitions: Definitions) -> "Op | Atom | None":
    """What is added into an array is broadcast there."""
    total, value = op.inputs
    made = definitions.get(value)
    if not isinstance(total.kind, Array) or made is None or made.primitive.name != "broadcast_like":
        return None
    return replace(op, inputs=(total, made.inputs[0]))


def _accumulate(op: Op, definitions: Definitions) -> "Op | Atom | None":
    x, y = op.inputs
    if number(y) == 0:
        return x
    if number(x) == 0:
        return y
    return _replaced(op, "add", x, y) if all(isinstance(atom.kind, Number | Array) for atom in op.inputs) else None


def _zeros_like(op: Op, definitions: Definitions) -> "Op | Atom | None":
    zero = _zero(op.inputs[0].kind)
    return None if zero is None else ZERO if zero == 0.0 else Constant(zero)


def _zero(kind: Kind) -> Any:
    """The zero of a number or of a tuple of numbers, None for anything else."""
    match kind:
        case Number() | Integer() | Other():
            return 0.0
        case Tuple():
            items = tuple(map(_zero, kind.items))
            return None if None in items else items
        case _:
            return None


def _item(op: Op, definitions: Definitions) -> "Op | Atom | None":
    index = op.keywords["index"]
    made = definitions.get(op.inputs[0])
    if made is None or not isinstance(index, Constant) or index.name:
        return None
    if made.primitive.name in ("tuple", "list") and isinstance(index.value, int):
        return made.inputs[index.value] if -len(made.inputs) <= index.value < len(made.inputs) else None
    keys = made.keywords.get("keys")
    if made.primitive.name == "dict" and isinstance(keys, Constant) and index.value in keys.value:
        found: Atom = dict(zip(keys.value, made.inputs, strict=True))[index.value]
        return found
    return None


def _tuple(op: Op, definitions: Definitions) -> "Op | Atom | None":
    """The tuple of all items of a tuple is that tuple."""
    parts = [definitions.get(atom) for atom in op.inputs]
    if not parts or any(part is None or part.primitive.name != "item" for part in parts):
        return None
    items = [part for part in parts if part is not None]
    whole = items[0].inputs[0]
    complete = isinstance(whole.kind, Tuple) and len(whole.kind.items) == len(items)
    ordered = all(
        item.inputs[0] is whole and number(item.keywords["index"]) == position for position, item in enumerate(items)
    )
    return whole if complete and ordered else None


def _of_shape(op: Op, definitions: Definitions) -> "Op | Atom | None":
    """The size or shape of an array is that of the first one of the same shape."""
    first = definitions.shape(op.inputs[0])
    return None if first is op.inputs[0] else Op(op.outputs, op.primitive, (first,), op.keywords, op.line)


def _choice(op: Op, definitions: Definitions) -> "Op | Atom | None":
    test, then, otherwise = op.inputs
    if then is otherwise:
        return then
    if number(test) is None or not scalar(then, otherwise):
        return None
    return then if number(test) else otherwise


LAWS: dict[str, Law] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "pow": _pow,
    "negate": _negate,
    "unbroadcast": _broadcast,
    "broadcast_like": _broadcast,
    "accumulate": _accumulate,
    "add_at": _add_at,
    "zeros_like": _zeros_like,
    "item": _item,
    "tuple": _tuple,
    "select": _choice,
    "size": _of_shape,
    "shape": _of_shape,
}


def folded(op: Op) -> Constant | None:
    """The constant that an operation on literals is, None if it is none, or fails, or is no number."""
    primitive = op.primitive
    atoms = (*op.inputs, *op.keywords.values())
    if primitive.keeps or primitive.effect or PRIMITIVES.get(primitive.name) is not primitive or not atoms:
        return None
    if any(isinstance(atom, Variable) or atom.name for atom in atoms):
        return None
    values = [atom.value for atom in atoms if isinstance(atom, Constant)]
    keywords = dict(zip(op.keywords, values[len(op.inputs) :], strict=True))
    try:
        with np.errstate(all="ignore"):
            result = primitive.evaluate(*values[: len(op.inputs)], **keywords)
    except Exception:
        return None
    return Constant(plain) if (plain := _plain(result)) is not None else None


def _plain(value: Any) -> Any:
    """A number, text or short tuple of numbers as Python has them, None for anything else."""
    match value:
        case bool() | int() | str():
            return value
        case float() | np.bool_() | np.integer():
            return float(value) if isinstance(value, float) else value.item()
        case tuple() if len(value) <= 8:
            parts = tuple(map(_plain, value))
            return None if None in parts else parts
        case _:
            return None


def parts(op: Op, definitions: Definitions) -> list[Op] | None:
    """Operations that do the same one by one as one that handles several values."""
    match op.primitive.name:
        case "multiples":
            d, *factors = op.inputs
            mul = PRIMITIVES["mul"]
            return [Op((output,), mul, (d, x), {}, op.line) for output, x in zip(op.outputs, factors, strict=True)]
        case "add_at":
            return _added(op, definitions)
        case "add" | "sub" if (opposite := _opposite(op, definitions)) is not None:
            return opposite
        case _:
            return _spread_late(op, definitions) if op.primitive.elementwise else None


def _spread_late(op: Op, definitions: Definitions) -> list[Op] | None:
    """A function of a number spread over a shape, and of other numbers, as the function of the number, spread."""
    spread = [made for atom in op.inputs if (made := definitions.get(atom)) and made.primitive.name == "broadcast_like"]
    narrow = tuple(spread[0].inputs[0] if spread and atom is spread[0].outputs[0] else atom for atom in op.inputs)
    if len(spread) != 1 or not scalar(*narrow):
        return None
    result = Variable(op.outputs[0].name, Number())
    return [replace(op, outputs=(result,), inputs=narrow), _replaced(op, "broadcast_like", result, spread[0].inputs[1])]


def _opposite(op: Op, definitions: Definitions) -> list[Op] | None:
    """x - a b for x + a (-b), and the other way round."""
    x, y = op.inputs
    made = definitions.get(y)
    if made is None or made.primitive.name not in ("mul", "div"):
        return None
    minus = [_negated(factor, definitions) for factor in made.inputs]
    if minus == [None, None]:
        return None
    position = 0 if minus[0] is not None else 1
    factors = [minus[k] or factor if k == position else factor for k, factor in enumerate(made.inputs)]
    product = Variable(made.outputs[0].name, made.outputs[0].kind)
    name = "sub" if op.primitive.name == "add" else "add"
    return [Op((product,), made.primitive, tuple(factors), {}, made.line), _replaced(op, name, x, product)]


def _added(op: Op, definitions: Definitions) -> list[Op] | None:
    """A tuple with something added to one of its items."""
    total, value = op.inputs
    index = op.keywords["index"]
    made = definitions.get(total)
    items: tuple[Atom, ...]
    if made is not None and made.primitive.name == "tuple":
        items = made.inputs
    elif isinstance(total, Constant) and isinstance(total.value, tuple):
        items = tuple(map(Constant, total.value))
    else:
        return None
    position = number(index)
    if not isinstance(position, int):
        return None
    position %= len(items)
    name = "add" if isinstance(value.kind, Number | Array) else "accumulate"
    item = Variable(op.outputs[0].name, value.kind)
    together = Op((item,), PRIMITIVES[name], (items[position], value), {}, op.line)
    new = (*items[:position], item, *items[position + 1 :])
    return [together, Op(op.outputs, PRIMITIVES["tuple"], new, {}, op.line)]
