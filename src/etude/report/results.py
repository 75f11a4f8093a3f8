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
MOST_POINTS = 12  # of a plot in a table
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
    for entry in [*_ours(), *lab.LIBRARIES.values()]:
        claims = lab.claims(entry.name)
        parts += [f"## {entry.name}", f"{entry.summary}"] if claims else []
        for claim in claims:
            parts += _measured(claim, findings.get((entry.name, claim.name)))
    return "\n\n".join([*parts, *speed()]) + "\n"


def speed() -> Iterator[str]:
    """What the benchmarks measured, each in one run: ratios to peers, and how soon something happens."""
    names = ("vae", "autodiff", "clustering", "recurrent", "ltc", "dcgan", "coulomb", "start")
    found = {name: ROOT / "benchmarks" / f"{name}.json" for name in names}
    read = {name: json.loads(path.read_text()) for name, path in found.items() if path.exists()}
    if read:
        yield "## Speed"
    if "vae" in read:
        yield (
            "A VAE (784-500-250-20, batch 100) on MNIST, `make bench`, steps alone. The largest matrix product of "
            f"the same run reached {_peaks(read['vae'])} ({_machine(read['vae'])})."
        )
        yield _rows("contestant", read["vae"]["rows"])
    if "autodiff" in read:
        versions = ", ".join(f"{name} {version}" for name, version in read["autodiff"]["versions"].items())
        yield (
            "The time of a gradient by reverse mode over that of the function in NumPy: medians of one run in which "
            f"contestants take turns ({read['autodiff']['threads']} threads, {versions})."
        )
        yield _rows("program", read["autodiff"]["rows"])
    if "clustering" in read:
        yield from _clustering(read["clustering"])
    if "recurrent" in read:
        yield from _recurrent(read["recurrent"])
    if "ltc" in read:
        yield (
            "LTC beside ncps's (batch 32, 50 steps, 32 units, 6 unfolds), forward and backward: contestants take turns "
            f"in one run ({_machine(read['ltc'])})."
        )
        yield _rows("contestant", read["ltc"]["rows"])
    if "dcgan" in read:
        yield (
            "A DCGAN on colour pictures of 32x32 (64 maps, batch 128), steps alone, beside a plain PyTorch loop: "
            "contestants take turns in one run; the largest matrix product of the same run reached "
            f"{_peaks(read['dcgan'])} ({_machine(read['dcgan'])})."
        )
        yield _rows("contestant", read["dcgan"]["rows"])
    if "coulomb" in read:
        yield (
            "The potentials of a Coulomb GAN at n real and n false examples of "
            f"{read['coulomb']['features']:,} numbers, in parts (Étude) and with all kernels at once (plain): each in "
            f"a process of its own, in turns ({_machine(read['coulomb'])})."
        )
        yield _rows("n", read["coulomb"]["sizes"])
    if "start" in read:
        rows = [[name, *map(number, row.values())] for name, row in read["start"].items()]
        yield _table(("what", "seconds", "promised"), rows)


def _machine(read: dict[str, Any]) -> str:
    return f"{read['threads']} threads, torch {read['torch']}"


def _peaks(read: dict[str, Any]) -> str:
    return ", ".join(f"{value} GFLOP/s in {name}" for name, value in read["peak, GFLOP/s"].items())


def _clustering(read: dict[str, Any]) -> Iterator[str]:
    full = read["full protocol"]
    yield (
        "DEC (784-500-500-2000-10, batch 256) on 10,000 digits of MNIST beside ClustPy's, each weight pretrained for "
        f"as many passes: contestants take turns in one run ({_machine(read)}, ClustPy "
        f"{read['clustpy']}); the largest matrix product of the same run reached {_peaks(read)}."
    )
    yield _rows("contestant", read["rows"])
    yield _rows("pass", read["passes"])
    for precision, steps in read["steps"].items():
        yield f"A step of each phase in {precision}, beside what its products need at the peak:"
        yield _rows("phase", steps)
    yield (
        f"DEC's full protocol on MNIST pretrains in {number(full['operations of the pretraining'])} operations, and "
        f"refines in {number(full['operations of a pass of refinement'])} a pass:"
    )
    yield _rows("precision", {name: full[name] for name in read["steps"]})


def _recurrent(read: dict[str, Any]) -> Iterator[str]:
    yield (
        "`PeepholeLSTM` beside `torch.nn.LSTM`, which has no peepholes (batch 32, 100 steps, 64 inputs), forward and "
        "backward: how many times as long each variant takes, without kernels (eager) or with them, and what share of "
        f"the largest matrix product's speed is reached; one run ({_machine(read)})."
    )
    rows = {}
    for units, row in read["hidden"].items():
        plain = {name: value for name, value in row.items() if not isinstance(value, dict)}
        rows[units] = {"torch, milliseconds": row["milliseconds"]["torch"], **row["times as long as torch's"], **plain}
    yield _rows("units", rows)


def _rows(first: str, rows: dict[str, dict[str, Any]]) -> str:
    """Rows by name as a table; what a row does not have is left empty."""
    head = list(dict.fromkeys(key for row in rows.values() for key in row))
    return _table((first, *head), [[name, *(number(row.get(key, "")) for key in head)] for name, row in rows.items()])


def _measured(claim: Claim, found: Found | None) -> Iterator[str]:
    yield f"### {claim.statement[0].upper()}{claim.statement[1:]}"
    yield f"**{_verdict(found)}.** Source: {claim.source}."
    if found is None:
        return
    if found["numbers"]:
        rows = [(name.replace("_", " "), number(value), *_seeds(value)) for name, value in found["numbers"].items()]
        yield _table(("measured", "value", "seeds", "each seed"), rows)
    for title, plot in found.get("plots", {}).items():
        points = list(zip(plot["x"], *plot["series"].values(), strict=True))
        shown = _spaced(points)
        yield f"{title} ({plot['axes'][1]}{f'; {len(shown)} of {len(points)} points' if shown != points else ''}):"
        yield _table((plot["axes"][0], *plot["series"]), [[f"{value:.4g}" for value in point] for point in shown])
    if found["note"]:
        yield found["note"]
    yield (
        f"`{found['command']}`: {found['minutes']} minutes on {found['machine']}, {found['date']}, "
        f"commit {found['commit'] or 'unknown'}."
    )


def _spaced(points: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Points at equal distances, the first and the last among them; all where they are few."""
    gaps = min(len(points), MOST_POINTS) - 1
    return [points[round(place * (len(points) - 1) / gaps)] for place in range(gaps + 1)] if gaps else points


def systems(findings: Findings) -> str:
    """README's table: every system, its paper, the verdicts on its claims; then the libraries."""
    rows = []
    for entry in _ours():
        paper = find(entry.name).paper
        cited = f"[{paper.title}]({paper.link}), {paper.authors}, {paper.year}"
        rows.append((f"`{entry.name}`", entry.family, cited, _verdicts(entry.name, findings)))
    rows += [(f"`{e.name}`", e.family, e.summary, _verdicts(e.name, findings)) for e in lab.LIBRARIES.values()]
    return _table(("system", "family", "paper", "claims"), rows)


def _verdicts(name: str, findings: Findings) -> str:
    """How many claims hold and how many fail, with a link to them."""
    counts = Counter(_verdict(findings.get((name, claim.name))) for claim in lab.claims(name))
    told = ", ".join(f"{verdict} {count}" for verdict, count in sorted(counts.items()))
    return f"[{told}](RESULTS.md#{name})" if told else ""


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
