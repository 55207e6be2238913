from __future__ import annotations

import numpy as np
import pytest

from lipbench import media
from lipbench.core import registry
from lipbench.metrics import regions
from lipbench.metrics.temporal import TemporalFamily

FAMILY = TemporalFamily()


def expected(p: np.ndarray, g: np.ndarray, corners: np.ndarray) -> list[float]:
    p, g = p.astype(float), g.astype(float)
    found = []
    for t in range(len(p) - 1):
        x1, y1, x2, y2 = corners[t]
        found.append(np.abs((p[t + 1] - p[t]) - (g[t + 1] - g[t]))[y1:y2, x1:x2].mean())
    return found


def test_the_definition(scene):
    noise = np.random.default_rng(0).normal(0, 20, scene.frames.shape)
    prediction = scene.video("p", np.clip(scene.frames + noise, 0, 255).astype(np.uint8))
    reference, truth = scene.video("r"), scene.video("t", scene.frames[::-1])
    scores = FAMILY.score(scene.pair(prediction=prediction, reference=reference, truth=truth, faces=scene.faces()))
    corners = regions.from_track(scene.track).boxes["mouth"].corners
    p = media.load_frames(prediction)
    for name, video in (("tde_mouth", reference), ("tde_mouth_truth", truth)):
        want = expected(p, media.load_frames(video), corners)
        assert np.allclose(scores[name].per_frame[:-1], want, atol=1e-9)
        assert np.isnan(scores[name].per_frame[-1])
        assert scores[name].value == pytest.approx(np.mean(want))
        assert (scores[name].n_valid, scores[name].n_total) == (7, 7)
    assert scores["tde_mouth"].value > 5


def test_a_still_error_costs_little_and_flicker_costs_its_size(scene):
    faces, reference = scene.faces(), scene.video("r", np.full_like(scene.frames, 100))
    flicker = np.full_like(scene.frames, 100)
    flicker[::2] += 30
    values = {}
    for name, frames in (("cast", np.full_like(scene.frames, 130)), ("flicker", flicker)):
        pair = scene.pair(prediction=scene.video(name, frames), reference=reference, faces=faces)
        values[name] = FAMILY.score(pair)["tde_mouth"].value
    assert values["cast"] == 0
    assert values["flicker"] == pytest.approx(30, abs=1)


def test_changes_to_or_from_a_lost_face_are_not_measured(scene, lose):
    video = scene.video("v")
    faces = scene.faces(lose(scene.track, [3]))
    score = FAMILY.score(scene.pair(prediction=video, reference=video, faces=faces))["tde_mouth"]
    assert np.flatnonzero(np.isnan(score.per_frame)).tolist() == [2, 3, 7]
    assert (score.value, score.n_valid, score.n_total) == (0, 5, 7)
    faces = scene.faces(lose(scene.track, [1, 3, 5, 7]))
    score = FAMILY.score(scene.pair(prediction=video, reference=video, faces=faces))["tde_mouth"]
    assert score.value is None
    assert "no two frames in a row" in score.reason


def test_refusals(scene):
    video = scene.video("v")
    scores = FAMILY.score(scene.pair(prediction=video, reference=video, faces_reason="no_face: nobody"))
    assert scores["tde_mouth"].reason == "no_face: nobody"
    assert "only generated clips" in scores["tde_mouth_truth"].reason
    scores = FAMILY.score(
        scene.pair(prediction=video, reference=scene.video("s", scene.frames[:3]), faces=scene.faces())
    )
    assert scores["tde_mouth"].reason == "length_mismatch: prediction has 8 frames, reference 3"


def test_specs():
    specs = {m.id: m for m in registry.load("metrics", "temporal").metrics}
    assert set(specs) == {"tde_mouth", "tde_mouth_truth"}
    assert {m.better for m in specs.values()} == {"lower"}
    assert not specs["tde_mouth"].headline
    assert not specs["tde_mouth_truth"].headline
