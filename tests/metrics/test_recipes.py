"""Recipes: complete, of metrics that exist, and what was measured against the scripts holds."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.core import registry, weights
from lipbench.core.errors import ManifestError, UnknownName, UsageError
from lipbench.datasets.manifest import resolve
from lipbench.engine.config import parse_run_file
from lipbench.engine.rows import families
from lipbench.engine.score import score_video
from lipbench.metrics import functional, recipes
from tools.compare_recipe import blurred, first_seconds

METRICS = {m.id for name in registry.names("metrics") for m in registry.load("metrics", name).metrics}
ASKED = {"wav2lip", "syncnet", "latentsync", "talklip", "er-nerf", "talking-gaussian", "lipnerf"}


def run_file(**fields):
    return parse_run_file({"manifest": "demo", "methods": ["dubbed"], **fields}, "run")


def test_all_are_there():
    assert set(recipes.names()) >= ASKED
    with pytest.raises(UnknownName, match="talklip"):
        recipes.load("talk-lip")


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_says_everything_and_names_what_there_is(name):
    recipe = recipes.load(name)
    assert recipe.id == name
    assert set(recipe.metrics) <= METRICS
    for family, options in recipe.options.items():
        registry.load("metrics", family).parse(options)
    assert recipe.check
    assert {row.name for row in recipe.checked} <= {printed.name for printed in recipe.prints}
    if recipe.repository:
        assert len(recipe.commit) == 40
    for row in recipe.checked:  # what differs by more than the decoding has a cause, which the recipe names
        assert bool(row.why) == (row.lipbench != pytest.approx(row.script, rel=0.012)), row
        assert any(row.why in line for line in recipe.differs), row.why
    assert recipe.checked or not recipe.repository


@pytest.mark.parametrize("name", recipes.names())
def test_a_run_file_with_a_recipe_measures_by_it(name):
    recipe = recipes.load(name)
    config = run_file(recipe=name)
    measured = {family.id: options for family, options in families(config)}
    asked = {m for f in measured for m in (s.id for s in registry.load("metrics", f).metrics) if config.asks(f, m)}
    assert asked == set(recipe.metrics)
    for family, options in recipe.options.items():
        assert {name: measured[family][name] for name in options} == options
    # A finished run's file holds both.
    assert parse_run_file(config.model_dump(mode="json", by_alias=True, exclude_unset=True), "run") == config


def test_options_beside_a_recipe_win_and_metrics_are_refused():
    config = run_file(recipe="wav2lip", sync={"detector": "mediapipe-face"}, sync_model="demo")
    ((_, options),) = families(config)
    assert (options["detector"], options["sync_model"], options["codec"]) == ("mediapipe-face", "demo", "published")
    with pytest.raises(ManifestError, match="recipe"):
        run_file(recipe="wav2lip", metrics=["psnr_full"])
    with pytest.raises(UnknownName):
        run_file(recipe="wav2lop")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """The clip that the recipes were checked on, and its blurred copy, which has no sound."""
    folder = tmp_path_factory.mktemp("recipes")
    clip = next(clip for clip in resolve("demo").clips if clip.id == "demo-en")
    source = first_seconds(clip.video, 1.6, folder / "s.mp4")
    return {"source": source, "blurred": blurred(source, folder / "p.mp4")}


@pytest.mark.parametrize("name", ["talklip", "talking-gaussian"])
def test_the_numbers_that_were_compared_with_the_script_are_still_those(name, videos):
    if name == "talking-gaussian" and not weights.available("alexnet"):
        pytest.skip("LPIPS has no weights here")
    answer = score_video(videos["blurred"], reference=videos["source"], recipe=name, faces="demo-face")
    for row in recipes.load(name).checked:
        if row.clip == "demo-en":
            # Another OpenCV scales faces for the tracker a little otherwise: with 4.10 the distance moves by .0014 px.
            within = 0.003 if row.name.startswith("LMD") else 1e-5
            assert answer["recipe"]["prints"][row.name]["value"] == pytest.approx(row.lipbench, abs=within), row.name
    assert answer["recipe"]["repository"].startswith("https://github.com/")
    assert answer["recipe"]["changed"] == []
    with pytest.raises(UsageError, match="names its metrics itself"):
        score_video(videos["blurred"], recipe=name, metrics=["psnr_full"])


def test_frames_are_paired_by_number_up_to_the_end_of_the_shorter_video(videos, tmp_path):
    clips = {name: np.stack(list(media.read_frames(video))) for name, video in videos.items()}

    def score(name, n, fps):
        reference = media.write_video(tmp_path / name, clips["source"][:n], fps, lossless=True, synthetic=False)
        return score_video(videos["blurred"], reference=reference, recipe="talklip", faces="demo-face")

    short, fast, faster = score("a.mp4", 8, 25), score("b.mp4", 8, 30), score("c.mp4", 8, 50)
    numbers = [answer["metrics"]["ssim_96_face"] for answer in (short, fast, faster)]
    assert [number["n_total"] for number in numbers] == [8, 8, 8]
    assert numbers[1]["value"] == numbers[2]["value"]
    assert numbers[0]["value"] == pytest.approx(
        numbers[1]["value"], abs=2e-3
    )  # the face is tracked on the file's colors
    assert "reference: frames are paired by number, and the last 32 of the video left out" in short["remarks"]
    assert any("25 fps and the reference 30: as the script does it" in remark for remark in fast["remarks"])


def test_pictures_are_read_as_opencv_reads_them(videos, tmp_path):
    for name, video in videos.items():
        (tmp_path / name).mkdir()
        for k, frame in enumerate(media.read_frames(video, end_s=0.2)):
            cv2.imwrite(str(tmp_path / name / f"{k}.jpg"), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    mine, theirs = ([cv2.imread(str(tmp_path / name / f"{k}.jpg")) for k in range(5)] for name in ("blurred", "source"))
    answer = score_video(
        tmp_path / "blurred", reference=tmp_path / "source", metrics=["psnr_full"], recipe=None, faces="demo-face"
    )
    wanted = np.mean([functional.psnr.frame_psnr(a, b) for a, b in zip(mine, theirs, strict=True)])
    assert answer["metrics"]["psnr_full"]["value"] != pytest.approx(wanted, abs=1e-3)
    if weights.available("alexnet"):
        answer = score_video(tmp_path / "blurred", reference=tmp_path / "source", recipe="er-nerf", faces="demo-face")
        assert answer["metrics"]["psnr_full"]["value"] == pytest.approx(wanted, abs=1e-9)


def test_what_was_changed_of_a_recipe_is_said(videos):
    given = {"sync": {"codec": "none", "min_track": 9}}
    answer = score_video(videos["source"], recipe="wav2lip-lrs", sync_model="demo", options=given)
    assert answer["recipe"]["changed"] == [
        "sync.codec: none, not published",
        "sync.min_track: 9, not 100",
        "sync.sync_model: demo, not syncnet_v2",
    ]
    published = score_video(videos["source"], recipe="wav2lip-lrs", sync_model="demo")
    name = "Average Minimum Distance"
    assert published["recipe"]["prints"][name]["value"] != answer["recipe"]["prints"][name]["value"]
    assert published["options"]["sync"]["codec"] == "published"
