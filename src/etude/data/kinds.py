"""Kinds: what a batch holds. A kind is a frozen dataclass of tensors that share their first dimension.

A whole split is a batch too: `split[index]`, `len(split)` and `split.to(device)` are all there is. The names of a
split's `dimensions` match the argument names of a system's `__init__`; that is the whole bridge between data and
systems.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor

from etude.data.memory import select
from etude.errors import InputError


def _nothing() -> Tensor:
    return torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True)
class Batch:
    """Examples side by side. Every tensor field has the examples along its first dimension.

    Attributes:
        source: the data set to take where none is asked for.
        index: (n,) int64, which examples of the data set these are; numbered from 0 where not given.
    """

    source: ClassVar[str] = "digits"
    index: Tensor = field(default_factory=_nothing, kw_only=True)

    def __post_init__(self) -> None:
        tensors = self.tensors()
        first = next(iter(tensors.values()))
        if self.index.numel() == 0:
            object.__setattr__(self, "index", torch.arange(len(first), device=first.device))
        for name, tensor in tensors.items():
            if len(tensor) != len(self.index):
                raise InputError(
                    f"{type(self).__name__}: {name} has {len(tensor)} examples where there are {len(self.index)}"
                )

    def tensors(self) -> dict[str, Tensor]:
        """The tensor fields by name, without `index` where it was not given."""
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v for k, v in named.items() if isinstance(v, Tensor) and not (k == "index" and v.numel() == 0)}

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        return replace(self, **{name: change(tensor) for name, tensor in self.tensors().items()})

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: Tensor | slice) -> Self:
        """The examples at these places: an int64 tensor of positions, or a slice."""
        if isinstance(index, slice):
            return self._map(lambda tensor: tensor[index])
        return self._map(lambda tensor: select(tensor, index))

    def place(self, device: torch.device | str) -> Self:
        """The same tensors, as they are stored, in the memory of `device`."""
        return self._map(lambda tensor: tensor.to(device))

    def to(self, device: torch.device | str) -> Self:
        """Ready for a system: on `device`, bytes (0 to 255) turned into floats (0 to 1), padding cut to the longest."""
        return self.trimmed()._map(lambda tensor: _ready(tensor.to(device, non_blocking=True)))

    def drawn(self, index: Tensor) -> Self:
        """The examples of a step: those at these places, (m,) int64."""
        return self[index]

    @property
    def padded(self) -> dict[str, Tensor]:
        """The tensors that are padded along their second dimension, each with the true lengths, (n,), of its rows."""
        return {}

    def trimmed(self) -> Self:
        """Without the padding that even the longest of these examples does not need."""
        padded, named = self.padded, self.tensors()
        if len(self) == 0 or not padded:
            return self
        cut = {name: named[name][:, : int(lengths.max())].contiguous() for name, lengths in padded.items()}
        return replace(self, **cut)

    @property
    def dimensions(self) -> dict[str, int]:
        """Sizes by name, as the arguments of a system's `__init__` name them."""
        raise NotImplementedError


def _ready(tensor: Tensor) -> Tensor:
    if tensor.dtype == torch.uint8:
        return tensor.to(torch.get_default_dtype()).mul_(1 / 255)
    return tensor.to(torch.get_default_dtype()) if tensor.is_floating_point() else tensor


def span(x: Tensor) -> tuple[float, float]:
    """The smallest and the largest number; bytes count as what they become, 0 to 1."""
    return (0.0, 1.0) if x.dtype == torch.uint8 else (float(x.min()), float(x.max()))


def _outputs(y: Tensor | None, classes: tuple[str, ...]) -> int:
    if y is None:
        return 0
    return y[0].numel() if y.is_floating_point() else len(classes)


@dataclass(frozen=True)
class Vectors(Batch):
    """Rows of numbers.

    Attributes:
        x: (n, features), float32, or uint8 where the numbers are bytes.
        y: None, or (n,) int64 classes, or (n, targets) float32 numbers to predict.
        classes: the name of each class.
        shape: (channels, height, width) where the rows are flattened images, otherwise empty.
    """

    x: Tensor
    y: Tensor | None = None
    classes: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()

    @property
    def dimensions(self) -> dict[str, int]:
        return {"features": self.x.shape[1], "classes": len(self.classes), "outputs": _outputs(self.y, self.classes)}

    def as_images(self) -> "Images":
        """The images that the rows were; any other row of numbers is an image one pixel high."""
        shape = self.shape or (1, 1, self.x.shape[1])
        return Images(self.x.reshape(len(self), *shape), self.y, self.classes, index=self.index)


