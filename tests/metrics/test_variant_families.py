"""The families of variants: regions, clips, and what they leave to the functions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from lipbench import media
from lipbench.core import registry
from lipbench.metrics import (
    face_distance,
    lpips,
    mouth_distance,
    mouth_opening_error,
    psnr_pooled,
    psnr_wrapped,
    regions,
    ssim_padded,
    ssim_uniform,
)


@pytest.fixture
def pair(scene):
    noise = np.random.default_rng(0).normal(0, 20, scene.frames.shape)
    noise[1] *= 3  # frames of unlike errors: pooled PSNR is not their mean
    changed = np.clip(scene.frames + noise, 0, 255).astype(np.uint8)
    made = {"prediction": scene.video("p", changed), "reference": scene.video("r")}
    return scene.pair(**made, truth=scene.video("t", scene.frames[::-1]), faces=scene.faces())


def crops(pair, scene, region):
    both = [media.load_frames(path) for path in (pair.prediction, pair.reference)]
    corners = regions.from_track(scene.track).boxes[region].corners
    return [np.stack([f[y1:y2, x1:x2] for f, (x1, y1, x2, y2) in zip(v, corners, strict=True)]) for v in both]


def test_image_variants_are_the_functions_on_the_boxes(pair, scene):
    scores = registry.load("metrics", "image-variants").score(pair)
    assert all(score.value is not None for score in scores.values())
    mouth, face = (crops(pair, scene, region) for region in ("mouth", "face"))
    whole = [media.load_frames(path) for path in (pair.prediction, pair.reference)]
    assert scores["ssim_uniform_mouth"].value == pytest.approx(ssim_uniform(*mouth), abs=1e-12)
    assert scores["ssim_padded_full"].value == pytest.approx(ssim_padded(*whole), abs=1e-12)
    assert scores["psnr_pooled_full"].value == pytest.approx(psnr_pooled(*whole), abs=1e-9)
    assert scores["psnr_pooled_face"].value == pytest.approx(psnr_pooled(*face), abs=1e-9)
    squeezed = [np.stack([cv2.resize(f, (96, 96)) for f in frames]) for frames in face]
    assert scores["psnr_wrapped_96_face"].value == pytest.approx(psnr_wrapped(*squeezed), abs=1e-9)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    want = [structural_similarity(a, b, channel_axis=-1, **options) for a, b in zip(*squeezed, strict=True)]
    assert scores["ssim_96_face"].value == pytest.approx(np.mean(want), abs=1e-9)
    assert scores["ssim_96_face_truth"].value != scores["ssim_96_face"].value


def test_equal_frames_count_in_the_pooled_psnr(scene):
    changed = scene.frames.copy()
    changed[0] += 9
    made = {"prediction": scene.video("p", changed), "reference": scene.video("r"), "faces": scene.faces()}
    score = registry.load("metrics", "image-variants").score(scene.pair(**made))["psnr_pooled_full"]
    both = [media.load_frames(made[name]) for name in ("prediction", "reference")]
    assert np.isposinf(score.per_frame[1:]).all()
    assert score.value == pytest.approx(psnr_pooled(*both), abs=1e-9)


def test_lpips_native_does_not_resize(pair, scene, installed):
    scores = registry.load("metrics", "lpips-native").score(pair)
    assert set(scores) == {f"lpips_native_{r}{t}" for r in ("face", "mouth") for t in ("", "_truth")}
    assert scores["lpips_native_face"].value == pytest.approx(lpips(*crops(pair, scene, "face")), abs=1e-9)
    resized = registry.load("metrics", "lpips").score(pair)["lpips_face"].value
    assert scores["lpips_native_face"].value != pytest.approx(resized, rel=1e-3)


def test_landmark_variants(scene, points68, face_track):
    points = np.stack([points68(80, 70, gap=4 + t) for t in range(6)])
    other = np.stack([points68(83, 70, gap=4) for _ in range(6)])
    mine, theirs = (scene.faces(face_track(p), n) for p, n in ((points, "mine"), (other, "theirs")))
    pair = scene.pair(prediction=scene.video("p"), reference="r", faces=theirs, prediction_faces=mine, truth_faces=mine)
    scores = registry.load("metrics", "landmark-variants").score(pair)
    assert scores["flmd_px"].value == pytest.approx(face_distance(points, other).mean(), abs=1e-4)
    assert scores["mouth_opening_error"].value == pytest.approx(mouth_opening_error(points, other).mean(), abs=1e-4)
    assert scores["mld_px_truth"].value == scores["flmd_px_truth"].value == 0
    assert mouth_distance(points, other).mean() > scores["flmd_px"].value > 0
    absent = registry.load("metrics", "landmark-variants").score(scene.pair(prediction=scene.video("p")))
    assert all(score.value is None for score in absent.values())
