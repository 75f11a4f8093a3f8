"""A program and its derivative in two columns, as on the slides of course/004: each line beside what comes from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, zip_longest

from etude.autodiff.outside import Outside
from etude.autodiff.program import Program, Variable
from etude.autodiff.source import called
from etude.autodiff.statements import ADJOINT, Body, Line

Row = tuple[str, str]
INDENT = "    "


@dataclass
class Node:
    """A line with what is indented under it.

    Attributes:
        text: the line.
        number: of the statement that it comes from; 0 if that is the statement around it.
        inside: the lines under it.
    """

    text: str
    number: int
    inside: list["Node"] = field(default_factory=list)

    @property
    def continues(self) -> bool:
        return self.text == "else:"


def beside(program: Program) -> list[Row]:
    """The rows of a reverse program whose `line`s number the statements; the right column is read upwards."""
    lines = _body(program).lines()[1:-1]
    border = max((k for k, (_, text, _) in enumerate(lines) if text == ADJOINT), default=-1)
    return _rows(_tree(lines[: max(border, 0)]), _upwards(_tree(lines[border + 1 :])), "")


def between(program: Program, primal: set[Variable]) -> list[Row]:
    """The rows of a forward program whose `line`s number the statements: `primal` variables left, tangents right."""
    body = _body(program)
    names = {name for variable, name in body.names.items() if variable not in primal}
    names -= {body.names[variable] for variable in primal & body.names.keys()}
    rows: list[Row] = []
    for _, group in groupby(body.lines()[1:-1], lambda line: (line[2], _header(line[1]))):
        texts = [(INDENT * (depth - 1) + text, text.split(" = ")[0] in names) for depth, text, _ in group]
        left = [text for text, tangent in texts if not tangent]
        right = [text for text, tangent in texts if tangent]
        rows += zip_longest(left, right, fillvalue="")
    return rows


def aligned(rows: Sequence[Row]) -> str:
    """The rows as text."""
    width = max((len(left) for left, _ in rows), default=0)
    return "\n".join(f"{left:{width}} | {right}".rstrip() for left, right in rows)


def _header(text: str) -> bool:
    return text.endswith(":")


def _body(program: Program) -> Body:
    """The printer of a program in the textbook style."""
    return Body(program, "textbook", Outside(called(program), "textbook"))


def _tree(lines: Sequence[Line], around: int = 0) -> list[Node]:
    """Lines as a tree by their depth, with `elif` as an `if` inside an `else`."""
    nodes: list[Node] = []
    start = 0
    while start < len(lines):
        depth, text, number = lines[start]
        end = _end(lines, start)
        if text.startswith("elif "):
            while end < len(lines) and lines[end][1].startswith(("elif ", "else:")):
                end = _end(lines, end)
            rest = [(level + 1, each, line) for level, each, line in lines[start:end]]
            rest[0] = (depth + 1, text.removeprefix("el"), number)
            nodes.append(Node("else:", nodes[-1].number, _tree(rest)))
        else:
            nodes.append(Node(text, 0 if number == around else number, _tree(lines[start + 1 : end], number)))
        start = end
    return nodes


def _end(lines: Sequence[Line], start: int) -> int:
    """Where the lines inside a line end."""
    inside = range(start + 1, len(lines))
    return next((each for each in inside if lines[each][0] <= lines[start][0]), len(lines))


def _chains(nodes: Sequence[Node]) -> list[list[Node]]:
    """Nodes one by one, an `else` together with its `if`."""
    chains: list[list[Node]] = []
    for node in nodes:
        if node.continues:
            chains[-1].append(node)
        else:
            chains.append([node])
    return chains


def _upwards(nodes: Sequence[Node]) -> list[Node]:
    """The tree of a program to be read from below: what is inside a line still stands under it."""
    reverse = [node for chain in reversed(_chains(nodes)) for node in chain]
    return [Node(node.text, node.number, _upwards(node.inside)) for node in reverse]


Chain = list[Node]


def _groups(nodes: Sequence[Node]) -> list[tuple[int, list[Chain]]]:
    return [(number, list(chains)) for number, chains in groupby(_chains(nodes), lambda chain: chain[0].number)]


def _rows(left: Sequence[Node], right: Sequence[Node], margin: str) -> list[Row]:
    """The rows of two blocks: what has one number stands side by side."""
    rows: list[Row] = []
    waiting = _groups(right)
    for number, ours in _groups(left):
        theirs: list[Chain] = []
        while number in [other for other, _ in waiting]:
            other, chains = waiting.pop(0)
            if other == number:
                theirs = chains
                break
            rows += _statement([], chains, margin)
        rows += _statement(ours, theirs, margin)
    return [*rows, *(row for _, chains in waiting for row in _statement([], chains, margin))]


def _statement(left: Sequence[Chain], right: Sequence[Chain], margin: str) -> list[Row]:
    """The rows of what comes from one statement: lines, and at most one chain of lines with others inside."""
    ours, theirs = _position(left), _position(right)
    if ours is None or theirs is None:
        return list(zip_longest(_texts(left, margin), _texts(right, margin), fillvalue=""))
    before = zip_longest(_texts(left[:ours], margin), _texts(right[:theirs], margin), fillvalue="")
    after = zip_longest(_texts(left[ours + 1 :], margin), _texts(right[theirs + 1 :], margin), fillvalue="")
    return [*before, *_sections(left[ours], right[theirs], margin), *after]


def _position(chains: Sequence[Chain]) -> int | None:
    """Where the chain stands whose lines have others inside."""
    return next((position for position, chain in enumerate(chains) if chain[0].inside), None)


def _texts(chains: Sequence[Sequence[Node]], margin: str) -> list[str]:
    """Lines with what is inside them."""
    texts: list[str] = []
    for node in (node for chain in chains for node in chain):
        texts += [margin + node.text, *_texts([node.inside], margin + INDENT)]
    return texts


def _sections(left: Chain, right: Chain, margin: str) -> list[Row]:
    """The rows of a loop or an `if` and its adjoint, each branch beside its own."""
    ours, theirs = _branches(left), _branches(right)
    none = Node("", 0)
    rows: list[Row] = []
    for branch in {**ours, **theirs}:
        mine, other = ours.get(branch, none), theirs.get(branch, none)
        rows.append((margin + mine.text if mine.text else "", margin + other.text if other.text else ""))
        rows += _rows(mine.inside, other.inside, margin + INDENT)
    return rows


def _branches(chain: Chain) -> dict[bool, Node]:
    """The lines of a chain by whether the test holds where they are run."""
    first = not chain[0].text.startswith("if not ")
    return {first != node.continues: node for node in chain}
