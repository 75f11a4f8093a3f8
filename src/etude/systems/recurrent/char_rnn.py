"""char-rnn: Karpathy, "The unreasonable effectiveness of recurrent neural networks", 2015.

    h_t = LSTM(h_(t-1), x_t)
    p(x_(t+1) | x_1 ... x_t) = softmax(W_hy h_t)
    L = -mean log p(x_(t+1) | x_1 ... x_t)

A text is a string of characters, and a network that has learned to say which character comes next can write: it draws
one from what it expects, reads it as if it had been given, and goes on. A temperature divides W_hy h_t before the
draw: the lower, the surer and the more repetitive.

Letters: N strings, T characters in the longest, K characters in the alphabet; x are characters, h the outputs of the
last recurrent layer.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.data.kinds import Symbols
from etude.functional.padding import within
from etude.metrics.symbols import bits_per_character
from etude.nn.named import block as named_block
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


class NextSymbol(nn.Module):
    """What the next symbol may be: one-hot symbols, recurrent layers, a dropout after each, scores of all symbols.

    Args:
        symbols: K.
        units: of each layer.
        layers: how many.
        block: name of the recurrent block.
        dropout: share of a layer's outputs left out in training.
        options: of the block.
    """

    def __init__(self, symbols: int, units: int, layers: int, block: Any, dropout: float = 0.0, **options: Any) -> None:
        super().__init__()
        self.symbols = symbols
        sizes = [symbols, *[units] * layers]
        self.layers = nn.ModuleList(named_block(block, size, units, **options) for size in sizes[:-1])
        self.dropout = nn.Dropout(dropout)
        self.scores = nn.Linear(units, symbols)

    def forward(self, x: Tensor, states: list[Any] | None = None) -> tuple[Tensor, list[Any]]:
        """Scores of every symbol after each step, (N, T, K), and the state of each layer: x (N, T)."""
        h, after = F.one_hot(x, self.symbols).to(self.scores.weight.dtype), []
        for layer, state in zip(self.layers, states or [None] * len(self.layers), strict=True):
            h, state = layer(h, state)
            h = self.dropout(h)
            after.append(state)
        return self.scores(h), after

    def log_likelihood(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """log p(x_2 ... x_T | x_1) in nats, (N,): x (N, T), lengths (N,)."""
        nats = -F.cross_entropy(self(x)[0][:, :-1].transpose(1, 2).float(), x[:, 1:], reduction="none")
        if lengths is not None:
            nats = nats * within(lengths - 1, nats.shape[1])
        return nats.sum(1)

    def complete(self, x: Tensor, length: int, temperature: float) -> Tensor:
        """The next `length` symbols, (N, length), drawn one after another; the likeliest at temperature 0: x (N, T)."""
        drawn, states = [], None
        symbol = x
        for _ in range(length):
            scores, states = self(symbol, states)
            symbol = draw(scores[:, -1], temperature)
            drawn.append(symbol)
        return torch.cat(drawn, 1)


def draw(scores: Tensor, temperature: float) -> Tensor:
    """A symbol for each row, (N, 1): scores (N, K)."""
    if temperature == 0:
        return scores.argmax(1, keepdim=True)
    return torch.multinomial(torch.softmax(scores.float() / temperature, 1), 1)


class CharRNN(System):
    """Reads text character by character, and writes it.

    Args:
        symbols: K.
        block: the recurrent layers, LSTM or GRU (char-rnn, train.lua: LSTM).
        units: of each layer, in [1, inf) (train.lua, rnn_size).
        layers: how many, in [1, inf) (train.lua, num_layers).
        dropout: share of each layer's outputs left out in training, in [0, 1) (train.lua, dropout).
        rate: RMSprop's learning rate, in (0, inf) (train.lua, learning_rate).
        average: share of the old in RMSprop's running mean of squares, in [0, 1) (train.lua, decay_rate).
        decay: the rate is multiplied by this after every pass from the tenth on, in (0, 1] (train.lua).
        clip: no entry of a gradient goes beyond this, in (0, inf) (train.lua, grad_clip).
        epochs: passes over the training data, in [0, inf) (train.lua, max_epochs).
        batch: strings a step, in [1, inf) (train.lua, batch_size).
    """

    paper = Paper(
        "A. Karpathy",
        2015,
        "The unreasonable effectiveness of recurrent neural networks",
        "https://karpathy.github.io/2015/05/21/rnn-effectiveness/",
    )
    kind = Symbols
    source = "prose"
    metrics = (bits_per_character,)
    tiny = {"units": 16, "layers": 1, "rate": 1e-2, "epochs": 20, "batch": 10}
    quick = {"units": 128, "layers": 1, "epochs": 5}

    def __init__(
        self,
        symbols: int,
        *,
        block: Literal["lstm", "gru"] = "lstm",
        units: int = 128,
        layers: int = 2,
        dropout: float = 0.0,
        rate: float = 2e-3,
        average: float = 0.95,
        decay: float = 0.97,
        clip: float = 5.0,
        epochs: int = 50,
        batch: int = 50,
    ) -> None:
        super().__init__()
        self.rate, self.decay, self.epochs, self.batch = rate, decay, epochs, batch
        # no peepholes, and a reset gate that acts before the product, as in char-rnn's LSTM.lua and GRU.lua
        options = {"variant": "NP"} if block == "lstm" else {"reset": "before"}
        self.network = NextSymbol(symbols, units, layers, block, dropout, **options)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.08, 0.08)
            parameter.register_hook(lambda gradient: gradient.clamp(-clip, clip))
        if block == "lstm":
            self.remember()
        self.optimizer = torch.optim.RMSprop(self.parameters(), lr=rate, alpha=average)

    @torch.no_grad()
    def remember(self) -> None:
        """Biases of 1 at the forget gates (train.lua)."""
        for each in self.network.layers:
            layer: Any = each.get_submodule("layers.0")
            layer.b[2].fill_(1)

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch)]

    def step(self, batch: Symbols, clock: Clock) -> Losses:
        # deviates: every piece of the text begins with a state of zeros; char-rnn goes on from the piece before it
        nats = -self.network.log_likelihood(batch.x, batch.lengths).sum() / (batch.lengths - 1).sum()
        rate = self.rate * self.decay ** max(0, clock.epoch - 9)
        return {"loss": descend(self.optimizer, nats, rate=rate)}

    @torch.no_grad()
    def score(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """log p(x) given its first character, in nats: x (N, T), lengths (N,) to (N,)."""
        return self.network.log_likelihood(x, lengths)

    @torch.no_grad()
    def complete(self, x: Tensor, length: int = 200, temperature: float = 1.0) -> Tensor:
        """How each string may go on: x (N, T) to (N, length)."""
        return self.network.complete(x, length, temperature)
