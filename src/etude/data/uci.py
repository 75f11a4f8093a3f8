"""Six series of the UCI repository, as Hasani et al. ("Liquid time-constant networks", 2021, section 6.1) predict them.

Every step of a sequence has a class or a number, and sequences are 32 steps long (their appendix S5). The paper cuts
recordings into sequences that overlap and deals those out at random, so most sequences to test on share steps with
some to train on. Here a recording is first cut into blocks, these are dealt out, 75 % to train, 10 % to validate and
15 % to test, by a draw that is always the same, and sequences overlap within a block alone: no step is in two splits.
Blocks are drawn by the last of the classes that they hold, so that rare ones (occupied, ozone) come into each split.
Where columns are standardised, mean and standard deviation are those of the blocks to train on; the paper takes them
of all rows. A column of zeros and ones stays as it is, and a missing number becomes the mean.
"""

import csv
import gzip
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import nan, pi, sin
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from etude.data.files import locate, reading
from etude.data.kinds import Sequences, Splits, Vectors, split
from etude.data.table import MISSING
from etude.errors import InputError

STEPS = 32
PHASES = {"D": "rest", "P": "preparation", "S": "stroke", "H": "hold", "R": "retraction"}
TAGS = ("010-000-024-033", "010-000-030-096", "020-000-033-111", "020-000-032-221")
ACTIVITIES = {
    "lying": ("lying down", "lying"),
    "sitting": ("sitting down", "sitting"),
    "standing up": ("standing up from lying", "standing up from sitting", "standing up from sitting on the ground"),
    "walking": ("walking",),
    "falling": ("falling",),
    "on all fours": ("on all fours",),
    "sitting on the ground": ("sitting on the ground",),
}
TICKS = 10**7  # in a second
IMPOSSIBLE_RAIN = 1000.0  # mm in an hour

Cells = list[list[str]]


@dataclass(frozen=True)
class Recording:
    """What was seen, step by step: x (steps, features), NaN where missing; y (steps,) int64 or (steps, 1); times."""

    x: Tensor
    y: Tensor
    times: Tensor | None = None

    def blocks(self, steps: int) -> "list[Recording]":
        """One after the other, `steps` long; the last may be shorter, and is left out if no sequence fits in."""
        times = self.times
        cuts = [slice(start, start + steps) for start in range(0, len(self.x) - STEPS + 1, steps)]
        return [Recording(self.x[cut], self.y[cut], None if times is None else times[cut]) for cut in cuts]


def occupancy(data_dir: Path | None = None) -> Splits:
    """Is a room occupied? Two classes, from temperature, humidity, light, CO2 and humidity ratio, a step a minute.

    As in the paper, `datatraining.txt` trains and validates (10 %), `datatest.txt` and `datatest2.txt` test, and the
    columns are standardised by the training rows. A sequence begins every 8 steps, as the authors' code has it for
    the test; there training sequences begin at every step and have 16 steps, where the paper says 32.

    Raises:
        InputError: `occupancy_data.zip` is not in `data_dir` nor in its folder `uci_occupancy`, or is not the original.
    """
    (file,) = locate(data_dir, "uci_occupancy", "occupancy_data*.zip", get=_get("Occupancy Detection"))
    names = ["Temperature", "Humidity", "Light", "CO2", "HumidityRatio"]
    with reading(file, "the archive of Occupancy Detection"), zipfile.ZipFile(file) as archive:
        parts = []
        for name in ("datatraining.txt", "datatest.txt", "datatest2.txt"):
            rows = [row[-6:] for row in _cells(archive.read(name))[1:]]  # rows of the original begin with their number
            parts.append(Recording(_numbers([row[:5] for row in rows]), torch.tensor([int(row[5]) for row in rows])))
    train, validation, _ = _dealt([parts[0]], 128, (0.1, 0.0))
    return _prepared("occupancy", names, [train, validation, parts[1:]], ("empty", "occupied"), every=8)


def gesture(data_dir: Path | None = None) -> Splits:
    """Phases of gestures: rest, preparation, stroke, hold, retraction, from 32 features of seven films of a speaker.

    From the files `*_va3.csv`. Blocks of 128 steps; a sequence begins every 16, as in the authors' code.

    Raises:
        InputError: `gesture_phase*.zip` is not in `data_dir` nor in its folder `uci_gesture_phase`, or is not the
            original.
    """
    get = _get("Gesture Phase Segmentation")
    (file,) = locate(data_dir, "uci_gesture_phase", "gesture_phase*.zip", get=get)
    recordings = []
    with reading(file, "the archive of Gesture Phase Segmentation"), zipfile.ZipFile(file) as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith("_va3.csv")):
            rows = [row for row in _cells(archive.read(name))[1:] if row]
            y = torch.tensor([list(PHASES).index(row[32]) for row in rows])
            recordings.append(Recording(_numbers([row[:32] for row in rows]), y))
        parts = _dealt(recordings, 128)
    return _prepared("gesture", [str(n) for n in range(1, 33)], parts, tuple(PHASES.values()), every=16)


