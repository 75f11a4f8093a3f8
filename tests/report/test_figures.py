import base64
import io
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from etude.report import figures

GENERATOR = torch.Generator().manual_seed(0)
POINTS = torch.randn(50, 2, generator=GENERATOR)


def every_plot() -> dict[str, str]:
    y = torch.arange(50) % 2
    return {
        "curves": figures.curves("loss", {"a": ([1, 2, 3], [3.0, 2.0, 1.0]), "b": ([1, 2], [2.0, 2.5])}),
        "lines": figures.lines(("x", "y"), [1, 10, 100], {"<a>": [1.0, 2.0, 3.0], "b": [5.0, 50.0, 500.0]}),
        "confusion": figures.confusion(torch.tensor([[8, 2], [0, 5]]), ["cat & dog", "$5"]),
        "crossed": figures.crossed(torch.tensor([[8, 2, 1], [0, 5, 0]]), ["<a>", "b"], ["0", "1", "2"], ("x", "y")),
        "plane": figures.plane(POINTS, y, ["<a>", "b"], ("z1", "z2")),
        "centroids": figures.plane(POINTS, y, ["<a>", "b"], ("z1", "z2"), POINTS[:3]),
        "frame": figures.frame(POINTS, y, POINTS[:2], (POINTS.min(0).values, POINTS.max(0).values)),
        "bars": figures.bars([3, 0, 5], ["<a>", "b", "c"], ("examples", "cluster")),
        "silhouettes": figures.silhouettes(torch.linspace(-1, 1, 50), y, 3),
        "cloud": figures.cloud(POINTS[:, 0], POINTS[:, 1], ("q", "gradient")),
        "scatter": figures.scatter(POINTS, POINTS + 0.1),
        "reliability": figures.reliability(torch.rand(50, generator=GENERATOR), y == 1),
    }


@pytest.mark.parametrize("name", every_plot())
def test_a_plot_is_svg_that_runs_nothing_loads_nothing_and_takes_the_ink_of_its_page(name: str) -> None:
    svg = every_plot()[name]
    tree = ET.fromstring(svg)
    assert tree.tag == "{http://www.w3.org/2000/svg}svg"
    addresses = [value for node in tree.iter() for key, value in node.attrib.items() if key.endswith("href")]
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)
    assert "script" not in svg
    assert "currentColor" in svg
    assert figures.INK not in svg


def test_the_same_numbers_give_the_same_bytes() -> None:
    confusion, curve = torch.tensor([[3, 1], [1, 3]]), {"": ([1, 2], [1.0, 2.0])}
    assert figures.confusion(confusion, ["a", "b"]) == figures.confusion(confusion, ["a", "b"])
    assert figures.curves("loss", curve) == figures.curves("loss", curve)


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()).strip() for node in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_confusion_matrix_writes_names_and_counts() -> None:
    words = texts(figures.confusion(torch.tensor([[17, 2], [0, 35]]), ["cat & dog", "$5"]))
    assert {"17", "2", "0", "35", "cat & dog", "$5"} <= set(words)


def test_more_clusters_than_have_room_are_drawn_without_their_names() -> None:
    many = figures.MOST_NAMED + 1
    for count, last in ((many - 1, "39"), (many, "40")):
        words = texts(figures.plane(POINTS, None, [], ("z1", "z2"), POINTS[:count]))
        assert (last in words) == (count < many)
    assert "name" not in texts(figures.bars([1] * many, ["name"] * many, ("examples", "cluster")))
    assert texts(figures.bars([1, 2], ["name"] * 2, ("examples", "cluster"))).count("name") == 2


def test_epochs_are_counted_in_whole_numbers() -> None:
    ticks = texts(figures.curves("loss", {"": ([1, 2, 3, 4], [4.0, 3.0, 2.0, 1.0])}))
    assert {"1", "2", "3", "4"} <= set(ticks)
    assert "2.5" not in ticks[: ticks.index("epoch")]


def test_lines_name_their_axes_and_series_and_count_in_powers_of_ten() -> None:
    words = texts(figures.lines(("passes", "bytes"), [1, 10, 100], {"one": [0.1, 1, 10], "other": [3, 3, 3]}))
    assert {"passes", "bytes", "one", "other", "0.1", "10", "100"} <= set(words)


