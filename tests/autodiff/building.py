"""Programs written by hand, and random ones."""

import random
from typing import Any

import numpy as np
from tests.autodiff.interpret import run

import etude.autodiff.rules  # noqa: F401
from etude.autodiff.expressions import Style
from etude.autodiff.kinds import Integer, Kind, Number
from etude.autodiff.optimise import optimised
from etude.autodiff.primitives import PRIMITIVES
from etude.autodiff.program import (
    Atom,
    Block,
    Carry,
    Constant,
    Function,
    If,
    Loop,
    Merge,
    Op,
    Program,
    Read,
    Variable,
    Write,
)
from etude.autodiff.source import compiled, source

STYLES: tuple[Style, ...] = ("textbook", "optimised")
NUMBER = Number()
INTEGER = Integer()


def given(names: str, kind: Kind = NUMBER) -> list[Variable]:
    """Variables that the user named."""
    return [Variable(name, kind, given=True) for name in names.split()]


def made(names: str, kind: Kind = NUMBER) -> list[Variable]:
    """Variables that a transformation named."""
    return [Variable(name, kind) for name in names.split()]


def as_atom(value: Any) -> Atom:
    return value if isinstance(value, Variable | Constant) else Constant(value)


def op(outputs: Variable | tuple[Variable, ...], name: str, *inputs: Any, **keywords: Any) -> Op:
    outputs = (outputs,) if isinstance(outputs, Variable) else outputs
    named = {key: as_atom(value) for key, value in keywords.items()}
    return Op(outputs, PRIMITIVES[name], tuple(map(as_atom, inputs)), named)


def span(stop: Any, start: Any = 0, step: Any = 1) -> tuple[Atom, Atom, Atom]:
    return as_atom(start), as_atom(stop), as_atom(step)


class Random:
    """A random program of numbers: two parameters and an integer, one to three results."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.stacks: list[tuple[Variable, int]] = []

    def program(self) -> Program:
        parameters = (*given("x y"), *given("n", INTEGER))
        known: list[Atom] = list(parameters[:2])
        body = self.block(known, 3)
        results = tuple(self.pick(known) for _ in range(self.random.randint(1, 3)))
        return Program("f", parameters, body, results)

    def pick(self, known: list[Atom]) -> Atom:
        if self.random.random() < 0.15:
            return Constant(self.random.choice([0.0, 1.0, 2.0, -1.0, 1, 0, 0.5]))
        return self.random.choice(known[-6:] if self.random.random() < 0.7 else known)

    def variable(self) -> Variable:
        name = self.random.choice(["t", "t", "i", "x", "y", "s", "a", "np", "d_dx"])
        return Variable(name, NUMBER, given=name not in "t i d_dx" and self.random.random() < 0.6)

    def block(self, known: list[Atom], depth: int) -> Block:
        """A few statements; `known` grows by what they define."""
        result: Block = []
        for _ in range(self.random.randint(1, 5)):
            kind = self.random.random()
            if depth and kind < 0.2:
                result.append(self.branch(known, depth - 1))
            elif depth and kind < 0.4:
                result.append(self.loop(known, depth - 1))
            else:
                result.append(self.op(known))
        return result

    def op(self, known: list[Atom]) -> Op:
        output = self.variable()
        name = self.random.choice(["add", "sub", "mul", "mul", "add", "negate", "math.sin", "pair", "dup"])
        if name == "dup":
            other = self.variable()
            result = op((output, other), "dup", self.pick(known))
            known += [output, other]
            return result
        if name == "pair":
            other = self.variable()
            result = op((output, other), "multiples", *(self.pick(known) for _ in range(3)))
            known += [output, other]
            return result
        inputs = [self.pick(known) for _ in range(1 if name in ("negate", "math.sin") else 2)]
        known.append(output)
        return op(output, name, *inputs)

    def branch(self, known: list[Atom], depth: int) -> If:
        test = Variable("t", INTEGER)
        stacks = list(self.stacks)
        then_known, otherwise_known = list(known), list(known)
        then = self.block(then_known, depth)
        self.stacks = list(stacks)
        otherwise = self.block(otherwise_known, depth)
        self.stacks = stacks
        if self.random.random() < 0.3:
            then, then_known = [], list(known)
        if self.random.random() < 0.3:
            otherwise, otherwise_known = [], list(known)
        merges = [
            Merge(self.variable(), self.pick(then_known), self.pick(otherwise_known))
            for _ in range(self.random.randint(1, 3))
        ]
        inner = If(test, then, otherwise, merges)
        outer = [Merge(self.variable(), merge.output, Constant(0.0)) for merge in merges]
        known += [merge.output for merge in outer]
        return If(Constant(True, "always"), [op(test, "lt", self.pick(known[: -len(outer)]), 0.7), inner], [], outer)

    def loop(self, known: list[Atom], depth: int) -> Loop:
        index = Variable(self.random.choice(["i", "k"]), INTEGER, given=True)
        variables = [self.variable() for _ in range(self.random.randint(1, 3))]
        initials = [self.pick(known) for _ in variables]
        reads, read_known = [], []
        if self.stacks and self.random.random() < 0.5:
            stack, width = self.random.choice(self.stacks)
            reads = [Read(tuple(self.variable() for _ in range(width)), stack)]
            read_known = list(reads[0].variables)
        inside: list[Atom] = [*known, *read_known, *variables]
        if not reads:
            inside.append(index)
        outer_stacks = list(self.stacks)
        body = self.block(inside, depth)
        self.stacks = outer_stacks
        carried = [
            Carry(variable, initial, self.random.choice([self.pick(inside), *variables]), self.variable())
            for variable, initial in zip(variables, initials, strict=True)
        ]
        writes = []
        if self.random.random() < 0.5:
            values = tuple(self.pick(inside) for _ in range(self.random.randint(0, 3)))
            writes = [Write(Variable("stack"), values)]
            self.stacks.append((writes[0].stack, len(values)))
        known += [carry.result for carry in carried]
        loop = Loop(body, carried, reads=reads, writes=writes)
        if not reads:
            loop.index, loop.bounds, loop.backwards = index, span(Constant(3)), self.random.random() < 0.3
        return loop


def function(program: Program) -> Function:
    return Function(program.name, lambda: program)


def text(program: Program, style: Style = "optimised") -> str:
    """The printed functions of a program, without imports."""
    printed = source(program, style).text
    return printed[printed.index("def ") :]


def agree(program: Program, *arguments: Any) -> None:
    """Assert that the printed program, in both styles, optimised or not, computes what the program does."""
    wanted = run(program, *arguments)
    for each in (program, optimised(program)):
        assert same(run(each, *arguments), wanted)
        for style in STYLES:
            assert same(compiled(each, style)(*arguments), wanted)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return bool(np.array_equal(a, b, equal_nan=True))
