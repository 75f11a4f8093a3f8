"""What the methods and attributes of arrays become."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etude.autodiff.primitives import ATTRIBUTES, FUNCTIONS, METHODS, Binding
from etude.autodiff.program import Atom, Constant
from etude.autodiff.rules import elementwise, reductions, selection, tensors  # noqa: F401  fill FUNCTIONS
from etude.autodiff.rules.registry import OTHER, constant
from etude.autodiff.rules.shapes import T, matrix_transpose, ndim, reshape, shape, size


@dataclass(frozen=True, eq=False)
class Packed(Binding):
    """A call that may give the items of its one keyword, literal integers, as so many arguments."""

    def arguments(self, given: Sequence[Atom], named: dict[str, Atom]) -> tuple[tuple[Atom, ...], dict[str, Atom]]:
        x, *items = given
        literals = [item.value for item in items if isinstance(item, Constant)]
        if len(items) < 2:
            return super().arguments(given, named)
        if len(literals) < len(items):
            raise TypeError(f"{self.primitive.name} needs its {self.names[-1]} written out")
        return super().arguments((x, Constant(tuple(literals))), named)


for function in (
    *(np.sum, np.prod, np.mean, np.var, np.std, np.max, np.min, np.cumsum, np.cumprod, np.any, np.all, np.argmax),
    *(np.argmin, np.argsort, np.ravel, np.squeeze, np.swapaxes, np.copy, np.repeat, np.take, np.diagonal, np.trace),
    *(np.dot, np.clip, np.round),
):
    METHODS[function.__name__] = FUNCTIONS[function]
METHODS["flatten"] = FUNCTIONS[np.ravel]
METHODS["astype"] = FUNCTIONS[np.astype]
METHODS["reshape"] = Binding(reshape, inputs=None)
METHODS["transpose"] = Packed(FUNCTIONS[np.transpose].primitive, ("a", "axes"))
FUNCTIONS[np.reshape] = Binding(reshape, ("a", "shape"), 2)
dtype = constant("dtype", lambda x: x.dtype, kind=OTHER, template="{0}.dtype")
ATTRIBUTES.update(T=T, mT=matrix_transpose, shape=shape, ndim=ndim, size=size, dtype=dtype)
