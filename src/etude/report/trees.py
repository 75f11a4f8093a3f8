"""What the page of a run shows of programs: a text, the tree that it asks for and the tree that was written."""

from collections.abc import Iterator

from markupsafe import Markup

from etude.data.kinds import END, Trees
from etude.data.trees import Tree, named, program
from etude.report.view import Figure, Section, View

LOOKED_AT = 100  # test problems
SHOWN = 2  # of those written right, and of the others

Path = tuple[int, ...]  # to a node from the root, by the position of each child


def programs(view: View) -> Iterator[Section]:
    """The first test problems that are written right, and the first that are not: both trees, side by side."""
    test = view.splits.test if view.splits else None
    if not isinstance(test, Trees) or not hasattr(view.system, "translate"):
        return
    batch = test[:LOOKED_AT].to("cpu")
    written = [program(nodes, test.symbols, test.arities) for nodes in view.system.translate(batch.x).tolist()]
    trees = list(zip(named(batch), written, strict=True))
    right = [place for place, (true, said) in enumerate(trees) if true == said]
    wrong = [place for place in range(len(trees)) if place not in right]
    told = (
        f"{len(right)} of the first {len(trees)} test problems are written without a mistake. Below are the first of "
        "these, then the first of the others. A node is marked where the other tree has another in its place, or none."
    )
    yield Section("Programs", [told])
    for place in (*right[:SHOWN], *wrong[:SHOWN]):
        true, said = trees[place]
        missed, strange = strangers(true, said), strangers(said, true)
        of = f"{len(strange)} of {len(nodes_of(said))} nodes wrong" if strange else f"lacks {len(missed)} nodes"
        text = " ".join(test.words[number] for number in batch.x[place].tolist() if number > END).replace(" ,", ",")
        figures = [Figure(drawn(true, missed), "true"), Figure(drawn(said, strange), "written")]
        yield Section(f"Test problem {place + 1}: {'right' if place in right else of}", [text], figures)


def nodes_of(tree: Tree, path: Path = ()) -> dict[Path, str]:
    """The name of every node by its path, in the order of reading."""
    name, children = (tree, ()) if isinstance(tree, str) else (tree[0], tree[1:])
    found = {path: name}
    for place, child in enumerate(children):
        found |= nodes_of(child, (*path, place))
    return found


def strangers(tree: Tree, other: Tree) -> set[Path]:
    """Nodes of a tree in whose place another has no node of that name."""
    there = nodes_of(other)
    return {path for path, name in nodes_of(tree).items() if there.get(path) != name}


def drawn(tree: Tree, marked: set[Path]) -> str:
    """A tree as HTML: a line for each node, its children under it."""
    nodes = nodes_of(tree)
    lines = (
        Markup(f"{{}}{'<mark>{}</mark>' if path in marked else '{}'}").format(branches(path, nodes), name)
        for path, name in nodes.items()
    )
    return str(Markup("<pre>{}</pre>").format(Markup("\n").join(lines)))


def branches(path: Path, nodes: dict[Path, str]) -> str:
    """The strokes before a node: one down past each ancestor that has a next sibling, and one to the node itself."""
    follows = [(*path[:depth], path[depth] + 1) in nodes for depth in range(len(path))]
    past = "".join("│  " if more else "   " for more in follows[:-1])
    return past + ("├─ " if follows[-1] else "└─ ") if path else ""
