"""What a generator makes of its codes: the same ones during training, walks between them, sums; what D looks at."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from etude.engine.run import Run
from etude.errors import InputError
from etude.functional.latent import arithmetic, between, neighbours
from etude.functional.saliency import guided_backpropagation
from etude.report.figures import embed, sheet
from etude.report.files import image_shape, write_examples
from etude.report.view import SHOWN, Figure, Section, View

DRAWN = 16  # examples that `etude sample` draws where nothing else is asked for
CODES = 6  # of a film or a walk
FEATURES = 6  # of the last convolutional layer
LOOKED_AT = 1000  # test pictures
EMPTY = 0x88 / 255  # the grey between the pictures of a sheet


def write_walk(run: Run, places: Sequence[int], steps: int, count: int, seed: int, out: Path | None) -> Path:
    """Write a row of examples for each step from one place of a grid of samples to the next.

    Raises:
        InputError: fewer than two places, or one outside the grid.
    """
    system: Any = run.system
    if len(places) < 2 or steps < 2:
        raise InputError("a walk needs two places or more, and --steps a whole number in [2, inf)")
    torch.manual_seed(seed)
    rows = walk(picked(system.noise(count), places, "--places"), steps)
    with torch.no_grad():
        return write_examples(run, system.generate(rows), out, "interpolation", steps)


def write_sum(
    run: Run,
    plus: Sequence[int],
    minus: Sequence[int],
    add: Sequence[int],
    count: int,
    seed: int,
    out: Path | None,
) -> Path:
    """Write what the sum of the mean codes of three groups generates, among eight neighbours.

    A picture shows the groups too, each in a column with what its mean generates at the end. A CSV holds the nine
    alone, the sum in the fifth row.

    Raises:
        InputError: a group is empty or has a place outside the grid.
    """
    system: Any = run.system
    torch.manual_seed(seed)
    codes = system.noise(count)
    named = {"--plus": plus, "--minus": minus, "--add": add}
    groups = [picked(codes, places, flag) for flag, places in named.items()]
    nine = neighbours(arithmetic(*groups))
    with torch.no_grad():
        if image_shape(run) is None:
            return write_examples(run, system.generate(nine), out, "arithmetic")
        return write_examples(run, equation(system, groups, nine), out, "arithmetic", 7)


def picked(codes: Tensor, places: Sequence[int], flag: str) -> Tensor:
    """The codes at these places, counted from 1: (count, L) to (places, L)."""
    if not places or not all(1 <= place <= len(codes) for place in places):
        raise InputError(
            f"{flag} {' '.join(map(str, places))}: expected places in the grid of samples, 1 to {len(codes)}"
        )
    return codes.index_select(0, torch.tensor(places, device=codes.device) - 1)


def walk(codes: Tensor, steps: int) -> Tensor:
    """From each code to the next, in rows: (n, L) to ((n - 1) * steps, L)."""
    return torch.cat([between(a, b, steps) for a, b in pairwise(codes)])


def equation(system: Any, groups: Sequence[Tensor], nine: Tensor) -> Tensor:
    """Examples for a sheet of seven columns: three groups of codes (n, L) over their means, a gap, nine codes."""
    result = system.generate(nine)
    empty = torch.full_like(result[0], EMPTY)
    rows = 1 + max(3, *map(len, groups))
    columns = []
    for group in groups:
        drawn = system.generate(torch.cat([group, group.mean(0, keepdim=True)]))
        columns.append([*drawn[:-1], *[empty] * (rows - len(drawn)), drawn[-1]])
    columns += [[empty] * rows, *([*result[place::3], *[empty] * (rows - 3)] for place in range(3))]
    return torch.stack([column[row] for row in range(rows) for column in columns])


def film(view: View) -> Iterator[Section]:
    """Samples from the same noise after each pass that was kept, side by side."""
    previews = view.run.previews()
    if len(previews) < 2 or not all(view.pictured(drawn) for drawn in previews.values()):
        return
    every = sorted(previews)
    kept = sorted({every[round(place * (len(every) - 1) / (SHOWN - 1))] for place in range(SHOWN)})
    frames = torch.stack([view.pictures(previews[number][:CODES]) for number in kept], 1)
    picture = embed(sheet(frames.flatten(0, 1), len(kept)), "a code in each row, later passes further right")
    told = f"A code in each row, after {', '.join(map(str, kept))} passes."
    yield Section("The same codes during training", [told], [Figure(picture)])


def generated(view: View) -> bool:
    """Does the system generate pictures from codes that can be chosen?"""
    return (
        hasattr(view.system, "noise")
        and hasattr(view.system, "generate")
        and view.pictured(view.system.generate(view.system.noise(2)))
    )


def first_codes(view: View) -> Tensor:
    """The codes of what `etude sample` draws where nothing else is asked for."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(0)
        codes: Tensor = view.system.noise(DRAWN)
    return codes


