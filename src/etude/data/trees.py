"""Texts and the trees that they ask for: problems in the manner of AlgoLisp, and the files of AlgoLisp itself
(Polosukhin and Skidanov, "Neural program search: solving programming tasks from description and examples", 2018).

A tree is a name, or a name and its children: "a" or ("+", "a", "1"), as s-expressions "a" and "(+ a 1)". A call
without arguments, "(f)", is its name. A symbol of the vocabulary is a name with a number of children: the "-" of
"(- a b)" and the "-" of "(reduce a 0 -)" are two symbols.

The generated problems talk about arrays and numbers. A number is asked for or an array: one that is given, or half of
it, filtered, changed value by value, sorted or turned round in up to three steps. "given an array of numbers c ,
compute the sum of c , keeping only values greater than 3 , each multiplied by 2" is "(reduce (map (filter c (partial1 3
>)) (partial1 2 *)) 0 +)". No tree comes twice, in whichever part, not even under other names of its arrays and numbers.
"""

import random
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from etude.data.arrays import complete, part_of
from etude.data.files import locate
from etude.data.kinds import BEGIN, END, PAD, UNKNOWN, Splits, TextPairs, Trees, Vectors
from etude.data.pairs import SPECIAL, spell
from etude.data.strings import pad, read_json, read_text
from etude.errors import InputError

Tree = str | tuple[Any, ...]  # a name, or a name and its children
Problem = tuple[list[str], Tree]  # words, and what they ask for
Symbol = tuple[str, int]  # a name and a number of children
Phrase = tuple[str, Tree]  # words, and what they stand for

COUNTS = {"train": 10_000, "validation": 1_000, "test": 1_000}
FILES = {"train": "train", "validation": "dev", "test": "test"}  # as AlgoLisp calls its parts
WORD = re.compile(r"\w+|[^\w\s]")
LEAST = 2  # occurrences of a word
LARGEST = 40  # nodes of a generated tree
LINES = (".jsonl", ".jsonl.gz")
MISSING = "?"  # where a tree was not written to its end

INTRODUCTIONS = ("given", "you are given", "consider")
REQUESTS = ("find", "compute", "return", "your task is to find", "what is")
ARRAYS = {
    "(slice X 0 N)": ("the first N values of X",),
    "(slice X 0 (/ (len X) 2))": ("the first half of X",),
    "(slice X (/ (len X) 2) (len X))": ("the second half of X",),
}
STEPS = {
    "(filter X (partial1 N >))": ("keeping only values greater than N", "without values less than or equal to N"),
    "(filter X (partial1 N <))": ("keeping only values less than N", "without values greater than or equal to N"),
    "(filter X (partial1 N !=))": ("without values equal to N", "with all values N removed"),
    "(filter X (lambda1 (== (% arg1 2) 0)))": ("keeping only even values", "without odd values"),
    "(filter X (lambda1 (== (% arg1 2) 1)))": ("keeping only odd values", "without even values"),
    "(filter X is_prime)": ("keeping only prime values", "considering primes alone"),
    "(map X (partial1 N *))": ("each multiplied by N", "with every value times N"),
    "(map X (partial1 N +))": ("each increased by N", "with N added to every value"),
    "(map X (partial1 N -))": ("each decreased by N", "with N subtracted from every value"),
    "(map X (lambda1 (* arg1 arg1)))": ("each squared", "with every value times itself"),
    "(map X (lambda1 (reduce (digits arg1) 0 +)))": ("each replaced by the sum of its digits",),
    "(sort X)": ("sorted", "in ascending order"),
    "(reverse (sort X))": ("sorted from the largest to the smallest", "in descending order"),
    "(reverse X)": ("reversed", "in reverse order"),
}
RESULTS = {
    "(reduce X 0 +)": ("the sum of X", "the total of X"),
    "(reduce X 1 *)": ("the product of X",),
    "(reduce X -inf max)": ("the maximum of X", "the largest value in X"),
    "(reduce X inf min)": ("the minimum of X", "the smallest value in X"),
    "(len X)": ("the length of X", "the number of values in X"),
    "(head X)": ("the first value in X", "the head of X"),
    "(deref X (- (len X) 1))": ("the last value in X",),
    "(deref (sort X) (/ (len X) 2))": ("the median of X",),
    "(/ (reduce X 0 +) (len X))": ("the mean of X", "the average of X"),
}
ENDINGS = {
    "(+ X N)": ("then add N to it",),
    "(- X N)": ("then subtract N from it",),
    "(* X N)": ("then multiply it by N",),
    "(% X N)": ("then take its remainder by N",),
}


