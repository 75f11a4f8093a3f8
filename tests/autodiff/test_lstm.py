"""The backward pass of the LSTM that comes out of `etude.autodiff`, against the one written by hand for Étude."""

import ast
import re
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
import torch
from tests.autodiff.lstm import lstm

from etude.autodiff import derivative_source, jvp, vjp
from etude.nn.recurrent import Weights, backward_pass, forward_pass

T, F, N = 6, 3, 4
GATES, PEEPHOLES = "zifo", "ifo"


def stacked():
    """x, y0, c0, W, R, p and b, each of W, R, p and b for all gates at once."""
    random = np.random.default_rng(0)
    shapes = ((T, F), (N,), (N,), (4, N, F), (4, N, N), (3, N), (4, N))
    return [random.normal(size=shape) for shape in shapes]


def separate(x, y, c, *weights):
    """The arguments of `lstm`."""
    return [x, y, c, *(part for each in weights for part in each)]


def joint(x, y, c, *parts):
    """The other way round."""
    bounds = np.cumsum([0, 4, 4, 3, 4])
    return [x, y, c, *(np.stack(parts[start:end]) for start, end in pairwise(bounds))]


def by_hand(delta, delta_c):
    """Outputs, last cells and gradients by the equations in `etude.nn.recurrent`, for one sequence."""
    x, y, c, *weights = map(torch.tensor, stacked())
    W, states = Weights(*weights), forward_pass(x[:, None], y[None], c[None], Weights(*weights))
    at_cells = torch.zeros_like(states.c[1:])
    at_cells[-1] = torch.tensor(delta_c)
    dx, dy, dc, gradients, _ = backward_pass(torch.tensor(delta)[:, None], at_cells, x[:, None], W, states)
    return states.y[1:, 0], states.c[-1, 0], [dx[:, 0], dy[0], dc[0], *gradients[:4]]


def equations():
    """For each variable of the printed adjoint loop, the names on the right of each of its lines."""
    text = derivative_source(lstm, arguments=separate(*stacked()))
    loop = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.For)][-1]
    found, temporaries = defaultdict(list), {"np": set()}
    for line in loop.body:
        target = ast.unparse(line.target if isinstance(line, ast.AugAssign) else line.targets[0])
        names = {node.id for node in ast.walk(line.value) if isinstance(node, ast.Name)}
        names = set().union(*(temporaries.get(name, {name}) for name in names))
        if re.fullmatch(r"t\d+", target):
            temporaries[target] = names
        else:
            found[target].append(names)
    return found


def test_the_gradients_are_those_written_by_hand():
    random = np.random.default_rng(1)
    delta, delta_c = random.normal(size=(T, N)), random.normal(size=N)
    (outputs, cells), pullback = vjp(lstm, *separate(*stacked()))
    expected_outputs, expected_cells, expected = by_hand(delta, delta_c)
    np.testing.assert_allclose(outputs, expected_outputs, rtol=1e-12)
    np.testing.assert_allclose(cells, expected_cells, rtol=1e-12)
    for found, gradient in zip(joint(*pullback((delta, delta_c))), expected, strict=True):
        np.testing.assert_allclose(found, gradient, rtol=1e-10, atol=1e-12)


def test_forward_mode_gives_the_same_change():
    random = np.random.default_rng(2)
    arguments = separate(*stacked())
    tangents = [random.normal(size=argument.shape) for argument in arguments]
    delta, delta_c = random.normal(size=(T, N)), random.normal(size=N)
    _, (change, change_c) = jvp(lstm, arguments, tuple(tangents))
    gradients = by_hand(delta, delta_c)[2]
    along = sum(float(np.sum(g.numpy() * t)) for g, t in zip(gradients, joint(*tangents), strict=True))
    assert np.sum(delta * change) + delta_c @ change_c == pytest.approx(along, rel=1e-10)


def test_the_printed_adjoint_has_the_lines_of_the_course():
    """Its slides "Training: Backpropagation through time": one line for each delta, in the order that they need."""
    lines = equations()
    bars = [name for name in lines if name.endswith("_bar")]
    assert bars == ["d_do_bar", "d_df_bar", "d_di_bar", "d_dz_bar"]
    assert lines["d_do_bar"] == [{"d_dy", "h", "o"}]
    assert lines["d_df_bar"] == [{"d_dc", "c", "f"}]
    assert lines["d_di_bar"] == [{"d_dc", "z", "i"}]
    assert lines["d_dz_bar"] == [{"d_dc", "i", "z"}]
    for gate in GATES:
        assert lines[f"d_dW{gate}"] == [{f"d_d{gate}_bar", "x_t"}]
        assert lines[f"d_dR{gate}"] == [{f"d_d{gate}_bar", "y"}]
        assert lines[f"d_db{gate}"] == [{f"d_d{gate}_bar"}]
    for gate, cell in zip(PEEPHOLES, ("c", "c", "c1"), strict=True):
        assert lines[f"d_dp{gate}"] == [{f"d_d{gate}_bar", cell}]
    peepholes = {f"p{gate}" for gate in PEEPHOLES} | {f"d_d{gate}_bar" for gate in PEEPHOLES}
    assert set().union(*lines["d_dc"]) == {"d_dc", "d_dy", "h", "o", "f"} | peepholes
    assert set().union(*lines["d_dy"]) >= {f"R{gate}" for gate in GATES} | set(bars)
    assert set().union(*lines["d_dx_t"], *lines["d_dx[k]"]) >= {f"W{gate}" for gate in GATES} | set(bars)
