"""The faster route is taken where it is as exact, and only for as long as asked."""

from collections.abc import Iterator

import pytest
import torch

from etude.engine.products import EXACT, products

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def caller() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def test_route_is_exact_whatever_was_chosen() -> None:
    generator = torch.Generator().manual_seed(3)
    a, b = torch.randn(500, 784, generator=generator), torch.randn(784, 300, generator=generator)
    exact = a.double() @ b.double()
    with products(CPU) as route:
        assert torch.get_float32_matmul_precision() == route
        assert torch.linalg.norm((a @ b).double() - exact) < EXACT * torch.linalg.norm(exact)


def test_faster_route_is_left_where_it_is_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CPUs where it means bfloat16."""
    monkeypatch.setattr("etude.engine.products.EXACT", 1e-9)
    with products(CPU) as route:
        assert route == "highest"


def test_faster_route_is_taken_where_it_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etude.engine.products.EXACT", 1.0)
    with products(CPU) as route:
        assert route == "medium"


@pytest.mark.parametrize("setting", ["highest", "high", "medium"])
def test_setting_of_the_caller_is_put_back(setting: str) -> None:
    torch.set_float32_matmul_precision(setting)
    with products(CPU):
        pass
    assert torch.get_float32_matmul_precision() == setting
    with pytest.raises(KeyError), products(CPU):
        raise KeyError
    assert torch.get_float32_matmul_precision() == setting


def test_random_state_is_not_touched() -> None:
    before = torch.get_rng_state()
    with products(CPU):
        assert torch.equal(torch.get_rng_state(), before)


def test_other_devices_keep_the_setting_of_the_caller() -> None:
    torch.set_float32_matmul_precision("high")
    with products(torch.device("meta")) as route:
        assert route == torch.get_float32_matmul_precision() == "high"
