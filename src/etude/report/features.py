"""What a page shows of a generator that was scored by another network."""

import json
from collections.abc import Iterator
from typing import Any

from etude.engine import extractors, translations
from etude.report.view import Section, View


def scored(view: View) -> Iterator[Section]:
    """The scores that `etude evaluate --features` has filed."""
    path = view.run.folder / extractors.FILE
    if not path.exists():
        return
    told = json.loads(path.read_text())
    text = (
        f"{told['generated']:,} samples against {told['real']:,} real pictures in the features of {told['extractor']}. "
        "FID, its extrapolation to infinitely many samples, and kid are 0 where the two agree; the inception score "
        "looks at samples alone, and more is better; precision is the share of samples that lie among real pictures, "
        "recall the share of real pictures that lie among samples. Compare at the same numbers and extractor only."
    )
    yield Section("Samples in the features of a network", [text], head=("score", "value"), rows=rows(told))


def judged(view: View) -> Iterator[Section]:
    """The FCN-score that `etude evaluate --features auto` has filed."""
    path = view.run.folder / translations.FILE
    if not path.exists():
        return
    told = json.loads(path.read_text())
    text = (
        f"Pictures made from {told['generated']:,} maps of the test split, as seen by {told['extractor']}, which looks "
        "for the map in each: the share of pixels that it tells right, its mean over classes, and the mean over "
        "classes of intersection over union. What it tells of the real pictures is the most that can be expected, and "
        "the share of the most frequent class is what one colour everywhere would get."
    )
    yield Section("FCN-score", [text], head=("score", "value"), rows=rows(told))


def rows(told: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), f"{value:.5g}") for name, value in told["scores"].items()]
