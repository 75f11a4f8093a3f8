"""Seq2Seq: Sutskever, Vinyals and Le, "Sequence to sequence learning with neural networks", 2014.

    p(y_1, ..., y_T' | x_1, ..., x_T) = prod_t p(y_t | v, y_1, ..., y_(t-1))                (1)
    1/|S| sum_(T,S) log p(T | S)   to be raised over the pairs (T, S)                       (section 3.2)

with attention, of Bahdanau, Cho and Bengio (2015) or of Luong, Pham and Manning (2015), where v gives way to a look at
all of the source for each word:

    s_i = f(s_(i-1), y_(i-1), c_i)      Bahdanau: c_i is what s_(i-1) looks at
    h_t = f(h_(t-1), y_(t-1), h~_(t-1)) Luong: c_t is what h_t looks at; what was said is fed back (section 3.3)
    h~_t = tanh(W_c [c_t; h_t])                                                             (Luong et al., 5)

One recurrent network reads a sentence and leaves what it understood in its state; a second one starts from that state
and writes the answer word by word, each word it wrote being the next it reads. In training it reads the true words
instead ("teacher forcing"), or its own at some steps. Read backwards, a source has its first words next to the first of
the answer. Attention looks back into the source at every word, so that the state need not hold all of it.

Letters: B pairs, S steps of the source, T of the target, E numbers of an embedding, N units, M numbers of a key, L
layers, V words, K hypotheses in a beam.
"""

from importlib.util import find_spec
from math import ceil
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.data.kinds import BEGIN, END, PAD, TextPairs
from etude.functional.search import Marks, State, beam_search
from etude.metrics.translation import bleu, exact_match, token_accuracy, token_cross_entropy
from etude.nn.attention import BahdanauAttention, LuongAttention
from etude.nn.layered import reverse
from etude.nn.named import block as block_of
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend

MARKS = Marks(PAD, BEGIN, END)


class Source(NamedTuple):
    """What the decoder may look at: keys (B, S, M), true lengths (B,), keys as they are compared (B, S, any)."""

    keys: Tensor
    lengths: Tensor
    compared: Tensor


class Encoder(nn.Module):
    """Reads the source: the top layer's outputs, true lengths, and the state from which the decoder starts."""

    def __init__(
        self, words: int, block: str, embedding: int, hidden: int, layers: int, *, both: bool, backwards: bool
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, embedding)
        self.block = block_of(block, embedding, hidden, layers, batch_first=False, bidirectional=both)
        self.start = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(self.block.states if both else 0))
        self.backwards = backwards

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, State]:
        lengths = (x != PAD).sum(1)
        steps = self.embed(x).transpose(0, 1)
        y, state = self.block(reverse(steps, lengths) if self.backwards else steps, lengths=lengths)
        y = reverse(y, lengths) if self.backwards else y
        tensors: State = state if isinstance(state, tuple) else (state,)
        if self.start:  # s_0 = tanh(W_s h_1), h_1 of the direction that ends there (Bahdanau et al., A.2.2)
            tensors = tuple(torch.tanh(w(each[1::2])) for w, each in zip(self.start, tensors, strict=True))
        return y.transpose(0, 1), lengths, tensors


