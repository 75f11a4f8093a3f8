"""Expressions become primitives in the order in which Python would evaluate them."""

import ast
from collections.abc import Callable
from typing import Any

from etude.autodiff.kinds import Array, Closure, Dict, Integer, List, Number, Tuple
from etude.autodiff.preparation.calls import call, dictionary, displayed, extended
from etude.autodiff.preparation.flow import branch, choice
from etude.autodiff.preparation.frame import Frame
from etude.autodiff.preparation.names import names
from etude.autodiff.preparation.sequences import each_of, go_through, known_items, range_of, sequence
from etude.autodiff.preparation.sources import DATA, Definition, Known, objects
from etude.autodiff.preparation.values import Items, Method, Nested, Sequence, Value, literal
from etude.autodiff.primitives import ATTRIBUTES, METHODS
from etude.autodiff.program import Atom, Constant

OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
    ast.BitAnd: "bit_and",
    ast.BitOr: "bit_or",
    ast.BitXor: "bit_xor",
    ast.LShift: "shift_left",
    ast.RShift: "shift_right",
    ast.USub: "negate",
    ast.UAdd: "positive",
    ast.Invert: "bit_not",
    ast.Not: "not_",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Is: "is_",
    ast.IsNot: "is_not",
    ast.In: "in_",
    ast.NotIn: "not_in",
}
REFUSED: dict[type[ast.expr], str] = {
    ast.Await: "await is not supported: await before the call of the function",
    ast.Yield: "a generator has no derivative: return a list",
    ast.YieldFrom: "a generator has no derivative: return a list",
    ast.GeneratorExp: "a generator that is not an argument of a call is not supported: write a list",
    ast.Set: "sets are not supported: use a tuple",
    ast.SetComp: "sets are not supported: use a list",
}


def expression(frame: Frame, node: ast.expr) -> Value:
    """The value of an expression."""
    line, frame.builder.line = frame.builder.line, node.lineno
    try:
        return _expression(frame, node)
    finally:
        frame.builder.line = line


def _expression(frame: Frame, node: ast.expr) -> Value:
    if write := WRITERS.get(type(node)):
        return write(frame, node)
    return frame.refuse(REFUSED.get(type(node), f"{type(node).__name__} is not supported"))


def atom(frame: Frame, node: ast.expr) -> Atom:
    """The value of an expression, as an atom of the program."""
    return frame.atom(expression(frame, node))


def _name(frame: Frame, node: ast.Name) -> Value:
    value = frame.lookup(node.id)
    if value is None:
        frame.refuse(f"the name {node.id} is not defined")
    return value


def _constant(frame: Frame, node: ast.Constant) -> Value:
    if isinstance(node.value, complex | bytes):
        frame.refuse(f"{type(node.value).__name__} values are not supported: use floats, for complex numbers two")
    return Constant(node.value)


def _binary(frame: Frame, node: ast.BinOp) -> Value:
    return operation(frame, OPERATORS[type(node.op)], expression(frame, node.left), expression(frame, node.right))


def operation(frame: Frame, name: str, left: Value, right: Value) -> Value:
    """A binary operator, of containers too."""
    if isinstance(left, Items) and isinstance(right, Items) and name == "add":
        return Items(left.values + right.values)
    a, b = frame.atom(left), frame.atom(right)
    if name == "add" and isinstance(a.kind, Tuple) and isinstance(b.kind, Tuple):
        return Items(known_items(frame, a) + known_items(frame, b))
    if name == "add" and isinstance(a.kind, List):
        return extended(frame, a, sequence(frame, b)) if b in frame.parts else frame.emit("extend", a, b)
    if name == "mul" and isinstance(a.kind, List):
        return _repeated(frame, a, b)
    if name == "mul" and isinstance(a.kind, Tuple) and isinstance(b, Constant) and literal(b):
        return Items(known_items(frame, a) * b.value)
    return frame.emit(name, a, b)


def _repeated(frame: Frame, items: Atom, times: Atom) -> Atom:
    """`items * times` for a list."""
    name = "$repeated"
    frame.names[name] = frame.emit("list")

    def once(_: Value) -> None:
        frame.names[name] = extended(frame, frame.atom(frame.names[name]), sequence(frame, items))

    go_through(frame, range_of(frame, (times,)), [name], once)
    return frame.atom(frame.names.pop(name))


def _unary(frame: Frame, node: ast.UnaryOp) -> Value:
    return frame.emit(OPERATORS[type(node.op)], atom(frame, node.operand))


