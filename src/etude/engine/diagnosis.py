"""What went wrong in a step: which module first stopped being finite, which batch would have fitted."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from etude.data.kinds import Batch
from etude.systems.system import NonFiniteError, System

NO_MEMORY = re.compile(r"can't allocate memory|std::bad_alloc|could not create a (primitive|memory object)$")
CALMER = "a lower learning rate may prevent it"


def first_not_finite(system: System, batch: Batch, step: Callable[[], Any]) -> str:
    """Repeat the step and name the first thing in it that is not finite: an example, a module, a gradient."""
    for name, tensor in batch.tensors().items():
        if tensor.is_floating_point() and not (finite := torch.isfinite(tensor).reshape(len(tensor), -1).all(1)).all():
            worst = int(batch.index[~finite][0])
            return f"{name} of example {worst} in the data holds a value that is not finite: mend or remove it"
    for name, parameter in system.named_parameters():
        if not torch.isfinite(parameter).all():
            return f"the weights {name} were not finite before the step: begin again with another seed"
    what = ""
    with _watched(system) as seen:
        try:
            step()
        except NonFiniteError as error:
            what = str(error)
    if seen:
        return f"the first module with an output that is not finite is {seen[0]}: {CALMER}"
    bad = [name for name, p in system.named_parameters() if p.grad is not None and not torch.isfinite(p.grad).all()]
    if bad and what == "the gradient":
        return f"every module's output is finite, the gradient of {bad[-1]} is not: {CALMER}"
    return f"every module's output is finite, the rule's own arithmetic made it: {CALMER}"


@contextmanager
def _watched(system: System) -> Iterator[list[str]]:
    seen: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.is_floating_point() and not torch.isfinite(output).all():
                seen.append(f"{name} ({type(module).__name__})")

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in system.named_modules()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def out_of_memory(error: BaseException) -> bool:
    """Is it one of the ways in which Python, torch and oneDNN say that there is no memory left?"""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or bool(NO_MEMORY.search(str(error)))


def batch_that_fits(size: int, attempt: Callable[[int], Any]) -> int:
    """Halve the batch until a step fits with a quarter to spare; 0 where not even one example does."""
    while size := size // 2:
        try:
            attempt(size + size // 4)
            return size
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
    return 0
