"""What is asked of every primitive: its rules against finite differences, each other, and themselves differentiated."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from tests.autodiff import interpret

import etude.autodiff.rules  # noqa: F401
from etude.autodiff.forward import forward
from etude.autodiff.kinds import join, kind_of, kinds_of
from etude.autodiff.primitives import PRIMITIVES, Builder, Primitive
from etude.autodiff.program import Constant, Program, Variable
from etude.autodiff.reverse import joined


@dataclass
class Case:
    """A call of a primitive.

    Attributes:
        name: the primitive's name.
        inputs: its inputs. Those that hold floating-point numbers vary.
        keywords: its keywords.
        fixed: the positions of inputs that hold floating-point numbers and yet do not vary.
        torch: the same function of PyTorch, which knows the keywords itself.
    """

    name: str
    inputs: tuple[Any, ...]
    keywords: dict[str, Any] = field(default_factory=dict)
    fixed: tuple[int, ...] = ()
    torch: Callable[..., Any] | None = None

    def __str__(self) -> str:
        shapes = [str(np.shape(value)) if isinstance(value, np.ndarray) else repr(value) for value in self.inputs]
        return f"{self.name}({', '.join([*shapes, *(f'{key}={value}' for key, value in self.keywords.items())])})"

    @property
    def primitive(self) -> Primitive:
        return PRIMITIVES[self.name]

    @property
    def mask(self) -> tuple[bool, ...]:
        """Which inputs vary."""
        return tuple(kind_of(x).differentiable and k not in self.fixed for k, x in enumerate(self.inputs))

    @property
    def varying(self) -> list[Any]:
        return [x for x, varies in zip(self.inputs, self.mask, strict=True) if varies]

    @property
    def program(self) -> Program:
        """The call as a program of its inputs."""
        parameters = tuple(Variable(f"x{k}", kind_of(x)) for k, x in enumerate(self.inputs))
        builder = Builder(scalar=self.name.startswith("math."))
        keywords = {key: Constant(value) for key, value in self.keywords.items()}
        result = builder.emit(self.primitive, *parameters, name="y", **keywords)
        return Program("f", parameters, builder.block, (result,))

    def with_varying(self, values: list[Any]) -> tuple[Any, ...]:
        """The inputs with others in the place of those that vary."""
        left = iter(values)
        return tuple(next(left) if varies else x for x, varies in zip(self.inputs, self.mask, strict=True))

    def value(self, varying: list[Any] | None = None) -> Any:
        """The result, for other values of what varies if they are given; `add_at` may change copies of the inputs."""
        inputs = self.inputs if varying is None else self.with_varying(varying)
        return self.primitive.evaluate(*deepcopy(inputs), **self.keywords)


def run(program: Program, *values: Any) -> Any:
    """What a program returns; it is given copies of the values, which `add_at` may change."""
    return interpret.run(program, *deepcopy(values))


def combine(function: Callable[..., Any], *trees: Any) -> Any:
    """A function of floating-point numbers or arrays, at every place of containers of the same structure."""
    first = trees[0]
    if isinstance(first, tuple | list):
        return type(first)(combine(function, *parts) for parts in zip(*trees, strict=True))
    if isinstance(first, dict):
        return {key: combine(function, *(tree[key] for tree in trees)) for key in first}
    return function(*trees) if kind_of(first).differentiable else first


def leaves(tree: Any) -> list[Any]:
    """The floating-point numbers and arrays in a container."""
    found: list[Any] = []
    combine(found.append, tree)
    return found


def random_like(tree: Any, rng: np.random.Generator) -> Any:
    """Random numbers in the shape of floating-point numbers and arrays."""

    def draw(x: Any) -> Any:
        return np.asarray(rng.standard_normal(x.shape), x.dtype) if isinstance(x, np.ndarray) else rng.standard_normal()

    return combine(draw, tree)


def inner(a: Any, b: Any) -> float:
    """The inner product of two containers of the same structure."""
    return sum(float(np.sum(x * y)) for x, y in zip(leaves(a), leaves(b), strict=True))


def difference(function: Callable[..., Any], at: list[Any], direction: list[Any], step: float = 1e-3) -> Any:
    """The directional derivative by the five-point stencil, with error of order step^4."""

    def value(h: float) -> Any:
        return function(combine(lambda x, dx: x + h * step * dx, at, direction))

    return combine(lambda a, b, c, d: (a - 8 * b + 8 * c - d) / (12 * step), value(-2), value(-1), value(1), value(2))


def close(actual: Any, expected: Any, tolerance: float = 1e-7) -> None:
    for a, b in zip(leaves(actual), leaves(expected), strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def check(case: Case) -> None:
    """All that must hold of a primitive at one place, except in comparison with PyTorch."""
    rng = np.random.default_rng(0)
    check_kind(case)
    if any(case.mask):
        check_first(case, rng)
        check_second(case, rng)
        check_reverse_twice(case, rng)


def check_kind(case: Case) -> None:
    """What is known of the result before the program runs is what it turns out to be, as far as sizes of axes go."""
    result = case.value()
    *inputs, expected = kinds_of((*case.inputs, result))
    found = case.primitive.kind(*map(kind_of, case.inputs), **case.keywords)
    assert type(found) is type(expected)
    assert join(found, kind_of(result)) == kind_of(result), str(case)
    sized = case.primitive.kind(*inputs, **case.keywords)
    assert join(sized, expected) == sized, str(case)


def check_first(case: Case, rng: np.random.Generator) -> None:
    """Forward rules against finite differences; reverse rules, their transposes, have the shapes of the inputs."""
    direction = random_like(case.varying, rng)
    result, change = run(forward(case.program, case.mask), *case.inputs, *direction)
    close(change, difference(case.value, case.varying, direction))
    seed = random_like(result, rng)
    gradients = list(run(joined(case.program, case.mask), *case.inputs, seed)[1:])
    for gradient, x in zip(leaves(gradients), leaves(case.varying), strict=True):
        assert np.shape(gradient) == np.shape(x), str(case)
    np.testing.assert_allclose(inner(gradients, direction), inner(seed, change), rtol=1e-10, atol=1e-10)


def check_second(case: Case, rng: np.random.Generator) -> None:
    """Forward over forward and forward over reverse against finite differences of the first derivative."""
    seed = random_like(case.value(), rng)
    tangents = random_like(case.varying, rng)
    direction = random_like(case.varying, rng)
    for first, others in ((forward(case.program, case.mask), tangents), (joined(case.program, case.mask), [seed])):

        def derivative(varying: list[Any], first: Program = first, others: list[Any] = others) -> Any:
            return list(run(first, *case.with_varying(varying), *others)[1:])

        mask = (*case.mask, *(False for _ in others))
        results = run(forward(first, mask), *case.inputs, *others, *direction)
        close(list(results[len(first.results) + 1 :]), difference(derivative, case.varying, direction), 1e-6)


def check_reverse_twice(case: Case, rng: np.random.Generator) -> None:
    """Reverse over reverse is the transpose of forward over reverse, with the adjoint of the result varying too."""
    first = joined(case.program, case.mask)
    mask = (*case.mask, True)
    values = (*case.inputs, random_like(case.value(), rng))
    direction = random_like([*case.varying, values[-1]], rng)
    results = run(forward(first, mask), *values, *direction)
    changes = list(results[len(first.results) :])
    seeds = random_like(changes, rng)
    gradients = list(run(joined(first, mask), *values, *seeds)[len(first.results) :])
    np.testing.assert_allclose(inner(gradients, direction), inner(seeds, changes), rtol=1e-9, atol=1e-9)


def check_torch(case: Case) -> None:
    """Value and gradient against PyTorch's."""
    assert case.torch is not None
    seed = random_like(case.value(), np.random.default_rng(0))
    value, *gradients = run(joined(case.program, case.mask), *case.inputs, seed)
    tensors = [combine(lambda x: torch.tensor(x, dtype=torch.float64, requires_grad=True), x) for x in case.varying]
    result = case.torch(*case.with_varying(tensors))
    close(leaves(value), [part.detach().numpy() for part in leaves_of(result)])
    parts = [(x * torch.as_tensor(y)).sum() for x, y in zip(leaves_of(result), leaves(seed), strict=True)]
    origins = [leaf for tensor in tensors for leaf in leaves_of(tensor)]
    expected = torch.autograd.grad(sum(parts, torch.tensor(0.0)), origins, materialize_grads=True)
    close(leaves(gradients), [gradient.numpy() for gradient in expected])


def leaves_of(tree: Any) -> list[torch.Tensor]:
    """The tensors in a container."""
    return [leaf for part in tree for leaf in leaves_of(part)] if isinstance(tree, tuple | list) else [tree]


def check_single_precision(case: Case) -> None:
    """Arrays of single precision stay so: results, tangents and adjoints."""
    inputs = tuple(
        combine(lambda x: np.float32(x) if np.ndim(x) == 0 else x.astype(np.float32), x) for x in case.inputs
    )
    single = Case(case.name, inputs, case.keywords, case.fixed)
    rng = np.random.default_rng(0)
    tangents = random_like(single.varying, rng)
    result, change = run(forward(single.program, single.mask), *inputs, *tangents)
    gradients = run(joined(single.program, single.mask), *inputs, result)[1:]
    for value in leaves([result, change, list(gradients)]):
        assert np.ndim(value) == 0 or value.dtype == np.float32, str(case)
