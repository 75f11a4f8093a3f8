"""What in a picture a unit answers to: Springenberg et al., "Striving for simplicity", 2015."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn


def guided_backpropagation(
    network: nn.Module, response: Callable[[Tensor], Float[Tensor, " n"]], x: Float[Tensor, "n ..."]
) -> Float[Tensor, "n ..."]:
    """The gradient of a response with respect to its input, cut off below zero at every ReLU on its way (section 3.4).

    What would lower a unit of any layer is left out, so that only what raises the response remains. The backward pass
    of a ReLU keeps its own rule, 0 where the unit was off; a leaky one lets its slope through.

    Args:
        network: whose ReLU and leaky ReLU modules are guided.
        response: of each example, computed by the network's modules.
        x: the examples.
    """

    def guide(relu: nn.Module, to_input: tuple[Tensor, ...], to_output: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(gradient.clamp(min=0) for gradient in to_input)

    relus = [module for module in network.modules() if isinstance(module, nn.ReLU | nn.LeakyReLU)]
    hooks = [relu.register_full_backward_hook(guide) for relu in relus]
    try:
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_()
            (gradient,) = torch.autograd.grad(response(leaf).sum(), leaf)
    finally:
        for hook in hooks:
            hook.remove()
    return gradient
