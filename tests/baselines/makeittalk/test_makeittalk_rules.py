"""What MakeItTalk hears, and its rules for landmarks."""

from __future__ import annotations

import numpy as np
import pytest

from lipbench.baselines.makeittalk import landmarks as rules
from lipbench.baselines.makeittalk import sound
from lipbench.core.errors import TooShort

RATE = 16000


def tone(hertz: float, seconds: float = 1.0, level: float = 3000) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 8))
    return (level * wave).astype(np.int16)


# -- sound --------------------------------------------------------------------------------------------------------


def test_level_and_rows() -> None:
    signal = sound.leveled(tone(150))
    assert 20 * np.log10(np.sqrt(np.mean(signal**2))) == pytest.approx(-20 + 20 * np.log10(0.95), abs=0.1)
    mel = sound.melspectrogram(signal)
    assert mel.shape == (1 + RATE // 256, 80)
    quiet = sound.melspectrogram(sound.leveled(tone(150, level=300)))
    voiced = mel > 0.3  # what is under the rounding to 16 bits differs
    np.testing.assert_allclose(mel[voiced], quiet[voiced], atol=0.02)  # loudness does not matter
    # One cell by hand: 20 log10 |X| over the band, 16 dB down, (dB + 100) / 100.
    k = 20
    piece = np.pad(signal, 512, mode="reflect")[k * 256 : k * 256 + 1024]
    magnitude = np.abs(np.fft.rfft(piece * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024))))
    want = (20 * np.log10(np.maximum(1e-5, sound._basis() @ magnitude)) - 16 + 100) / 100
    np.testing.assert_allclose(mel[k], want, rtol=1e-5)


def test_silence_and_too_little() -> None:
    mel = sound.melspectrogram(sound.leveled(np.zeros(RATE, np.int16)))
    assert np.ptp(mel) == 0
    assert mel[0, 0] == pytest.approx((20 * np.log10(1e-5) + 84) / 100)
    with pytest.raises(TooShort):
        sound.leveled(np.zeros(1000, np.int16))


def test_rumble_is_taken_out() -> None:
    low = sound.leveled((9000 * np.sin(2 * np.pi * 8 * np.arange(RATE) / RATE)).astype(np.int16))
    assert np.sqrt(np.mean(low[2000:-2000] ** 2)) < 0.003


def test_windows_start_at_their_row() -> None:
    mel = np.arange(30, dtype=np.float32)[:, None].repeat(80, 1)
    got = sound.windows(mel, 30)
    assert got.shape == (30, 18, 80)
    assert got[7, :, 0].tolist() == list(range(7, 25))
    assert got[29, :3, 0].tolist() == [29, 29, 28]  # backwards beyond the end
    assert sound.windows(mel, 5).shape == (5, 18, 80)


@pytest.mark.parametrize("hertz", [110.0, 205.0, 330.0, 520.0])
def test_pitch_of_a_tone(hertz: float) -> None:
    signal = sound.leveled(tone(hertz))
    found = sound.pitch(signal, 60)
    assert (np.abs(found[3:-3] / hertz - 1) < 0.02).mean() > 0.95


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(0).normal(0, 2000, RATE).astype(np.int16)
    assert (sound.pitch(sound.leveled(noise), 60) > 0).mean() < 0.1
    assert not sound.pitch(np.zeros(RATE), 60).any()


def test_pitch_steps() -> None:
    hertz = np.array([0, 100, 200, 0, 400, 200.0])
    steps = sound.pitch_steps(hertz)
    assert steps.shape == (6, 257)
    assert (steps.sum(1) == 1).all()
    which = steps.argmax(1)
    assert which[0] == which[3] == 0
    assert which[1] < which[2] == which[5] < which[4]
    log = np.log(hertz[hertz > 0])
    want = 1 + round((float((np.log(100) - log.mean()) / (4 * log.std())) + 1) / 2 * 255)
    assert which[1] == want
    assert sound.pitch_steps(np.array([150.0, 150.0])).argmax(1).tolist() == [129, 129]  # one pitch: the middle


# -- landmarks ----------------------------------------------------------------------------------------------------


@pytest.fixture
def face(ibug: np.ndarray) -> np.ndarray:
    return ibug


def test_normalizing_there_and_back(face: np.ndarray) -> None:
    turned = face[:, :2] @ np.array([[0.9, 0.3], [-0.3, 0.9]]) + (12, -4)
    frame = rules.Frame.of(turned)
    normal = frame.normalize(turned)
    assert normal[0] == pytest.approx([-0.8, 0])
    assert normal[16] == pytest.approx([0.8, 0])
    assert normal[8, 1] > 0.3  # the chin is below
    np.testing.assert_allclose(frame.place(normal), turned)


def test_calibration_takes_the_lower_half_as_rest() -> None:
    moved = np.zeros((6, 68, 3))
    moved[:, 66, 1] = [5, 1, 3, 9, 2, 7]
    got = rules.calibrated(moved)
    np.testing.assert_allclose(got[:, 66, 1], np.array([5, 1, 3, 9, 2, 7]) - 2)
    assert not got[:, :66].any()


def test_amplification_is_the_mouths() -> None:
    got = rules.amplified(np.ones((2, 68, 3)), 2, 3)
    assert got[0, 47].tolist() == [1, 1, 1]
    assert got[0, 48].tolist() == [2, 3, 1]