def traffic(data_dir: Path | None = None) -> Splits:
    """Cars on the motorway I-94 by the hour, from seven columns: holiday, weather, day of the week and time of day.

    The volume is standardised. Blocks of 128 steps; a sequence begins every 4, as in the authors' code. Unlike there,
    `holiday` is 1 on rows that name one (their code compares it with a value that it never has), all columns are
    standardised, not temperature alone, and 0 K and 9,831 mm of rain in an hour count as missing. As there, rows are
    taken as they follow each other, though hours are missing and some come twice, and the day of the week is a number,
    0 on Mondays, where the paper speaks of a flag.

    Raises:
        InputError: `Metro_Interstate_Traffic_Volume.csv` is not in `data_dir` nor in its folder `uci_traffic`, or is
            not the original.
    """
    get = _get("Metro Interstate Traffic Volume")
    (file,) = locate(data_dir, "uci_traffic", "Metro_Interstate_Traffic_Volume.csv*", get=get)
    names = ["holiday", "temp", "rain_1h", "snow_1h", "clouds_all", "weekday", "time_of_day"]
    with reading(file, "the table of Metro Interstate Traffic Volume"):
        x, y = [], []
        for holiday, temp, rain, snow, clouds, _, _, date, volume in _cells(file.read_bytes())[1:]:
            when = datetime.fromisoformat(date)
            of_day = [when.weekday(), sin(when.hour * pi / 24)]
            weather = [float(temp) or nan, float(rain) if float(rain) < IMPOSSIBLE_RAIN else nan]
            x.append([float(holiday != "None"), *weather, float(snow), float(clouds), *of_day])
            y.append([float(volume)])
        recording = Recording(torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64))
        parts = _dealt([recording], 128)
    return _prepared("traffic", names, parts, every=4, target="traffic_volume")


def power(data_dir: Path | None = None) -> Splits:
    """Electric power of a household, a step a day, from six other measurements of the same day, all standardised.

    The paper has the two million minutes of the original; here are 1,442 daily sums, so numbers do not compare. Blocks
    of 64 days; a sequence begins every 4, where the paper's sequences do not overlap.

    Raises:
        InputError: `household_power_consumption_days.csv` is not in `data_dir` nor in its folder `uci_power`, or is
            none such.
    """
    get = _get("Individual Household Electric Power Consumption, added up by days")
    (file,) = locate(data_dir, "uci_power", "household_power_consumption_days.csv*", get=get)
    with reading(file, "daily sums of electric power"):
        header, *rows = _cells(file.read_bytes())
        parts = _dealt([Recording(_numbers([row[2:8] for row in rows]), _numbers([row[1:2] for row in rows]))], 64)
    return _prepared("power", header[2:8], parts, every=4, target=header[1])


def ozone(data_dir: Path | None = None) -> Splits:
    """Days of much ozone, 160 of 2,534, from 72 measurements of wind, temperature and sun; to be scored by F1.

    Blocks of 64 days; a sequence begins every 4, as in the authors' code. Missing numbers become the mean of their
    column, and columns are standardised one by one; the paper puts zeros there, and its code shifts and scales all
    columns by one mean and one standard deviation. It weighs a day of much ozone 15 times (its code 16 times).

    Raises:
        InputError: `eighthr.data` is not in `data_dir` nor in its folder `uci_ozone`, or is not the original.
    """
    (file,) = locate(data_dir, "uci_ozone", "eighthr.data*", get=_get("Ozone Level Detection"))
    with reading(file, "the table of Ozone Level Detection"):
        rows = [row for row in _cells(file.read_bytes()) if row]
        y = torch.tensor([int(float(row[73])) for row in rows])
        parts = _dealt([Recording(_numbers([row[1:73] for row in rows]), y)], 64)
    return _prepared("ozone", [str(n) for n in range(1, 73)], parts, ("normal", "ozone"), every=4)


def person_activity(data_dir: Path | None = None) -> Splits:
    """What a person does, 7 classes made of 11 as in the paper, from four tags that report where they are.

    A step is one report: which tag, as four columns of 0 and 1, and its place in metres, not standardised, as in the
    paper. Reports come at irregular times, which the paper leaves out: here `times` has them, in units of the median
    gap, 27 ms. Blocks of 128 steps; a sequence begins every 16, as in the authors' code. The whole set has 25
    recordings of five people; the tenth of it at hand has three of one.

    Raises:
        InputError: `ConfLongDemo_JSI*` is not in `data_dir` nor in its folder `uci_person_activity`, or is not the
            original.
    """
    get = _get("Localization Data for Person Activity")
    (file,) = locate(data_dir, "uci_person_activity", "ConfLongDemo_JSI*", get=get)
    classes = {activity: place for place, group in enumerate(ACTIVITIES.values()) for activity in group}
    with reading(file, "the table of Localization Data for Person Activity"):
        cells = [[cell.strip() for cell in row] for row in _cells(file.read_bytes()) if row]
        numbered = cells[0][0] == "id"  # a copy with a header line and numbered rows; both have the place in 4 to 6
        reports: dict[str, list[tuple[int, list[float], int]]] = {}
        for row in cells[numbered:]:
            recording, tag, time = row[numbered : numbered + 3]
            seen = [float(tag == known) for known in TAGS] + [float(cell) for cell in row[4:7]]
            reports.setdefault(recording, []).append((int(time), seen, classes[row[7]]))
        recordings = []
        for report in reports.values():
            times, x, y = zip(*sorted(report, key=lambda each: each[0]), strict=True)
            seconds = torch.tensor([(time - times[0]) / TICKS for time in times], dtype=torch.float64)
            recordings.append(Recording(torch.tensor(x, dtype=torch.float64), torch.tensor(y), seconds))
        parts = _dealt(recordings, 128)
    names = [*TAGS, "x", "y", "z"]
    return _prepared("person-activity", names, parts, tuple(ACTIVITIES), every=16, standardised=False)


