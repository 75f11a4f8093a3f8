from pathlib import Path

import pytest

from etude.autodiff import TransformError, grad


def refused(x: float) -> float:
    y = x * 2
    try:
        return y
    except ValueError:
        return x


def calling(x: float) -> float:
    return refused(x) + 1


def test_the_message_says_where_and_why() -> None:
    error = TransformError("model.py", 7, "loss", "try is not supported")
    assert str(error) == "model.py:7: in loss: try is not supported"
    assert (error.file, error.line, error.reason) == ("model.py", 7, "try is not supported")


@pytest.mark.parametrize("function", [refused, calling])
def test_the_line_is_that_of_the_user(function: object) -> None:
    with pytest.raises(TransformError) as caught:
        grad(function)(1.0)  # type: ignore[arg-type]
    assert Path(caught.value.file) == Path(__file__)
    assert Path(__file__).read_text().splitlines()[caught.value.line - 1].strip() == "try:"
    assert "in refused: try" in str(caught.value)
    assert "\n" not in str(caught.value)
