"""Random programs: each returns what the function returns that it is made of."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.autodiff.interpret import run
from tests.autodiff.preparation.agreement import program
from tests.autodiff.programs import programs


@pytest.mark.parametrize("vectors", [False, True], ids=["numbers", "vectors"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_programs(vectors: bool, data: st.DataObject) -> None:
    example = data.draw(programs(vectors))
    made = program(example.function, *example.arguments)
    np.testing.assert_array_equal(run(made, *example.arguments), example.function(*example.arguments))
