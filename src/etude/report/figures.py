"""Figures of a report: contact sheets of pictures, and plots as SVG text to stand inside a page.

A plot's ink is the page's own (`currentColor`), so that it is read on a light and on a dark page. The same numbers give
the same bytes.
"""

import base64
import io
import re
from collections.abc import Callable, Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

INK = "#010203"  # stands for the page's own colour until the SVG is written
DISC = "#1c2126"  # edge and number of a white disc
COLOURS = ("#4c8ddb", "#e08a3c", "#4aa96c", "#d9534f", "#9a7fd1", "#a9785c", "#dd7fb8", "#8a9199", "#b5b33a", "#3fb3bf")
STYLE: Any = {
    "svg.hashsalt": "etude",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.2,
    **{f"{part}.color": INK for part in ("text", "xtick", "ytick", "grid")},
    **{f"axes.{part}color": INK for part in ("edge", "label", "title")},
}
MOST_NAMED = 40  # rows of a plot, or centroids in a plane, whose names have room
MOST_TICKED = 6  # points of a curve whose numbers have room under it
Series = tuple[Sequence[float], Sequence[float]]


def sheet(images: Tensor, columns: int = 8, scale: int | None = None, gap: int = 2) -> "Image":
    """A contact sheet, row by row; enlarged by smooth interpolation, which the eye reads better than blocks.

    Args:
        images: (n, channels, height, width) floats in [0, 1], cut off outside; 1 channel, or 3 (red, green, blue).
        columns: pictures in a full row.
        scale: how many times larger; by default so that the shorter side has about 56 pixels.
        gap: pixels between pictures.
    """
    from PIL import Image

    n, channels, height, width = images.shape
    scale = scale or max(1, round(56 / min(height, width)))
    values = images.detach().cpu().float().nan_to_num(0).clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1)
    size = (width * scale, height * scale)
    columns = min(columns, n)
    rows = -(-n // columns)
    whole = Image.new(
        "L" if channels == 1 else "RGB", (columns * (size[0] + gap) - gap, rows * (size[1] + gap) - gap), "#888"
    )
    for place, picture in enumerate(values):
        tile = Image.fromarray(picture.squeeze(-1).numpy()).resize(size, Image.Resampling.BICUBIC)
        whole.paste(tile, (place % columns * (size[0] + gap), place // columns * (size[1] + gap)))
    return whole


def embed(image: "Image", description: str, width: int | None = None) -> str:
    """A picture as an HTML element that carries its own bytes, shown `width` pixels wide or as wide as it is."""
    from markupsafe import escape

    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    code = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{escape(description)}" width="{width or image.width}" src="data:image/png;base64,{code}">'


def curves(title: str, series: Mapping[str, Series], phases: Sequence[tuple[float, str]] = ()) -> str:
    """One panel of curves over epochs; logarithmic where positive values fall to a hundredth.

    Args:
        title: what is measured.
        series: (epochs, values) by name; the names are shown where there are several.
        phases: the epoch at which each phase begins and its name; shown where there are several.
    """
    from matplotlib.ticker import MaxNLocator

    def draw(axes: "Axes") -> None:
        for place, (name, (x, y)) in enumerate(series.items()):
            axes.plot(
                x, y, color=COLOURS[place % len(COLOURS)], label=name, linewidth=1.6, marker="o" if len(x) < 3 else ""
            )
        if all(min(y) > 0 for _, y in series.values()) and any(max(y) > 100 * y[-1] for _, y in series.values()):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
        if len(phases) > 1:
            for begin, name in phases:
                axes.axvline(begin, color=INK, alpha=0.35, linewidth=0.8)
                axes.text(
                    begin,
                    1,
                    f" {name}",
                    transform=axes.get_xaxis_transform(),
                    va="top",
                    fontsize=7,
                    rotation=90,
                    ha="left",
                )
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid()
        if len(series) > 1:
            axes.legend(frameon=False, fontsize=8)

    return _svg(draw, (3.3, 2.4))


def traces(values: Tensor, marks: Sequence[tuple[float, str]]) -> str:
    """What units hold step by step, a line for each.

    Args:
        values: (steps, units).
        marks: the step at which a part begins and its name.
    """

    def draw(axes: "Axes") -> None:
        for place, line in enumerate(values.T):
            axes.plot(line, color=COLOURS[place % len(COLOURS)], linewidth=1.3, label=str(place))
        for begin, name in marks:
            axes.axvline(begin, color=INK, alpha=0.35, linewidth=0.8)
            axes.text(begin, 1, f" {name}", transform=axes.get_xaxis_transform(), va="top")
        _steps(axes)
        axes.set(ylabel="value")
        axes.grid()
        if values.shape[1] <= len(COLOURS):
            axes.legend(frameon=False, fontsize=8, title="unit", loc="center left", bbox_to_anchor=(1, 0.5))

    return _svg(draw, (6.4, 3.2))


def lines(axes: Sequence[str], x: Sequence[float], series: Mapping[str, Sequence[float]], scale: str = "log") -> str:
    """Curves over the same points.

    Args:
        axes: what is measured along x and along y, with units.
        x: (n,) points; each has a dot, and each its tick, where they are few.
        series: (n,) values by name.
        scale: `log`, both axes logarithmic, so that a power of x is a straight line; `semilog`, y alone, so that an
            exponential is one; `linear`, neither. What a logarithmic axis shows is in (0, inf).
    """
    from matplotlib.ticker import LogFormatter

    def draw(panel: "Axes") -> None:
        dot = "o" if len(x) <= MOST_NAMED else ""
        for place, (name, y) in enumerate(series.items()):
            panel.plot(x, y, color=COLOURS[place % len(COLOURS)], label=name, linewidth=1.6, marker=dot, markersize=3)
        panel.set(xlabel=axes[0], ylabel=fill(axes[1], 40))
        panel.set(xscale="log" if scale == "log" else "linear", yscale="linear" if scale == "linear" else "log")
        if len(x) <= MOST_TICKED:
            panel.set_xticks(x)
            panel.set_xticks([], minor=True)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(LogFormatter(minor_thresholds=(1.2, 0.5)))
        panel.grid()
        panel.legend(frameon=False, fontsize=8)

    return _svg(draw, (4.6, 3.4))


def confusion(counts: Tensor, classes: Sequence[str]) -> str:
    """A confusion matrix, a row for each true class, a column for each predicted one.

    Args:
        counts: (classes, classes) whole numbers.
        classes: the name of each class.
    """
    return crossed(counts, classes, classes, ("true", "predicted"))


def crossed(counts: Tensor, rows: Sequence[str], columns: Sequence[str], labels: tuple[str, str]) -> str:
    """Counts of pairs; shaded by the root of the share of the row, so that small shares show.

    Args:
        counts: (rows, columns) whole numbers.
        rows: the name of each row.
        columns: likewise.
        labels: what the rows are, and the columns.
    """
    share = (counts / counts.sum(1, keepdim=True).clamp_min(1)).sqrt()
    shade = torch.tensor([0x4C, 0x8D, 0xDB]).div(255).expand(*share.shape, 3)

    def draw(axes: "Axes") -> None:
        axes.imshow(torch.cat([shade, share[..., None]], 2).numpy(), interpolation="none")
        if max(counts.shape) <= 20:
            for row, line in enumerate(counts.tolist()):
                for column, count in enumerate(line):
                    axes.text(column, row, str(count), ha="center", va="center", alpha=1 if count else 0.3)
            axes.set_xticks(range(len(columns)), columns, rotation=90 if max(map(len, columns)) > 3 else 0)
            axes.set_yticks(range(len(rows)), rows)
        axes.set(xlabel=labels[1], ylabel=labels[0])

    height, width = (1.2 + 0.36 * min(size, 20) for size in counts.shape)
    return _svg(draw, (width, height))


def alignment(weights: Tensor, rows: Sequence[str], columns: Sequence[str]) -> str:
    """Weights of attention, a row for each unit written, a column for each read.

    Args:
        weights: (rows, columns) in [0, 1].
        rows: the units written.
        columns: the units read.
    """
    shade = torch.tensor([0x4C, 0x8D, 0xDB]).div(255).expand(*weights.shape, 3)

    def draw(axes: "Axes") -> None:
        axes.imshow(torch.cat([shade, weights[..., None]], 2).numpy(), interpolation="none")
        axes.set_xticks(range(len(columns)), columns, rotation=90 if max(map(len, columns)) > 1 else 0)
        axes.set_yticks(range(len(rows)), rows)
        axes.xaxis.tick_top()

    height, width = (1.2 + 0.2 * size for size in weights.shape)
    return _svg(draw, (width, height))


def plane(
    points: Tensor,
    y: Tensor | None,
    classes: Sequence[str],
    labels: tuple[str, str],
    centroids: Tensor | None = None,
) -> str:
    """Points in the plane, coloured by class.

    Args:
        points: (n, 2).
        y: None, or (n,) classes.
        classes: the name of each class.
        labels: of the two axes.
        centroids: (K, 2), numbered from 0 where they are drawn.
    """

    def draw(axes: "Axes") -> None:
        for place, name in enumerate(classes if y is not None else [""]):
            some = points if y is None else points[y == place]
            axes.scatter(
                some[:, 0], some[:, 1], 7, COLOURS[place % len(COLOURS)], linewidths=0, label=name, rasterized=True
            )
        if y is not None and len(classes) <= 20:
            axes.legend(
                frameon=False, fontsize=8, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5), handletextpad=0
            )
        if centroids is not None:
            _mark(axes, centroids)
        axes.set(xlabel=labels[0], ylabel=labels[1])
        axes.grid()

    return _svg(draw, (4.6, 4.0))


def _mark(axes: "Axes", centroids: Tensor) -> None:
    """Numbered discs, readable upon points of any colour."""
    named = len(centroids) <= MOST_NAMED
    x, y = centroids.unbind(1)
    axes.scatter(x, y, 90 if named else 20, "#ffffffc0", edgecolors=DISC, linewidths=1, zorder=3)
    for place, (left, up) in enumerate(centroids.tolist() if named else []):
        axes.text(left, up, str(place), color=DISC, ha="center", va="center_baseline", fontsize=7, zorder=4)


def frame(points: Tensor, y: Tensor, centroids: Tensor, reach: tuple[Tensor, Tensor]) -> str:
    """One picture of a film: points coloured by class and numbered centroids, in the same frame every time.

    Args:
        points: (n, 2).
        y: (n,) classes.
        centroids: (K, 2).
        reach: lowest and highest corner of the frame, (2,) each.
    """

    def draw(axes: "Axes") -> None:
        colours = [COLOURS[place % len(COLOURS)] for place in y.tolist()]
        size = min(9, max(4, 2000 / len(points)))
        axes.scatter(points[:, 0], points[:, 1], size, colours, linewidths=0, rasterized=True)
        _mark(axes, centroids)
        low, high = (corner.tolist() for corner in reach)
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])

    return _svg(draw, (3.1, 2.8))


