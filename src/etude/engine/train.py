"""The loop: device, order of data, phases, averaged losses, validation, previews, log, checkpoints.

It does not own gradients, schedules or augmentation: those are the rule's. Losses stay on the device until a pass over
the data ends; the order of batches is a function of (seed, phase, epoch), so a run that was stopped anywhere goes on
bit for bit.
"""

import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from etude.catalogue import find, name_of
from etude.data import source
from etude.data.kinds import Batch, Splits
from etude.engine import checkpoint, distributed, stopping
from etude.engine.checkpoint import Place
from etude.engine.diagnosis import batch_that_fits, first_not_finite, out_of_memory
from etude.engine.files import disk_full, sha256, write_json, write_tensors, write_text
from etude.engine.products import products
from etude.engine.progress import Progress
from etude.engine.run import Asked, Run, assemble, codes, command_line, commit, folder_of, load, served, versions
from etude.errors import InputError
from etude.signature import acts_on_another, resolve
from etude.systems.clusterer import Clusterer
from etude.systems.system import Clock, NonFiniteError, Phase, System

CHECKPOINT_SHARE = 0.05  # of the time goes into checkpoints at the ends of passes, at most
CHECKPOINT_SECONDS = 120.0  # between checkpoints within a long pass
SORTED = 50  # batches whose examples are sorted by length together
PREVIEW_SAMPLES = 256
FITTING = 64  # the side of a picture that suits most systems
Precision = Literal["float32", "bf16"]
PREVIEW_EXAMPLES = 1000  # of the test split, in a frame of the film of a clustering


def train(
    system: str | type[System],
    data: Any = None,
    *,
    on: str | None = None,
    quick: bool = False,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "float32",
    data_dir: str | Path | None = None,
    target: str | None = None,
    size: int | None = None,
    vocabulary: str | None = None,
    runs: str | Path = "runs",
    previews: tuple[int, ...] = (),
    quiet: bool = False,
    **arguments: Any,
) -> Run:
    """Train a system on data; asked the same a second time, go on or find it finished.

    Args:
        system: a name from the catalogue, or a class in it.
        data: a source by name, a path, arrays or tensors, or `Splits`; the kind's own default where not given.
        on: the system that this one acts on, by name, or the folder of a run to start from.
        quick: start from the arguments that show something in minutes on two cores.
        seed: of weights, order and noise.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, ...
        precision: `bf16` runs the rule under autocast.
        data_dir: where larger data sets lie; $ETUDE_DATA otherwise.
        target: the column of a table to learn.
        size: the side of the squares that pictures in a folder become, in [1, 4096].
        vocabulary: what pairs of texts in files become: `words`, `byte-pairs` or `characters`.
        runs: the folder of runs.
        previews: passes after which to keep samples; otherwise 0, 1/8, 1/4, 1/2 and all of them.
        quiet: print nothing.
        arguments: the system's own; `on.latent` reaches the system acted on.

    Raises:
        InputError: something asked for is wrong, in one line.
        Stopped: a signal came; the run is saved.
    """
    if precision not in get_args(Precision):
        raise InputError(f"--precision {precision}: expected {' or '.join(get_args(Precision))}")
    place = _device(device)
    asked = ask(system, on, quick, arguments)
    learner = _learner(asked)
    kind, default = learner.kind, learner.source or learner.kind.source
    data = default if data is None else data
    splits = source.load(data, data_dir=data_dir, target=target, size=size, vocabulary=vocabulary, kind=kind)
    name, size, vocabulary = splits.name, splits.preparation.get("size"), splits.preparation.get("vocabulary")
    splits = splits.as_kind(kind)
    question = asked | {"data": name, "digest": splits.digest(), "seed": seed, "precision": precision}
    if previews:
        question["previews"] = list(previews)
    if size:
        question["size"] = size
    if vocabulary:
        question["vocabulary"] = vocabulary
    run = Run(folder_of(question, Path(runs)))
    _of_this_code(run, question, quiet)
    if run.finished:
        return run
    told = str(data) if isinstance(data, str | Path) else None
    origin = {"asked": told, "data_dir": data_dir and str(data_dir), "target": target}
    origin |= {"size": size, "vocabulary": vocabulary}
    with products(place) as route, distributed.processes(place):
        torch.manual_seed(seed)
        built = _built(asked, splits.train.dimensions, bool(size) or source.pictures(data))
        with run.locked() if distributed.rank() == 0 else nullcontext():
            if run.finished:
                return run
            if distributed.rank() == 0:
                run.update(**_facts(question, origin, splits, served(asked, built)), device=str(place), products=route)
            _start_from_runs(asked, built)
            torch.manual_seed(seed + 1_000_003 * (1 + distributed.rank()))
            progress = Progress(quiet or distributed.rank() != 0)
            with _nothing_left_of_a_refusal(run):
                loop = Loop(built.to(place), splits.place(place), run, seed, precision, previews, progress)
                loop.run_to_the_end()
    return run


