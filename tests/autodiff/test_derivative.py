import itertools
import math
import threading

import numpy as np
import pytest
import torch
from tests.autodiff import zoo

from etude.autodiff import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

ALL = {**zoo.NUMBERS, **zoo.ARRAYS}
EVERY = pytest.mark.parametrize("function", ALL, ids=lambda function: function.__name__)


def every(function):
    return [(position, ALL[function]) for position in range(len(ALL[function]))]


@EVERY
def test_reverse_mode_is_the_limit_of_differences(function):
    for position, arguments in every(function):
        found = grad(function, position)(*arguments)
        np.testing.assert_allclose(found, zoo.numeric(function, arguments, position), rtol=1e-6, atol=1e-7)


@EVERY
def test_forward_mode_is_the_product_with_the_gradient(function):
    arguments = ALL[function]
    rng = np.random.default_rng(1)
    direction = tuple(rng.normal(size=np.shape(a)) if np.ndim(a) else rng.normal() for a in arguments)
    value, change = jvp(function, arguments, direction)
    gradients = grad(function, tuple(range(len(arguments))))(*arguments)
    assert value == pytest.approx(function(*arguments))
    assert change == pytest.approx(sum(np.sum(g * d) for g, d in zip(gradients, direction, strict=True)))


@EVERY
def test_the_four_nestings_agree_on_second_derivatives(function):
    arguments = ALL[function]
    modes = ("forward", "reverse")
    found = [jacobian(jacobian(function, 0, inner), 0, outer)(*arguments) for inner in modes for outer in modes]
    first = np.asarray(arguments[0])
    expected = np.empty(first.shape * 2)
    for index in np.ndindex(first.shape):
        along = lambda *a, index=index: np.asarray(grad(function)(*a))[index]  # noqa: E731
        expected[index] = zoo.numeric(along, arguments, 0)
    for each in found:
        np.testing.assert_allclose(each, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(hessian(function)(*arguments), found[0], rtol=1e-9, atol=1e-10)


@EVERY
def test_the_value_comes_with_the_gradient(function):
    value, gradient = value_and_grad(function)(*ALL[function])
    assert value == pytest.approx(function(*ALL[function]))
    np.testing.assert_allclose(gradient, grad(function)(*ALL[function]))


def test_products_with_several_directions_are_those_with_each():
    arguments = zoo.ARRAYS[zoo.recurrent]
    rng = np.random.default_rng(2)
    directions = [tuple(rng.normal(size=a.shape) for a in arguments) for _ in range(3)]
    value, changes = jvp(zoo.recurrent, arguments, directions)
    assert value == zoo.recurrent(*arguments)
    np.testing.assert_allclose(changes, [jvp(zoo.recurrent, arguments, d)[1] for d in directions], rtol=1e-12)


def test_a_pullback_serves_many_changes():
    matrix = np.arange(6.0).reshape(2, 3)
    value, pullback = vjp(lambda a, x, n: n * np.tanh(a @ x), matrix, np.ones(3), 2)
    rows = [pullback(row)[1] for row in np.eye(2)]
    np.testing.assert_allclose(rows, 2 * (1 - (value / 2) ** 2)[:, None] * matrix, rtol=1e-12)
    assert pullback(np.ones(2))[2] == 0.0
    with pytest.raises(ValueError, match=r"the change has shape \(3,\), the value \(2,\)"):
        pullback(np.ones(3))


def test_changes_of_tuples_and_dictionaries_have_their_form():
    def f(x):
        return {"sum": np.sum(x), "parts": (x * x, 2 * x[:1])}

    x = np.array([1.0, 2.0, 3.0])
    _, pullback = vjp(f, x)
    change = {"sum": 1.0, "parts": (np.array([1.0, 0.0, 2.0]), np.array([5.0]))}
    np.testing.assert_allclose(pullback(change)[0], [13.0, 1.0, 13.0])
    with pytest.raises(ValueError, match="the change has shape"):
        pullback({"sum": 1.0, "parts": (np.ones(3), 5.0)})
    along = jvp(lambda tree: tree["a"] @ tree["b"][0], ({"a": x, "b": (x, 1.0)},), ({"a": 0 * x, "b": (x, 0.0)},))
    assert along == (14.0, 14.0)


def test_auxiliary_results_are_passed_on_without_a_derivative():
    def loss(w, x):
        z = w * x
        return np.sum(z**2), {"z": z, "name": "loss"}

    w, x = np.array([1.0, 2.0]), np.array([3.0, -1.0])
    gradient, aux = grad(loss, has_aux=True)(w, x)
    np.testing.assert_allclose(gradient, 2 * w * x**2)
    (value, again), same = value_and_grad(loss, has_aux=True)(w, x)
    assert value == 13.0
    assert again["name"] == aux["name"] == "loss"
    np.testing.assert_array_equal(again["z"], w * x)
    np.testing.assert_array_equal(same, gradient)
    value, change, aux = jvp(loss, (w, x), (x, np.zeros(2)), has_aux=True)
    assert change == pytest.approx(np.sum(gradient * x))
    value, pullback, aux = vjp(loss, w, x, has_aux=True)
    np.testing.assert_allclose(pullback(2.0)[0], 2 * gradient)


def test_argnums_choose_and_order_the_arguments():
    f = lambda x, y, z: x * y**2 * z**3  # noqa: E731
    assert grad(f, 1)(2.0, 3.0, 1.0) == 12.0
    assert grad(f, -1)(2.0, 3.0, 1.0) == 54.0
    assert grad(f, (2, 0))(2.0, 3.0, 1.0) == (54.0, 9.0)
    assert grad(f, (0,))(2.0, 3.0, 1.0) == (9.0,)
    assert grad(f)(2.0, z=1.0, y=3.0) == 9.0


def test_trees_of_parameters_have_trees_of_gradients():
    rng = np.random.default_rng(3)
    tree = {"layers": [(rng.normal(size=(3, 3)), rng.normal(size=3)) for _ in range(2)], "scale": 0.7}
    x = rng.normal(size=3)
    found = grad(zoo.parameters)(tree, x)
    torch_tree = {
        "layers": [tuple(torch.tensor(p, requires_grad=True) for p in layer) for layer in tree["layers"]],
        "scale": torch.tensor(0.7, dtype=torch.float64, requires_grad=True),
    }
    h = torch.tensor(x)
    for w, b in torch_tree["layers"]:
        h = torch.tanh(w @ h + b)
    (h * torch_tree["scale"]).sum().backward()
    for layer, expected in zip(found["layers"], torch_tree["layers"], strict=True):
        for part, tensor in zip(layer, expected, strict=True):
            np.testing.assert_allclose(part, tensor.grad, rtol=1e-12)
    assert found["scale"] == pytest.approx(torch_tree["scale"].grad.item())


def test_jacobians_have_the_shape_of_the_result_and_the_argument():
    f = lambda a, x: np.tanh(a @ x)[None] * x  # noqa: E731
    a, x = np.random.default_rng(4).normal(size=(3, 3)), np.array([0.1, -0.4, 0.9])
    expected = torch.func.jacfwd(lambda a, x: torch.tanh(a @ x)[None] * x, (0, 1))(torch.tensor(a), torch.tensor(x))
    for mode in ("forward", "reverse", "auto"):
        for found, each in zip(jacobian(f, (0, 1), mode)(a, x), expected, strict=True):
            assert found.shape == tuple(each.shape)
            np.testing.assert_allclose(found, each, rtol=1e-12, atol=1e-15)


def test_automatic_mode_takes_the_cheaper_direction(monkeypatch):
    from etude.autodiff import derivative

    taken = []
    monkeypatch.setattr(derivative, "choose", lambda n, m: taken.append((n, m)) or "forward")
    jacobian(lambda x: np.outer(x, x))(np.ones(3))
    assert taken == [(3, 9)]


def test_the_product_with_the_hessian_is_that_of_the_matrix():
    x, v = zoo.ARRAYS[zoo.indexed][0], np.array([1.0, -2.0, 0.5, 0.0])
    np.testing.assert_allclose(hvp(zoo.indexed, (x,), (v,)), hessian(zoo.indexed)(x) @ v, rtol=1e-12)


def test_third_derivatives_of_any_nesting():
    assert grad(grad(grad(zoo.polynomial)))(1.3) == pytest.approx(18.0)
    assert grad(grad(grad(math.sin)))(0.4) == pytest.approx(-math.cos(0.4))
    assert grad(hessian(lambda x: x**4))(2.0) == pytest.approx(48.0)


def test_a_derivative_can_be_called_by_a_function_that_is_differentiated():
    slope = grad(lambda x: x**3)
    assert grad(lambda x: slope(x) * x)(2.0) == pytest.approx(36.0)
    assert grad(lambda x: grad(lambda y: y**2 * x)(x))(3.0) == pytest.approx(12.0)


def test_products_along_directions_can_be_differentiated():
    curve = lambda x: jvp(lambda y: y**3 * x, (x,), (2.0,))[1]  # noqa: E731, the change is 6 x^3
    assert grad(curve)(1.5) == pytest.approx(18 * 1.5**2)
    bend = lambda x, v: np.sum(hvp(lambda y: np.sum(np.exp(y) * y), (x,), (v,)))  # noqa: E731
    x, v = np.array([0.2, -0.7]), np.array([1.0, 3.0])
    np.testing.assert_allclose(grad(bend)(x, v), (x + 3) * np.exp(x) * v, rtol=1e-12)
    np.testing.assert_allclose(grad(bend, 1)(x, v), (x + 2) * np.exp(x), rtol=1e-12)


@pytest.mark.parametrize("transform", [grad, jacobian, value_and_grad])
def test_integers_and_missing_arguments_are_refused(transform):
    with pytest.raises(TypeError, match="argument 0 of polynomial is 3: a derivative needs floats"):
        transform(zoo.polynomial)(3)
    with pytest.raises(TypeError, match="was given 1 argument"):
        transform(zoo.polynomial, 2)(3.0)


def test_a_gradient_needs_a_number():
    with pytest.raises(TypeError, match="needs a number"):
        grad(lambda x: x * 2)(np.ones(3))
    with pytest.raises(TypeError, match="needs a number"):
        grad(lambda x: (x, x))(1.0)
    with pytest.raises(TypeError, match=r"shape \(2,\)"):
        grad(lambda x: x[0, 0] if x[0, 0] > 5 else x[0])(np.eye(2))


def test_tangents_have_the_shape_of_their_arguments():
    with pytest.raises(ValueError, match=r"tangent 0 has shape \(2,\), its argument \(3,\)"):
        jvp(lambda x: x.sum(), (np.ones(3),), (np.ones(2),))


def test_a_function_is_transformed_once(monkeypatch):
    from etude.autodiff import execution, source

    made = []
    monkeypatch.setattr(execution, "compiled", lambda p, real=source.compiled: made.append(p) or real(p))

    def f(x):
        return x * x

    for value in (1.0, 2.0, np.float64(3.0)):
        assert grad(f)(value) == 2 * value
    assert len(made) == 1
    grad(f)(np.array(2.0))
    np.testing.assert_array_equal(vjp(f, np.ones(2))[1](np.ones(2))[0], 2 * np.ones(2))
    assert len(made) == 3


def test_threads_share_one_transformation():
    def f(x, n):
        s = 0.0
        for i in range(n):
            s = s + math.sin(x * i)
        return s

    found, barrier = [], threading.Barrier(8)

    def work(k):
        barrier.wait()
        found.extend((k, grad(f)(0.1 * k, 5)) for _ in range(50))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 400
    for k, value in found:
        assert value == pytest.approx(sum(i * math.cos(0.1 * k * i) for i in range(5)))


def test_values_from_outside_are_those_of_the_call(monkeypatch):
    factor = grad(zoo.captured)
    before = factor(1.0)
    monkeypatch.setattr(zoo, "SCALE", 10.0)
    assert factor(1.0) - before == pytest.approx(10.0 - 1.7)
    monkeypatch.setattr(zoo, "SCALE", np.full(2, 3.0))
    assert jacobian(zoo.captured)(1.0) == pytest.approx(np.full(2, 3.0 + 0.8 + math.pi))


def test_closures_keep_their_own_values():
    def scaled(k):
        return grad(lambda x: k * x * x)

    first, second = scaled(1.0), scaled(5.0)
    assert (first(1.0), second(1.0), first(1.0)) == (2.0, 10.0, 2.0)


def test_float32_stays_float32():
    w, x = (a.astype(np.float32) for a in (np.ones((3, 2)), np.ones(2)))
    assert grad(lambda w, x: np.mean(np.tanh(w @ x) ** 2 * 0.5))(w, x).dtype == np.float32
    assert hessian(lambda x: np.sum(np.exp(x) * x))(x).dtype == np.float32


def test_arguments_are_left_as_they_were():
    for function, arguments in zoo.ARRAYS.items():
        before = [np.copy(a) for a in arguments]
        grad(function, tuple(range(len(arguments))))(*arguments)
        hessian(function)(*arguments)
        for a, b in zip(arguments, before, strict=True):
            np.testing.assert_array_equal(a, b)


def test_results_may_be_changed_in_place():
    x, c = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    outside = np.array([7.0, 7.0])
    for function in (lambda x, c: np.sum(x * c), lambda x, c: np.sum((x + c).T), lambda x, c: x @ outside + c @ x):
        for result in grad(function, (0, 1))(x, c):
            result *= 0.0
    left, right = grad(lambda a, b: np.sum(a + b), (0, 1))(x, c)
    left[:] = 9.0
    np.testing.assert_array_equal(right, [1.0, 1.0])
    _, pullback = vjp(lambda x: x, x)
    d = np.ones(2)
    pullback(d)[0][:] = 4.0
    jvp(lambda x: x, (x,), (d,))[1][:] = 4.0
    np.testing.assert_array_equal((x, c, outside, d), [[1.0, 2.0], [3.0, 5.0], [7.0, 7.0], [1.0, 1.0]])


def test_argnums_count_arguments_given_by_position():
    f = lambda x, y: x * y**2  # noqa: E731
    assert grad(f, -1)(3.0, y=2.0) == 4.0
    with pytest.raises(TypeError, match="was given 0 arguments by position"):
        grad(f)(y=2.0, x=3.0)


def test_sums_may_start_from_a_number_and_become_arrays():
    def f(x):
        s = 0
        t = 0.0
        for row in x:
            s += row * row
            t += np.sum(row) * s
        return np.sum(s * t)

    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(grad(f)(x), zoo.numeric(f, (x,), 0), rtol=1e-6)


def test_stacks_read_by_two_loops_have_second_and_third_derivatives():
    def f(x):
        a = x
        for _ in range(2):
            a = a * x
        return a

    def g(x):
        a = x * 1
        for _ in range(2):
            a[1] = a[1] * x[2]
        return a

    x = np.array([0.3, -0.7, 1.1])
    for outer in ("forward", "reverse"):
        third = jacobian(jacobian(jacobian(f, mode="reverse"), mode="reverse"), mode=outer)(x)
        np.testing.assert_allclose(
            third, 6 * np.eye(3)[:, :, None, None] * np.eye(3)[:, None, :, None] * np.eye(3)[:, None, None]
        )
    second = [
        jacobian(jacobian(g, mode=inner), mode=outer)(x)
        for inner in ("forward", "reverse")
        for outer in ("forward", "reverse")
    ]
    for each in second[1:]:
        np.testing.assert_allclose(each, second[0])


def test_unknown_modes_and_missing_tangents_are_refused():
    with pytest.raises(ValueError, match="mode is 'foward': expected auto, forward or reverse"):
        jacobian(zoo.polynomial, mode="foward")
    with pytest.raises(ValueError, match="2 arguments need as many tangents"):
        jvp(zoo.chained, (1.0, 2.0), (1.0,))
    with pytest.raises(TypeError, match="argument 0 of polynomial is 2"):
        jvp(zoo.polynomial, (2,), (1.0,))
    assert jvp(zoo.chained, [1.0, 2.0], [1.0, 0.0]) == jvp(zoo.chained, (1.0, 2.0), (1.0, 0.0))


def test_random_numbers_beside_the_differentiated_are_constants():
    x = np.ones(3)
    rng = np.random.default_rng(0)
    found = grad(lambda x: np.sum(x * rng.normal(size=3)))(x)
    np.testing.assert_array_equal(found, np.random.default_rng(0).normal(size=3))


def test_errors_in_derivatives_name_the_line_of_the_user():
    def f(x):
        y = x - 1.0
        return 1.0 / y

    with pytest.raises(ZeroDivisionError) as caught:
        grad(f)(1.0)
    assert any("test_derivative.py" in note and "return 1.0 / y" in note for note in caught.value.__notes__)


def of_three_shapes(x, y, z):
    product = x * y + np.sin(z - y)
    return np.sum(np.sum(product, axis=-1) ** 2) + np.mean(np.tanh(product / (1.0 + x * x)))


SHAPES = ["n", "m", "1", "kn", "nn", "k1", "1n", "11", "", "kmn", "1m1", "k1n"]


@pytest.mark.parametrize("sizes", [{"k": 4, "m": 3, "n": 2}, {"k": 2, "m": 2, "n": 2}], ids=["different", "equal"])
def test_gradients_for_arrays_of_all_shapes_that_broadcast(sizes: dict[str, int]) -> None:
    """What is known of sizes leaves out sums over axes; one function is differentiated for all shapes in turn."""
    random = np.random.default_rng(0)
    derivative = grad(of_three_shapes, (0, 1, 2))
    tried = 0
    for names in itertools.product(SHAPES, repeat=3):
        shapes = [tuple(sizes.get(name, 1) for name in each) for each in names]
        try:
            wide = np.broadcast_shapes(*shapes)
        except ValueError:
            continue
        if not wide:
            continue
        values = [random.normal(size=shape) if shape else random.normal() for shape in shapes]
        leaves = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in values]
        x, y, z = leaves
        product = x * y + torch.sin(z - y)
        total = (product.sum(-1) ** 2).sum() + torch.tanh(product / (1 + x * x)).mean()
        for found, expected in zip(derivative(*values), torch.autograd.grad(total, leaves), strict=True):
            assert np.shape(found) == tuple(expected.shape)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        tried += 1
    assert tried > 300
