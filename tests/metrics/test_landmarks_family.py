from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lipbench.core import registry
from lipbench.metrics.landmarks import LandmarkFamily, lip_gap

FAMILY = LandmarkFamily()


@pytest.fixture
def clip(points68):
    gaps = 4 + 3 * np.sin(np.arange(10))
    return np.stack([points68(80 + 2 * t, 70, gap=g) for t, g in enumerate(gaps)]), gaps


def test_moving_the_head_or_the_whole_mouth_is_no_distance(scene, clip, face_track):
    points, _ = clip
    moved = points + np.random.default_rng(0).normal(0, 9, (10, 1, 2))
    pair = scene.pair(
        prediction="p",
        reference="r",
        faces=scene.faces(face_track(points)),
        prediction_faces=scene.faces(face_track(moved), "p"),
    )
    scores = FAMILY.score(pair)
    assert scores["mld"].value == pytest.approx(0, abs=1e-3)
    assert scores["mld_px"].value == pytest.approx(0, abs=1e-3)


def test_the_definition(scene, clip, face_track):
    points, _ = clip
    other = points.copy()
    other[:, 48:68] += np.random.default_rng(0).normal(0, 2, (10, 20, 2))
    pair = scene.pair(
        prediction="p",
        reference="r",
        faces=scene.faces(face_track(points)),
        prediction_faces=scene.faces(face_track(other), "p"),
    )
    scores = FAMILY.score(pair)
    want = []
    for a, b in zip(other[:, 48:68], points[:, 48:68], strict=True):
        want.append(np.mean([np.hypot(*((p - a.mean(0)) - (q - b.mean(0)))) for p, q in zip(a, b, strict=True)]))
    iod = np.median([np.hypot(*(p[45] - p[36])) for p in points])
    assert np.allclose(scores["mld_px"].per_frame, want, atol=1e-4)
    assert scores["mld"].value == pytest.approx(100 * np.mean(want) / iod, abs=1e-3)
    assert scores["mld"].extra["interocular_px"] == pytest.approx(iod, abs=1e-3)
    assert 1 < scores["mld_px"].value < 4


def test_scale_changes_pixels_but_not_percent(scene, points68, face_track):
    def score(size: float) -> tuple[float, float]:
        a, b = (np.stack([points68(90, 70, size=size, gap=g * size)] * 4) for g in (0.05, 0.15))
        pair = scene.pair(
            prediction="p",
            reference="r",
            faces=scene.faces(face_track(a)),
            prediction_faces=scene.faces(face_track(b), "p"),
        )
        found = FAMILY.score(pair)
        return found["mld"].value, found["mld_px"].value

    (small, small_px), (large, large_px) = score(30), score(90)
    assert large == pytest.approx(small, rel=1e-4)
    assert large_px == pytest.approx(3 * small_px, rel=1e-4)


def test_against_the_truth(scene, clip, face_track):
    points, gaps = clip
    notes = scene.folder / "truth.npz"
    np.savez(notes, lip_gap=gaps / 7 + 3)
    pair = scene.pair(
        prediction="p",
        truth="t",
        truth_annotations=notes,
        prediction_faces=scene.faces(face_track(points), "p"),
        truth_faces=scene.faces(face_track(points + 5), "t"),
    )
    scores = FAMILY.score(pair)
    assert scores["mld_truth"].value == pytest.approx(0, abs=1e-3)
    assert scores["mouth_opening_corr_truth"].value == pytest.approx(1, abs=1e-6)
    assert scores["mouth_opening_corr_truth"].n_valid == 10
    assert "no_reference" in scores["mld"].reason
    np.savez(notes, lip_gap=-gaps)
    assert FAMILY.score(pair)["mouth_opening_corr_truth"].value == pytest.approx(-1, abs=1e-6)


def test_correlation_is_pearsons_over_the_frames_with_a_face(scene, clip, face_track, lose):
    points, gaps = clip
    truth = gaps + np.random.default_rng(1).normal(0, 2, 10)
    notes = scene.folder / "truth.npz"
    np.savez(notes, lip_gap=truth)
    track = lose(face_track(points), [2, 7])
    pair = scene.pair(prediction="p", truth="t", truth_annotations=notes, prediction_faces=scene.faces(track, "p"))
    score = FAMILY.score(pair)["mouth_opening_corr_truth"]
    keep = np.delete(np.arange(10), [2, 7])
    assert score.value == pytest.approx(np.corrcoef(lip_gap(points)[keep], truth[keep])[0, 1], abs=1e-5)
    assert (score.n_valid, score.n_total) == (8, 10)
    assert 0.2 < score.value < 0.999


