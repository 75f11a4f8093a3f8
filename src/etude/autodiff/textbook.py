"""The prefix functions that programs in the textbook style are written in: `from etude.autodiff.textbook import *`.

Every primitive stands here under its name, as on the slides of course/004, module 10. Tuples, lists and dictionaries
are written as themselves, functions of `math` with their module; `sum` and other names that Python and NumPy share are
NumPy's.
"""

from typing import Any

import etude.autodiff.rules  # noqa: F401  fills the table of primitives
from etude.autodiff.primitives import PRIMITIVES


def mul(x: Any, y: Any) -> Any:
    """x * y; for a pair y = (a, b) the pair (x * a, x * b), the slides' notation for the adjoint of a product."""
    return PRIMITIVES["multiples"].evaluate(x, *y) if isinstance(y, tuple) else x * y


def item(x: Any, index: Any) -> Any:
    """x[index]."""
    return x[index]


_special = {"mul": mul, "item": item}
_plain = {name: primitive.evaluate for name, primitive in PRIMITIVES.items() if name.isidentifier()}
_functions = {name: function for name, function in _plain.items() if name not in ("tuple", "list", "dict")} | _special
globals().update(_functions)
__all__ = sorted(_functions)
