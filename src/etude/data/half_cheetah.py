"""HalfCheetah: a simulated runner (Hasani et al., "Liquid time-constant networks", 2021, section 6.3).

Read from the files of github.com/raminmh/liquid_time_constant_networks, `trace_0000.npy` and on: each is a rollout of
1,000 observations of 17 numbers, of a trained controller 5 % of whose actions were replaced by random ones.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from etude.data.files import locate, reading
from etude.data.kinds import Sequences, Splits
from etude.errors import InputError

OBSERVATIONS = 17
STEPS = 32
APART = 10  # steps from the beginning of a sequence to that of the next


def half_cheetah(data_dir: Path | None = None) -> Splits:
    """Sequences of 32 steps, one every 10 steps of a rollout; y (n, 32, 17) is what x will be a step later.

    As the authors have it: of 25 rollouts the first 5 validate, the next 10 test and the last 10 train, 97 sequences
    each, so no rollout is in two splits; the numbers are as they were observed. Their score is the mean squared error
    over steps and observations.

    Raises:
        InputError: one of the 25 files is not in `data_dir` nor in its folder `half_cheetah`, or is no such rollout.
    """
    get = "they are in experiments_with_ltcs/data/cheetah of github.com/raminmh/liquid_time_constant_networks"
    files = locate(data_dir, "half_cheetah", *(f"trace_{number:04}.npy" for number in range(25)), get=get)
    rollouts = [_rollout(file) for file in files]
    validation, test, train = (_sequences(rollouts[part]) for part in (slice(5), slice(5, 15), slice(15, 25)))
    return Splits(train, validation, test, "half-cheetah")


def _rollout(file: Path) -> Tensor:
    with reading(file, "an npy file"):
        array = np.load(file, allow_pickle=False)
        if array.ndim != 2 or array.shape[1] != OBSERVATIONS or len(array) <= STEPS or not np.isfinite(array).all():
            shape = "x".join(map(str, array.shape))
            raise InputError(
                f"{file}: {shape} numbers, expected more than {STEPS} steps of {OBSERVATIONS}, all finite: replace it"
            )
        return torch.from_numpy(array.astype(np.float32))


def _sequences(rollouts: Sequence[Tensor]) -> Sequences:
    windows = torch.cat([rollout.unfold(0, STEPS + 1, APART) for rollout in rollouts]).transpose(1, 2)
    x, y = windows[:, :-1].contiguous(), windows[:, 1:].contiguous()
    return Sequences(x, torch.full((len(x),), STEPS), y)
