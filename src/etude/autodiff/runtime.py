"""The functions that printed derivatives call by name: what computes each primitive of `etude.autodiff`."""

from collections.abc import Callable
from typing import Any

import etude.autodiff.rules  # noqa: F401
from etude.autodiff.primitives import PRIMITIVES


def __getattr__(name: str) -> Callable[..., Any]:
    if name not in PRIMITIVES:
        raise AttributeError(f"there is no primitive {name}")
    return PRIMITIVES[name].evaluate
