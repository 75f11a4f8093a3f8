"""Writes docs/systems/, a page for each system from its source and its claims, and docs/api/, from docstrings.

python docs/pages.py
"""

import ast
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

from etude.catalogue import Entry, entries, find
from etude.claims import lab
from etude.report.figures import lines
from etude.report.sheet import deviations, number
from etude.signature import acts_on_another, arguments, dimensions

HERE = Path(__file__).parent
SOURCE = HERE.parent / "src" / "etude"
VERBS = ("classify", "predict", "cluster", "encode", "decode", "sample", "translate", "complete", "score", "recall")
PARTS = {
    "functional": "Functions: losses, divergences, likelihoods",
    "nn": "Building blocks of networks",
    "data": "Data: kinds, sources and formats",
    "metrics": "Metrics",
    "systems": "The abstraction",
    "engine": "Training and runs",
    "claims": "Claims",
    "autodiff": "Automatic differentiation",
}
Definition = ast.FunctionDef | ast.ClassDef


def prose(text: str) -> str:
    """Text as Markdown: on one line, code in backticks kept, other signs shown as they are."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_<>\[\]{}$|#~^])", r"\\\1", part) for part in parts)


def docstring(text: str) -> str:
    """A docstring as Markdown; what is indented, equations among it, stays as it is."""
    return "\n\n".join(paragraph(part) for part in re.split(r"\n\s*\n", text.strip("\n")) if part.strip())


def paragraph(text: str) -> str:
    head, *rest = text.splitlines()
    if head in ("Args:", "Attributes:", "Raises:", "Returns:"):
        entry = re.compile(r"^    (?! )", re.MULTILINE)
        listed = [prose(part) for part in entry.split("\n".join(rest)) if part.strip()]
        return "\n".join([f"*{head.removesuffix(':')}*", "", *(f"- {part}" for part in listed)])
    return f"```text\n{dedent(text)}\n```" if any(line.startswith("    ") for line in (head, *rest)) else prose(text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def heading(node: Definition) -> str:
    """The head of a function, or a class with what it is built from, as the source has it."""
    if isinstance(node, ast.FunctionDef):
        given = ast.unparse(node.args).removeprefix("self").removeprefix(", ")
        return f"{node.name}({given})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            return heading(each).replace("__init__", node.name).removesuffix(" -> None")
    fields = [ast.unparse(each) for each in node.body if isinstance(each, ast.AnnAssign)]
    return f"{node.name}({', '.join(field for field in fields if 'ClassVar' not in field)})"


def public(body: Sequence[ast.stmt]) -> Iterator[tuple[Definition, str]]:
    """Functions and classes, with their docstrings, that a reader is meant to use."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_") and (told := ast.get_docstring(node)):
            yield node, told


def system_page(entry: Entry, findings: dict[tuple[str, str], dict[str, Any]]) -> str:
    assert entry.file is not None
    system, tree = find(entry.name), ast.parse(entry.file.read_text())
    title, _, idea = (ast.get_docstring(tree) or "").partition("\n")
    paper, on = system.paper, " --on vae" if acts_on_another(system) and not system.acts_on else ""
    sizes = ", ".join(f"`{name}`" for name in dimensions(system))
    parts = [
        f"# {entry.name}",
        prose(title),
        f"Paper: {paper.authors} ({paper.year}), [{paper.title}]({paper.link}).",
        f"```console\n$ etude train {entry.name}{on} --quick\n$ etude show {entry.name}\n```",
        docstring(idea),
        "## Hyperparameters",
        f"Acts on another system{f', `{system.acts_on}` where none is named' if system.acts_on else ''}."
        if acts_on_another(system)
        else f"Learns from `{system.kind.__name__}`; takes {sizes} from the data.",
        table(
            ("argument", "default", "expects", "what it is", "source of the default"),
            [
                (f"`{a.name}`", f"`{a.default}`", prose(a.expects), prose(a.meaning), prose(a.source))
                for a in arguments(system).values()
            ],
        ),
        "## Deviations from the paper",
        "\n".join(f"- {prose(line)}" for line in deviations(entry.name)) or "None are marked.",
    ]
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == system.__name__)
    verbs = [f"- `{heading(node)}`: {prose(told)}" for node, told in public(body) if node.name in VERBS]
    if verbs:
        parts += ["## Verbs", "\n".join(verbs)]
    return "\n\n".join([*parts, *claims_about(entry.name, findings)]) + "\n"


