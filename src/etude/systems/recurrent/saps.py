"""SAPS: Bednarek, Piaskowski and Krawiec, "Ain't nobody got time for coding: structure-aware program synthesis", 2018.

The decoder is doubly recurrent, with the equations of Alvarez-Melis and Jaakkola, "Tree-structured decoding with
doubly-recurrent neural networks", 2017, for a node i, its parent p(i) and the node s(i) before it:

    h_i^a = g^a(h_p(i)^a, x_p(i))                      vertical state                  (1)
    h_i^f = g^f(h_s(i)^f, x_s(i))                      horizontal state                (2)
    h_i^pred = tanh(U^f h_i^f + U^a h_i^a)             both, merged                    (3)
    o_i = softmax(W h_i^pred)                          the symbol of the node          (6)

and with attention tanh(W_c [c_i; h_i^pred]) in the place of h_i^pred, where c_i is what h_i^pred looks at among the
words (Luong, Pham and Manning, 2015, general score).

A bidirectional LSTM reads a text and leaves a vector, from which two LSTMs write a tree, the root first and then level
by level: the vertical one goes from every node to its children, the horizontal one from left to right through the nodes
of a level and on through the next. Siblings hear the same from their parent, so the vertical state alone cannot tell
them apart; the horizontal one alone must remember whose turn it is. A symbol says how many children its node has, so
that (4) and (5) are left out, which ask whether there is a child or another sibling.

Letters: B examples, S words of the longest text, M nodes of the largest tree, E numbers of an embedding, N units, K
symbols; R nodes that tell their children something, those of all trees together.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.data.kinds import BEGIN, PAD, UNKNOWN, Splits, Trees
from etude.metrics.translation import exact_match, token_accuracy
from etude.nn.layered import Recurrent
from etude.nn.named import block
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend

State = tuple[Tensor, Tensor]  # outputs and cells, (1, B, N) each


class Read(NamedTuple):
    """A text: the encoder's outputs (B, S, 2 N), where there are words (B, S), the first state of the decoder."""

    keys: Tensor
    present: Tensor
    start: State


def lstm(inputs: int, units: int, layers: int = 1, *, bidirectional: bool = False) -> Recurrent:
    return block("lstm", inputs, units, layers, variant="NP", bidirectional=bidirectional)


def levels(nodes: Tensor, parents: Tensor) -> Tensor:
    """The level of each node, 0 for the root and where there is none: nodes (B, M), parents (B, M) to (B, M)."""
    level = (torch.arange(nodes.shape[1], device=nodes.device) > 0).long().expand_as(nodes)
    above = parents
    while above.any():
        level, above = level + (above > 0), parents.gather(1, above)
    return level * (nodes != PAD)


class Encoder(nn.Module):
    def __init__(self, words: int, embedding: int, hidden: int, layers: int) -> None:
        super().__init__()
        # deviates: embeddings of words are learned with the rest; the paper's are pretrained and come from elsewhere
        self.embed = nn.Embedding(words, embedding)
        self.block = lstm(embedding, hidden, layers, bidirectional=True)
        self.start = nn.ModuleList(nn.Linear(2 * hidden, hidden) for _ in range(2))

    def forward(self, x: Tensor) -> Read:
        present = x != PAD
        y, state = self.block(self.embed(x), lengths=present.sum(1))
        ends = [each[-2:].transpose(0, 1).flatten(1) for each in state]  # of both directions of the top layer
        h, c = (torch.tanh(w(end))[None] for w, end in zip(self.start, ends, strict=True))
        return Read(y, present, (h, c))


