"""What the page shows of a clustering, on the test split: sizes, examples, baselines, a film, what pulls on the codes.

With classes, each cluster is named by the class that the one-to-one matching gives it; without, everything is shown
that can be. SciPy and scikit-learn are imported where they are used: a training would wait a second for them.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from etude.functional.clustering import hardened, hardening_loss, soft_assignment
from etude.metrics.baselines import kmeans, spectral
from etude.metrics.clustering import contingency, matched_accuracy, matching
from etude.report import figures
from etude.report.figures import embed, sheet
from etude.report.view import SHOWN, Figure, Section, View, principal_plane

COMPARED = 2000  # examples, in silhouettes and baselines
FRAMES = 6  # of the film
MOST_SHOWN = 50  # clusters with examples of their own
TELLING = 6  # features of a cluster
WORDS = 10


def sizes(view: View) -> Iterator[Section]:
    """How large the clusters are, how well their examples lie in them, and which classes they hold."""
    if view.soft is None or view.codes is None:
        return
    from sklearn.metrics import silhouette_samples

    c, clusters = view.soft.argmax(1), view.soft.shape[1]
    counts = torch.bincount(c, minlength=clusters)
    what = "cluster" if view.labels is None else "cluster (its class)"
    drawn = [
        Figure(figures.bars(counts.tolist(), names(view), ("test examples", what)), "how many are in each cluster")
    ]
    own = c[: min(COMPARED, len(view.codes))]
    if 1 < len(own.unique()) < len(own):
        values = torch.from_numpy(silhouette_samples(view.codes[: len(own)].double().numpy(), own.numpy()))
        caption = "silhouettes among the codes: 1 where the own cluster is much the nearest, below 0 where another is"
        drawn.append(Figure(figures.silhouettes(values, own, clusters), caption))
    text = f"{len(c):,} test examples in {clusters} clusters of {int(counts.min()):,} to {int(counts.max()):,}."
    if view.labels is not None:
        right = matched_accuracy(view.labels, c)
        text += f" In brackets: the class matched to each, one to one; {right:.1%} of the examples are of that class."
        caption = "true class by row, cluster by column, in the order of the classes matched to them"
        drawn.append(Figure(crossed(view, view.labels, c), caption))
    yield Section("Clusters", [text], drawn)


def crossed(view: View, y: Tensor, c: Tensor) -> str:
    """Examples of each class in each cluster; the matched ones lie on the diagonal."""
    classes, clusters = view.run.record["classes"], len(names(view))
    found = contingency(y, c)
    counts = found.new_zeros(len(classes), clusters)
    counts[: found.shape[0], : found.shape[1]] = found
    place = classes_of_clusters(view)
    order = sorted(range(clusters), key=lambda cluster: (place[cluster] < 0, place[cluster], cluster))
    return figures.crossed(counts[:, order], classes, [str(cluster) for cluster in order], ("class", "cluster"))


def classes_of_clusters(view: View) -> list[int]:
    """The number of the class matched to each cluster, -1 for none."""
    assert view.soft is not None
    clusters = view.soft.shape[1]
    matched = [] if view.labels is None else matching(view.labels, view.soft.argmax(1)).tolist()
    return [*matched, *[-1] * (clusters - len(matched))]


def names(view: View) -> list[str]:
    """The number of each cluster and, in brackets, the class matched to it, where there is one."""
    classes = view.run.record["classes"]
    matched = enumerate(classes_of_clusters(view))
    return [f"{place} ({classes[its]})" if its >= 0 else str(place) for place, its in matched]


def surest(view: View) -> Iterator[Section]:
    """The examples that lie most surely in each cluster; where they are no pictures, what tells each cluster apart."""
    if view.soft is None or view.test is None:
        return
    confidence, c = view.soft.max(1)
    counts = torch.bincount(c, minlength=view.soft.shape[1])
    shown = sorted(counts.argsort(descending=True, stable=True)[:MOST_SHOWN].tolist())
    left_out = [f"The {MOST_SHOWN} largest clusters are shown."] if len(counts) > MOST_SHOWN else []
    if not view.pictured(view.test[:1].to("cpu").x):
        yield apart(view, c, [cluster for cluster in shown if counts[cluster]], left_out)
        return
    drawn = []
    for cluster in shown:
        own = torch.where(c == cluster, confidence, -1).argsort(descending=True, stable=True)
        chosen = own[: min(SHOWN, int(counts[cluster]))]
        if len(chosen):
            picture = sheet(view.pictures(view.test[chosen].to("cpu").x), SHOWN)
            least = float(confidence[chosen[-1]])
            line = (
                f"cluster {names(view)[cluster]}: {len(chosen)} of {int(counts[cluster]):,}, at least {least:.0%} sure"
            )
            drawn.append(Figure(embed(picture, line, round(460 * len(chosen) / SHOWN)), line))
    text = f"The {SHOWN} test examples of each cluster that are assigned to it most surely, the surest on the left."
    yield Section("Surest examples of each cluster", [text, *left_out], drawn)


def apart(view: View, c: Tensor, clusters: Sequence[int], left_out: Sequence[str]) -> Section:
    """What tells clusters apart: the weightiest stems of texts, or the features that differ most from the others'."""
    assert view.splits is not None
    assert view.test is not None
    x = view.test[:].to("cpu").x.flatten(1)
    mean, deviation = x.mean(0), x.std(0).clamp_min(1e-12)
    stems = list(view.splits.preparation.get("text", {}).get("stems", ()))
    rows = []
    for cluster in clusters:
        own = x[c == cluster].mean(0)
        if stems:
            told = ", ".join(stems[place] for place in own.topk(min(WORDS, len(stems))).indices.tolist())
        else:
            differing = ((own - mean).abs() / deviation).topk(min(TELLING, len(own))).indices.tolist()
            told = ", ".join(feature(view, place, float(own[place]), float(mean[place])) for place in differing)
        rows.append((names(view)[cluster], f"{int((c == cluster).sum()):,}", told))
    text = (
        "The stems with the largest mean weight among the test examples of each cluster."
        if stems
        else "The features whose mean in a cluster lies furthest from that of all test examples (in brackets), in "
        "standard deviations."
    )
    head = ("cluster", "test examples", "stems" if stems else "means")
    return Section("What tells the clusters apart", [text, *left_out], head=head, rows=rows)