class Decoder(nn.Module):
    """Writes a word: from the word before it, the state and the source to h~ (B, N), the new state and the weights.

    The state is that of the block, (L, B, N) each, and h~, (1, B, N).
    """

    def __init__(
        self, words: int, block: str, embedding: int, hidden: int, layers: int, keys: int, attention: str
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, embedding)
        beside = {"none": 0, "bahdanau": keys, "luong": hidden}[attention]
        self.block = block_of(block, embedding + beside, hidden, layers, batch_first=False)
        self.bahdanau = BahdanauAttention(hidden, keys, hidden) if attention == "bahdanau" else None
        self.luong = LuongAttention(hidden, keys, "general") if attention == "luong" else None
        # deviates: Luong's layer (5) for Bahdanau's attention too; Bahdanau et al. have one of maxout units (A.2.2)
        self.mix = None if attention == "none" else nn.Linear(keys + hidden, hidden, bias=False)  # W_c
        self.output = nn.Linear(hidden, words)

    def forward(self, word: Tensor, state: State, source: Source) -> tuple[Tensor, State, Tensor | None]:
        inputs, before, context, weights = self.embed(word), state[:-1], None, None
        if self.bahdanau is not None:
            context, weights = self.bahdanau(before[0][-1], source.keys, source.lengths, source.compared)
            inputs = torch.cat([inputs, context], 1)
        if self.luong is not None:
            inputs = torch.cat([inputs, state[-1][0]], 1)
        y, after = self.block(inputs[None], before if len(before) > 1 else before[0])
        h = y[0]
        if self.luong is not None:
            context, weights = self.luong(h, source.keys, source.lengths)
        if self.mix is not None and context is not None:
            h = torch.tanh(self.mix(torch.cat([context, h], 1)))
        return h, (*(after if isinstance(after, tuple) else (after,)), h[None]), weights