def _boolean(frame: Frame, node: ast.BoolOp) -> Value:
    """`a and b and c`, `a or b or c`: what comes later is evaluated only if it decides."""

    def from_position(position: int) -> Value:
        first = expression(frame, node.values[position])
        if position == len(node.values) - 1:
            return first
        test = frame.atom(first)

        def later() -> Value:
            return from_position(position + 1)

        if isinstance(node.op, ast.And):
            return choice(frame, test, later, lambda: test)
        return choice(frame, test, lambda: test, later)

    return from_position(0)


def _compare(frame: Frame, node: ast.Compare) -> Value:
    """`a < b < c`: the last comparison is made only if the first holds."""

    def from_position(position: int, left: Atom) -> Value:
        right = atom(frame, node.comparators[position])
        test = _compared(frame, OPERATORS[type(node.ops[position])], left, right)
        if position == len(node.ops) - 1:
            return test
        return choice(frame, test, lambda: from_position(position + 1, right), lambda: test)

    return from_position(0, atom(frame, node.left))


def _compared(frame: Frame, name: str, left: Atom, right: Atom) -> Atom:
    if name in ("is_", "is_not") and isinstance(right, Constant) and right.value is None:
        if isinstance(left, Constant):
            return Constant((left.value is None) == (name == "is_"))
        if isinstance(left.kind, Number | Integer | Array | Tuple | List | Dict | Closure):
            return Constant(name == "is_not")
    if name in ("in_", "not_in") and isinstance(right.kind, Dict) and isinstance(left, Constant) and literal(left):
        return Constant((left.value in dict(right.kind.items)) == (name == "in_"))
    return frame.emit(name, left, right)


def _conditional(frame: Frame, node: ast.IfExp) -> Value:
    test = atom(frame, node.test)
    return choice(frame, test, lambda: expression(frame, node.body), lambda: expression(frame, node.orelse))


def _call(frame: Frame, node: ast.Call) -> Value:
    function = expression(frame, node.func)
    given: list[Value] = []
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            given += known_items(frame, _argument(frame, argument.value))
        else:
            given.append(_argument(frame, argument))
    named: dict[str, Value] = {}
    for keyword in node.keywords:
        value = expression(frame, keyword.value)
        named |= {keyword.arg: value} if keyword.arg else _entries(frame, frame.atom(value))
    return call(frame, function, given, named)


def _argument(frame: Frame, node: ast.expr) -> Value:
    """An argument of a call, which may be a generator: its items are computed at once."""
    return _comprehension(frame, node) if isinstance(node, ast.GeneratorExp) else expression(frame, node)


def _entries(frame: Frame, value: Atom) -> dict[str, Value]:
    """The items of a dictionary given as `**value`."""
    if not isinstance(value.kind, Dict):
        frame.refuse("** needs a dictionary with constant keys")
    return {key: frame.item(value, Constant(key)) for key, _ in value.kind.items}


def _attribute(frame: Frame, node: ast.Attribute) -> Value:
    owner = expression(frame, node.value)
    label = ast.unparse(node)
    if isinstance(owner, Known) and not isinstance(owner.value, DATA):
        try:
            return owner.attribute(node.attr)
        except AttributeError as error:
            frame.refuse(str(error))
    value = frame.atom(owner)
    if node.attr == "ndim" and isinstance(value.kind, Array) and value.kind.rank is not None:
        return Constant(value.kind.rank)
    if node.attr in ATTRIBUTES and not isinstance(value.kind, List | Tuple | Dict):
        return frame.emit(ATTRIBUTES[node.attr], value)
    if node.attr in METHODS or isinstance(value.kind, List | Tuple | Dict):
        return Method(value, node.attr, label)
    return frame.refuse(f"{label}: the attribute {node.attr} is not supported; pass what it holds as an argument")


def _subscript(frame: Frame, node: ast.Subscript) -> Value:
    owner, place = expression(frame, node.value), index(frame, node.slice)
    constant = isinstance(place, Constant) and literal(place)
    if isinstance(owner, Known) and isinstance(place, Constant) and literal(place) and objects(owner.value):
        return owner.item(place.value)
    if isinstance(owner, Items) and constant and isinstance(place, Constant):
        picked = owner.values[place.value]
        return Items(picked) if isinstance(picked, tuple) else picked
    return frame.item(frame.atom(owner), place)


