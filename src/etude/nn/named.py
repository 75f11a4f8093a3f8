"""Recurrent blocks by name, as the arguments of systems call them."""

from collections.abc import Callable
from typing import Any, Literal, get_args

from etude.errors import InputError
from etude.nn.continuous import CTGRU, CTRNN, LTC, NeuralODECell
from etude.nn.gated import GRU
from etude.nn.layered import Recurrent
from etude.nn.recurrent import PeepholeLSTM

Block = Literal["lstm", "gru", "ctrnn", "ctgru", "ltc", "neural-ode"]

BLOCKS: dict[str, Callable[..., Recurrent]] = {
    "lstm": PeepholeLSTM,
    "gru": GRU,
    "ctrnn": CTRNN,
    "ctgru": CTGRU,
    "ltc": LTC,
    "neural-ode": NeuralODECell,
}


def block(
    name: str,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    batch_first: bool = True,
    bidirectional: bool = False,
    **options: Any,
) -> Recurrent:
    """The block of this name; `options` are its own arguments, such as LTC's `unfolds`.

    Raises:
        InputError: there is no block of this name.
    """
    if name not in BLOCKS:
        raise InputError(f"there is no recurrent block {name!r}; choose one of: {', '.join(get_args(Block))}")
    return BLOCKS[name](
        input_size, hidden_size, num_layers, batch_first=batch_first, bidirectional=bidirectional, **options
    )