def bars(counts: Sequence[int], names: Sequence[str], labels: tuple[str, str]) -> str:
    """A bar for each name, the first at the top, its number at its end.

    Args:
        counts: whole numbers in [0, inf).
        names: of the bars; left out where they are many.
        labels: what is counted, and what the names are.
    """

    def draw(axes: "Axes") -> None:
        drawn = axes.barh(range(len(counts)), counts, color=COLOURS[0])
        if len(counts) <= MOST_NAMED:
            axes.bar_label(drawn, padding=2, fontsize=8)
            axes.set_yticks(range(len(counts)), names)
        axes.invert_yaxis()
        axes.set(xlabel=labels[0], ylabel=labels[1])
        axes.margins(x=0.12, y=0.02)

    return _svg(draw, (3.4, 1 + 0.22 * min(max(len(counts), 5), MOST_NAMED)))


def silhouettes(values: Tensor, c: Tensor, clusters: int) -> str:
    """How well each example lies in its cluster: sorted bars, cluster after cluster; Rousseeuw 1987, figure 2.

    Args:
        values: (n,) silhouettes in [-1, 1].
        c: (n,) clusters.
        clusters: K.
    """
    mean = float(values.mean())

    def draw(axes: "Axes") -> None:
        begin, gap = 0.0, 0.01 * len(values)
        middles = []
        for place in range(clusters):
            own = values[c == place].sort(descending=True).values
            rows = begin + torch.arange(len(own))
            axes.fill_betweenx(rows, 0, own, color=COLOURS[place % len(COLOURS)], linewidth=0.5)
            middles.append(begin + len(own) / 2)
            begin += len(own) + gap
        axes.axvline(mean, color=INK, linewidth=1, linestyle="--", alpha=0.7)
        axes.axvline(0, color=INK, linewidth=0.6)
        axes.set_yticks(*((middles, range(clusters)) if clusters <= MOST_NAMED else ([],)))
        axes.invert_yaxis()
        axes.set(xlabel=f"silhouette (dashed: mean, {mean:.2f})", ylabel="cluster")

    return _svg(draw, (3.4, 1 + 0.22 * min(max(clusters, 5), MOST_NAMED)))


