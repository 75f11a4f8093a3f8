import ast
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import nn

from etude.catalogue import Entry, entries
from etude.claims import autodiff, distances, dynamics, lab
from etude.claims.autoencoders import semantic_hash, vae
from etude.claims.clustering import dcn, dec, deep_clustering, idec
from etude.claims.feedforward import mlp
from etude.claims.gans import coulomb_gan, cyclegan, dcgan, gan, lsgan, pix2pix, wgan, wgan_gp
from etude.claims.lab import Claim, Finding, Lab, Plot, claim, spread
from etude.claims.recurrent import char_rnn, counter, liquid_network, lstm_classifier, saps, seq2seq, sequence_model
from etude.claims.techniques import ema
from etude.data import source
from etude.data.kinds import Images, Sequences, Splits
from etude.data.strings import by_position, cut
from etude.engine.run import Run
from etude.engine.train import train
from etude.errors import InputError
from etude.metrics import segmentation
from etude.systems import clusterer
from etude.systems.feedforward.lenet import RUBBISH, LeNet
from etude.systems.gans.gan import GAN

EVERY = [(name, each) for name in (*sorted(entries()), *lab.LIBRARIES) for each in lab.claims(name)]


@claim("the sea is salt", source="Anonymous 1900, page 1", minutes=0.1)
def salt(at: Lab) -> Finding:
    depth = Plot(["metres", "grams a litre"], [1, 10], {"Atlantic": [35, 36], "Baltic": [7, 8]})
    return Finding(True, {"grams a litre": spread([34, 35, 36])}, "at the surface", {"by depth": depth})


@claim("the moon is cheese", source="Anonymous 1900, page 2", minutes=0.1)
def cheese(at: Lab) -> Finding:
    return Finding(False, {"share of cheese": 0.0})


