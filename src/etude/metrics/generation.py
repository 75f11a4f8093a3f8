"""How close generated examples come to real ones."""

import math
from typing import Protocol

import torch
from torch import Tensor

from etude.data import toy
from etude.data.kinds import Images, Vectors, walk

PART = 1000
DEVIATIONS = {"gaussians25": 0.05, "ring8": 0.02}  # of a mode of these toy data
WIDTHS = torch.logspace(-2, 0.5, 11)


class Samples(Protocol):
    @property
    def device(self) -> torch.device: ...

    def sample(self, count: int, /) -> Tensor: ...


def parzen_log_likelihood(system: Samples, split: Vectors | Images, count: int = 1000) -> float:
    """Mean log-likelihood in nats of the split's second half under a Parzen window on samples: Goodfellow et al. 2014.

    The width of the window is the one of `WIDTHS` that fits the first half best (at most 1,000 examples of it), so that
    it is not chosen on what is scored; the paper chooses it on a validation set (section 5). The estimate varies a lot
    and favours copies of the training data: compare on the same data only.

    Args:
        count: samples; published figures mostly take 10,000, this default is cheap enough for every epoch.
    """
    samples = system.sample(count).flatten(1)
    half = len(split) // 2
    first = split[: min(half, 1000)].to(samples.device)
    fits = parzen(samples, first.x, WIDTHS).mean(1)
    width = WIDTHS[fits.argmax().cpu()]
    return float(
        torch.cat([parzen(samples, batch.x, width[None])[0] for batch in walk(split[half:], samples.device)]).mean()
    )


def parzen(samples: Tensor, x: Tensor, widths: Tensor) -> Tensor:
    """log p(x) for each width and example (widths, n); p is the mean of normal distributions N(s, width^2 I).

    Args:
        samples: (m, ...), the s.
        x: (n, ...).
        widths: (widths,) standard deviations, in (0, inf).
    """
    squared = torch.cdist(x.flatten(1).double(), samples.flatten(1).double()).square().float()
    count, features = len(samples), squared.new_tensor(x[0].numel())
    constants = math.log(count) + features / 2 * torch.log(2 * math.pi * widths.square())
    return torch.stack([torch.logsumexp(-squared / (2 * w**2), 1) - c for w, c in zip(widths, constants, strict=True)])


def mode_coverage(samples: Tensor, centres: Tensor, std: float) -> tuple[int, float]:
    """Modes that the samples reach, and the share of samples of high quality: those within four `std` of their nearest
    centre.

    A mode is reached when a sample of high quality lies nearest to it. Unterthiner et al. 2018 and many others use such
    grids.

    Args:
        samples: (n, features).
        centres: (modes, features).
        std: standard deviation of a mode, in (0, inf).
    """
    distance, nearest = torch.cdist(samples, centres).min(1)
    good = distance < 4 * std
    return len(torch.unique(nearest[good])), float(good.double().mean())


def modes(system: Samples, name: str, count: int = 10_000) -> tuple[int, float]:
    """Modes covered and share of samples of high quality (`mode_coverage`) of a system trained on toy data.

    Args:
        name: `gaussians25`, of 25 modes, or `ring8`, of 8.
        count: samples.
    """
    return mode_coverage(system.sample(count), toy.modes(name).to(system.device), DEVIATIONS[name])


def nearest_examples(samples: Tensor, split: Vectors | Images) -> tuple[Tensor, Tensor]:
    """The example of the split closest to each sample: Euclidean distances (n,) and positions in the split (n,).

    Args:
        samples: (n, ...), shaped like the examples or as rows.
    """
    rows = samples.flatten(1)
    exact = "donot_use_mm_for_euclid_dist"
    batches = [
        torch.cdist(rows, batch.x.flatten(1), compute_mode=exact).min(1) for batch in walk(split, rows.device, PART)
    ]
    distance, part = torch.stack([batch.values for batch in batches]).min(0)
    place = torch.stack([batch.indices for batch in batches]).gather(0, part[None])[0]
    return distance, part * PART + place
