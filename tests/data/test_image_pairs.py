"""Pictures of two domains: what Pillow wrote comes back in pairs, or as two domains that share no picture."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from etude.data import source
from etude.data.check import check
from etude.data.image_pairs import domain_folders, load_image_pairs, packed, unaligned
from etude.data.kinds import ImagePairs, Images, Splits
from etude.data.own import load_path
from etude.errors import InputError

RANDOM = np.random.default_rng(0)


def write(path: Path, pixels: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def pixels(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape).astype(np.uint8)


def grey(path: Path, values: range | list[int], size: int = 4) -> None:
    """A flat picture of each shade of grey, called by its number."""
    for value in values:
        write(path / f"{value}.png", np.full((size, size), value, np.uint8))


def parts(splits: Splits) -> list[ImagePairs]:
    found = [part for part in splits.parts().values() if isinstance(part, ImagePairs)]
    assert len(found) == 3
    return found


def shades(pictures: torch.Tensor) -> list[int]:
    return pictures[:, 0, 0, 0].tolist()


def test_halves_of_a_picture(tmp_path: Path) -> None:
    made = [write(tmp_path / f"{place:02}.png", pixels(4, 8, 3)) for place in range(20)]
    for target, left, right in ((None, "x", "y"), ("right", "x", "y"), ("left", "y", "x")):
        for part in parts(load_image_pairs(tmp_path, target)):
            assert part.aligned
            assert part.dimensions == {"channels": 3, "target_channels": 3, "height": 4, "width": 4}
            for place, number in enumerate(part.index):
                whole = torch.from_numpy(made[int(number)]).permute(2, 0, 1)
                assert torch.equal(part.tensors()[left][place], whole[..., :4])
                assert torch.equal(part.tensors()[right][place], whole[..., 4:])


@pytest.mark.parametrize("width", [2, 6, 48])
def test_halves_need_not_be_square(tmp_path: Path, width: int) -> None:
    made = [write(tmp_path / f"{place:02}.png", pixels(4, width, 3)) for place in range(20)]
    for part in parts(load_image_pairs(tmp_path)):
        assert part.dimensions == {"channels": 3, "target_channels": 3, "height": 4, "width": width // 2}
        for place, number in enumerate(part.index):
            whole = torch.from_numpy(made[int(number)]).permute(2, 0, 1)
            assert torch.equal(torch.cat([part.x[place], part.y[place]], 2), whole)


def scene(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A map of three colours, and a smooth picture in which the same parts are dark, middling and bright."""
    top, left = RANDOM.integers(height // 2), RANDOM.integers(width // 2)
    parts_ = np.zeros((height, width), np.uint8)
    parts_[top : top + height // 2] = 1
    parts_[:, left : left + width // 3] = 2
    colours = np.array([(0, 0, 170), (0, 85, 255), (255, 0, 0)], np.uint8)
    shade = 100 * parts_.astype(float) + np.linspace(0, 40, width)
    return colours[parts_], np.repeat(shade[..., None], 3, 2).astype(np.uint8)


@pytest.mark.parametrize("form", ["halves", "folders"])
def test_pictures_of_any_size_become_squares_that_stay_pairs_and_maps_keep_their_colours(
    tmp_path: Path, form: str
) -> None:
    for place in range(20):
        both = scene(*map(int, RANDOM.integers(40, 90, 2)))
        if form == "halves":
            odd = np.zeros((both[0].shape[0], place % 2, 3), np.uint8)  # a column between them belongs to neither
            write(tmp_path / f"{place}.png", np.hstack([both[0], odd, both[1]]))
        else:
            for name, picture in zip("AB", both, strict=True):
                write(tmp_path / name / f"{place}.png", picture)
    splits = load_image_pairs(tmp_path, size=16)
    for part in parts(splits):
        assert part.aligned
        assert part.dimensions == {"channels": 3, "target_channels": 3, "height": 16, "width": 16}
        colours = part.x.permute(0, 2, 3, 1).flatten(0, 2)
        assert {tuple(colour) for colour in colours.tolist()} == {(0, 0, 170), (0, 85, 255), (255, 0, 0)}
        number = 2 * (part.x[:, 0] > 0).int() + (part.x[:, 1] > 0).int()
        right = (part.y[:, 0] // 100).clamp(max=2) == number
        assert right.float().mean() > 0.85
        assert len(part.y.unique()) > 60


def test_new_pictures_become_squares_as_those_of_training(tmp_path: Path) -> None:
    for place in range(20):
        for name, picture in zip("AB", scene(40 + place, 70), strict=True):
            write(tmp_path / name / f"{place}.png", picture)
    splits = source.load(tmp_path, kind=ImagePairs, size=16)
    assert splits.preparation["size"] == 16
    part = parts(splits)[0]
    for place in range(3):
        name = f"{sorted(range(20), key=str)[int(part.index[place])]}.png"
        read = [source.read(tmp_path / side / name, ImagePairs, splits.preparation).tensors()["x"][0] for side in "AB"]
        assert torch.equal(read[0], part.x[place])
        assert torch.equal(read[1], part.y[place])


def test_splits_that_are_given_are_kept(tmp_path: Path) -> None:
    for part, count in (("train", 20), ("val", 4), ("test", 3)):
        for place in range(count):
            write(tmp_path / part / f"{place}.png", pixels(4, 8))
    assert [len(part) for part in parts(load_image_pairs(tmp_path))] == [20, 4, 3]
    for domain in "AB":
        grey(tmp_path / "two" / f"train{domain}", range(20))
        grey(tmp_path / "two" / f"test{domain}", range(3))
    assert [len(part) for part in parts(load_image_pairs(tmp_path / "two"))] == [17, 3, 3]


def test_pictures_of_one_name_are_pairs(tmp_path: Path) -> None:
    grey(tmp_path / "A", range(20))
    for value in range(20):
        write(tmp_path / "B" / f"{value}.bmp", np.full((4, 4, 3), 100 + value, np.uint8))
    for target, step in ((None, 100), ("B", 100), ("A", -100)):
        splits = load_image_pairs(tmp_path, target)
        for part in parts(splits):
            assert part.aligned
            assert [y - x for x, y in zip(shades(part.x), shades(part.y), strict=True)] == [step] * len(part)
        assert sorted(min(x, y) for p in parts(splits) for x, y in zip(shades(p.x), shades(p.y), strict=True)) == [
            *range(20)
        ]
    assert parts(load_image_pairs(tmp_path))[0].dimensions["target_channels"] == 3
    assert parts(load_image_pairs(tmp_path))[0].dimensions["channels"] == 1


def test_domains_that_do_not_agree_share_no_picture_between_splits(tmp_path: Path) -> None:
    grey(tmp_path / "A", range(20))
    grey(tmp_path / "B", range(100, 150))
    found = parts(load_image_pairs(tmp_path))
    assert not any(part.aligned for part in found)
    for side, values in (("x", range(20)), ("y", range(100, 150))):
        distinct = [set(shades(part.tensors()[side])) for part in found]
        assert sorted(value for each in distinct for value in each) == [*values]
    assert [len(part) for part in found] == [len(set(shades(part.y))) for part in found]


def test_the_smaller_domain_is_repeated() -> None:
    pair = unaligned(torch.arange(3)[:, None, None, None], torch.arange(7)[:, None, None, None])
    assert shades(pair.x) == [0, 1, 2, 0, 1, 2, 0]
    assert shades(pair.y) == [*range(7)]


def test_what_is_wrong_is_said_in_one_line(tmp_path: Path) -> None:
    for place in range(20):
        write(tmp_path / "wide" / f"{place:02}.png", pixels(4, 9))
        write(tmp_path / "packed" / f"{place:02}.png", pixels(4, 8))
    with pytest.raises(InputError, match=r"00\.png: 9x4 pixels are no two halves: .* or give --size$"):
        load_image_pairs(tmp_path / "wide")
    with pytest.raises(InputError, match=r"--target top: .*packed has left and right: give one of them"):
        load_image_pairs(tmp_path / "packed", "top")
    grey(tmp_path / "two" / "A", range(20))
    grey(tmp_path / "two" / "B", range(20), size=6)
    with pytest.raises(InputError, match=r"two: pictures of 4x4 and of 6x6 pixels: .*, or give --size$"):
        load_image_pairs(tmp_path / "two")
    with pytest.raises(InputError, match="has A and B"):
        load_image_pairs(tmp_path / "two", "left")


def test_unreadable_pictures_are_refused_or_left_out_with_their_counterparts(tmp_path: Path) -> None:
    for domain in "AB":
        grey(tmp_path / domain, range(20))
    (tmp_path / "A" / "3.png").write_bytes(b"no image")
    (tmp_path / "B" / "5.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"3\.png: not readable as an image"):
        load_image_pairs(tmp_path)
    unreadable: list[str] = []
    found = parts(load_image_pairs(tmp_path, None, unreadable))
    assert unreadable == [str(tmp_path / "A" / "3.png"), str(tmp_path / "B" / "5.png")]
    assert all(torch.equal(part.x, part.y) and part.aligned for part in found)
    assert sorted(shade for part in found for shade in shades(part.x)) == [n for n in range(20) if n not in (3, 5)]


def test_the_system_decides_what_a_folder_of_pictures_is(tmp_path: Path) -> None:
    for domain in "AB":
        grey(tmp_path / "classes" / domain, range(20))
        grey(tmp_path / "torn" / f"train{domain}", range(20))
    for place in range(20):
        write(tmp_path / "packed" / f"{place}.png", pixels(4, 8))
    for name in ("classes", "torn", "packed"):
        assert isinstance(load_path(tmp_path / name, kind=ImagePairs).train, ImagePairs)
    for name in ("classes", "packed"):
        assert isinstance(load_path(tmp_path / name, kind=Images).train, Images)
        assert isinstance(load_path(tmp_path / name).train, Images)
    assert isinstance(load_path(tmp_path / "torn").train, ImagePairs)
    turned = source.load(f"{tmp_path / 'packed'}:left", kind=ImagePairs).train.tensors()
    straight = load_path(tmp_path / "packed", kind=ImagePairs).train.tensors()
    assert torch.equal(turned["x"], straight["y"])


def test_check_tells_what_was_understood(tmp_path: Path) -> None:
    for place in range(20):
        write(tmp_path / "packed" / f"{place}.png", pixels(4, 8))
        write(tmp_path / "plain" / f"{place}.png", pixels(4, 4))
    grey(tmp_path / "torn" / "trainA", range(20))
    grey(tmp_path / "torn" / "trainB", range(30))
    assert check(tmp_path / "packed").also.startswith("ImagePairs, aligned, channels 1")
    assert check(tmp_path / "plain").also == ""
    report = check(tmp_path / "torn", target="A")
    assert (report.kind, report.pairs, report.also) == ("ImagePairs", "not aligned", "")
    assert any("not aligned" in line for line in report.lines())
    write(tmp_path / "packed" / "large.png", pixels(40, 80))
    assert "height 6, width 6" in check(tmp_path / "packed", size=6).also
    (tmp_path / "packed" / "broken.png").write_bytes(b"no image")
    assert packed(tmp_path / "packed")
    assert not packed(tmp_path / "plain")


def test_new_pictures_may_have_another_size(tmp_path: Path) -> None:
    for domain in "AB":
        grey(tmp_path / "torn" / f"train{domain}", range(20))
    splits = source.load(tmp_path / "torn")
    made = write(tmp_path / "new.png", pixels(6, 10))
    found = source.read(tmp_path / "new.png", ImagePairs, splits.preparation).tensors()["x"]
    assert np.array_equal(found[0, 0].numpy(), made)
    with pytest.raises(InputError, match="expected pictures of 1 channels, got 3 channels"):
        source.read(np.zeros((2, 3, 4, 4), np.uint8), ImagePairs, splits.preparation)
    with pytest.raises(InputError, match="got no pictures"):
        source.read(np.zeros((2, 4), np.uint8), ImagePairs, splits.preparation)


def test_folders_of_domains_by_part(tmp_path: Path) -> None:
    assert domain_folders(tmp_path) == {}
    for name in ("A", "trainA", "trainB", "valA", "valB", "testA"):
        (tmp_path / name).mkdir()
    assert domain_folders(tmp_path) == {
        "train": (tmp_path / "trainA", tmp_path / "trainB"),
        "validation": (tmp_path / "valA", tmp_path / "valB"),
    }