def _of_this_code(run: Run, question: Asked, quiet: bool) -> None:
    """Refuse to go on with a run that other code began; tell of one that other code finished."""
    if run.begun and run.record.get("code") != codes(question):
        if not run.finished:
            raise InputError(f"{run.folder} was begun by code that has changed since: delete it to train again")
        Progress(quiet).note(f"{run.folder} was trained by code that has changed since: delete it to train again")


@contextmanager
def _nothing_left_of_a_refusal(run: Run) -> Iterator[None]:
    """Take the folder away again where a mistake stopped the training before anything was saved."""
    try:
        yield
    except InputError:
        if distributed.rank() == 0 and not any((run.folder / "checkpoint").glob("step-*")):
            shutil.rmtree(run.folder)
        raise


def _facts(question: Asked, origin: dict[str, Any], splits: Splits, used: Asked) -> dict[str, Any]:
    """What run.json says from the start."""
    train = splits.train
    return {
        "question": question,
        "data": origin,
        "kind": type(train).__name__,
        "dimensions": train.dimensions,
        "served": used,
        "classes": list(getattr(train, "classes", ())),
        "shape": list(getattr(train, "shape", train.tensors()["x"].shape[1:])),
        "preparation": splits.preparation,
        "counts": {part: len(split) for part, split in splits.parts().items()},
        "code": codes(question),
        "command": command_line(question, origin),
        "finished": False,
        "threads": torch.get_num_threads(),
        "processes": distributed.world(),
        "versions": versions(),
        "commit": commit(),
    }


def ask(system: str | type[System], on: str | None, quick: bool, given: dict[str, Any]) -> Asked:
    """The question: the system with every argument, and the one that it acts on.

    Raises:
        InputError: an unknown name, a wrong value, `on` missing or not wanted.
    """
    name = system if isinstance(system, str) else name_of(system)
    cls = find(name)
    own = {key: value for key, value in given.items() if not key.startswith("on.")}
    inner = {key.removeprefix("on."): value for key, value in given.items() if key.startswith("on.")}
    asked: Asked = {"system": name, "arguments": resolve(cls, (cls.quick if quick else {}) | own)}
    if not acts_on_another(cls):
        if on is not None or inner:
            raise InputError(f"{name} acts on no other system: leave out --on")
        return asked
    on = on or cls.acts_on
    if on is None:
        raise InputError(
            f"{name} acts on another system: name it, as in `etude train {name} --on vae`, or give a run's folder"
        )
    if (Path(on) / "run.json").exists():
        before = load(on)
        if inner:
            raise InputError(
                f"--on {on} is a trained run: its arguments are settled, leave out --on.{next(iter(inner))}"
            )
        return asked | {"on": before.record["served"] | {"run": str(on), "weights": before.finished_record["weights"]}}
    return asked | {"on": ask(on, inner.pop("on", None), quick, inner)}


def _built(asked: Asked, sizes: dict[str, int], resizable: bool) -> System:
    """The system for data of these sizes.

    Raises:
        InputError: it takes no such data; where they can be resized and that helps, the line says so.
    """
    try:
        return assemble(asked, sizes)
    except InputError as error:
        if resizable and _fits(asked, sizes | dict.fromkeys(("height", "width"), FITTING)):
            raise InputError(f"{error}, or give --size ({FITTING} fits)") from None
        raise


def _fits(asked: Asked, sizes: dict[str, int]) -> bool:
    try:
        assemble(asked, sizes)
    except InputError:
        return False
    return True


def _learner(asked: Asked) -> type[System]:
    """The system that meets the data: the innermost of those that act on one another."""
    while "on" in asked:
        asked = asked["on"]
    return find(asked["system"])