@pytest.fixture
def filed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of findings of its own, and two claims about the dense net."""
    monkeypatch.setattr(lab, "FINDINGS", tmp_path / "findings.jsonl")
    monkeypatch.setattr(lab, "claims", lambda system: [salt, cheese] if system == "mlp" else [])
    return tmp_path / "findings.jsonl"


def test_findings_are_filed_and_read_back(filed: Path) -> None:
    written = lab.reproduce("mlp", Lab())
    assert [json.loads(line) for line in filed.read_text().splitlines()] == written
    found = lab.findings()
    assert found["mlp", "salt"]["verdict"] == "holds"
    assert found["mlp", "cheese"]["verdict"] == "fails"
    assert found["mlp", "salt"]["numbers"]["grams a litre"]["mean"] == 35
    assert found["mlp", "salt"]["command"] == "etude reproduce mlp --only salt"
    assert found["mlp", "salt"]["plots"]["by depth"]["series"]["Baltic"] == [7, 8]
    assert found["mlp", "cheese"]["plots"] == {}
    assert not found["mlp", "salt"]["stale"]


def test_only_one_claim_is_run_and_the_newest_finding_counts(filed: Path) -> None:
    lab.reproduce("mlp", Lab(), only="cheese")
    lines = filed.read_text().splitlines()
    assert [json.loads(line)["claim"] for line in lines] == ["cheese"]
    filed.write_text("\n".join([json.dumps(json.loads(lines[0]) | {"verdict": "holds"}), lines[0]]) + "\n")
    assert lab.findings()["mlp", "cheese"]["verdict"] == "fails"


def test_unknown_names_suggest_the_nearest(filed: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'cheese'"):
        lab.reproduce("mlp", Lab(), only="chese")
    with pytest.raises(InputError, match="vae has no claims"):
        lab.reproduce("vae", Lab())
    assert not filed.exists()


def test_an_unknown_system_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'lenet'"):
        lab.claims("lennet")


SYSTEM = '"""A system."""\n\nRATE = 0.1\n'
CLAIMS = '''"""Claims."""

SEEDS = 3


@claim("one", source="a", minutes=1)
def one(lab):
    return SEEDS


@claim("two", source="b", minutes=1)
def two(lab):
    return 2
'''


@pytest.mark.parametrize(
    ("system", "claims", "changed"),
    [
        (SYSTEM, CLAIMS, set()),
        ("# a comment\n" + SYSTEM.replace("A system.", "The system."), CLAIMS.replace('"""Claims."""', ""), set()),
        (SYSTEM, CLAIMS.replace("return 2", "return 4"), {"two"}),
        (SYSTEM, CLAIMS.replace('"one"', '"more than one"'), {"one"}),
        (SYSTEM, CLAIMS.replace("SEEDS = 3", "SEEDS = 5"), {"one", "two"}),
        (SYSTEM.replace("0.1", "0.2"), CLAIMS, {"one", "two"}),
    ],
)
def test_a_finding_is_stale_once_what_it_depends_on_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, claims: str, changed: set[str]
) -> None:
    file, about = tmp_path / "system.py", tmp_path / "claims.py"
    monkeypatch.setattr(lab, "entries", lambda: {"toy": Entry("toy", "toys", "etude.systems.toys.toy", file)})
    monkeypatch.setattr(lab, "_file", lambda _: about)
    monkeypatch.setattr(lab, "FINDINGS", tmp_path / "findings.jsonl")
    file.write_text(SYSTEM)
    about.write_text(CLAIMS)
    filed = [{"system": "toy", "claim": name, "code": lab.code("toy", name)} for name in ("one", "two")]
    lab.FINDINGS.write_text("".join(json.dumps(line) + "\n" for line in filed))
    file.write_text(system)
    about.write_text(claims)
    assert {name for (_, name), finding in lab.findings().items() if finding["stale"]} == changed


@pytest.mark.parametrize(("inside", "changed"), [("__init__.py", True), ("rules/sums.py", True), ("notes.txt", False)])
def test_a_finding_on_a_library_depends_on_all_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str, changed: bool
) -> None:
    file, about = tmp_path / "toy" / "__init__.py", tmp_path / "claims.py"
    monkeypatch.setattr(lab, "LIBRARIES", {"toy": Entry("toy", "library", "etude.toy", file)})
    monkeypatch.setattr(lab, "_file", lambda _: about)
    (tmp_path / "toy" / "rules").mkdir(parents=True)
    about.write_text(CLAIMS)
    for each in ("__init__.py", "rules/sums.py", "notes.txt"):
        (tmp_path / "toy" / each).write_text("RATE = 0.1\n")
    before = lab.code("toy", "one")
    (tmp_path / "toy" / inside).write_text("RATE = 0.2\n")
    assert (lab.code("toy", "one") != before) == changed


def test_a_library_has_claims_as_a_system_has() -> None:
    assert {each.name for each in lab.claims("autodiff")} >= {"modes_and_sizes", "same_loss_as_torch"}
    with pytest.raises(InputError, match="no system or library is called 'autodif': did you mean 'autodiff'"):
        lab.claims("autodif")


def test_spread_is_the_mean_and_the_sample_deviation() -> None:
    assert spread([1, 2, 3, 4]) == {"mean": 2.5, "deviation": math.sqrt(5 / 3), "values": [1.0, 2.0, 3.0, 4.0]}
    assert spread([2.0])["deviation"] == 0


def test_every_system_has_claims_that_say_what_where_and_how_long() -> None:
    assert {name for name, _ in EVERY} == set(entries()) | set(lab.LIBRARIES)
    for _, each in EVERY:
        assert len(each.statement) > 20
        assert len(each.source) > 5
        assert 0 < each.minutes <= 30


def test_claims_do_not_assert() -> None:
    """An `assert` in an experiment may narrow a type; a verdict is returned."""
    for path in Path(lab.__file__).parent.rglob("*.py"):
        asserted = [node.test for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)]
        assert all("isinstance" in ast.unparse(test) for test in asserted)


def test_a_difference_is_clear_above_its_standard_error() -> None:
    difference = lab.gain(lab.spread([3.0, 5.0, 4.0]), lab.spread([1.0, 5.0, 3.0]))
    assert difference == {"mean": 1.0, "deviation": 1.0, "values": [2.0, 0.0, 1.0]}
    assert lab.clear(difference)  # the standard error is 0.58
    assert not lab.clear({"mean": 0.5, "deviation": 1.0, "values": [0.0] * 3})
    assert not lab.clear(lab.spread([0.0, 0.0]))


class ShortLab(Lab):
    """Every run cut to a few steps of 20 examples: 80 passes of a VAE on MNIST, where claims look at them, else 3."""

    def run(self, system: str, data: Any = None, **asked: Any) -> Run:
        inner = "on" in asked and not Path(asked["on"]).exists()
        prefix, most = "on." if inner else "", 80 if (system, data) == ("vae", "mnist") else 3
        epochs = min(asked.get(f"{prefix}epochs", most), most)
        short: dict[str, Any] = {f"{prefix}epochs": epochs, f"{prefix}batch": 20}
        if system == "stacked-autoencoder":
            short |= {"hidden": (16,), "layer_epochs": 1}
        return train(system, data, runs=self.runs, device="cpu", quiet=True, **asked | short)


SHORT = {"SIDE": (1, 4), "STEPS": 3, "PASSES": (10, 100), "LONG": 10, "REPEATS": 1, "STORED": (10, 100)}


ADVERSARIAL = {"SEEDS": range(1), "STEPS": 3, "UPDATES": 3, "BATCH": 20, "WARM": 2, "LOOKS": 3, "HELD_OUT": 20}
ADVERSARIAL |= {"POINTS": 100, "SAMPLES": 100, "PLACES": (2.0, 1.0)}


def few(splits: Splits) -> Splits:
    parts: dict[str, Any] = {name: part[:20] for name, part in splits.parts().items()}
    return Splits(**parts, name=splits.name)


SERIES = {  # features, classes of each step, numbers to predict at each step
    "jsb-chorales": (88, 0, 0),
    "half-cheetah": (17, 0, 17),
    "gesture": (32, 5, 0),
    "occupancy": (5, 2, 0),
    "traffic": (7, 0, 1),
    "power": (6, 0, 1),
    "ozone": (72, 2, 0),
    "person-activity": (7, 7, 0),
}


def series(features: int, classes: int, targets: int) -> Sequences:
    """20 sequences of 6 steps."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(classes, (20, 6), generator=generator) if classes else None
    y = torch.randn(20, 6, targets, generator=generator) if targets else y
    x = torch.rand(20, 6, features, generator=generator).round()
    return Sequences(x, torch.full((20,), 6), y, classes=tuple("0123456789")[:classes])


