"""The rules of all primitives. Importing this package fills the tables of `etude.autodiff.primitives`."""

from etude.autodiff.rules import (  # noqa: F401
    arithmetic,
    builtins,
    containers,
    creation,
    elementwise,
    linear,
    methods,
    reductions,
    selection,
    shapes,
    stacking,
    systems,
    tensors,
)
