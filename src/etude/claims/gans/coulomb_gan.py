"""Claims about Coulomb GANs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from etude.claims.lab import Finding, Lab, claim, gain, spread
from etude.data.kinds import Images
from etude.data.toy import modes
from etude.functional.adversarial import discriminator_loss, nonsaturating_generator_loss
from etude.systems.gans.coulomb_gan import CoulombGAN
from etude.systems.gans.lsgan import LSGAN
from etude.systems.gans.wgan import WGAN
from etude.systems.gans.wgan_gp import WGANGP
from etude.systems.system import Clock, Losses, descend

SEEDS = range(3)
STEPS, BATCH, POINTS, SAMPLES = 20_000, 128, 100_000, 10_000
EVEN = 0.256  # share of the plane between the modes that is within 3 deviations of one
SPACING, DEVIATION = 10.5, 1.0  # of the modes
NETWORKS: dict[str, Any] = {"network": "dense", "output": "linear", "latent": 8, "hidden": (128, 128)}
ARMS: dict[str, tuple[type, dict[str, Any]]] = {
    "gan": (LSGAN, {"rate": 1e-3}),
    "lsgan": (LSGAN, {"rate": 1e-3}),
    "wgan": (WGAN, {"rate": 1e-3, "clipping": 0.1}),
    "wgan-gp": (WGANGP, {"rate": 1e-3}),
    "coulomb-gan": (CoulombGAN, {"generator_rate": 1e-3, "discriminator_rate": 1e-3}),
}


@claim(
    "a Coulomb GAN gives each of 25 modes its share, a standard GAN leaves modes out",
    source="Unterthiner et al. 2018, the mixture of 25 Gaussians",
    minutes=30,
)
def all_modes(lab: Lab) -> Finding:
    scores = {arm: [shares(sampled(arm, seed)) for seed in SEEDS] for arm in ARMS}
    served = {arm: spread(float((share >= 0.01).sum()) for share, _ in each) for arm, each in scores.items()}
    reached = {arm: spread(float((share > 0).sum()) for share, _ in each) for arm, each in scores.items()}
    good = {arm: spread(close for _, close in each) for arm, each in scores.items()}
    more = gain(served["coulomb-gan"], served["gan"])
    numbers = {f"modes with a quarter of their share, {arm}": served[arm] for arm in ARMS}
    numbers |= {f"modes reached at all, {arm}": reached[arm] for arm in ARMS}
    numbers |= {f"share of samples within 3 deviations of a mode, {arm}": good[arm] for arm in ARMS}
    return Finding(
        holds=min(served["coulomb-gan"]["values"]) == 25
        and max(served["gan"]["values"]) < 25
        and min(good["coulomb-gan"]["values"]) > EVEN,
        numbers=numbers | {"modes with a quarter of their share, coulomb-gan less gan": more},
        note=f"The paper's mixture, 25 normal distributions of deviation 1 and {SPACING:g} apart, and its softening of "
        f"1. All arms have the same dense networks and noise and {STEPS:,} batches of {BATCH}; one in five trains the "
        "generator where there is a critic. `gan` is `lsgan` with the losses of Goodfellow et al. (non-saturating). "
        "Each has its paper's optimizer, RMSprop for wgan and Adam for the others, whose first momentum is 0.5 in gan "
        "and lsgan, 0 in wgan-gp and 0.9 in coulomb-gan. "
        "All rates are 0.001, up to twenty times the papers', as there are few batches; the clipping is at 0.1. "
        f"On {SAMPLES:,} samples a mode has a quarter of its share if 1 % of all "
        f"are within 3 deviations of it. Samples spread evenly, {EVEN:.1%} of them near modes, would just give each "
        "that much, so read the numbers together. Holds if in every seed the Coulomb GAN serves all 25 modes, with "
        "more of its samples near them than even ones, and the standard GAN leaves a mode out.",
    )


def sampled(arm: str, seed: int) -> Tensor:
    """Samples (n, 2) of a trained arm."""
    system, more = ARMS[arm]
    torch.manual_seed(seed)
    gan = system(1, 1, 2, **NETWORKS, **more)
    step: Callable[[Images, Clock], Losses] = gan.step if arm != "gan" else lambda batch, clock: standard(gan, batch)
    data = mixture()
    for t in range(STEPS):
        step(Images(data.index_select(0, torch.randint(len(data), (BATCH,)))), Clock(step=t))
    drawn: Tensor = gan.sample(SAMPLES)
    return drawn.flatten(1)


def standard(gan: LSGAN, batch: Images) -> Losses:
    """A step of the players of a least squares GAN by the losses of the first GAN."""
    players = gan.players
    real, fake = players.judge(batch.x), players.judge(players.fake(len(batch)))
    loss = descend(gan.discriminator_optimizer, discriminator_loss(real, fake))
    judged = players.judge(players.generate(players.noise(len(batch))))
    return {
        "discriminator": loss,
        "generator": descend(gan.generator_optimizer, nonsaturating_generator_loss(judged)),
    }


def mixture() -> Tensor:
    """The data: (n, 1, 1, 2)."""
    noise = torch.randn(POINTS, 2, generator=torch.Generator().manual_seed(0))
    points = centres().index_select(0, torch.arange(POINTS) % 25) + DEVIATION * noise
    return points.view(POINTS, 1, 1, 2)


def centres() -> Tensor:
    """Where the modes are (25, 2): a grid from -21 to 21."""
    return modes("gaussians25") * SPACING / 2


def shares(samples: Tensor) -> tuple[Tensor, float]:
    """Share of all samples that are within three deviations of each mode (25,), and of any."""
    distance, nearest = torch.cdist(samples, centres()).min(1)
    share = torch.bincount(nearest[distance < 3 * DEVIATION], minlength=25) / len(samples)
    return share, float(share.sum())
