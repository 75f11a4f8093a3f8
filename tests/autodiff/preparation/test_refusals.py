"""What cannot be transformed is refused, with the line of the user's file and the reason."""

# ruff: noqa: RET504, RUF059
# mypy: disable-error-code="no-untyped-def, no-untyped-call, call-arg, call-overload, attr-defined, name-defined"

import inspect
from typing import Any

import numpy as np
import pytest

from etude.autodiff import checkpoint, grad
from etude.autodiff.derivative import vjp
from etude.autodiff.errors import TransformError
from etude.autodiff.kinds import kind_of
from etude.autodiff.preparation import prepare

COUNT = 0


class Holder:
    value = 1.0


HOLDER = Holder()


def with_try(x):
    try:  # try
        return x
    except ValueError:
        return 0.0


def with_with(x):
    with open("file"):  # with
        return x


def with_yield(x):
    yield x  # generator


def with_del(x):
    y = x
    del y  # del
    return x


def with_global(x):
    global COUNT  # global
    COUNT = x
    return x


def with_nonlocal(x):
    y = x

    def change():
        nonlocal y  # nonlocal
        y = 2

    change()
    return y


def with_class(x):
    class Inner:  # classes
        pass

    return x


def with_import(x):
    import math  # import

    return math.sin(x)


def with_match(x):
    match x:  # match
        case _:
            return x


def with_set(x):
    return {x, 1.0}  # set


def with_loop_else(x):
    for i in range(3):  # else
        x = x + i
    else:
        x = 0.0
    return x


def with_while_else(x):
    while x > 3:  # else
        x = x - 1
    else:
        x = 0.0
    return x


def with_attribute(x):
    HOLDER.value = x  # changes an object
    return x


def with_augmented_attribute(x):
    HOLDER.value += x  # changes an object
    return x


def with_item_of_argument(x):
    x[0] = 1.0  # others may hold
    return x


def with_augmented_item(x):
    x[0] += 1  # others may hold
    return x


def with_item_of_alias(x):
    y = x * 2
    z = y
    z[0] = 1.0  # others may hold
    return y


def with_item_under_view(x):
    y = x * 2
    z = y[1:]
    y[1] = 1.0  # others may hold
    return z


def with_item_of_view(x):
    y = x * 2
    z = y.reshape(1, 3)
    z[0, 0] = 1.0  # others may hold
    return y


def with_item_of_same(x):
    y = x * 2
    z = np.asarray(y)
    z[0] = 1.0  # others may hold
    return y


def with_item_under_view_of_view(x):
    y = np.outer(x, x)
    z = y.T[0]
    w = z[1:]
    z = 0.0
    y[0, 1] = 1.0  # others may hold
    return z + w


def with_item_under_view_in_branch(x):
    y = x * 2
    z = x
    if x[0] > 0:
        z = y[:2]
    y[0] = 1.0  # others may hold
    return z


def with_item_under_view_in_loop(x):
    y = x * 2
    z = x
    for i in range(3):
        y[i] = z[0]  # others may hold
        z = y[i:]
    return z


def with_item_under_view_around_loop(x):
    y = x * 2
    z = y[1:]
    for i in range(3):
        y[i] = z[0]  # others may hold
    return y


def with_item_while_gone_through(x):
    y = np.outer(x, x)
    for row in y:
        y[2] = row  # others may hold
    return y


def with_item_of_stored(x):
    y = x * 2
    both = [y]
    y[0] = 1.0  # others may hold
    return both


def with_item_under_stored_view(x):
    y = x * 2
    both = (y[1:], x)
    y[1] = 1.0  # others may hold
    return both


def with_item_of_what_a_call_returns(x):
    y = x * 2
    z = identity(y[1:])
    y[1] = 1.0  # others may hold
    return z


def with_item_of_captured(x):
    y = x * 2

    def change(z):
        y[0] = z  # others may hold
        return z

    return change(x[0]) + y[0]


def with_item_by_array(x):
    y = x * 2
    y[np.array([0, 0])] = x[:2]  # np.where
    return y


def with_item_by_mask(x):
    y = x * 2
    y[y > 1] = 1.0  # np.where
    return y


def with_list_as_item(x):
    y = np.zeros((2, 2))
    y[0] = [x[0], x[1]]  # np.array
    return y


def with_item_of_number(x):
    y = x[0]
    y[0] = 1.0  # not known to be an array
    return y


def with_items_swapped(x):
    y = np.outer(x, x)
    y[0], y[1] = y[1], y[0]  # an assignment of its own
    return y


def with_item_and_name(x):
    y = np.outer(x, x)
    y[0] = z = y[1:2]  # one assignment for each
    return y + z


