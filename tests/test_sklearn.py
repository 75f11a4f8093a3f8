"""The estimators keep scikit-learn's conventions, say what their systems say and leave nothing behind."""

import doctest
import os
import pickle
import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import etude.sklearn
from etude.catalogue import find
from etude.engine import train as engine
from etude.engine.run import Run
from etude.errors import InputError
from etude.signature import arguments
from etude.sklearn import DCN, DEC, IDEC, DeepClusterer, DeepClustering
from etude.systems.autoencoders.stacked_autoencoder import StackedAutoencoder

ESTIMATORS: list[type[DeepClusterer]] = [DEC, IDEC, DCN, DeepClustering]
SMALL: dict[str, Any] = {
    "hidden": (),
    "latent": 2,
    "layer_epochs": 0,
    "pretrain_epochs": 1,
    "epochs": 1,
    "batch": 10,
    "pretrain_rate": 1.0,
    "device": "cpu",
}
X, Y = make_blobs(60, 4, centers=3, cluster_std=0.5, random_state=0)
X = StandardScaler().fit_transform(X)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is thrown away need not survive a power cut, and there are hundreds of fits below."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


CHECKS = [
    pytest.param(estimator, check, id=f"{type(estimator).__name__}-{check.func.__name__}")
    for each in ESTIMATORS
    for estimator, check in estimator_checks_generator(each(3, **SMALL))
    if check.func.__name__ != "check_array_api_input"  # which is of optional support, and runs in an environment for it
]


@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learn_takes_it_for_its_own(estimator: Any, check: Any) -> None:
    check(estimator)


def test_the_example_of_the_module_runs() -> None:
    ran = doctest.testmod(etude.sklearn)
    assert (ran.attempted, ran.failed) == (3, 0)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_clusters_are_students_t_around_the_centroids(estimator: type[DeepClusterer]) -> None:
    fitted = estimator(3, **SMALL, random_state=0).fit(X)
    distances = cdist(fitted.transform(X), fitted.cluster_centers_)
    kernel = 1 / (1 + distances**2)
    np.testing.assert_allclose(fitted.soft_assignments(X), kernel / kernel.sum(1, keepdims=True), rtol=1e-4)
    np.testing.assert_array_equal(fitted.predict(X), distances.argmin(1))
    np.testing.assert_array_equal(fitted.labels_, distances.argmin(1))
    assert adjusted_rand_score(Y, fitted.labels_) > 0.9


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_example_is_trained_on(estimator: type[DeepClusterer]) -> None:
    assert len(estimator(3, **SMALL, random_state=0).fit(X).system_.among.of(torch.arange(len(X))).unique()) == 3


def test_passes_of_clustering_are_counted() -> None:
    layered = SMALL | {"epochs": 4, "hidden": (5,), "layer_epochs": 2, "pretrain_rate": 0.3}
    assert DCN(3, **layered, random_state=0).fit(X).n_iter_ == 4
    assert DEC(3, **SMALL | {"epochs": 4}, tolerance=1.0, random_state=0).fit(X).n_iter_ == 1


def test_random_state_decides_and_no_other_is_touched() -> None:
    np.random.seed(3)
    torch.manual_seed(3)
    before, numpys = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()
    first, second, third = (DEC(3, **SMALL, random_state=state).fit_transform(X) for state in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], numpys)
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, third)


def test_a_stream_of_random_numbers_gives_each_fit_its_own() -> None:
    stream = DEC(3, **SMALL, random_state=np.random.RandomState(0))
    assert not np.allclose(stream.fit_transform(X), stream.fit_transform(X))


def test_pipelines_and_searches() -> None:
    chain = make_pipeline(StandardScaler(), DEC(3, **SMALL, random_state=0))
    np.testing.assert_array_equal(clone(chain).fit_predict(X.tolist()), chain.fit(X).predict(X))
    assert chain.get_feature_names_out().tolist() == ["dec0", "dec1"]
    search = GridSearchCV(chain, {"dec__n_clusters": [2, 3]}, scoring="adjusted_rand_score", cv=2).fit(X, Y)
    assert search.best_params_ == {"dec__n_clusters": 3}


def test_a_pickle_predicts_alike() -> None:
    fitted = DeepClustering(3, **SMALL, random_state=0).fit(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_defaults_are_the_systems(estimator: type[DeepClusterer]) -> None:
    given, own, on = estimator().get_params(), arguments(find(estimator.system)), arguments(StackedAutoencoder)
    shared = given.keys() & own.keys() - {"epochs", "batch"}
    assert {"rate"} < shared
    assert {name: given[name] for name in shared} == {name: own[name].default for name in shared}
    assert (given["latent"], given["pretrain_rate"]) == (on["latent"].default, on["rate"].default)


@pytest.mark.parametrize(
    "estimator",
    [
        DEC(3, **SMALL, rate=0.03, tolerance=0.2),
        IDEC(3, **SMALL, rate=0.03, tolerance=0.2, gamma=0.7),
        DCN(3, **SMALL, rate=0.03, pull=0.7),
        DeepClustering(
            3,
            **SMALL | {"hidden": (7, 6), "layer_epochs": 1},
            rate=0.03,
            clustering=("hardening", "kmeans"),
            others=("balance",),
            weights=(1.0, 2.0, 3.0),
            schedule="ramp",
            alpha=0.7,
            sizes=(3.0, 2.0, 1.0),
            tolerance=0.2,
        ),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_every_parameter_reaches_the_system(estimator: DeepClusterer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def train(system: str, *given: Any, **options: Any) -> Run:
        run = engine.train(system, *given, **options)
        asked.update(run.question)
        return run

    monkeypatch.setattr("etude.sklearn.train", train)
    monkeypatch.setattr("etude.systems.clusterer.LEAST_SPREAD", 0.0)
    estimator.fit(X)
    own, on = asked["arguments"], asked["on"]["arguments"]
    reached = own | {name: on[name] for name in ("hidden", "latent", "layer_epochs")}
    reached |= {"n_clusters": own["clusters"], "pretrain_epochs": on["epochs"], "pretrain_rate": on["rate"]}
    reached |= {"precision": asked["precision"]}
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in estimator.get_params().items()}
    sought = given.keys() - {"device", "random_state"}
    assert {name: reached[name] for name in sought} == {name: given[name] for name in sought}
    assert on["batch"] == given["batch"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_clusters": 61}, "n_samples=60 is fewer than n_clusters=61: give as many"),
        ({"n_clusters": 2.5}, "n_clusters=2.5: expected a whole number"),
        ({"pretrain_epochs": -1}, "pretrain_epochs=-1: expected a whole number in"),
        ({"hidden": (0,)}, r"hidden=\(0,\): expected numbers, each a whole number in \[1, inf\)"),
        ({"tolerance": 2}, r"tolerance=2: expected a number in \[0, 1\]"),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_mistakes(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DEC(**{"n_clusters": 3} | SMALL | given).fit(X)


def test_an_interrupt_interrupts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*given: Any) -> dict[str, torch.Tensor]:
        signal.raise_signal(signal.SIGINT)
        return {}

    monkeypatch.setattr(find("dec"), "step", interrupted)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        DEC(3, **SMALL).fit(X)
    assert not list(tmp_path.iterdir())
