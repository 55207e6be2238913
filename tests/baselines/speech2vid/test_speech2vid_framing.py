"""Where Speech2Vid looks, what it hears, and how its face gets back into the frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from lipbench.baselines.speech2vid import framing, sound
from lipbench.core.errors import Unsupported
from lipbench.faces.track import FaceTrack


def track(landmarks: NDArray[np.float32], fps: float = 25, **fields: object) -> FaceTrack:
    low, high = landmarks[..., :2].min(1), landmarks[..., :2].max(1)
    n = len(landmarks)
    return FaceTrack(
        "file", fps, 96, 80, np.concatenate([low, high], 1), np.ones(n, np.float32), np.ones(n, np.int16), landmarks
    )


def at(matrix: NDArray[np.float64], point: tuple[float, float]) -> NDArray[np.float64]:
    return matrix[:, :2] @ point + matrix[:, 2]


def test_a_similarity_is_found_again() -> None:
    target = framing.mean_face()[framing.ALIGNED]
    angle, scale, shift = 0.3, 2.5, np.array([40.0, -7.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = framing.procrustes(target @ turn.T + shift, target)
    np.testing.assert_allclose((target @ turn.T + shift) @ matrix[:, :2].T + matrix[:, 2], target, atol=1e-9)


def test_the_mean_face_lies_in_the_still() -> None:
    face = framing.mean_face()
    assert face.min() > 0
    assert face.max() < framing.SIZE
    eyes = face[36:42].mean(0), face[42:48].mean(0)
    assert eyes[1][0] - eyes[0][0] == pytest.approx(34)
    assert eyes[0][1] < face[33, 1] < face[51, 1] < face[8, 1]  # eyes above nose above lips above chin


def test_eyes_and_nose_stay_in_place(landmarks: NDArray[np.float32]) -> None:
    matrices = framing.similarities(track(landmarks), "eyes-nose")
    nose = [at(m, tuple(p[30, :2])) for m, p in zip(matrices, landmarks, strict=True)]
    assert np.ptp(nose, axis=0).max() < 1e-3  # the face drifts, its still does not
    with pytest.raises(Unsupported, match="boxes alone"):
        framing.similarities(replace(track(landmarks), landmarks=None), "eyes-nose")


@pytest.mark.parametrize("fps", [25.0, 50.0])
def test_the_square_follows_the_box(landmarks: NDArray[np.float32], fps: float) -> None:
    face = track(landmarks, fps)
    face.boxes[5:8], landmarks[5:8] = np.nan, np.nan
    matrices = framing.similarities(face, "box")
    assert matrices.shape == (20, 2, 3)
    x = [-(m[0, 2] - 55.5) / m[0, 0] for m in matrices]  # frame's x that lies in the still's middle
    np.testing.assert_allclose(x[7:13], 45 + 0.4 * np.arange(7, 13), atol=0.6)
    # Height 30 x 2 from brows (26) to chin (70), raised to 1.19 times: half edge 26.2, times 1.2.
    np.testing.assert_allclose([112 / m[0, 0] / 2 for m in matrices], 1.2 * 1.19 * 44 / 2, rtol=0.02)


def test_what_is_cut_out_goes_back_where_it_was() -> None:
    yy, xx = np.mgrid[:200, :240]
    frame = np.stack([xx, yy, 128 + 60 * np.sin(xx / 15) * np.cos(yy / 12)], -1).astype(np.uint8)
    turned = np.array([[0.9, -0.1, 3.0], [0.1, 0.9, -40.0]])
    for matrix in (framing.square(120.0, 90.0, 56.0), framing.square(118.3, 92.7, 80.0), turned):
        drawn = framing.still(frame, matrix)[1:110, 1:110]
        back = framing.pasted(frame, [drawn], matrix)
        assert back.dtype == np.uint8
        assert np.abs(back.astype(int) - frame).max() <= 4
        other = framing.pasted(frame, [255 - drawn], matrix).astype(int)
        y, x = np.linalg.solve(matrix[:, :2], 55.5 - matrix[:, 2])[::-1].round().astype(int)
        np.testing.assert_allclose(other[y, x], 255 - frame[y, x].astype(int), atol=4)
        assert np.array_equal(other[:5, :5], frame[:5, :5])


def test_a_large_face_does_not_alias() -> None:
    stripes = np.zeros((900, 900, 3), np.uint8)
    stripes[:, ::2] = 255
    cut = framing.still(stripes, framing.square(450.0, 450.0, 400.0))
    assert cut[10:-10, 10:-10].std() < 30
    ramp = np.tile((np.arange(900) / 4).astype(np.uint8)[None, :, None], (900, 1, 3))
    cut = framing.still(ramp, framing.square(450.0, 450.0, 400.0))[50, :, 0].astype(float)
    x = 450 - 0.5 + (np.arange(112) - 55.5) * 800 / 112
    np.testing.assert_allclose(cut, x / 4, atol=1.2)


def test_which_stills_are_shown() -> None:
    for n in (2, 3, 7, 20, 40):
        for t in range(n):
            shown = framing.around(t, n)
            assert len(shown) == 5
            assert t not in shown
            assert min(shown) >= 0
            assert max(shown) < n
    assert framing.around(50, 100) == [38, 44, 56, 62, 68]
    assert framing.spread(100) == [10, 30, 50, 70, 90]
    assert framing.around(0, 1) == framing.spread(1) == [0] * 5


def test_windows_are_centered_on_their_frames() -> None:
    starts = sound.window_starts(10, 25.0)
    np.testing.assert_array_equal(starts, 4 * np.arange(10) - 16)
    middle = (starts + 17) * 10 + 12.5  # ms
    assert np.abs(middle - 40 * (np.arange(10) + 0.5)).max() <= 5
    # Upstream's window starts with the frame.
    np.testing.assert_array_equal(sound.window_starts(10, 25.0, 4.0), 4 * np.arange(10))
    features = np.tile(np.arange(1, 41, dtype=np.float32), (12, 1))
    got = sound.windows(features, starts)
    assert got.shape == (10, 1, 12, 35)
    np.testing.assert_array_equal(got[4, 0, 0], np.arange(1, 36))
    np.testing.assert_array_equal(got[0, 0, 3], np.r_[np.zeros(16), np.arange(1, 20)])
    np.testing.assert_array_equal(got[9, 0, 3], np.r_[np.arange(21, 41), np.zeros(15)])


def test_the_published_features() -> None:
    time = np.arange(16000) / 16000
    tone = (8000 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16)
    features = sound.features(tone, "htk")
    assert features.shape == (12, 1 + (16000 - 400) // 160)
    # By hand, one column: pre-emphasis over the whole signal, Hamming, |FFT|, 40 bands, log, DCT, lifter.
    x = tone.astype(float)
    y = np.append(x[0], x[1:] - 0.97 * x[:-1])[1600:2000] * np.hamming(400)
    energy = np.log(sound.filters() @ np.abs(np.fft.rfft(y, 512)))
    n = 4
    value = np.sqrt(2 / 40) * sum(energy[m] * np.cos(np.pi * n / 40 * (m + 0.5)) for m in range(40))
    assert features[n - 1, 10] == pytest.approx(value * (1 + 11 * np.sin(np.pi * n / 22)), rel=1e-4)
    bank = sound.filters()
    centers = np.arange(257)[bank.argmax(1)] * 31.25
    assert 300 < centers[0] < centers[-1] < 3700
    assert np.all(np.diff(centers) >= 0)
    for kind in ("htk", "psf"):  # silence is 0, which is what lies beyond the ends
        np.testing.assert_allclose(sound.features(np.zeros(900, np.int16), kind), 0, atol=1e-5)
        assert sound.features(np.zeros(10, np.int16), kind).shape[1] == 1


def test_the_own_image_comes_first() -> None:
    assert framing.with_own(50, 100) == [50, 38, 44, 56, 62]
    assert framing.with_own(2, 100) == [2, 0, 0, 8, 14]
    assert framing.with_own(0, 1) == [0] * 5
