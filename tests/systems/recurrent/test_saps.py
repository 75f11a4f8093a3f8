"""SAPS: a decoder that takes whole levels of many trees at once against one that walks a single tree node by node."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.data.kinds import BEGIN, PAD, UNKNOWN, Splits, Trees
from etude.data.trees import flatten, numbered, parse
from etude.nn.layered import Recurrent
from etude.systems.recurrent.saps import SAPS, levels
from etude.systems.system import Clock

PROBLEMS = {
    "add a and b": "(+ a b)",
    "a": "a",
    "the sum of all of a that are less than the sum of b": "(reduce (filter a (partial1 (reduce b 0 +) <)) 0 +)",
    "b without a": "(f (g b (h a)) (g (h b) a) c)",
}
SIZES = {"embedding": 5, "hidden": 6, "longest": 30, "layers": 1}
FORMS: list[dict[str, Any]] = [
    {"states": states, "attention": attention}
    for states in ("both", "horizontal", "vertical")
    for attention in (True, False)
]
every_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form.values())))


def splits() -> Splits:
    its = [(text.split(), parse(tree)) for text, tree in PROBLEMS.items()]
    return numbered(dict.fromkeys(("train", "validation", "test"), its * 2), "given")


def batch(pick: slice = slice(0, 4)) -> Trees:
    train = splits().train[pick]
    assert isinstance(train, Trees)
    return train


def built(**form: Any) -> SAPS:
    torch.manual_seed(0)
    asked: dict[str, Any] = splits().train.dimensions | SIZES | form
    system = SAPS(**asked)
    for parameter in system.parameters():
        nn.init.normal_(parameter, std=0.5)
    system.learn_arities(splits())
    return system.double()


def cell(block: Recurrent | None) -> nn.LSTMCell | None:
    """PyTorch's cell with the weights of a block of one layer; its gates come in the order i, f, z, o."""
    if block is None:
        return None
    layer: Any = block.layers[0]
    found = nn.LSTMCell(layer.W.shape[2], layer.W.shape[1]).double()
    order = torch.tensor([1, 2, 0, 3])
    found.weight_ih.data, found.weight_hh.data = layer.W[order].flatten(0, 1), layer.R[order].flatten(0, 1)
    found.bias_ih.data, found.bias_hh.data = layer.b[order].flatten(), torch.zeros_like(layer.b.flatten())
    return found


def walked(system: SAPS, x: Tensor, nodes: list[int], parents: list[int]) -> Tensor:
    """Scores of every node of one tree (M, K), by the equations, one node after the other."""
    read, decoder = system.encoder(x[None]), system.decoder
    start = tuple(each[0] for each in read.start)
    down, along = cell(decoder.vertical), cell(decoder.horizontal)

    def symbol(number: int) -> Tensor:
        found: Tensor = decoder.embed(torch.tensor([number]))
        return found

    horizontal: Any = start
    vertical: dict[int, Any] = {}
    merge = decoder.merge.weight.split(6, 1)  # U^f and U^a, those that there are
    scores = []
    for place, parent in enumerate(parents):
        parts = []
        if along is not None:
            horizontal = along(symbol(nodes[place - 1] if place else BEGIN), horizontal)  # (2)
            parts.append(horizontal[0])
        if down is not None:
            above = (nodes[parent], vertical[parent]) if place else (BEGIN, start)
            vertical[place] = down(symbol(above[0]), above[1])  # (1)
            parts.append(vertical[place][0])
        h = torch.tanh(sum((part @ U.T for U, part in zip(merge, parts, strict=True)), torch.zeros(1)))  # (3)
        if decoder.compare is not None and decoder.mix is not None:
            said = read.keys[0][: int((x != PAD).sum())]
            look = torch.softmax(said @ decoder.compare(h)[0], 0)
            h = torch.tanh(decoder.mix(torch.cat([look @ said, h[0]])))[None]
        scores.append(decoder.output(h)[0])
    return torch.stack(scores)


@every_form
@torch.no_grad()
def test_levels_side_by_side_are_nodes_one_by_one(form: dict[str, Any]) -> None:
    system, its = built(**form), batch()
    scores = system.decoder(its.nodes, its.parents, system.encoder(its.x))
    for row, size in enumerate(its.sizes.tolist()):
        alone = walked(system, its.x[row], its.nodes[row, :size].tolist(), its.parents[row, :size].tolist())
        torch.testing.assert_close(scores[row, :size], alone)


@every_form
@torch.no_grad()
def test_what_is_written_is_the_likeliest_node_after_node(form: dict[str, Any]) -> None:
    system, its = built(**form), batch()
    said = system.translate(its.x)
    for x, row in zip(its.x, said.tolist(), strict=True):
        nodes: list[int] = []
        parents = [0]
        while len(nodes) < min(len(parents), system.longest):
            scores = walked(system, x, [*nodes, PAD], parents[: len(nodes) + 1])[-1]
            nodes.append(int(scores[UNKNOWN + 1 :].argmax()) + UNKNOWN + 1)
            parents += [len(nodes) - 1] * int(system.arities[nodes[-1]])
        assert row == nodes + [PAD] * (system.longest - len(nodes))