def test_speaker_has_no_say_in_the_lips() -> None:
    moved = np.zeros((1, 68, 3))
    moved[0, 62, 1], moved[0, 66, 1], moved[0, 51, 1], moved[0, 8, 1] = -1, 3, 2, 5
    got = rules.without_lip_opening(moved)
    assert got[0, 62, 1] == pytest.approx(1 * 0.99 - 0.01)
    assert got[0, 66, 1] - got[0, 62, 1] == pytest.approx(0.04)
    assert got[0, 57, 1] == pytest.approx(0.99)
    assert got[0, 8, 1] == 5


def test_crossed_lips_are_put_together(face: np.ndarray) -> None:
    points = np.stack([face, face])
    upper, lower = [61, 62, 63], [67, 66, 65]
    points[1][upper, 1], points[1][lower, 1] = face[lower, 1] + 1, face[upper, 1] - 1
    before = points.copy()
    got = rules.uncrossed(points)
    np.testing.assert_array_equal(points, before)  # the input is left alone
    np.testing.assert_array_equal(got[0], face)
    np.testing.assert_allclose(got[1][upper], got[1][lower])
    np.testing.assert_allclose(got[1][51, 1] - got[1][62, 1], face[51, 1] - face[62, 1])
    assert rules.mouth_gap(got)[1] < 1e-9 < rules.mouth_gap(got)[0]


def test_lips_meet_and_shut(face: np.ndarray) -> None:
    np.testing.assert_array_equal(rules.met(face), face)
    crossed = face.copy()
    crossed[62, 1], crossed[66, 1] = 60, 50  # one pair only
    got = rules.met(crossed)
    assert got[62, 1] == got[66, 1] == 55
    np.testing.assert_array_equal(np.delete(got, [62, 66], 0), np.delete(face, [62, 66], 0))
    upside_down = crossed * (1, -1, 1)
    assert rules.met(upside_down)[62, 1] == -55
    closed = rules.shut(face)
    assert rules.mouth_gap(closed) == 0
    assert closed[51, 1] - closed[62, 1] == pytest.approx(face[51, 1] - face[62, 1])  # lips keep their thickness
    assert closed[57, 1] - closed[66, 1] == pytest.approx(face[57, 1] - face[66, 1])
    np.testing.assert_array_equal(closed[:49], face[:49])


def test_arches_lie_on_the_lips(face: np.ndarray) -> None:
    turn = np.array([[0.95, 0.3], [-0.3, 0.95]])
    points = face[:, :2] @ turn
    every = rules.arches(points)
    assert every.shape == (16, 2)
    more = every[:8] @ np.linalg.inv(turn)
    lids = every[8:] @ np.linalg.inv(turn)
    assert ((lids[:4, 0] > 32) & (lids[:4, 0] < 40) & (np.abs(lids[:4, 1] - 31) < 2)).all()
    assert (lids[[0, 1, 4, 5], 1] < 31).all()  # upper lids first
    assert (lids[[2, 3, 6, 7], 1] > 31).all()
    # The face's inner lips are an ellipse around (46, 55), 7 wide and 2 high.
    np.testing.assert_allclose(((more - (46, 55)) / (7, 2)) ** 2 @ (1, 1), 1, atol=0.02)
    assert (more[:4, 1] < 55).all()
    assert (more[4:, 1] > 55).all()
    assert (more[[0, 1, 4, 5], 0] < 46).all()
    assert np.ptp(rules.arches(rules.shut(face)[:, :2])[:8, 1]) < 1e-9


def test_open_eyes(face: np.ndarray) -> None:
    tired = face.copy()
    tired[[37, 38, 43, 44], 1] += 3
    assert rules.eye_opening(tired) == pytest.approx(0.25 * rules.eye_opening(face))


def test_nose_and_smoothing(face: np.ndarray) -> None:
    points = np.stack([face] * 3)
    points[:, 27] = 99
    np.testing.assert_allclose(rules.with_straight_nose(points)[:, 27], 2 * face[28] - face[29] + np.zeros((3, 3)))
    noisy = np.sin(np.arange(60) / 9) + np.random.default_rng(0).normal(0, 0.2, 60)
    calm = rules.smoothed(noisy, 15)
    assert np.abs(np.diff(calm)).mean() < 0.5 * np.abs(np.diff(noisy)).mean()
    np.testing.assert_array_equal(rules.smoothed(noisy[:4], 15), noisy[:4])
    np.testing.assert_allclose(rules.smoothed(np.arange(8.0), 15), np.arange(8.0), atol=1e-9)


def test_blinks(face: np.ndarray) -> None:
    times = rules.blinks(600, 0)
    assert times[0] == 30
    assert all(90 <= step < 150 for step in np.diff(times))
    assert times == rules.blinks(600, 0) != rules.blinks(600, 1)
    assert rules.blinks(40, 0) == []
    points = rules.with_blinks(np.stack([face] * 60), [30])
    opening = points[:, 41, 1] - points[:, 37, 1]
    assert opening[30] == pytest.approx(0, abs=1e-9)
    assert opening[0] == pytest.approx(0.9 * (face[41, 1] - face[37, 1]))
    assert (np.diff(opening[20:31]) < 0).all()
    assert (np.diff(opening[30:46]) > 0).all()
    np.testing.assert_array_equal(points[:, 48:], np.stack([face] * 60)[:, 48:])


def test_sixty_two_and_a_half_to_twenty_five() -> None:
    points = np.arange(100.0)[:, None, None].repeat(68, 1)
    got = rules.resampled(points, 62.5, 45, 25.0)
    np.testing.assert_allclose(got[:39, 0, 0], np.arange(39) * 2.5)
    assert got[44, 0, 0] == 99  # held