@dataclass(frozen=True)
class Images(Batch):
    """Pictures.

    Attributes:
        x: (n, channels, height, width), uint8 until a batch is moved, then in [0, 1]; float32 where they came as
            floats.
        y: None, or (n,) int64 classes, or (n, targets) float32.
        classes: the name of each class.
    """

    x: Tensor
    y: Tensor | None = None
    classes: tuple[str, ...] = ()

    @property
    def dimensions(self) -> dict[str, int]:
        channels, height, width = self.x.shape[1:]
        sizes = {"channels": channels, "height": height, "width": width}
        return {**sizes, "classes": len(self.classes), "outputs": _outputs(self.y, self.classes)}

    def as_vectors(self) -> Vectors:
        """Each image as the row of its pixels."""
        return Vectors(self.x.flatten(1), self.y, self.classes, tuple(self.x.shape[1:]), index=self.index)

    def as_sequences(self) -> "Sequences":
        """Each image as the sequence of its rows, from the top: height steps of channels * width features."""
        n, channels, height, width = self.x.shape
        x = self.x.transpose(1, 2).reshape(n, height, channels * width)
        lengths = torch.full((n,), height, device=x.device)
        return Sequences(x, lengths, self.y, classes=self.classes, index=self.index)


@dataclass(frozen=True)
class ImagePairs(Batch):
    """Pictures of two domains: each with its counterpart, or, where they are not aligned, any with any.

    Attributes:
        x: (n, channels, height, width), uint8 until a batch is moved, then in [0, 1].
        y: (n, target_channels, height, width), as x. Of domains of different size the smaller one is repeated.
        aligned: whether y shows what x shows.
    """

    source: ClassVar[str] = "facades-like"
    x: Tensor
    y: Tensor
    aligned: bool = True

    @property
    def dimensions(self) -> dict[str, int]:
        channels, height, width = self.x.shape[1:]
        return {"channels": channels, "target_channels": self.y.shape[1], "height": height, "width": width}

    def drawn(self, index: Tensor) -> Self:
        """The pairs at these places; where they are not aligned, each x with a y drawn at random."""
        if self.aligned:
            return self[index]
        return replace(self[index], y=select(self.y, torch.randint(len(self), (len(index),))))


@dataclass(frozen=True)
class Sequences(Batch):
    """Series of rows of numbers, padded with zeros to the longest.

    Attributes:
        x: (n, steps, features), float32, or uint8 where the numbers are bytes.
        lengths: (n,) int64, true steps of each.
        y: None; or (n,) int64 classes, or (n, steps) int64 classes of each step, -1 where a step has none; or (n,
            targets) or (n, steps, targets) float32 numbers to predict.
        times: None, or (n, steps) float32 when each step was, in rising order; padded with the time of the last.
        classes: the name of each class.
    """

    source: ClassVar[str] = "waves"
    x: Tensor
    lengths: Tensor
    y: Tensor | None = None
    times: Tensor | None = None
    classes: tuple[str, ...] = ()

    @property
    def dimensions(self) -> dict[str, int]:
        outputs = len(self.classes)
        if self.y is not None and self.y.is_floating_point():
            outputs = self.y.shape[-1]
        return {"features": self.x.shape[2], "classes": len(self.classes), "outputs": outputs}

    @property
    def padded(self) -> dict[str, Tensor]:
        stepwise = self.y is not None and self.y.ndim == (3 if self.y.is_floating_point() else 2)
        names = ["x", *(["y"] if stepwise else []), *([] if self.times is None else ["times"])]
        return dict.fromkeys(names, self.lengths)

    @property
    def elapsed(self) -> Tensor | None:
        """(n, steps), time that passed before each step, 1 before the first; None where no times are known."""
        if self.times is None:
            return None
        return torch.cat([torch.ones_like(self.times[:, :1]), self.times.diff(dim=1)], 1)