class Decoder(nn.Module):
    def __init__(self, symbols: int, embedding: int, hidden: int, states: str, *, attention: bool) -> None:
        super().__init__()
        self.embed = nn.Embedding(symbols, embedding)
        self.horizontal = None if states == "vertical" else lstm(embedding, hidden)
        self.vertical = None if states == "horizontal" else lstm(embedding, hidden)
        self.merge = nn.Linear(hidden * (1 + (states == "both")), hidden, bias=False)  # U^f and U^a
        self.compare = nn.Linear(hidden, 2 * hidden, bias=False) if attention else None  # W_a
        self.mix = nn.Linear(3 * hidden, hidden, bias=False) if attention else None  # W_c
        self.output = nn.Linear(hidden, symbols)

    def forward(self, nodes: Tensor, parents: Tensor, read: Read) -> Tensor:
        """Scores of each node's symbol given the true tree before it: (B, M) to (B, M, K)."""
        heard = []
        if self.horizontal is not None:
            before = torch.cat([torch.full_like(nodes[:, :1], BEGIN), nodes[:, :-1]], 1)
            heard.append(self.horizontal(self.embed(before), read.start)[0])
        if self.vertical is not None:
            heard.append(self.from_parents(self.vertical, nodes, parents, read.start))
        return self.tell(heard, read)

    def from_parents(self, vertical: Recurrent, nodes: Tensor, parents: Tensor, start: State) -> Tensor:
        """h^a of every node (B, M, N), a level of all trees at a time; only nodes with children take a step."""
        B, M = nodes.shape
        trees = torch.arange(B, device=nodes.device)
        above = (trees[:, None] * M + parents).flatten()  # the parent's place among the B M nodes
        level = levels(nodes, parents).flatten()
        children = (level > 0).nonzero().flatten()
        inner = torch.zeros_like(level).index_fill(0, above.index_select(0, children), 1)
        row = trees.repeat_interleave(M)  # of what each node tells its children; at first, what its tree's root hears
        _, state = vertical(self.embed(torch.full_like(nodes[:, :1], BEGIN)), start)
        told, first, rows = [state[0][0]], 0, B
        for number in range(int(level.max())):
            places = ((level == number) & (inner == 1)).nonzero().flatten()
            heard = row.index_select(0, above.index_select(0, places)) - first
            symbols = nodes.flatten().index_select(0, places)
            _, state = vertical(self.embed(symbols)[:, None], tuple(each.index_select(1, heard) for each in state))
            told.append(state[0][0])
            row = row.index_copy(0, places, torch.arange(rows, rows + len(places), device=row.device))
            first, rows = rows, rows + len(places)
        heard = row.index_select(0, above).view(B, M)
        heard = torch.cat([trees[:, None], heard[:, 1:]], 1).flatten()
        return torch.cat(told).index_select(0, heard).view(B, M, -1)

    def tell(self, heard: list[Tensor], read: Read) -> Tensor:
        """(3) and what follows: the states that there are, (B, M, N) each, to scores (B, M, K)."""
        h = torch.tanh(self.merge(torch.cat(heard, 2)))
        if self.compare is not None and self.mix is not None:
            scores = self.compare(h) @ read.keys.transpose(1, 2)
            weights = torch.softmax(scores.masked_fill(~read.present[:, None], -torch.inf), 2)
            h = torch.tanh(self.mix(torch.cat([weights @ read.keys, h], 2)))
        out: Tensor = self.output(h)
        return out

    def write(self, read: Read, arities: Tensor, longest: int) -> Tensor:
        """Symbols breadth first, each the likeliest given those written before it: (B, longest), then padding."""
        B, device = len(read.keys), read.keys.device
        places = torch.arange(longest, device=device)
        nodes = torch.full((B, longest), PAD, device=device)
        parents = torch.zeros_like(nodes)
        known = torch.ones_like(nodes[:, :1])  # nodes that the symbols written so far ask for
        symbol, along, told = torch.full_like(known, BEGIN), read.start, []
        if self.vertical is not None:
            _, down = self.vertical(self.embed(symbol), read.start)
            told = [each.transpose(0, 1).repeat(1, longest, 1) for each in down]
        for t in range(longest):
            heard = []
            if self.horizontal is not None:
                y, along = self.horizontal(self.embed(symbol), along)
                heard.append(y)
            if self.vertical is not None:
                at = parents[:, t, None, None].expand(-1, 1, told[0].shape[2])
                down = tuple(each.gather(1, at).transpose(0, 1) for each in told)
                heard.append(down[0].transpose(0, 1))
            likeliest = self.tell(heard, read)[:, 0, UNKNOWN + 1 :].argmax(1, keepdim=True) + UNKNOWN + 1
            symbol = torch.where(t < known, likeliest, PAD)
            nodes[:, t] = symbol[:, 0]
            if self.vertical is not None:
                _, down = self.vertical(self.embed(symbol), down)
                for every, one in zip(told, down, strict=True):
                    every[:, t] = one[0]
            asked = known + arities.index_select(0, symbol[:, 0])[:, None]
            parents = torch.where((places >= known) & (places < asked), t, parents)
            known = asked
            if not torch.compiler.is_exporting() and (known <= t + 1).all():
                break
        return nodes