def test_lost_frames(scene, clip, face_track, lose):
    points, _ = clip
    faces, mine = lose(face_track(points), [0, 1]), lose(face_track(points), [1, 5])
    pair = scene.pair(prediction="p", reference="r", faces=scene.faces(faces), prediction_faces=scene.faces(mine, "p"))
    score = FAMILY.score(pair)["mld"]
    assert np.flatnonzero(np.isnan(score.per_frame)).tolist() == [0, 1, 5]
    assert (score.n_valid, score.n_total) == (7, 10)
    pair = scene.pair(
        prediction="p",
        reference="r",
        faces=scene.faces(lose(faces, list(range(5)))),
        prediction_faces=scene.faces(lose(mine, list(range(5, 10))), "p"),
    )
    assert FAMILY.score(pair)["mld"].reason == "no_face: no frame has a face in both videos"


def test_refusals(scene, clip, face_track):
    points, _ = clip
    faces = scene.faces(face_track(points))
    scores = FAMILY.score(scene.pair(prediction="p", reference="r", faces=faces))
    assert {s.reason for s in scores.values()} == {"no_face: no face track of the prediction"}
    short = scene.faces(face_track(points[:7]), "p")
    score = FAMILY.score(scene.pair(prediction="p", reference="r", faces=faces, prediction_faces=short))["mld"]
    assert score.reason == "length_mismatch: prediction has 7 frames, reference 10"
    one_less = scene.faces(face_track(points[:9]), "p")
    assert (
        FAMILY.score(scene.pair(prediction="p", reference="r", faces=faces, prediction_faces=one_less))["mld"].n_total
        == 9
    )
    boxes = scene.faces(replace(face_track(points), landmarks=None, backend="s3fd"), "b")
    score = FAMILY.score(scene.pair(prediction="p", reference="r", faces=boxes, prediction_faces=faces))["mld"]
    assert score.reason == "unsupported: the face backend 's3fd' finds no landmarks"
    score = FAMILY.score(scene.pair(prediction="p", reference="r", faces=faces, prediction_faces=faces))["mld_truth"]
    assert "only generated clips have one" in score.reason


def test_a_video_is_not_compared_with_itself_or_with_one_of_another_size(scene, clip, face_track):
    points, _ = clip
    faces = scene.faces(face_track(points))
    names = {"landmarks": ("mld", "mld_px"), "landmark-variants": ("flmd_px", "mouth_opening_error")}
    for family, metrics in names.items():
        score = registry.load("metrics", family).score
        alone = score(scene.pair(prediction="p", faces=faces, prediction_faces=faces))
        assert [alone[name].reason for name in metrics] == ["no_reference: no reference video was given"] * 2
        large = scene.faces(face_track(2 * points, width=400, height=280), "large")
        apart = score(scene.pair(prediction="p", reference="r", faces=large, prediction_faces=faces))
        assert all(apart[name].reason.startswith("size_mismatch: the prediction is ") for name in metrics)
        apart = score(scene.pair(prediction="p", truth="t", truth_faces=large, prediction_faces=faces))
        assert apart["mld_truth" if family == "landmarks" else "flmd_px_truth"].reason.startswith("size_mismatch")


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({}, "hold no lip_gap"),
        ({"lip_gap": np.ones((10, 2))}, "has shape (10, 2)"),
        ({"lip_gap": np.ones(10)}, "the true mouth does not move"),
        ({"lip_gap": np.ones(5)}, "length_mismatch"),
        ({"lip_gap": np.r_[np.full(7, np.nan), 1, 2, 3]}, "too_short: 3 frames"),
    ],
)
def test_unusable_annotations(scene, clip, face_track, arrays, reason):
    notes = scene.folder / "truth.npz"
    np.savez(notes, **arrays)
    pair = scene.pair(
        prediction="p", truth="t", truth_annotations=notes, prediction_faces=scene.faces(face_track(clip[0]), "p")
    )
    score = FAMILY.score(pair)["mouth_opening_corr_truth"]
    assert score.value is None
    assert reason in score.reason


def test_specs():
    specs = {m.id: m for m in registry.load("metrics", "landmarks").metrics}
    assert {i: m.better for i, m in specs.items()} == {
        "mld": "none",
        "mld_px": "none",
        "mld_truth": "lower",
        "mouth_opening_corr_truth": "higher",
    }
    assert not specs["mld_px"].headline
    assert specs["mld_truth"].headline
    assert specs["mld"].needs == {"faces", "prediction_faces"}
