"""Claims about Wasserstein GANs with gradient penalty."""

from typing import Any

import torch
from torch import Tensor, nn

from etude.claims.lab import Finding, Lab, claim, clear, gain, spread
from etude.data import source
from etude.data.kinds import Images
from etude.functional.distances import earth_mover_of_samples
from etude.systems.gans.wgan import WGAN
from etude.systems.gans.wgan_gp import WGANGP

SEEDS = range(3)
UPDATES, BATCH, HELD_OUT = 2000, 256, 1000
NETWORKS: dict[str, Any] = {"network": "dense", "output": "linear", "hidden": (128, 128, 128)}
CRITICS = {"clipping": WGAN, "penalty": WGANGP}
DATA = ("gaussians25", "ring8")


@claim(
    "clipping drives the critic's weights to the bounds, the penalty does not",
    source="Gulrajani et al. 2017, section 3 and figure 1b",
    minutes=6,
)
def weights_at_the_bounds(lab: Lab) -> Finding:
    shares = {arm: spread(at_the_bound(trained(arm, DATA[0], seed)) for seed in SEEDS) for arm in CRITICS}
    return Finding(
        holds=min(shares["clipping"]["values"]) > 0.5 and max(shares["penalty"]["values"]) < 0.1,
        numbers={f"share of weights within 10 % of the largest, {arm}": share for arm, share in shares.items()},
        note=SETTING
        + " Holds if in every seed over half of the clipped critic's hidden weights are within 10 % of the "
        "largest, and under a tenth of the other's.",
    )


@claim(
    "a clipped critic is too simple a function: scaled to slope 1, it sees less of the earth mover's distance",
    source="Gulrajani et al. 2017, section 3 and figure 2",
    minutes=10,
)
def value_surfaces(lab: Lab) -> Finding:
    numbers: dict[str, Any] = {}
    better = []
    for name in DATA:
        seen = {arm: spread(distance_seen(trained(arm, name, seed), name, seed) for seed in SEEDS) for arm in CRITICS}
        numbers |= {f"share of the distance seen on {name}, {arm}": share for arm, share in seen.items()}
        numbers[f"gain of the penalty on {name}"] = gain(seen["penalty"], seen["clipping"])
        better.append(clear(numbers[f"gain of the penalty on {name}"]))
    return Finding(
        holds=all(better),
        numbers=numbers,
        note=SETTING
        + " A function of slope at most 1 bounds the earth mover's distance from below, so the difference of "
        "a critic's means, divided by its largest slope on data and samples and on the lines between them, is set "
        f"beside the exact distance, on {HELD_OUT} held-out points of each. Holds if the penalty's critic sees "
        "clearly more on both data sets.",
    )


SETTING = (
    f"As in figures 1 and 2 the generator is held fixed at the data plus N(0, 1), and the critic alone learns, for "
    f"{UPDATES} updates on {BATCH} points of each. Both critics are the same dense network; each is trained by its "
    "paper's optimizer, at ten times the paper's rate, as there are few updates."
)


def trained(arm: str, name: str, seed: int) -> WGAN | WGANGP:
    """A critic that has learned against the data under noise."""
    torch.manual_seed(seed)
    rate = 5e-4 if arm == "clipping" else 1e-3
    system: WGAN | WGANGP = CRITICS[arm](1, 1, 2, rate=rate, **NETWORKS)
    data = points(name, "train")
    for _ in range(UPDATES):
        real, other = (data.index_select(0, torch.randint(len(data), (BATCH,))) for _ in range(2))
        fake = other + torch.randn_like(other)
        system.players.fake = lambda count, fake=fake: fake  # type: ignore[method-assign,misc]
        system.update_critic(real)
    return system


def points(name: str, part: str) -> Tensor:
    split = source.load(name).as_kind(Images).parts()[part]
    return split.to("cpu").tensors()["x"]


def at_the_bound(system: WGAN | WGANGP) -> float:
    """Share of a critic's hidden weights whose size is within 10 % of the largest of their layer."""
    layers = [layer.weight.detach().abs() for layer in system.players.discriminator if isinstance(layer, nn.Linear)][1:]
    near = torch.cat([(size > 0.9 * size.max()).flatten() for size in layers])
    return float(near.double().mean())


def distance_seen(system: WGAN | WGANGP, name: str, seed: int) -> float:
    """The bound on the earth mover's distance that a critic gives, as a share of that distance."""
    torch.manual_seed(seed)
    real = points(name, "test")[:HELD_OUT]
    fake = real.roll(1, 0) + torch.randn_like(real)
    alpha = torch.rand(len(real), 1, 1, 1)
    everywhere = torch.cat([real, fake, alpha * real + (1 - alpha) * fake]).requires_grad_()
    (slopes,) = torch.autograd.grad(system.players.judge(everywhere).sum(), everywhere)
    with torch.no_grad():
        difference = system.players.judge(real).mean() - system.players.judge(fake).mean()
    bound = difference / slopes.flatten(1).norm(dim=1).max()
    return float(bound / earth_mover_of_samples(real.flatten(1), fake.flatten(1)))