class SAPS(System):
    """Writes the tree of a program that a text asks for.

    Args:
        words: of the texts.
        symbols: K.
        states: by which the decoder goes through a tree: to the next node, to the children, or both (course 004: VH).
        attention: whether the decoder looks at the words for every node (course 004: Att).
        embedding: E, of words and of symbols, in [1, inf) (no source at hand fixes it).
        hidden: N, in [1, inf) (course 004: 256).
        layers: of the encoder, in [1, inf) (abstract: several).
        longest: the most nodes of a tree that is written, in [1, inf) (no source at hand fixes it).
        rate: Adam's learning rate at the start, which falls to 0 in a straight line, in (0, inf) (no paper
            fixes it).
        clip: the largest norm of a gradient, in (0, inf) (no paper fixes it).
        epochs: passes over the training data, in [0, inf) (no paper fixes it).
        batch: examples a step, in [1, inf) (no paper fixes it).
    """

    paper = Paper(
        "J. Bednarek, K. Piaskowski and K. Krawiec",
        2018,
        "Ain't nobody got time for coding: structure-aware program synthesis from natural language",
        "https://arxiv.org/abs/1810.09717",
    )
    kind = Trees
    metrics = (exact_match,)
    final_metrics = (token_accuracy,)
    tiny = {"embedding": 8, "hidden": 24, "layers": 1, "longest": 8, "rate": 2e-2, "epochs": 40, "batch": 20}
    quick = {"embedding": 64, "hidden": 96, "layers": 1, "rate": 5e-3, "epochs": 15, "batch": 50}

    def __init__(
        self,
        words: int,
        symbols: int,
        *,
        states: Literal["both", "horizontal", "vertical"] = "both",
        attention: bool = True,
        embedding: int = 256,
        hidden: int = 256,
        layers: int = 2,
        longest: int = 100,
        rate: float = 2e-3,
        clip: float = 1.0,
        epochs: int = 30,
        batch: int = 64,
    ) -> None:
        super().__init__()
        self.longest, self.rate, self.clip, self.epochs, self.batch = longest, rate, clip, epochs, batch
        self.encoder = Encoder(words, embedding, hidden, layers)
        self.decoder = Decoder(symbols, embedding, hidden, states, attention=attention)
        self.arities = nn.Buffer(torch.zeros(symbols, dtype=torch.int64))
        self.optimizer = torch.optim.Adam(self.parameters(), lr=rate, fused=True)

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch, start=self.learn_arities)]

    def learn_arities(self, splits: Splits) -> None:
        assert isinstance(splits.train, Trees)
        self.arities.copy_(torch.tensor(splits.train.arities))

    def step(self, batch: Trees, clock: Clock) -> Losses:
        loss = self.misfit(batch.x, batch.nodes, batch.parents).sum() / batch.sizes.sum()
        return {"loss": descend(self.optimizer, loss, rate=self.rate * (1 - clock.progress), clip=self.clip)}

    def misfit(self, x: Tensor, nodes: Tensor, parents: Tensor) -> Tensor:
        """-log p of each node's symbol given the true tree before it: (B, M), 0 for padding."""
        scores = self.decoder(nodes, parents, self.encoder(x)).transpose(1, 2)
        return F.cross_entropy(scores, nodes, ignore_index=PAD, reduction="none")

    @torch.no_grad()
    def translate(self, x: Tensor) -> Tensor:
        """Trees in the decoder's own symbols, breadth first: x (B, S) to (B, longest), padding behind their ends."""
        return self.decoder.write(self.encoder(x), self.arities, self.longest)