def small(name: str) -> Splits:
    """A source cut to 20 examples a split; noise in the place of what comes from files, so that none is needed."""
    shapes = {"mnist": (1, 28, 28), "mnist-binary": (1, 28, 28), "cifar10": (3, 32, 32), "omniglot": (1, 28, 28)}
    shapes |= {"reuters-r8": (1, 1, 50)}
    if name in SERIES:
        part = series(*SERIES[name])
        return Splits(part, part, part, name)
    if name == "tinyshakespeare":
        return cut(by_position("ROMEO:\nBut, soft! what light through yonder window breaks?\n" * 100), name, name)
    if name == "facades64":
        return replace(small("facades-like"), name=name)
    if name == "multi30k":
        return replace(small("addition"), name=name)
    if name not in shapes:
        module, function = source.SOURCES[name][0].split(":")
        return few(getattr(import_module(module), function)())
    x = torch.randint(256, (20, *shapes[name]), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = Images(x, torch.arange(20) % 10, tuple("0123456789"))
    return Splits(whole, whole, whole, name)


@pytest.fixture(scope="module")
def lab_of_few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    draws = few(gan.normal())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_named", lambda name: lambda data_dir: small(name))
        patch.setattr(gan, "normal", lambda: draws)
        patch.setattr(vae, "LONGEST", 3)
        patch.setattr(clusterer, "LEAST_SPREAD", 0.0)
        for name, value in SHORT.items():
            patch.setattr(autodiff, name, value)
        for name, value in {"POINTS": 10, "WIDTHS": (5, 10), "WIDTH": 5, "STEPS": 20, "UNITS": 8}.items():
            patch.setattr(dynamics, name, value)
        for module in (coulomb_gan, lsgan, wgan, wgan_gp):
            for name, value in ADVERSARIAL.items():
                patch.setattr(module, name, value, raising=False)
        few_pictures = {"SEEDS": range(1), "GENERATED": 200, "DRAWN": 100, "TRIALS": 2, "COSTS": (1.0,)}
        for name, value in few_pictures.items():
            patch.setattr(dcgan, name, value)
        for name, value in {"SEEDS": range(1), "SMALL": {"maps": 2}, "FRONTS": {"maps": 2}}.items():
            patch.setattr(pix2pix, name, value)
        for name, value in {"POINTS": 4, "THETAS": (0.1, 1.0), "SIZES": (180,), "DRAWS": 2}.items():
            patch.setattr(distances, name, value)
        for module in (distances, mlp, vae, gan, ema, autodiff, dec, idec, dcn, deep_clustering, dynamics):
            patch.setattr(module, "SEEDS", range(2))
        for module in (char_rnn, counter, liquid_network, lstm_classifier, saps, seq2seq, sequence_model):
            patch.setattr(module, "SEEDS", range(1))
        patch.setattr(counter, "TRIED", 10)
        for module in (cyclegan, semantic_hash):
            patch.setattr(module, "SEEDS", range(1))
        patch.setattr(cyclegan, "NARROW", {"blocks": 1, "maps": 2, "field": 16})
        for module in (cyclegan, pix2pix):
            patch.setattr(module, "segmenter", partial(segmentation.segmenter, epochs=1))
        yield ShortLab(runs=tmp_path_factory.mktemp("runs"), seeds=(0,))


@pytest.mark.parametrize(("system", "each"), EVERY, ids=lambda value: value.name if isinstance(value, Claim) else value)
def test_every_experiment_runs(lab_of_few: Lab, system: str, each: Claim) -> None:
    found = each.experiment(lab_of_few)
    assert isinstance(found.holds, bool)
    assert found.note
    for value in found.numbers.values():
        mean = value["mean"] if isinstance(value, dict) else value
        assert math.isfinite(mean)
    for plot in found.plots.values():
        assert plot.scale != "log" or min(plot.x) > 0
        for values in plot.series.values():
            assert len(values) == len(plot.x)
            assert plot.scale == "linear" or min(values) > 0
            assert all(map(math.isfinite, values))
    json.dumps(found.numbers)


def test_the_density_of_a_linear_generator_is_that_of_its_samples() -> None:
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(4, 1))
    x = torch.linspace(-4, 4, 4001, dtype=torch.float64)
    density = gan.density(layer, x)
    assert torch.trapezoid(density, x) == pytest.approx(1, abs=1e-6)
    with torch.no_grad():
        samples = layer(2 * torch.rand(20_000, 4) - 1)[:, 0]
    cumulative = torch.cumulative_trapezoid(density, x)
    assert kstest(samples.numpy(), lambda at: np.interp(at, x[1:].numpy(), cumulative.numpy())).pvalue > 0.01


