"""LeNet-5: the paper's counts, table I, and equations (7) and (9)."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from etude.data.kinds import Images
from etude.errors import InputError
from etude.systems.feedforward.lenet import RUBBISH, LeNet, PartialConvolution, Squash, Subsampling, connections
from etude.systems.system import Clock


def test_parameters_of_each_layer_are_those_of_section_2b() -> None:
    network = LeNet(1, 28, 28, 10).network
    counts = [sum(p.numel() for p in layer.parameters()) for layer in network]
    assert [count for count in counts if count] == [156, 12, 1516, 32, 48120, 10164]
    assert sum(counts) == 60_000


def test_maps_have_the_sizes_of_figure_2() -> None:
    x, sizes = torch.zeros(1, 1, 32, 32), []
    for layer in LeNet(1, 28, 28, 10).network:
        x = layer(x)
        if not isinstance(layer, Squash | nn.Flatten):
            sizes.append(tuple(x.shape[1:]))
    assert sizes == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1), (84,)]


def test_connections_are_table_1() -> None:
    rows = [
        "X...XXX..XXXX.XX",
        "XX...XXX..XXXX.X",
        "XXX...XXX..X.XXX",
        ".XXX..XXXX..X.XX",
        "..XXX..XXXX.XX.X",
        "...XXX..XXXX.XXX",
    ]
    table = torch.tensor([[letter == "X" for letter in row] for row in rows])
    assert torch.equal(connections(), table.T)


def test_c3_is_a_convolution_with_the_other_weights_at_zero() -> None:
    torch.manual_seed(0)
    c3 = PartialConvolution(connections(), 5, 1).double()
    full = nn.Conv2d(6, 16, 5).double()
    full.weight.data[~connections()] = 0
    full.weight.data[connections()] = c3.weight.data
    full.bias = c3.bias
    x = torch.randn(2, 6, 14, 14, dtype=torch.float64)
    torch.testing.assert_close(c3(x), full(x))
    for row, seen in enumerate(connections()):
        changed = x.clone()
        changed[:, ~seen] += 1
        torch.testing.assert_close(
            c3(changed)[:, row], c3(x)[:, row], msg=f"map {row} sees maps that table I denies it"
        )


def test_subsampling_and_squashing() -> None:
    s2 = Subsampling(2)
    s2.weight.data, s2.bias.data = torch.tensor([2.0, 3.0]).view(2, 1, 1), torch.tensor([1.0, -1.0]).view(2, 1, 1)
    x = torch.randn(1, 2, 4, 6)
    sums = x.unfold(2, 2, 2).unfold(3, 2, 2).sum((-1, -2))
    torch.testing.assert_close(s2(x), sums * s2.weight + s2.bias)
    one = torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(Squash()(one), one, atol=1e-4, rtol=0)  # f(1) = 1, f(-1) = -1 (appendix A)


def test_outputs_are_distances_from_the_codes() -> None:
    torch.manual_seed(0)
    system = LeNet(1, 28, 28, 10)
    x = torch.rand(5, 1, 28, 28)
    last = system.network(1.275 * F.pad(x, (2, 2, 2, 2)) - 0.1)
    distances = torch.cdist(last, system.codes).square()  # (7)
    torch.testing.assert_close(system.distances(x), distances, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(system.classify(x), F.softmin(distances, 1), rtol=1e-3, atol=1e-5)
    assert set(system.codes.unique().tolist()) == {-1.0, 1.0}


def test_loss_is_equation_9() -> None:
    torch.manual_seed(0)
    system = LeNet(1, 28, 28, 10)
    batch = Images(torch.rand(7, 1, 28, 28), torch.arange(7))
    y = system.distances(batch.x).detach().double()
    error = y[torch.arange(7), torch.arange(7)] + torch.log(
        torch.exp(torch.tensor(-RUBBISH).double()) + (-y).exp().sum(1)
    )
    assert float(system.step(batch, Clock())["loss"]) == pytest.approx(float(error.mean()), rel=1e-5)
    assert not system.codes.requires_grad


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 9, 12), (2, 32, 20)])
def test_other_sizes_fit_with_other_arguments(channels: int, height: int, width: int) -> None:
    system = LeNet(channels, height, width, 4, kernel=3, padding=2)
    batch = Images(torch.rand(3, channels, height, width), torch.arange(3))
    system.step(batch, Clock())
    assert system.classify(batch.x).shape == (3, 4)


def test_an_image_too_small_is_one_line() -> None:
    with pytest.raises(InputError, match="8x8 images are too small"):
        LeNet(1, 8, 8, 10)
