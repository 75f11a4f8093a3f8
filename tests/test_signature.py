"""What is read off a system's signature, and how a wrong value is told."""

from typing import Any, Literal

import numpy as np
import pytest

from etude.errors import InputError
from etude.signature import acts_on_another, arguments, dimensions, fit, resolve
from etude.systems.feedforward.mlp import MLP
from etude.systems.system import Phase, System


class Example(System):
    """An example.

    Args:
        features: numbers in an example.
        width: units of the layer, in [1, inf) (section 2).
        share: what is kept, at each of
            the steps, in [0, 1) (figure 3 (b); the code has another).
        sizes: of the layers, in [1, inf) (ours).
        mode: how it is done (ours).
        rate: None for the paper's schedule, in (0, 1] (section 4).
        flag: on or off (ours).
    """

    def __init__(
        self,
        features: int,
        *,
        width: int = 3,
        share: float = 0.5,
        sizes: tuple[int, ...] = (4, 5),
        mode: Literal["one", "two"] = "one",
        rate: float | None = None,
        flag: bool = False,
    ) -> None:
        super().__init__()

    def phases(self) -> list[Phase]:
        return []


def test_lines_give_meaning_range_and_source() -> None:
    share = arguments(Example)["share"]
    assert (share.meaning, share.interval) == ("what is kept, at each of the steps", "[0, 1)")
    assert share.source == "figure 3 (b); the code has another"
    assert share.expects == "a number in [0, 1)"
    assert arguments(Example)["mode"].expects == "one of one, two"
    assert dimensions(Example) == ("features",)
    assert not acts_on_another(Example)


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("share", 0, 0.0),
        ("sizes", [7], (7,)),
        ("sizes", [], ()),
        ("rate", None, None),
        ("rate", 1, 1.0),
        ("rate", np.float32(0.5), 0.5),
        ("width", np.int64(4), 4),
        ("flag", True, True),
    ],
)
def test_values_come_back_in_their_own_type(name: str, given: Any, kept: Any) -> None:
    value = resolve(Example, {name: given})[name]
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("width", 0, r"--width 0: expected a whole number in \[1, inf\)"),
        ("width", 2.5, r"--width 2.5: expected a whole number in \[1, inf\)"),
        ("width", True, "--width True: expected a whole number"),
        ("share", 1.0, r"--share 1.0: expected a number in \[0, 1\)"),
        ("share", float("nan"), r"--share nan: expected a number in \[0, 1\)"),
        ("sizes", (3, 0), r"--sizes 3 0: expected numbers, each a whole number in \[1, inf\)"),
        ("mode", "three", "--mode three: expected one of one, two"),
        ("rate", 0.0, "--rate 0.0: expected a number or None"),
        ("widht", 3, "no option of Example is called 'widht': did you mean 'width'"),
    ],
)
def test_wrong_values_are_told_in_a_line(name: str, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve(Example, {name: given})


def test_sizes_come_from_the_data() -> None:
    assert fit(Example, {"features": 4, "classes": 0}) == {"features": 4}
    with pytest.raises(InputError, match="Example needs features and the data have none"):
        fit(Example, {"channels": 1})
    with pytest.raises(InputError, match=r"MLP needs labels .* or name the column of a table by --target"):
        fit(MLP, {"features": 4, "outputs": 0})


class WithOrWithout(System):
    """Can do without classes."""

    def __init__(self, features: int, classes: int | None) -> None:
        super().__init__()

    def phases(self) -> list[Phase]:
        return []


def test_a_size_that_may_be_missing_is_none() -> None:
    assert dimensions(WithOrWithout) == ("features", "classes")
    assert fit(WithOrWithout, {"features": 4, "classes": 3}) == {"features": 4, "classes": 3}
    assert fit(WithOrWithout, {"features": 4, "classes": 0}) == {"features": 4, "classes": None}
    assert fit(WithOrWithout, {"features": 4}) == {"features": 4, "classes": None}
    with pytest.raises(InputError, match="WithOrWithout needs features and the data have none"):
        fit(WithOrWithout, {"classes": 3})
