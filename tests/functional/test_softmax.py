"""Two properties of softmax that the course states (course 004, module 0.1), of torch's own."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd.functional import jacobian


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=6), st.floats(-1e6, 1e6))
def test_adding_a_constant_changes_nothing(logits: list[float], constant: float) -> None:
    z = torch.tensor(logits, dtype=torch.float64)
    torch.testing.assert_close(torch.softmax(z + constant, 0), torch.softmax(z, 0), rtol=1e-7, atol=1e-9)


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=6))
def test_the_jacobian_is_diag_s_minus_s_s(logits: list[float]) -> None:
    z = torch.tensor(logits, dtype=torch.float64)
    s = torch.softmax(z, 0)
    found = jacobian(lambda z: torch.softmax(z, 0), z)
    torch.testing.assert_close(found, torch.diag(s) - torch.outer(s, s))
