"""The command line: one verb a function; flags and help are read off signatures. `etude --help` imports no torch."""

import dataclasses
import difflib
import importlib.util
import inspect
import itertools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro import _errors as rejected
from tyro.conf import Positional

from etude.catalogue import nearest
from etude.engine.stopping import Stopped
from etude.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from etude.engine.run import Run

SUMMARY = "Landmark deep-learning systems, faithful to their papers, trained on your own data with one command."


Vocabulary = Literal["words", "byte-pairs", "characters"]


def list_() -> None:
    """The systems, by family."""
    from rich.table import Table

    from etude.catalogue import entries

    table = Table("name", "family", "what it is")
    for entry in sorted(entries().values(), key=lambda e: (e.family, e.name)):
        table.add_row(entry.name, entry.family, entry.summary)
    _print(table)


def show(name: Positional[str]) -> None:
    """The fidelity sheet of a system: paper, hyperparameters and their sources, deviations, claims.

    Args:
        name: of a system.
    """
    from etude.report.sheet import fidelity_sheet

    for part in fidelity_sheet(name):
        _print(part)


def evaluate(run: Positional[Path], data: str | None = None, features: str | None = None, count: int = 10_000) -> None:
    """Score a run on the test split again, or what it generates in the features of another network.

    Args:
        run: the folder of a run.
        data: other data of the same kind and sizes, prepared as its own were; its own where not given.
        features: score generated pictures against real ones: `auto` trains LeNet on the labels of the data, or, where
            label maps are translated, a segmenter on the real pairs (FCN-score); or the folder of a classifier's run,
            or a TorchScript file.
        count: pictures to generate for that; of pairs, at most so many are translated.
    """
    from etude.engine.train import evaluate as measure
    from etude.report.sheet import score_table

    if features is None:
        _print(score_table(measure(_load(run), data)))
        return
    from etude.engine.extractors import score_generator

    told = score_generator(_load(run), features, count, data)
    _print(score_table(told["scores"]))
    print(f"{told['generated']:,} generated and {told['real']:,} real pictures, as seen by {told['extractor']}")


def sample(run: Positional[Path], count: int = 16, seed: int = 0, out: Path | None = None) -> None:
    """Draw new examples from a trained generator.

    Args:
        run: the folder of a run.
        count: how many.
        seed: of the draw.
        out: where to write; a PNG for pictures and a CSV for rows of numbers, beside the run where not given.
    """
    import torch

    from etude.report.files import write_examples

    opened = _load(run)
    generator = _verb(opened, "sample")
    if count < 1:
        raise InputError(f"--count {count}: expected a whole number in [1, inf)")
    torch.manual_seed(seed)
    print(write_examples(opened, generator(count), out, "samples"))


