"""RESULTS.md and the table in README.md, rendered from findings.jsonl and the catalogue and nothing else.

python -m etude.report.results            writes them
python -m etude.report.results --check    says whether they are up to date; exit code 1 if not
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from etude.catalogue import Entry, entries, find
from etude.claims import lab
from etude.claims.lab import Claim
from etude.report.sheet import number

ROOT = Path(__file__).parents[3]
OPEN, CLOSE = "<!-- systems -->", "<!-- /systems -->"
Found = dict[str, Any]
Findings = dict[tuple[str, str], Found]


def results(findings: Findings) -> str:
    """RESULTS.md: every claim with the newest finding on it, or the word that there is none."""
    parts = [
        "# Results",
        "Every claim is a sentence from a paper and an experiment that could refute it; one that fails is printed too. "
        "Rendered by `make results` from `src/etude/claims/findings.jsonl`, not typed.",
        "± is the sample standard deviation over the seeds. STALE: the code has changed since the experiment was run.",
    ]
    for entry in _ours():
        claims = lab.claims(entry.name)
        parts += [f"## {entry.name}", f"{entry.summary}"] if claims else []
        for claim in claims:
            parts += _measured(claim, findings.get((entry.name, claim.name)))
    return "\n\n".join([*parts, *speed()]) + "\n"


def speed() -> Iterator[str]:
    """What the benchmarks measured, each in one run: ratios to peers, and how soon something happens."""
    training, start = (ROOT / "benchmarks" / name for name in ("vae.json", "start.json"))
    if training.exists():
        found = json.loads(training.read_text())
        peaks = ", ".join(f"{value} GFLOP/s in {name}" for name, value in found["peak, GFLOP/s"].items())
        yield "## Speed"
        yield (
            "A VAE (784-500-250-20, batch 100) on MNIST, `make bench`, steps alone. The largest matrix product of "
            f"the same run reached {peaks} ({found['threads']} threads, torch {found['torch']})."
        )
        head = ["contestant", *dict.fromkeys(key for row in found["rows"].values() for key in row)]
        yield _table(
            head, [[name, *(number(row.get(key, "")) for key in head[1:])] for name, row in found["rows"].items()]
        )
    if start.exists():
        rows = [[name, *map(number, row.values())] for name, row in json.loads(start.read_text()).items()]
        yield _table(("what", "seconds", "promised"), rows)


def _measured(claim: Claim, found: Found | None) -> Iterator[str]:
    yield f"### {claim.statement[0].upper()}{claim.statement[1:]}"
    yield f"**{_verdict(found)}.** Source: {claim.source}."
    if found is None:
        return
    if found["numbers"]:
        rows = [(name.replace("_", " "), number(value), *_seeds(value)) for name, value in found["numbers"].items()]
        yield _table(("measured", "value", "seeds", "each seed"), rows)
    if found["note"]:
        yield found["note"]
    yield (
        f"`{found['command']}`: {found['minutes']} minutes on {found['machine']}, {found['date']}, "
        f"commit {found['commit'] or 'unknown'}."
    )


def systems(findings: Findings) -> str:
    """README's table: every system, its paper, the verdicts on its claims."""
    rows = []
    for entry in _ours():
        paper = find(entry.name).paper
        verdicts = Counter(_verdict(findings.get((entry.name, claim.name))) for claim in lab.claims(entry.name))
        told = ", ".join(f"{verdict} {count}" for verdict, count in sorted(verdicts.items()))
        cited = f"[{paper.title}]({paper.link}), {paper.authors}, {paper.year}"
        rows.append((f"`{entry.name}`", entry.family, cited, f"[{told}](RESULTS.md#{entry.name})" if told else ""))
    return _table(("system", "family", "paper", "claims"), rows)


def _ours() -> list[Entry]:
    ours = [entry for entry in entries().values() if entry.module.startswith("etude.systems.")]
    return sorted(ours, key=lambda entry: (entry.family, entry.name))


def _verdict(found: Found | None) -> str:
    if found is None:
        return "not measured"
    return f"{found['verdict']}, STALE" if found["stale"] else found["verdict"]


def _seeds(value: Any) -> tuple[str, str]:
    values = value["values"] if isinstance(value, dict) and "values" in value else []
    return str(len(values) or ""), ", ".join(f"{v:.4g}" for v in values)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    safe = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *safe))


def main(words: Sequence[str]) -> int:
    """Write both files, or with `--check` compare them; 1 if one is not up to date."""
    findings = lab.findings()
    readme = (ROOT / "README.md").read_text()
    start, end = readme.index(OPEN) + len(OPEN), readme.index(CLOSE)
    fresh = {
        "RESULTS.md": results(findings),
        "README.md": f"{readme[:start]}\n{systems(findings)}\n{readme[end:]}",
    }
    old = [name for name, text in fresh.items() if not (ROOT / name).exists() or (ROOT / name).read_text() != text]
    if "--check" in words:
        for name in old:
            print(f"{name} is not up to date: run `make results`", file=sys.stderr)
        return 1 if old else 0
    for name in old:
        (ROOT / name).write_text(fresh[name])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
