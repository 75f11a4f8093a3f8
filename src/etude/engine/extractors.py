"""Extractors: networks that take features and class probabilities from pictures, and what a generator scores in them.

Nothing is downloaded: an extractor is a classifier trained here on the labels of the data, any other classifier's run,
or a file that the user has.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from etude.data.kinds import Batch, ImagePairs, Images, walk
from etude.engine.files import write_json
from etude.engine.run import Run, load
from etude.engine.train import train
from etude.engine.translations import score_translations
from etude.errors import InputError
from etude.metrics import features as scores
from etude.systems.system import Classifier

Extractor = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""Pictures (n, channels, height, width) in [0, 1] to features (n, d) and class probabilities (n, classes), if any."""

FILE = "features.json"
PART = 500  # pictures at a time
TRANSLATED = 50  # at a time
LEAST = 12  # the smallest side that fits LeNet-5 as it is; smaller pictures take its quick arguments


def extractor(named: str, run: Run) -> tuple[str, Extractor]:
    """What a user names, to score pictures like those of a run: where it is, and the extractor.

    Args:
        named: `auto`, for LeNet-5 trained on the labels of the run's data; the folder of a classifier's run; a
            TorchScript file.
        run: of a generator, or of a system that translates.

    Raises:
        InputError: there is no such run or file, it takes other pictures, or the data have no labels.
    """
    if named == "auto":
        found = trained_on_labels(run)
        return str(found.folder), of_run(found)
    if (Path(named) / "run.json").exists():
        found, shape = load(named), _made(run)
        if found.record["shape"] != shape:
            raise InputError(f"{named} sees pictures {found.record['shape']}, {run.folder} makes {shape}")
        return named, of_run(found)
    if not Path(named).is_file():
        raise InputError(f"--features {named}: expected auto, the folder of a classifier's run, or a TorchScript file")
    return named, of_torchscript(Path(named))


def trained_on_labels(run: Run) -> Run:
    """LeNet-5, trained on the training labels of the run's data beside it, or found trained there.

    Raises:
        InputError: the data have no classes.
    """
    y = run.data().train.tensors().get("y")
    if y is None or y.is_floating_point():
        raise InputError(
            f"the data of {run.folder} have no classes to train an extractor on: give --features a classifier's run or "
            "a TorchScript file"
        )
    data, small = run.record["data"], min(run.record["shape"][1:]) < LEAST
    asked = {name: data.get(name) for name in ("data_dir", "target", "size")}
    return train("lenet", data["asked"], quick=small, runs=run.folder.parent, **asked)


def of_run(run: Run) -> Extractor:
    """The extractor that a classifier's run is: see `of_classifier`.

    Raises:
        InputError: it holds no classifier of pictures or of rows of pixels.
    """
    system, kind = run.system, run.record["kind"]
    if not isinstance(system, Classifier) or kind not in ("Images", "Vectors"):
        raise InputError(f"{run.folder} holds {type(system).__name__} of {kind}: expected a classifier of pictures")
    extract = of_classifier(system)
    return (lambda x: extract(x.flatten(1))) if kind == "Vectors" else extract


def of_classifier(system: Classifier) -> Extractor:
    """Features as the last layer has them: what enters it if it is linear, else what leaves it, as the 84 units of
    LeNet-5, whose distances from the codes no layer computes."""
    layers = [module for module in system.modules() if not any(module.children())]

    def extract(x: Tensor) -> tuple[Tensor, Tensor]:
        seen: list[tuple[nn.Module, Tensor, Tensor]] = []
        hooks = [
            layer.register_forward_hook(lambda layer, given, made: seen.append((layer, given[0], made)))
            for layer in layers
        ]
        try:
            probabilities = system.classify(x)
        finally:
            for hook in hooks:
                hook.remove()
        last, given, made = seen[-1]
        return (given if isinstance(last, nn.Linear) else made).flatten(1), probabilities

    return extract


def of_torchscript(path: Path) -> Extractor:
    """The network in a TorchScript file; it is a program, so use a file that you trust.

    One whose `forward` has `return_features` and `no_output_bias` is used as the published Inception of 2015
    (inception-2015-12-05.pt, of StyleGAN2-ADA) wants it: with three channels of bytes. Any other is given the pictures
    as they are, and returns features (n, d), or features and class probabilities.

    Raises:
        InputError: it is no TorchScript file.
    """
    try:
        network = torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError:
        raise InputError(f"{path} is not TorchScript: give what torch.jit.save wrote, or a run's folder") from None
    published = {"return_features", "no_output_bias"} <= {given.name for given in network.forward.schema.arguments}

    def extract(x: Tensor) -> tuple[Tensor, Tensor | None]:
        if published:
            x = (255 * x).round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)
            return network(x, return_features=True).flatten(1), network(x, no_output_bias=True)
        made = network(x)
        return made if isinstance(made, tuple) else (made.flatten(1), None)

    return extract


