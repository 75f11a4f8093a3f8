"""What the page of a run shows: sections, each drawn if the run has what it needs.

That is the kind of data, classes, and the verbs of the served system.
"""

import inspect
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

from etude.catalogue import find
from etude.data.kinds import Images, Vectors
from etude.engine.run import Run
from etude.metrics.classification import classified
from etude.metrics.generation import nearest_examples
from etude.report import clustering, codes, features, figures, image_pairs, sequences, strings, translation, trees
from etude.report.figures import embed, sheet
from etude.report.sheet import deviations
from etude.report.view import PLOTTED, SHOWN, Drawing, Figure, Section, View, principal_plane
from etude.signature import arguments
from etude.systems.system import Classifier


def idea(view: View) -> Iterator[Section]:
    """What the paper proposes: the first paragraph of the system's file that belongs to no equation, the equations, and
    where to read more."""
    for asked in view.chain:
        system = find(asked["system"])
        paper = system.paper
        blocks = inspect.cleandoc(inspect.getmodule(system).__doc__ or "").split("\n\n")
        equations = textwrap.dedent("\n\n".join(block for block in blocks[1:] if block.startswith(" ")))
        prose = [" ".join(block.split()) for block in blocks[1:] if block[0].isupper() and not block.endswith(":")]
        cited = (f"{paper.authors} ({paper.year}). {paper.title}.", paper.link)
        yield Section(blocks[0].partition(":")[0], prose[:1], link=cited, code=equations)


def scores(view: View) -> Iterator[Section]:
    """Each metric on the test split, and what it says."""
    metrics = (*view.system.metrics, *view.system.final_metrics)
    meaning = {
        metric.__name__: " ".join((inspect.getdoc(metric) or "").partition("\n\n")[0].split()) for metric in metrics
    }
    rows = [(name.replace("_", " "), f"{value:.5g}", meaning.get(name, "")) for name, value in view.run.scores.items()]
    if rows:
        yield Section("Scores on the test split", head=("score", "value", "what it says"), rows=rows)


def curves(view: View) -> Iterator[Section]:
    """A panel for each loss and each validation score."""
    panels = history(view.run)
    if panels:
        drawn = [Figure(figures.curves(name, {"": series}, phases(view.run))) for name, series in panels.items()]
        yield Section("How training went", figures=drawn)


def history(run: Run) -> dict[str, figures.Series]:
    """Every loss and every validation score over the epochs: (epochs, values) by name."""
    panels: dict[str, tuple[list[float], list[float]]] = {}
    for group, prefix in (("losses", ""), ("validation", "validation: ")):
        for line in run.log:
            for name, value in line[group].items():
                epochs, values = panels.setdefault(prefix + name.replace("_", " "), ([], []))
                epochs.append(line["pass"])
                values.append(value)
    return dict(panels)


def phases(run: Run) -> list[tuple[float, str]]:
    """The epoch at which each phase begins, and its name."""
    begun: dict[str, float] = {}
    for line in run.log:
        begun.setdefault(line["phase"], line["pass"] - line["epoch"])
    return [(begin, name) for name, begin in begun.items()]


