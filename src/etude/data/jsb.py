"""JSB Chorales: 382 chorales by Bach (Boulanger-Lewandowski, Bengio and Vincent, ICML 2012).

Read from `jsb-chorales-quarter.json` (Huang, github.com/czhuang/JSB-Chorales-dataset), which has their split: for each
chorale the pitches that sound in each quarter note, as MIDI numbers.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from etude.data.files import locate, reading
from etude.data.kinds import Sequences, Splits, side_by_side
from etude.errors import InputError

FILE = "jsb-chorales-quarter.json"
LOWEST, KEYS = 21, 88  # MIDI number of the lowest key of a piano, and keys


def jsb_chorales(data_dir: Path | None = None) -> Splits:
    """Piano rolls (n, steps, 88), 1 where a key sounds: 229 chorales to train, 76 to validate, 77 to test.

    There is no y: what is to be predicted is the next step. The papers' numbers are mean negative log-likelihoods in
    nats a step.

    Raises:
        InputError: the file is not in `data_dir` nor in its folder `jsb_chorales`, or is not as above.
    """
    (file,) = locate(data_dir, "jsb_chorales", FILE, get=f"it is {FILE} of github.com/czhuang/JSB-Chorales-dataset")
    with reading(file, "the chorales"):
        found = json.loads(file.read_text())
        train, validation, test = (_part(found[part], f"{file}: {part}") for part in ("train", "valid", "test"))
    return Splits(train, validation, test, "jsb-chorales")


def _part(chorales: list[Any], where: str) -> Sequences:
    rolls = [_roll(chorale, f"{where}, chorale {place}") for place, chorale in enumerate(chorales)]
    return Sequences(side_by_side(rolls), torch.tensor([len(roll) for roll in rolls]))


def _roll(chorale: list[list[int]], where: str) -> Tensor:
    """(steps, 88)."""
    roll = torch.zeros(len(chorale), KEYS)
    for step, pitches in enumerate(chorale):
        for pitch in pitches:
            if not LOWEST <= pitch < LOWEST + KEYS:
                raise InputError(f"{where}, step {step}: pitch {pitch} is no key of a piano (21 to 108): correct it")
            roll[step, pitch - LOWEST] = 1
    if len(roll) == 0:
        raise InputError(f"{where}: has no step: remove it")
    return roll
