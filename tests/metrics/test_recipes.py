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
from lipbench.metrics import recipes
from lipbench.metrics.sync import SyncOptions

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
    assert set(recipe.options) <= {"sync"}  # what `recipe:` in a run file can set
    SyncOptions.parse(recipe.options.get("sync", {}))
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
    for option, value in recipe.options.get("sync", {}).items():
        assert measured["sync"][option] == value
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
    """The clip that the recipes were checked on, and its blurred copy."""
    folder = tmp_path_factory.mktemp("recipes")
    clip = next(clip for clip in resolve("demo").clips if clip.id == "demo-en")
    frames = np.stack(list(media.read_frames(clip.video, end_s=1.6)))
    sound = media.read_audio(clip.video)[: len(frames) * 640]
    made = {"source": media.write_video(folder / "s.mp4", frames, 25, audio=sound, synthetic=False)}
    for frame in frames:
        frame[128:230, 64:192] = cv2.GaussianBlur(frame[128:230, 64:192], (0, 0), 2)
    return {**made, "blurred": media.write_video(folder / "p.mp4", frames, 25, audio=sound, synthetic=False)}


@pytest.mark.parametrize("name", ["talklip", "talking-gaussian"])
def test_the_numbers_that_were_compared_with_the_script_are_still_those(name, videos):
    if name == "talking-gaussian" and not weights.available("alexnet"):
        pytest.skip("LPIPS has no weights here")
    answer = score_video(videos["blurred"], reference=videos["source"], recipe=name, faces="demo-face")
    for row in recipes.load(name).checked:
        if row.clip == "demo-en":
            assert answer["recipe"]["prints"][row.name]["value"] == pytest.approx(row.lipbench, rel=2e-3), row.name
    assert answer["recipe"]["repository"].startswith("https://github.com/")
    assert answer["recipe"]["changed"] == []
    with pytest.raises(UsageError, match="names its metrics itself"):
        score_video(videos["blurred"], recipe=name, metrics=["psnr_full"])


def test_what_was_changed_of_a_recipe_is_said(videos):
    answer = score_video(
        videos["blurred"], recipe="wav2lip-lrs", sync_model="demo", options={"sync": {"codec": "none"}}
    )
    assert answer["recipe"]["changed"] == ["sync.codec: none, not published"]
    published = score_video(videos["blurred"], recipe="wav2lip-lrs", sync_model="demo")
    name = "Average Minimum Distance"
    assert published["recipe"]["prints"][name]["value"] != answer["recipe"]["prints"][name]["value"]
    assert published["options"]["sync"]["codec"] == "published"
