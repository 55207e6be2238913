from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.core import registry
from lipbench.core.metric import MetricFamily
from lipbench.metrics import psnr_per_frame, regions, ssim_per_frame
from lipbench.metrics.image import ImageFamily
from lipbench.metrics.pair_reader import PairReader

FAMILY = ImageFamily()
IDS = {f"{m}_{r}{s}" for m in ("psnr", "ssim") for r in ("full", "face", "mouth") for s in ("", "_truth")}


@pytest.fixture
def spoiled(scene):
    """The frames with a blurred mouth: only there do they differ."""
    frames = scene.frames.copy()
    boxes = regions.from_track(scene.track).boxes["mouth"].corners
    for frame, (x1, y1, x2, y2) in zip(frames, boxes, strict=True):
        frame[y1 + 8 : y2 - 8, x1 + 8 : x2 - 8] = cv2.blur(frame[y1 + 8 : y2 - 8, x1 + 8 : x2 - 8], (7, 7))
    return frames


def test_is_a_family_with_specs(scene):
    assert isinstance(FAMILY, MetricFamily)
    assert isinstance(registry.load("metrics", "image"), ImageFamily)
    specs = {m.id: m for m in FAMILY.metrics}
    assert set(specs) == IDS
    assert specs["psnr_mouth_truth"].needs == {"truth", "faces"}
    assert specs["ssim_full"].needs == {"reference"}
    truths = {i for i, m in specs.items() if m.headline and i.endswith("_truth")}
    assert truths == {"psnr_mouth_truth", "ssim_mouth_truth"}
    assert specs["ssim_face"].convention == "ssim[rgb,gauss11s1.5,pop,valid,face,vs the undubbed source]"
    assert FAMILY.identity({}) == {"regions": regions.VERSION}


def test_the_numbers_are_those_of_the_decoded_crops(scene, spoiled):
    prediction, reference = scene.video("p", spoiled), scene.video("r")
    pair = scene.pair(prediction=prediction, reference=reference, faces=scene.faces())
    scores = FAMILY.score(pair)
    p, r = media.load_frames(prediction), media.load_frames(reference)
    assert scores["psnr_full"].value == pytest.approx(psnr_per_frame(p, r).mean(), abs=1e-9)
    assert np.allclose(scores["ssim_full"].per_frame, ssim_per_frame(p, r), atol=1e-12)
    boxes = regions.from_track(scene.track).boxes
    for region in ("face", "mouth"):
        cut = [
            np.stack([f[y1:y2, x1:x2] for f, (x1, y1, x2, y2) in zip(v, boxes[region].corners, strict=True)])
            for v in (p, r)
        ]
        assert np.allclose(scores[f"psnr_{region}"].per_frame, psnr_per_frame(*cut), atol=1e-9)
        assert scores[f"ssim_{region}"].value == pytest.approx(ssim_per_frame(*cut).mean(), abs=1e-12)
        assert scores[f"ssim_{region}"].extra["box"] == list(boxes[region].size)
        assert scores[f"psnr_{region}"].n_valid == scores[f"psnr_{region}"].n_total == 8
    # The same error counts more, the closer one looks.
    assert scores["psnr_full"].value > scores["psnr_face"].value > scores["psnr_mouth"].value
    assert scores["ssim_full"].value > scores["ssim_face"].value > scores["ssim_mouth"].value
    for name in IDS:
        if name.endswith("_truth"):
            assert scores[name].value is None
            assert "only generated clips have one" in scores[name].reason


def test_identical_videos(scene):
    video = scene.video("v")
    scores = FAMILY.score(scene.pair(prediction=video, reference=video, faces=scene.faces()))
    for region in ("full", "face", "mouth"):
        assert scores[f"psnr_{region}"].value == math.inf
        assert scores[f"psnr_{region}"].extra["exact_frames"] == 8
        assert scores[f"ssim_{region}"].value == 1.0
    assert "all measured frames equal" in scores["psnr_full"].reason


def test_some_identical_frames_are_counted_and_left_out_of_psnr(scene, spoiled):
    spoiled[3:] = scene.frames[3:]
    pair = scene.pair(prediction=scene.video("p", spoiled), reference=scene.video("r"))
    score = FAMILY.score(pair)["psnr_full"]
    assert score.extra["exact_frames"] == 5
    assert "5 of 8 frames equal the undubbed source" in score.reason
    assert score.value == pytest.approx(score.per_frame[:3].mean())
    assert np.isposinf(score.per_frame[3:]).all()


