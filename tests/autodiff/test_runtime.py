import pytest

from etude.autodiff import runtime
from etude.autodiff.primitives import PRIMITIVES


def test_every_primitive_stands_under_its_name() -> None:
    for name in ("add_at", "zeros_like", "unbroadcast"):
        assert getattr(runtime, name) is PRIMITIVES[name].evaluate


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no_such"):
        runtime.no_such  # noqa: B018
