"""The six sets from files written here in their formats, in which a row's number can be read off its values."""

import gzip
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from etude.data import source, uci
from etude.data.kinds import Sequences, Splits
from etude.errors import InputError

ROWS = 2000
NOISE = np.random.default_rng(0).random((ROWS, 72))
DAYS = [datetime(2012, 10, 2) + timedelta(hours=hour) for hour in range(ROWS)]
LETTERS = "DPSHR"
ACTIVITIES = ("lying down", "standing up from sitting", "walking", "falling", "on all fours")


def occupancy(folder: Path) -> None:
    with zipfile.ZipFile(folder / "occupancy_data.zip", "w") as archive:
        for name in ("datatraining.txt", "datatest.txt", "datatest2.txt"):
            head = '"date","Temperature","Humidity","Light","CO2","HumidityRatio","Occupancy"'
            rows = [f'"{n}","{DAYS[n]}",{n},{",".join(map(str, NOISE[n, :4]))},{n % 2}' for n in range(ROWS)]
            archive.writestr(name, "\n".join([head, *rows]))


def gesture(folder: Path) -> None:
    with zipfile.ZipFile(folder / "gesture_phase_va3.zip", "w") as archive:
        for start, name in ((0, "a1_va3.csv"), (1000, "a2_va3.csv")):
            rows = [
                f"{n},{','.join(map(str, NOISE[n, :31]))},{LETTERS[n // 7 % 5]}" for n in range(start, start + 1000)
            ]
            archive.writestr(name, "\r\n".join([",".join(map(str, range(1, 33))) + ",Phase", *rows, ""]))


def traffic(folder: Path) -> None:
    head = "holiday,temp,rain_1h,snow_1h,clouds_all,weather_main,weather_description,date_time,traffic_volume"
    rows = [
        f"{'None' if n % 9 else 'Labor Day'},{n + 1},{n % 5},0.1,75,Clouds,few,{DAYS[n]},{n * 2}" for n in range(ROWS)
    ]
    rows[5], rows[6] = rows[5].replace(",6,0,", ",0.0,0,"), rows[6].replace(",7,1,", ",7,9831.3,")
    (folder / "Metro_Interstate_Traffic_Volume.csv").write_text("\n".join([head, *rows]))


def power(folder: Path) -> None:
    head = "Datetime,Global_active_power,a,b,c,d,e,f,Sub_metering_4"
    rows = [f"{DAYS[n]},{n * 3},{n},{','.join(map(str, NOISE[n, :5]))},9" for n in range(ROWS)]
    (folder / "household_power_consumption_days.csv.gz").write_bytes(gzip.compress("\n".join([head, *rows]).encode()))


def ozone(folder: Path) -> None:
    cells = [[str(n), *map(str, NOISE[n, :71])] for n in range(ROWS)]
    cells[3][2] = "?"
    rows = [f"1/1/1998,{','.join(row)},{float(n % 40 == 0)}" for n, row in enumerate(cells)]
    (folder / "eighthr.data").write_text("\n".join(rows) + "\n")


def person_activity(folder: Path) -> None:
    """As the UCI repository has it; two reports have changed places."""
    rows = [
        f"A0{1 + n // 1000},{uci.TAGS[n % 4]},{633790226051280329 + n * 270000},27.05.2009 14:03:25:127,{n},1.5,0.5,"
        f"{ACTIVITIES[n // 7 % 5]}"
        for n in range(ROWS)
    ]
    rows[10], rows[11] = rows[11], rows[10]
    (folder / "ConfLongDemo_JSI.txt").write_text("\n".join(rows))


WRITERS = (occupancy, gesture, traffic, power, ozone, person_activity)
Write = Callable[[Path], None]
MARKED = {"traffic": 1, "person_activity": 4}  # the column that has the number of its row; else the first


def load(write: Write, folder: Path) -> Splits:
    write(folder)
    splits: Splits = getattr(uci, write.__name__)(folder)
    return splits


def row_numbers(part: Any, splits: Splits, place: int) -> torch.Tensor:
    """(n, 32), of the rows that sequences were cut from."""
    column = splits.preparation["series"]["columns"][place]
    found: torch.Tensor = part.x[:, :, place].double() * column["std"] + column["mean"]
    return found.round().long()


@pytest.mark.parametrize("write", WRITERS)
def test_no_row_is_in_two_splits(write: Write, tmp_path: Path) -> None:
    splits = load(write, tmp_path)
    assert splits.name == write.__name__.replace("_", "-")
    rows = {}
    for name, part in splits.parts().items():
        assert isinstance(part, Sequences)
        assert part.x.shape[1] == 32
        assert part.lengths.tolist() == [32] * len(part)
        numbers = row_numbers(part, splits, MARKED.get(write.__name__, 0))
        if write is not traffic:  # two of its rows lack their number
            assert torch.equal(numbers.diff(dim=1), torch.ones(len(part), 31).long())
        rows[name] = set(numbers.flatten().tolist())
    if write is occupancy:  # has a test set of its own
        assert rows["test"] == set(range(ROWS))
        assert not rows["train"] & rows["validation"]
        assert len(rows["validation"]) / ROWS == pytest.approx(0.1, abs=0.04)
    else:
        shared = (rows["train"] & rows["validation"]) | (rows["train"] & rows["test"])
        assert len(shared | (rows["validation"] & rows["test"])) <= (2 if write is traffic else 0)
        assert len(rows["validation"]) / ROWS == pytest.approx(0.1, abs=0.04)
        assert len(rows["test"]) / ROWS == pytest.approx(0.15, abs=0.05)