def test_a_gradient_of_the_minimax_loss_is_that_of_the_other_times_the_odds() -> None:
    """-D against -(1 - D) at the logit: with one D for all samples the gradients differ by D / (1 - D)."""
    torch.manual_seed(0)
    system = GAN(2, latent=3, hidden=(8,), discriminator_units=4, pieces=2, output="linear").eval()
    final = system.discriminator[-1]
    assert isinstance(final, nn.Linear)
    nn.init.constant_(final.bias, -12.0)
    final.weight.data.mul_(1e-4)
    d, minimax, nonsaturating = gan.gradients(system)
    assert minimax / nonsaturating == pytest.approx(d / (1 - d), rel=1e-2)


def test_rubbish_competes_with_the_classes() -> None:
    torch.manual_seed(0)
    reader = LeNet(1, 28, 28, 10)
    x = torch.rand(5, 1, 28, 28)
    with torch.no_grad():
        weights = torch.exp(-reader.distances(x).double())
    expected = weights / (weights.sum(1, keepdim=True) + math.exp(-RUBBISH))
    assert torch.allclose(vae.posterior(reader, x).double(), expected, atol=1e-5)


def test_recognised_examples_and_their_classes() -> None:
    posterior = torch.tensor([[0.95, 0.01], [0.5, 0.4], [0.02, 0.9], [0.97, 0.0]])
    assert vae.recognised(posterior) == 0.75
    assert vae.classes(posterior) == 2
    assert vae.classes(posterior[:2]) == 1
