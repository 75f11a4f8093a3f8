"""Next-step prediction: Greff, Srivastava, Koutnik, Steunebrink and Schmidhuber, "LSTM: a search space odyssey", 2017.

    log p(x) = sum_t log p(x^t | x^1 ... x^(t-1))
    p(x^t | x^1 ... x^(t-1)) = prod_k p_k^x_k (1 - p_k)^(1 - x_k)        zeros and ones, p = sigma(V y + b)
                          or = N(x^t; V y + b, diag sigma^2)             other numbers

A sequence is as likely as each of its steps is, given those before it. A recurrent network that has read x^1 to x^(t-1)
puts out y, from which a distribution over the next step is read, the first where the training data are zeros and ones
alone, such as keys that sound or not. Whatever helps the guess has to be remembered, so that the likelihood of music
the network never heard tells how well its units remember and forget.

Letters: n sequences, T steps, F features, N units.
"""

import torch
from torch import Tensor, nn

from etude.data.kinds import Sequences, Splits
from etude.functional.likelihoods import bernoulli_log_likelihood, gaussian_log_likelihood
from etude.functional.padding import within
from etude.metrics.sequences import negative_log_likelihood, next_step_error
from etude.nn.named import Block
from etude.nn.recurrent import Variant
from etude.systems.best import Best
from etude.systems.recurrent.lstm_classifier import Reader, unit
from etude.systems.system import Clock, Losses, Paper, Phase, System, descend


def shifted(x: Tensor) -> Tensor:
    """What came before each step, zeros before the first: x (n, T, F) to the same."""
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)


class SequenceModel(System):
    """Learns how likely each step of a sequence is after those before it: music, or traces of a physical system.

    Args:
        features: F.
        block: what reads the sequences (section II).
        variant: of the LSTM (section III).
        hidden: N, units of a layer, in [1, inf) (the paper searches 20 to 200).
        layers: one above the other, in [1, inf) (the paper's music model has one).
        clip: the largest Euclidean norm the gradient may have, in (0, inf) (no paper fixes it).
        rate: Adam's learning rate, in (0, inf) (chosen on the validation split of JSB Chorales).
        patience: passes without a better validation likelihood after which to stop, in [1, inf) (the paper).
        epochs: the most passes, in [0, inf) (the paper).
        batch: sequences a step, in [1, inf) (chosen likewise).
    """

    paper = Paper(
        "K. Greff, R. K. Srivastava, J. Koutnik, B. R. Steunebrink and J. Schmidhuber",
        2017,
        "LSTM: a search space odyssey",
        "https://arxiv.org/abs/1503.04069",
    )
    kind = Sequences
    metrics = (negative_log_likelihood, next_step_error)
    tiny = {"hidden": 16, "rate": 2e-2, "epochs": 20, "batch": 20}
    quick = {"hidden": 32, "rate": 5e-3, "epochs": 40, "batch": 20}

    def __init__(
        self,
        features: int,
        *,
        block: Block = "lstm",
        variant: Variant = "vanilla",
        hidden: int = 100,
        layers: int = 1,
        clip: float = 1.0,
        rate: float = 1e-2,
        patience: int = 15,
        epochs: int = 150,
        batch: int = 10,
    ) -> None:
        super().__init__()
        self.features, self.clip = features, clip
        self.patience, self.epochs, self.batch = patience, epochs, batch
        self.reader = Reader(unit(block, variant, features, hidden, layers, bidirectional=False), features)
        self.reader.each_step = True
        self.logvar = nn.Parameter(torch.zeros(features))  # log sigma^2
        self.binary = nn.Buffer(torch.tensor(False))
        self.best = Best(self)
        self.longest = nn.Buffer(torch.tensor(1))
        # deviates: Adam in batches; the paper descends after each sequence with Nesterov momentum
        self.optimizer = torch.optim.Adam(self.parameters(), lr=rate, fused=True)

    def phases(self) -> list[Phase]:
        train = Phase("train", self.step, self.epochs, self.batch, start=self.begin, done=self.settled)
        return [train, Phase("choose", self.step, 0, self.batch, start=self.choose)]

    def begin(self, splits: Splits) -> None:
        """Remember whether there are zeros and ones alone, and how long a sequence is."""
        train = splits.train
        assert isinstance(train, Sequences)
        one = 255 if train.x.dtype == torch.uint8 else 1
        self.binary.copy_(((train.x == 0) | (train.x == one)).all())
        self.longest.fill_(train.lengths.max())

    def step(self, batch: Sequences, clock: Clock) -> Losses:
        loss = -self.likelihood(batch.x, batch.lengths, batch.elapsed).sum() / batch.lengths.sum()
        return {"loss": descend(self.optimizer, loss, clip=self.clip)}

    def likelihood(self, x: Tensor, lengths: Tensor | None, elapsed: Tensor | None) -> Tensor:
        """log p of each sequence in nats, (n,)."""
        steps = self.density(self.reader(shifted(x), lengths, elapsed)[0], x)
        return (steps if lengths is None else steps * within(lengths, x.shape[1])).sum(1)

    def density(self, a: Tensor, x: Tensor) -> Tensor:
        """log p of steps x (..., F) where the network reads off a (..., F): (...)."""
        return torch.where(self.binary, bernoulli_log_likelihood(a, x), gaussian_log_likelihood(a, self.logvar, x))

    def settled(self, splits: Splits) -> bool:
        """Has the validation likelihood not risen for long?"""
        assert isinstance(splits.validation, Sequences)
        self.eval()
        waited = self.best.compare(self, negative_log_likelihood(self, splits.validation))
        self.train()
        return waited >= self.patience

    def choose(self, splits: Splits) -> None:
        """Take the weights of the pass with the highest validation likelihood."""
        self.best.put_back(self)

    @torch.no_grad()
    def score(self, x: Tensor, lengths: Tensor | None = None, elapsed: Tensor | None = None) -> Tensor:
        """log p of sequences x (n, T, F) in nats, all their steps together: (n,).

        Args:
            lengths: (n,) true steps, where they are padded.
            elapsed: (n, T) time that passed before each step, for blocks in continuous time.
        """
        return self.likelihood(x, lengths, elapsed)

    @torch.no_grad()
    def predict(self, x: Tensor, lengths: Tensor | None = None, elapsed: Tensor | None = None) -> Tensor:
        """What is expected at each step after those before it, (n, T, F); for `lengths` and `elapsed` see `score`."""
        return self.mean(self.reader(shifted(x), lengths, elapsed)[0])

    def mean(self, a: Tensor) -> Tensor:
        return torch.where(self.binary, torch.sigmoid(a), a)

    @torch.no_grad()
    def sample(self, count: int, steps: int | None = None, begun: Tensor | None = None) -> Tensor:
        """New sequences (count, steps, F), drawn step by step.

        Args:
            steps: as many as the longest training sequence has, where not given.
            begun: (count, S, F) sequences to go on with; the new steps follow the last of these.
        """
        x = torch.zeros(count, 1, self.features, device=self.device)
        state = None
        if begun is not None:
            _, state = self.reader.block(shifted(begun))
            x = begun[:, -1:]
        drawn = []
        for _ in range(steps or int(self.longest)):
            h, state = self.reader.block(x, state)
            x = self.draw(self.reader.output(h))
            drawn.append(x)
        return torch.cat(drawn, 1)

    def draw(self, a: Tensor) -> Tensor:
        """A step from its distribution: a (..., F) to the same."""
        if self.binary:
            return torch.bernoulli(torch.sigmoid(a))
        return a + torch.exp(0.5 * self.logvar) * torch.randn_like(a)