def test_one_pass_measures_against_the_truth_too(scene, spoiled):
    """With the roles of reference and truth exchanged, the numbers change places."""
    p, a, b = scene.video("p", spoiled), scene.video("a"), scene.video("b", scene.frames // 2)
    faces = scene.faces()
    one = FAMILY.score(scene.pair(prediction=p, reference=a, truth=b, faces=faces))
    two = FAMILY.score(scene.pair(prediction=p, reference=b, truth=a, faces=faces))
    for name in IDS:
        other = name.removesuffix("_truth") if name.endswith("_truth") else name + "_truth"
        assert one[name].value is not None
        assert one[name].value == two[other].value
    assert one["psnr_full"].value != one["psnr_full_truth"].value


def test_lost_faces_are_not_measured(scene, spoiled, lose):
    pair = scene.pair(
        prediction=scene.video("p", spoiled), reference=scene.video("r"), faces=scene.faces(lose(scene.track, [0, 5]))
    )
    scores = FAMILY.score(pair)
    assert scores["psnr_full"].n_valid == 8
    mouth = scores["psnr_mouth"]
    assert (mouth.n_valid, mouth.n_total) == (6, 8)
    assert np.flatnonzero(np.isnan(mouth.per_frame)).tolist() == [0, 5]
    assert mouth.value == pytest.approx(np.nanmean(mouth.per_frame))


def test_without_faces_only_the_full_frame_is_measured(scene):
    video = scene.video("r")
    scores = FAMILY.score(scene.pair(prediction=video, reference=video, faces_reason="no_face: nobody"))
    assert scores["ssim_full"].value == 1
    assert scores["ssim_face"].value is None
    assert scores["ssim_mouth"].reason == "no_face: nobody"


def test_a_mouth_below_the_window_has_psnr_but_no_ssim(scene, points68, face_track):
    track = face_track(np.stack([points68(80, 70, size=12, gap=1)] * 8))
    video = scene.video("p", 255 - scene.frames)
    scores = FAMILY.score(scene.pair(prediction=video, reference=scene.video("r"), faces=scene.faces(track)))
    assert scores["psnr_mouth"].value is not None
    assert scores["ssim_mouth"].value is None
    assert "mouth region is smaller than SSIM's 11 px window" in scores["ssim_mouth"].reason


@pytest.mark.parametrize("dropped", ["prediction", "reference"])
def test_one_frame_more_or_less_is_compared_and_recorded(scene, dropped):
    videos = {n: scene.video(n, scene.frames[:7] if n == dropped else None) for n in ("prediction", "reference")}
    score = FAMILY.score(scene.pair(**videos, faces=scene.faces()))["ssim_mouth"]
    assert score.value == 1
    assert score.n_total == 7
    assert score.extra["frames"] == {n: 7 if n == dropped else 8 for n in videos}


def test_a_larger_difference_in_length_is_refused(scene):
    short, long = scene.video("short", scene.frames[:5]), scene.video("long")
    scores = FAMILY.score(scene.pair(prediction=short, reference=long, truth=short))
    assert scores["psnr_full"].value is None
    assert scores["psnr_full"].reason == "length_mismatch: prediction has 5 frames, reference 8"
    assert scores["psnr_full_truth"].value == math.inf
    scores = FAMILY.score(scene.pair(prediction=long, reference=short))
    assert scores["psnr_full"].reason == "length_mismatch: prediction has 8 frames, reference 5"


def test_another_size_is_refused(scene):
    small = scene.video("small", scene.frames[:, :100, :120])
    scores = FAMILY.score(scene.pair(prediction=scene.video("p"), reference=small, truth=scene.video("t")))
    assert scores["ssim_full"].reason.startswith("size_mismatch: the prediction is 192x144, the reference 120x100; ")
    assert scores["ssim_full_truth"].value == 1


def test_unreadable_files_are_reasons(scene):
    bad = scene.folder / "bad.mp4"
    bad.write_bytes(b"not a video")
    good = scene.video("good")
    for fields in ({"prediction": bad, "reference": good}, {"prediction": good, "reference": bad}):
        score = FAMILY.score(scene.pair(**fields))["psnr_full"]
        assert score.value is None
        assert "bad.mp4" in score.reason
    faces = scene.folder / "faces.npz"
    faces.write_bytes(b"no track")
    score = FAMILY.score(scene.pair(prediction=good, reference=good, faces=faces))["psnr_face"]
    assert "face track" in score.reason


def test_a_track_of_another_clip_is_refused(scene):
    video = scene.video("v")
    scores = FAMILY.score(scene.pair(prediction=video, reference=video, faces=scene.faces(scene.track.take(range(5)))))
    assert scores["psnr_face"].reason == "length_mismatch: the face track has 5 frames, the videos 8"
    assert scores["psnr_full"].value == math.inf
    wide = replace(scene.track, width=640, height=480)
    scores = FAMILY.score(scene.pair(prediction=video, reference=video, faces=scene.faces(wide)))
    assert "size_mismatch" in scores["psnr_face"].reason


def test_nothing_is_read_when_there_is_nothing_to_compare_to(scene):
    scores = FAMILY.score(scene.pair(prediction=scene.folder / "absent.mp4"))
    assert {s.value for s in scores.values()} == {None}
    assert "no reference video" in scores["ssim_full"].reason


def test_reading_holds_one_frame_of_each(scene, monkeypatch):
    alive = []

    def frames(path):
        for i in range(4):
            alive.append(i)
            yield np.zeros((16, 16, 3), np.uint8)

    monkeypatch.setattr(media, "read_frames", frames)
    pair = scene.pair(prediction="p", reference="r", truth="t")
    for step in PairReader(pair):
        assert len(alive) == 3 * (step.t + 1)