def with_view_named_inside(x):
    y = np.outer(x, x)
    y += (z := y[:1])  # others may hold
    return y + z


def with_list_named_inside(x):
    ys = [x]
    ys.append((zs := ys)[0])  # others may hold
    return zs


def with_item_of_item(x):
    y = [x * 2]
    y[0][1] = 1.0  # others may hold
    return y


def with_argument_in_place(x):
    x += 1  # others may hold
    return x


def with_view_in_place(x):
    y = x * 2
    z = y[1:]
    y += 1  # others may hold
    return z + y[1:]


def with_alias_in_place(x):
    y = x * 2
    z = y
    z *= 2  # others may hold
    return y + z


def with_alias_in_branch(x):
    y = x * 2
    z = y if x[0] > 0 else x
    y *= 2  # others may hold
    return y + z


def with_append_to_alias(x):
    ys = [x]
    zs = ys
    ys.append(x)  # others may hold
    return zs


def with_append_after_storing(x):
    ys = [x]
    both = (ys, x)
    ys.append(x)  # others may hold
    return both


def with_append_after_call(x):
    ys = [x]
    zs = identity(ys)
    ys.append(x)  # others may hold
    return zs


def with_append_in_loop(x):
    ys, zs = [x], [x]
    for _ in range(3):
        ys.append(x)  # others may hold
        zs = ys
    return zs


def with_append_to_captured(x):
    ys = [x]

    def more(y):
        ys.append(y)  # others may hold
        return y

    return more(x) + ys[-1]


def with_append_to_global(x):
    LIST.append(x)  # others may hold
    return x


def with_pop(x):
    ys = [x, x]
    ys.pop()  # not supported
    return ys


def with_sort(x):
    ys = sorted([x[0], x[1]])  # no rule
    return ys


def identity(x):
    return x


LIST: list[Any] = []


def with_unknown_function(x):
    return np.fft.fft(x)  # no rule


def with_unknown_method(x):
    return x.byteswap()  # byteswap


def with_unknown_attribute(x):
    return np.no_such_function(x)  # no_such_function


def with_unknown_attribute_of_array(x):
    return x.ctypes  # attribute


def with_unbound_name(x):
    return x + no_such_name  # not defined


def with_number_called(x):
    return x(2)  # which function


def with_branches_of_functions(x):
    f = np.sin if x[0] > 0 else np.cos
    return f(x)  # which function


def with_late_capture(x):
    scale = x
    functions = [lambda y: scale * y]
    scale = scale * 2  # changes after
    return functions[0](x)


def with_late_capture_in_loop(x):
    functions = []
    for i in range(3):
        functions.append(lambda y: i * y)  # changes after # noqa: B023
    return functions[0](x)


def with_wrong_arguments(x):
    return identity(x, x)  # takes 1


def with_wrong_keyword(x):
    return np.sum(x, no_such=1)  # no_such


def with_variable_key(x):
    return {str(x): x}  # constant


def with_complex(x):
    return x * 2j  # complex


def with_decorator(x):
    @identity
    def inner(y):  # decorator
        return y

    return inner(x)


def with_walrus_in_test(x):
    while (y := np.sum(x)) > 3:  # assignment inside
        x = x - y
    return x


def with_error_without_name(x):
    raise  # raise


def with_unknown_unpacking(x):
    a, *b = x  # not known before
    return a


def with_module(x):
    y = (np, x)  # module
    return y


def with_choice_of_array(x):
    a = x * 2
    b = a if x[0] > 0 else np.cos(x)
    b[0] = x[1]  # others may hold
    return a


def with_choice_and_named_inside(x):
    a = x * 2
    b = a if x[0] > 0 else (c := np.cos(x))
    b[0] = x[1]  # others may hold
    return a + c


def with_or_of_array(x):
    a = x[0] * np.ones(1)
    b = a or np.cos(x[:1])
    b[0] = x[1]  # others may hold
    return a


def with_item_of_list_in_place(x):
    y = x * 2
    ys = [y, x]
    ys[0] += 1.0  # others may hold
    return y


def with_item_of_dictionary_in_place(x):
    y = x * 2
    ys = {"a": y}
    ys["a"] += 1.0  # others may hold
    return y


def with_list_changed_while_gone_through(x):
    ys = [x[0], x[1], x[2]]
    for i, y in enumerate(ys):
        ys[2] = y + i  # others may hold
    return ys


def with_list_growing_while_gone_through(x):
    ys = [a for a in x if a > 0]
    for y in ys:
        ys.append(y)  # others may hold
    return ys