def algolisp_like(data_dir: Path | None = None) -> Splits:
    """10,000 problems to train, 1,000 to validate, 1,000 to test, always the same."""
    drawn = problems(sum(COUNTS.values()))
    return numbered({part: [next(drawn) for _ in range(count)] for part, count in COUNTS.items()}, "algolisp-like")


def algolisp(data_dir: Path | None = None) -> Splits:
    """AlgoLisp as its authors split it: 79,214 problems to train, 9,352 to validate, 10,940 to test.

    Raises:
        InputError: a file of `metaset3.train.jsonl`, `metaset3.dev.jsonl`, `metaset3.test.jsonl` is missing or broken.
    """
    get = "it is metaset3.{train,dev,test}.jsonl of github.com/nearai/program_synthesis"
    files = locate(data_dir, "algolisp", *(f"metaset3.{part}.jsonl*" for part in FILES.values()), get=get)
    return numbered({part: list(read_problems(file)) for part, file in zip(FILES, files, strict=True)}, "algolisp")


def load_trees(path: Path) -> Splits:
    """Splits of the user's own problems: JSON lines as those of AlgoLisp, one file or a folder of them.

    What is missing of validation and test is drawn from the training problems.

    Raises:
        InputError: a file cannot be read, a line lacks something, or there are too few.
    """
    found: dict[str, list[Problem]] = {}
    for file in _files(path):
        found.setdefault(part_of(file.name.replace(".", "_")), []).extend(read_problems(file))
    if "train" not in found:
        raise InputError(f"{path}: found {' and '.join(found)} without train: name the problems to train on")
    rows = {part: Vectors(torch.arange(len(its)).float()[:, None]) for part, its in found.items()}
    drawn = complete(rows, path.resolve().name.split(".")[0], str(path))
    parts = {
        part: [found.get(part, found["train"])[int(row)] for row in batch.tensors()["x"][:, 0].tolist()]
        for part, batch in drawn.parts().items()
    }
    return numbered(parts, drawn.name)


def prepare(path: Path, preparation: dict[str, Any]) -> Trees:
    """New problems as the training problems were prepared.

    Args:
        preparation: `Splits.preparation` of the training data.

    Raises:
        InputError: a file cannot be read, or a line lacks something.
    """
    return _batch([problem for file in _files(path) for problem in read_problems(file)], preparation["trees"])


def are_trees(path: Path) -> bool:
    """Whether JSON lines, one file or the first of a folder, hold trees: the first line has a `short_tree`."""
    try:
        return any('"short_tree"' in read_text(file).partition("\n")[0] for file in _files(path)[:1])
    except InputError:  # which the reader of pairs says better
        return False


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] if path.name.lower().endswith(LINES) else []
    return sorted(file for file in path.iterdir() if file.name.lower().endswith(LINES))


def read_problems(file: Path) -> Iterator[Problem]:
    """The problems in JSON lines with a `text`, words or one string, and a `short_tree`, nested lists.

    Raises:
        InputError: the file cannot be read, or a line lacks something.
    """
    for number, line in enumerate(read_text(file).removesuffix("\n").split("\n"), 1):
        where = f"{file}: line {number}"
        entry = read_json(line, where)
        try:
            tree, text = _tree(entry["short_tree"]), entry["text"]
        except RecursionError as error:
            raise InputError(f"{where}: the short_tree has too many levels: correct or remove it") from error
        except (KeyError, TypeError) as error:
            raise InputError(f"{where}: expected an object with text and short_tree: correct or remove it") from error
        words = WORD.findall(text.lower()) if isinstance(text, str) else text
        if not tree or not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            missing = "text of words" if tree else 'short_tree such as ["+", "a", "1"]'
            raise InputError(f"{where} has no {missing}: correct or remove it")
        yield words, tree


def _tree(given: Any) -> Tree | None:
    """A tree from nested lists of names and numbers; None where they are something else."""
    if isinstance(given, str | int | float):
        return str(given) or None
    if not isinstance(given, list) or not given or not isinstance(given[0], str):
        return None
    children = [_tree(each) for each in given[1:]]
    return None if None in children else (given[0], *children) if children else given[0]


@cache
def parse(text: str) -> Tree:
    """The tree of an s-expression.

    Raises:
        InputError: parentheses do not match, or it is not one expression.
    """
    open_: list[list[Tree]] = [[]]
    for token in re.findall(r"[()]|[^\s()]+", text):
        if token == "(":
            open_.append([])
        elif token != ")":
            open_[-1].append(token)
        elif len(open_) > 1 and open_[-1] and isinstance(open_[-1][0], str):
            name, *children = open_.pop()
            open_[-1].append((name, *children) if children else name)
        else:
            break
    else:
        if len(open_) == len(open_[0]) == 1:
            return open_[0][0]
    raise InputError(f"{text!r} is no s-expression: expected a name or (name argument ...), got unmatched parentheses")