def feature(view: View, place: int, own: float, mean: float) -> str:
    """A feature's name and its two means, in the units of the table that it comes from."""
    assert view.splits is not None
    for column in view.splits.preparation.get("table", {}).get("columns", ()):
        width = len(column.get("words", "."))
        if place >= width:
            place -= width
        elif "words" in column:
            return f"{column['name']} = {column['words'][place]}: {own:.0%} ({mean:.0%})"
        else:
            own, mean = (value * column["std"] + column["mean"] for value in (own, mean))
            return f"{column['name']}: {own:.3g} ({mean:.3g})"
    return f"x{place}: {own:.3g} ({mean:.3g})"


def baselines(view: View) -> Iterator[Section]:
    """The same examples, clustered by what trains no network."""
    if view.soft is None or view.test is None or view.codes is None:
        return
    part = min(COMPARED, len(view.codes))
    clusters, seed = view.soft.shape[1], view.run.question["seed"]
    if part <= clusters:
        return
    x, codes = view.test[:part].to("cpu").x.flatten(1), view.codes[:part]
    found = {
        "k-means on the inputs": kmeans(x, clusters, seed),
        "spectral clustering of the inputs": spectral(x, clusters, seed),
        "k-means on the codes": kmeans(codes, clusters, seed),
        "this system": view.soft[:part].argmax(1),
    }
    text = (
        f"The first {part:,} test examples, clustered among themselves by methods that train no network, and by this "
        "system, which learned from the training examples."
    )
    rows: list[tuple[str, ...]]
    head: tuple[str, ...]
    if view.labels is not None:
        y = view.labels[:part]
        rows = [(name, f"{matched_accuracy(y, c):.1%}") for name, c in found.items()]
        head = ("method", "clustering accuracy")
    else:
        rows = [(name, silhouette_of(x, c), silhouette_of(codes, c)) for name, c in found.items()]
        head = ("method", "silhouette among the inputs", "silhouette among the codes")
    yield Section("Beside what needs no training", [text], head=head, rows=rows)


