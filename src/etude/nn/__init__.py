"""Building blocks, each usable by itself."""

from etude.nn.attention import BahdanauAttention, LuongAttention
from etude.nn.continuous import CTGRU, CTRNN, LTC, NeuralODECell
from etude.nn.gated import GRU
from etude.nn.named import Block, block
from etude.nn.orthogonal import orthogonal_
from etude.nn.recurrent import PeepholeLSTM

__all__ = [
    "CTGRU",
    "CTRNN",
    "GRU",
    "LTC",
    "BahdanauAttention",
    "Block",
    "LuongAttention",
    "NeuralODECell",
    "PeepholeLSTM",
    "block",
    "orthogonal_",
]
