"""Automatic differentiation by program transformation: a Python function becomes the Python function of its derivative.

A library in its own right: it needs NumPy alone, and the derivative is source that a person can read.

    >>> from etude.autodiff import grad, derivative_source
    >>> grad(lambda x: x * x)(3.0)
    6.0

Source: course/004, module 10, "Automatic differentiation".
"""

from etude.autodiff.checkpoint import checkpoint
from etude.autodiff.custom import custom_derivative
from etude.autodiff.derivative import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from etude.autodiff.dual import Dual, HyperDual
from etude.autodiff.errors import TransformError
from etude.autodiff.ordering import chain_jacobian, forward_cost, optimal_bracketing, reverse_cost
from etude.autodiff.stages import derivative_source, program

__all__ = [
    "Dual",
    "HyperDual",
    "TransformError",
    "chain_jacobian",
    "checkpoint",
    "custom_derivative",
    "derivative_source",
    "forward_cost",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "optimal_bracketing",
    "program",
    "reverse_cost",
    "value_and_grad",
    "vjp",
]
