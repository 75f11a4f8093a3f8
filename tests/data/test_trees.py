"""Trees, s-expressions and tensors say the same; problems are many, different and unambiguous; AlgoLisp's files."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from etude.data import source
from etude.data.check import check
from etude.data.kinds import BEGIN, END, PAD, UNKNOWN, Splits, TextPairs, Trees
from etude.data.own import form
from etude.data.pairs import spell
from etude.data.trees import (
    FILES,
    LARGEST,
    MISSING,
    Tree,
    algolisp_like,
    decode,
    encode,
    expression,
    flatten,
    named,
    numbered,
    parse,
    problems,
    program,
    spelled,
    unflatten,
)
from etude.errors import InputError

names = st.text("abc+-<012_", min_size=1, max_size=3)
trees = st.recursive(
    names, lambda inner: st.builds(lambda a, b: (a, *b), names, st.lists(inner, min_size=1, max_size=4))
)


@pytest.fixture(scope="module")
def generated() -> Splits:
    return algolisp_like()


@given(trees)
def test_a_tree_its_expression_and_its_nodes_are_the_same(tree: Tree) -> None:
    assert parse(expression(tree)) == tree
    assert unflatten(flatten(tree)[0]) == tree


@given(st.lists(trees, min_size=1, max_size=4))
def test_a_tree_comes_back_from_tensors(its: list[Tree]) -> None:
    splits = numbered({part: [(["w"], tree) for tree in its] for part in FILES}, "given")
    batch = splits.train
    assert isinstance(batch, Trees)
    assert [program(nodes, batch.symbols, batch.arities) for nodes in batch.nodes.tolist()] == its
    assert [decode(nodes, splits.preparation) for nodes in batch.nodes.tolist()] == [expression(tree) for tree in its]
    for row, size in enumerate(batch.sizes.tolist()):
        nodes, parents, places = (each[row, :size].tolist() for each in (batch.nodes, batch.parents, batch.places))
        assert not batch.nodes[row, size:].any()
        assert PAD not in nodes
        asked = [(parent, place) for parent, node in enumerate(nodes) for place in range(batch.arities[node])]
        assert list(zip(parents, places, strict=True)) == [(0, 0), *asked]


def test_nodes_are_breadth_first() -> None:
    symbols, parents, places = flatten(parse("(+ (* a 2) (len b) c)"))
    assert symbols == [("+", 3), ("*", 2), ("len", 1), ("c", 0), ("a", 0), ("2", 0), ("b", 0)]
    assert parents == [0, 0, 0, 0, 1, 1, 2]
    assert places == [0, 0, 1, 2, 0, 1, 0]


def test_a_tree_that_is_not_written_to_its_end_says_so() -> None:
    assert expression(unflatten([("+", 2), ("len", 1)])) == f"(+ (len {MISSING}) {MISSING})"
    assert unflatten([]) == MISSING
    assert unflatten([("a", 0), ("b", 0)]) == "a"


@pytest.mark.parametrize("text", ["(+ a", "+ a)", "a b", "", "()", "((f) a)) (", "((+ a) b)"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no s-expression"):
        parse(text)


def test_problems_are_many_and_none_comes_twice(generated: Splits) -> None:
    parts = {part: split for part, split in generated.parts().items() if isinstance(split, Trees)}
    assert [len(split) for split in parts.values()] == [10_000, 1_000, 1_000]
    written = {
        part: [renamed(decode(row, generated.preparation)) for row in split.nodes.tolist()]
        for part, split in parts.items()
    }
    every = [text for texts in written.values() for text in texts]
    assert len(set(every)) == len(every)
    assert max(int(split.sizes.max()) for split in parts.values()) <= LARGEST
    assert not any((split.nodes == UNKNOWN).any() or (split.x == UNKNOWN).any() for split in parts.values())
    depth = [text.replace(")", "").count("(") for text in written["test"]]
    assert sum(count >= 4 for count in depth) > len(depth) / 2
    for operation in ("map", "filter", "reduce", "sort", "reverse", "head"):
        assert sum(f"({operation} " in text for text in written["test"]) > 20, operation


def renamed(text: str) -> str:
    """An expression with its names of one letter called by the order in which they come."""
    order: dict[str, str] = {}
    tokens = text.replace("(", "( ").replace(")", " )").split()
    return expression(
        parse(" ".join(order.setdefault(t, f"v{len(order)}") if len(t) == 1 and t.isalpha() else t for t in tokens))
    )


def test_a_text_asks_for_one_tree() -> None:
    asked: dict[str, Tree] = {}
    for words, tree in problems(3000, seed=1):
        assert asked.setdefault(" ".join(words), tree) == tree


def test_problems_are_the_same_for_a_seed_and_others_for_another() -> None:
    assert list(problems(20)) == list(problems(20)) != list(problems(20, seed=1))


def test_words_become_numbers_and_back(generated: Splits) -> None:
    train = generated.train
    assert isinstance(train, Trees)
    text = "Given an array of numbers c, compute the sum of c, without zzz"
    x = encode(text, generated.preparation)
    assert x.shape == (1, 16)
    assert x[0, -1] == END
    assert x[0, -2] == UNKNOWN
    assert (
        " ".join(train.words[number] for number in x[0, :-2])
        == "given an array of numbers c , compute the sum of c , without"
    )
    for row in range(20):
        size = int(train.lengths[row])
        assert train.x[row, size - 1] == END
        assert not train.x[row, size:].any()
        again = encode(" ".join(train.words[number] for number in train.x[row, : size - 1]), generated.preparation)
        assert torch.equal(again[0], train.x[row, :size])


def test_padding_is_cut(generated: Splits) -> None:
    short = generated.train[:7].to("cpu")
    assert isinstance(short, Trees)
    assert short.x.shape[1] == short.lengths.max() < generated.train.tensors()["x"].shape[1]
    assert short.nodes.shape == short.parents.shape == short.places.shape == (7, short.sizes.max())
    together = generated.together()
    assert len(together) == 12_000
    assert set(together.dimensions) == {"words", "symbols"}


def test_trees_keep_the_children_of_a_symbol_that_training_lacks() -> None:
    train = [(["a"], parse("(f (g a) b)"))]
    test = numbered({"train": train, "validation": train, "test": [(["a"], parse("(f (new a) b)"))]}, "few").test
    assert isinstance(test, Trees)
    assert [expression(tree) for tree in named(test)] == ["(f (<unknown> a) b)"]
    texts = test.as_textpairs()
    assert spell(texts.target[0].tolist(), texts.target_words) == "( f (<unknown> a ) b )"


def test_a_program_written_as_a_text_is_spelled(generated: Splits) -> None:
    pairs, trees = generated.as_kind(TextPairs).test, generated.test
    assert isinstance(pairs, TextPairs)
    assert isinstance(trees, Trees)
    for row in range(20):
        text = spelled(pairs.target[row].tolist(), generated.preparation)
        assert text == decode(trees.nodes[row].tolist(), generated.preparation)


def test_trees_are_offered_as_pairs_of_texts(generated: Splits) -> None:
    pairs = generated.as_kind(TextPairs)
    assert pairs.train.dimensions.keys() == {"words", "target_words"}
    assert pairs.train.dimensions == pairs.test.dimensions
    for row in range(20):
        trees, texts = generated.test[row : row + 1], pairs.test[row : row + 1]
        assert isinstance(trees, Trees)
        assert isinstance(texts, TextPairs)
        assert torch.equal(trees.x, texts.x)
        assert torch.equal(trees.index, texts.index)
        target = texts.target[0].tolist()
        assert target[0] == BEGIN
        assert target[int(texts.target_lengths) - 1] == END
        assert parse(spell(target, texts.target_words)) == program(
            trees.nodes[0].tolist(), trees.symbols, trees.arities
        )


SUM: dict[str, Any] = {"text": ["given", "an", "array", "a"], "short_tree": ["reduce", "a", "0", "+"], "tests": []}


def written(folder: Path, **more: str) -> Path:
    """The files of AlgoLisp with a few lines, some of them replaced."""
    for part in FILES.values():
        other = {"text": "add a, and a", "short_tree": ["+", "a", ["-", 1, "a"]]}
        lines = [json.dumps(SUM), json.dumps(SUM | {"short_tree": ["head", ["f"]]}), json.dumps(other)]
        if part in more:
            lines[1] = more[part]
        (folder / f"metaset3.{part}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_algolisp_is_read_from_its_files(tmp_path: Path) -> None:
    dev = json.dumps(SUM | {"text": "find zzz", "short_tree": ["reduce", "a", "b"]})
    splits = source.load("algolisp", data_dir=written(tmp_path, dev=dev))
    train, validation = splits.train, splits.validation
    assert isinstance(train, Trees)
    assert isinstance(validation, Trees)
    assert [decode(row, splits.preparation) for row in train.nodes.tolist()] == [
        "(reduce a 0 +)",
        "(head f)",
        "(+ a (- 1 a))",
    ]
    words = [[train.words[number] for number in row if number] for row in train.x.tolist()]
    assert words[0] == ["given", "an", "array", "a", "<end>"]
    assert words[2] == ["<unknown>", "a", "<unknown>", "<unknown>", "a", "<end>"]  # said once in the training lines
    assert validation.nodes[1].tolist() == [UNKNOWN, *validation.nodes[2, 1:2].tolist(), UNKNOWN, 0, 0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"metaset3\.dev\.jsonl: line 2 is no JSON"),
        ("", "line 2 is no JSON"),
        ("[1]", "line 2: expected an object with text and short_tree"),
        (json.dumps({"text": ["a"]}), "line 2: expected an object with text and short_tree"),
        (json.dumps({"text": [], "short_tree": "a"}), "line 2 has no text"),
        (json.dumps({"text": [1], "short_tree": "a"}), "line 2 has no text"),
        (json.dumps({"text": "", "short_tree": "a"}), "line 2 has no text"),
        (json.dumps({"text": "a", "short_tree": []}), "line 2 has no short_tree"),
        (json.dumps({"text": "a", "short_tree": ["+", [["+"], "a"]]}), "line 2 has no short_tree"),
        (json.dumps({"text": "a", "short_tree": {"a": 1}}), "line 2 has no short_tree"),
        (json.dumps({"text": "a", "short_tree": None}), "line 2 has no short_tree"),
        (json.dumps({"text": "a", "short_tree": ["+", ""]}), "line 2 has no short_tree"),
        (json.dumps({"text": "\ud800", "short_tree": "a"}), r"line 2 is no JSON \(.*surrogates not allowed"),
        ('{"text": "a", "short_tree": ' + '["+", ' * 800 + '"a"' + "]" * 800 + "}", "line 2: .* too many levels"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        source.load("algolisp", data_dir=written(tmp_path, dev=line))
    assert "\n" not in str(raised.value)


def problem_lines(count: int) -> str:
    """So many different problems as JSON lines."""
    sums = [divmod(n, 10) for n in range(count)]
    return "".join(json.dumps({"text": f"add {a} to {b}", "short_tree": ["+", str(a), b]}) + "\n" for a, b in sums)


def test_own_problems_are_split_and_none_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(problem_lines(40))
    assert form(file) == form(tmp_path) == "trees"
    for path in (file, tmp_path):
        splits = source.load(path)
        assert [len(part) for part in splits.parts().values()] == [28, 6, 6]
        whole = splits.together()
        assert isinstance(whole, Trees)
        assert {expression(tree) for tree in named(whole)} == {f"(+ {n // 10} {n % 10})" for n in range(40)}
    report = check(file)
    assert report.kind == "Trees"
    assert report.text["tree symbols"] == 28 * 3
    assert report.text["tree longest"] == 3


def test_own_problems_may_come_split(tmp_path: Path) -> None:
    for name, count in {"metaset3.train": 10, "metaset3.dev": 3, "metaset3.test": 4}.items():
        (tmp_path / f"{name}.jsonl").write_text(problem_lines(count))
    splits = source.load(tmp_path, kind=Trees)
    assert [len(part) for part in splits.parts().values()] == [10, 3, 4]
    found = source.read(tmp_path / "metaset3.dev.jsonl", Trees, splits.preparation | {"kind": "Trees"})
    for name, tensor in splits.validation.tensors().items():
        assert torch.equal(found.tensors()[name], tensor), name
    (tmp_path / "metaset3.train.jsonl").unlink()
    with pytest.raises(InputError, match="found validation and test without train: name the problems to train on"):
        source.load(tmp_path)


def test_new_problems_are_no_other_data(tmp_path: Path, generated: Splits) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"a": "x", "b": "y"}\n')
    with pytest.raises(InputError, match=r"pairs\.jsonl: expected JSON lines with text and short_tree"):
        source.read(tmp_path / "pairs.jsonl", Trees, generated.preparation)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"algolisp is not in .*metaset3"):
        source.load("algolisp", data_dir=tmp_path)