def interpolate(
    run: Positional[Path],
    places: tuple[int, ...] = (1, 2, 3, 4),
    steps: int = 10,
    count: int = 16,
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Walk from one sample to the next, along the straight line between their codes.

    Args:
        run: the folder of a run.
        places: of samples in the grid that `etude sample` draws from the same seed, by rows and from 1.
        steps: examples on the way, both ends included.
        count: examples in the grid.
        seed: of the grid.
        out: where to write; a PNG for pictures and a CSV for rows of numbers, beside the run where not given.
    """
    from etude.report.codes import write_walk

    opened = _load(run)
    for name in ("generate", "noise"):
        _verb(opened, name)
    print(write_walk(opened, places, steps, count, seed, out))


def arithmetic(
    run: Positional[Path],
    plus: tuple[int, ...],
    minus: tuple[int, ...],
    add: tuple[int, ...],
    count: int = 16,
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Generate from the mean code of some samples, less that of others, plus that of others again; three each is wise.

    Args:
        run: the folder of a run.
        plus: places in the grid that `etude sample` draws from the same seed, by rows and from 1.
        minus: likewise, those to subtract.
        add: likewise, those to add.
        count: examples in the grid.
        seed: of the grid.
        out: where to write; a PNG for pictures and a CSV for rows of numbers, beside the run where not given.
    """
    from etude.report.codes import write_sum

    opened = _load(run)
    for name in ("generate", "noise"):
        _verb(opened, name)
    print(write_sum(opened, plus, minus, add, count, seed, out))


def predict(run: Positional[Path], input: Positional[Path], out: Path | None = None) -> None:
    """Apply a trained system to new input: classes with their probabilities, clusters, numbers, codes.

    Args:
        run: the folder of a run.
        input: a picture, a folder of pictures, an array file or a table, as the run was trained on.
        out: the CSV to write; standard output where not given.
    """
    from etude.report.files import write_predictions

    opened = _load(run)
    told = write_predictions(opened, input, out)
    if told:
        print(told)


def cluster(run: Positional[Path], input: Positional[Path | None] = None, out: Path | None = None) -> None:
    """Sort examples into the clusters that a run has found, and say how sure it is of each.

    Args:
        run: the folder of a run.
        input: new examples, as the run was trained on; all that it was trained, validated and tested on where not
            given.
        out: the CSV to write; standard output where not given.
    """
    from etude.report.files import write_clusters

    opened = _load(run)
    _verb(opened, "cluster")
    told = write_clusters(opened, input, out)
    if told:
        print(told)


def complete(
    run: Positional[Path], text: Positional[str], temperature: float = 1.0, length: int = 200, seed: int = 0
) -> None:
    """Go on with a text, symbol by symbol.

    Args:
        run: the folder of a run.
        text: to go on with.
        temperature: the lower, the surer; at 0 the likeliest symbol is always taken.
        length: symbols to add.
        seed: of the draw.
    """
    import torch

    opened = _load(run)
    torch.manual_seed(seed)
    print(text + opened.complete(text, temperature=temperature, length=length))


def translate(
    run: Positional[Path], input: Positional[str], beam: int | None = None, seed: int = 0, out: Path | None = None
) -> None:
    """Turn a text into what it is to become, or pictures into others, as the run has learned it.

    Args:
        run: the folder of a run.
        input: a text of the kind that it learned from; a picture or a folder of them, where it learned from pictures.
        beam: hypotheses to keep for a text; the run's own number where not given.
        seed: of the noise in pictures.
        out: the picture or the folder to write; `translated` beside the run where not given.
    """
    opened = _load(run)
    if opened.record["kind"] != "ImagePairs":
        print(opened.translate(input, beam=beam))
        return
    import torch

    from etude.report.image_pairs import write_translations

    torch.manual_seed(seed)
    print(write_translations(opened, Path(input), out))


def report(run: Positional[Path], data: str | None = None) -> None:
    """Write the page of a run again.

    Args:
        run: the folder of a run.
        data: the data, where the run was trained on arrays in memory.
    """
    from etude.report import page

    print(page.write(_load(run), data))


def compare(runs: Positional[tuple[Path, ...]], out: Path = Path("compare.html")) -> None:
    """Runs side by side: scores in a table, curves overlaid on a page.

    Args:
        runs: folders of runs.
        out: the page to write.
    """
    from etude.report import page
    from etude.report.sheet import comparison_table

    if len(runs) < 2:
        raise InputError(f"compare needs at least two runs, {len(runs)} given: name their folders")
    opened = [_load(run) for run in runs]
    table, written = comparison_table(opened), page.compare(opened, out)
    _print(table)
    print(written)


def reproduce(
    name: Positional[str], only: str | None = None, data_dir: Path | None = None, device: str = "auto"
) -> None:
    """Run the experiments behind the claims about a system or a library and file what they find.

    Args:
        name: of a system, or of a library: autodiff, distances, dynamics.
        only: one claim.
        data_dir: where larger data sets lie; $ETUDE_DATA otherwise.
        device: what to train on.
    """
    from etude.claims import lab
    from etude.report.sheet import finding_lines

    for entry in lab.reproduce(name, lab.Lab(data_dir=data_dir, device=device), only):
        for line in finding_lines(entry):
            _print(line)


def derive(
    function: Positional[str],
    mode: Literal["reverse", "forward"] = "reverse",
    style: Literal["side-by-side", "textbook", "optimised"] = "side-by-side",
) -> None:
    """The derivative of a Python function as source to read.

    Args:
        function: FILE:FUNCTION, a function in a Python file, which is imported.
        mode: of differentiation.
        style: side-by-side puts the derivative of each line beside it, in reverse mode to be read upwards; textbook and
            optimised print a program that runs.
    """
    from etude.autodiff import TransformError, program

    stages = program(_function(function))
    try:
        text = stages.side_by_side(mode) if style == "side-by-side" else stages.derivative(mode, style).text
    except (TransformError, TypeError) as error:
        raise InputError(str(error)) from error
    print(text)


def data_list() -> None:
    """The data sets that have a name."""
    from rich.table import Table

    from etude.data import source

    table = Table("name", "what it is")
    for name, line in source.names().items():
        table.add_row(name, line)
    _print(table)


def data_check(
    path: Positional[str],
    data_dir: Path | None = None,
    target: str | None = None,
    size: int | None = None,
    vocabulary: Vocabulary | None = None,
) -> None:
    """What was understood of some data: kind, counts, classes, missing values, unreadable files, duplicates.

    Args:
        path: a file, a folder, or the name of a data set.
        data_dir: where larger data sets lie; $ETUDE_DATA otherwise.
        target: the column of a table to learn.
        size: the side of the squares that pictures in a folder become.
        vocabulary: what pairs of texts in files become; chosen by the lines where not given.
    """
    from etude.data import check

    found = check.check(path, data_dir=data_dir, target=target, size=size, vocabulary=vocabulary)
    for line in found.lines():
        print(line)


def data_fetch(name: Positional[str], data_dir: Path | None = None) -> None:
    """Download a data set's original files, checked against known hashes; goes on where it was interrupted.

    Args:
        name: of a data set.
        data_dir: where to put it; $ETUDE_DATA otherwise.
    """
    from etude.data import fetch

    folder = data_dir or (Path(os.environ["ETUDE_DATA"]) if os.environ.get("ETUDE_DATA") else None)
    if folder is None:
        raise InputError("where to? give --data-dir FOLDER or set $ETUDE_DATA")
    for path in fetch.fetch(name, folder):
        print(path)


def data_clusters(
    data: Positional[str],
    data_dir: Path | None = None,
    target: str | None = None,
    size: int | None = None,
    most: int = 20,
) -> None:
    """How many clusters there seem to be, by the usual criteria, and how far they agree.

    Args:
        data: a file, a folder, the name of a data set, or the folder of a run, whose codes are looked at then.
        data_dir: where larger data sets lie; $ETUDE_DATA otherwise.
        target: the column of a table to leave out.
        size: the side of the squares that pictures in a folder become.
        most: the largest number of clusters to try.
    """
    import torch

    from etude.data import source
    from etude.data.kinds import walk
    from etude.metrics.cluster_count import estimate

    if most < 2:
        raise InputError(f"--most {most}: expected a whole number in [2, inf)")
    if (Path(data) / "run.json").exists():
        run = _load(Path(data))
        splits, encode = run.data(), _verb(run, "encode")
    else:
        splits, encode = source.load(data, data_dir=data_dir, target=target, size=size), torch.Tensor.cpu
    rows = [encode(batch.tensors()["x"]).flatten(1) for batch in walk(splits.train)]
    for line in estimate(torch.cat(rows), most).lines():
        print(line)


def data_dedup(
    folder: Positional[Path], distance: int = 3, seed: int = 0, runs: Path = Path("runs"), out: Path | None = None
) -> None:
    """Near-duplicates in a folder of pictures, a line for each group; the largest file, which is kept, comes first.

    Args:
        folder: of pictures of any size, and the folders in it.
        distance: bits of 128 in which the codes of near-duplicates may differ; 0 finds the fewest and the surest.
        seed: of the autoencoder that makes the codes.
        runs: the folder of runs.
        out: a new folder for copies of the pictures that are kept, in the same subfolders.
    """
    from etude.engine.duplicates import find_duplicates

    found = find_duplicates(folder, distance=distance, seed=seed, runs=runs, out=out)
    for line in found.lines():
        print(line)
    if out:
        print(f"{len(found.kept)} pictures in {out}")


def train_help() -> None:
    """Train a system on data, or go on where it stopped. `etude train NAME --help` lists the options of a system."""
    raise InputError("which system? `etude train NAME`, with a name from `etude list`")


def data_help() -> None:
    """Data sets: etude data list, check PATH, clusters PATH, dedup FOLDER, fetch NAME."""
    raise InputError("which? `etude data list`, `check PATH`, `clusters PATH`, `dedup FOLDER` or `fetch NAME`")


VERBS: dict[str, Callable[..., None]] = {
    "list": list_,
    "show": show,
    "train": train_help,
    "evaluate": evaluate,
    "sample": sample,
    "interpolate": interpolate,
    "arithmetic": arithmetic,
    "predict": predict,
    "cluster": cluster,
    "complete": complete,
    "translate": translate,
    "report": report,
    "compare": compare,
    "reproduce": reproduce,
    "derive": derive,
    "data": data_help,
}
DATA_VERBS: dict[str, Callable[..., None]] = {
    "list": data_list,
    "check": data_check,
    "clusters": data_clusters,
    "dedup": data_dedup,
    "fetch": data_fetch,
}


@dataclasses.dataclass
class Asked:
    """What every training can be asked beside the system's own arguments.

    Attributes:
        data: a data set by name, or a path to your own files; handwritten digits where not given.
        quick: start from arguments that show something in minutes on two cores.
        seed: of weights, order and noise.
        device: auto, cpu, cuda, cuda:1, ...
        precision: bf16 computes products in bfloat16.
        data_dir: where larger data sets lie; $ETUDE_DATA otherwise.
        target: the column of a table to learn.
        size: the side of the squares that pictures in a folder are cut to and resized, in [1, 4096]; as they are where
            not given.
        vocabulary: what pairs of texts in files become; chosen by the lines where not given.
        runs: the folder of runs.
        previews: passes after which to keep samples; otherwise 0, 1/8, 1/4, 1/2 and all of them.
        quiet: print nothing while training.
    """

    data: str | None = None
    quick: bool = False
    seed: int = 0
    device: str = "auto"
    precision: Literal["float32", "bf16"] = "float32"
    data_dir: Path | None = None
    target: str | None = None
    size: int | None = dataclasses.field(default=None, metadata={"expects": "a whole number of pixels in [1, 4096]"})
    vocabulary: Vocabulary | None = None
    runs: Path = Path("runs")
    previews: tuple[int, ...] = ()
    quiet: bool = False


def train(name: str, words: Sequence[str]) -> None:
    """Train a system: its flags are its signature."""
    given = dataclasses.asdict(_parse(_options(name, words), words, f"etude train {name}"))
    own = {field.name for field in dataclasses.fields(Asked)} | {"on"}
    engine = {key: value for key, value in given.items() if key in own}
    arguments = {key.replace("__", "."): value for key, value in given.items() if key not in own}
    from etude import api
    from etude.engine.distributed import first
    from etude.report.sheet import score_table

    run = api.train(name, engine.pop("data"), **engine, **arguments)
    if first() and not engine["quiet"]:
        _print(score_table(run.scores))
        print(f"run     {run.folder}\nreport  {run.folder / 'report.html'}")


def _options(name: str, words: Sequence[str]) -> Any:
    """The dataclass whose fields are the flags of `etude train NAME`."""
    from etude.catalogue import find

    system = find(name)
    return dataclasses.make_dataclass(f"{system.__name__}Options", _all_fields(system, "", words), bases=(Asked,))


def _all_fields(system: Any, prefix: str, words: Sequence[str]) -> list[tuple[str, Any, Any]]:
    """The flags of a system and, behind `on.`, of the one that it acts on."""
    from etude.catalogue import find
    from etude.signature import acts_on_another

    fields = _fields(system, prefix, "--quick" in words)
    if acts_on_another(system):
        on = _value(words, f"--{prefix}on") or system.acts_on
        flag = tyro.conf.arg(help="the system it acts on, or a run's folder", name=f"{prefix}on")
        fields.append((prefix.replace(".", "__") + "on", Annotated[str | None, flag], on))
        if on and not (Path(on) / "run.json").exists():
            fields += _all_fields(find(on), f"{prefix}on.", words)
    return fields


def _fields(system: Any, prefix: str, quick: bool) -> list[tuple[str, Any, Any]]:
    from etude.signature import arguments

    fields = []
    for name, argument in arguments(system).items():
        told = f"{argument.meaning} ({argument.source})" if argument.source else argument.meaning
        flag = tyro.conf.arg(help=told, name=prefix + name) if prefix else tyro.conf.arg(help=told)
        default = system.quick.get(name, argument.default) if quick else argument.default
        field = dataclasses.field(default=default, metadata={"expects": argument.expects})
        fields.append((prefix.replace(".", "__") + name, Annotated[argument.type, flag], field))
    return fields


def _value(words: Sequence[str], flag: str) -> str | None:
    """What was given to a flag, several values side by side."""
    for place, word in enumerate(words):
        if word == flag:
            return " ".join(itertools.takewhile(lambda w: not w.startswith("--"), words[place + 1 :]))
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _parse(what: Any, words: Sequence[str], prog: str) -> Any:
    """Parse by tyro; what it rejects becomes one line."""
    fields = dataclasses.fields(what) if dataclasses.is_dataclass(what) else ()
    flags = {f"--{f.name.replace('__', '.').replace('_', '-')}": f.metadata.get("expects", "") for f in fields}

    def reject(event: rejected.ParseErrorEvent) -> None:
        raise InputError(_line(event, words, flags))

    with rejected.on_parse_error(reject):
        if isinstance(what, dict):
            return tyro.extras.subcommand_cli_from_dict(what, prog=prog, args=list(words), description=SUMMARY)
        return tyro.cli(what, prog=prog, args=list(words))


def _line(event: rejected.ParseErrorEvent, words: Sequence[str], flags: dict[str, str]) -> str:
    """What tyro found wrong, as one line: what came, what was expected, what to do."""
    match event:
        case rejected.UnrecognizedArgs(tokens=tokens):
            return _unknown(tokens[0], event.prog, flags, words)
        case rejected.MissingArgs(unrecognized_tokens=[token, *_]) | rejected.MissingSubcommand(found_token=str(token)):
            return _unknown(token, event.prog, flags, words)
        case rejected.MissingArgs(missing_arguments=missing):
            names = ", ".join(m.arg.field.extern_name.upper() for m in missing)
            return f"{names} is missing: see `{event.prog} {words[0] if words else ''} --help`"
        case rejected.MissingSubcommand():
            return f"what is to be done? one of {', '.join(VERBS)}"
        case rejected.InvalidChoice(argument=argument, value=value, choices=choices):
            named = sorted(set(choices) - {"None"}, key=str(argument.lowered.metavar).index)
            return f"{argument.lowered.name_or_flags[0]} {value}: expected one of {', '.join(named)}"
        case rejected.InstantiationFailure(argument=argument) if argument is not None:
            flag = next(iter(argument.lowered.name_or_flags), "")
            expects = flags.get(flag) or str(argument.lowered.metavar).removeprefix("{None}|")
            return f"{flag} {_value(words, flag)}: expected {expects}"
        case rejected.BadValue(argument=argument):
            return f"{argument.lowered.name_or_flags[0]}: expected {argument.lowered.metavar}"
    return f"not understood: {' '.join(words)}; see `{event.prog} --help`"


def _unknown(token: str, prog: str, flags: dict[str, str], words: Sequence[str]) -> str:
    verbs = {"etude": VERBS, "etude data": DATA_VERBS}.get(prog, {})
    if not token.startswith("-") and verbs:
        return (
            f"{token} is one too many for `{prog} {words[0]}`"
            if words[0] in verbs
            else str(nearest(token, verbs, "verb"))
        )
    near = difflib.get_close_matches(token.partition("=")[0].replace("_", "-"), flags, n=1, cutoff=0.6)
    return f"{token} is not known to `{prog}`" + (f": did you mean {near[0]}?" if near else f": see `{prog} --help`")


def _load(folder: Path) -> "Run":
    from etude.engine.run import load

    return load(folder)


def _function(place: str) -> Callable[..., Any]:
    """The function that FILE:FUNCTION names."""
    file, _, name = place.rpartition(":")
    if Path(place).is_file():
        raise InputError(f"{place}: say which function, as {place}:FUNCTION")
    if not Path(file).is_file():
        raise InputError(f"{place}: expected FILE:FUNCTION, and there is no file {file or place}")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file} is no Python file")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    folder = str(Path(file).parent.resolve())
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
    function: Callable[..., Any] | None = vars(module).get(name)
    if function is None or not callable(function) or isinstance(function, type):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == spec.name]
        raise nearest(name, [key for key in own if inspect.isfunction(vars(module)[key])], "function")
    return function


