"""Calls: of primitives, of other Python functions, of methods, of functions that make functions."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import FunctionType
from typing import Any, NoReturn

from etude.autodiff.checkpoint import checkpoint
from etude.autodiff.kinds import UNKNOWN, Array, Closure, Dict, Integer, Kind, List, Number, Other, Tuple
from etude.autodiff.preparation.frame import BOTTOM, Frame
from etude.autodiff.preparation.sequences import (
    each_of,
    enumerated,
    go_through,
    known_items,
    length_of,
    lent,
    range_of,
    reverse,
    sequence,
    zipped,
)
from etude.autodiff.preparation.sources import Known, known, place
from etude.autodiff.preparation.values import (
    Code,
    Items,
    Method,
    Nested,
    Sequence,
    Value,
    captured_count,
    closed,
    literal,
)
from etude.autodiff.primitives import FUNCTIONS, METHODS, Binding, Primitive
from etude.autodiff.program import Atom, Call, Constant, Function, Variable

Named = dict[str, Value]


def call(frame: Frame, function: Value, given: list[Value], named: Named) -> Value:
    """What `function(*given, **named)` returns."""
    function = frame.function(function)
    match function:
        case Known():
            return _known(frame, function, given, named)
        case Nested():
            return _nested(frame, function, given, named)
        case Method():
            return _method(frame, function, given, named)
        case _:
            return frame.refuse(
                "which function is called here is not known before the program runs; "
                "bind a function that is an argument with functools.partial or in a lambda"
            )


def _known(frame: Frame, function: Known, given: list[Value], named: Named) -> Value:
    value = function.value
    if special := SPECIAL.get(value) if hashable(value) else None:
        return special(frame, given, named)
    if isinstance(value, partial):
        bound = [function.attribute("args").item(position) for position in range(len(value.args))]
        keywords = {name: function.attribute("keywords").item(name) for name in value.keywords}
        return call(frame, function.attribute("func"), [*bound, *given], keywords | named)
    if getattr(value, "__static__", False):
        return _made(frame, function, given, named)
    if hasattr(value, "__along__"):
        return _along(frame, function, given, named)
    if hasattr(value, "__program__"):
        inputs = [*(frame.atom(each) for each in (*given, *named.values())), *function.leaves]
        try:
            program: Function = value.__program__(tuple(each.kind for each in inputs), tuple(named))
            kind = program.program.results[0].kind
        except TypeError as error:
            frame.refuse(str(error))
        return _called(frame, program, kind, False, inputs)
    if hashable(value) and value in FUNCTIONS:
        return _bound(frame, function.name, FUNCTIONS[value], given, named)
    if isinstance(getattr(value, "__func__", value), FunctionType):
        return _python(frame, function, given, named)
    if callable(value) and isinstance(type(value).__call__, FunctionType):
        return _python(frame, function.attribute("__call__"), given, named)
    return _opaque(frame, function, given, named)


def hashable(value: Any) -> bool:
    return getattr(type(value), "__hash__", None) is not None


def _bound(frame: Frame, name: str, binding: Binding, given: list[Value], named: Named) -> Value:
    """A call that is a primitive's."""
    atoms = [frame.atom(each) for each in given]
    try:
        inputs, keywords = binding.arguments(atoms, {key: frame.atom(value) for key, value in named.items()})
    except TypeError as error:
        frame.refuse(f"{name}: {error}")
    return frame.emit(binding.primitive, *inputs, **keywords)


def _python(frame: Frame, function: Known, given: list[Value], named: Named) -> Value:
    """A call of a function written in Python."""
    module = getattr(function.value, "__module__", None) or ""
    if module.partition(".")[0] in ("numpy", "scipy"):
        return _opaque(frame, function, given, named)
    if module == "etude.autodiff.derivative":
        name = function.value.__name__
        frame.refuse(f"{name} cannot be called in a function that is differentiated: use grad, jvp or jacobian")
    return _specialised(frame, function, given, named, ())


def _nested(frame: Frame, function: Nested, given: list[Value], named: Named) -> Value:
    """A call of a function defined in this one: what it captures is passed after its arguments."""
    code, leaves = closed(function, frame.atom)
    arguments = function.node.args
    positional = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    filled = {*named, *positional[: len(given)]}
    missing = {name: value for name, value in function.defaults.items() if name not in filled}
    return _specialised(frame, code, given, named | missing, leaves)


def _specialised(frame: Frame, code: Known | Code, given: list[Value], named: Named, leaves: tuple[Atom, ...]) -> Value:
    arguments = [frame.argument(value) for value in (*given, *named.values())]
    kinds = (*(kind for kind, _ in arguments), *(leaf.kind for leaf in leaves))
    inputs = [*(atom for _, atom in arguments if atom is not None), *leaves]
    try:
        function, result = frame.specialised(code, kinds, tuple(named))
    except TypeError as error:
        frame.refuse(str(error))
    kind, own = result()
    if not isinstance(kind, Number | Integer | Array | Other):
        for value in given:
            frame.fixed.update(frame.read_by(closed(value, frame.atom)[0]) if isinstance(value, Nested) else ())
    return _called(frame, function, kind, own, inputs)