class Seq2Seq(System):
    """An encoder and a decoder for pairs of texts.

    Args:
        words: V, of the source.
        target_words: V, of the target.
        block: the recurrent units of both networks (section 3.4).
        attention: by which the decoder looks back into the source (Sutskever et al. have none).
        bidirectional: whether the encoder also reads backwards with units of their own (Bahdanau et al. 2015 do).
        reverse: whether the encoder reads each source from its end to its beginning (section 3.3).
        embedding: E, in [1, inf) (section 3.4).
        hidden: N, in [1, inf) (section 3.4).
        layers: L, in [1, inf) (section 3.4).
        spread: weights are drawn from +- this, in (0, inf) (section 3.4).
        forcing: share of steps at which the decoder reads the true word before, at the start, in [0, 1] (section 3.2).
        last_forcing: the same share at the end; linear between, in [0, 1] (section 3.2; less than 1 is the scheduled
            sampling of Bengio et al. 2015).
        beam: K, hypotheses kept while a text is translated, in [1, inf) (section 3.2: 2 gives most of the benefit).
        longest: the most words of a translation, in [1, inf) (Bahdanau et al. 2015, section 4.1).
        rate: Adam's learning rate at the start, in (0, inf) (Kingma and Ba 2015, section 2).
        clip: the largest norm of a gradient, in (0, inf) (section 3.4).
        epochs: passes over the training data, in [0, inf) (section 3.4: 7.5).
        batch: pairs a step, in [1, inf) (section 3.4).
    """

    paper = Paper(
        "I. Sutskever, O. Vinyals and Q. V. Le",
        2014,
        "Sequence to sequence learning with neural networks",
        "https://arxiv.org/abs/1409.3215",
    )
    kind = TextPairs
    metrics = (exact_match, token_cross_entropy)
    tiny = {"embedding": 8, "hidden": 24, "layers": 1, "longest": 5, "rate": 1e-2, "epochs": 40, "batch": 20}
    quick = {"embedding": 64, "hidden": 128, "layers": 1, "rate": 3e-3, "epochs": 30}

    def __init__(
        self,
        words: int,
        target_words: int,
        *,
        block: Literal["lstm", "gru"] = "lstm",
        attention: Literal["none", "bahdanau", "luong"] = "none",
        bidirectional: bool = False,
        reverse: bool = True,
        embedding: int = 1000,
        hidden: int = 1000,
        layers: int = 4,
        spread: float = 0.08,
        forcing: float = 1.0,
        last_forcing: float = 1.0,
        beam: int = 2,
        longest: int = 50,
        rate: float = 1e-3,
        clip: float = 5.0,
        epochs: int = 8,
        batch: int = 128,
    ) -> None:
        super().__init__()
        self.forcing, self.last_forcing, self.beam, self.longest = forcing, last_forcing, beam, longest
        self.rate, self.clip, self.epochs, self.batch = rate, clip, epochs, batch
        self.final_metrics = (token_accuracy, bleu) if find_spec("sacrebleu") else (token_accuracy,)
        keys = hidden * (1 + bidirectional)
        self.encoder = Encoder(words, block, embedding, hidden, layers, both=bidirectional, backwards=reverse)
        self.decoder = Decoder(target_words, block, embedding, hidden, layers, keys, attention)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -spread, spread)
        # deviates: Adam; the paper uses stochastic gradient descent with a rate of 0.7 (section 3.4)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=rate, fused=True)

    def phases(self) -> list[Phase]:
        return [Phase("train", self.step, self.epochs, self.batch)]

    def step(self, batch: TextPairs, clock: Clock) -> Losses:
        share = self.forcing + (self.last_forcing - self.forcing) * clock.progress
        h, _ = self.follow(batch.x, batch.target, share)
        losses = self.misfit(h, batch.target)
        halvings = max(0, ceil((7.5 * clock.progress - 5) / 0.5))  # from pass 5 of 7.5, every half pass (section 3.4)
        loss = descend(self.optimizer, losses.sum(1).mean(), rate=self.rate * 0.5**halvings, clip=self.clip)
        return {"loss": loss, "per_word": losses.detach().sum() / (batch.target[:, 1:] != PAD).sum()}

    def misfit(self, h: Tensor, target: Tensor) -> Tensor:
        """-log p of each word of the target after its first, (B, T - 1), 0 for padding."""
        logits = self.decoder.output(h).transpose(1, 2)
        return F.cross_entropy(logits, target[:, 1:], ignore_index=PAD, reduction="none")

    def follow(self, x: Tensor, target: Tensor, share: float = 1.0) -> tuple[Tensor, Tensor | None]:
        """h~ (B, T - 1, N) from which each word of the target after its first is told, and the weights (B, T - 1, S).

        Args:
            share: of the words read that are the target's; the others are the decoder's own, the most probable ones.
        """
        source, state = self.read(x)
        word, told, looks = target[:, 0], [], []
        for truth in target[:, 1:].unbind(1):
            h, state, weights = self.decoder(word, state, source)
            told.append(h)
            looks += [] if weights is None else [weights]
            word = truth
            if share < 1:
                own = self.decoder.output(h.detach()).argmax(1)
                word = torch.where(torch.rand(len(x), device=x.device) < share, truth, own)
        return torch.stack(told, 1), torch.stack(looks, 1) if looks else None

    def read(self, x: Tensor) -> tuple[Source, State]:
        keys, lengths, state = self.encoder(x)
        compared = keys if self.decoder.bahdanau is None else self.decoder.bahdanau.key(keys)
        return Source(keys, lengths, compared), (*state, torch.zeros_like(state[0][:1]))

    @torch.no_grad()
    def word_losses(self, x: Tensor, target: Tensor) -> Tensor:
        """-log p of each word of the target after its first, given the true ones before it: (B, T - 1), 0 for padding.

        Args:
            x: (B, S).
            target: (B, T), from `BEGIN` to `END`.
        """
        return self.misfit(self.follow(x, target)[0], target)

    @torch.no_grad()
    def alignment(self, x: Tensor, target: Tensor) -> Tensor | None:
        """How much each word of the target after its first looked at each of the source, (B, T - 1, S), rows sum to 1;
        None without attention."""
        return self.follow(x, target)[1]

    @torch.no_grad()
    def translate(self, x: Tensor, beam: int | None = None) -> Tensor:
        """Targets in the decoder's own words, by beam search: x (B, S) to (B, longest), with `END`, then padding.

        Args:
            beam: hypotheses to keep; the system's own number where not given. 1 is greedy.
        """
        beam = beam or self.beam
        source, state = self.read(x)
        of = torch.arange(len(x), device=x.device).repeat_interleave(beam)
        wide = Source(*(each.index_select(0, of) for each in source))

        def advance(word: Tensor, before: State) -> tuple[Tensor, State]:
            h, after, _ = self.decoder(word, before, wide)
            return F.log_softmax(self.decoder.output(h), 1), after

        # deviates: the best has the highest log-probability a word; the paper's the highest, which favours short texts
        return beam_search(advance, state, marks=MARKS, width=beam, longest=self.longest)[0]
