"""The page shows what `etude evaluate --features` has filed, and nothing before."""

from pathlib import Path

from etude.engine import translations
from etude.engine.extractors import score_generator
from etude.engine.files import write_json
from etude.engine.train import train
from etude.report import features, page
from etude.report.view import View


def test_scores_in_features_are_shown(tmp_path: Path) -> None:
    run = train("vae", "digits", runs=tmp_path, latent=2, hidden=(8,), epochs=1, quiet=True)
    net = train("mlp", "digits", runs=tmp_path, hidden=(4,), epochs=1, quiet=True)
    view = View(run, run.system, run.data())
    assert list(features.scored(view)) == []
    told = score_generator(run, str(net.folder), count=1500)
    (section,) = features.scored(view)
    assert section.rows[0] == ("fid", f"{told['scores']['fid']:.5g}")
    assert len(section.rows) == len(told["scores"])
    assert section.text[0].startswith(f"1,500 samples against 270 real pictures in the features of {net.folder}")
    assert section.text[0].split(".")[0] in page.write(run).read_text()


def test_the_fcn_score_is_shown(tmp_path: Path) -> None:
    run = train("vae", "digits", runs=tmp_path, latent=2, hidden=(8,), epochs=1, quiet=True)
    view = View(run, run.system, run.data())
    assert list(features.judged(view)) == []
    scores = {"class IoU": 0.25, "real pictures, class IoU": 0.5}
    told = {"extractor": "a segmenter trained on 170 real pairs", "real": 30, "generated": 30, "scores": scores}
    write_json(run.folder / translations.FILE, told)
    (section,) = features.judged(view)
    assert section.rows == [("class IoU", "0.25"), ("real pictures, class IoU", "0.5")]
    assert section.text[0].startswith("Pictures made from 30 maps of the test split, as seen by a segmenter trained on")
    assert section.text[0].split(":")[0] in page.write(run).read_text()
