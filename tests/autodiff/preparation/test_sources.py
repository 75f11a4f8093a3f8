"""Finding functions in the files that they were written in."""

import functools
import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.autodiff.interpret import run

from etude.autodiff.kinds import Number
from etude.autodiff.preparation import prepare
from etude.autodiff.preparation.sources import origin_of
from etude.autodiff.program import Op

# fmt: off
SEVERAL: list[Any] = [
    lambda x: x + 1, lambda x: x + 2, lambda x, y=3: x * y, lambda x: (lambda y: y * 10)(x), lambda x: 7.0,
]
LONG: list[Any] = [
    lambda x: (
        x * 2
        + 1), lambda x: x - 1,
    lambda ähnlich: ähnlich * 3, lambda x: -x,
]
# fmt: on


@pytest.mark.parametrize("function", SEVERAL + LONG)
def test_lambdas_are_told_apart(function: Callable[[float], float]) -> None:
    assert run(prepare(function, (Number(),)).program, 5.0) == function(5.0)


def doubled(function: Callable[[float], float]) -> Callable[[float], float]:
    @functools.wraps(function)
    def wrapper(x: float) -> float:
        return 2 * function(x)

    return wrapper


@doubled
def decorated(x: float) -> float:
    return x + 1


def test_a_decorated_function_is_what_its_decorator_made_of_it() -> None:
    assert run(prepare(decorated, (Number(),)).program, 5.0) == 12.0


def test_functions_of_one_name_are_told_apart() -> None:
    functions = []
    for _ in range(2):

        def same(x: float) -> float:
            return x + 1

        functions.append(same)

    def same(x: float) -> float:  # type: ignore[no-redef]
        return x + 2

    functions.append(same)
    assert [run(prepare(each, (Number(),)).program, 1.0) for each in functions] == [2.0, 2.0, 3.0]
    assert origin_of(functions[0]) is origin_of(functions[1])
    assert origin_of(functions[0]) is not origin_of(functions[2])


def test_equal_functions_of_two_files_are_told_apart(tmp_path: Path) -> None:
    functions = []
    for name, rate in (("one", 1.0), ("two", 2.0)):
        file = tmp_path / f"{name}.py"
        file.write_text(f"RATE = {rate}\n\ndef f(x):\n    return RATE * x\n")
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        functions.append(module.f)
    programs = [prepare(each, (Number(),)).program for each in functions]
    assert [run(program, 3.0) for program in programs] == [3.0, 6.0]
    assert [Path(program.file).name for program in programs] == ["one.py", "two.py"]
    assert [op.line for op in programs[0].body if isinstance(op, Op)] == [4]


def test_defaults_belong_to_a_function() -> None:
    def make(rate: float) -> Callable[..., float]:
        def f(x: float, factor: float = rate, *, more: float = 2 * rate) -> float:
            return x * factor + more

        return f

    for rate in (1.0, 2.0):
        assert run(prepare(make(rate), (Number(),)).program, 3.0) == 5 * rate


def heavy(x: float) -> float:
    total = x
    for _ in range(3):
        for _ in range(3):
            total = helper(total, x)
    return total


def helper(x: float, n: float) -> float:
    return x if x > n else helper(2 * x, n - 1)


def test_threads_get_one_program() -> None:
    found: list[Any] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        function = prepare(heavy, (Number(),))
        found.append((function, function.program))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, (function for function, _ in found)))) == 1
    assert len(set(map(id, (program for _, program in found)))) == 1
    assert run(found[0][1], 1.5) == heavy(1.5)
