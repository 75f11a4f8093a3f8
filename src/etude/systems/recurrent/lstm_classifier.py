"""LSTM classifier: Graves and Schmidhuber, "Framewise phoneme classification with bidirectional LSTM", 2005.

    y_k^t = exp(a_k^t) / sum_k' exp(a_k'^t)              softmax over the classes, at every step
    E     = - sum_t sum_k z_k^t log y_k^t                cross-entropy with the true class z^t

A recurrent network reads a sequence and says at every step which class it is in. What comes next often tells as much as
what came before, so that a second network reads the sequence from its end, and both together give the answer. A class
for the whole sequence is read from what each of the two knows once it has read all of it.

Letters: n sequences, T steps, F features, N units, K classes.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from etude.data.kinds import Sequences, Splits
from etude.errors import InputError
from etude.metrics.sequences import accuracy, cross_entropy
from etude.nn.layered import Recurrent, last
from etude.nn.named import Block, block
from etude.nn.orthogonal import orthogonal_
from etude.nn.recurrent import Variant
from etude.systems.best import Best
from etude.systems.system import Classifier, Clock, Losses, Paper, Phase, descend


def unit(name: Block, variant: Variant, features: int, hidden: int, layers: int, bidirectional: bool) -> Recurrent:
    """A recurrent block by its name, and by the variant where it is an LSTM.

    Raises:
        InputError: a variant of what is no LSTM.
    """
    if name != "lstm" and variant != "vanilla":
        raise InputError(f"--variant {variant} with --block {name}: the variants are of the LSTM, leave it out")
    options = {"variant": variant} if name == "lstm" else {}
    return block(name, features, hidden, layers, batch_first=True, bidirectional=bidirectional, **options)


class Reader(nn.Module):
    """A recurrent block and a linear layer upon it, at every step or at the end of a sequence.

    Args:
        block: reads sequences (n, T, F).
        outputs: numbers to read off.

    Attributes:
        each_step: whether an answer is asked for at every step; set by the data, and saved with the weights.
    """

    def __init__(self, block: Recurrent, outputs: int) -> None:
        super().__init__()
        self.block = block
        self.output = nn.Linear((1 + block.bidirectional) * block.hidden_size, outputs)
        self.each_step = False

    def forward(self, x: Tensor, lengths: Tensor | None, elapsed: Tensor | None) -> tuple[Tensor, Tensor]:
        """Outputs, (n, T, outputs) or (n, outputs), and what the block put out, (n, T, N or 2 N)."""
        h, _ = self.block(x, lengths=lengths, elapsed=elapsed)
        if self.each_step:
            return self.output(h).to(x.dtype), h
        forwards, backwards = h.tensor_split([self.block.hidden_size], 2)
        ended = torch.cat([last(forwards.transpose(0, 1), lengths), backwards[:, 0]], 1)
        return self.output(ended).to(x.dtype), h

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.each_step)

    def set_extra_state(self, state: Tensor) -> None:
        self.each_step = bool(state)


PARTS = {
    "kernel": ("W", "weight_ih_l0", "input.weight", "sensory.w"),
    "recurrent": ("R", "Q", "weight_hh_l0", "recurrent.weight", "scale.weight", "signal.weight", "recurrent.w"),
    "bias": ("b", "bias_ih_l0", "bias_hh_l0", "input.bias"),
}
"""What a block's input weights, recurrent weights and biases are called, in the blocks of `etude.nn.named`."""


def squares(block: Recurrent, part: str) -> Tensor:
    """Sum of the squares of a block's weights of one part.

    Raises:
        InputError: the block has none.
    """
    endings = tuple(f".{name}" for name in PARTS[part])
    found = [p for name, p in block.named_parameters() if name.endswith(endings)]
    if not found:
        raise InputError(f"--{part}-penalty: {type(block).__name__} has no {part} weights to act on, leave it out")
    return torch.stack([p.square().sum() for p in found]).sum()


def limit_by_value(optimizer: Optimizer, most: float) -> None:
    """Let no component of a gradient leave [-most, most]: course 004, module 4, "gradient clipping"."""

    def clip(optimizer: Optimizer, *_: Any) -> None:
        nn.utils.clip_grad_value_((p for group in optimizer.param_groups for p in group["params"]), most)

    optimizer.register_step_pre_hook(clip)


def scale_to_unit_length(optimizer: Optimizer) -> None:
    """Give the whole gradient the Euclidean norm 1: course 004, module 4, "gradient normalization".

    One below 1e-12, too small to have a direction, is multiplied by 1e12.
    """

    def scale(optimizer: Optimizer, *_: Any) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients).clamp(min=1e-12)
        for gradient in gradients:
            gradient /= norm

    optimizer.register_step_pre_hook(scale)