def _called(frame: Frame, function: Function, kind: Kind, own: bool, inputs: list[Atom]) -> Variable:
    """The result of a call, which is new if `own` but may hold the inputs."""
    output = Variable("i", kind)
    if own:
        frame.ownership.fresh.add(output)
    if not isinstance(kind, Number | Integer | Other) and not (own and isinstance(kind, Array)):
        frame.ownership.alias(*inputs)
    frame.builder.block.append(Call((output,), function, tuple(inputs), frame.builder.line))
    return output


def _made(frame: Frame, maker: Known, given: list[Value], named: Named) -> Known:
    """A call of a function such as `grad`, which is carried out while the program is transformed."""
    leaves: list[Atom] = []
    names: set[str] = set()

    def plain(value: Value) -> Any:
        value = frame.function(value)
        match value:
            case Known():
                leaves.extend(value.leaves)
                names.update(value.captured)
                return value.value
            case Nested():
                code, captured = closed(value, frame.atom)
                leaves.extend(captured)
                names.update(frame.read_by(code))
                return Lifted(code)
            case Constant():
                return value.value
            case Items():
                return tuple(map(plain, value.values))
            case _:
                return frame.refuse(f"the arguments of {maker.name} have to be known before it runs: write them out")

    made = maker.value(*map(plain, given), **{name: plain(value) for name, value in named.items()})
    return Known(f"{maker.name}(...)", id(made), made, place(made), tuple(leaves), tuple(names))


def _along(frame: Frame, function: Known, given: list[Value], named: Named) -> Value:
    """A call of `jvp` or `hvp`: a function, its arguments and their tangents."""
    if len(given) != 3 or named:
        frame.refuse(f"{function.name} takes a function, the tuple of its arguments and that of their tangents here")
    primals, tangents = ([frame.atom(item) for item in known_items(frame, each)] for each in given[1:])
    positions = tuple(position for position, primal in enumerate(primals) if primal.kind.differentiable)
    make, part = function.value.__along__
    about: list[Value] = [given[0], Constant(positions), Constant(len(primals))]
    made = _made(frame, known(function.name, place(make)), about, {})
    start = [*primals, *made.leaves]
    program: Function = made.value.inside(tuple(atom.kind for atom in start))
    inputs = [*start, *(tangents[position] for position in positions)]
    result = _called(frame, program, program.program.results[0].kind, False, inputs)
    return result if part is None else frame.item(result, Constant(part))


