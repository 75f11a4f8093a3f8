"""What a page shows of a clustering, against the paper's formulas, the table that was read and the run's scores."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics.cluster import contingency_matrix

from etude.engine.run import Run
from etude.engine.train import train
from etude.report import clustering, page
from etude.report.view import Section, View

DEC: dict[str, Any] = {"epochs": 8, "batch": 20, "restarts": 2, "tolerance": 0.0}
ENCODER: dict[str, Any] = {
    "on.hidden": (32,),
    "on.latent": 3,
    "on.rate": 0.3,
    "on.layer_epochs": 10,
    "on.epochs": 30,
    "on.batch": 20,
}
TOPICS = {"sea": "The sailors sailed the ship over stormy seas", "farm": "Farmers harvest wheat and feed their cattle"}
NOISE = (torch.rand(60, 8, 8, generator=torch.Generator().manual_seed(0)) * 255).byte()


def clustered(folder: Path, data: Any, **more: Any) -> Run:
    return train("dec", data, runs=folder, quiet=True, device="cpu", **(DEC | ENCODER | more))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    draw = np.random.default_rng(0)
    with (folder / "herd.csv").open("w") as file:
        rows = [(10 * (i % 2) + draw.normal(), ("cow", "goat")[i % 2], draw.normal()) for i in range(160)]
        csv.writer(file).writerows([("weight", "animal", "noise"), *rows])
    for i in range(40):
        topic = tuple(TOPICS)[i % 2]
        (folder / "texts").mkdir(exist_ok=True)
        (folder / "texts" / f"{i:02d}.txt").write_text(f"{TOPICS[topic]} {topic * (1 + i // 2)}")
    return {
        "pictures": clustered(folder, "digits", batch=100, **{"on.batch": 100}),
        "without labels": clustered(folder, NOISE, clusters=4),
        "one number": clustered(folder, NOISE, clusters=40, **{"on.latent": 1, "epochs": 1}),
        "table": clustered(folder, folder / "herd.csv", clusters=2),
        "texts": clustered(folder, folder / "texts", clusters=2),
    }


def view(run: Run, data: Any = None) -> View:
    return View(run, run.system, run.data(data))


def drawn(section: Any, run: Run) -> Section:
    (found,) = section(view(run))
    assert isinstance(found, Section)
    return found


ALWAYS = {"Clusters", "Beside what needs no training"}
PLANES = {"Latent space", "Latent space over the epochs"}


@pytest.mark.parametrize(
    ("name", "there", "not_there"),
    [
        ("pictures", {*PLANES, "Surest examples of each cluster", "Who pulls on the codes"}, "What tells"),
        ("table", {*PLANES, "What tells the clusters apart", "Who pulls on the codes"}, "Surest"),
    ],
)
def test_a_page_shows_what_the_data_allow(
    runs: dict[str, Run], name: str, there: set[str], not_there: set[str]
) -> None:
    text = page.write(runs[name]).read_text()
    found = set(re.findall("<h2>(.*?)</h2>", text))
    assert ALWAYS | there <= found
    assert not [title for title in found if title.startswith(not_there)]
    assert "Could not be drawn" not in text


@pytest.mark.parametrize("name", ["without labels", "one number"])
def test_without_labels_all_is_shown_that_can_be(runs: dict[str, Run], name: str) -> None:
    text = page.write(runs[name], NOISE).read_text()
    found = set(re.findall("<h2>(.*?)</h2>", text))
    assert "Could not be drawn" not in text
    assert {"Clusters", "Surest examples of each cluster"} <= found
    assert (found >= PLANES) == (name == "without labels")
    assert ("silhouette among the codes" in text) == (name == "without labels")
    assert "In brackets" not in text
    assert "by class" not in text


def test_clusters_are_named_by_the_classes_that_lie_on_the_diagonal(runs: dict[str, Run]) -> None:
    seen = view(runs["pictures"])
    assert seen.soft is not None
    assert seen.labels is not None
    counts = contingency_matrix(seen.labels.numpy(), seen.soft.argmax(1).numpy())
    place = clustering.classes_of_clusters(seen)
    right = sum(counts[its, cluster] for cluster, its in enumerate(place[: counts.shape[1]]) if its >= 0)
    assert right / len(seen.labels) == pytest.approx(runs["pictures"].scores["clustering_accuracy"])
    assert clustering.names(seen)[0] == f"0 ({place[0]})"
    assert f"{right / len(seen.labels):.1%}" in drawn(clustering.sizes, runs["pictures"]).text[0]


def test_baselines_end_with_the_system_itself(runs: dict[str, Run]) -> None:
    rows = [tuple(row) for row in drawn(clustering.baselines, runs["pictures"]).rows]
    names = ["k-means on the inputs", "spectral clustering of the inputs", "k-means on the codes"]
    assert [name for name, _ in rows[:3]] == names
    assert rows[3:] == [("this system", f"{runs['pictures'].scores['clustering_accuracy']:.1%}")]


def test_features_are_told_in_the_units_of_the_table(runs: dict[str, Run]) -> None:
    seen = view(runs["table"])
    assert seen.test is not None
    assert seen.soft is not None
    with (runs["table"].folder.parent / "herd.csv").open() as file:
        table = list(csv.DictReader(file))
    test = [table[row] for row in seen.test.index.tolist()]
    c = seen.soft.argmax(1).tolist()
    for name, _, told in drawn(clustering.surest, runs["table"]).rows:
        own = [row for row, cluster in zip(test, c, strict=True) if cluster == int(name)]
        mean, everyone = (np.mean([float(row["weight"]) for row in some]) for some in (own, test))
        assert f"weight: {mean:.3g} ({everyone:.3g})" in told
        cows, all_cows = (np.mean([row["animal"] == "cow" for row in some]) for some in (own, test))
        assert f"animal = cow: {cows:.0%} ({all_cows:.0%})" in told


def test_stems_of_largest_weight_tell_texts_apart(runs: dict[str, Run]) -> None:
    rows = drawn(clustering.surest, runs["texts"]).rows
    assert len(rows) == 2
    assert sorted(("sailor" in told, "farmer" in told) for _, _, told in rows) == [(False, True), (True, False)]


def test_the_film_shows_at_most_six_frames_the_first_and_the_last_among_them(runs: dict[str, Run]) -> None:
    run = runs["pictures"]
    assert len(run.film()) == DEC["epochs"] + 1
    captions = [figure.caption for figure in drawn(clustering.film, run).figures]
    assert len(captions) == clustering.FRAMES
    assert captions[0] == "before refinement"
    assert captions[-1] == f"epoch {DEC['epochs']} of refinement"


def test_pulls_are_the_papers_gradient() -> None:
    """Equation 4 of Xie et al. 2016, where alpha is 1: the factor (alpha + 1) / alpha is 2."""
    random = torch.Generator().manual_seed(0)
    z, centroids = (torch.randn(n, 4, generator=random, dtype=torch.float64) for n in (30, 3))
    kernel = 1 / (1 + torch.cdist(z, centroids).square())
    q = kernel / kernel.sum(1, keepdim=True)
    weight = q**2 / q.sum(0)
    p = weight / weight.sum(1, keepdim=True)
    gradient = 2 * torch.einsum("ij,ijd->id", kernel * (p - q), z[:, None] - centroids)
    found, force = clustering.pulls(z, centroids)
    torch.testing.assert_close(found, q)
    torch.testing.assert_close(force, gradient.norm(dim=1))