def _get(name: str) -> str:
    return f"it is {name!r} of archive.ics.uci.edu"


def _cells(data: bytes) -> Cells:
    text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode()
    return list(csv.reader(io.StringIO(text, newline="")))


def _numbers(rows: Cells) -> Tensor:
    """(rows, columns) float64, NaN where a number is missing."""
    numbers = [[nan if cell.strip().lower() in MISSING else float(cell) for cell in row] for row in rows]
    return torch.tensor(numbers, dtype=torch.float64)


def _dealt(
    recordings: Sequence[Recording], steps: int, shares: tuple[float, float] = (0.10, 0.15)
) -> list[list[Recording]]:
    """Blocks of so many steps to train, to validate and to test; the latter two get these shares."""
    blocks = [block for recording in recordings for block in recording.blocks(steps)]
    y = torch.stack([block.y.max() for block in blocks])
    drawn = split(Vectors(torch.zeros(len(blocks), 1), y), "blocks", shares=shares)
    return [[blocks[place] for place in part.index.tolist()] for part in drawn.parts().values()]


def _prepared(
    name: str,
    columns: Sequence[str],
    parts: Sequence[Sequence[Recording]],
    classes: tuple[str, ...] = (),
    *,
    every: int,
    target: str = "label",
    standardised: bool = True,
) -> Splits:
    """Sequences that begin `every` so many steps of the blocks, with columns as the module's docstring has them.

    Raises:
        InputError: a split would be empty.
    """
    if not all(parts):
        raise InputError(f"{name}: too few rows for sequences of {STEPS} steps in each split: replace the file")
    x = torch.cat([block.x for block in parts[0]])
    y = torch.cat([block.y for block in parts[0]])
    fitted = [_fitted(column, x[:, place], standardised) for place, column in enumerate(columns)]
    mean, deviation = (y.mean().item(), y.std(correction=0).item()) if not classes else (0.0, 1.0)
    gaps = torch.cat([block.times.diff() if block.times is not None else torch.zeros(0) for block in parts[0]])
    unit = gaps.median().item() if len(gaps) else 1.0
    series = {
        "id": "id",
        "order": "time" if len(gaps) else "step",
        "unit": unit,
        "columns": fitted,
        "target": target,
        "stepwise": True,
        "mean": mean,
        "std": deviation,
    }
    train, validation, test = (_sequences(part, every, classes, series) for part in parts)
    return Splits(train, validation, test, name, {"series": series})


def _fitted(name: str, column: Tensor, standardised: bool) -> dict[str, Any]:
    missing, numbers = int(column.isnan().sum()), column[~column.isnan()]
    if not standardised or bool(((numbers == 0) | (numbers == 1)).all()):
        return {"name": name, "mean": 0.0, "std": 1.0, "missing": missing}
    deviation = numbers.std(correction=0).item() or 1.0
    return {"name": name, "mean": numbers.mean().item(), "std": deviation, "missing": missing}


def _sequences(blocks: Sequence[Recording], every: int, classes: tuple[str, ...], series: dict[str, Any]) -> Sequences:
    x = torch.cat([block.x.unfold(0, STEPS, every) for block in blocks]).transpose(1, 2)
    mean, deviation = (_each(series, which) for which in ("mean", "std"))
    x = ((x - mean) / deviation).nan_to_num(0.0).float().contiguous()
    y = torch.cat([block.y.unfold(0, STEPS, every) for block in blocks])
    if not classes:
        y = ((y.transpose(1, 2) - series["mean"]) / series["std"]).float().contiguous()
    timed = [block.times.unfold(0, STEPS, every) for block in blocks if block.times is not None]
    times = torch.cat(timed) if timed else None
    if times is not None:
        times = ((times - times[:, :1]) / series["unit"]).float()
    return Sequences(x, torch.full((len(x),), STEPS), y, times, classes)


def _each(series: dict[str, Any], which: str) -> Tensor:
    return torch.tensor([column[which] for column in series["columns"]], dtype=torch.float64)
