"""LPIPS on a part of the frames, and of a reference that several methods share."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lipbench.core.errors import UsageError
from lipbench.metrics.functional import lpips as perceptual
from lipbench.metrics.lpips_family import LpipsFamily, LpipsVggFamily, ordinal

FAMILY = LpipsFamily()


@pytest.fixture
def fresh(installed):
    """The random trunk, and nothing of other tests on its shelf."""
    perceptual._load.cache_clear()
    yield
    perceptual._load.cache_clear()


@pytest.fixture
def passes(monkeypatch):
    """How often a picture went through the trunk."""
    seen = []
    features = perceptual.Lpips.features_of
    monkeypatch.setattr(
        perceptual.Lpips, "features_of", lambda net, frames: seen.extend(frames) or features(net, frames)
    )
    return seen


def methods(scene, *strengths, n_frames=2):
    """A pair for each: the beginning of the scene, blurred, against the same reference and the same truth."""
    frames = scene.frames[:n_frames]
    faces = scene.faces(scene.track.take(range(n_frames)))
    reference, truth = scene.video("r", frames), scene.video("t", frames // 2)
    for strength in strengths:
        blurred = np.stack([cv2.blur(frame, (strength, strength)) for frame in frames])
        yield scene.pair(prediction=scene.video(f"p{strength}", blurred), reference=reference, truth=truth, faces=faces)


def test_every_third_frame(fresh, scene):
    (pair,) = methods(scene, 5, n_frames=8)
    pair = replace(pair, truth=None)
    whole = FAMILY.score(pair)
    part = FAMILY.score(replace(pair, options={"every": 3}))
    for name in ("lpips_full", "lpips_face", "lpips_mouth"):
        score = part[name]
        assert (score.n_valid, score.n_total) == (3, 3)
        assert np.flatnonzero(~np.isnan(score.per_frame)).tolist() == [0, 3, 6]
        assert score.per_frame[[0, 3, 6]].tolist() == whole[name].per_frame[[0, 3, 6]].tolist()
        assert score.value == pytest.approx(np.mean(score.per_frame[[0, 3, 6]]), rel=1e-12)
        assert (whole[name].n_valid, whole[name].n_total) == (8, 8)


def test_a_chosen_frame_without_a_face_is_missing(fresh, scene, lose):
    (pair,) = methods(scene, 5, n_frames=8)
    faces = scene.faces(lose(scene.track, [1, 3]), "lost")
    scores = FAMILY.score(replace(pair, truth=None, options={"every": 3}, faces=faces))
    assert (scores["lpips_mouth"].n_valid, scores["lpips_mouth"].n_total) == (2, 3)
    assert (scores["lpips_full"].n_valid, scores["lpips_full"].n_total) == (3, 3)


def test_columns_say_it():
    spec = FAMILY.metrics[0]
    assert FAMILY.named(spec, {}) == FAMILY.named(spec, {"every": 1}) == spec
    named = FAMILY.named(spec, {"every": 5})
    assert named.title == "LPIPS, every 5th frame"
    assert named.convention == "lpips[every 5th frame,alex,v0.1,rgb,native size,full,vs the undubbed source]"
    assert (named.id, named.version) == (spec.id, spec.version)
    vgg = LpipsVggFamily()
    assert vgg.named(vgg.metrics[0], {"every": 2}).title == "LPIPS-VGG, every 2nd frame"
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112, 102)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th", "102nd")
    ]
    with pytest.raises(UsageError, match="every"):
        FAMILY.parse({"every": 0})


def test_the_reference_is_looked_at_once_for_all_methods(fresh, scene, passes):
    first, second = methods(scene, 3, 5)
    FAMILY.score(first)
    # Frames times regions, of the prediction, the reference and the truth.
    assert len(passes) == 2 * 3 * 3
    passes.clear()
    shared = FAMILY.score(second)
    assert len(passes) == 2 * 3
    perceptual._load.cache_clear()
    for name, score in FAMILY.score(second).items():
        assert score.per_frame.tolist() == shared[name].per_frame.tolist()


def test_a_method_that_copies_the_reference_needs_no_pass(fresh, scene, passes):
    (pair,) = methods(scene, 3)
    FAMILY.score(pair)
    passes.clear()
    FAMILY.score(replace(pair, prediction=pair.reference))
    assert passes == []


def test_the_functions_keep_nothing(fresh):
    a = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    perceptual.lpips(a, 255 - a)
    assert perceptual.load().shelf.used == 0


def test_memory_has_a_limit(fresh, scene, passes):
    net = perceptual.load()
    first, second = methods(scene, 3, 5)
    net.shelf.limit = 3_000_000
    want = FAMILY.score(first)["lpips_full"].value
    FAMILY.score(second)
    assert 0 < net.shelf.used <= 3_000_000
    assert FAMILY.score(first)["lpips_full"].value == want