def tokens(tree: Tree) -> list[str]:
    """The parentheses and names of a tree's s-expression."""
    if isinstance(tree, str):
        return [tree]
    return ["(", tree[0], *(token for child in tree[1:] for token in tokens(child)), ")"]


def expression(tree: Tree) -> str:
    """A tree as an s-expression: "(+ a 1)"."""
    return _closed(tokens(tree))


def flatten(tree: Tree) -> tuple[list[Symbol], list[int], list[int]]:
    """A tree breadth first: each node's symbol, the position of its parent and its position among its siblings."""
    symbols: list[Symbol] = []
    found: list[tuple[int, int]] = []
    waiting: deque[tuple[Tree, int, int]] = deque([(tree, 0, 0)])
    while waiting:
        node, parent, place = waiting.popleft()
        name, children = (node, ()) if isinstance(node, str) else (node[0], node[1:])
        waiting.extend((child, len(symbols), number) for number, child in enumerate(children))
        symbols.append((name, len(children)))
        found.append((parent, place))
    return symbols, [parent for parent, _ in found], [place for _, place in found]


def unflatten(symbols: Sequence[Symbol]) -> Tree:
    """The tree with these symbols breadth first; `MISSING` where there are too few."""
    firsts = list(accumulate((arity for _, arity in symbols), initial=1))  # the position of each node's first child
    built: list[Tree] = [MISSING] * max(firsts[-1], len(symbols))
    for place in reversed(range(len(symbols))):
        name, arity = symbols[place]
        built[place] = (name, *built[firsts[place] : firsts[place] + arity]) if arity else name
    return built[0]


def named(trees: Trees) -> list[Tree]:
    """The trees of a batch; a node whose symbol is unknown keeps its children."""
    told = zip(trees.nodes.tolist(), trees.parents.tolist(), trees.sizes.tolist(), strict=True)
    return [_grown([trees.symbols[n] for n in nodes[:size]], parents) for nodes, parents, size in told]


def _grown(names: Sequence[str], parents: Sequence[int]) -> Tree:
    """The tree whose nodes have these names and these parents, breadth first."""
    children: list[list[Tree]] = [[] for _ in names]
    tree: Tree = MISSING
    for place in reversed(range(len(names))):
        tree = (names[place], *children[place]) if children[place] else names[place]
        children[parents[place]].insert(0, tree)
    return tree


def program(nodes: Iterable[int], symbols: Sequence[str], arities: Sequence[int]) -> Tree:
    """The tree that numbers of symbols stand for, up to the first padding.

    Args:
        nodes: breadth first.
        symbols: as in `Trees`, as are `arities`.
    """
    found: list[Symbol] = []
    for number in nodes:
        if number == PAD:
            break
        found.append((symbols[number], arities[number]))
    return unflatten(found)


def encode(text: str, preparation: dict[str, Any]) -> Tensor:
    """The numbers of the words of a text, with `END` after them, (1, steps): what a system reads.

    Args:
        preparation: `Splits.preparation` of the training data.
    """
    words = {word: number for number, word in enumerate(preparation["trees"]["words"])}
    return torch.tensor([_numbers(WORD.findall(text.lower()), words)])


def decode(nodes: Iterable[int], preparation: dict[str, Any]) -> str:
    """The s-expression that numbers of symbols stand for.

    Args:
        nodes: breadth first, as a system writes them.
        preparation: `Splits.preparation` of the training data.
    """
    return expression(program(nodes, preparation["trees"]["symbols"], preparation["trees"]["arities"]))


def linearised(trees: Trees) -> TextPairs:
    """Each tree as the words of its s-expression, parentheses included."""
    units = _units(trees.symbols)
    number = {unit.strip(): place for place, unit in enumerate(units)}
    rows = [[BEGIN, *(number[token] for token in tokens(tree)), END] for tree in named(trees)]
    words = (*SPECIAL, *(f" {word}" for word in trees.words[UNKNOWN + 1 :]))
    return TextPairs(trees.x, trees.lengths, *pad(rows), words, units, index=trees.index)


def spelled(numbers: Iterable[int], preparation: dict[str, Any]) -> str:
    """The s-expression that numbers of its words stand for, as `linearised` numbers them.

    Args:
        preparation: `Splits.preparation` of the training data.
    """
    return _closed(spell(numbers, _units(preparation["trees"]["symbols"])).split())


def _units(symbols: Sequence[str]) -> tuple[str, ...]:
    """The words of s-expressions, each with the space before it: parentheses, and the names of symbols."""
    return (*SPECIAL, *(f" {name}" for name in dict.fromkeys(("(", ")", *symbols[UNKNOWN + 1 :]))))