def samples(view: View) -> Iterator[Section]:
    """What `sample` drew before training, in the middle and at the end: pictures, or points in the plane."""
    if not hasattr(view.system, "sample"):
        return
    last = view.run.log[-1]["pass"] if view.run.log else 0
    drawn = {last: view.system.sample(256)} | view.run.previews()
    epochs = sorted(drawn)
    chosen = {e: drawn[e] for e in (epochs[0], epochs[len(epochs) // 2], epochs[-1])}
    captions = {e: "before training" if e == 0 else f"after epoch {e}" for e in chosen}
    if view.pictured(drawn[last]):
        made = [
            Figure(embed(sheet(view.pictures(x[:36]), 6), f"samples {captions[e]}", 320), captions[e])
            for e, x in chosen.items()
        ]
        yield Section("Samples", ["Drawn by the system, not chosen by anyone."], made)
    elif view.test is not None and isinstance(drawn[last], Tensor) and drawn[last][0].numel() == 2:
        real = view.test[:PLOTTED].to("cpu").x.flatten(1)
        made = [Figure(figures.scatter(x.flatten(1), real), captions[e]) for e, x in chosen.items()]
        yield Section("Samples", ["Drawn by the system, over the test examples."], made)


def nearest(view: View) -> Iterator[Section]:
    """Samples, and the training pictures closest to them."""
    if view.test is None or view.splits is None or not hasattr(view.system, "sample"):
        return
    drawn = view.system.sample(100)
    if view.pictured(drawn):
        train = view.splits.train
        assert isinstance(train, Vectors | Images)
        distance, place = nearest_examples(drawn, train)
        real, _ = nearest_examples(view.test[:100].to("cpu").x, train)
        pair = torch.cat([drawn[:SHOWN].flatten(1), train[place[:SHOWN]].to("cpu").x.flatten(1)])
        text = (
            "Is it copying? Above: samples; below each: the training example closest to it. The mean distance of a "
            f"sample from its closest training example is {distance.mean():.3g}, that of a test example "
            f"{real.mean():.3g}; copies would be far closer than the latter."
        )
        picture = embed(sheet(view.pictures(pair), SHOWN), "samples above, closest training examples below")
        yield Section("Closest training examples", [text], [Figure(picture)])


def reconstructions(view: View) -> Iterator[Section]:
    """Test pictures through `encode` and `decode`."""
    if view.test is None or not (hasattr(view.system, "encode") and hasattr(view.system, "decode")):
        return
    x = view.examples()
    again = view.system.decode(view.system.encode(x))
    if view.pictured(again):
        both = torch.cat([view.pictures(x), view.pictures(again)])
        picture = embed(sheet(both, len(x)), "originals above, reconstructions below")
        yield Section(
            "Reconstructions", ["Above: test examples; below: each one encoded and decoded again."], [Figure(picture)]
        )


def latent(view: View) -> Iterator[Section]:
    """Codes of test examples in the plane; beside it the decoder's `grid`, where the code itself is two numbers."""
    codes = view.codes
    if codes is None or codes.shape[1] < 2:
        return
    points, share = principal_plane(codes)
    labels = ("z1", "z2") if codes.shape[1] == 2 else ("first component", "second component")
    centroids = None if view.soft is None else principal_plane(view.system.centroids, codes)[0]
    drawn = []
    if view.labels is not None or centroids is None:
        classes = view.run.record["classes"]
        y = None if view.labels is None else view.labels[:PLOTTED]
        caption = "test examples" + (" by class" if classes else "")
        drawn.append(Figure(figures.plane(points, y, classes, labels, centroids), caption))
    if view.soft is not None:
        c, names = view.soft[:PLOTTED].argmax(1), [f"cluster {place}" for place in range(view.soft.shape[1])]
        drawn.append(Figure(figures.plane(points, c, names, labels, centroids), "test examples by cluster"))
    text = "Where the encoder puts the test examples"
    if codes.shape[1] > 2:
        text += f": two principal components of {codes.shape[1]} dimensions, with {share:.0%} of the variance"
    elif hasattr(view.system, "grid") and view.pictured(grid := view.system.grid()):
        picture = sheet(view.pictures(grid), round(len(grid) ** 0.5), gap=0)
        caption = "what the decoder makes of the plane, from the prior's 5 % to its 95 % quantile"
        drawn.append(Figure(embed(picture, "decoded codes", 440), caption))
    yield Section("Latent space", [text + ("." if centroids is None else "; numbers mark the centroids.")], drawn)


def interpolation(view: View) -> Iterator[Section]:
    """Test pictures turning into one another by `interpolate`."""
    if view.test is None or not hasattr(view.system, "interpolate"):
        return
    x = view.examples()
    rows = [view.system.interpolate(a, b) for a, b in zip(x[::2], x[1::2], strict=False)]
    if view.pictured(rows[0]):
        picture = embed(
            sheet(view.pictures(torch.cat(rows)), len(rows[0])),
            "rows of pictures that change from one example into another",
        )
        text = "From one test example (left) to another (right), along the straight line between their codes."
        yield Section("Interpolation", [text], [Figure(picture)])


def classification(view: View) -> Iterator[Section]:
    """Which classes are taken for which, how far confidence can be trusted, and where it was most misplaced."""
    if view.test is None or view.labels is None or not isinstance(view.system, Classifier):
        return
    classes = view.run.record["classes"]
    probabilities, y = classified(view.system, view.test)
    confidence, said = probabilities.max(1)
    right = said == y
    counts = torch.bincount(y * len(classes) + said, minlength=len(classes) ** 2).view(len(classes), -1)
    matrix = Figure(figures.confusion(counts, classes), "test examples: true class by row, predicted class by column")
    bars = Figure(
        figures.reliability(confidence, right),
        "on the dashed line confidence is honest; the number of examples stands on each bar",
    )
    total, hit = counts.sum(1).tolist(), counts.diagonal().tolist()
    rows = [(c, str(n), str(h), f"{h / n:.1%}" if n else "") for c, n, h in zip(classes, total, hit, strict=True)]
    head = ("class", "test examples", "recognised", "share")
    yield Section(
        "Predictions by class",
        [f"{int(right.sum())} of {len(y)} test examples are recognised."],
        [matrix, bars],
        head,
        rows,
    )
    wrong = torch.where(right, -1.0, confidence).argsort(descending=True, stable=True)[: int((~right).sum())][:SHOWN]
    if len(wrong):
        yield mistakes(view, wrong, [(classes[y[i]], classes[said[i]], f"{confidence[i]:.1%}") for i in wrong])


def mistakes(view: View, wrong: Tensor, told: list[tuple[str, str, str]]) -> Section:
    """Examples at these places of the test split, each with its true class, the predicted one and the confidence."""
    assert view.test is not None
    title, x = "Most confident mistakes", view.test[wrong].to("cpu").x
    if view.pictured(x):
        tiles = [sheet(picture[None], 1) for picture in view.pictures(x)]
        lines = [f"{true}, taken for {said} ({sure})" for true, said, sure in told]
        return Section(title, figures=[Figure(embed(t, line), line) for t, line in zip(tiles, lines, strict=True)])
    values = [
        ", ".join(f"{v:.3g}" for v in row[:8].tolist()) + (", ..." if row.numel() > 8 else "") for row in x.flatten(1)
    ]
    rows = [(*line, value) for line, value in zip(told, values, strict=True)]
    return Section(title, head=("true class", "taken for", "confidence", "example"), rows=rows)


def hyperparameters(view: View) -> Iterator[Section]:
    """Every argument of the system, and of those it acts on."""
    for asked in view.chain:
        known = arguments(find(asked["system"]))
        rows = [
            (
                name,
                shown(asked["arguments"][name]),
                shown(argument.default),
                argument.meaning.replace("`", ""),
                argument.source,
            )
            for name, argument in known.items()
        ]
        if rows:
            yield Section(
                f"Hyperparameters of {asked['system']}",
                head=("name", "value", "default", "what it is", "source of the default"),
                rows=rows,
            )


def shown(value: Any) -> str:
    """A value as it is typed on the command line."""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def departures(view: View) -> Iterator[Section]:
    """The lines in which the code says that it differs from the paper."""
    lines = [(asked["system"], line) for asked in view.chain for line in deviations(asked["system"])]
    if lines:
        yield Section("Where it departs from the paper", head=("system", "departure"), rows=lines)


def origin(view: View) -> Iterator[Section]:
    """The command that asks the same again, and what the answer depends on."""
    record, question = view.run.record, view.run.question
    counts = ", ".join(f"{count} {part}" for part, count in record["counts"].items())
    rows = [
        ("data", f"{question['data']}: {counts}"),
        ("SHA-256 of the data", f"{question['digest'][:16]}..."),
        ("seed", str(question["seed"])),
        ("precision", question["precision"]),
        ("device", f"{record['device']}, processes: {record['processes']}, threads: {record['threads']}"),
        ("matrix products", record["products"]),
        ("versions", ", ".join(f"{name} {version}" for name, version in record["versions"].items())),
        ("commit", record["commit"] or "not a checkout"),
        ("training time", str(timedelta(seconds=round(record["seconds"])))),
    ]
    yield Section("How to make it again", head=("", ""), rows=rows, command=record["command"])


SECTIONS: tuple[Drawing, ...] = (
    idea,
    scores,
    features.scored,
    features.judged,
    translation.written,
    image_pairs.translated,
    trees.programs,
    samples,
    codes.film,
    codes.walks,
    codes.sums,
    codes.looked_at,
    strings.completions,
    strings.counting,
    sequences.tags,
    sequences.confusion,
    sequences.values,
    classification,
    clustering.sizes,
    clustering.surest,
    clustering.baselines,
    curves,
    reconstructions,
    latent,
    clustering.film,
    clustering.pull,
    interpolation,
    nearest,
    hyperparameters,
    departures,
    origin,
)
