"""Kinds: what a batch holds. A kind is a frozen dataclass of tensors that share their first dimension.

A whole split is a batch too: `split[index]`, `len(split)` and `split.to(device)` are all there is. The names of a
split's `dimensions` match the argument names of a system's `__init__`; that is the whole bridge between data and
systems.
"""

import hashlib
from collections.abc import Callable, Iterator
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
        """Ready for a system: on `device`, bytes (0 to 255) turned into floats (0 to 1)."""
        return self._map(lambda tensor: _ready(tensor.to(device, non_blocking=True)))

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
        tensors = {name: torch.cat([p.tensors()[name] for p in self.parts().values()]) for name in self.test.tensors()}
        return replace(self.test, **tensors)

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
    """Positions kept and positions held out, drawn class by class: (kept,), (held out,), each in rising order."""
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed))
    y = getattr(whole, "y", None)
    if y is not None and not y.is_floating_point():
        order = order[torch.argsort(y[order], stable=True)]
    rank = torch.arange(len(whole), dtype=torch.float64)
    held = torch.floor((rank + 1) * share + 0.5) > torch.floor(rank * share + 0.5)
    return order[~held].sort().values, order[held].sort().values
