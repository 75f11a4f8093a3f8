"""The slides' own program and notation run as they stand."""

import math

import numpy as np

from etude.autodiff.primitives import PRIMITIVES

PROGRAM = """
from etude.autodiff.textbook import *

(x1, x2) = dup(x)
p = mul(7, x1)
(p1, p2) = dup(p)
r = div(1, y)
i1 = mul(p1, x2)
q = mul(i1, 5)
i2 = mul(2, p2)
i3 = mul(i2, q)
i4 = mul(3, r)
v = add(i3, i4)
(d_di3, d_di4) = dup(d_dv)
(_, d_dr) = mul(d_di4, (r, 3))
(d_di2, d_dq) = mul(d_di3, (q, i2))
(_, d_dp2) = mul(d_di2, (p2, 2))
(d_di1, _) = mul(d_dq, (5, i1))
(d_dp1, d_dx2) = mul(d_di1, (x2, p1))
d_dy = negate(div(d_dr, mul(y, y)))
d_dp = add(d_dp1, d_dp2)
(_, d_dx1) = mul(d_dp, (x1, 7))
d_dx = add(d_dx1, d_dx2)
"""


def run(text: str, **values: object) -> dict[str, object]:
    namespace = dict(values)
    exec(text, namespace)
    return namespace


def test_the_slides_reverse_program_runs() -> None:
    result = run(PROGRAM, x=1.3, y=0.7, d_dv=1.0)
    # v = 2 * 7x * 5 * 7x * x + 3 / y
    assert math.isclose(result["v"], 490 * 1.3**3 + 3 / 0.7)  # type: ignore[arg-type]
    assert math.isclose(result["d_dx"], 3 * 490 * 1.3**2)  # type: ignore[arg-type]
    assert math.isclose(result["d_dy"], -3 / 0.7**2)  # type: ignore[arg-type]


def test_every_primitive_is_there_under_its_name() -> None:
    names = run("from etude.autodiff.textbook import *")
    missing = {name for name in PRIMITIVES if name.isidentifier()} - names.keys()
    assert missing == {"tuple", "list", "dict"}


def test_indexing_in_prefix_form() -> None:
    result = run(
        "from etude.autodiff.textbook import *\ny = item(x, 1)\nd = add_at(zeros_like(x), y, index=1)", x=np.arange(3.0)
    )
    assert result["y"] == 1.0
    np.testing.assert_array_equal(result["d"], [0.0, 1.0, 0.0])


def test_sums_are_numpys() -> None:
    result = run("from etude.autodiff.textbook import *\ny = sum(x, axis=0)", x=np.ones((2, 3)))
    np.testing.assert_array_equal(result["y"], [2.0, 2.0, 2.0])
