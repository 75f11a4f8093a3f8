"""A run: a system trained on data, in a folder. The same question names the same folder.

runs/vae-digits-3fa2c1/      system, data, hash of what was asked (seed included)
    run.json        what was asked, the data and their hash, device, versions, commit, the command
    log.jsonl       a line per pass over the data; events for TensorBoard beside it
    checkpoint/     enough to go on
    previews/       samples drawn during training, frames of a clustering
    model.safetensors   the served system, for use elsewhere
    scores.json     each metric on the test split
    report.html     one self-contained page
"""

import fcntl
import hashlib
import itertools
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from etude.catalogue import code, find
from etude.data import kinds
from etude.data.kinds import Batch, Splits
from etude.engine.files import sha256, write_json
from etude.errors import InputError
from etude.signature import acts_on_another, dimensions, fit, resolve
from etude.systems.system import System

PREPARED = {"table", "text", "series", "symbols", "pairs", "trees"}
"""Preparations of data that new input in files goes through as well."""

Asked = dict[str, Any]


def assemble(asked: Asked, sizes: dict[str, int]) -> System:
    """Build the system that a question names, and the one that it acts on, for data of these sizes."""
    system = find(asked["system"])
    arguments = resolve(system, asked["arguments"]) | fit(system, sizes)
    if acts_on_another(system):
        arguments["on"] = assemble(asked["on"], sizes)
    return system(**arguments)


def codes(asked: Asked) -> dict[str, str]:
    """A hash of the code of each system that a question names."""
    found = {asked["system"]: code(asked["system"])}
    return found | codes(asked["on"]) if "on" in asked else found


def served(asked: Asked, system: System) -> Asked:
    """The part of the question that names the served system and what it acts on."""
    while find(asked["system"]) is not type(system.served):
        asked = asked["on"]
    return {key: asked[key] for key in ("system", "arguments", "on") if key in asked}


def chain(asked: Asked) -> list[Asked]:
    """The system that was asked for, the one that it acts on, and so on."""
    found = [asked]
    while "on" in found[-1]:
        found.append(found[-1]["on"])
    return found


def folder_of(question: Asked, runs: Path) -> Path:
    """Where the run that answers this question lives."""
    plain = json.loads(json.dumps(question))
    names, inner = [plain["system"]], plain
    while inner := inner.get("on"):
        names.append(inner["system"])
        inner.pop("run", None)
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    return runs / "-".join([*names, plain["data"], digest[:6]])