@pytest.mark.parametrize("write", [occupancy, gesture, power, ozone])
def test_columns_are_standardised_by_the_rows_to_train_on(write: Write, tmp_path: Path) -> None:
    splits = load(write, tmp_path)
    rows = sorted(set(row_numbers(splits.train, splits, 0).flatten().tolist()))
    column = splits.preparation["series"]["columns"][1]
    expected = NOISE[[row for row in rows if (write, row) != (ozone, 3)], 0]
    assert column["mean"] == pytest.approx(expected.mean(), abs=2e-3)  # a block's end may be in no sequence
    assert column["std"] == pytest.approx(expected.std(), rel=1e-2)


@pytest.mark.parametrize(
    ("write", "label"),
    [
        (occupancy, lambda n: n % 2),
        (gesture, lambda n: n // 7 % 5),
        (ozone, lambda n: int(n % 40 == 0)),
        (person_activity, lambda n: (0, 2, 3, 4, 5)[n // 7 % 5]),
    ],
)
def test_each_step_has_its_class(write: Write, label: Callable[[int], int], tmp_path: Path) -> None:
    splits = load(write, tmp_path)
    for part in splits.parts().values():
        numbers = row_numbers(part, splits, MARKED.get(write.__name__, 0))
        assert part.tensors()["y"].flatten().tolist() == [label(n) for n in numbers.flatten().tolist()]


@pytest.mark.parametrize(("write", "factor"), [(traffic, 2), (power, 3)])
def test_each_step_has_its_number(write: Write, factor: int, tmp_path: Path) -> None:
    splits = load(write, tmp_path)
    series = splits.preparation["series"]
    for part in splits.parts().values():
        numbers = row_numbers(part, splits, MARKED.get(write.__name__, 0))
        seen = part.tensors()["y"][:, :, 0].double() * series["std"] + series["mean"]
        if write is traffic:
            numbers = numbers - 1
        assert (seen / factor - numbers).abs().flatten().sort().values[:-40].max() < 0.1


def test_what_cannot_be_counts_as_missing(tmp_path: Path) -> None:
    splits = load(traffic, tmp_path)
    columns = {column["name"]: column for column in splits.preparation["series"]["columns"]}
    assert columns["holiday"] | {"missing": 0} == {"name": "holiday", "mean": 0.0, "std": 1.0, "missing": 0}
    assert columns["rain_1h"]["mean"] == pytest.approx(2, abs=0.1)
    assert max(float(part.tensors()["x"].max()) for part in splits.parts().values()) < 10
    assert all(bool(torch.isfinite(part.tensors()["x"]).all()) for part in load(ozone, tmp_path).parts().values())


def test_reports_come_in_order_at_their_times(tmp_path: Path) -> None:
    splits = load(person_activity, tmp_path)
    for part in splits.parts().values():
        assert isinstance(part, Sequences)
        assert part.elapsed is not None
        assert torch.allclose(part.elapsed, torch.ones(()), atol=1e-4)
        tags = part.x[:, :, :4]
        assert torch.equal(tags.argmax(2), row_numbers(part, splits, 4) % 4)
        assert torch.equal(tags.sum(2), torch.ones(len(part), 32))


def test_a_copy_with_numbered_rows_is_the_same(tmp_path: Path) -> None:
    expected = load(person_activity, tmp_path).digest()
    rows = [line.split(",") for line in (tmp_path / "ConfLongDemo_JSI.txt").read_text().splitlines()]
    head = "id, sequence_name, tag_indicator, timestamp, x_coordinate, y_coordinate, z_coordinate, activity"
    lines = [head, *(",".join([str(n), *row[:3], *row[4:]]) for n, row in enumerate(rows))]
    (tmp_path / "ConfLongDemo_JSI.txt").unlink()
    (tmp_path / "ConfLongDemo_JSI_A.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert uci.person_activity(tmp_path).digest() == expected


@pytest.mark.parametrize("write", WRITERS)
def test_broken_and_short_files_are_named(write: Write, tmp_path: Path) -> None:
    name = write.__name__.replace("_", "-")
    with pytest.raises(InputError, match=r"archive\.ics\.uci\.edu"):
        source.load(name, data_dir=tmp_path)
    write(tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for broken in (b"", b"nonsense", whole[: len(whole) // 200]):
        file.write_bytes(broken)
        with pytest.raises(InputError) as caught:
            source.load(name, data_dir=tmp_path)
        assert "\n" not in str(caught.value)
        assert str(file) in str(caught.value) or name in str(caught.value)


def test_new_rows_are_prepared_alike(tmp_path: Path) -> None:
    """A sequence of the data, given as a table of its own."""
    splits = load(gesture, tmp_path)
    seen = source.load(splits).preparation
    first = int(row_numbers(splits.test, splits, 0)[0, 0])
    head = ["id", "step", *map(str, range(1, 33))]
    rows = [f"a,{n},{n},{','.join(map(str, NOISE[n, :31]))}" for n in range(first, first + 32)]
    (tmp_path / "new.csv").write_text("\n".join([",".join(head), *rows]))
    found = source.read(tmp_path / "new.csv", Sequences, seen)
    assert torch.allclose(found.tensors()["x"][0], splits.test.tensors()["x"][0], atol=1e-5)
