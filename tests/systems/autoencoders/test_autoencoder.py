"""Autoencoder: equal to principal component analysis where it is linear; layouts that fit any size."""

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from etude.data.kinds import Images, Vectors, split
from etude.errors import InputError
from etude.systems.autoencoders.autoencoder import Autoencoder
from etude.systems.system import Clock


def test_linear_autoencoder_finds_the_subspace_of_pca() -> None:
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(12, 12)).Q
    x = torch.randn(400, 12) * torch.tensor([3.0, 2.5, 2.0] + [0.7] * 9) @ basis + 1
    images = Images(x.view(400, 1, 3, 4))
    system = Autoencoder(1, 3, 4, hidden=(), latent=3, activation="identity", output="linear", rate=0.02)
    for t in range(500):
        loss = system.step(images, Clock(step=t))["loss"]
    pca = PCA(3).fit(x.numpy())
    directions = system.decode(torch.eye(3)).flatten(1) - system.decode(torch.zeros(3, 3)).flatten(1)
    assert np.degrees(subspace_angles(directions.numpy().T, pca.components_.T)).max() < 0.5
    error = np.square(pca.inverse_transform(pca.transform(x.numpy())) - x.numpy()).sum(1).mean()
    assert float(loss) == pytest.approx(error, rel=1e-3)


def test_loss_is_summed_over_pixels_and_averaged_over_examples() -> None:
    torch.manual_seed(0)
    system = Autoencoder(1, 4, 4, hidden=(8,), latent=2)
    batch = Images(torch.rand(6, 1, 4, 4))
    error = (system.decode(system.encode(batch.x)) - batch.x).square().sum() / 6
    assert float(system.step(batch, Clock())["loss"]) == pytest.approx(float(error), rel=1e-5)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (7, 10), (1, 13), (5, 1)])
def test_convolutions_give_back_any_size(height: int, width: int) -> None:
    system = Autoencoder(2, height, width, layout="convolutional", hidden=(4, 8), latent=3)
    x = torch.rand(3, 2, height, width)
    assert system.encode(x).shape == (3, 3)
    assert system.decode(system.encode(x)).shape == x.shape


def test_convolutional_layout_halves_each_time() -> None:
    encoder = Autoencoder(1, 28, 28, layout="convolutional", hidden=(16, 32), latent=10).encoder
    x, sizes = torch.zeros(1, 1, 28, 28), []
    for layer in encoder:
        x = layer(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(16, 14, 14), (16, 14, 14), (32, 7, 7), (32, 7, 7), (1568,), (10,)]


@pytest.mark.parametrize("layout", ["dense", "convolutional"])
def test_both_layouts_learn(layout: str) -> None:
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    centre = torch.rand(256, 2, 1, 1) * 5 + 1
    spots = Images(torch.exp(-((x - centre[:, 0]) ** 2 + (y - centre[:, 1]) ** 2) / 4)[:, None])
    system = Autoencoder(1, 8, 8, layout=layout, hidden=(32, 16), latent=4, rate=5e-3)  # type: ignore[arg-type]
    losses = [float(system.step(spots, Clock(step=t))["loss"]) for t in range(250)]
    spread = float((spots.x - spots.x.mean(0)).square().sum() / 256)
    assert losses[-1] < 0.25 * spread


def test_sigmoid_keeps_to_the_range_of_pixels() -> None:
    decoded = Autoencoder(1, 4, 4, hidden=(), latent=2).decode(100 * torch.randn(50, 2))
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    assert Autoencoder(1, 4, 4, hidden=(), latent=2, output="linear").decode(100 * torch.randn(50, 2)).min() < 0


def test_a_sigmoid_is_not_asked_for_numbers_outside_its_range() -> None:
    table = split(Vectors(3 * torch.randn(40, 5)), "table").as_kind(Images)
    with pytest.raises(InputError, match=r"a sigmoid gives data in \[0, 1\].*use --output linear"):
        Autoencoder(1, 1, 5).check(table)
    Autoencoder(1, 1, 5, output="linear").check(table)
