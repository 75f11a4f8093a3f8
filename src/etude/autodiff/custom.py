"""Functions with derivatives of their own: where the rule is better than the program's derivative, or there is none."""

from collections.abc import Callable
from typing import Any

from etude.autodiff.errors import TransformError
from etude.autodiff.expansion import expanded_call
from etude.autodiff.forward import zero
from etude.autodiff.kinds import UNKNOWN, Kind, Tuple
from etude.autodiff.preparation import prepare
from etude.autodiff.primitives import PRIMITIVES, Builder, Primitive
from etude.autodiff.program import Atom, Call, Constant, Function, Op, Program, Variable


class custom_derivative:  # noqa: N801, a decorator
    """Give a function derivative rules of its own.

    The rules are Python functions too and are transformed like others, so that second derivatives work. A mode without
    a rule differentiates the function itself. What cannot be transformed is called as it is: with rules, a function
    from any library can be differentiated once.

        @custom_derivative
        def log1pexp(x):
            return np.log1p(np.exp(x))

        @log1pexp.reverse
        def rule(result, arguments, change):  # the change of the outcome for a change of the result
            return (change * (1 - np.exp(-result)),)  # one item for each argument

        @log1pexp.forward
        def rule(result, arguments, tangents):
            return tangents[0] * (1 - np.exp(-result))
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.rules: dict[str, Callable[..., Any]] = {}
        self.__name__, self.__doc__ = function.__name__, function.__doc__

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.function(*arguments, **named)

    def forward(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Take `rule(result, arguments, tangents)`, which returns the tangent of the result, as the forward rule."""
        self.rules["forward"] = rule
        return rule

    def reverse(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Take `rule(result, arguments, change)`, which returns the tuple of the adjoints, as the reverse rule."""
        self.rules["reverse"] = rule
        return rule

    def __program__(self, kinds: tuple[Kind, ...], names: tuple[str, ...] = ()) -> Function:
        plain = _plain(self.function, kinds, names)
        return plain.once(tuple(self.rules.items()), lambda: self.made(plain))

    def made(self, plain: Function) -> Function:
        """The function with the rules that there are."""
        function = Function(plain.name, lambda: plain.program, valid=plain.valid)
        if "forward" in self.rules:
            function.forward = lambda mask, directions: _forward(plain, self.rules["forward"], mask, directions)
        if "reverse" in self.rules:
            function.adjoint = lambda *call: _adjoint(self.rules["reverse"], *call)
        return function


def _plain(function: Callable[..., Any], kinds: tuple[Kind, ...], names: tuple[str, ...] = ()) -> Function:
    """The program of a function; if it cannot be transformed, one that calls it and cannot be differentiated."""
    made = prepare(function, kinds, names)
    try:
        made.program  # noqa: B018, to see whether it can be made
    except TransformError as error:
        reason = error
    else:
        return made

    def refuse(*_: Any, **__: Any) -> Any:
        raise reason

    def build() -> Program:
        parameters = tuple(Variable(f"x{position}", kind) for position, kind in enumerate(kinds))
        call = Primitive(
            function.__name__, _named(function, names), forward=(refuse,), reverse=(refuse,), variadic=True
        )
        result = Variable("y")
        return Program(function.__name__, parameters, [Op((result,), call, parameters)], (result,))

    return made.once("called as it is", lambda: Function(function.__name__, build, valid=made.valid))


def _named(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """The function with its last arguments, which were given by name, given by position."""

    def called(*values: Any) -> Any:
        first = len(values) - len(names)
        return function(*values[:first], **dict(zip(names, values[first:], strict=True)))

    return called


def _applied(
    rule: Callable[..., Any], result: Atom, arguments: tuple[Atom, ...], change: Atom, builder: Builder
) -> Atom:
    """What a rule returns, written into the builder."""
    packed = builder.emit(PRIMITIVES["tuple"], *arguments)
    made = _plain(rule, (result.kind, packed.kind, change.kind))
    answer = Variable("answer", made.program.results[0].kind)
    block, (found,) = expanded_call(Call((answer,), made, (result, packed, change), builder.line))
    builder.block += block
    return found


def _parameters(program: Program) -> tuple[Variable, ...]:
    return tuple(Variable(parameter.name, parameter.kind, parameter.given) for parameter in program.parameters)


def _forward(plain: Function, rule: Callable[..., Any], mask: tuple[bool, ...], directions: int) -> Program:
    arguments, builder = _parameters(plain.program), Builder()
    result = Variable("y", plain.program.results[0].kind)
    builder.block.append(Call((result,), plain, arguments))
    parameters = list(arguments)
    results: list[Atom] = [result]
    for _ in range(directions):
        given = [Variable(f"d{v.name}", v.kind) if varies else None for v, varies in zip(arguments, mask, strict=True)]
        parameters += [tangent for tangent in given if tangent is not None]
        tangents = [
            zero(builder, v) if tangent is None else tangent for v, tangent in zip(arguments, given, strict=True)
        ]
        packed = builder.emit(PRIMITIVES["tuple"], *tangents)
        results.append(_applied(rule, result, arguments, packed, builder))
    return Program(f"{plain.name}_forward", tuple(parameters), builder.block, tuple(results), plain.program.file)


def _adjoint(rule: Callable[..., Any], builder: Builder, call: Call, change: Atom) -> list[Atom]:
    answer = _applied(rule, call.outputs[0], call.inputs, change, builder)
    count = len(answer.kind.items) if isinstance(answer.kind, Tuple) else None
    if answer.kind != UNKNOWN and count != len(call.inputs):
        returned = "no tuple" if count is None else f"{count} adjoints"
        raise TypeError(f"the reverse rule of {call.function.name} returns {returned} for {len(call.inputs)} arguments")
    last = builder.block[-1]
    if isinstance(last, Op) and last.primitive.name == "tuple" and last.outputs == (answer,):
        return list(last.inputs)
    return [builder.emit(PRIMITIVES["item"], answer, index=Constant(position)) for position in range(len(call.inputs))]
