"""Long tables and arrays of series: what each cell and each number becomes, and what is told of bad ones."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from etude.data import source
from etude.data.kinds import Sequences, Splits
from etude.errors import InputError

DRAW = np.random.default_rng(0)
LENGTHS = DRAW.integers(3, 9, 40)
HEAT = [DRAW.normal(20, 5, n) for n in LENGTHS]
GAPS = [DRAW.uniform(50, 70, n) for n in LENGTHS]
WHEN = [np.cumsum(gaps) for gaps in GAPS]


def long(path: Path, label: Any = lambda series, step: "", order: str = "time", dates: bool = False) -> Path:
    """Forty series of two to eight steps, their rows in disorder."""
    rows = []
    for series, n in enumerate(LENGTHS):
        for step in range(n):
            when = WHEN[series][step]
            moment = datetime(2024, 5, 1) + timedelta(seconds=float(when)) if dates else when
            flag, told = step % 2, moment if order == "time" else step
            rows.append(f"s{series},{told},{HEAT[series][step]},{flag},{label(series, step)}")
    DRAW.shuffle(rows)
    path.write_text("\n".join([f"id,{order},heat,flag,label", *rows]) + "\n")
    return path


def of_feature(part: Any, splits: Splits) -> list[list[float]]:
    """What `heat` was, series by series."""
    heat = splits.preparation["series"]["columns"][0]
    rows = zip(part.x[:, :, 0].double() * heat["std"] + heat["mean"], part.lengths.tolist(), strict=True)
    return [row[:n].tolist() for row, n in rows]


@pytest.mark.parametrize("dates", [False, True])
def test_a_series_is_the_rows_of_its_id_in_order(tmp_path: Path, dates: bool) -> None:
    splits = source.load(long(tmp_path / "mine.csv", lambda series, step: "ab"[series % 2], dates=dates))
    series = splits.preparation["series"]
    known = {round(float(heat[0]), 4): place for place, heat in enumerate(HEAT)}
    seen = []
    for part in splits.parts().values():
        assert isinstance(part, Sequences)
        assert part.times is not None
        assert part.y is not None
        assert part.classes == ("a", "b")
        for row, heat in enumerate(of_feature(part, splits)):
            place = known[round(heat[0], 4)]
            seen.append(place)
            np.testing.assert_allclose(heat, HEAT[place], atol=1e-4)
            assert part.x[row, : len(heat), 1].tolist() == [step % 2 for step in range(len(heat))]
            assert float(part.x[row, len(heat) :].abs().sum()) == 0
            times = (WHEN[place] - WHEN[place][0]) / series["unit"]
            np.testing.assert_allclose(part.times[row, : len(heat)].numpy(), times, atol=1e-3)
            assert int(part.y[row]) == place % 2
    assert sorted(seen) == list(range(40))
    assert splits.train.dimensions == {"features": 2, "classes": 2, "outputs": 2}


def test_columns_and_times_are_scaled_by_the_series_to_train_on(tmp_path: Path) -> None:
    path = long(tmp_path / "mine.csv")
    path.write_text("\n".join(line.rpartition(",")[0] for line in path.read_text().splitlines()))
    splits = source.load(path)
    known = {round(float(heat[0]), 4): place for place, heat in enumerate(HEAT)}
    train = [known[round(heat[0], 4)] for heat in of_feature(splits.train, splits)]
    series = splits.preparation["series"]
    heat = np.concatenate([HEAT[place] for place in train])
    assert series["columns"][0]["mean"] == pytest.approx(heat.mean())
    assert series["columns"][0]["std"] == pytest.approx(heat.std())
    gaps = np.sort(np.concatenate([GAPS[place][1:] for place in train]))
    assert series["unit"] == pytest.approx(gaps[(len(gaps) - 1) // 2])
    assert "y" not in splits.train.tensors()


@pytest.mark.parametrize(
    ("label", "dimensions", "dtype", "ndim"),
    [
        (lambda series, step: "ab"[step % 2], (2, 2), torch.int64, 2),
        (lambda series, step: "" if step == 1 else "ab"[step % 2], (1, 1), torch.int64, 2),
        (lambda series, step: series + step / 10, (0, 1), torch.float32, 3),
        (lambda series, step: series + 0.5, (0, 1), torch.float32, 2),
        (lambda series, step: "ab"[series % 2], (2, 2), torch.int64, 1),
    ],
)
def test_labels_are_of_steps_or_of_series(
    tmp_path: Path, label: Any, dimensions: tuple[int, int], dtype: torch.dtype, ndim: int
) -> None:
    if dimensions == (1, 1):  # with one class in each step of a series, that series would have it
        dimensions, label = (2, 2), lambda series, step: "" if step == 1 else "ab"[(series + step) // 2 % 2]
    splits = source.load(long(tmp_path / "mine.csv", label, order="step"))
    train = splits.train
    assert isinstance(train, Sequences)
    assert (train.dimensions["classes"], train.dimensions["outputs"]) == dimensions
    assert train.y is not None
    assert (train.y.dtype, train.y.ndim) == (dtype, ndim)
    assert train.times is None
    if ndim > 1 and dtype == torch.int64:
        padding = torch.arange(train.x.shape[1]) >= train.lengths[:, None]
        assert set(train.y[padding].tolist()) == {-1}
        lacking = {int(place) for place in (train.y == -1).logical_and(~padding).nonzero()[:, 1]}
        assert lacking == ({1} if "" in {label(0, 1), label(1, 1)} else set())


def test_new_series_are_prepared_alike(tmp_path: Path) -> None:
    splits = source.load(long(tmp_path / "mine.csv", lambda series, step: "ab"[series % 2]))
    heat = of_feature(splits.test, splits)[0]
    place = next(place for place, each in enumerate(HEAT) if np.allclose(each[0], heat[0], atol=1e-4))
    rows = [f"new,{WHEN[place][n] + 1e6},{HEAT[place][n]},{n % 2}" for n in range(len(heat))]
    (tmp_path / "new.csv").write_text("\n".join(["id,time,heat,flag", *reversed(rows)]))
    found = source.read(tmp_path / "new.csv", Sequences, splits.preparation)
    assert isinstance(found, Sequences)
    assert found.y is None
    assert found.classes == ("a", "b")
    for name in ("x", "times"):
        expected = splits.test[:1].trimmed().tensors()[name]
        torch.testing.assert_close(found.tensors()[name], expected, atol=1e-3, rtol=1e-3)
    (tmp_path / "new.csv").write_text("\n".join(["id,time,heat,flag,label", *(f"{row},b" for row in rows)]))
    assert source.read(tmp_path / "new.csv", Sequences, splits.preparation).tensors()["y"].tolist() == [1]


GOOD = "id,time,heat,label\n" + "".join(f"s{n // 3},{n % 3},{n / 7},{n // 3 % 2}\n" for n in range(60))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("s1,0,", ",0,", "row 4 has no 'id': name the series that it belongs to"),
        ("s1,0,", "s1,soon,", "row 4, column 'time': 'soon' is no finite number or a date such as 2024-05-01 13:30"),
        ("s1,0,", "s1,inf,", "row 4, column 'time': 'inf' is no finite number"),
        ("s1,1,", "s1,0,", r"id 's1' has time 0 twice \(rows 4 and 5\): correct or remove one"),
        ("s1,2,", "s1,1e300,", "column 'time' spans more than float32 holds: correct it"),
        ("id,time,heat,label", "id,time,label,heat,", "column 5 has no name"),
        ("s1,0,", "s1,0,7,", "row 4 has 5 cells, the header 4"),
        (f"s1,0,{3 / 7}", "s1,0,inf", "row 4, column 'heat': 'inf' is no finite number"),
        (GOOD[19:], "s1,0,1,a\ns2,0,1,a\n", r"too few examples \(\{'train': 2\}\) to have some for"),
    ],
)
def test_bad_tables_are_told_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(GOOD)
    source.load(tmp_path / "t.csv")
    assert old in GOOD
    (tmp_path / "t.csv").write_text(GOOD.replace(old, new))
    with pytest.raises(InputError, match=rf"t\.csv: {message}") as caught:
        source.load(tmp_path / "t.csv")
    assert "\n" not in str(caught.value)


def test_a_series_without_its_label_is_named(tmp_path: Path) -> None:
    lines = [line.rpartition(",")[0] + "," if line.startswith("s4,") else line for line in GOOD.splitlines()]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match="id 's4' has no 'label': fill it in"):
        source.load(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("id,step,label\n" + "".join(f"s{n // 3},{n % 3},{n}\n" for n in range(60)))
    with pytest.raises(InputError, match="no column beside id, step, label: add columns to learn from"):
        source.load(tmp_path / "t.csv")


def test_new_tables_lack_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(GOOD)
    seen = source.load(tmp_path / "t.csv").preparation
    for text, message in (
        ("id,time\na,1\n", "no column 'heat', which the system learned from: add it"),
        ("id,heat\na,1\n", "no column 'time', which"),
        ("id,time,heat,label\na,1,1,2\n", r"'label' is '2', which is none of the classes learned \(0, 1\)"),
    ):
        (tmp_path / "new.csv").write_text(text)
        with pytest.raises(InputError, match=message):
            source.read(tmp_path / "new.csv", Sequences, seen)
    np.savez(tmp_path / "new.npz", x=np.zeros((1, 2, 1)), lengths=np.array([2]))
    with pytest.raises(InputError, match="arrays, and the system learned from table: give a table with the columns"):
        source.read(tmp_path / "new.npz", Sequences, seen)


X = DRAW.normal(size=(40, 5, 2))
STEPS = np.arange(40) % 5 + 1
TRUE = np.arange(5) < STEPS[:, None]
TIMES = np.cumsum(DRAW.uniform(0.5, 2, (40, 5)), 1)


@pytest.mark.parametrize(
    ("y", "shape", "outputs"),
    [
        (None, None, 0),
        (np.arange(40) % 3, (40,), 3),
        (np.array(["a", "b"] * 20), (40,), 2),
        (np.arange(200).reshape(40, 5) % 4, (40, 5), 4),
        (np.arange(40) / 7, (40, 1), 1),
        (X[:, 0], (40, 2), 2),
        (X * 2, (40, 5, 2), 2),
    ],
)
def test_arrays_are_taken_as_they_are(tmp_path: Path, y: Any, shape: Any, outputs: int) -> None:
    x = np.where(TRUE[:, :, None], X, np.nan)  # padding may hold anything
    np.savez(tmp_path / "mine.npz", x=x, lengths=STEPS, times=TIMES, **({} if y is None else {"y": y}))
    splits = source.load(tmp_path / "mine.npz")
    whole = splits.together()
    assert isinstance(whole, Sequences)
    assert whole.dimensions["outputs"] == outputs
    at = whole.index.tolist()
    np.testing.assert_array_equal(whole.x.numpy(), np.where(TRUE[:, :, None], X, 0).astype(np.float32)[at])
    assert whole.lengths.tolist() == STEPS[at].tolist()
    assert whole.elapsed is not None
    elapsed = np.where(TRUE, np.diff(TIMES, axis=1, prepend=TIMES[:, :1] - 1), 0)[at]
    np.testing.assert_allclose(whole.elapsed.numpy(), elapsed, atol=1e-5)
    if y is None:
        assert whole.y is None
    else:
        assert whole.y is not None
        assert whole.y.shape == shape
        if y.dtype.kind == "i":
            expected = np.where(TRUE, y, -1) if y.ndim == 2 else y
            assert whole.y.tolist() == expected[at].tolist()
    found = source.read(tmp_path / "mine.npz", Sequences, splits.preparation)
    assert torch.equal(found.tensors()["x"][at], whole.x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[:, 0]}, r"x is float64 of shape \(40, 2\), expected numbers \(n, steps, features\): reshape it"),
        ({"lengths": STEPS[:3]}, r"lengths are int64 of shape \(3,\), expected 40 whole numbers"),
        ({"lengths": STEPS / 2}, "lengths are float64"),
        ({"lengths": STEPS + 1}, "series 4 has length 6, expected 1 to 5 as x has: correct it"),
        ({"lengths": STEPS - 1}, "series 0 has length 0, expected 1 to 5"),
        ({"x": np.where(np.arange(40)[:, None, None] == 7, np.nan, X)}, "x of series 7, step 0 is NaN, infinite or"),
        ({"x": np.where(np.arange(40)[:, None, None] == 7, 1e39, X)}, "x of series 7, step 0 is NaN, infinite or"),
        ({"times": 1e38 * TIMES}, "times of series 2, step 2 is NaN, infinite or beyond"),
        ({"times": TIMES[:, ::-1]}, "times of series 1 do not rise at step 1: sort or correct them"),
        ({"times": TIMES[:, :2]}, r"times are float64 of shape \(40, 2\), expected numbers \(40, 5\)"),
        ({"y": np.zeros(39, int)}, r"y is int64 of shape \(39,\), expected classes"),
        ({"y": np.full(40, np.inf)}, "y of series 0, step 0 is NaN, infinite or beyond float32"),
        ({"z": X}, "found x, lengths, z, expected x, lengths and perhaps y and times: rename"),
    ],
)
def test_bad_arrays_are_told_in_one_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "mine.npz", **{"x": X, "lengths": STEPS} | change)
    with pytest.raises(InputError, match=rf"mine\.npz: {message}") as caught:
        source.load(tmp_path / "mine.npz")
    assert "\n" not in str(caught.value)


def test_new_arrays_are_held_against_what_was_learned(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", x=X, lengths=STEPS, y=np.arange(40) % 2)
    seen = source.load(tmp_path / "mine.npz").preparation
    assert source.read(X[:3], Sequences, seen).tensors()["lengths"].tolist() == [5, 5, 5]
    with pytest.raises(InputError, match="input: expected steps of 2 numbers, got 1: give series of that size"):
        source.read(X[:3, :, :1], Sequences, seen)
    np.savez(tmp_path / "new.npz", x=X, lengths=STEPS, y=np.arange(40) % 3)
    with pytest.raises(InputError, match=r"y is '2', which is none of the classes learned \(0, 1\)"):
        source.read(tmp_path / "new.npz", Sequences, seen)