@dataclass(frozen=True)
class Symbols(Batch):
    """Strings of symbols, padded with 0 to the longest.

    Attributes:
        x: (n, steps) int64, in [0, words).
        lengths: (n,) int64, true symbols of each.
        vocabulary: what each number stands for.
    """

    source: ClassVar[str] = "counting"
    x: Tensor
    lengths: Tensor
    vocabulary: tuple[str, ...] = ()

    @property
    def dimensions(self) -> dict[str, int]:
        return {"symbols": len(self.vocabulary)}

    @property
    def padded(self) -> dict[str, Tensor]:
        return {"x": self.lengths}


PAD, BEGIN, END, UNKNOWN = range(4)  # numbers with a meaning in every vocabulary of TextPairs


@dataclass(frozen=True)
class TextPairs(Batch):
    """Sentences and what they are to become, as numbers of words, padded with 0 to the longest.

    Attributes:
        x: (n, steps) int64, the source, ending with `END`.
        lengths: (n,) int64, true length of each source, `END` included.
        target: (n, target steps) int64, beginning with `BEGIN` and ending with `END`.
        target_lengths: (n,) int64, true length of each target, both included.
        words: what each number of a source stands for; the first four are padding, begin, end and unknown.
        target_words: the same for targets.
    """

    source: ClassVar[str] = "addition"
    x: Tensor
    lengths: Tensor
    target: Tensor
    target_lengths: Tensor
    words: tuple[str, ...] = ()
    target_words: tuple[str, ...] = ()

    @property
    def dimensions(self) -> dict[str, int]:
        return {"words": len(self.words), "target_words": len(self.target_words)}

    @property
    def truth(self) -> Tensor:
        """(n, target steps - 1), what is to be written: the targets from the first word to `END`."""
        return self.target[:, 1:]

    @property
    def padded(self) -> dict[str, Tensor]:
        return {"x": self.lengths, "target": self.target_lengths}


@dataclass(frozen=True)
class Trees(Batch):
    """Sentences and the trees that they are to become, each tree's nodes in breadth-first order, padded with 0.

    Attributes:
        x: (n, steps) int64, the words of the text, ending with `END`.
        lengths: (n,) int64, true length of each text, `END` included.
        nodes: (n, most nodes) int64, the symbol of each node; the root is first. A symbol tells how many children its
            node has.
        parents: (n, most nodes) int64, the position of each node's parent; 0 for the root.
        places: (n, most nodes) int64, the position of each node among its siblings, from 0.
        sizes: (n,) int64, true number of nodes of each tree.
        words: what each number of a text stands for; the first four are padding, begin, end and unknown.
        symbols: the same for nodes.
        arities: how many children a node of each symbol has.
    """

    source: ClassVar[str] = "algolisp-like"
    x: Tensor
    lengths: Tensor
    nodes: Tensor
    parents: Tensor
    places: Tensor
    sizes: Tensor
    words: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    arities: tuple[int, ...] = ()

    @property
    def dimensions(self) -> dict[str, int]:
        return {"words": len(self.words), "symbols": len(self.symbols)}

    @property
    def truth(self) -> Tensor:
        """(n, most nodes), what is to be written: the symbols of the nodes."""
        return self.nodes

    @property
    def padded(self) -> dict[str, Tensor]:
        return {"x": self.lengths, **dict.fromkeys(("nodes", "parents", "places"), self.sizes)}

    def as_textpairs(self) -> TextPairs:
        """Each tree as the text of its s-expression, a parenthesis being a word."""
        from etude.data.trees import linearised  # which needs the kinds above

        return linearised(self)


def side_by_side(rows: Iterable[Tensor], fill: float | None = 0.0) -> Tensor:
    """Tensors (steps, ...) of different length as one, (n, most steps, ...), padded with `fill`.

    Args:
        rows: at least one.
        fill: the number to pad with; None repeats the last step of each, as the times of `Sequences` want it.
    """
    if fill is not None:
        return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=fill)
    rows = list(rows)
    most = max(map(len, rows))
    return torch.stack([torch.cat([row, row[-1:].repeat(most - len(row), *[1] * (row.ndim - 1))]) for row in rows])


