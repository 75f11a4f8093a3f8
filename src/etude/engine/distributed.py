"""Several processes on one training: started by `torchrun`, joined here; gradients are averaged in `descend`.

Every process sees its share of each batch, so that N processes take the steps that one would take with the whole batch.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed

from etude.errors import InputError


@contextmanager
def processes(device: torch.device) -> Iterator[None]:
    """Join the processes that `torchrun` started; with one process, nothing happens.

    Raises:
        InputError: fewer processes joined than were asked for.
    """
    asked = int(os.environ.get("WORLD_SIZE", "1"))
    if asked == 1 or distributed.is_initialized():
        yield
        return
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    if distributed.get_world_size() != asked:
        raise InputError(f"{asked} processes were asked for and {distributed.get_world_size()} joined")
    try:
        yield
        distributed.barrier()  # they part together: what one still writes, another may be about to read
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


def first() -> bool:
    """Is this the process that speaks for all, whether or not they have joined?"""
    return os.environ.get("RANK", "0") == "0"


def world() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def share(index: Tensor) -> Tensor:
    """This process's part of a batch, as large as every other's.

    Raises:
        InputError: the batch cannot be shared out evenly.
    """
    if len(index) % world():
        raise InputError(
            f"a batch of {len(index)} cannot be shared by {world()} processes: choose --batch divisible by {world()}"
        )
    return index[rank() :: world()]


def largest(number: int) -> int:
    """The largest of all processes' numbers. All of them must ask."""
    if world() == 1:
        return number
    told = torch.tensor(int(number))
    distributed.all_reduce(told, op=distributed.ReduceOp.MAX)
    return int(told.item())


def mean(own: Tensor) -> Tensor:
    """The mean of all processes' tensors. All of them must ask."""
    if world() == 1:
        return own
    total = own.clone()
    distributed.all_reduce(total)
    return total / world()


def gather(own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The byte tensors of every process, named `RANK/name`."""
    if world() == 1:
        return {f"0/{name}": tensor for name, tensor in own.items()}
    everyone = {}
    for name, tensor in sorted(own.items()):
        parts = [torch.empty_like(tensor) for _ in range(world())]
        distributed.all_gather(parts, tensor)
        everyone.update({f"{r}/{name}": part for r, part in enumerate(parts)})
    return everyone
