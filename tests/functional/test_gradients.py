"""R10: gradients, and gradients of gradients, of every function and layer of ours against finite differences."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from etude.functional import adversarial, clustering, divergences, likelihoods, losses, similarity
from etude.nn.activations import Maxout, Swish
from etude.nn.radial import RadialUnits
from etude.nn.recurrent import Recurrence
from etude.systems.feedforward.lenet import PartialConvolution, Squash, Subsampling, connections

P = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], dtype=torch.float64)
Q = P.flip(0)
CLASSES = torch.tensor([2, 0, 1])
LABELS = torch.tensor([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0], [1.0, 1.0, -1.0]], dtype=torch.float64)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


NEIGHBOURS = clustering.nearest_neighbours(draw(5, 3), 2)
FUNCTIONS: dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = {
    "kl_divergence": (lambda a, b: divergences.kl_divergence(a.softmax(1), b.softmax(1)), (P, Q)),
    "js_divergence": (lambda a, b: divergences.js_divergence(a.softmax(1), b.softmax(1)), (P, Q)),
    "kl_gaussians": (divergences.kl_gaussians, (draw(4), draw(4).exp(), 1 + draw(4), (1 + draw(4)).exp())),
    "kl_standard_normal": (divergences.kl_standard_normal, (draw(3, 4), draw(3, 4))),
    "bernoulli_log_likelihood": (lambda out: likelihoods.bernoulli_log_likelihood(out, P), (draw(2, 3),)),
    "gaussian_log_likelihood": (likelihoods.gaussian_log_likelihood, (draw(2, 3), draw(2, 3), 1 + draw(2, 3))),
    "discriminator_loss": (adversarial.discriminator_loss, (draw(5, 1), 1 + draw(5, 1))),
    "minimax_generator_loss": (adversarial.minimax_generator_loss, (draw(5, 1),)),
    "nonsaturating_generator_loss": (adversarial.nonsaturating_generator_loss, (draw(5, 1),)),
    **{f"loss {name}": (lambda out, f=f: f(out, CLASSES), (2 * draw(3, 3),)) for name, f in losses.LOSSES.items()},
    "smoothed uniform": (lambda out: losses.cross_entropy(out, CLASSES, 0.1, "uniform"), (draw(3, 3),)),
    "smoothed off-target": (lambda out: losses.cross_entropy(out, CLASSES, 0.1, "off-target"), (draw(3, 3),)),
    "hinge of labels": (lambda out: losses.hinge(out, LABELS), (3 * draw(3, 3),)),
    "ssim": (lambda x, y: similarity.ssim(x.sigmoid(), y.sigmoid()), (draw(1, 1, 11, 11), 1 + draw(1, 1, 11, 11))),
    "squared_distances": (clustering.squared_distances, (draw(5, 3), 1 + draw(4, 3))),
    "soft_assignment": (lambda z, mu: clustering.soft_assignment(z, mu, 3.0), (draw(5, 3), 1 + draw(4, 3))),
    "hardened": (lambda out: clustering.hardened(out.softmax(1)), (draw(5, 3),)),
    "hardening_loss": (lambda a, b: clustering.hardening_loss(a.softmax(1), b.softmax(1)), (P, Q)),
    "kmeans_loss": (clustering.kmeans_loss, (draw(5, 3), 1 + draw(4, 3))),
    "kmeans_loss, assigned": (lambda z, mu: clustering.kmeans_loss(z, mu, CLASSES), (draw(3, 2), 1 + draw(3, 2))),
    "balance_loss": (lambda out: clustering.balance_loss(out.softmax(1)), (draw(5, 3),)),
    "balance_loss, sizes": (lambda out: clustering.balance_loss(out.softmax(1), P[0]), (draw(5, 3),)),
    "locality_loss": (lambda z: clustering.locality_loss(z, *NEIGHBOURS), (draw(5, 2),)),
    "augmentation_loss": (clustering.augmentation_loss, (draw(5, 3), 1 + draw(5, 3))),
    "swish": (Swish().double(), (draw(3, 4),)),
    "maxout": (Maxout(4, 3, 2).double(), (draw(3, 4),)),
    "radial": (RadialUnits(4, 3).double(), (draw(3, 4),)),
    "peephole lstm": (
        Recurrence.apply,
        (draw(3, 2, 4), draw(2, 3), draw(2, 3), draw(4, 3, 4), draw(4, 3, 3), draw(3, 3), draw(4, 3)),
    ),
    "partial convolution": (PartialConvolution(connections(), 2, 1).double(), (draw(1, 6, 3, 3),)),
    "subsampling": (Subsampling(2).double(), (draw(1, 2, 4, 4),)),
    "squash": (Squash(), (draw(3, 4),)),
}
ONCE = {"loss hinge", "peephole lstm"}  # torch has no second derivative of one, the other refuses it


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    function, given = FUNCTIONS[name]
    inputs = tuple(x.clone().requires_grad_() for x in given)
    assert gradcheck(function, inputs)
    if name not in ONCE:
        assert gradgradcheck(function, inputs)
