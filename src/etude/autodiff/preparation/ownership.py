"""Which lists and arrays a function may change, because it made them and nobody else holds them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from etude.autodiff.kinds import Dict, Integer, Kind, List, Number, Other, Tuple
from etude.autodiff.primitives import Primitive
from etude.autodiff.program import MISSING, Atom, Constant, Variable

# fmt: off
NEW = frozenset((
    "matmul", "dot", "outer", "inner", "tensordot", "sum", "prod", "mean", "var", "std", "max", "min",
    "cumsum", "cumprod", "norm", "zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "arange",
    "linspace", "eye", "array", "copy", "concatenate", "stack", "hstack", "vstack", "tile", "repeat", "solve", "inv",
    "pad", "roll", "sort", "append", "extend", "list", "dict", "tuple", "set_at",
))
"""Primitives, beside the elementwise ones, whose results are new."""
# fmt: on

HOLDING = frozenset(("append", "extend", "list", "dict", "tuple"))
"""Those of them whose results hold their inputs."""

BOXING = frozenset(("array", "asarray", "copy", "zeros", "ones", "full", "zeros_like", "ones_like", "full_like"))
"""Primitives whose results of the kind of a number may be arrays without axes."""


@dataclass(eq=False)
class Ownership:
    """What is known of who holds the values of a function.

    Attributes:
        fresh: the variables whose lists and arrays the function made.
        aliased: those of them that others may hold too.
        lent: those of them that are being gone through.
        boxed: numbers that may be arrays without axes, which operators such as += change in place.
        views: for values that may be parts of the memory of others, or the same, those others.
    """

    fresh: set[Variable] = field(default_factory=set)
    aliased: set[Variable] = field(default_factory=set)
    lent: frozenset[Variable] = frozenset()
    boxed: set[Variable] = field(default_factory=set)
    views: dict[Variable, tuple[Variable, ...]] = field(default_factory=dict)

    def own(self, value: Any) -> bool:
        """Whether a list or array was made here and nobody else holds it; names may still stand for views of it.

        Numbers and literals cannot be changed, so it does not matter who holds them.
        """
        if isinstance(value, Constant):
            return not value.name
        if not isinstance(value, Variable):
            return False
        lasting = isinstance(value.kind, Number | Integer | Other) and value not in self.boxed
        return lasting or (value in self.fresh and value not in self.aliased and value not in self.lent)

    def alias(self, *values: Atom) -> None:
        """Note that others may hold these values, and with views what they are views of."""
        self.aliased.update(*map(self.memory, values))

    def lend(self, value: Atom) -> None:
        """Note that a list or dictionary is gone through until the end of the statement."""
        self.lent |= self.memory(value)

    def memory(self, value: Any) -> set[Variable]:
        """A value and all that it may be a view of."""
        found = {value} if isinstance(value, Variable) else set()
        return found.union(*(self.memory(other) for other in self.views.get(value, ())))

    def forget(self, *values: Any) -> None:
        """Note that it will not be known any more of what these values are views."""
        self.alias(*(value for value in values if isinstance(value, Variable) and value in self.views))

    def made(self, primitive: Primitive, result: Variable, inputs: tuple[Atom, ...]) -> None:
        """Note that a primitive made `result` of these inputs, which the result may hold, or parts of their memory."""
        if primitive.name in BOXING and isinstance(result.kind, Number | Integer):
            self.boxed.add(result)
        if primitive.elementwise or primitive.name in NEW:
            self.fresh.add(result)
            if primitive.name in HOLDING:
                self.alias(*(inputs[1:] if primitive.name == "append" else inputs))
            elif primitive.name == "set_at" and isinstance(result.kind, List):
                self.alias(inputs[1])
        elif primitive.effect:
            self.alias(*inputs)
        elif not innocent(primitive, result.kind, inputs):
            self.views[result] = tuple(value for value in inputs if isinstance(value, Variable))

    def stands_for(self, result: Variable, sources: Iterable[Atom]) -> None:
        """A variable that stands for one of the sources is this function's own if they all are."""
        sources = list(sources)
        self.forget(*sources)
        if self.boxed.intersection(sources):
            self.boxed.add(result)
        if all(source is MISSING or self.own(source) for source in sources):
            self.fresh.add(result)


def innocent(primitive: Primitive, kind: Kind, inputs: tuple[Atom, ...]) -> bool:
    """Whether a result of this kind cannot be changed, or is an item, whose change leaves the list around it alone."""
    picked = primitive.name == "item" and isinstance(inputs[0].kind, Tuple | List | Dict)
    return picked or isinstance(kind, Number | Integer | Other)
