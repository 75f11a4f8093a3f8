"""The Triton kernels of the LSTM against the eager operations: on a GPU or, where there is none, in the interpreter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.nn.test_recurrent import every_variant, given, learnable, there
from torch import Tensor

from etude.nn import recurrent
from etude.nn.recurrent import VARIANTS, Recurrence

triton = pytest.importorskip("triton", reason="Triton is for Linux")

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from etude.nn import recurrent_triton  # noqa: E402

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
DTYPES = {"float32": torch.float32, "float64": torch.float64}
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}
EDGES = torch.tensor([-torch.inf, 0, torch.inf, torch.nan])
NUMBERS = torch.cat([EDGES, torch.linspace(-80, 80, 3072), torch.logspace(-30, 0, 1020)]).double()

every_precision = pytest.mark.parametrize("precision", DTYPES)


def values_and_gradients(variant: str, precision: str) -> list[Tensor]:
    """Of two steps of two sequences."""
    x, y0, c0, *weights, gates0 = given(variant)
    few = x[:2, :2], y0[:2], c0[:2], *weights, None if gates0 is None else gates0[:2]  # type: ignore[index]
    inputs = learnable(None if value is None else value.to(DEVICE, DTYPES[precision]).contiguous() for value in few)
    found = Recurrence.apply(*inputs, variant)  # type: ignore[no-untyped-call]
    return [*found, *torch.autograd.grad(sum(value.square().sum() for value in found), there(inputs))]


def activations(precision: str) -> Tensor:
    """tanh and sigmoid of `NUMBERS`, as block input and input gate of a step."""
    gates = NUMBERS.to(DEVICE, DTYPES[precision]).repeat(1, 1, 4, 1)
    y, c = gates.new_zeros(2, 2, 1, len(NUMBERS))
    recurrent_triton.forward_arithmetic("NP", gates, y, c, None)(0)
    return gates[0, 0, :2]


def save_what_the_kernels_compute(path: str) -> None:
    """To be called in a process of its own, for what Triton interprets is settled when it is imported."""
    recurrent_triton.BLOCK = len(NUMBERS)
    found = {f"activations {precision}": activations(precision) for precision in DTYPES}
    recurrent.arithmetic = lambda x: recurrent_triton
    for variant in VARIANTS:
        recurrent_triton.BLOCK = 4 if variant == "FGR" else 8  # two programs for five units, or one
        for precision in DTYPES:
            values = values_and_gradients(variant, precision)
            found |= {f"{variant} {precision} {k}": value for k, value in enumerate(values)}
    save_file({name: value.detach().cpu().contiguous() for name, value in found.items()}, path)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    path = tmp_path_factory.mktemp("triton") / "found.safetensors"
    call = f"from {__name__} import save_what_the_kernels_compute as save; save({str(path)!r})"
    where = {} if GPU else {"TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", call], env=os.environ | where, cwd=Path(__file__).parents[2], check=True)
    return load_file(path)


@every_variant
@every_precision
def test_the_kernels_compute_what_the_eager_operations_do(
    variant: str, precision: str, found: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurrent, "arithmetic", lambda x: recurrent.Eager)
    for k, value in enumerate(values_and_gradients(variant, precision)):
        ours, tolerance = found[f"{variant} {precision} {k}"], TOLERANCES[precision]
        torch.testing.assert_close(ours, value.detach().cpu(), rtol=tolerance, atol=tolerance)


def test_they_are_chosen_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "can_fuse_on_gpu", lambda x: True)
    assert recurrent.arithmetic(torch.zeros(1, dtype=torch.float64)) is recurrent_triton


@every_precision
def test_the_activations_keep_the_digits_of_small_numbers(precision: str, found: dict[str, Tensor]) -> None:
    x = NUMBERS.to(DTYPES[precision]).double()
    exact = torch.stack([x.tanh(), x.sigmoid()]).to(DTYPES[precision])
    torch.testing.assert_close(
        found[f"activations {precision}"], exact, rtol=TOLERANCES[precision], atol=0, equal_nan=True
    )


@pytest.mark.parametrize(("variant", "number"), [*((variant, "fp32") for variant in VARIANTS), ("vanilla", "fp64")])
def test_the_kernels_compile_where_there_is_no_gpu(
    variant: str, number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    gates = torch.empty(1, 1, len(VARIANTS[variant].gates), 64)
    seen = {"SEEN": VARIANTS[variant].seen}
    for kernel, more in ((recurrent_triton.forward_step, {}), (recurrent_triton.backward_step, seen)):
        asked = recurrent_triton.launch(kernel, variant, gates, **more).keywords
        constants = {name: value for name, value in asked.items() if name != "units"}
        whole = dict.fromkeys(("t", "units"), "i32") | dict.fromkeys(constants, "constexpr")
        signature = {name: whole.get(name, f"*{number}") for name in kernel.arg_names}
        compiled = triton.compile(ASTSource(kernel, signature, constants), target=GPUTarget("cuda", 90, 32))
        assert compiled.asm["cubin"]