def _verb(run: "Run", name: str) -> "Callable[..., Tensor]":
    system = run.system
    if not hasattr(system, name):
        raise InputError(f"{run.folder} holds the system {type(system).__name__}, which has no verb `{name}`")
    verb: Callable[..., Tensor] = getattr(system, name)
    return verb


def _print(what: Any) -> None:
    from rich.console import Console

    Console(soft_wrap=isinstance(what, str), highlight=False).print(what)


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0, 2 after a mistake of the user's, 128 plus the signal after one."""
    words = list(sys.argv[1:] if words is None else words)
    try:
        if words[:1] == ["train"] and len(words) > 1 and not words[1].startswith("-"):
            train(words[1], words[2:])
        elif words == ["--version"]:
            print(version("etude"))
        elif words[:1] == ["data"] and len(words) > 1:
            _parse(DATA_VERBS, words[1:], "etude data")
        else:
            _parse(VERBS, words, "etude")
    except (InputError, Stopped) as error:
        print(f"etude: {error}", file=sys.stderr)
        return error.code if isinstance(error, Stopped) else 2
    except BrokenPipeError:  # who reads the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        print(f"etude: {error.filename or 'a file'}: {error.strerror}: give another path", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("etude: interrupted, nothing was changed", file=sys.stderr)
        return 130
    except (RuntimeError, MemoryError) as error:
        from etude.engine.diagnosis import out_of_memory

        if not out_of_memory(error):
            raise
        print(
            f"etude: out of memory ({str(error).partition(chr(10))[0]}): take less data or a smaller system",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