class Lifted:
    """A nested function with what it captures as arguments after its own: it can be transformed, not called."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.captures = captured_count(code)
        self.__name__ = code.name

    def __call__(self, *arguments: Any) -> NoReturn:
        raise TypeError(f"{self.__name__} is called while it is transformed")


def _opaque(frame: Frame, function: Known, given: list[Value], named: Named) -> Value:
    """A call of a function without rules: of constants only."""
    atoms, keywords = [frame.atom(each) for each in given], {name: frame.atom(value) for name, value in named.items()}
    for atom in (*atoms, *keywords.values()):
        unruled = atom.kind.differentiable or atom.kind == UNKNOWN or isinstance(atom.kind, Closure)
        if isinstance(atom, Variable) and atom.kind != BOTTOM and unruled:
            frame.refuse(f"{function.name} has no rule; give it one with @custom_derivative")
    template = f"{function.name}({{*}})"
    primitive = Primitive(function.name, function.value, template=template, variadic=True, keeps=True, effect=True)
    return frame.emit(primitive, *atoms, **keywords)


def _method(frame: Frame, method: Method, given: list[Value], named: Named) -> Value:
    """A call of a method of a value of the program."""
    kind = method.owner.kind
    if isinstance(kind, Dict) and method.name in ("keys", "values", "items", "get"):
        return _dictionary(frame, method, kind, given)
    if method.name not in METHODS or isinstance(kind, Dict | List | Tuple | Other):
        what = {List: "lists", Dict: "dictionaries", Tuple: "tuples", Other: "this value"}.get(type(kind), "arrays")
        frame.refuse(
            f"{method.label}: the method {method.name} of {what} is not supported here; use an operator, "
            "a NumPy function or a new list"
        )
    return _bound(frame, method.label, METHODS[method.name], [method.owner, *given], named)


def _dictionary(frame: Frame, method: Method, kind: Dict, given: list[Value]) -> Value:
    keys = [key for key, _ in kind.items]
    if method.name != "get":
        frame.ownership.lend(method.owner)
    else:
        key = given[0]
        if not isinstance(key, Constant):
            frame.refuse("the keys of a dictionary have to be constants: use a list")
        if key.value in keys:
            return frame.item(method.owner, key)
        return given[1] if len(given) > 1 else Constant(None)
    if method.name == "keys":
        return Items(tuple(map(Constant, keys)))
    values = [frame.item(method.owner, Constant(key)) for key in keys]
    if method.name == "values":
        return Items(tuple(values))
    return Items(tuple(Items((Constant(key), value)) for key, value in zip(keys, values, strict=True)))


def extended(frame: Frame, items: Atom, more: Sequence) -> Atom:
    """A list with the items of a sequence appended."""
    name = "$items"
    frame.names[name] = items

    def one(value: Value) -> None:
        frame.bind(name, frame.emit("append", frame.atom(frame.names[name]), frame.atom(value)))

    go_through(frame, more, [name], one)
    return frame.atom(frame.names.pop(name))


def as_list(frame: Frame, given: list[Value], named: Named) -> Atom:
    """`list(...)`"""
    items = sequence(frame, given[0]) if given else each_of(())
    if items.count is not None and items.bounds is None:
        return displayed(frame, known_items(frame, items))
    return extended(frame, frame.emit("list"), items)


def displayed(frame: Frame, values: tuple[Value, ...]) -> Atom:
    """A list of known items."""
    result = frame.emit("list", *map(frame.atom, values))
    frame.parts[result] = values
    return result


def _as_tuple(frame: Frame, given: list[Value], named: Named) -> Value:
    """`tuple(...)`"""
    return Items(known_items(frame, given[0])) if given else Items(())


def _as_dict(frame: Frame, given: list[Value], named: Named) -> Value:
    """`dict(a=..., b=...)`"""
    if given:
        frame.refuse("dict of a sequence is not supported: name the keys")
    return dictionary(frame, tuple(named), tuple(named.values()))


def dictionary(frame: Frame, keys: tuple[Any, ...], values: tuple[Value, ...]) -> Atom:
    """A dictionary of known items."""
    result = frame.emit("dict", *map(frame.atom, values), keys=Constant(keys))
    frame.parts[result] = values
    return result


def _range(frame: Frame, given: list[Value], named: Named) -> Value:
    return range_of(frame, tuple(frame.atom(each) for each in given))


def _enumerate(frame: Frame, given: list[Value], named: Named) -> Value:
    start = given[1] if len(given) > 1 else named.get("start", Constant(0))
    return enumerated(frame, lent(frame, given[0]), frame.atom(start))


def _zip(frame: Frame, given: list[Value], named: Named) -> Value:
    return zipped(frame, tuple(lent(frame, each) for each in given))


def _reversed(frame: Frame, given: list[Value], named: Named) -> Value:
    return reverse(frame, lent(frame, given[0]))


def _len(frame: Frame, given: list[Value], named: Named) -> Value:
    value = given[0]
    if isinstance(value, Sequence):
        return length_of(value)
    atom = frame.atom(value)
    if isinstance(atom.kind, Tuple | Dict):
        return Constant(len(atom.kind.items))
    return Constant(len(frame.parts[atom])) if atom in frame.parts else frame.emit("len", atom)


def _isinstance(frame: Frame, given: list[Value], named: Named) -> Value:
    """`isinstance(...)`, decided by the kind where that is possible."""
    value, types = frame.atom(given[0]), given[1]
    named_types = [types] if isinstance(types, Known) else list(types.values) if isinstance(types, Items) else []
    wanted = {each.value for each in named_types if isinstance(each, Known)}
    answers = {answer for each in wanted if (answer := instance(value, each)) is not None}
    if True in answers:
        return Constant(True)
    if len(answers) == 1 and all(instance(value, each) is False for each in wanted):
        return Constant(False)
    return frame.emit("isinstance", value, frame.atom(types))


def instance(value: Atom, wanted: type) -> bool | None:
    """Whether all values of an atom's kind, or none of them, are instances of a type; None: that is not known."""
    containers: dict[type, type] = {Tuple: tuple, List: list, Dict: dict}
    kind = type(value.kind)
    if literal(value) and isinstance(value, Constant):
        return isinstance(value.value, wanted)
    if kind in containers:
        return issubclass(containers[kind], wanted)
    if kind in (Number, Integer, Array, Closure) and wanted in (tuple, list, dict, str):
        return False
    return None


def _checkpoint(frame: Frame, given: list[Value], named: Named) -> Value:
    """`checkpoint(range(...))` or `checkpoint(function)`."""
    what = given[0]
    if not isinstance(what, Sequence):
        return _made(frame, known("checkpoint", place(checkpoint)), given, named)
    if what.bounds is None:
        frame.refuse("checkpoint needs a range or a function")
    return replace(what, checkpointed=True)


def _callable(frame: Frame, given: list[Value], named: Named) -> Value:
    return Constant(isinstance(given[0], Known | Nested) or isinstance(frame.atom(given[0]).kind, Closure))


SPECIAL: dict[Any, Callable[[Frame, list[Value], Named], Value]] = {
    range: _range,
    enumerate: _enumerate,
    zip: _zip,
    reversed: _reversed,
    list: as_list,
    tuple: _as_tuple,
    dict: _as_dict,
    len: _len,
    isinstance: _isinstance,
    callable: _callable,
    checkpoint: _checkpoint,
}
