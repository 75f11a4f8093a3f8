"""Claims about least squares GANs."""

import torch
from torch import Tensor

from etude.claims.lab import Finding, Lab, claim, gain, spread
from etude.functional.adversarial import (
    discriminator_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    nonsaturating_generator_loss,
)
from etude.systems.gans.lsgan import LSGAN
from etude.systems.system import descend

SEEDS = range(3)
UPDATES, BATCH = 1000, 128
PLACES = (1.0, 2.0, 4.0, 8.0)
LOSSES = {
    "least squares": (least_squares_discriminator_loss, least_squares_generator_loss),
    "cross-entropy": (discriminator_loss, nonsaturating_generator_loss),
}


@claim(
    "samples far from the data on the right side of the boundary are pulled back, where cross-entropy leaves them",
    source="Mao et al. 2017, section 3.1 and figure 1",
    minutes=2,
)
def far_samples(lab: Lab) -> Finding:
    pulls = {name: [pulled(name, seed) for seed in SEEDS] for name in LOSSES}
    found = {
        (name, place): spread(float(pull[i]) for pull in each)
        for name, each in pulls.items()
        for i, place in enumerate(PLACES)
    }
    squares, entropy = (found[name, PLACES[-1]] for name in LOSSES)
    return Finding(
        holds=all(a > 10 * abs(b) for a, b in zip(squares["values"], entropy["values"], strict=True)),
        numbers={f"pull to the left at {place:g}, {name}": value for (name, place), value in found.items()}
        | {f"difference at {PLACES[-1]:g}": gain(squares, entropy)},
        note=f"Real points N((0, 0), 0.1^2), false ones N((-2, 0), 0.1^2); the same dense discriminator, optimizer and "
        f"{UPDATES} updates on {BATCH} of each, the loss alone differs. Probes stand on the right, where D says real, "
        "at growing distance from the data; the pull is the slope of the generator's loss by the probe's first "
        "coordinate, positive where lowering it leads back to the data. Holds if at the farthest place least squares "
        "pull at least ten times as hard in every seed.",
    )


def pulled(name: str, seed: int) -> Tensor:
    """The slope of the generator's loss by the first coordinate of a probe at each of `PLACES`."""
    torch.manual_seed(seed)
    system = LSGAN(1, 1, 2, network="dense", output="linear", rate=1e-3)
    judge, (loss, wanted) = system.players.judge, LOSSES[name]
    false = torch.tensor([-2.0, 0.0])
    for _ in range(UPDATES):
        real, fake = (0.1 * torch.randn(BATCH, 1, 1, 2) for _ in range(2))
        descend(system.discriminator_optimizer, loss(judge(real), judge(fake + false)))
    probes = torch.zeros(len(PLACES), 1, 1, 2)
    probes[:, 0, 0, 0] = torch.tensor(PLACES)
    probes.requires_grad_()
    (slopes,) = torch.autograd.grad(wanted(judge(probes)) * len(PLACES), probes)
    return slopes[:, 0, 0, 0]