class LSTMClassifier(Classifier):
    """Tells apart the classes of sequences or of their steps, whichever the labels are of.

    Args:
        features: F.
        classes: K.
        block: what reads the sequences (the paper's BLSTM).
        variant: of the LSTM, as Greff et al. 2017 name them (the paper's BLSTM has peepholes).
        hidden: N, units of a layer and direction, in [1, inf) (the paper's BLSTM).
        layers: one above the other, in [1, inf) (the paper's BLSTM).
        bidirectional: whether a second network reads each sequence from its end (the paper's BLSTM).
        orthogonal: whether recurrent weights begin as orthogonal matrices, gate by gate (course 004, module 4; off in
            the paper).
        clip_value: the largest component a gradient may have, in (0, inf) (course 004, module 4; off in the paper).
        clip_norm: the largest Euclidean norm the whole gradient may have, in (0, inf) (course 004, module 4; off in
            the paper).
        normalise: whether the whole gradient, clipped or not, is then scaled to the Euclidean norm 1 (course 004,
            module 4; off in the paper).
        activity_penalty: weight of the squares of the block's outputs, summed over units and averaged over true steps,
            in [0, inf) (course 004, module 4; off in the paper).
        kernel_penalty: weight of the squares of the input weights, in [0, inf) (course 004, module 4; off in the
            paper).
        recurrent_penalty: weight of the squares of the recurrent weights, in [0, inf) (course 004, module 4; off in
            the paper).
        bias_penalty: weight of the squares of the biases, in [0, inf) (course 004, module 4; off in the paper).
        rate: Adam's learning rate, in (0, inf) (no paper fixes it for this data).
        patience: passes without a better validation loss after which to stop, in [1, inf) (no paper fixes it).
        epochs: the most passes, in [0, inf) (no paper fixes it).
        batch: sequences a step, in [1, inf) (no paper fixes it).
    """

    paper = Paper(
        "A. Graves and J. Schmidhuber",
        2005,
        "Framewise phoneme classification with bidirectional LSTM and other neural network architectures",
        "https://doi.org/10.1016/j.neunet.2005.06.042",
    )
    kind = Sequences
    metrics = (accuracy, cross_entropy)
    tiny = {"hidden": 12, "epochs": 20, "batch": 20, "rate": 1e-2}
    quick = {"hidden": 32, "epochs": 30, "batch": 20, "rate": 5e-3}

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        block: Block = "lstm",
        variant: Variant = "vanilla",
        hidden: int = 93,
        layers: int = 1,
        bidirectional: bool = True,
        orthogonal: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        normalise: bool = False,
        activity_penalty: float = 0.0,
        kernel_penalty: float = 0.0,
        recurrent_penalty: float = 0.0,
        bias_penalty: float = 0.0,
        rate: float = 1e-3,
        patience: int = 20,
        epochs: int = 100,
        batch: int = 32,
    ) -> None:
        super().__init__()
        self.clip_norm, self.activity_penalty = clip_norm, activity_penalty
        penalties = {"kernel": kernel_penalty, "recurrent": recurrent_penalty, "bias": bias_penalty}
        self.penalties = {part: penalty for part, penalty in penalties.items() if penalty}
        self.patience, self.epochs, self.batch = patience, epochs, batch
        # deviates: the block's own first weights; the paper draws all from [-0.1, 0.1]
        recurrent = unit(block, variant, features, hidden, layers, bidirectional)
        self.reader = Reader(orthogonal_(recurrent) if orthogonal else recurrent, classes)
        self.best = Best(self)
        # deviates: Adam in batches; the paper descends after each sequence, with a momentum of 0.9
        self.optimizer = torch.optim.Adam(self.parameters(), lr=rate, fused=True)
        if clip_value is not None:
            limit_by_value(self.optimizer, clip_value)
        if normalise:
            scale_to_unit_length(self.optimizer)

    def phases(self) -> list[Phase]:
        train = Phase("train", self.step, self.epochs, self.batch, done=self.settled)
        return [train, Phase("choose", self.step, 0, self.batch, start=self.choose)]

    def step(self, batch: Sequences, clock: Clock) -> Losses:
        assert batch.y is not None
        # deviates: a class for a whole sequence is allowed, and read at its end; the paper has one for every step
        self.reader.each_step = batch.y.ndim == 2
        a, h = self.reader(batch.x, batch.lengths, batch.elapsed)
        error = F.cross_entropy(a.flatten(0, -2), batch.y.flatten(), ignore_index=-1)
        penalty = sum(strength * squares(self.reader.block, part) for part, strength in self.penalties.items())
        if self.activity_penalty:
            penalty += self.activity_penalty * h.square().sum() / batch.lengths.sum()  # padding puts out zeros
        descend(self.optimizer, error + penalty, clip=self.clip_norm)
        return {"loss": error.detach()}

    def settled(self, splits: Splits) -> bool:
        """Has the validation loss not fallen for long?"""
        assert isinstance(splits.validation, Sequences)
        self.eval()
        waited = self.best.compare(self, cross_entropy(self, splits.validation))
        self.train()
        return waited >= self.patience

    def choose(self, splits: Splits) -> None:
        """Take the weights of the pass with the lowest validation loss."""
        self.best.put_back(self)

    @torch.no_grad()
    def classify(self, x: Tensor, lengths: Tensor | None = None, elapsed: Tensor | None = None) -> Tensor:
        """Class probabilities, (n, K) of sequences or (n, T, K) of steps.

        Args:
            x: (n, T, F).
            lengths: (n,) true steps, where they are padded.
            elapsed: (n, T) time that passed before each step, for blocks in continuous time.
        """
        return torch.softmax(self.reader(x, lengths, elapsed)[0], -1)
