"""Claims about Wasserstein GANs."""

import math
from typing import Any

import torch
from torch import Tensor

from etude.claims.lab import Finding, Lab, Plot, claim, clear, gain, spread
from etude.data import source
from etude.data.kinds import Images
from etude.engine.extractors import Extractor, of_run
from etude.functional.adversarial import discriminator_loss, nonsaturating_generator_loss
from etude.functional.distances import earth_mover_of_samples
from etude.metrics.features import fid
from etude.systems.gans.wgan import WGAN
from etude.systems.system import descend

SEEDS = range(3)
WARM, LOOKS, STEPS, BATCH, COMPARED = 100, 16, 150, 64, 2000
FLOOR = 1e-6  # of what is drawn on logarithmic axes
UPDATES, PLACES = 1500, (5.0, 3.5, 2.5, 1.5, 1.0)
SETTINGS: dict[str, Any] = {
    "network": "dense",
    "output": "linear",
    "latent": 8,
    "hidden": (128, 128),
    "rate": 5e-4,
    "clipping": 0.1,
    "critic_steps": 25,
}
MNIST: dict[str, Any] = {"latent": 32, "maps": 16, "rate": 5e-4, "clipping": 0.01, "critic_steps": 5}
Track = list[tuple[float, float]]


@claim(
    "the critic's estimate falls as samples get better, where that of the Jensen-Shannon divergence stays near log 2",
    source="Arjovsky et al. 2017, figures 3 and 4",
    minutes=15,
)
def estimate_follows_quality(lab: Lab) -> Finding:
    extract = of_run(lab.run("lenet", "mnist"))
    tracks = {arm: [watched(lab, extract, arm, seed) for seed in SEEDS] for arm in ("wgan", "gan")}
    follows = {arm: spread(correlation(track) for track in each) for arm, each in tracks.items()}
    kept = {arm: spread(at_half_way(track) for track in each) for arm, each in tracks.items()}
    more = gain(follows["wgan"], follows["gan"])
    numbers = {f"rank correlation of estimate and FID, {arm}": found for arm, found in follows.items()}
    numbers |= {f"share of its peak that the estimate has at half the FID, {arm}": kept[arm] for arm in kept}
    numbers |= {f"first FID, {arm}": spread(track[0][1] for track in each) for arm, each in tracks.items()}
    numbers |= {f"last FID, {arm}": spread(track[-1][1] for track in each) for arm, each in tracks.items()}
    return Finding(
        holds=min(follows["wgan"]["values"]) > 0.8 and clear(more) and min(kept["gan"]["values"]) > 0.9,
        numbers=numbers | {"rank correlation, wgan less gan": more},
        note="MNIST. Both arms have the same convolutional networks, RMSprop at 5e-4, "
        f"{WARM} updates of the critic alone, then five for one of the generator, on {LOOKS * STEPS:,} batches of "
        f"{BATCH}. The losses differ, and the critic alone is clipped, to {MNIST['clipping']:g}: with few updates the "
        "paper's rate does not get far. The estimate is minus the critic's loss, and (V + log 4) / 2; its mean over "
        f"{STEPS} batches is set beside the FID of {COMPARED:,} samples after these, in the 84 features of a LeNet-5 "
        "trained here, against as many validation images. Holds if in every seed the critic's rank correlation is "
        "above 0.8, it is clearly above that of the divergence, and the latter still has 90 % of its peak when the "
        "FID has halved (or at the end, if it never has).",
        plots={"estimate and FID during training, first seed": plot(tracks)},
    )


@claim(
    "the earth mover's distance can be learned where supports are disjoint and the Jensen-Shannon divergence is flat",
    source="Arjovsky et al. 2017, section 2, example 1 and figures 1 and 2",
    minutes=4,
)
def disjoint_supports(lab: Lab) -> Finding:
    tracks = {arm: [approached(arm, seed) for seed in SEEDS] for arm in ("wgan", "gan")}
    follows = {arm: spread(correlation(track) for track in each) for arm, each in tracks.items()}
    kept = {arm: spread(track[-1][0] / track[0][0] for track in each) for arm, each in tracks.items()}
    numbers = {f"rank correlation of estimate and distance, {arm}": found for arm, found in follows.items()}
    numbers |= {f"estimate at {PLACES[-1]:g} as a share of that at {PLACES[0]:g}, {arm}": kept[arm] for arm in kept}
    return Finding(
        holds=min(follows["wgan"]["values"]) > 0.9
        and max(kept["wgan"]["values"]) < 0.5
        and min(kept["gan"]["values"]) > 0.95,
        numbers=numbers
        | {"smallest estimate of the divergence, in log 2": spread(least(each) for each in tracks["gan"])},
        note=f"Samples are the data (`ring8`) moved sideways by {PLACES[0]:g} to {PLACES[-1]:g}, where no mode meets "
        "another, so the earth mover's distance is at most the shift. For each shift a critic and a discriminator of "
        f"the same dense network learn for {UPDATES} updates on {BATCH} of each, by RMSprop at 5e-4, the critic "
        "clipped to 0.1; the estimates are means over the last tenth. Holds if in every seed the critic's estimates "
        "have a rank correlation with the exact distances above 0.9 and the last is below half of the first, while "
        "the estimate of the divergence keeps 95 % of its first value.",
    )


