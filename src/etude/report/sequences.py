"""What the page shows of a system of sequences: test sequences with what is true and what the system says, step by
step."""

from collections.abc import Iterator

import torch

from etude.data.kinds import Sequences
from etude.metrics.sequences import tagged, through
from etude.report import figures
from etude.report.figures import embed, sheet
from etude.report.view import Figure, Section, View

SHOWN = 6  # sequences
TARGETS = 3  # numbers of a step, in a plot


def some(view: View) -> Sequences | None:
    """Test sequences from all over the split, where the data are such."""
    split = view.splits.test if view.splits else None
    if not isinstance(split, Sequences):
        return None
    places = torch.linspace(0, len(split) - 1, min(SHOWN, len(split))).round().long()
    return split[places].to("cpu")


def tags(view: View) -> Iterator[Section]:
    """Classes of a few test sequences, or of all their steps, and those that the system takes them for."""
    batch = some(view)
    if batch is None or batch.y is None or batch.y.is_floating_point() or not hasattr(view.system, "classify"):
        return
    said = through(view.system.classify, batch)
    drawn = []
    for x, length, y, p in zip(batch.x, batch.lengths.tolist(), batch.y, said, strict=True):
        if y.ndim == 0:
            sure, c = p.max(0)
            caption = f"{batch.classes[y]}, taken for {batch.classes[c]} ({sure:.0%})"
            drawn.append(Figure(figures.tracks(x[:length, :TARGETS]), caption))
        else:
            told, c = y[:length], p[:length].argmax(1)
            right = (told == c).float().sum() / (told >= 0).sum()
            drawn.append(Figure(figures.tagged(x[:length, :TARGETS], told, c, batch.classes), f"{right:.0%} right"))
    what = "inputs" if batch.x.shape[2] <= TARGETS else f"first {TARGETS} of {batch.x.shape[2]} inputs"
    text = f"{len(batch)} test sequences from all over the split: the {what}"
    each = batch.y.ndim == 2
    text += ", and under them the true class of every step above the one it is taken for." if each else "."
    yield Section("Test sequences", [text], drawn)


def confusion(view: View) -> Iterator[Section]:
    """Which classes of test sequences, or of their steps, are taken for which."""
    split = view.splits.test if view.splits else None
    if not isinstance(split, Sequences) or split.y is None or split.y.is_floating_point():
        return
    if not hasattr(view.system, "classify"):
        return
    probabilities, y = tagged(view.system, split)
    said = probabilities.argmax(1)
    counts = torch.bincount(y * len(split.classes) + said, minlength=len(split.classes) ** 2)
    what = "steps of test sequences" if split.y.ndim == 2 else "test sequences"
    drawn = figures.confusion(counts.view(len(split.classes), -1), split.classes)
    caption = f"{what}: true class by row, predicted class by column"
    text = f"{int((said == y).sum()):,} of {len(y):,} {what} are recognised."
    yield Section("Predictions by class", [text], [Figure(drawn, caption)])


def values(view: View) -> Iterator[Section]:
    """Numbers of a few test sequences, and what the system says they are."""
    batch = some(view)
    if batch is None or not hasattr(view.system, "predict"):
        return
    next_step = hasattr(view.system, "score")
    true = batch.x if next_step else batch.y
    if true is None or not true.is_floating_point() or true.ndim == 2:
        return
    said = through(view.system.predict, batch)
    what = "each step after those before it" if next_step else "each step"
    if next_step and view.system.binary:
        pairs = [torch.stack([x.T.flip(0), p.T.flip(0)])[:, None] for x, p in zip(true, said, strict=True)]
        drawn = [
            Figure(embed(sheet(pair[..., :length], 1, 3, 4), "true above, foretold below"), f"{length} steps")
            for pair, length in zip(pairs, batch.lengths.tolist(), strict=True)
        ]
        text = f"What the system expects of {what}: above, what sounds; below, how probable it was. Time goes right."
    else:
        drawn = [
            Figure(figures.tracks(x[:length, :TARGETS], p[:length, :TARGETS]))
            for x, p, length in zip(true, said, batch.lengths.tolist(), strict=True)
        ]
        first = f" (the first {TARGETS} of {true.shape[2]})" if true.shape[2] > TARGETS else ""
        text = f"What the system says of {what}{first}: lines are true, dashes are foretold."
    yield Section("Test sequences, foretold", [text], drawn)
