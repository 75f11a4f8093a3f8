from tests.autodiff.building import INTEGER, agree, given, made, op, span, text

from etude.autodiff.program import Block, Constant, If, Loop, Merge, Program, Variable


def test_the_wish_of_a_parameter_comes_first_and_lives_may_follow_each_other() -> None:
    x, later, last = given("x x x")
    program = Program("f", (x,), [op(later, "sin", x), op(last, "cos", later)], (last,))
    assert text(program) == "def f(x):\n    x = np.sin(x)\n    x = np.cos(x)\n    return x\n"


def test_overlapping_lives_get_numbers() -> None:
    x, later, result = given("x x y")
    program = Program("f", (x,), [op(later, "sin", x), op(result, "mul", x, later)], (result,))
    assert "    x1 = np.sin(x)\n    y = x * x1\n" in text(program)
    agree(program, 0.5)


def test_numbers_avoid_names_that_others_wish_for() -> None:
    x, later, x1, result, last = given("x x x1 y z")
    body: Block = [op(x1, "exp", x), op(later, "sin", x), op(result, "mul", x, later), op(last, "add", result, x1)]
    program = Program("f", (x,), body, (last,))
    assert "x2 = np.sin(x)" in text(program)
    agree(program, 0.5)


def test_names_of_the_user_come_before_the_transformations() -> None:
    x, mine, result = given("x d_dx y")
    (made_up,) = made("d_dx")
    other = made("t")[0]
    body: Block = [
        op(made_up, "sin", x),
        op(mine, "cos", x),
        op(other, "mul", made_up, mine),
        op(result, "mul", other, made_up),
    ]
    program = Program("f", (x,), body, (result,))
    assert "d_dx = np.cos(x)" in text(program)
    assert "d_dx1 = np.sin(x)" in text(program)
    agree(program, 0.5)


def test_names_that_the_text_needs_are_never_taken() -> None:
    names = given("np math range reversed len lambda print zeros_like")
    x, test, result = *given("x"), *made("t", INTEGER), *given("f")
    body: Block = [op(name, "sin", x) for name in names]
    last = x
    for name in names:
        total = made("t")[0]
        body.append(op(total, "add", last, name))
        last = total
    zero = made("t")[0]
    body += [op(zero, "zeros_like", last), op(result, "math.sin", zero)]
    loop = Loop([op(test, "print", x)], bounds=span(2))
    program = Program("f", (x,), [*body, loop], (result,))
    for printed in (text(program), text(program, "textbook")):
        assert "np1" in printed
        assert "lambda1" in printed
        assert "range1" in printed
    agree(program, 0.5)


def test_unused_builtins_are_free_names() -> None:
    sum_, id_ = given("sum id")
    assert "id = np.sin(sum)" in text(Program("f", (sum_,), [op(id_, "sin", sum_)], (id_,)))


def test_temporaries_are_numbered_in_order_and_not_used_again() -> None:
    x, *values = [*given("x"), *made("i i i i")]
    body: Block = []
    last: Variable = x
    for value in values:
        body.append(op(value, "sin", last))
        last = value
    program = Program("f", (x,), body, (last,))
    printed = text(program, "textbook")
    assert [line.split()[0] for line in printed.splitlines()[1:-1]] == ["i1", "i2", "i3", "i4"]


def test_merged_variables_share_the_name_of_the_result() -> None:
    x, a, b, y = *given("x"), *made("t t"), *given("y")
    test = made("t", INTEGER)[0]
    extra, result = given("e z")
    branch = If(test, [op(a, "sin", x), op(extra, "print", a)], [op(b, "cos", x)], [Merge(y, a, b)])
    program = Program("f", (x,), [op(test, "gt", x, 0), branch, op(result, "exp", y)], (result,))
    printed = text(program, "textbook")
    assert "y = sin(x)" in printed
    assert "y = cos(x)" in printed


def test_different_names_of_the_user_are_not_mixed() -> None:
    """`y` is not renamed `x` to save the copy `y = x`."""
    x, y, result = given("x y z")
    test = made("t", INTEGER)[0]
    branch = If(test, [], [], [Merge(y, x, Constant(1.0))])
    program = Program("f", (x,), [op(test, "gt", x, 0), branch, op(result, "exp", y)], (result,))
    assert "        y = x\n" in text(program, "textbook")