def index(frame: Frame, node: ast.expr) -> Atom:
    """What stands between the brackets of x[...]."""
    if isinstance(node, ast.Slice):
        parts = {"start": node.lower, "stop": node.upper, "step": node.step}
        bounds = {name: Constant(None) if part is None else atom(frame, part) for name, part in parts.items()}
        if all(literal(bound) for bound in bounds.values()):
            return Constant(slice(*(bound.value for bound in bounds.values() if isinstance(bound, Constant))))
        return frame.emit("slice", **{name: bound for name, bound in bounds.items() if parts[name] is not None})
    if isinstance(node, ast.Tuple):
        return frame.atom(Items(tuple(index(frame, part) for part in node.elts)))
    return atom(frame, node)


def _tuple(frame: Frame, node: ast.Tuple) -> Value:
    return Items(_displayed_items(frame, node.elts))


def _list(frame: Frame, node: ast.List) -> Value:
    """`[a, *b, c]`: the length is not known if that of b is not."""
    items: list[Value] = []
    start: Atom | None = None
    for part in node.elts:
        if not isinstance(part, ast.Starred):
            items.append(expression(frame, part))
        elif counted(frame, more := expression(frame, part.value)):
            items += known_items(frame, more)
        else:
            start, items = extended(frame, _appended(frame, start, items), sequence(frame, more)), []
    return _appended(frame, start, items)


def _appended(frame: Frame, start: Atom | None, items: list[Value]) -> Atom:
    """A list with known items appended; without a start, the list of these items."""
    if start is None:
        return displayed(frame, tuple(items))
    return extended(frame, start, each_of(tuple(items)))


def counted(frame: Frame, value: Value) -> bool:
    """Whether it is known how many items a value has."""
    if isinstance(value, Items | Sequence):
        return isinstance(value, Items) or value.count is not None
    atom = frame.atom(value)
    return isinstance(atom.kind, Tuple | Dict) or atom in frame.parts


def _displayed_items(frame: Frame, nodes: list[ast.expr]) -> tuple[Value, ...]:
    values: list[Value] = []
    for node in nodes:
        if isinstance(node, ast.Starred):
            values += known_items(frame, expression(frame, node.value))
        else:
            values.append(expression(frame, node))
    return tuple(values)


def _dict(frame: Frame, node: ast.Dict) -> Value:
    entries: dict[Any, Value] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            entries |= _entries(frame, atom(frame, value))
        else:
            entries[constant_key(frame, key)] = expression(frame, value)
    return dictionary(frame, tuple(entries), tuple(entries.values()))


def constant_key(frame: Frame, node: ast.expr) -> Any:
    """The key of a dictionary, which has to be a constant."""
    key = atom(frame, node)
    if not isinstance(key, Constant):
        frame.refuse("the keys of a dictionary have to be constants: use a list")
    return key.value


def _comprehension(frame: Frame, node: ast.ListComp | ast.GeneratorExp) -> Value:
    hidden = hide(frame, node.generators)
    try:
        first = node.generators[0]
        items = sequence(frame, expression(frame, first.iter))
        if items.count is not None and items.bounds is None and len(node.generators) == 1 and not first.ifs:
            known = known_items(frame, items)
            return displayed(frame, tuple(_element(frame, node.elt, first.target, item) for item in known))
        name = f"$items {len(frame.names)}"
        frame.names[name] = frame.emit("list")
        _generate(frame, node.generators, node.elt, name, items)
        return frame.atom(frame.names.pop(name))
    finally:
        for target in target_names(node.generators):
            frame.names.pop(target, None)
        frame.names |= hidden


def _element(frame: Frame, element: ast.expr, target: ast.expr, item: Value) -> Value:
    destructure(frame, target, item)
    return frame.atom(expression(frame, element))


def _generate(frame: Frame, generators: list[ast.comprehension], element: ast.expr, name: str, items: Sequence) -> None:
    """Write the loops of a comprehension; the list so far goes by `name`."""
    generator, *inner = generators

    def add() -> None:
        if inner:
            _generate(frame, inner, element, name, sequence(frame, expression(frame, inner[0].iter)))
        else:
            frame.bind(name, frame.emit("append", frame.atom(frame.names[name]), atom(frame, element)))

    def tested(tests: list[ast.expr]) -> None:
        if tests:
            branch(frame, atom(frame, tests[0]), lambda: tested(tests[1:]), lambda: None)
        else:
            add()

    def once(item: Value) -> None:
        destructure(frame, generator.target, item)
        tested(generator.ifs)

    go_through(frame, items, [name], once)


def target_names(generators: list[ast.comprehension]) -> list[str]:
    return [name.id for generator in generators for name in names(generator.target)]


def hide(frame: Frame, generators: list[ast.comprehension]) -> dict[str, Value]:
    """The names that a comprehension uses for itself, as they are outside it."""
    return {name: frame.names[name] for name in target_names(generators) if name in frame.names}