@dataclass(frozen=True)
class Run:
    """A run's folder, read back. `run.system.sample(16)` uses what was trained.

    Attributes:
        folder: where it lives.
    """

    folder: Path

    @cached_property
    def record(self) -> dict[str, Any]:
        """run.json: what was asked and how it was answered."""
        record: dict[str, Any] = _json(self.folder / "run.json")
        return record

    @property
    def finished_record(self) -> dict[str, Any]:
        """run.json of a run trained to its end.

        Raises:
            InputError: it is not finished.
        """
        if not self.finished:
            raise InputError(f"{self.folder} is not trained to the end: run `{self.record['command']}` to go on")
        return self.record

    @property
    def question(self) -> Asked:
        question: Asked = self.record["question"]
        return question

    @property
    def begun(self) -> bool:
        """Asked for before, in this folder."""
        return (self.folder / "run.json").exists()

    @property
    def finished(self) -> bool:
        """Trained to the end, with weights and scores written."""
        return self.begun and bool(_json(self.folder / "run.json").get("finished"))

    @property
    def log(self) -> list[dict[str, Any]]:
        """One entry for each pass over the data: phase, epoch, step, seconds, losses, validation."""
        path = self.folder / "log.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be half written

    @property
    def scores(self) -> dict[str, float]:
        """Each metric on the test split."""
        path = self.folder / "scores.json"
        scores: dict[str, float] = _json(path) if path.exists() else {}
        return scores

    @cached_property
    def system(self) -> System:
        """The served system with its trained weights, in evaluation mode.

        Raises:
            InputError: the run is not finished, or its weights are damaged.
        """
        record = self.finished_record
        system = assemble(record["served"], record["dimensions"])
        system.load_state_dict(self.weights())
        return system.eval()

    def weights(self) -> dict[str, Tensor]:
        path = self.folder / "model.safetensors"
        try:
            if sha256(path) == self.finished_record["weights"]:
                return load_file(path)
        except (OSError, SafetensorError):
            pass
        raise InputError(f"{path} is damaged or missing: delete {self.folder} and train again")

    def data(self, given: Any = None) -> Splits:
        """The data it was trained on, read again, as the kind that the system learns from.

        Args:
            given: the same data, where they came from memory or lie elsewhere now.

        Raises:
            InputError: they came from memory, or are not what they were.
        """
        from etude.data import source

        asked = self.record["data"]
        if given is None and asked["asked"] is None:
            raise InputError(f"{self.folder} was trained on arrays in memory: give the data again")
        data_dir = Path(asked["data_dir"]) if asked["data_dir"] else None
        kind: type[Batch] = getattr(kinds, self.record["kind"])
        found = asked["asked"] if given is None else given
        chosen = {name: asked.get(name) for name in ("size", "vocabulary")}  # which older runs lack
        splits = source.load(found, data_dir=data_dir, target=asked["target"], **chosen, kind=kind).as_kind(kind)
        if splits.digest() != self.question["digest"]:
            raise InputError(
                f"{asked['asked'] or 'what was given'} is not what {self.folder} was trained on: give that"
            )
        return splits

    def other(self, given: Any) -> Batch:
        """Other data for the same system: the test split of a named data set, all of anything else.

        Tables, documents and pictures in files are prepared as the training data were.

        Raises:
            InputError: their classes or sizes are not those of the training data.
        """
        from etude.data import source

        kind: type[Batch] = getattr(kinds, self.record["kind"])
        preparation = self.record["preparation"]
        named = isinstance(given, str) and given in source.names()
        if isinstance(given, str | Path) and not named and preparation.keys() & PREPARED:
            return source.read(given, kind, preparation)
        asked, size = self.record["data"], preparation.get("size") if source.pictures(given) else None
        found = source.load(given, data_dir=asked["data_dir"], target=asked["target"], size=size, kind=kind)
        splits = found.as_kind(kind)
        taken = {size for asked in chain(self.record["served"]) for size in dimensions(find(asked["system"]))}
        expected, got = ({k: sizes[k] for k in taken} for sizes in (self.record["dimensions"], splits.train.dimensions))
        classes = list(getattr(splits.train, "classes", ()))
        if got != expected or (taken & {"classes", "outputs"} and classes != self.record["classes"]):
            raise InputError(f"{splits.name} has {got}, classes {classes}: give data like those of {self.folder}")
        if any(splits.preparation.get(key) != preparation.get(key) for key in ("text", "symbols", "pairs", "trees")):
            raise InputError(f"{splits.name} counts other words than {self.folder} did: give documents, in files")
        return splits.test if named else splits.together()

    def complete(self, text: str, *, temperature: float = 1.0, length: int = 200) -> str:
        """How a text may go on, by the verb of that name.

        Args:
            text: at least one symbol.
            temperature: in [0, inf); the lower, the surer; at 0 the likeliest symbol is always taken.
            length: symbols to add, in [1, inf); fewer where the string ends before.

        Raises:
            InputError: the system learned no strings, the text has a symbol that it never saw, or a number is out of
                its range.
        """
        system: Any = self.system
        if not hasattr(system, "complete"):
            raise InputError(f"{self.folder} holds the system {type(system).__name__}, which has no verb `complete`")
        if not text or not temperature >= 0 or length < 1:
            raise InputError("expected a text, --temperature in [0, inf), --length a whole number in [1, inf)")
        vocabulary: list[str] = self.record["preparation"]["symbols"]["vocabulary"]
        unknown = [symbol for symbol in text if symbol not in vocabulary]
        if unknown:
            known = "".join(word for word in vocabulary if len(word) == 1)
            raise InputError(f"{unknown[0]!r} is not among what {self.folder} has read: use {known!r}")
        begun = [place for place in [kinds.BEGIN] if vocabulary[place] == "<begin>"]
        x = torch.tensor([begun + [vocabulary.index(symbol) for symbol in text]], device=system.device)
        added = [vocabulary[place] for place in system.complete(x, length, temperature)[0].tolist()]
        return "".join(itertools.takewhile(lambda word: word != "<end>", added))

    def translate(self, text: str, *, beam: int | None = None) -> str:
        """What a text becomes, by the verb of that name: another text, or a program as an s-expression.

        Args:
            text: as those that the system learned from.
            beam: hypotheses to keep, in [1, inf); the system's own number where not given. A program is written
                without a search.

        Raises:
            InputError: the system learned no texts, the text is empty, or the number is out of its range.
        """
        from etude.data import pairs, trees

        system: Any = self.system
        if not hasattr(system, "translate"):
            raise InputError(f"{self.folder} holds the system {type(system).__name__}, which has no verb `translate`")
        preparation = self.record["preparation"]
        if not preparation.keys() & {"pairs", "trees"}:
            raise InputError(f"{self.folder} was trained on numbers: train on texts, or call its system's `translate`")
        if not text.strip() or (beam is not None and beam < 1):
            raise InputError("expected a text, and --beam a whole number in [1, inf)")
        if "trees" in preparation:
            x = trees.encode(text, preparation).to(system.device)
            decode = trees.decode if self.record["kind"] == "Trees" else trees.spelled
            return decode(system.translate(x)[0].tolist(), preparation)
        x = torch.tensor([pairs.encode(text, preparation)], device=system.device)
        return pairs.decode(system.translate(x, beam)[0].tolist(), preparation)

    def previews(self) -> dict[int, Tensor]:
        """Samples drawn during training, by the number of passes done."""
        files = sorted((self.folder / "previews").glob("epoch-*.safetensors"))
        return {int(file.stem.removeprefix("epoch-")): load_file(file)["samples"] for file in files}

    def film(self) -> dict[int, dict[str, Tensor]]:
        """A clustering from the placing of its centroids on, by the number of passes done; empty for other systems.

        Each frame holds, of the first test examples, "codes" (m, latent) and "soft" assignments (m, K), and the
        "centroids" (K, latent). The first frame is the clustering as k-means placed it.
        """
        files = sorted((self.folder / "previews").glob("clusters-*.safetensors"))
        return {int(file.stem.removeprefix("clusters-")): load_file(file) for file in files}

    def update(self, **facts: Any) -> None:
        """Write facts into run.json."""
        record = (self.record if self.begun else {}) | facts
        write_json(self.folder / "run.json", record)
        self.__dict__.pop("record", None)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder: one writer at a time.

        Raises:
            InputError: another process is training here.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"{self.folder} is being trained by another process: wait for it, or ask with another --seed"
                ) from None
            yield


