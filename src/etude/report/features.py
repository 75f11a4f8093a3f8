"""What a page shows of a generator that was scored in the features of another network."""

import json
from collections.abc import Iterator

from etude.engine.extractors import FILE
from etude.report.view import Section, View


def scored(view: View) -> Iterator[Section]:
    """The scores that `etude evaluate --features` has filed."""
    path = view.run.folder / FILE
    if not path.exists():
        return
    told = json.loads(path.read_text())
    text = (
        f"{told['generated']:,} samples against {told['real']:,} real pictures in the features of {told['extractor']}. "
        "FID, its extrapolation to infinitely many samples, and kid are 0 where the two agree; the inception score "
        "looks at samples alone, and more is better; precision is the share of samples that lie among real pictures, "
        "recall the share of real pictures that lie among samples. Compare at the same numbers and extractor only."
    )
    rows = [(name.replace("_", " "), f"{value:.5g}") for name, value in told["scores"].items()]
    yield Section("Samples in the features of a network", [text], head=("score", "value"), rows=rows)