def test_a_linear_plot_goes_below_zero_and_long_labels_are_broken() -> None:
    words = texts(
        figures.lines(("step", "what a unit holds, as a share of its largest"), [0, 1], {"a": [-1, 1]}, "linear")
    )
    assert {"\N{MINUS SIGN}0.5", "0", "0.5"} <= set(words)
    assert "what a unit holds, as a share of its" in words


def test_an_exponential_is_straight_where_y_alone_is_logarithmic() -> None:
    x = list(range(5))
    text = figures.lines(("t", "y"), x, {"a": [10.0**-t for t in x]}, "semilog")
    path = re.findall(rf'<path d="(M[^"]*)"[^>]*stroke: {figures.COLOURS[0]}', text)[0]
    points = [tuple(map(float, pair)) for pair in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)]
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points)]
    assert len(steps) == len(x) - 1
    assert np.allclose(steps, steps[0], atol=1e-3)


def test_a_plane_names_the_classes() -> None:
    assert {"<a>", "b", "z1", "z2"} <= set(texts(every_plot()["plane"]))


def test_the_bars_of_a_reliability_plot_account_for_every_example() -> None:
    confidence = torch.tensor([0.05, 0.93, 0.97, 1.0, 0.55])
    words = texts(figures.reliability(confidence, torch.tensor([True, True, False, True, True])))
    assert sum(int(word) for word in words if re.fullmatch(r"\d+", word)) == len(confidence)


def test_phases_are_marked_where_there_are_several() -> None:
    series = {"": ([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0])}
    assert {"pretrain", "refine"} <= set(texts(figures.curves("loss", series, [(0, "pretrain"), (2, "refine")])))
    assert "train" not in texts(figures.curves("loss", series, [(0, "train")]))


@pytest.mark.parametrize(("last", "logarithmic"), [(1e-3, True), (0.5, False), (-1.0, False)])
def test_only_a_fall_to_a_hundredth_is_drawn_on_a_logarithmic_axis(last: float, logarithmic: bool) -> None:
    words = texts(figures.curves("loss", {"": ([1, 2, 3], [1.0, 0.6, last])}))
    assert ("0.001" in words and "0.1" in words) == logarithmic


def test_samples_outside_the_frame_are_counted() -> None:
    samples = torch.cat([POINTS[:5], POINTS.new_full((3, 2), 100.0)])
    assert "3 of 8 samples lie outside the frame" in texts(figures.scatter(samples, POINTS))


def test_a_sheet_puts_pictures_row_by_row() -> None:
    grey = torch.linspace(0, 1, 5)[:, None, None, None].expand(5, 1, 8, 6)
    whole = np.asarray(figures.sheet(grey, columns=3, scale=4, gap=2))
    assert whole.shape == (2 * 34 - 2, 3 * 26 - 2)
    for place, value in enumerate((0, 64, 128, 191, 255)):
        top, left = place // 3 * 34, place % 3 * 26
        assert (whole[top : top + 32, left : left + 24] == value).all()


def test_a_sheet_keeps_colours_and_cuts_off_what_is_outside() -> None:
    red = torch.tensor([2.0, -1.0, 0.0])[None, :, None, None].expand(1, 3, 4, 4)
    assert (np.asarray(figures.sheet(red)) == [255, 0, 0]).all()


def test_small_pictures_are_enlarged_and_large_ones_left_alone() -> None:
    assert figures.sheet(torch.zeros(1, 1, 8, 8)).size == (56, 56)
    assert figures.sheet(torch.zeros(1, 1, 28, 28)).size == (56, 56)
    assert figures.sheet(torch.zeros(1, 3, 128, 100)).size == (100, 128)


def test_an_embedded_picture_is_the_picture() -> None:
    picture = figures.sheet(torch.rand(2, 1, 8, 8, generator=GENERATOR))
    found = re.fullmatch(
        r'<img alt="a &lt;b&gt;" width="30" src="data:image/png;base64,(.*)">', figures.embed(picture, "a <b>", 30)
    )
    assert found is not None
    again = Image.open(io.BytesIO(base64.b64decode(found[1])))
    assert again.tobytes() == picture.tobytes()