def load(folder: str | os.PathLike[str]) -> Run:
    """A run from its folder.

    Raises:
        InputError: the folder is not one of a run.
    """
    path = Path(folder)
    if not (path / "run.json").exists():
        raise InputError(f"{path} is not the folder of a run (no run.json): `etude train` makes one and says where")
    run = Run(path)
    if "question" not in run.record:
        raise InputError(f"{path / 'run.json'} was not written by etude: give the folder of a run")
    return run


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): delete its folder and train again") from None


def command_line(question: Asked, data: dict[str, Any]) -> str:
    """The command that asks the same question again."""
    words = ["etude", "train", question["system"], "--data", data["asked"] or "ARRAYS"]
    words += ["--data-dir", str(data["data_dir"])] if data["data_dir"] else []
    words += ["--target", data["target"]] if data["target"] else []
    words += ["--size", str(data["size"])] if data["size"] else []
    words += ["--vocabulary", data["vocabulary"]] if data["vocabulary"] else []
    words += ["--seed", str(question["seed"])] if question["seed"] else []
    words += ["--precision", question["precision"]] if question["precision"] != "float32" else []
    words += ["--previews", *map(str, question["previews"])] if "previews" in question else []
    return shlex.join(words + _flags(question, ""))


def _flags(asked: Asked, prefix: str) -> list[str]:
    words: list[str] = []
    known = find(asked["system"])
    from etude.signature import arguments

    for name, argument in arguments(known).items():
        value = asked["arguments"][name]
        if value != argument.default:
            flag = f"--{prefix}{name.replace('_', '-')}"
            if isinstance(value, bool):
                words.append(flag if value else f"--{prefix}no-{name.replace('_', '-')}")
            else:
                words += [flag, *(map(str, value) if isinstance(value, tuple | list) else [str(value)])]
    if on := asked.get("on"):
        words += [
            f"--{prefix}on",
            on.get("run") or on["system"],
            *([] if on.get("run") else _flags(on, f"{prefix}on.")),
        ]
    return words


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    import platform
    from importlib.metadata import version

    return {"python": platform.python_version(), "torch": torch.__version__, "etude": version("etude")}


def commit() -> str:
    """The commit of the checkout that etude was imported from, `-dirty` where its code was changed; empty elsewhere."""
    import subprocess

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parents[1]), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "--short=10", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", "*.py") else "")
