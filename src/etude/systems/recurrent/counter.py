"""Counter: Gers and Schmidhuber, "LSTM recurrent networks learn simple context-free and -sensitive languages", 2001.

    c^t = z^t . i^t + c^(t-1) . f^t              the cell of an LSTM, which its gates can leave open for ever
    h^t = u^t . h^(t-1) + (1 - u^t) . hbar^t     the state of a GRU, an average, never beyond -1 and 1

The strings a^n b^n, or a^n b^n c^n, come one symbol at a time, and the network says which comes next. It has to count:
once the first b is there, nothing but the number of the a tells when the string ends. A cell of an LSTM can add one for
every a and take one off for every b, without bound; what a GRU remembers is squashed, and so it counts little further
than it was taught (Weiss, Goldberg and Yahav, "On the practical computational power of finite precision RNNs for
language recognition", 2018).

Letters: N strings, T symbols in the longest, K symbols; x are symbols; z, i, f block input and gates of an LSTM, u and
hbar update gate and candidate of a GRU.
"""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from etude.data.kinds import Symbols
from etude.metrics.symbols import generalises_to, share_solved
from etude.nn.gated import GRULayer
from etude.nn.recurrent import VARIANTS, Variant
from etude.systems.recurrent.char_rnn import NextSymbol
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


class Counter(System):
    """Learns a formal language by foretelling the next symbol of its strings.

    Args:
        symbols: K.
        block: the recurrent layer (section II.A: LSTM).
        variant: of an LSTM, vanilla with peepholes or one of its ablations (section II.A).
        reset: whether the reset gate of a GRU acts before or after the product (Cho et al. 2014: before).
        remember: bias at the start of the gate that keeps what was there, the forget gate of an LSTM or the update gate
            of a GRU, in (-inf, inf) (chosen on the validation split).
        units: of the layer, in [1, inf) (Weiss et al. 2018, section 5).
        rate: Adam's learning rate at the start, which falls to 0 in a straight line, in (0, inf) (no paper
            fixes it).
        clip: largest norm of a gradient, in (0, inf) (no paper fixes it).
        epochs: passes over the training data, in [0, inf) (no paper fixes it).
        batch: strings a step, in [1, inf) (no paper fixes it).
    """

    paper = Paper(
        "F. A. Gers and J. Schmidhuber",
        2001,
        "LSTM recurrent networks learn simple context-free and context-sensitive languages",
        "https://doi.org/10.1109/72.963769",
    )
    kind = Symbols
    metrics = (share_solved,)
    final_metrics = (generalises_to,)
    tiny = {"units": 8, "epochs": 60, "batch": 10, "rate": 2e-2}
    quick = {"epochs": 25}

    def __init__(
        self,
        symbols: int,
        *,
        block: Literal["lstm", "gru"] = "lstm",
        variant: Variant = "vanilla",
        reset: Literal["before", "after"] = "before",
        remember: float = 4.0,
        units: int = 10,
        rate: float = 1e-2,
        clip: float = 1.0,
        epochs: int = 40,
        batch: int = 20,
    ) -> None:
        super().__init__()
        self.rate, self.clip, self.epochs, self.batch = rate, clip, epochs, batch
        options: dict[str, Any] = {"variant": variant} if block == "lstm" else {"reset": reset}
        # deviates: 10 units in a layer, as in Weiss et al.; the paper has one or two cells, found to be enough
        self.network = NextSymbol(symbols, units, 1, block, **options)
        self.keep(remember)
        # deviates: Adam in batches over the whole string; the paper takes truncated gradients with momentum, one by one
        self.optimizer = torch.optim.Adam(self.parameters(), lr=rate, fused=True)

    @torch.no_grad()
    def keep(self, bias: float) -> None:
        """Set the bias of the gate that keeps what was there, where there is one."""
        layer: Any = self.network.get_submodule("layers.0.layers.0")
        if isinstance(layer, GRULayer):
            unit: Any = layer.unit
            unit.bias_ih_l0.chunk(3)[1].fill_(bias)
        elif "f" in (gates := VARIANTS[layer.variant].gates):
            layer.b[gates.index("f")].fill_(bias)

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch)]

    def step(self, batch: Symbols, clock: Clock) -> Losses:
        # deviates: cross-entropy of the symbol that came; the paper has squared errors against all that might have come
        nats = -self.network.log_likelihood(batch.x, batch.lengths).sum() / (batch.lengths - 1).sum()
        return {"loss": descend(self.optimizer, nats, rate=self.rate * (1 - clock.progress), clip=self.clip)}

    @torch.no_grad()
    def score(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """log p(x) given its first symbol, in nats: x (N, T), lengths (N,) to (N,)."""
        return self.network.log_likelihood(x, lengths)

    @torch.no_grad()
    def foretell(self, x: Tensor) -> Tensor:
        """The likeliest next symbol after every step: x (N, T) to (N, T)."""
        scores: Tensor = self.network(x)[0]
        return scores.argmax(2)

    @torch.no_grad()
    def complete(self, x: Tensor, length: int = 20, temperature: float = 0.0) -> Tensor:
        """How each string goes on: x (N, T) to (N, length)."""
        return self.network.complete(x, length, temperature)

    @torch.no_grad()
    def cells(self, x: Tensor) -> Tensor:
        """What the units remember after every step, cells of an LSTM or states of a GRU: x (N, T) to (N, T, units)."""
        block: Any = self.network.layers[0]
        steps = F.one_hot(x.T, self.network.symbols).to(self.network.scores.weight.dtype)
        start = (steps.new_zeros(len(x), block.hidden_size),) * block.states
        states: tuple[Tensor, ...] = block.layers[0](steps, start, None)[1]
        remembered = states[1] if len(states) > 1 else states[0]
        return remembered.transpose(0, 1)
