"""House fronts drawn at random: maps of their parts, and pictures rendered from them. Needs no files.

A map says where sky, ground, wall, roof, windows, doors, cornices and balconies are. What it does not say (the colour
of the wall, brick or plaster, the light, the weather) is drawn anew for every picture, so that many pictures fit a map.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from etude.data.facades import unpaired
from etude.data.kinds import ImagePairs, Splits, split

COUNT = 400
SIDE = 64
PARTS = {  # in the order in which they are drawn, with their colours on the map
    "sky": (0, 0, 170),
    "ground": (128, 128, 128),
    "wall": (0, 80, 255),
    "roof": (170, 0, 0),
    "cornice": (255, 80, 0),
    "window": (0, 220, 255),
    "balcony": (170, 255, 80),
    "door": (255, 220, 0),
}
SKY, GROUND, WALL, ROOF, CORNICE, WINDOW, BALCONY, DOOR = range(len(PARTS))
WALLS = ((214, 196, 160), (186, 92, 70), (176, 178, 182), (222, 172, 92), (176, 200, 176), (232, 226, 214))
ROOFS = ((150, 62, 46), (92, 96, 108), (112, 78, 58))
DOORS = ((92, 54, 30), (40, 72, 52), (52, 56, 92))

Labels = NDArray[np.uint8]
Pixels = NDArray[np.float64]
Random = np.random.RandomState  # whose numbers stay the same from one version of NumPy to the next


def facades_like(data_dir: Path | None = None) -> Splits:
    """400 pairs (n, 3, 64, 64), uint8: maps in eight colours to pictures."""
    random = Random(0)
    palette = np.array([*PARTS.values()], np.uint8)
    maps = [plan(random) for _ in range(COUNT)]
    pictures = [render(each, random) for each in maps]
    x = torch.from_numpy(palette.take(np.stack(maps), axis=0)).permute(0, 3, 1, 2).contiguous()
    y = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    return split(ImagePairs(x, y), "facades-like")


def facades_like_unpaired(data_dir: Path | None = None) -> Splits:
    """The same, but nothing to train on tells which map goes with which picture."""
    return unpaired(facades_like(), "facades-like-unpaired")


def plan(random: Random) -> Labels:
    """Where the parts of a front are: (64, 64), numbers of `PARTS`."""
    parts = np.full((SIDE, SIDE), SKY, np.uint8)
    ground, eaves, ridge = SIDE - random.randint(3, 7), random.randint(14, 22), random.randint(4, 10)
    left, right = random.randint(0, 10), SIDE - random.randint(0, 10)
    parts[ground:] = GROUND
    parts[eaves:ground, left:right] = WALL
    slope = random.choice([0.0, 0.4, 0.8])
    for row in range(ridge, eaves):
        inset = int(slope * (eaves - row))
        parts[row, left + inset : right - inset] = ROOF
    storeys, columns = random.randint(2, 4), random.randint(2, 6)
    tall, wide = (ground - eaves) / storeys, (right - left) / columns
    height, width = round(tall * random.uniform(0.45, 0.65)), round(wide * random.uniform(0.4, 0.65))
    with_cornices, with_balconies = random.uniform(size=2) < (0.7, 0.6)
    entrance = random.randint(columns)
    for storey in range(storeys):
        top = round(eaves + storey * tall)
        if with_cornices:
            parts[top : top + 2, left:right] = CORNICE
        for column in range(columns):
            at = round(left + (column + 0.5) * wide - width / 2)
            if storey == storeys - 1 and column == entrance:
                parts[round(top + 0.3 * tall) : ground, at : at + width] = DOOR
                continue
            sill = round(top + 0.25 * tall) + height
            parts[sill - height : sill, at : at + width] = WINDOW
            if with_balconies and storey < storeys - 1 and random.uniform() < 0.5:
                parts[sill - 1 : sill + 2, max(at - 1, left) : min(at + width + 1, right)] = BALCONY
    return parts


def render(parts: Labels, random: Random) -> Labels:
    """A picture (64, 64, 3) of a front whose parts, (64, 64), are known."""
    row, column = np.mgrid[0:SIDE, 0:SIDE].astype(float)
    grain = random.normal(size=(SIDE, SIDE))
    wall, roof, door = (of[random.randint(len(of))] for of in (WALLS, ROOFS, DOORS))
    reflection = np.sin((row + column) / random.uniform(3, 7)).clip(0, 1)
    materials = {  # each with its shade
        SKY: ((0, 0, 0), 0 * row),
        GROUND: ((112, 108, 102), 1 + 0.06 * grain),
        WALL: (wall, _masonry(row, column, random) + 0.04 * grain),
        ROOF: (roof, 1 - 0.3 * (row % 3 < 1) + 0.06 * grain),
        CORNICE: ((226, 220, 206), 1 + 0.03 * grain),
        WINDOW: ((52, 66, 84), 0.8 + 0.9 * reflection),
        BALCONY: ((44, 42, 46), 1.9 - 1.2 * (column % 2 < 1)),
        DOOR: (door, 1.05 - 0.3 * (column % 3 < 1) + 0.05 * grain),
    }
    colours = np.array([colour for colour, _ in materials.values()], float).take(parts, axis=0)
    picture = colours * np.choose(parts, [shade for _, shade in materials.values()])[..., None]
    picture[parts == SKY] = _sky(row, random)[parts == SKY]
    picture[_edge(parts == WINDOW)] = (232, 230, 224) if random.uniform() < 0.6 else (104, 74, 50)
    picture[_edge(parts == DOOR)] *= 0.6
    beneath = (parts == WALL) & np.isin(np.roll(parts, 1, axis=0), (CORNICE, BALCONY, WINDOW, ROOF))
    picture[beneath] *= 0.6
    slant = random.uniform(-0.25, 0.25)
    light = np.where(parts == SKY, 1, 1 + slant * (column / SIDE - 0.5))
    seen: Labels = (picture * light[..., None] + 3 * random.normal(size=picture.shape)).clip(0, 255).astype(np.uint8)
    return seen


def _masonry(row: Pixels, column: Pixels, random: Random) -> Pixels:
    """The shade of a wall: even, or bricks with darker joints."""
    if random.uniform() < 0.5:
        return np.ones((SIDE, SIDE))
    joint = (row % 3 < 1) | ((column + 3 * (row // 3 % 2)) % 6 < 1)
    return np.where(joint, 0.78, 1.0)


def _sky(row: Pixels, random: Random) -> Pixels:
    """Blue that fades towards the horizon, or grey; with clouds."""
    blue = random.uniform() < 0.6
    zenith, horizon = np.array([(96, 148, 214), (214, 226, 238)] if blue else [(176, 180, 188)] * 2, float)
    faded = zenith + (horizon - zenith) * (row / 40).clip(0, 1)[..., None]
    coarse = (random.uniform(size=(9, 9)) - 0.6).clip(0, 1)
    soft = (1 - np.abs(np.arange(SIDE)[:, None] / 8 - np.arange(9))).clip(0, 1)  # between the coarse points
    sky: Pixels = faded + (245 - faded) * (soft @ coarse @ soft.T)[..., None]
    return sky


def _edge(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The outermost pixels of an area."""
    core = inside.copy()
    for axis in (0, 1):
        for shift in (-1, 1):
            core &= np.roll(inside, shift, axis)
    return inside & ~core