def offer(split: Batch, kind: type[Batch]) -> Batch:
    """The split as another kind, where it offers itself as that kind (`as_vectors`, `as_images`, ...).

    Raises:
        InputError: the split cannot be seen as `kind`.
    """
    if isinstance(split, kind):
        return split
    method = getattr(split, f"as_{kind.__name__.lower()}", None)
    if method is None:
        raise InputError(
            f"the data are {type(split).__name__}, the system learns from {kind.__name__}: give data of that kind"
        )
    offered: Batch = method()
    return offered


B = TypeVar("B", bound=Batch)


def walk(split: B, device: torch.device | str = "cpu", size: int = 1000) -> Iterator[B]:
    """The split in order, in ready batches of at most `size` examples."""
    for start in range(0, len(split), size):
        yield split[start : start + size].to(device)


@dataclass(frozen=True)
class Splits:
    """A data set, split once and for all: rules see `train`, model selection sees `validation`, `test` is for the last
    score.

    Attributes:
        name: what the data set is called, in folders and reports.
        preparation: how raw values became numbers (see `etude.data.table`); goes with the run to prepare new input
            alike.
    """

    train: Batch
    validation: Batch
    test: Batch
    name: str = "data"
    preparation: dict[str, Any] = field(default_factory=dict)

    def as_kind(self, kind: type[Batch]) -> "Splits":
        """All three splits as another kind (see `offer`)."""
        return self._map(lambda split: offer(split, kind))

    def _map(self, change: Callable[[Batch], Batch]) -> "Splits":
        return replace(self, train=change(self.train), validation=change(self.validation), test=change(self.test))

    def parts(self) -> dict[str, Batch]:
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def place(self, device: torch.device | str) -> "Splits":
        return self._map(lambda split: split.place(device))

    def together(self) -> Batch:
        """All examples as one split, where nothing is to be held out."""
        named = [part.tensors() for part in self.parts().values()]
        return replace(self.test, **{name: self._joined(name, [each[name] for each in named]) for name in named[0]})

    def _joined(self, name: str, tensors: list[Tensor]) -> Tensor:
        """The tensors one after the other, padded to the longest."""
        if name not in self.test.padded:
            return torch.cat(tensors)
        fills = {"times": None, "y": 0.0 if tensors[0].is_floating_point() else -1.0}
        return side_by_side((row for tensor in tensors for row in tensor), fills.get(name, 0.0))

    def whole(self) -> "Splits":
        """Nothing held out, as in papers on clustering, where labels only score: train and test are all examples.

        Validation is 1,000 of them (all, where there are fewer), for the log of a run and not for a choice.
        """
        together = self.together()
        every = replace(together, index=torch.arange(len(together)))
        _, watched = hold_out(every, min(1.0, 1000 / len(every)), seed=0)
        return replace(self, train=every, validation=every[watched], test=every, name=f"{self.name}-whole")

    def digest(self) -> str:
        """SHA-256 over every tensor of every split: the identity of the data in a run."""
        sha = hashlib.sha256()
        for part, split in self.parts().items():
            for name, tensor in split.tensors().items():
                sha.update(f"{part} {name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                sha.update(tensor.contiguous().cpu().numpy().data)
        return sha.hexdigest()


def split(whole: Batch, name: str, *, shares: tuple[float, float] = (0.15, 0.15), seed: int = 0, **more: Any) -> Splits:
    """Split at random into train, validation and test, each class by itself so that small sets stay balanced.

    Args:
        whole: all examples.
        shares: parts of validation and of test.
        seed: of the draw; a data set keeps the same one for ever, whatever the seed of the training is.
    """
    places = hold_out(whole, shares[1], seed)
    rest, test = whole[places[0]], whole[places[1]]
    places = hold_out(rest, shares[0] / (1 - shares[1]), seed + 1)
    return Splits(rest[places[0]], rest[places[1]], test, name, **more)


def hold_out(whole: Batch, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Positions kept and positions held out, each in rising order: (kept,), (held out,).

    Drawn class by class where each example has one.
    """
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed))
    y = getattr(whole, "y", None)
    if y is not None and y.ndim == 1 and not y.is_floating_point():
        order = order[torch.argsort(y[order], stable=True)]
    rank = torch.arange(len(whole), dtype=torch.float64)
    held = torch.floor((rank + 1) * share + 0.5) > torch.floor(rank * share + 0.5)
    return order[~held].sort().values, order[held].sort().values
