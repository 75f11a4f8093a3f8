"""What the page of a run shows of programs."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from etude.data.kinds import Splits, Trees
from etude.data.trees import Tree, numbered, parse, problems
from etude.engine.run import Run
from etude.engine.train import train
from etude.report.trees import drawn, programs, strangers
from etude.report.view import Section, View

FEW = [(f"take {name} , then {what}".split(), parse(f"({what} {name} 1)")) for what in ("add", "cut") for name in "abc"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    sizes: dict[str, Any] = {"embedding": 4, "hidden": 4, "layers": 1, "longest": 6, "epochs": 0}
    return train("saps", splits(), runs=tmp_path_factory.mktemp("runs"), quiet=True, device="cpu", **sizes)


def splits() -> Splits:
    return numbered(dict.fromkeys(("train", "validation", "test"), FEW), "few")


class Writes:
    """A system that has learned the test problems, but for those at some places."""

    def __init__(self, wrong: dict[int, str]) -> None:
        self.test, self.wrong = splits().test, wrong

    def translate(self, x: Tensor) -> Tensor:
        assert isinstance(self.test, Trees)
        nodes = self.test.nodes.clone()
        for row, name in self.wrong.items():
            nodes[row, 1] = self.test.symbols.index(name)
        return nodes[: len(x)]


def sections(run: Run, wrong: dict[int, str]) -> list[Section]:
    return list(programs(View(run, Writes(wrong), splits())))


def marked(html: str) -> list[str]:
    return re.findall("<mark>(.*?)</mark>", html)


def test_both_trees_stand_side_by_side_and_wrong_nodes_are_marked(run: Run) -> None:
    first, *shown = sections(run, {1: "c", 4: "a"})
    assert "4 of the first 6 test problems" in first.text[0]
    assert [section.title for section in shown] == [
        "Test problem 1: right",
        "Test problem 3: right",
        "Test problem 2: 1 of 3 nodes wrong",
        "Test problem 5: 1 of 3 nodes wrong",
    ]
    assert shown[2].text == ["take b, then add"]
    true, written = shown[2].figures
    assert (true.caption, written.caption) == ("true", "written")
    assert true.html == "<pre>add\n├─ <mark>b</mark>\n└─ 1</pre>"
    assert written.html == "<pre>add\n├─ <mark>c</mark>\n└─ 1</pre>"
    assert not marked(shown[0].figures[0].html + shown[0].figures[1].html)


def test_with_every_program_right_only_those_are_shown(run: Run) -> None:
    assert len(sections(run, {})) == 3


def test_a_run_that_has_learned_nothing_is_drawn(run: Run) -> None:
    shown = list(programs(View(run, run.system, splits())))
    assert shown[0].text[0].startswith("0 of the first 6")
    assert all(marked(section.figures[1].html) for section in shown[1:])


@pytest.mark.parametrize(
    ("true", "said", "missed", "strange"),
    [
        ("(f a b)", "(f a b)", [], []),
        ("(f a b)", "(f b b)", ["a"], ["b"]),
        ("(f a)", "(f a b)", [], ["b"]),
        ("(f a b)", "f", ["a", "b"], []),
        ("(f (g a) b)", "(f (h a) b)", ["g"], ["h"]),
        ("(f (g a) b)", "(f b (g a))", ["g", "a", "b"], ["b", "g", "a"]),
    ],
)
def test_a_node_is_wrong_where_the_other_tree_has_another(
    true: str, said: str, missed: list[str], strange: list[str]
) -> None:
    a, b = parse(true), parse(said)
    assert marked(drawn(a, strangers(a, b))) == missed
    assert marked(drawn(b, strangers(b, a))) == strange


def test_strokes_lead_from_every_parent_to_its_children() -> None:
    tree: Tree = ("f", ("g", "a", ("<", "b")), ("h", "c"))
    assert drawn(tree, set()) == "<pre>f\n├─ g\n│  ├─ a\n│  └─ &lt;\n│     └─ b\n└─ h\n   └─ c</pre>"


def test_a_tree_with_a_symbol_of_which_training_knows_nothing_keeps_its_shape(run: Run) -> None:
    test = numbered({"train": FEW, "validation": FEW, "test": [(["take"], parse("(add (new a) 1)"))]}, "few").test
    shown = list(programs(View(run, run.system, replace(splits(), test=test))))
    assert re.sub("</?mark>", "", shown[1].figures[0].html) == "<pre>add\n├─ &lt;unknown&gt;\n│  └─ a\n└─ 1</pre>"


def test_other_data_have_no_programs(run: Run, tmp_path: Path) -> None:
    assert list(programs(View(run, run.system, None))) == []
    assert list(programs(View(run, torch.nn.Module(), splits()))) == []


def test_large_trees_are_drawn_whole() -> None:
    for _, tree in problems(50):
        assert drawn(tree, set()).count("\n") + 1 == len(re.findall(r"[^\s()]+", str(tree).replace(",", " ")))