def cloud(x: Tensor, y: Tensor, labels: tuple[str, str]) -> str:
    """Two quantities against one another, a point for each example.

    Args:
        x: (n,).
        y: (n,).
        labels: of the two axes.
    """

    def draw(axes: "Axes") -> None:
        axes.scatter(x, y, 9, COLOURS[0], alpha=0.7, linewidths=0, rasterized=True)
        axes.ticklabel_format(useOffset=False)
        axes.set(xlabel=labels[0], ylabel=labels[1])
        axes.grid()

    return _svg(draw, (3.1, 2.5))


def scatter(samples: Tensor, data: Tensor) -> str:
    """Generated points over real ones, in the frame of the real ones.

    Args:
        samples: (n, 2).
        data: (m, 2).
    """
    low, high = data.min(0).values, data.max(0).values
    margin = 0.25 * (high - low)

    def draw(axes: "Axes") -> None:
        axes.scatter(data[:, 0], data[:, 1], 5, "#8a9199", alpha=0.5, linewidths=0, rasterized=True, label="data")
        axes.scatter(samples[:, 0], samples[:, 1], 7, COLOURS[1], linewidths=0, rasterized=True, label="samples")
        axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
        outside = int(((samples < low - margin) | (samples > high + margin)).any(1).sum())
        axes.set_xlabel(f"{outside} of {len(samples)} samples lie outside the frame" if outside else " ")
        axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, handletextpad=0)

    return _svg(draw, (3.2, 3.2))