@every_form
@torch.no_grad()
def test_neither_padding_nor_its_neighbours_change_a_tree(form: dict[str, Any]) -> None:
    system, its = built(**form), batch()
    losses, said = system.misfit(its.x, its.nodes, its.parents), system.translate(its.x)
    wide = [F.pad(each, (0, 3)) for each in (its.x, its.nodes, its.parents)]
    torch.testing.assert_close(system.misfit(wide[0], wide[1], wide[2]), F.pad(losses, (0, 3)))
    assert torch.equal(system.translate(wide[0]), said)
    for row, size in enumerate(its.sizes.tolist()):
        one = its[row : row + 1].to("cpu")
        assert one.nodes.shape == (1, size)
        torch.testing.assert_close(system.misfit(one.x, one.nodes, one.parents)[0], losses[row, :size])
        assert (losses[row, size:] == 0).all()
        assert torch.equal(system.translate(one.x)[0], said[row])


@every_form
def test_padding_changes_no_update(form: dict[str, Any]) -> None:
    systems = [built(**form) for _ in range(2)]
    its = batch()
    padded: dict[str, Any] = {name: F.pad(its.tensors()[name], (0, 4)) for name in its.padded}
    wide = replace(its, **padded)
    for system, given in zip(systems, (its, wide), strict=True):
        system.step(given, Clock())
    for name, weight in systems[0].state_dict().items():
        torch.testing.assert_close(systems[1].state_dict()[name], weight, msg=name)


@torch.no_grad()
def heard(system: SAPS, its: Trees) -> Tensor:
    """Which nodes' scores (rows) hear of which nodes' symbols (columns), in the first tree: (M, M) bool."""
    read, found = system.encoder(its.x), []
    before = system.decoder(its.nodes, its.parents, read)[0]
    for place in range(its.nodes.shape[1]):
        changed = its.nodes.clone()
        changed[0, place] = changed[0, place] + 1 if changed[0, place] == UNKNOWN + 1 else UNKNOWN + 1
        found.append((system.decoder(changed, its.parents, read)[0] - before).abs().amax(1) > 1e-12)
    return torch.stack(found, 1)


@pytest.mark.parametrize("attention", [True, False])
def test_horizontal_hears_what_was_written_before_and_vertical_what_is_above(attention: bool) -> None:
    its = batch(slice(3, 4)).to("cpu")
    M = its.nodes.shape[1]
    above = torch.zeros(M, M, dtype=torch.bool)
    for node, parent in enumerate(its.parents[0].tolist()[1:], 1):
        above[node] = above[parent]
        above[node, parent] = True
    earlier = torch.ones(M, M).tril(-1).bool()
    assert torch.equal(heard(built(states="vertical", attention=attention), its), above)
    assert torch.equal(heard(built(states="horizontal", attention=attention), its), earlier)
    assert torch.equal(heard(built(states="both", attention=attention), its), earlier)


@torch.no_grad()
def test_vertical_alone_tells_nodes_apart_by_what_is_above_alone() -> None:
    system, its = built(states="vertical"), batch(slice(3, 4)).to("cpu")
    scores = system.decoder(its.nodes, its.parents, system.encoder(its.x))[0]
    above: list[list[int]] = [[]]
    for parent in its.parents[0].tolist()[1:]:
        above.append([*above[parent], int(its.nodes[0, parent])])
    for one, other in combinations(range(len(above)), 2):
        assert torch.allclose(scores[one], scores[other]) == (above[one] == above[other])
    assert above[1] == above[2] == above[3]


def test_levels_count_from_the_root() -> None:
    tree = parse(PROBLEMS["b without a"])
    symbols, parents, _ = flatten(tree)
    nodes = torch.tensor([[4] * len(symbols) + [PAD] * 2])
    found = levels(nodes, torch.tensor([[*parents, 0, 0]]))
    assert found.tolist() == [[0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 0, 0]]


@every_form
def test_loss_is_that_of_true_nodes_alone(form: dict[str, Any]) -> None:
    system, its = built(**form), batch()
    with torch.no_grad():
        scores = system.decoder(its.nodes, its.parents, system.encoder(its.x))
    losses = [
        -torch.log_softmax(row, 0)[node]
        for row, node in zip(scores.flatten(0, 1), its.nodes.flatten(), strict=True)
        if node != PAD
    ]
    assert len(losses) == its.sizes.sum()
    torch.testing.assert_close(system.step(its, Clock())["loss"], torch.stack(losses).mean())


@every_form
def test_every_weight_learns(form: dict[str, Any]) -> None:
    system, its = built(**form), batch()
    system.misfit(its.x, its.nodes, its.parents).sum().backward()
    for name, parameter in system.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_trees_are_learned_by_heart_unless_siblings_differ() -> None:
    """The vertical state alone writes "a" and no tree in whose siblings another symbol stands."""
    its = batch()
    right = {}
    for states in ("both", "horizontal", "vertical"):
        torch.manual_seed(0)
        asked: dict[str, Any] = splits().train.dimensions | SIZES | {"states": states, "hidden": 16, "rate": 2e-2}
        system = SAPS(**asked)
        system.learn_arities(splits())
        for _ in range(100):
            system.step(its, Clock())
        said = system.translate(its.x)[:, : its.nodes.shape[1]]
        right[states] = (said == its.nodes).all(1).tolist()
    assert right == {"both": [True] * 4, "horizontal": [True] * 4, "vertical": [False, True, False, False]}


def test_only_symbols_of_the_training_trees_are_written() -> None:
    system = built()
    system.decoder.output.bias.data[: UNKNOWN + 1] = 100
    said = system.translate(batch().x)
    assert (said[:, 0] > UNKNOWN).all()
    assert not ((said > PAD) & (said <= UNKNOWN)).any()


def test_a_tree_that_does_not_end_is_cut() -> None:
    system = built(longest=7)
    system.arities.fill_(2)
    assert (system.translate(batch().x) > UNKNOWN).all()
