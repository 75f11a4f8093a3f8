"""Functions with derivatives of their own: where the rule is better than the program's derivative, or there is none."""

from collections.abc import Callable
from typing import Any

from etude.autodiff.errors import TransformError
from etude.autodiff.forward import zero
from etude.autodiff.kinds import Kind
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
        function = Function(plain.name, lambda: plain.program)
        if "forward" in self.rules:
            function.forward = lambda mask, directions: _forward(plain, self.rules["forward"], mask, directions)
        if "reverse" in self.rules:
            function.split = lambda mask: _split(plain, self.rules["reverse"], mask)
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

    return made.once("called as it is", lambda: Function(function.__name__, build))


def _named(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """The function with its last arguments, which were given by name, given by position."""

    def called(*values: Any) -> Any:
        first = len(values) - len(names)
        return function(*values[:first], **dict(zip(names, values[first:], strict=True)))

    return called


def _applied(
    plain: Function, rule: Callable[..., Any], result: Atom, arguments: tuple[Atom, ...], change: Atom, builder: Builder
) -> Variable:
    """A call of a rule, written into the builder."""
    packed = builder.emit(PRIMITIVES["tuple"], *arguments)
    made = _plain(rule, (result.kind, packed.kind, change.kind))
    answer = Variable(f"{plain.name}_rule", made.program.results[0].kind)
    builder.block.append(Call((answer,), made, (result, packed, change)))
    return answer


def _parameters(program: Program) -> tuple[Variable, ...]:
    return tuple(Variable(parameter.name, parameter.kind, parameter.given) for parameter in program.parameters)


def _forward(plain: Function, rule: Callable[..., Any], mask: tuple[bool, ...], directions: int) -> Program:
    arguments, builder = _parameters(plain.program), Builder()
    result = Variable("y", plain.program.results[0].kind)
    builder.block.append(Call((result,), plain, arguments))
    parameters, results = list(arguments), [result]
    for _ in range(directions):
        given = [Variable(f"d{v.name}", v.kind) if varies else None for v, varies in zip(arguments, mask, strict=True)]
        parameters += [tangent for tangent in given if tangent is not None]
        tangents = [
            zero(builder, v) if tangent is None else tangent for v, tangent in zip(arguments, given, strict=True)
        ]
        packed = builder.emit(PRIMITIVES["tuple"], *tangents)
        results.append(_applied(plain, rule, result, arguments, packed, builder))
    return Program(f"{plain.name}_forward", tuple(parameters), builder.block, tuple(results), plain.program.file)


def _split(plain: Function, rule: Callable[..., Any], mask: tuple[bool, ...]) -> tuple[Program, Program]:
    arguments, forth = _parameters(plain.program), Builder()
    result = Variable("y", plain.program.results[0].kind)
    forth.block.append(Call((result,), plain, arguments))
    stored = forth.emit(PRIMITIVES["tuple"], result, *arguments, name="stored")
    parameter, change = Variable("stored", stored.kind), Variable("d_dy", result.kind)
    back = Builder()
    again, *values = (
        back.emit(PRIMITIVES["item"], parameter, index=Constant(k), name=v.name)
        for k, v in enumerate((result, *arguments))
    )
    answer = _applied(plain, rule, again, tuple(values), change, back)
    found = [
        back.emit(PRIMITIVES["item"], answer, index=Constant(position), name=f"d_d{arguments[position].name}")
        for position, varies in enumerate(mask)
        if varies
    ]
    file = plain.program.file
    return (
        Program(f"{plain.name}_primal", arguments, forth.block, (result, stored), file),
        Program(f"{plain.name}_adjoint", (parameter, change), back.block, tuple(found), file),
    )