def _start_from_runs(asked: Asked, system: torch.nn.Module) -> None:
    """Give a system that is acted on the weights of the run that it was asked for by."""
    if inner := asked.get("on"):
        acted_on: Any = system.get_submodule("on")
        if "run" in inner:
            acted_on.load_state_dict(load(inner["run"]).weights())
            acted_on.trained = True
        _start_from_runs(inner, acted_on)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"  # torchrun gives each process of a machine its own
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"--device {name}: not to be had here ({str(error).splitlines()[0]}); use auto or cpu"
        ) from None
    return device


def order(seed: int, phase: int, epoch: int, count: int) -> Tensor:
    """The order of the examples in a pass: (count,) int64, a function of its arguments alone."""
    digest = hashlib.sha256(f"{seed} {phase} {epoch}".encode()).digest()
    return torch.randperm(count, generator=torch.Generator().manual_seed(int.from_bytes(digest[:7], "big")))


def grouped(places: Tensor, lengths: Tensor, batch: int) -> Tensor:
    """The same examples in an order whose batches hold examples of like length, so that little is padding.

    Within every `SORTED` batches examples are sorted by length, and each batch comes where the first of its examples
    was. What is left over of whole batches stays at the end.

    Args:
        places: (count,), the order to start from.
        lengths: (count,), of every example.
        batch: examples in a batch.
    """
    whole = len(places) // batch * batch
    found = []
    for some in places[:whole].split(SORTED * batch):
        rank = lengths.index_select(0, some).argsort(stable=True).reshape(-1, batch)
        found.append(some.index_select(0, rank.index_select(0, rank[:, 0].argsort()).flatten()))
    return torch.cat([*found, places[whole:]])


