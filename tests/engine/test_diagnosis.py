"""What went wrong in a step is named."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from etude.catalogue import find
from etude.data.kinds import Splits, Vectors
from etude.engine.diagnosis import batch_that_fits, first_not_finite, out_of_memory
from etude.systems.system import Clock, System

CALMER = ": a lower learning rate may prevent it"


@pytest.fixture
def system() -> System:
    torch.manual_seed(0)
    return find("mlp")(6, 3, hidden=(8, 4))


def told(system: System, batch: Vectors) -> str:
    return first_not_finite(system, batch, lambda: system.phases()[0].step(batch, Clock(0, 0, 0.0)))


def rows(toy: Splits) -> Vectors:
    assert isinstance(toy.train, Vectors)
    return Vectors(toy.train.x, toy.train.y, toy.train.classes, index=toy.train.index)


def test_names_the_example(system: System, toy: Splits) -> None:
    batch = rows(toy)
    batch.x[5, 2] = math.nan
    number = int(batch.index[5])
    assert (
        told(system, batch) == f"x of example {number} in the data holds a value that is not finite: mend or remove it"
    )


def test_names_the_example_in_numbers_without_a_second_dimension(system: System, toy: Splits) -> None:
    y = torch.zeros(42)
    y[3] = math.inf
    batch = Vectors(rows(toy).x, y)
    assert told(system, batch) == "y of example 3 in the data holds a value that is not finite: mend or remove it"


def test_names_the_weights(system: System, toy: Splits) -> None:
    with torch.no_grad():
        system.get_parameter("network.2.bias")[1] = math.nan
    expected = "the weights network.2.bias were not finite before the step: begin again with another seed"
    assert told(system, rows(toy)) == expected


@pytest.mark.parametrize(("place", "kind"), [("0", "Linear"), ("2", "Linear"), ("4", "Linear")])
def test_names_the_first_module(system: System, toy: Splits, place: str, kind: str) -> None:
    with torch.no_grad():
        system.get_parameter(f"network.{place}.bias").fill_(3e38)
        system.get_parameter(f"network.{place}.weight").fill_(3e38)
    batch = rows(toy)
    expected = f"the first module with an output that is not finite is network.{place} ({kind}){CALMER}"
    assert told(system, Vectors(batch.x.abs() + 10, batch.y, batch.classes)) == expected


def test_names_a_module_that_computes_by_itself(system: System, toy: Splits) -> None:
    """All of its parts are finite, its own output is not."""

    class Logarithm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return torch.log(self.inner(x) * 0)

    system.get_submodule("network").register_module("1", Logarithm())
    assert "is network.1 (Logarithm)" in told(system, rows(toy))


def test_leaves_no_hooks(system: System, toy: Splits) -> None:
    told(system, rows(toy))
    assert not any(module._forward_hooks for module in system.modules())


@pytest.mark.parametrize("limit", [100, 64, 33, 12, 1])
def test_batch_that_fits_has_a_quarter_to_spare(limit: int) -> None:
    def attempt(size: int) -> None:
        if size > limit:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    expected = next(size for size in (50, 25, 12, 6, 3, 1) if size + size // 4 <= limit)
    assert batch_that_fits(100, attempt) == expected


def test_nothing_may_fit() -> None:
    def attempt(size: int) -> None:
        raise MemoryError

    assert batch_that_fits(100, attempt) == 0


def test_other_errors_are_not_about_memory() -> None:
    def attempt(size: int) -> None:
        raise RuntimeError("sizes of tensors must match")

    with pytest.raises(RuntimeError, match="must match"):
        batch_that_fits(4, attempt)


@pytest.mark.parametrize("ask", [lambda: torch.empty(2**60), lambda: bytearray(2**60)])
def test_errors_of_this_torch_and_python_are_recognised(ask: Callable[[], object]) -> None:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        ask()
    assert out_of_memory(caught.value)


def test_error_of_a_device_is_recognised() -> None:
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert out_of_memory(RuntimeError("could not create a primitive"))
    assert not out_of_memory(RuntimeError("could not create a primitive descriptor for a convolution"))
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
