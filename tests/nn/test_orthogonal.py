"""Orthogonal first weights: R R' = I gate by gate in every block, and what that does to a gradient."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from etude.errors import InputError
from etude.nn import CTGRU, CTRNN, GRU, LTC, NeuralODECell, PeepholeLSTM, orthogonal_
from etude.nn.orthogonal import recurrent_matrices
from etude.nn.recurrent import VARIANTS

F, N, STEPS = 3, 8, 500
EACH_WAY: dict[str, tuple[Callable[..., nn.Module], dict[str, str], int]] = {
    **{f"LSTM {name}": (PeepholeLSTM, {"variant": name}, len(rule.gates)) for name, rule in VARIANTS.items()},
    "LSTM FGR": (PeepholeLSTM, {"variant": "FGR"}, 4 + 9),
    "GRU before": (GRU, {"reset": "before"}, 3),
    "GRU after": (GRU, {"reset": "after"}, 3),
    "CT-RNN": (CTRNN, {}, 1),
    "CT-GRU": (CTGRU, {}, 3),
    "neural ODE": (NeuralODECell, {}, 1),
    "torch's LSTM": (nn.LSTM, {}, 4),
    "torch's GRU": (nn.GRU, {}, 3),
    "torch's RNN": (nn.RNN, {}, 1),
}
"""Blocks, their options, and the recurrent matrices of a layer and direction."""


@pytest.mark.parametrize("name", EACH_WAY)
def test_every_gates_matrix_is_orthogonal_and_nothing_else_changes(name: str) -> None:
    kind, options, each_way = EACH_WAY[name]
    block = kind(F, N, 2, bidirectional=True, **options).double()
    before = {key: value.clone() for key, value in block.state_dict().items()}
    assert orthogonal_(block) is block
    matrices = list(recurrent_matrices(block))
    assert len(matrices) == 4 * each_way
    for matrix in matrices:
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(N, dtype=torch.float64))
    changed = [key for key, value in block.state_dict().items() if not torch.equal(value, before[key])]
    numbers = sum(value.numel() for key, value in block.state_dict().items() if key in changed)
    assert numbers == len(matrices) * N * N


@pytest.mark.parametrize(("cell", "gates"), [(nn.LSTMCell, 4), (nn.GRUCell, 3), (nn.RNNCell, 1)])
def test_torchs_cells_have_their_gates_one_below_the_other(cell: Callable[..., nn.RNNCellBase], gates: int) -> None:
    made = orthogonal_(cell(F, N))
    R = made.weight_hh.detach().view(gates, N, N)
    torch.testing.assert_close(R @ R.mT, torch.eye(N).expand(gates, N, N), rtol=0, atol=1e-5)


def linear() -> PeepholeLSTM:
    """One whose gates are shut and open for good, and which does not squash its input: y^t = R y^(t-1) for small y."""
    block = PeepholeLSTM(F, N, variant="NIAF").double()
    layer = block.layers[0]
    nn.init.normal_(layer.get_parameter("R"), std=N**-0.5)
    for key in ("W", "p"):
        nn.init.zeros_(layer.get_parameter(key))
    always = torch.tensor([0.0, 1e3, -1e3, 1e3])  # z, i, f, o
    layer.get_parameter("b").data = always[:, None].expand(4, N).double().clone()
    return block


def shrinkage(block: nn.Module) -> float:
    """What STEPS steps make of the norm of a gradient."""
    y0 = 1e-5 * torch.randn(1, 1, N, dtype=torch.float64).requires_grad_()
    y, _ = block(torch.zeros(STEPS, 1, F, dtype=torch.float64), (y0, torch.zeros(1, 1, N, dtype=torch.float64)))
    arriving = torch.randn(1, N, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(y[-1], y0, arriving)
    return float(gradient.norm() / arriving.norm())


@pytest.mark.parametrize("seed", range(3))
def test_orthogonal_weights_keep_a_gradients_norm_over_500_steps_and_gaussian_ones_do_not(seed: int) -> None:
    torch.manual_seed(seed)
    block = linear()
    assert abs(math.log10(shrinkage(block))) > 1
    assert shrinkage(orthogonal_(block)) == pytest.approx(1, abs=1e-5)


def test_what_cannot_be_orthogonal_is_refused() -> None:
    for module in (LTC(F, N), nn.Linear(F, N)):
        with pytest.raises(InputError, match="has no recurrent matrix that could be orthogonal"):
            orthogonal_(module)


def test_a_network_that_holds_blocks_is_gone_through() -> None:
    network = nn.Sequential(GRU(F, N), nn.Sequential(CTRNN(N, N)), nn.Linear(N, N))
    found: list[Tensor] = list(recurrent_matrices(orthogonal_(network)))
    assert len(found) == 4