def silhouette_of(x: Tensor, c: Tensor) -> str:
    """The mean silhouette, as it is shown."""
    from sklearn.metrics import silhouette_score

    return f"{silhouette_score(x.double().numpy(), c.numpy()):.3f}" if 1 < len(c.unique()) < len(c) else "one cluster"


def film(view: View) -> Iterator[Section]:
    """The codes from the placing of the centroids to the end, in one plane: that of the last frame."""
    frames = view.run.film()
    if not frames:
        return
    passes = sorted(frames)
    last = frames[passes[-1]]["codes"]
    if last.shape[1] < 2:
        return
    places = torch.linspace(0, len(passes) - 1, min(FRAMES, len(passes))).round().long().tolist()
    shown = {passes[place]: frames[passes[place]] for place in places}
    codes = {number: principal_plane(one["codes"], last)[0] for number, one in shown.items()}
    centroids = {number: principal_plane(one["centroids"], last)[0] for number, one in shown.items()}
    everything = torch.cat([*codes.values(), *centroids.values()])
    low, high = everything.min(0).values, everything.max(0).values
    margin = 0.04 * (high - low)
    drawn = []
    for number, one in shown.items():
        y = one["soft"].argmax(1) if view.labels is None else view.labels[: len(one["codes"])]
        caption = "before refinement" if number == passes[0] else f"epoch {number - passes[0]} of refinement"
        picture = figures.frame(codes[number], y, centroids[number], (low - margin, high + margin))
        drawn.append(Figure(picture, caption))
    by = "cluster" if view.labels is None else "class"
    text = f"{len(last):,} test examples, coloured by {by}, and the numbered centroids, all in one plane"
    text += ": the two principal components of the last epoch's codes." if last.shape[1] > 2 else "."
    yield Section("Latent space over the epochs", [text], drawn)


def pull(view: View) -> Iterator[Section]:
    """How hard the hardening loss pulls on examples that were more and less surely assigned at the beginning."""
    frames = view.run.film()
    if not frames:
        return
    from scipy.stats import spearmanr

    first = frames[min(frames)]
    q, force = pulls(first["codes"], first["centroids"])
    confidence, c = q.max(1)
    found = [(confidence[c == cluster], force[c == cluster], cluster) for cluster in range(q.shape[1])]
    telling = [(x, y, cluster) for x, y, cluster in found if len(x) >= SHOWN and x.min() < x.max()]
    order = sorted(telling, key=lambda one: len(one[0]))
    drawn = []
    for x, y, cluster in (order[place] for place in sorted({0, len(order) // 2, len(order) - 1}) if order):
        rank = spearmanr(x.numpy(), y.numpy()).statistic
        caption = f"cluster {cluster}, {len(x)} examples: rank correlation {rank:+.2f}"
        drawn.append(Figure(figures.cloud(x, y, ("soft assignment q", "size of the gradient")), caption))
    text = (
        "The size of the gradient of the hardening loss KL(P || Q) in the code of an example, against how surely the "
        "example belongs to its cluster, before refinement. The method presumes that sure assignments are mostly "
        "right: where the points rise to the right, the examples assigned most surely pull hardest."
    )
    if drawn:
        yield Section("Who pulls on the codes", [text], drawn)


@torch.enable_grad()
def pulls(codes: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Soft assignments (n, K), and the norm (n,) of the gradient of sum_i KL(p_i || q_i) in each code.

    Xie et al. 2016, figure 4. P comes from the soft assignments of these examples, and is held fixed.

    Args:
        codes: (n, latent).
        centroids: (K, latent).
    """
    z = codes.double().requires_grad_()
    q = soft_assignment(z, centroids.double())
    (gradient,) = torch.autograd.grad(len(z) * hardening_loss(q, hardened(q.detach())), z)
    return q.detach(), gradient.norm(dim=1)