def approached(arm: str, seed: int) -> Track:
    """The estimate of a judge trained against the data moved by each of `PLACES`, and the true distance."""
    ring, track = source.load("ring8").as_kind(Images), []
    data, held_out = (part.to("cpu").tensors()["x"] for part in (ring.train, ring.validation))
    for place in PLACES:
        torch.manual_seed(seed)
        system = WGAN(1, 1, 2, **SETTINGS)
        shift, estimates = torch.tensor([place, 0.0]), []
        for _ in range(UPDATES):
            real, other = (data.index_select(0, torch.randint(len(data), (BATCH,))) for _ in range(2))
            system.players.fake = lambda count, fake=other + shift: fake  # type: ignore[method-assign,misc]
            estimates.append(estimate(arm, system, real))
        rows = held_out[:COMPARED].flatten(1)
        distance = earth_mover_of_samples(rows + shift, rows)
        track.append((float(torch.stack(estimates[-max(1, UPDATES // 10) :]).mean()), float(distance)))
    return track


def least(track: Track) -> float:
    return min(found for found, _ in track) / math.log(2)


def watched(lab: Lab, extract: Extractor, arm: str, seed: int) -> Track:
    """The estimate over a stretch of training, and the FID after it."""
    torch.manual_seed(seed)
    system = WGAN(1, 28, 28, **MNIST)
    mnist = source.load("mnist", data_dir=lab.data_dir).as_kind(Images)
    data, held_out = (part.to("cpu").tensors()["x"] for part in (mnist.train, mnist.validation[:COMPARED]))
    true, _ = extract(held_out)

    def judged() -> Tensor:
        x = data.index_select(0, torch.randint(len(data), (BATCH,)))
        return estimate(arm, system, system.players.inside(x))

    def moved() -> None:
        if arm == "wgan":
            system.update_generator(BATCH)
        else:
            made = system.players.generate(system.players.noise(BATCH))
            descend(system.generator_optimizer, nonsaturating_generator_loss(system.players.judge(made)))

    for _ in range(WARM):
        judged()
    track = []
    for _ in range(LOOKS):
        estimates = []
        for t in range(STEPS):
            estimates.append(judged())
            if (t + 1) % system.critic_steps == 0:
                moved()
        with torch.no_grad():
            made, _ = extract(system.eval().sample(len(true)))
        system.train()
        track.append((float(torch.stack(estimates).mean()), fid(true, made)))
    return track


def estimate(arm: str, system: WGAN, x: Tensor) -> Tensor:
    """An update of the critic, or of the same network as a discriminator of the first GAN, and what it estimates."""
    if arm == "wgan":
        return -system.update_critic(x)
    fake = system.players.fake(len(x))
    loss = discriminator_loss(system.players.judge(x), system.players.judge(fake))
    return (math.log(4) - descend(system.critic_optimizer, loss)) / 2


def correlation(track: Track) -> float:
    """Spearman's, of estimate and distance; 0 where one of them never changes."""
    from scipy.stats import spearmanr

    estimates, distances = zip(*track, strict=True)
    found = float(spearmanr(estimates, distances).statistic)
    return 0.0 if math.isnan(found) else found


def at_half_way(track: Track) -> float:
    """The estimate when the distance has first halved, or at the end if it never has, as a share of its peak."""
    end = next((i for i, (_, distance) in enumerate(track) if distance <= track[0][1] / 2), len(track) - 1)
    return track[end][0] / max(abs(estimate) for estimate, _ in track[: end + 1])


def plot(tracks: dict[str, list[Track]]) -> Plot:
    """Estimate and FID of the first seed of each arm over the batches, as shares of the largest."""
    curves = {
        f"{what}, {arm}": [max(value, FLOOR) / max(*values, FLOOR) for value in values]
        for arm, (track, *_) in tracks.items()
        for what, values in zip(("estimate", "FID"), zip(*track, strict=True), strict=True)
    }
    return Plot(["batches", "share of the largest"], [float(STEPS * (look + 1)) for look in range(LOOKS)], curves)
