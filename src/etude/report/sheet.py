"""What the terminal shows: the fidelity sheet of a system, tables of scores, comparisons, findings."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from etude.catalogue import entries, find
from etude.claims import lab
from etude.engine.run import Run
from etude.signature import acts_on_another, arguments, dimensions


def deviations(name: str) -> list[str]:
    """The `# deviates:` lines of a system's file, each with its place."""
    file = entries()[name].file
    found = []
    for number, line in enumerate(file.read_text().splitlines() if file else [], start=1):
        _, mark, text = line.partition("# deviates:")
        if mark:
            found.append(f"{text.strip()} ({file.name if file else ''}, line {number})")
    return found


def fidelity_sheet(name: str) -> Iterator[Any]:
    """Paper, sizes, hyperparameters with their sources, deviations, claims with verdicts, the quick command."""
    system = find(name)
    entry, paper = entries()[name], system.paper
    yield Text(f"{entry.summary}\n", style="bold")
    yield Text(f"paper   {paper.authors} ({paper.year}). {paper.title}. {paper.link}")
    yield Text(f"file    {entry.file}")
    learner = find(system.acts_on) if system.acts_on else system
    yield Text(
        f"learns  from {learner.kind.__name__}; takes {', '.join(dimensions(system)) or 'no sizes'} from the data"
    )
    table = Table(
        "argument",
        "default",
        "expects",
        "what it is",
        "source of the default",
        title="hyperparameters",
        title_justify="left",
    )
    for argument in arguments(system).values():
        table.add_row(argument.name, str(argument.default), argument.expects, argument.meaning, argument.source)
    yield table
    yield Text(
        "deviations from the paper" if deviations(name) else "no deviations from the paper are marked", style="bold"
    )
    for line in deviations(name):
        yield Text(f"  {line}")
    found = lab.findings()
    every = lab.claims(name)
    yield Text("claims" if every else "no claims", style="bold")
    for claim in every:
        finding = found.get((name, claim.name))
        verdict = (
            "not run here"
            if finding is None
            else finding["verdict"] + (" (stale: the code has changed since)" if finding["stale"] else "")
        )
        yield Text(f"  {claim.statement} ({claim.source}): {verdict}")
    on = " --on vae" if acts_on_another(system) and not system.acts_on else ""
    yield Text(f"quick   etude train {name}{on} --quick")


def score_table(scores: dict[str, float]) -> Table:
    """Each metric on the test split."""
    table = Table("score on the test split", "value")
    for name, value in scores.items():
        table.add_row(name.replace("_", " "), f"{value:.5g}")
    return table


def comparison_table(runs: list[Run]) -> Table:
    """Runs as rows, scores on the test split as columns."""
    names = list(dict.fromkeys(name for run in runs for name in run.scores))
    table = Table("run", *(name.replace("_", " ") for name in names), "seconds")
    for run in runs:
        scores = (f"{run.scores[name]:.5g}" if name in run.scores else "" for name in names)
        table.add_row(run.folder.name, *scores, f"{run.finished_record['seconds']:.1f}")
    return table


def number(value: Any) -> str:
    """A measured number as people write it: `mean ± deviation` for several seeds."""
    if isinstance(value, dict) and {"mean", "deviation"} <= value.keys():
        return f"{value['mean']:.4g} ± {value['deviation']:.2g}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def finding_lines(entry: dict[str, Any]) -> Iterator[Any]:
    """A finding as it is filed."""
    yield Text(
        f"{entry['verdict'].upper()}: {entry['statement']} ({entry['source']}), {entry['minutes']} min", style="bold"
    )
    for name, value in entry["numbers"].items():
        yield Text(f"  {name}: {number(value)}")
    if entry["note"]:
        yield Text(f"  {entry['note']}")