@dataclass
class Loop:
    """One training, from where its folder left it to its end.

    A pass takes whole batches; examples left over at its end are first come in another pass's order. Data smaller than
    a batch are one batch. Examples that have lengths come in batches of like length.
    """

    system: System
    splits: Splits
    run: Run
    seed: int
    precision: str
    previews: tuple[int, ...]
    progress: Progress
    place: Place = field(default_factory=Place)
    losses: dict[str, list[Tensor]] = field(default_factory=dict)
    saved_at: float = 0.0
    save_took: float = 0.0
    phases: list[Phase] = field(default_factory=list)
    wanted: set[int] = field(default_factory=set)
    request: stopping.Request = field(default_factory=stopping.Request)
    writer: Any = None

    def run_to_the_end(self) -> None:
        self.phases = self.system.phases()
        self.resume()
        self.saved_at = time.monotonic()
        passes = sum(phase.epochs for phase in self.phases)
        self.wanted = set(self.previews) or {-(-passes * eighths // 8) for eighths in (0, 1, 2, 4, 8)}
        total = sum(phase.epochs * self.steps(phase) for phase in self.phases)
        with stopping.listening() as self.request, self.progress.shown(total, self.place.total):
            if self.place.total == 0:
                self.preview()
            while self.place.phase < len(self.phases):
                self.one_phase(self.phases[self.place.phase])
        self.finish()

    def steps(self, phase: Phase) -> int:
        """Steps in a pass."""
        return max(1, len(self.splits.train) // phase.batch)

    def one_phase(self, phase: Phase) -> None:
        if self.place.epoch + self.place.step == 0:
            if phase.start:
                with self.autocast():
                    phase.start(self.splits)
            self.frame(phase)
        for epoch in range(self.place.epoch, phase.epochs):
            began = time.monotonic()
            self.one_pass(phase, epoch)
            with self.autocast():
                settled = phase.done is not None and phase.done(self.splits)
            self.place = replace(self.place, epoch=epoch + 1, step=0, passes=self.place.passes + 1)
            if settled or epoch + 1 == phase.epochs:
                self.place = replace(self.place, phase=self.place.phase + 1, epoch=0)
            self.end_of_pass(phase, epoch, time.monotonic() - began)
            if settled:
                return
        if phase.epochs == 0:
            self.place = replace(self.place, phase=self.place.phase + 1)

    def one_pass(self, phase: Phase, epoch: int) -> None:
        steps, device = self.steps(phase), self.system.device
        places = order(self.seed, self.place.phase, epoch, len(self.splits.train))
        if (lengths := self.splits.train.tensors().get("lengths")) is not None:
            places = grouped(places, lengths.cpu(), phase.batch)
        places = places.to(device)
        self.system.train()
        for step in range(self.place.step, steps):
            index = distributed.share(places[step * phase.batch : (step + 1) * phase.batch])
            done = epoch * steps + step
            clock = Clock(done, epoch, done / (phase.epochs * steps))
            for name, loss in self.step(phase, index, clock).items():
                self.losses.setdefault(name, []).append(loss)
            self.place = replace(self.place, step=step + 1, total=self.place.total + 1)
            self.progress.step(phase.name, epoch, self.losses)
            if number := distributed.largest(self.request.number):
                self.stop(number)
            if distributed.largest(time.monotonic() - self.saved_at > CHECKPOINT_SECONDS):
                self.save()

    def step(self, phase: Phase, index: Tensor, clock: Clock) -> dict[str, Tensor]:
        """One step of the rule; what goes wrong in it is told in one line."""
        random = torch.get_rng_state()
        try:
            return self.attempt(phase, index, clock)
        except NonFiniteError as error:
            torch.set_rng_state(random)
            batch = self.splits.train.drawn(index).to(self.system.device)
            why = first_not_finite(self.system, batch, lambda: self.attempt(phase, index, clock))
            where = f"{phase.name}, epoch {clock.epoch + 1}, batch {clock.step - clock.epoch * self.steps(phase) + 1}"
            raise InputError(
                f"{error} is not finite in {where}: {why}; stopped before the update, {self._kept()}"
            ) from error
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            request = str(error).splitlines()[0]
        # the tensors of the failed step have gone with its exception
        fits = batch_that_fits(len(index), lambda size: self.attempt(phase, index[:size], clock))
        advice = f"a batch of {fits} fits" if fits else "not even one example fits"
        raise InputError(f"out of memory at batch {len(index)} ({request}): {advice}; {self._kept()}")

    def attempt(self, phase: Phase, index: Tensor, clock: Clock) -> dict[str, Tensor]:
        batch = self.splits.train.drawn(index).to(self.system.device)
        with self.autocast():
            return phase.step(batch, clock)

    def autocast(self) -> torch.autocast:
        """Lets the rule compute in bfloat16, where that was asked for."""
        return torch.autocast(self.system.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def _kept(self) -> str:
        saved = sorted((self.run.folder / "checkpoint").glob("step-*"))
        return f"the last checkpoint in {self.run.folder} is kept" if saved else "nothing had been saved yet"

    def end_of_pass(self, phase: Phase, epoch: int, seconds: float) -> None:
        means = {name: float(values.double().mean()) for name, values in self.logged().items()}
        self.losses = {}
        with self.undisturbed():
            validation = scores(self.system, self.splits.validation) if phase.measured else {}
        line = {"phase": phase.name, "epoch": epoch + 1, "pass": self.place.passes, "step": self.place.total}
        line |= {"seconds": round(seconds, 4), "losses": means, "validation": validation}
        if distributed.rank() == 0:
            with disk_full(self.run.folder), (self.run.folder / "log.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            self.events(line)
        self.progress.end_of_pass(line)
        self.preview()
        self.frame(phase)
        # a pass may take milliseconds: saves at the ends of passes take at most their share of the time
        if distributed.largest(time.monotonic() - self.saved_at > self.save_took / CHECKPOINT_SHARE):
            self.save()

    def events(self, line: dict[str, Any]) -> None:
        from tensorboardX import SummaryWriter

        if self.writer is None:
            self.writer = SummaryWriter(str(self.run.folder / "events"), purge_step=line["step"])
        for group in ("losses", "validation"):
            for name, value in line[group].items():
                self.writer.add_scalar(f"{group}/{name}", value, line["step"])

    def preview(self) -> None:
        """Keep samples, where the system makes any and this pass was chosen; from the same noise each time."""
        number = self.place.passes
        generator: Any = self.system.served
        if number in self.wanted and hasattr(generator, "sample") and distributed.rank() == 0:
            with self.undisturbed():
                samples = generator.sample(PREVIEW_SAMPLES)
            self.keep("epoch", {"samples": samples})

    def frame(self, phase: Phase) -> None:
        """Keep what a phase makes of a clustering: codes, soft assignments and centroids, one frame a pass."""
        clusterer = self.system.served
        if phase.measured and isinstance(clusterer, Clusterer) and distributed.rank() == 0:
            x = self.splits.test[:PREVIEW_EXAMPLES].to(self.system.device).tensors()["x"]
            with self.undisturbed(), torch.no_grad():
                frame = {"codes": clusterer.encode(x), "soft": clusterer.cluster(x), "centroids": clusterer.centroids}
            self.keep("clusters", {name: tensor.float() for name, tensor in frame.items()})

    def keep(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Write a preview, named after the passes done."""
        folder = self.run.folder / "previews"
        folder.mkdir(exist_ok=True)
        write_tensors(folder / f"{name}-{self.place.passes:04d}.safetensors", tensors)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Evaluation mode and a random stream of its own, so that looking changes nothing."""
        device = self.system.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(self.seed)
            self.system.eval()
            yield
            self.system.train()

    def random(self) -> dict[str, Tensor]:
        own = {"cpu": torch.get_rng_state()}
        if self.system.device.type == "cuda":
            own["cuda"] = torch.cuda.get_rng_state(self.system.device)
        return distributed.gather(own)

    def logged(self) -> dict[str, Tensor]:
        """The losses of this pass so far, (steps,) each, over all processes."""
        return {name: distributed.mean(torch.stack(values)) for name, values in self.losses.items()}

    def facts(self) -> dict[str, Any]:
        """What must be as it was for a run to go on bit for bit."""
        return {
            "threads": torch.get_num_threads(),
            "device": self.system.device.type,
            "processes": distributed.world(),
        }

    def save(self) -> None:
        began = time.monotonic()
        random, losses = self.random(), self.logged()
        if distributed.rank() == 0:
            checkpoint.save(self.run.folder / "checkpoint", self.system, self.place, losses, random, self.facts())
        self.saved_at = time.monotonic()
        self.save_took = self.saved_at - began

    def resume(self) -> None:
        """Put everything back where the newest good checkpoint has it; without one, begin."""
        found, passed_over = checkpoint.load(self.run.folder / "checkpoint")
        for line in passed_over:
            self.progress.note(line)
        kept = [line for line in self.run.log if found and line["pass"] <= found.place.passes]
        if distributed.rank() == 0:
            write_text(self.run.folder / "log.jsonl", "".join(json.dumps(line) + "\n" for line in kept))
        if not found:
            return
        try:
            found.restore(self.system)
        except (RuntimeError, KeyError, ValueError) as error:
            reason = " ".join(str(error).split())[:150]
            raise InputError(
                f"{self.run.folder}/checkpoint is of another {type(self.system).__name__} ({reason}): "
                "delete the folder and train again"
            ) from None
        self.place = found.place
        self.losses = {name: list(values.to(self.system.device)) for name, values in found.losses.items()}
        device = self.system.device
        if (state := found.random.get(f"{distributed.rank()}/cpu")) is not None:
            torch.set_rng_state(state)
        if device.type == "cuda" and (state := found.random.get(f"{distributed.rank()}/cuda")) is not None:
            torch.cuda.set_rng_state(state, device)
        for name, now in self.facts().items():
            if (then := found.facts[name]) != now:
                self.progress.note(f"saved with {name} {then}, going on with {name} {now}: not the same bit for bit")
        self.progress.note(f"going on from step {self.place.total} of {self.run.folder}")

    def stop(self, number: int) -> None:
        self.save()
        if number == signal.SIGUSR1 and distributed.rank() == 0:
            stopping.requeue()
        raise stopping.Stopped(number, f"stopped at step {self.place.total} and saved: the same command goes on")

    def finish(self) -> None:
        """Write what is served and how it scores on the test split."""
        self.save()
        if distributed.rank() != 0:
            return
        path = self.run.folder / "model.safetensors"
        write_tensors(path, dict(self.system.served.state_dict()))
        with self.undisturbed():
            write_json(self.run.folder / "scores.json", final_scores(self.system, self.splits.test))
        self.run.update(finished=True, weights=sha256(path), seconds=sum(line["seconds"] for line in self.run.log))
        if self.writer is not None:
            self.writer.close()


def scores(system: System, split: Batch) -> dict[str, float]:
    """Each of the system's metrics on a split."""
    return {metric.__name__: metric(system.served, split) for metric in system.metrics}


def final_scores(system: System, split: Batch) -> dict[str, float]:
    """Each of the system's metrics, those too dear for every pass included."""
    return scores(system, split) | {m.__name__: m(system.served, split) for m in system.final_metrics}


def evaluate(run: Run, data: Any = None) -> dict[str, float]:
    """Score a finished run on its test split, or on other data; on its own, the scores are filed with it.

    Raises:
        InputError: its data are not there any more, or the other data are not like them.
    """
    test = run.data().test if data is None else run.other(data)
    system = run.system
    with torch.random.fork_rng(), products(system.device):
        torch.manual_seed(run.question["seed"])
        found = final_scores(system, test)
    if data is None:
        write_json(run.folder / "scores.json", found)
    return found