def _dict_comprehension(frame: Frame, node: ast.DictComp) -> Value:
    if len(node.generators) > 1 or node.generators[0].ifs:
        frame.refuse("a dictionary needs constant keys: one `for` without `if`")
    generator, entries = node.generators[0], {}
    hidden = hide(frame, node.generators)
    for item in known_items(frame, expression(frame, generator.iter)):
        destructure(frame, generator.target, item)
        key = constant_key(frame, node.key)
        entries[key] = frame.atom(expression(frame, node.value))
    frame.names |= hidden
    return dictionary(frame, tuple(entries), tuple(entries.values()))


def _lambda(frame: Frame, node: ast.Lambda) -> Value:
    return nested(frame, node)


def nested(frame: Frame, node: Definition) -> Nested:
    """A function defined here."""
    arguments = node.args
    positional = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    defaulted = list(zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True))
    keywords = zip((each.arg for each in arguments.kwonlyargs), arguments.kw_defaults, strict=True)
    defaulted += [(name, default) for name, default in keywords if default is not None]
    return Nested(node, frame, {name: expression(frame, default) for name, default in defaulted}, frame.origin)


def _formatted(frame: Frame, node: ast.JoinedStr) -> Value:
    pieces, values = [], []
    for part in node.values:
        match part:
            case ast.Constant(value=str() as text):
                pieces.append(text.replace("{", "{{").replace("}", "}}"))
            case ast.FormattedValue():
                values.append(atom(frame, part.value))
                pieces.append("{" + _format(frame, part) + "}")
    return frame.emit("format", *values, text=Constant("".join(pieces)))


def _format(frame: Frame, node: ast.FormattedValue) -> str:
    """The conversion and format of a value in an f-string."""
    conversion = "" if node.conversion < 0 else f"!{chr(node.conversion)}"
    match node.format_spec:
        case None:
            return conversion
        case ast.JoinedStr(values=[ast.Constant(value=str() as text)]):
            return f"{conversion}:{text}"
        case _:
            return frame.refuse("the format of a value in an f-string has to be constant: write it out")


def _walrus(frame: Frame, node: ast.NamedExpr) -> Value:
    destructure(frame, node.target, expression(frame, node.value))
    return _name(frame, node.target)


def destructure(frame: Frame, target: ast.expr, value: Value) -> None:
    """Let the names of a target stand for a value, or for the items of it."""
    match target:
        case ast.Name():
            frame.bind(target.id, value)
        case ast.Tuple() | ast.List():
            _unpack(frame, target.elts, value)
        case ast.Attribute():
            frame.refuse(f"{ast.unparse(target)} = ... changes an object; return the new value instead")
        case _:
            frame.refuse(f"{ast.unparse(target)} = ... is not supported here: write an assignment of its own for it")


def _unpack(frame: Frame, targets: list[ast.expr], value: Value) -> None:
    stars = [position for position, target in enumerate(targets) if isinstance(target, ast.Starred)]
    if not counted(frame, value) and not stars:
        whole = frame.atom(value)
        _check_length(frame, whole, len(targets))
        for position, target in enumerate(targets):
            destructure(frame, target, frame.item(whole, Constant(position)))
        return
    items = known_items(frame, value)
    if len(items) < len(targets) - len(stars) or (not stars and len(items) > len(targets)):
        frame.refuse(f"{len(items)} items cannot be unpacked into {len(targets)} names")
    if stars:
        start, end = stars[0], len(items) - (len(targets) - stars[0] - 1)
        items = (*items[:start], displayed(frame, items[start:end]), *items[end:])
    for target, item in zip(targets, items, strict=True):
        destructure(frame, target.value if isinstance(target, ast.Starred) else target, item)


def _check_length(frame: Frame, whole: Atom, count: int) -> None:
    """Write a test that a value has as many items as there are names for them, as Python makes it."""

    def fail() -> None:
        message = Constant(f"there are not {count} values to unpack")
        frame.emit("raise_", message, error=Constant(ValueError))
        frame.unreachable = True

    branch(frame, frame.emit("ne", frame.emit("len", whole), Constant(count)), fail, lambda: None)


WRITERS: dict[type[ast.expr], Callable[[Frame, Any], Value]] = {
    ast.Name: _name,
    ast.Constant: _constant,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.IfExp: _conditional,
    ast.Call: _call,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Tuple: _tuple,
    ast.List: _list,
    ast.Dict: _dict,
    ast.ListComp: _comprehension,
    ast.DictComp: _dict_comprehension,
    ast.Lambda: _lambda,
    ast.JoinedStr: _formatted,
    ast.NamedExpr: _walrus,
}