def score_generator(run: Run, named: str = "auto", count: int = 10_000, data: Any = None) -> dict[str, Any]:
    """Score the pictures that a run's system makes against real ones; on its own test split, filed with the run.

    A system that translates is given x of the pairs, and its pictures are held against y; `auto` then asks for the
    FCN-score: see `etude.engine.translations`. Precision and recall depend on how dense the examples are, and take as
    many of either kind. A score that needs more examples than there are is left out.

    Args:
        run: a finished one whose system has the verb `sample`, or translates pictures.
        named: the extractor, as `extractor` takes it.
        count: samples, in [2, inf); translations, at most.
        data: other real pictures; the test split where not given.

    Returns:
        "extractor", "real" and "generated" examples, and "scores" by name.

    Raises:
        InputError: it makes no pictures, they are too few, or the extractor cannot be had.
    """
    shape, translates = _made(run), _translates(run)
    if not (translates or hasattr(run.system, "sample")) or len(shape) != 3:
        raise InputError(f"{run.folder} generates no pictures: only those have features")
    if count < 2:
        raise InputError(f"--count {count}: expected a whole number in [2, inf)")
    if translates and named == "auto":
        return score_translations(run, data, count)
    truth = run.data().test if data is None else run.other(data)
    where, extract = extractor(named, run)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(run.question["seed"])
        of_data, made = _pictures(run, truth, count)
        real, _ = _extracted(extract, shape, of_data)
        generated, probabilities = _extracted(extract, shape, made)
        few = min(len(real), len(generated))
        true, false = (each.index_select(0, torch.randperm(len(each))[:few]) for each in (real, generated))
        kid, kid_deviation = scores.kid(real, generated)
        found = {"fid": scores.fid(real, generated)}
        with suppress(InputError):
            found["fid_at_infinity"] = scores.fid_at_infinity(real, generated)
        found |= {"kid": kid, "kid_deviation": kid_deviation}
        with suppress(InputError):
            found |= {"precision": scores.precision(true, false), "recall": scores.recall(true, false)}
        if probabilities is not None:
            with suppress(InputError):
                found["inception_score"], found["inception_score_deviation"] = scores.inception_score(probabilities)
    told = {"extractor": where, "real": len(real), "generated": len(generated), "scores": found}
    if data is None:
        write_json(run.folder / FILE, told)
    return told


def _translates(run: Run) -> bool:
    return run.record["kind"] == "ImagePairs" and hasattr(run.system, "translate")


def _made(run: Run) -> list[int]:
    """The shape of what a run's system makes: that of its data, or of y where these are pairs."""
    if run.record["kind"] == "ImagePairs":
        return [run.record["dimensions"][name] for name in ("target_channels", "height", "width")]
    shape: list[int] = run.record["shape"]
    return shape


def _pictures(run: Run, truth: Batch, count: int) -> tuple[Iterator[Tensor], Iterator[Tensor]]:
    """Real pictures and what a run's system makes, at most `count`, some at a time."""
    system: Any = run.system
    if not isinstance(truth, ImagePairs):
        made = (system.sample(min(PART, count - start)) for start in range(0, count, PART))
        return (some.tensors()["x"] for some in walk(truth, size=PART)), made
    x, y = (truth.x, truth.y) if truth.aligned else (_distinct(truth.x), _distinct(truth.y))
    made = (system.translate(some.x) for some in walk(Images(x[:count]), size=TRANSLATED))
    return (some.x for some in walk(Images(y), size=PART)), made


def _distinct(pictures: Tensor) -> Tensor:
    """Each once: of two domains that are not aligned, the smaller one is repeated."""
    places = {picture.numpy().tobytes(): place for place, picture in enumerate(pictures)}
    return pictures.index_select(0, torch.tensor([*places.values()]))


def _extracted(extract: Extractor, shape: list[int], parts: Iterator[Tensor]) -> tuple[Tensor, Tensor | None]:
    found = [extract(x.reshape(-1, *shape)) for x in parts]
    probabilities = [p for _, p in found if p is not None]
    return torch.cat([features for features, _ in found]), torch.cat(probabilities) if probabilities else None