def _closed(words: Iterable[str]) -> str:
    return " ".join(words).replace("( ", "(").replace(" )", ")")


def numbered(parts: Mapping[str, Sequence[Problem]], name: str) -> Splits:
    """Splits of the problems of train, validation and test; those to train on choose the vocabularies.

    Returns:
        `Trees`; `preparation["trees"]` holds words, symbols and arities.
    """
    heard = Counter(word for words, _ in parts["train"] for word in words)
    kept = sorted((word for word in heard if heard[word] >= LEAST), key=lambda word: (-heard[word], word))
    seen = Counter(symbol for _, tree in parts["train"] for symbol in flatten(tree)[0])
    known = [*((mark, 0) for mark in SPECIAL), *sorted(seen, key=lambda symbol: (-seen[symbol], symbol))]
    symbols, arities = zip(*known, strict=True)
    preparation = {"words": [*SPECIAL, *kept], "symbols": list(symbols), "arities": list(arities)}
    batches = {part: _batch(its, preparation) for part, its in parts.items()}
    return Splits(**batches, name=name, preparation={"trees": preparation})


def _batch(its: Sequence[Problem], preparation: dict[str, Any]) -> Trees:
    words, symbols, arities = (tuple(preparation[key]) for key in ("words", "symbols", "arities"))
    number = {word: place for place, word in enumerate(words)}
    node = {symbol: place for place, symbol in enumerate(zip(symbols, arities, strict=True))}
    texts = [_numbers(text, number) for text, _ in its]
    flat, parents, places = zip(*(flatten(tree) for _, tree in its), strict=True)
    nodes, sizes = pad([[node.get(symbol, UNKNOWN) for symbol in found] for found in flat])
    return Trees(*pad(texts), nodes, pad(parents)[0], pad(places)[0], sizes, words, symbols, arities)


def _numbers(words: Iterable[str], number: Mapping[str, int]) -> list[int]:
    return [*(number.get(word, UNKNOWN) for word in words), END]


def problems(count: int, seed: int = 0) -> Iterator[Problem]:
    """So many different problems, always the same for a seed; no tree is another's under other names."""
    draw = random.Random(seed)
    seen: set[Tree] = set()
    while len(seen) < count:
        given, second = draw.sample("abcdef", 2)
        text, tree = _problem(draw, given, second)
        known = _filled(tree, {given: "1st", second: "2nd"})
        if known not in seen and len(flatten(tree)[0]) <= LARGEST:
            seen.add(known)
            yield text.split(), tree


def _problem(draw: random.Random, given: str, second: str) -> Phrase:
    """A problem about an array of the name `given` and, of the name `second`, a number, another array or nothing."""
    kind = draw.choice(("nothing", "a number", "an array of numbers"))
    phrase = _told(draw, ARRAYS, (given, given), kind, second) if draw.random() < 0.3 else (given, given)
    steps = draw.randint(0, 3)
    for _ in range(steps):
        phrase = _told(draw, STEPS, phrase, kind, second)
    if steps == 0 or draw.random() < 0.7:
        phrase = _told(draw, RESULTS, phrase, kind, second)
        if draw.random() < 0.3:
            phrase = _told(draw, ENDINGS, phrase, kind, second)
    beside = "" if kind == "nothing" else f" and {kind} {second}"
    start = f"{draw.choice(INTRODUCTIONS)} an array of numbers {given}{beside}"
    return f"{start} , {draw.choice(REQUESTS)} {phrase[0]}", phrase[1]


def _told(draw: random.Random, forms: Mapping[str, tuple[str, ...]], about: Phrase, kind: str, second: str) -> Phrase:
    """One of the forms, said of a phrase, with a number where it needs one: a constant, or of what `second` names."""
    form = draw.choice(list(forms))
    words = draw.choice(forms[form])
    number: Phrase = (constant := str(draw.randint(2, 20)), constant)
    if kind != "nothing" and "N" in form and draw.random() < 0.5:
        number = (second, second)
        number = number if kind == "a number" else _told(draw, RESULTS, number, kind, second)
    said = words if "X" in words.split() else f"X , {words}"
    text = " ".join({"X": about[0], "N": number[0]}.get(word, word) for word in said.split())
    return text, _filled(parse(form), {"X": about[1], "N": number[1]})


def _filled(tree: Tree, meant: Mapping[str, Tree]) -> Tree:
    """A tree with other trees in the place of some of its names."""
    if isinstance(tree, str):
        return meant.get(tree, tree)
    return (tree[0], *(_filled(child, meant) for child in tree[1:]))