def with_list_changed_under_zip(x):
    ys = [x[0], x[1], x[2]]
    for y, z in zip(x, ys, strict=True):
        ys[2] = y * z  # others may hold
    return ys


def with_list_changed_under_stored_zip(x):
    ys = [x[0], x[1], x[2]]
    both = zip(x, ys, strict=True)
    ys[2] = x[0]  # others may hold
    return [y * z for y, z in both]


def with_dictionary_changed_while_gone_through(x):
    ys = {"a": x[0], "b": x[1]}
    for _, y in ys.items():
        ys["b"] = y * 2  # others may hold
    return ys["b"]


def with_dictionary_changed_under_view(x):
    ys = {"a": x[0], "b": x[1]}
    values = ys.values()
    ys["b"] = x[2]  # others may hold
    return sum(values)


def with_change_after_grad(x):
    k = 2.0
    slope = grad(lambda v: np.sum(v * k))
    k = 3.0  # changes after
    return slope(x) * k


def with_change_after_grad_of_variable(x):
    k = x[0]

    def inner(v):
        return np.sum(v * k)

    slope = grad(inner)
    k = x[1]  # changes after
    return slope(x) * k


def with_change_after_checkpoint(x):
    k = x[0]
    again = checkpoint(lambda v: v * k)
    k = x[1]  # changes after
    return again(x) * k


def with_change_after_grad_passed_on(x):
    k = 2.0
    slope = identity(grad(lambda v: np.sum(v * k)))
    k = 3.0  # changes after
    return slope(x) * k


def with_change_after_lambda_passed_on(x):
    k = x[0]
    scaled = identity(lambda v: v * k)
    k = x[1]  # changes after
    return scaled(x) * k


def with_generator(x):
    k = 2.0
    ys = (y * k for y in x)  # write a list
    k = 3.0
    return sum(ys) * k


def with_array_of_number_in_place(x):
    t = np.array(0.0)
    u = t
    u += x[0]  # others may hold
    return t


def with_array_of_number_in_place_twice(x):
    t = np.array(0.0)
    t += x[1]
    u = t
    u += x[0]  # others may hold
    return t


def with_array_of_number_in_loop(x):
    t = np.array(0.0)
    u = t
    for k in range(2):
        u += x[k]  # others may hold
    return t


def with_array_of_number_in_branch(x):
    t = np.array(0.0)
    u = t if x[0] > 0 else np.array(1.0)
    u += x[0]  # others may hold
    return t


def with_function_for_numpy(x):
    return np.vectorize(lambda y: y * x[0])(x)  # no rule


def with_numpy_without_rule(x):
    return np.nanargmin(x)  # no rule


def with_numpy_in_python(x):
    return np.vander(x)  # no rule


def with_vjp(x):
    return vjp(np.sin, x)[0]  # vjp cannot be called


def inner_refusal(x):
    y = x

    def inner(z):
        del z  # del
        return y

    return inner(x)


REFUSALS = [each for name, each in sorted(globals().items()) if name.startswith("with_") or name == "inner_refusal"]


@pytest.mark.parametrize("function", REFUSALS, ids=lambda function: function.__name__)
def test_refusals_give_line_and_reason(function: Any) -> None:
    lines, first = inspect.getsourcelines(function)
    line, reason = next(
        (first + k, text.split("  # ")[1].split(" #")[0].strip()) for k, text in enumerate(lines) if "  # " in text
    )
    with pytest.raises(TransformError) as error:
        _ = prepare(function, (kind_of(np.arange(3.0)),)).program
    assert (error.value.file, error.value.line) == (__file__, line)
    assert reason in error.value.reason
    assert str(error.value).startswith(f"{__file__}:{line}: in ")
    assert "\n" not in str(error.value)


def test_a_refused_function_is_refused_again() -> None:
    for _ in range(2):
        with pytest.raises(TransformError):
            _ = prepare(with_del, (kind_of(1.0),)).program


async def asynchronous(x: float) -> float:
    return x


def test_functions_without_source() -> None:
    typed: dict[str, Any] = {}
    exec("def f(x):\n    return x\n", typed)
    for function, reason in ((typed["f"], "source is not at hand"), (asynchronous, "async")):
        with pytest.raises(TransformError, match=reason):
            _ = prepare(function, (kind_of(1.0),)).program


def test_arguments_that_the_function_does_not_take() -> None:
    with pytest.raises(TypeError, match="identity takes 1 arguments by position, not 2"):
        prepare(identity, (kind_of(1.0),) * 2)
    with pytest.raises(TypeError, match="identity has no parameter y"):
        prepare(identity, (kind_of(1.0),) * 2, ("y",))
    with pytest.raises(TypeError, match="identity needs x"):
        prepare(identity, ())