def reliability(confidence: Tensor, right: Tensor, bins: int = 10) -> str:
    """Is a prediction of 80 % right in 80 % of the cases? Guo et al., "On calibration of modern neural networks", 2017.

    Args:
        confidence: (n,) the highest probability of each example, in [0, 1].
        right: (n,) bool, whether the class of that probability is the true one.
        bins: of equal width.
    """
    place = (confidence * bins).long().clamp(max=bins - 1)
    count = torch.bincount(place, minlength=bins)
    share = torch.bincount(place, right.float(), bins) / count
    middle = (torch.arange(bins) + 0.5) / bins

    def draw(axes: "Axes") -> None:
        axes.plot([0, 1], [0, 1], color=INK, alpha=0.5, linewidth=1, linestyle="--")
        axes.bar(middle, share.nan_to_num(0), 0.9 / bins, color=COLOURS[0])
        for x, y, n in zip(middle, share, count.tolist(), strict=True):
            if n:
                axes.text(float(x), float(y) + 0.01, str(n), ha="center", fontsize=7)
        axes.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.08))

    return _svg(draw, (3.4, 3.0))


def tracks(true: Tensor, said: Tensor | None = None) -> str:
    """Numbers step by step, a line for each; what was said of them in dashes of the same colour.

    Args:
        true: (steps, numbers).
        said: likewise.
    """

    def draw(axes: "Axes") -> None:
        _lines(axes, true, "-")
        if said is not None:
            _lines(axes, said, "--")
        _steps(axes)
        axes.grid()

    return _svg(draw, (3.3, 2.0))


def tagged(x: Tensor, true: Tensor, said: Tensor, classes: Sequence[str]) -> str:
    """Numbers step by step, and under them two bands of classes: the true ones, and what they were taken for.

    Args:
        x: (steps, numbers).
        true: (steps,) classes, -1 for none.
        said: likewise.
        classes: the name of each class.
    """

    def draw(axes: "Axes") -> None:
        axes.plot(x, color=INK, linewidth=1, alpha=0.5)
        low, high = (float(end) for end in torch.aminmax(x))
        band = 0.12 * (high - low or 1.0)
        for row, tags in enumerate((true, said)):
            for step, tag in enumerate(tags.tolist()):
                if tag >= 0:
                    at = (step - 0.5, low - (row + 1.5) * band)
                    axes.broken_barh([(at[0], 1)], (at[1], 0.8 * band), color=COLOURS[tag % len(COLOURS)], linewidth=0)
        axes.set_yticks([low - (row + 1.1) * band for row in (0, 1)], ["true", "said"])
        _steps(axes)
        found = sorted({tag for tag in (*true.tolist(), *said.tolist()) if tag >= 0})
        for tag in found:
            axes.plot([], [], color=COLOURS[tag % len(COLOURS)], linewidth=5, label=classes[tag])
        axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, handlelength=1)

    return _svg(draw, (3.3, 2.7))


def _steps(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set(xlabel="step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _lines(axes: "Axes", x: Tensor, style: str) -> None:
    for place, line in enumerate(x.T):
        axes.plot(line, style, color=COLOURS[place % len(COLOURS)], linewidth=1.2)


def _svg(draw: "Callable[[Axes], None]", size: tuple[float, float]) -> str:
    import matplotlib
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure = Figure(size, dpi=160, layout="constrained")
        draw(figure.subplots())
        unsaid = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=unsaid)
    text = buffer.getvalue()
    text = re.sub(r'<g id="[^"]*">', "<g>", text[text.index("<svg") :])
    return text.replace(INK, "currentColor")
