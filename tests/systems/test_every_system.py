"""The contract: what holds for every system in the catalogue, whoever wrote it (DESIGN, section 8)."""

import inspect
import random
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import etude
from etude.catalogue import entries, find
from etude.data.counting import strings
from etude.data.kinds import (
    BEGIN,
    END,
    PAD,
    Batch,
    ImagePairs,
    Images,
    Sequences,
    Splits,
    Symbols,
    TextPairs,
    Trees,
    Vectors,
    split,
)
from etude.data.strings import pad
from etude.data.trees import Problem, numbered
from etude.engine.files import sha256
from etude.engine.run import Run, assemble
from etude.engine.stopping import Stopped
from etude.engine.train import Loop, train
from etude.signature import acts_on_another, arguments, dimensions
from etude.systems.clusterer import Clusterer, Coder
from etude.systems.system import Classifier, Clock, System

NAMES = sorted(entries())
CLASSES = 3


def toy(kind: type[Batch]) -> Splits:
    """Three pictures of 8x8 pixels under noise: what any system of vectors or images learns unless it is broken."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(180) % CLASSES
    pictures = torch.zeros(CLASSES, 1, 8, 8)
    pictures[0, 0, :, 1:3] = pictures[1, 0, 3:5] = pictures[2, 0, :, 5:7] = 0.8
    noisy = pictures[y] + 0.2 * torch.rand(180, 1, 8, 8, generator=generator)
    if kind is Sequences:  # the rows of a picture, one after the other
        return split(Sequences(noisy.squeeze(1), torch.full((180,), 8), y, classes=("left", "middle", "right")), "toy")
    if kind is Symbols:  # a^n b^n
        return split(strings((1 + torch.arange(180) % 4).tolist()), "toy")
    if kind is TextPairs:  # one or two letters, to be written backwards
        said = [
            row[: 1 + place % 2]
            for place, row in enumerate(torch.randint(4, 7, (180, 2), generator=generator).tolist())
        ]
        rows = pad([[*row, END] for row in said]), pad([[BEGIN, *row[::-1], END] for row in said])
        words = ("<pad>", "<begin>", "<end>", "<unknown>", "a", "b", "c")
        return split(TextPairs(*rows[0], *rows[1], words, words), "toy")
    if kind is Trees:  # one or two letters under a name of their own, the second first
        letters = [
            [" ab"[number] for number in row] for row in torch.randint(1, 3, (180, 2), generator=generator).tolist()
        ]
        asked: list[Problem] = [
            ([a, b], ("both", b, a)) if place % 2 else ([a], ("one", a)) for place, (a, b) in enumerate(letters)
        ]
        return numbered({"train": asked[:126], "validation": asked[126:153], "test": asked[153:]}, "toy")
    if kind is ImagePairs:  # pictures and their negatives
        shown = (noisy * 255).to(torch.uint8)
        return split(ImagePairs(shown, 255 - shown), "toy")
    whole = Images((noisy * 255).to(torch.uint8), y, ("left", "middle", "right"))
    return split(whole, "toy").as_kind(kind)


def acted_on(name: str) -> str | None:
    """The system that a system acts on in these tests, where it acts on one."""
    cls = find(name)
    return (cls.acts_on or "vae") if acts_on_another(cls) else None


def kind_of(name: str) -> type[Batch]:
    return find(acted_on(name) or name).kind


def asked(name: str, **more: Any) -> dict[str, Any]:
    """What a run of a system needs to be small: its own tiny arguments, and those of the system that it acts on."""
    own = {**find(name).tiny, **more}
    if inner := acted_on(name):
        on = {} if find(name).acts_on else {"on": inner}
        return on | {f"on.{key}": value for key, value in find(inner).tiny.items()} | own
    return own


def run(name: str, folder: Path, **more: Any) -> Run:
    return train(name, toy(kind_of(name)), runs=folder, quiet=True, device="cpu", **asked(name, **more))


def short(name: str) -> dict[str, Any]:
    """Fewer passes, where a system or the one that it acts on counts them."""
    own = {key: 3 for key in arguments(find(name)) if key.endswith("epochs")}
    inner = acted_on(name)
    return own | {f"on.{key}": value for key, value in (short(inner) if inner else {}).items()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    return {}


@pytest.fixture
def tiny(request: pytest.FixtureRequest, trained: dict[str, Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    name = request.node.callspec.params["name"]
    if name not in trained:
        trained[name] = run(name, tmp_path_factory.mktemp(name))
    return trained[name]


@pytest.mark.parametrize("name", NAMES)
def test_file_holds_one_final_system(name: str) -> None:
    cls = find(name)
    module = inspect.getmodule(cls)
    here = [
        v
        for v in vars(module).values()
        if inspect.isclass(v) and issubclass(v, System) and v.__module__ == cls.__module__
    ]
    assert here == [cls]
    assert cls.__subclasses__() == []
    assert cls.__bases__ in {(System,), (Classifier,), (Coder,), (Clusterer,)}
    assert cls.paper.link.startswith("https://")
    assert len(inspect.getsource(module or cls).splitlines()) <= 250


@pytest.mark.parametrize("name", NAMES)
def test_signature_is_the_configuration(name: str) -> None:
    cls = find(name)
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        keyword = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert keyword == (parameter.default is not inspect.Parameter.empty), parameter.name
    for argument in arguments(cls).values():
        assert argument.meaning, f"{argument.name} has no line under Args:"
        assert argument.source, f"{argument.name} does not say where its default comes from"
        assert argument.check(argument.default) == argument.default
        if argument.type in (int, float):
            assert argument.interval, f"{argument.name} says no range"
    for profile in (cls.tiny, cls.quick):
        assert {key: arguments(cls)[key].check(value) for key, value in profile.items()} == profile
    assert set(dimensions(cls)) <= toy(kind_of(name)).train.dimensions.keys()


def stops_of(name: str, whole: Run) -> list[int]:
    """Steps drawn at random: one in each phase, three at least."""
    draw = random.Random(name)
    last = {line["phase"]: line["step"] for line in whole.log}
    total = whole.log[-1]["step"]
    starts = [0, *last.values()]
    stops = {draw.randint(start + 1, min(end, total - 1)) for start, end in pairwise(starts)}
    while len(stops) < 3:
        stops.add(draw.randint(1, total - 1))
    return sorted(stops)


@pytest.mark.parametrize("name", NAMES)
def test_resumes_bit_for_bit_from_any_step(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(name, tmp_path / "whole", **short(name))
    stops = stops_of(name, whole)
    step = Loop.step

    def interrupted(self: Loop, *given: Any) -> Any:
        losses = step(self, *given)
        if self.place.total + 1 in stops:
            stops.remove(self.place.total + 1)
            self.request.number = 15
        return losses

    monkeypatch.setattr(Loop, "step", interrupted)
    for _ in range(len(stops)):
        with pytest.raises(Stopped):
            run(name, tmp_path / "parts", **short(name))
    parts = run(name, tmp_path / "parts", **short(name))
    assert sha256(parts.folder / "model.safetensors") == sha256(whole.folder / "model.safetensors")
    assert [line["losses"] for line in parts.log] == [line["losses"] for line in whole.log]
    assert parts.scores == whole.scores


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_weights_other_seed_others(name: str, tmp_path: Path) -> None:
    hashes = [
        sha256(run(name, tmp_path / str(i), seed=seed, **short(name)).folder / "model.safetensors")
        for i, seed in enumerate((0, 0, 1))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def batch_of(system: System, size: int = 12) -> Tensor:
    return toy(system.kind).test[:size].to("cpu").tensors()["x"]


@pytest.mark.parametrize("name", NAMES)
def test_verbs_return_what_they_promise(name: str, tiny: Run) -> None:
    system: Any = tiny.system
    x = batch_of(system)
    known = ("classify", "cluster", "encode", "decode", "sample", "score", "complete", "translate")
    verbs = [verb for verb in known if hasattr(system, verb)]
    assert verbs, "a system that can do nothing"
    if "classify" in verbs:
        torch.testing.assert_close(system.classify(x).sum(1), torch.ones(len(x)))
        assert system.classify(x).shape == (len(x), CLASSES)
        assert (system.classify(x) >= 0).all()
    if "cluster" in verbs:
        torch.testing.assert_close(system.cluster(x).sum(1), torch.ones(len(x)))
        assert system.cluster(x).shape == (len(x), len(system.centroids))
        assert (system.cluster(x) >= 0).all()
        assert system.centroids.shape[1:] == system.encode(x).shape[1:]
    if "encode" in verbs:
        assert system.encode(x).shape[0] == len(x)
        assert system.encode(x).ndim == 2
    if "decode" in verbs:
        assert system.decode(system.encode(x)).shape == x.shape
    if "sample" in verbs:
        assert system.sample(5).shape == (5, *x.shape[1:])
        assert not torch.equal(system.sample(5), system.sample(5))
    if hasattr(system, "noise") and hasattr(system, "generate"):
        z = system.noise(5)
        assert torch.equal(system.generate(z), system.generate(z))
        assert system.generate(z).shape == (5, *x.shape[1:])
    if "score" in verbs:
        assert system.score(x).shape == (len(x),)
    if "complete" in verbs:
        torch.manual_seed(0)
        drawn = system.complete(x, 7, 1.0)
        assert drawn.shape == (len(x), 7)
        assert not torch.equal(system.complete(x, 7, 1.0), drawn)
        assert torch.equal(system.complete(x, 7, 0.0), system.complete(x, 7, 0.0))
    if "translate" in verbs and system.kind is ImagePairs:
        said = system.translate(x)
        assert said.shape == (len(x), tiny.record["dimensions"]["target_channels"], *x.shape[2:])
        assert said.min() >= 0
        assert said.max() <= 1
    elif "translate" in verbs:
        said = system.translate(x)
        assert said.shape == (len(x), system.longest)
        after = (said == END).cumsum(1) - (said == END).long() > 0
        if system.kind is Trees:  # which end where they are complete
            after = (said == PAD).cumsum(1) > 0
        assert torch.equal(said == PAD, after)
    for verb in verbs:
        given: Any = 5 if verb == "sample" else system.encode(x) if verb == "decode" else x
        assert not getattr(system, verb)(given).requires_grad


@pytest.mark.parametrize("name", NAMES)
def test_learns_what_it_cannot_fail(name: str, tiny: Run) -> None:
    system: Any = tiny.system
    data = toy(kind_of(name))
    assert set(tiny.scores) == {metric.__name__ for metric in (*system.metrics, *system.final_metrics)}
    test = data.test.to("cpu")
    x, y = test.tensors()["x"], test.tensors().get("y")
    if isinstance(system, Classifier):
        assert y is not None
        assert (system.classify(x).argmax(1) == y).double().mean() >= 0.95
    if isinstance(system, Clusterer):
        clusters = system.cluster(x).argmax(1)
        renamed = [torch.tensor(names)[clusters] for names in permutations(range(CLASSES))]
        assert y is not None
        assert max((names == y).double().mean() for names in renamed) >= 0.95
    if hasattr(system, "complete"):  # from the first b on, all is certain
        for n in range(1, 5):
            whole = strings([n]).x
            assert torch.equal(system.complete(whole[:, : n + 2], n, 0.0), whole[:, n + 2 :])
    if hasattr(system, "cycle"):  # it sees no pairs, so that any y will do for an x as long as it leads back
        y = test.tensors()["y"]
        near = [torch.cdist(given.flatten(1), y.flatten(1)).min(1).values.mean() for given in (system.translate(x), x)]
        assert near[0] < 0.3 * near[1]
        assert (system.cycle(x) - x).abs().mean() < 0.3 * (x - x.mean(0)).abs().mean()
    elif system.kind is ImagePairs:
        y = test.tensors()["y"]
        assert (system.translate(x) - y).abs().mean() < 0.3 * (y - y.mean(0)).abs().mean()
    elif hasattr(system, "translate"):
        assert tiny.scores["exact_match"] >= 0.95
    if hasattr(system, "decode"):
        spread = (x - x.mean(0)).square().sum()
        assert (system.decode(system.encode(x)) - x).square().sum() < 0.3 * spread
    if hasattr(system, "sample"):
        torch.manual_seed(0)
        untrained: Any = assemble(tiny.record["served"], tiny.record["dimensions"]).eval()
        counted = {key: value for key, value in system.state_dict().items() if not value.is_floating_point()}
        untrained.load_state_dict(counted, strict=False)
        near = [torch.cdist(s.sample(200).flatten(1), x.flatten(1)).min(1).values.mean() for s in (system, untrained)]
        assert near[0] < 0.6 * near[1]


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_exported_gives_the_same(name: str, tiny: Run) -> None:
    system: Any = tiny.system
    again: Any = etude.load(tiny.folder).system
    x = batch_of(system)
    verb = next(
        v for v in ("cluster", "classify", "decode", "encode", "sample", "score", "translate") if hasattr(system, v)
    )
    if verb == "sample":
        outputs = []
        for each in (system, again):
            torch.manual_seed(0)
            outputs.append(each.sample(4))
        torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=0)
        return
    given = system.encode(x) if verb == "decode" else x
    torch.testing.assert_close(getattr(again, verb)(given), getattr(system, verb)(given), rtol=0, atol=0)

    class Served(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.system = system

        def forward(self, x: Tensor) -> Any:
            return getattr(self.system, verb)(x)

    exported = torch.export.export(Served(), (given,)).module()
    torch.testing.assert_close(exported(given), getattr(system, verb)(given))


@pytest.mark.parametrize("name", NAMES)
def test_rule_works_without_the_engine(name: str) -> None:
    data = toy(kind_of(name))
    question: dict[str, Any] = {"system": name, "arguments": {**find(name).tiny}}
    if inner := acted_on(name):
        question["on"] = {"system": inner, "arguments": {**find(inner).tiny}}
    system = assemble(question, data.train.dimensions)
    for phase in system.phases():
        if phase.start:
            phase.start(data)
        if phase.epochs == 0:
            continue
        before = {key: value.clone() for key, value in system.state_dict().items()}
        for t in range(4):
            losses = phase.step(data.train[:20].to("cpu"), Clock(step=t))
            assert all(torch.isfinite(value) and not value.requires_grad for value in losses.values())
        assert any(not torch.equal(value, before[key]) for key, value in system.state_dict().items())


def test_catalogue_is_not_empty() -> None:
    assert {"vae", "mlp"} <= set(NAMES)
    assert isinstance(toy(Vectors).train, Vectors)