def walks(view: View) -> Iterator[Section]:
    """Straight lines between codes."""
    if not generated(view):
        return
    rows = view.system.generate(walk(first_codes(view)[:CODES], SHOWN))
    picture = embed(sheet(view.pictures(rows), SHOWN), "rows of pictures that change from one sample into the next")
    told = (
        f"From each of the first {CODES} samples of `etude sample RUN` to the next, along the straight line between "
        "their codes; `etude interpolate RUN --places 1 2` takes others. Where every picture on the way could be "
        "an example, the generator has learned more than the examples."
    )
    yield Section("Walks between codes", [told], [Figure(picture)])


def sums(view: View) -> Iterator[Section]:
    """Arithmetic on the means of three codes."""
    if not generated(view):
        return
    codes = first_codes(view)
    groups = [codes[place : place + 3] for place in (0, 3, 6)]
    tiles = equation(view.system, groups, neighbours(arithmetic(*groups)))
    picture = embed(sheet(view.pictures(tiles), 7), "three columns of samples, and the sum of their mean codes")
    told = (
        "Columns: samples 1 to 3, 4 to 6 and 7 to 9, and at the foot what their mean codes generate. On the right, in "
        "the middle: first mean, less the second, plus the third; round it codes that differ by up to 0.25. Nobody "
        "chose these: `etude arithmetic RUN --plus 1 2 3 --minus 4 5 6 --add 7 8 9` takes places in the grid that "
        "`etude sample RUN` draws."
    )
    yield Section("Sums of codes", [told], [Figure(picture)])


def looked_at(view: View) -> Iterator[Section]:
    """What the first features of a discriminator's last convolutional layer answer to, by guided backpropagation."""
    if view.test is None or not hasattr(view.system, "features") or not view.pictured(view.test[:1].x):
        return
    x = view.test[:LOOKED_AT].to("cpu").x
    responses = view.system.features(x)[-1].amax((2, 3))
    tiles = []
    for feature in range(min(FEATURES, responses.shape[1])):
        best = x.index_select(0, responses[:, feature].topk(min(SHOWN // 2, len(x))).indices)
        tiles += interleaved(best, raised(view.system, best, feature))
    picture = embed(sheet(torch.stack(tiles), SHOWN), "test pictures, each beside the parts that raise a feature")
    told = (
        "Each row is a feature of the discriminator's last convolutional layer: the test pictures that raise it most, "
        "and beside each what in it does so (guided backpropagation, Springenberg et al. 2015)."
    )
    yield Section("What the discriminator looks at", [told], [Figure(picture)])


def raised(system: Any, x: Tensor, feature: int) -> Tensor:
    """What in each picture raises the strongest response of a feature, as a picture around grey: (n, C, S, S)."""
    gradient = guided_backpropagation(system, lambda given: system.features(given)[-1][:, feature].amax((1, 2)), x)
    largest = gradient.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    return 0.5 + gradient / largest / 2


def interleaved(left: Tensor, right: Tensor) -> list[Tensor]:
    return [picture for pair in zip(left, right, strict=True) for picture in pair]
