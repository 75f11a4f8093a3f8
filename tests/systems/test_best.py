"""Choosing by validation: the weights of the lowest loss come back, and nothing else changes them."""

import torch
from torch import nn

from etude.systems.best import Best


def test_the_weights_of_the_lowest_loss_come_back() -> None:
    first = nn.Linear(3, 2)
    network = nn.Sequential(first, nn.Linear(2, 1))
    best = Best(network)
    kept = {}
    for place, loss in enumerate([3.0, 1.0, 2.0, 1.0]):
        with torch.no_grad():
            for p in network.parameters():
                p.fill_(place)
        assert best.compare(network, loss) == [0, 0, 1, 2][place]
        kept[place] = {key: value.clone() for key, value in network.state_dict().items()}
    best.put_back(network)
    assert all(torch.equal(value, kept[1][key]) for key, value in network.state_dict().items())
    with torch.no_grad():
        first.weight.add_(1)
    best.put_back(network)  # what was put back is a copy
    assert torch.equal(first.weight, kept[1]["0.weight"])


def test_a_network_never_compared_stays_as_it_is() -> None:
    network = nn.Linear(2, 2)
    best = Best(network)
    nn.init.ones_(network.weight)
    best.put_back(network)
    assert torch.equal(network.weight, torch.ones(2, 2))
