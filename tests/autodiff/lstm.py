"""The LSTM of the course: the equations of one step (course/004, module 4), step after step."""

import numpy as np

from etude.autodiff import custom_derivative


@custom_derivative
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@sigmoid.reverse
def slope(result, arguments, change):
    return (change * result * (1 - result),)


def lstm(x, y, c, Wz, Wi, Wf, Wo, Rz, Ri, Rf, Ro, pi, pf, po, bz, bi, bf, bo):
    """All outputs, (T, N), and the last cells, (N,), from inputs x, (T, F), and first outputs and cells y and c."""
    outputs = []
    for x_t in x:
        z_bar = Wz @ x_t + Rz @ y + bz
        z = np.tanh(z_bar)
        i_bar = Wi @ x_t + Ri @ y + pi * c + bi
        i = sigmoid(i_bar)
        f_bar = Wf @ x_t + Rf @ y + pf * c + bf
        f = sigmoid(f_bar)
        c = z * i + c * f
        o_bar = Wo @ x_t + Ro @ y + po * c + bo
        o = sigmoid(o_bar)
        h = np.tanh(c)
        y = h * o
        outputs.append(y)
    return np.stack(outputs), c
