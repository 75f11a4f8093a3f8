"""What a section of a report is made of: figures, words, and a view of the run that it is about."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from etude.data.kinds import Images, Splits, Vectors, walk
from etude.engine.run import Asked, Run, chain
from etude.metrics.clustering import clustered
from etude.report.files import image_shape
from etude.systems.clusterer import Clusterer

SHOWN = 10  # examples in a row
PLOTTED = 3000  # points in a plot
WIDE = 1000  # numbers in a code from which on its principal components are estimated


@dataclass(frozen=True)
class Figure:
    """A picture or a plot as HTML, and the line under it."""

    html: str
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it.

    Attributes:
        title: the heading.
        text: paragraphs.
        figures: side by side where there is room.
        head: names of the table's columns.
        rows: of the table.
        link: words, and the address they stand for.
        code: shown as it is.
        command: likewise, and taken whole by a click.
    """

    title: str
    text: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    link: tuple[str, str] | None = None
    code: str = ""
    command: str = ""


@dataclass(frozen=True)
class View:
    """A run, the system it serves, and its data where they can be read."""

    run: Run
    system: Any
    splits: Splits | None

    @cached_property
    def chain(self) -> list[Asked]:
        """The system that was trained, the one it acts on, and so on."""
        return chain(self.run.question)

    @cached_property
    def test(self) -> Vectors | Images | None:
        """The test split, where it holds rows of numbers or pictures."""
        return self.splits.test if self.splits and isinstance(self.splits.test, Vectors | Images) else None

    @cached_property
    def labels(self) -> Tensor | None:
        """The class of each test example, where they have one."""
        y = self.test.y if self.test else None
        return None if y is None or y.is_floating_point() else y

    @cached_property
    def codes(self) -> Tensor | None:
        """Codes (n, latent) of the first test examples, where the system has any."""
        if self.test is None or not hasattr(self.system, "encode"):
            return None
        return torch.cat([self.system.encode(batch.x).flatten(1) for batch in walk(self.test[:PLOTTED])])

    @cached_property
    def soft(self) -> Tensor | None:
        """Soft assignments (n, K) of the test examples to clusters, where the system has any."""
        if self.test is None or not isinstance(self.system, Clusterer):
            return None
        return clustered(self.system, self.test)[0]

    @cached_property
    def range(self) -> tuple[float, float]:
        """The numbers to draw as black and as white."""
        train = self.splits.train.tensors()["x"] if self.splits else torch.zeros(1)
        if not train.is_floating_point():
            return 0, 1
        low, high = (float(end) for end in torch.aminmax(train))
        return (0, 1) if low >= 0 and high <= 1 else (low, high)

    def pictured(self, x: Any) -> bool:
        """Are these examples (n, ...) of data that are pictures?"""
        shape = image_shape(self.run)
        return shape is not None and isinstance(x, Tensor) and x[0].numel() == torch.Size(shape).numel()

    def pictures(self, x: Tensor) -> Tensor:
        """Examples as pictures (n, channels, height, width) in [0, 1]."""
        low, high = self.range
        return (x.reshape(-1, *self.run.record["shape"]) - low) / (high - low)

    def examples(self) -> Tensor:
        """A few test examples: the first of each class, then the first of the others."""
        assert self.test is not None
        first: dict[int, int] = {}
        for place, c in enumerate([] if self.labels is None else self.labels.tolist()):
            first.setdefault(c, place)
        chosen = [first[c] for c in sorted(first)]
        rest = [place for place in range(len(self.test)) if place not in chosen] if len(chosen) < SHOWN else []
        return self.test[torch.tensor([*chosen, *rest][:SHOWN])].to("cpu").x


Drawing = Callable[[View], Iterator[Section]]


def principal_plane(codes: Tensor, fitted: Tensor | None = None) -> tuple[Tensor, float]:
    """Codes (n, dimensions) as points (n, 2), and the share of the variance kept; two dimensions stay as they are.

    Of wide codes the plane is found by a randomised method, all but exact where two components stand out.

    Args:
        fitted: (m, dimensions), whose two principal components span the plane; the codes themselves where not given.
    """
    if codes.shape[1] == 2:
        return codes, 1.0
    reference = (codes if fitted is None else fitted).double()
    centred = reference - reference.mean(0)
    if codes.shape[1] > WIDE:
        _, deviations, directions = torch.svd_lowrank(centred, 10, niter=10)
        share = deviations[:2].square().sum() / centred.square().sum()
    else:
        variances, directions = torch.linalg.eigh(centred.T @ centred)
        share, directions = variances[-2:].sum() / variances.sum(), directions.flip(1)
    return (codes.double() - reference.mean(0)) @ directions[:, :2], float(share)