def claims_about(name: str, findings: dict[tuple[str, str], dict[str, Any]]) -> Iterator[str]:
    """The claims about a system or a library, how to run them, and what they plot."""
    claims = lab.claims(name)
    found = [findings.get((name, claim.name)) for claim in claims]
    if claims:
        yield "## Claims"
        yield "\n".join(map(claimed, claims, found))
        yield f"```console\n$ etude reproduce {name}\n```"
    for finding in filter(None, found):
        for title, plot in finding.get("plots", {}).items():
            yield prose(title)
            yield f"```{{raw}} html\n{lines(**plot)}```"


def claimed(claim: lab.Claim, finding: dict[str, Any] | None) -> str:
    """A claim with its verdict and what was measured."""
    told = f"- {prose(claim.statement)} ({prose(claim.source)}): "
    if finding is None:
        return f"{told}**not measured**"
    numbers = [f"{prose(name.replace('_', ' '))} {number(value)}" for name, value in finding["numbers"].items()]
    verdict = finding["verdict"] + (", stale" if finding["stale"] else "")
    return f"{told}**{verdict}**. {'; '.join(numbers)}. {prose(finding['note'])}"


def part_page(part: str, title: str, findings: dict[tuple[str, str], dict[str, Any]]) -> str:
    """A page about a folder of the source: every file, every public name in it, the claims about it.

    Of a folder whose `__init__.py` offers names, those alone.
    """
    shown, offered = [f"# {title}"], exports(part)
    for file in sorted((SOURCE / part).glob("*.py")):
        tree, module = ast.parse(file.read_text()), f"etude.{part}.{file.stem}".removesuffix(".__init__")
        names = [each for each in public(tree.body) if not offered or (module, each[0].name) in offered]
        if (told := ast.get_docstring(tree)) and (names or not offered or file.stem == "__init__"):
            shown += [f"## {module}", docstring(told)]
            for node, text in names:
                shown += [f"### {prose(node.name)}", f"```python\n{heading(node)}\n```", docstring(text)]
                if isinstance(node, ast.ClassDef):
                    shown += [f"- `{heading(inner)}`: {prose(said)}" for inner, said in public(node.body)]
    shown += claims_about(part, findings) if part in lab.LIBRARIES else []
    return "\n\n".join(shown) + "\n"


def library_page(entry: Entry, findings: dict[tuple[str, str], dict[str, Any]]) -> str:
    """A page about a library of one file: the claims about it."""
    parts = [f"# {entry.name}", prose(entry.summary), f"Claims about `{entry.module}`."]
    return "\n\n".join([*parts, *claims_about(entry.name, findings)]) + "\n"


def exports(part: str) -> set[tuple[str | None, str]]:
    """The names that a folder's `__init__.py` offers, each with the module that it is from."""
    tree = ast.parse((SOURCE / part / "__init__.py").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {(node.module, alias.name) for node in imports for alias in node.names}


def toctree(names: Sequence[str]) -> str:
    return "\n".join(["```{toctree}", ":maxdepth: 1", "", *names, "```"])


def main() -> None:
    """Write every page anew."""
    for folder in ("systems", "api"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
        (HERE / folder).mkdir()
    findings, index = lab.findings(), ["# Systems"]
    ours = [entry for entry in entries().values() if entry.module.startswith("etude.systems.")]
    for family in sorted({entry.family for entry in ours}):
        names = sorted(entry.name for entry in ours if entry.family == family)
        for name in names:
            (HERE / "systems" / f"{name}.md").write_text(system_page(entries()[name], findings))
        index += [f"## {family}", toctree(names)]
    (HERE / "systems" / "index.md").write_text("\n\n".join(index) + "\n")
    for part, title in PARTS.items():
        (HERE / "api" / f"{part}.md").write_text(part_page(part, title, findings))
    libraries = [name for name in lab.LIBRARIES if name not in PARTS]
    for name in libraries:
        (HERE / "api" / f"{name}.md").write_text(library_page(lab.LIBRARIES[name], findings))
    parts = ["# Functions and classes", toctree(list(PARTS)), "## Measured", toctree(libraries)]
    (HERE / "api" / "index.md").write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
